"""Does a real Prometheus agree with the expected values of the project's own PromQL cases (test/unit/promql/cases)? Their series go
into Prometheus 3.14 by remote write at the times that the files name, and each evaluation is asked over its API. The few that
it cannot be asked are counted by reason; every difference is a failure. PROMQL_CASES=NAME.test runs one file."""
import collections
import math
import os
import re

import promql_cases as cases
from node import ROOT, Case, free_port, http, prometheus3, query_json, snappy, wait_for

FOLDER = os.path.join(ROOT, "test", "unit", "promql", "cases")
FEATURES = "promql-experimental-functions,native-histograms,promql-delayed-name-removal,promql-duration-expr," \
    "promql-extended-range-selectors,promql-binop-fill-modifiers"


def close(want, got):
    if math.isnan(want) or math.isnan(got):
        return math.isnan(want) and math.isnan(got)
    if want == got:
        return True
    scale = abs(want) + abs(got)
    return abs(want - got) < 1e-6 * (scale if 2.2e-308 < scale < math.inf else 2.2e-308)


def value_close(want, got):
    """got: a number, or the API's histogram."""
    if not isinstance(want, cases.Histogram) or isinstance(got, float):
        return isinstance(got, float) and not isinstance(want, cases.Histogram) and close(want, got)
    buckets = [(int(b[0]), *map(float, b[1:])) for b in got.get("buckets", [])]
    expected = want.buckets()
    # Which side of a bucket is closed follows from its place; the API's word for it (0 to 3) is compared for exponential ones.
    return close(want.count, float(got["count"])) and close(want.sum, float(got["sum"])) and len(buckets) == len(expected) and \
        all((want.schema == -53 or a[0] == b[0]) and all(map(close, a[1:], b[1:])) for a, b in zip(expected, buckets))


def times_as_many(want, got):
    """How many times the expected histogram the answer is, when all of its numbers are that many times the expected ones."""
    if not isinstance(want, cases.Histogram) or isinstance(got, float) or want.count == 0:
        return None
    k = float(got["count"]) / want.count
    return k if value_close(want.combined(want.scaled(k - 1), 1), got) else None


def answer_rows(data):
    for s in data["result"]:
        one = [s["value"]] if "value" in s else [s["histogram"]] if "histogram" in s else s.get("values", []) + s.get("histograms", [])
        yield s["metric"], {round(t * 1000): float(v) if isinstance(v, str) else v for t, v in one}


def remark(want, got):
    many = [times_as_many(v, got[t]) if t in got else None for t, v in want.items()]
    return f" {', '.join(f'{k:.3g}' for k in many)} times as many" if None not in many else ""


def differences(e, body):
    """What is not as expected, in words."""
    if body["status"] != "success":
        error = re.sub(r'^invalid parameter "query": ', "", body["error"]).strip()
        if not e.fail:
            return [f"error: {error}"]
        return [f"{line}, but: {error}" for kind, test, line in e.expect if kind == "fail" and not test(error)]
    if e.fail:
        return ["an error is expected, but there is an answer"]
    out = []
    for kind, notes in (("warn", body.get("warnings", [])), ("info", body.get("infos", []))):
        tests = [t for k, t, _ in e.expect if k == kind]
        out += [f"{line}, but: {notes}" for k, t, line in e.expect if k == kind and not any(map(t, notes))]
        none = ("no_" + kind) in (k for k, _, _ in e.expect)
        out += [f"unexpected {kind}: {n}" for n in notes if none or (tests and not any(t(n) for t in tests))]
    data = body["data"]
    if data["resultType"] in ("scalar", "string"):
        want, got = (e.scalar, data["result"][1]) if data["resultType"] == "scalar" else (e.string, data["result"][1])
        same = want is not None and (close(want, float(got)) if data["resultType"] == "scalar" else want == got)
        return out + ([] if same else [f"{want} is expected, but: {got}"])
    rows = list(answer_rows(data))
    if e.scalar is not None:  # over steps a number is a series without labels
        return out + [f"{e.scalar} is expected, but: {rows}"]
    if e.ordered and [m for m, _ in rows] != [labels for labels, _ in e.rows]:
        out.append(f"another order: {[m for m, _ in rows]}")
    left = {tuple(sorted(m.items())): points for m, points in rows}
    for labels, values in e.rows:
        got, want = left.pop(tuple(sorted(labels.items())), None), e.points(values)
        if got is None:
            out.append(f"{labels} is missing")
        elif not e.range and e.grid is None:
            want = {t: values[0] for t in got}
            if len(got) != 1 or not value_close(values[0], *got.values()):
                out.append(f"{labels}{remark(want, got)}: {got}")
        elif sorted(got) != sorted(want) or not all(value_close(v, got[t]) for t, v in want.items()):
            out.append(f"{labels}{remark(want, got)}: {got}")
    return out + [f"unexpected {labels}: {points}" for labels, points in left.items()]


