#!/usr/bin/env python3
"""PromQL beside a real Prometheus 3: the expressions and sizes of Prometheus's own range query benchmark, over HTTP, on one and
the same block of data (bench/promql_data.c). Prints CPU per query of both servers and the geometric mean of the ratios.

    bench/promql.py [--sizes one,ten,hundred,thousand] [--steps 1,1000] [--only TEXT] [--seconds 0.15]

CPU is that of the server's threads as the kernel counts it; Prometheus runs with GOMAXPROCS=1. Queries are repeated until a
server has used --seconds, answers are compared, and the first query of each kind is not counted.
"""
import argparse
import http.client
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from run import ROOT, Peer, port  # noqa: E402

STEP = 10
DAY = 8640  # intervals
EXPRESSIONS = """
a_X
rate(a_X[1m])
rate(sparse[1m])
double_exponential_smoothing(a_X[1d], 0.3, 0.3)
changes(a_X[1d])
rate(a_X[1d])
absent_over_time(a_X[1d])
-a_X
a_X - b_X
a_X and b_X{l=~'.*[0-4]$'}
a_X or b_X{l=~'.*[0-4]$'}
a_X unless b_X{l=~'.*[0-4]$'}
a_X and b_X{l='notfound'}
abs(a_X)
label_replace(a_X, 'l2', '$1', 'l', '(.*)')
label_join(a_X, 'l2', '-', 'l', 'l')
sum(a_X)
avg(a_X)
sum without (l)(h_X)
sum without (le)(h_X)
sum by (l)(h_X)
sum by (le)(h_X)
count_values('value', h_X)
topk(1, a_X)
topk(5, a_X)
limitk(1, a_X)
limitk(5, a_X)
limit_ratio(0.1, a_X)
limit_ratio(0.5, a_X)
limit_ratio(-0.5, a_X)
rate(a_X[1m]) + rate(b_X[1m])
sum without (l)(rate(a_X[1m]))
sum without (l)(rate(a_X[1m])) / sum without (l)(rate(b_X[1m]))
histogram_quantile(0.9, rate(h_X[5m]))
a_X + on(l) group_right a_one
count({__name__!=""})
count({__name__!="",l=""})
timestamp(a_X)
""".strip().splitlines()


def cases(sizes, steps, only):
    for text in EXPRESSIONS:
        for size in sizes if "X" in text else ["-"]:
            if size == "thousand" and "h_" in text:
                continue
            for n in steps:
                if text.startswith("count({") and n != 1:
                    continue
                expr = text.replace("X", size)
                if only in expr:
                    yield expr, min(n, 100) if text.startswith("count_values") else n


class Server(Peer):
    def __init__(self, name, data):
        super().__init__(name)
        if name == "pallium":
            shutil.copytree(data, os.path.join(self.folder, "tsdb", "fake"))
            self.args += ["-querier.enable-promql-experimental-functions=true", "-querier.max-samples=1000000000"]
        else:
            shutil.copytree(data, os.path.join(self.folder, "data"))
            self.args = ["env", "GOMAXPROCS=1", os.path.expanduser("~/.cache/pallium-peers/prometheus")] + self.args[1:]
            self.args += ["--enable-feature=promql-experimental-functions", "--query.max-samples=1000000000"]
        self.start()
        self.conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def cpu_ns(self):
        total = 0
        for t in os.listdir(f"/proc/{self.p.pid}/task"):
            with open(f"/proc/{self.p.pid}/task/{t}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        return total

    def ask(self, expr, start, end):
        body = urllib.parse.urlencode({"query": expr, "start": start, "end": end, "step": STEP})
        for attempt in range(2):
            try:
                self.conn.request("POST", self.api + "/query_range", body, {"Content-Type": "application/x-www-form-urlencoded"})
                r = self.conn.getresponse()
                break
            except (BrokenPipeError, http.client.RemoteDisconnected):  # closed as idle while the other server was measured
                self.conn.close()
                if attempt > 0:
                    raise
        text = r.read()
        if r.status != 200:
            sys.exit(f"{self.name}: {expr}: {text[:300]}")
        return text

    def measure(self, expr, start, end, seconds):
        """CPU of one query in ms, its answer, and by how much memory rose at most in MB."""
        answer = self.ask(expr, start, end)
        with open(f"/proc/{self.p.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")
        before = self.memory("VmRSS")
        runs, spent, begin = 0, 0, self.cpu_ns()
        wall = time.time()
        while spent < seconds * 1e9 and runs < 3000 and time.time() - wall < 20:
            self.ask(expr, start, end)
            runs += 1
            if runs % 8 == 0 or runs < 8:
                spent = self.cpu_ns() - begin
        spent = self.cpu_ns() - begin
        return spent / runs / 1e6, answer, max(0, self.memory("VmHWM") - before) / 1e6


def same(a, b):
    key = lambda s: json.dumps(s["metric"], sort_keys=True)  # noqa: E731
    a, b = json.loads(a)["data"]["result"], json.loads(b)["data"]["result"]
    return sorted(a, key=key) == sorted(b, key=key)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--sizes", default="one,ten,hundred,thousand")
    ap.add_argument("--steps", default="1,1000")
    ap.add_argument("--only", default="")
    ap.add_argument("--seconds", type=float, default=0.15)
    a = ap.parse_args()
    steps = [int(s) for s in a.steps.split(",")]
    intervals = DAY + max(steps)
    start = (int(time.time()) // STEP - intervals - 6) * STEP
    data = tempfile.mkdtemp(prefix="bench-promql-")
    subprocess.run([os.path.join(ROOT, "build", "bench", "promql_data"), data, str(start * 1000), str(intervals)], check=True)
    servers, ratios, slower, differ = [], [], [], []
    try:
        servers = [Server("pallium", data), Server("prometheus", data)]
        end = start + (intervals - 1) * STEP
        print("| expression | steps | Pallium ms | Prometheus ms | ratio | Pallium +MB | Prometheus +MB |\n|---|---|---|---|---|---|---|")
        for expr, n in cases(a.sizes.split(","), steps, a.only):
            got = [s.measure(expr, end - (n - 1) * STEP, end, a.seconds) for s in servers]
            ratio = got[1][0] / got[0][0]
            ratios.append(ratio)
            if ratio < 1:
                slower.append((expr, n))
            if not same(got[0][1], got[1][1]):
                differ.append((expr, n))
            print(f"| `{expr}` | {n} | {got[0][0]:.3f} | {got[1][0]:.3f} | {ratio:.1f} | {got[0][2]:.1f} | {got[1][2]:.1f} |", flush=True)
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"\n{len(ratios)} queries; geometric mean of CPU ratios {mean:.2f}; slower than Prometheus: {slower or 'none'}; "
              f"answers that differ: {differ or 'none'}; memory at the end: "
              + ", ".join(f"{s.name} {s.memory('VmRSS') / 1e6:.0f} MB RSS, {s.memory('RssAnon') / 1e6:.0f} MB anonymous" for s in servers))
    finally:
        for s in servers:
            s.end()
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()
