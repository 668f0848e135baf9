"""Does a real Prometheus agree with the expected values of the project's own PromQL cases (test/unit/promql/cases)? Their series go
into Prometheus 3.5 by remote write at the times that the files name, and each evaluation is asked over its API. What that
version cannot be asked is counted by reason; every other difference is a failure. PROMQL_CASES=NAME.test runs one file."""
import collections
import math
import os
import re

import promql_cases as cases
from node import ROOT, Case, free_port, http, prometheus3, query_json, snappy, wait_for

FOLDER = os.path.join(ROOT, "test", "unit", "promql", "cases")
FEATURES = "promql-experimental-functions,native-histograms,promql-delayed-name-removal,promql-duration-expr," \
    "promql-extended-range-selectors,promql-binop-fill-modifiers"
# Another Prometheus instead of the compiled peer; of the version that the files are for, nothing is excused.
OTHER = os.environ.get("PROMQL_CASES_PROMETHEUS")


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


# What Prometheus 3.5 cannot be asked, by the version that brought it: (version and what, in which queries).
NEWER = [
    ("3.6, step(), min_of and max_of in durations",
     r"[\[:]\s*[^\]]*\b(step\(|range\(|min_of|max_of)[^\]]*\]|offset -?\(?(step|range|min_of|max_of)\("),
    ("3.7, anchored and smoothed", r"\b(anchored|smoothed)\b"),
    ("3.7, first_over_time, ts_of_first_over_time and ts_of_last_over_time", r"\b(first|ts_of_first|ts_of_last)_over_time\("),
    ("3.10, fill modifiers", r"\bfill(_left|_right)?\s*\("),
    ("3.11, trimming histograms", r"</|>/"),
    ("3.11, histogram_quantiles", r"\bhistogram_quantiles\("),
    ("3.12, start(), end(), range() and step() as functions", r"(?<!@ )\b(start|end|range|step)\s*\("),
    ("3.13, max_of and min_of", r"\b(max|min)_of\b"),
    ("3.14, start_timestamp", r"\bstart_timestamp\("),
    ("never, names of Cortex", r"\bholt_winters\("),
]