# What a Prometheus cannot be asked over HTTP: (why, in which queries).
NOT_ASKED = [
    ("names of Cortex", r"\bholt_winters\("),
    ("more than 11,000 steps", r"^vector\(1\) > 1$"),
]


# Where the release 3.14.0 answers otherwise than Prometheus's main branch after it, which Pallium follows: (what, in which queries,
# how each difference then reads).
CHANGED = [
    ("places of notes about NaN observations", r"\bhistogram_(quantile|fraction)\(", r"has NaN observations"),
    ("which of two series is named first", r"\bon \(",
     r"(found duplicate series for the match group .*\[)(.*\}), (.*\})(\];.*), but: \1\3, \2\4$"),
    ("info() over elements without name", r"^info\(rate\(reqs\[2m\]\)\)$", r"is missing$|^unexpected"),
    ("parse errors", r"^@ 5$", r"but: 1:1: parse error: unexpected \"<Item \d+>\" <op:@>$"),
    ("a duration in two words", r"^m\[5 m\]$", r"^an error is expected, but there is an answer$"),
    ("a string in parentheses", r"^\(\"text\"\)$", r"^error: unexpected result in StepInvariantExpr"),
]


def changed(query, found):
    return next((why for why, queries, words in CHANGED
                 if re.search(queries, query) and all(re.search(words, f) for f in found)), None)


class RealPrometheus(Case):
    @classmethod
    def setUpClass(cls):
        """Without Pallium: this is about the files."""

    def start(self, number):
        port = free_port()
        folder = os.path.join(self.folder, str(number))
        os.mkdir(folder)
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("global: {}\n")
        p = self.spawn([prometheus3(), f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                        "--storage.tsdb.retention.time=100y",
                        "--web.enable-remote-write-receiver", f"--web.listen-address=127.0.0.1:{port}", "--query.max-samples=10000",
                        "--log.level=error", f"--enable-feature={FEATURES}"], f"prometheus-{number}")
        url = f"http://127.0.0.1:{port}"
        wait_for("prometheus", lambda: http(url + "/-/ready", timeout=5)[0] == 200)
        return p, url

    def write(self, url, loads):
        for message in cases.messages(loads):
            status, _, body = http(url + "/api/v1/write", snappy(message), {
                "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"})
            if status // 100 != 2:
                return body.decode(errors="replace").strip()
        return None

    def ask(self, url, e):
        if e.range:
            return query_json(url + "/api/v1/query_range", {"query": e.query, "start": e.start / 1000, "end": e.end / 1000,
                                                            "step": e.step / 1000})
        return query_json(url + "/api/v1/query", {"query": e.query, "time": e.start / 1000})

    def test_expected_values(self):
        only = os.environ.get("PROMQL_CASES")
        agreed, not_asked, later, wrong, number = 0, collections.Counter(), collections.Counter(), [], 0
        for name in sorted(os.listdir(FOLDER)):
            if not name.endswith(".test") or (only and name != only):
                continue
            for loads, evals in cases.read(os.path.join(FOLDER, name), name):
                number += 1
                p, url = self.start(number)
                refused = self.write(url, loads)
                if refused:
                    wrong.append(f"{name}: the series are refused: {refused}")
                for e in evals if not refused else []:
                    why = next((why for why, pattern in NOT_ASKED if re.search(pattern, e.query)), None)
                    if why:
                        not_asked[why] += 1
                        continue
                    found = differences(e, self.ask(url, e))
                    agreed += not found
                    why = changed(e.query, found) if found else None
                    if why:
                        later[why] += 1
                    elif found:
                        wrong.append(f"{name}:{e.line}: {e.query}\n    " + "\n    ".join(found))
                p.stop()
        print(f"\n{agreed} evaluations agree; not asked: {dict(not_asked)}; changed after 3.14.0: {dict(later)}")
        self.maxDiff = None
        self.assertFalse(wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong))
        self.assertGreater(agreed, 0)
