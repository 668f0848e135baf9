#!/usr/bin/env python3
"""Random valid PromQL beside a real Prometheus on the same block of samples: every answer must be equal to the bit, with the
same warnings, infos and errors. A query that differs is made smaller and printed with both answers.

    test/diff/run.py [--queries 20000] [--seed N] [--prometheus BINARY] [--build DIR] [--node PALLIUM] [--late-names]
                     [--type-labels] [--floats] [--samples] [--info]
                     [--only TEXT] [--query TEXT --at MS[,END_MS,STEP_MS]] [--compliance FILE.yml]

The samples come from diff_data, made from --data-seed. Pallium answers in process (diff_answer), with --node as a server. The
real server is the compiled peer ($PALLIUM_CACHE/prometheus), which must know start_timestamp(): Prometheus 3.14, whose language
Pallium speaks; older ones answer many queries otherwise (--any-version compares nevertheless). What one side lacks is left out
and told; info() too, which changed since (--info asks it, of a Prometheus that is newer). The last line is `N passed, M failed`. Exit code 1 when an answer differs, 77 when there is no server to compare with.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compliance  # noqa: E402
from compare import difference, samples  # noqa: E402
from gen import PARTS, SPAN, START, Gen, text  # noqa: E402
from servers import Engine, Node, Prometheus  # noqa: E402
from shrink import shrink  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.environ.get("PALLIUM_CACHE", os.path.expanduser("~/.cache/pallium-peers"))
SHOWN_MAX = 60
SKIPPED = 77
# Where the real server fails by a fault of its own: count_values cannot write a histogram of custom buckets times NaN.
FAULTS = ("histograms with custom buckets have no zero bucket",)
AGAIN = 60


def steady_part(answer):
    """What of an answer is the same each time when nothing is left to chance."""
    data = {k: v for k, v in answer.get("data", {}).items() if k != "stats"}
    return data, answer.get("error"), sorted(answer.get("warnings", [])), sorted(answer.get("infos", []))


def ordered(query, step):
    """Whether the order of the answer is part of it."""
    return step > 0 or re.match(r"(sort|topk|bottomk)", query) is not None


class Comparison:
    def __init__(self, ours, theirs, check_samples):
        self.ours, self.theirs, self.check_samples = ours, theirs, check_samples
        self.asked = self.failed = self.errors = self.empty = self.unsteady = 0
        self.kinds, self.seen = {}, {}

    def differ(self, query, when):
        a, b = self.ours.ask(*when, query), self.theirs.ask(*when, query)
        d = difference(a, b, ordered(query, when[2]))
        if not d and self.check_samples and samples(a) != samples(b):
            d = "samples", "%s and %s" % (samples(a), samples(b))
        return d, a, b

    def steady(self, query, when, ours, theirs):
        """False when the real server's answer is one of several: it keeps series in maps during range queries, so that the order
        in which it meets them, by which ties, limits and the first of several errors are chosen, is left to chance."""
        first = steady_part(theirs)
        for _ in range(AGAIN):
            more = self.theirs.ask(*when, query)
            if steady_part(more) != first or not difference(ours, more, ordered(query, when[2])):
                return False
        return True

    def check(self, node, when):
        """Compares one query, a tree or a text."""
        query = text(node)
        self.asked += 1
        d, ours, theirs = self.differ(query, when)
        self.errors += theirs["status"] != "success"
        self.empty += theirs["status"] == "success" and not theirs["data"]["result"]
        if not d:
            return
        if theirs.get("error") in FAULTS or not self.steady(query, when, ours, theirs):
            self.unsteady += 1
            return
        self.failed += 1
        self.kinds[d[0]] = self.kinds.get(d[0], 0) + 1
        small, at = node, when
        if not isinstance(node, str) and len(self.seen) < SHOWN_MAX:
            small, at = shrink(node, when, lambda n, w: (self.differ(text(n), w)[0] or ("",))[0] == d[0])
        shape = d[0] + " " + re.sub(r"\w+:\w+|\b(g|c|nh|lat|neg|bad|near|noinf|oddle|one)_\w+|\d[\w.]*|\b(NaN|Inf)\b", "_", text(small))
        self.seen[shape] = self.seen.get(shape, 0) + 1
        if self.seen[shape] == 1 and len(self.seen) <= SHOWN_MAX:
            again = self.differ(text(small), at)[0]
            d = again or (d[0] + ", not always", d[1])
            print("DIFFERS (%s) %s\n   at %s\n   %s\n   from %s" % (d[0], text(small), at, d[1][:1500], query[:300]), flush=True)


def make_block(args, folder):
    made = os.path.join(folder, "block")
    os.mkdir(made)
    out = subprocess.run([os.path.join(args.build, "test", "diff", "diff_data"), made, str(args.data_seed), str(START), str(SPAN)] +
                         (["floats"] if args.floats else []), check=True, capture_output=True, text=True).stdout
    print("samples: " + out.strip() + ", data seed %d" % args.data_seed)
    return os.path.join(made, next(n for n in os.listdir(made) if len(n) == 26))


def run(args, ours, theirs, c):
    if args.query:
        when = [int(x) for x in args.at.split(",")]
        when = tuple(when if len(when) == 3 else [when[0], when[0], 0])
        d, a, b = c.differ(args.query, when)
        print(json.dumps(a, ensure_ascii=False)[:4000] + "\n" + json.dumps(b, ensure_ascii=False)[:4000] + "\n", d)
        c.asked, c.failed = 1, int(bool(d))
        return
    if args.compliance:
        for query, when in compliance.cases(args.compliance, START, SPAN):
            c.check(query, when)
        return
    parts = {p for p, probe in PARTS.items() if all("error" not in s.ask(START, START, 0, probe) for s in (theirs, ours))}
    if not args.info:
        parts.discard("info")  # changed after 3.14.0: its time under @, and what becomes of names under it
    if set(PARTS) - parts:
        print("left out, for one side lacks it: " + ", ".join(sorted(set(PARTS) - parts)))
    rnd = random.Random(args.seed)
    g = Gen(rnd, parts, not args.floats)
    begin = time.time()
    while c.asked < args.queries and (not args.seconds or time.time() - begin < args.seconds):
        node = g.query()
        when = g.times(node.type)
        if args.only in text(node):
            c.check(node, when)
    print("%d answers compared in %.0f s: %d were errors, %d empty, %d left to chance by the real "
          "server; seed %d" % (c.asked, time.time() - begin, c.errors, c.empty, c.unsteady, args.seed))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--queries", type=int, default=2000)
    ap.add_argument("--seconds", type=float, default=0)
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--data-seed", type=int, default=1)
    ap.add_argument("--prometheus", default=os.path.join(CACHE, "prometheus"))
    ap.add_argument("--build", default=os.path.join(ROOT, "build"))
    ap.add_argument("--node", default="")
    ap.add_argument("--late-names", action="store_true")
    ap.add_argument("--info", action="store_true")
    ap.add_argument("--type-labels", action="store_true")
    ap.add_argument("--floats", action="store_true")
    ap.add_argument("--samples", action="store_true")
    ap.add_argument("--only", default="")
    ap.add_argument("--query", default="")
    ap.add_argument("--at", default=str(START + 3600000))
    ap.add_argument("--compliance", default="")
    ap.add_argument("--any-version", action="store_true")
    args = ap.parse_args()
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    if not os.access(args.prometheus, os.X_OK):
        print("skipped: no server at " + args.prometheus)
        return SKIPPED
    folder = tempfile.mkdtemp(prefix="diff-")
    ours = theirs = None
    try:
        block = make_block(args, folder)
        switches = [(args.late_names, "promql-delayed-name-removal", "d"), (args.type_labels, "type-and-unit-labels", "u")]
        theirs = Prometheus(args.prometheus, block, [feature for on, feature, _ in switches if on])
        if not args.any_version and theirs.ask(START, START, 0, PARTS["start_timestamp"])["status"] != "success":
            print("skipped: %s is older than Prometheus 3.14" % args.prometheus)
            return SKIPPED
        ours = Node(args.node, block) if args.node else Engine(os.path.join(args.build, "test", "diff", "diff_answer"), block,
                                                               "".join(c for on, _, c in switches if on) or "-")
        c = Comparison(ours, theirs, args.samples)
        run(args, ours, theirs, c)
        if c.kinds:
            print("differences: " + ", ".join("%d %s" % (n, k) for k, n in sorted(c.kinds.items())))
        print("%d passed, %d failed" % (c.asked - c.failed, c.failed))
        return 1 if c.failed else 0
    finally:
        for s in (ours, theirs):
            if s is not None:
                s.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
