"""Does a real Prometheus agree with the expected values of the project's own PromQL cases (test/unit/promql/cases)? Their series go
into Prometheus 3.5 by remote write at the times that the files name, and each evaluation is asked over its API. What that
version cannot be asked is counted by reason; every other difference is a failure."""
import collections
import math
import os
import re
import unittest

import promql_cases as cases
from node import ROOT, Case, free_port, http, prometheus3, query_json, snappy, wait_for

FOLDER = os.path.join(ROOT, "test", "unit", "promql", "cases")
FEATURES = "promql-experimental-functions,native-histograms,promql-delayed-name-removal,promql-duration-expr"


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


def answer_rows(data):
    for s in data["result"]:
        one = [s["value"]] if "value" in s else [s["histogram"]] if "histogram" in s else s.get("values", []) + s.get("histograms", [])
        yield s["metric"], {round(t * 1000): float(v) if isinstance(v, str) else v for t, v in one}


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
        out += [f"unexpected {kind}: {n}" for n in notes if (tests and not any(t(n) for t in tests)) or ("no_" + kind) in (x[0] for x in e.expect)]
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
            if len(got) != 1 or not value_close(values[0], *got.values()):
                out.append(f"{labels}: {got}")
        elif sorted(got) != sorted(want) or not all(value_close(v, got[t]) for t, v in want.items()):
            out.append(f"{labels}: {got}")
    return out + [f"unexpected {labels}: {points}" for labels, points in left.items()]


# What Prometheus 3.5 does not know or does in another way: (since which version, what, in which queries).
NEWER = [
    ("3.10, fill modifiers", r"\bfill(_left|_right)?\s*\("),
    ("3.7, anchored and smoothed", r"\b(anchored|smoothed)\b"),
    ("3.11, trimming histograms", r"</|>/"),
    ("3.11, histogram_quantiles", r"\bhistogram_quantiles\("),
    ("3.13, max_of and min_of", r"\b(max|min)_of\b"),
    ("3.12, start(), end(), range() and step() as functions", r"(?<!@ )\b(start|end|range|step)\s*\("),
    ("3.7, first_over_time, ts_of_first_over_time and ts_of_last_over_time", r"\b(first|ts_of_first|ts_of_last)_over_time\("),
    ("3.14, start_timestamp", r"\bstart_timestamp\("),
]


@unittest.skipUnless(os.environ.get("PEERS") == "all", "a compiled peer: make test PEERS=all")
class RealPrometheus(Case):
    @classmethod
    def setUpClass(cls):
        pass  # without Pallium

    def start(self, number):
        port = free_port()
        folder = os.path.join(self.folder, str(number))
        os.mkdir(folder)
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("global: {}\n")
        p = self.spawn([prometheus3(), f"--config.file={config}", f"--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=100y",
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
            return query_json(url + "/api/v1/query_range", {"query": e.query, "start": e.start / 1000, "end": e.end / 1000, "step": e.step / 1000})
        return query_json(url + "/api/v1/query", {"query": e.query, "time": e.start / 1000})

    def test_expected_values(self):
        only = os.environ.get("PROMQL_CASES")
        agreed, not_asked, wrong, number = 0, collections.Counter(), [], 0
        for name in sorted(os.listdir(FOLDER)):
            if not name.endswith(".test") or (only and name != only):
                continue
            for loads, evals in cases.read(os.path.join(FOLDER, name), name):
                number += 1
                p, url = self.start(number)
                refused = self.write(url, loads)
                for e in evals:
                    newer = next((why for why, pattern in NEWER if re.search(pattern, e.query)), None)
                    if newer or refused:
                        not_asked[newer or "the series are refused: " + refused] += 1
                        continue
                    found = differences(e, self.ask(url, e))
                    agreed += not found
                    if found:
                        wrong.append(f"{name}:{e.line}: {e.query}\n    " + "\n    ".join(found))
                p.stop()
        print(f"\n{agreed} evaluations agree with Prometheus 3.5, {sum(not_asked.values())} not asked:")
        for why, n in not_asked.most_common():
            print(f"  {n:4} {why}")
        self.assertEqual(wrong, [], f"{len(wrong)} differ:\n" + "\n".join(wrong))
        self.assertGreater(agreed, 0)