# Where it may answer otherwise, since a later version mended or changed this: (version and what, in which queries, how each
# difference then reads). Everything else is a failure.
CHANGED = [
    ("3.6, NaN as parameter of topk, bottomk, limitk and limit_ratio", r"^(topk|bottomk|limitk|limit_ratio)\(NaN",
     r"but: (Scalar value NaN overflows int64|Ratio value NaN is NaN)$"),
    ("3.6, parse errors name step() and range()",
     r"", r"expected number, duration, step\(\), or range\(\), but: .*parse error: unexpected "),
    ("3.6, parse errors of duration expressions", r"^n\[1m \+ n\]$", r"but: 1:8: parse error: unexpected \"n\" in subquery selector"),
    ("3.6, extrapolation of native histograms to no less than zero", r"\b(rate|increase)\(", r" times as many: "),
    ("3.6, the same inside an expression",
     r"^(sum\(rate\(\{__name__=~\"h\|falls\"\}|histogram_count\(increase\(h\[4m\]\)\)$)", r"^\{\}: \{180000: "),
    ("3.7, no empty metric name",
     r"\bhistogram_quantile\(", r"bucket label \"le\" is missing or has a malformed value of \"x?\" for metric name \"\""),
    ("3.7, conflicting counter resets", r"\bhistogram_(count|sum|avg)\(",
     r"^expect warn msg:PromQL warning: conflicting counter resets .*, but: \[\]$"),
    ("3.7, the same between two operands, which then yield nothing", r"^histogram_(count|sum)\((inc|dec) [+-] (inc|dec)\)$",
     r"^expect warn msg:PromQL warning: conflicting counter resets .*, but: \[\]$|^unexpected \(\): |^\{\}: \{0: 5\.0, "),
    ("3.8, histograms with other custom bounds are reconciled", r"\b(c[134]|widens|size|req)\b",
     r"mismatched custom buckets were reconciled|incompatible (custom buckets|bucket layout)|^\{.*\} is missing$"),
    ("3.8, resets between custom bounds", r"\b(resets|increase)\((widens|size(\{k=\"other bounds\"\})?)\[",
     r": \{60000: (1\.0\}$|13\.75\}$|\{'count')|mismatched custom buckets were reconciled"),
    ("3.8, histogram_fraction that begins in the first bucket",
     r"\bhistogram_fraction\(", r"^\{.*\}: \{0: nan(, \d+: nan)*\}$|^\{.*\}: \{120000: nan\}$"),
    ("3.8, info() with wrong arguments and with series that change",
     r"^info\(reqs, (1|sum\(target_info\))\)$|info\(reqs(, \{version=~\"\.\+\"\})?\)",
     r"but: unexpected error|version|^\{\}: \{0: 3\.0, "),
    ("3.9, more than one match in a comparison that filters",
     r"^errors > on \(svc\) quota$", r"^an error is expected, but there is an answer$"),
    ("3.9, names dropped at the end of a query",
     r"__name__=~\"early\|later\"", r"^error: vector cannot contain metrics with the same labelset$"),
    ("3.10, texts of the monotonicity note", r"\bhistogram_quantile\(", r"needed to be fixed for monotonicity"),
    ("3.10, info() over elements without name", r"^info\(rate\(reqs\[2m\]\)\)$", r"is missing$|^unexpected"),
    ("3.12, info() with names that it must not have", r"^info\(reqs, \{__name__!=", r"is missing$|^unexpected"),
    ("3.12, names of last_over_time over subqueries", r"^last_over_time\(\(", r"is missing$|^unexpected"),
    ("3.12, durations that are too long", r"^n\[100y \* 10\]$", r"^an error is expected, but there is an answer$"),
    ("3.12, sort has no effect on range queries",
     r"\bsort", r"^expect warn msg:PromQL warning: sort is ineffective for range queries .*but: \[\]$"),
    ("3.14, mad_over_time with NaN", r"^mad_over_time\(nans", r"^\{\}: \{\d+: 0\.0\}$"),
    ("later, places of notes about NaN observations", r"\bhistogram_(quantile|fraction)\(", r"has NaN observations"),
    ("later, which of two series is named first", r"\bon \(",
     r"(found duplicate series for the match group .*\[)(.*\}), (.*\})(\];.*), but: \1\3, \2\4$"),
    ("later, parse errors", r"^@ 5$", r"but: 1:1: parse error: unexpected \"<Item \d+>\" <op:@>$"),
    ("later, a duration in two words", r"^m\[5 m\]$", r"^an error is expected, but there is an answer$"),
    ("later, a string in parentheses", r"^\(\"text\"\)$", r"^error: unexpected result in StepInvariantExpr"),
    ("never over HTTP: more than 11,000 steps", r"^vector\(1\) > 1$", r"^error: exceeded maximum resolution of 11,000 points"),
]


def applies(table):
    return [x for x in table if not OTHER or x[0].startswith("never")]


def changed(query, found):
    return next((why for why, queries, words in applies(CHANGED)
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
        p = self.spawn([OTHER or prometheus3(), f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
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
        agreed, not_asked, otherwise, wrong, number = 0, collections.Counter(), collections.Counter(), [], 0
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
                    newer = next((why for why, pattern in applies(NEWER) if re.search(pattern, e.query)), None)
                    if newer:
                        not_asked[newer] += 1
                        continue
                    found = differences(e, self.ask(url, e))
                    why = changed(e.query, found) if found else None
                    agreed += not found
                    if why:
                        otherwise[why] += 1
                    elif found:
                        wrong.append(f"{name}:{e.line}: {e.query}\n    " + "\n    ".join(found))
                p.stop()
        print(f"\n{agreed} evaluations agree with {OTHER or 'Prometheus 3.5'}")
        for title, counts in (("cannot be asked, since newer:", not_asked), ("answered otherwise, since changed later:", otherwise)):
            print(f"{counts.total()} {title}")
            for why, n in sorted(counts.items()):
                print(f"  {n:4} {why}")
        self.maxDiff = None
        self.assertFalse(wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong))
        self.assertGreater(agreed, 0)
