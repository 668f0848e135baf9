#!/usr/bin/env python3
"""Measures Pallium, Prometheus and VictoriaMetrics on the same work in the same run, as CPU time and bytes, and prints a table
of figures and ratios in Markdown. The load comes from palliumctl load: remote write 1.0, 12 labels, 2,000 series a request.

    bench/run.py [--series 100000,1000000] [--passes 13] [--query-series 1000,10000] [--only pallium,prometheus,victoria]
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CTL = os.path.join(ROOT, "build", "palliumctl")
TICK = os.sysconf("SC_CLK_TCK")
STEP = 15
RATE_METRIC = "http_requests_total"  # the one name of --metrics 1


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """A server under test: how it is started, where it takes writes and answers."""

    def __init__(self, name):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix=f"bench-{name}-")
        self.port = port()
        self.base = f"http://127.0.0.1:{self.port}"
        f = self.folder
        if name == "pallium":
            self.args = [os.path.join(ROOT, "build", "pallium"), "-target=all", "-auth.enabled=false",
                         "-server.http-listen-address=127.0.0.1", f"-server.http-listen-port={self.port}",
                         f"-server.grpc-listen-port={port()}", f"-blocks-storage.tsdb.dir={f}/tsdb",
                         "-blocks-storage.backend=filesystem", "-ring.store=inmemory", "-distributor.replication-factor=1",
                         "-distributor.ingestion-rate-limit=1e12", "-distributor.ingestion-burst-size=1000000000",
                         "-ingester.max-series-per-metric=0", "-ingester.max-series-per-user=0"]
            self.write, self.api, self.ready = "/api/v1/push", "/prometheus/api/v1", "/ready"
        elif name == "prometheus":
            cfg = os.path.join(f, "prometheus.yml")
            with open(cfg, "w", encoding="utf-8") as out:
                out.write("global: {scrape_interval: 15s}\n")
            self.args = ["prometheus", f"--config.file={cfg}", f"--storage.tsdb.path={f}/data", "--web.enable-remote-write-receiver",
                         f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.retention.time=10y"]
            self.write, self.api, self.ready = "/api/v1/write", "/api/v1", "/-/ready"
        else:
            self.args = ["victoria-metrics", f"-storageDataPath={f}/data", f"-httpListenAddr=127.0.0.1:{self.port}",
                         "-retentionPeriod=100y", "-search.latencyOffset=0s"]
            self.write, self.api, self.ready = "/api/v1/write", "/api/v1", "/health"
        self.p = None

    def start(self):
        begin = time.time()
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.p = subprocess.Popen(self.args, stdout=self.log, stderr=subprocess.STDOUT)
        while True:
            try:
                with urllib.request.urlopen(self.base + self.ready, timeout=2) as r:
                    if r.status == 200:
                        return time.time() - begin
            except OSError:
                if self.p.poll() is not None:
                    sys.exit(f"{self.name} ended; see {self.folder}/log")
                if time.time() - begin > 300:
                    sys.exit(f"{self.name} is not ready after 300 s")
            time.sleep(0.01)

    def cpu(self):
        with open(f"/proc/{self.p.pid}/stat", encoding="ascii") as f:
            parts = f.read().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / TICK

    def memory(self, key="RssAnon"):
        with open(f"/proc/{self.p.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
        return 0

    def load(self, series, passes, start, metrics=64):
        """One load run; the server's CPU seconds for it."""
        before = self.cpu()
        out = subprocess.run([CTL, "load", "--url", self.base, "--path", self.write, "--series", str(series), "--labels", "12",
                              "--series-per-request", "2000", "--passes", str(passes), "--concurrency", "2",
                              "--start-time", str(start), "--step", f"{STEP}s", "--quiet", "--repack",
                              "--metrics", str(metrics)], capture_output=True, text=True)
        if out.returncode != 0:
            sys.exit(f"load on {self.name}: {out.stdout[-2000:]}{out.stderr[-2000:]}")
        return self.cpu() - before

    def query(self, path, **params):
        before = self.cpu()
        url = self.base + self.api + path + "?" + urllib.parse.urlencode(params)
        with urllib.request.urlopen(url, timeout=600) as r:
            body = json.load(r)
        return body, self.cpu() - before

    def kill(self):
        self.p.send_signal(signal.SIGKILL)
        self.p.wait()

    def end(self):
        if self.p and self.p.poll() is None:
            self.p.terminate()
            try:
                self.p.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def settle(peer):
    """Waits until the server is idle, so that background work is counted with the load that caused it."""
    quiet = 0
    for _ in range(60):
        before = peer.cpu()
        time.sleep(0.5)
        quiet = quiet + 1 if peer.cpu() - before < 0.02 else 0
        if quiet >= 2:
            return


def count_samples(peer, t):
    """All samples of the load, name by name: over several names at once count_over_time has equal label sets."""
    total = 0
    with urllib.request.urlopen(f"{peer.base}{peer.api}/label/__name__/values?start={t - 3600}&end={t}", timeout=600) as r:
        names = json.load(r)["data"]
    for name in names:
        body, _ = peer.query("/query", query=f"sum(count_over_time({name}[1h]))", time=t)
        total += sum(int(float(x["value"][1])) for x in body["data"]["result"])
    return total


def ingest(name, series, passes, figures):
    peer = Peer(name)
    try:
        figures["ready when empty, s"] = peer.start()
        time.sleep(1)
        figures["idle RSS, MB"] = peer.memory("VmRSS") / 1e6
        start = int(time.time()) - passes * STEP - 60
        cpu = peer.load(series, 1, start)
        before = peer.cpu()
        settle(peer)
        figures["CPU per new series, us"] = (cpu + peer.cpu() - before) / series * 1e6
        before = peer.cpu()
        peer.load(series, passes - 1, start + STEP)
        settle(peer)
        figures["CPU per sample, us"] = (peer.cpu() - before) / (series * (passes - 1)) * 1e6
        figures["anonymous memory per series, KB"] = peer.memory() / series / 1e3
        peer.kill()
        begin = time.time()
        figures["start after SIGKILL until ready, s"] = peer.start()
        want = series * passes
        t = start + passes * STEP
        cpu = peer.cpu()
        found = count_samples(peer, t)
        figures["the count of all samples after it, CPU s"] = peer.cpu() - cpu
        figures["SIGKILL until all samples are counted, s"] = time.time() - begin
        figures["samples lost by SIGKILL, %"] = 100 * (1 - found / want)
    finally:
        peer.end()


def queries(name, series, figures):
    peer = Peer(name)
    try:
        peer.start()
        start = int(time.time()) - 2 * 3600 - 60
        peer.load(series, 481, start, metrics=1)
        settle(peer)
        best = None
        for _ in range(5):
            body, cpu = peer.query("/query_range", query=f"sum by (namespace) (rate({RATE_METRIC}[5m]))",
                                   start=start, end=start + 7200, step=STEP, nocache=1)
            best = cpu if best is None else min(best, cpu)
        rows = len(body["data"]["result"])
        figures[f"rate over {series} series, 2 h, CPU s"] = best
        figures[f"groups in the answer ({series})"] = rows
    finally:
        peer.end()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--series", default="100000,1000000")
    ap.add_argument("--passes", type=int, default=13)
    ap.add_argument("--query-series", default="1000,10000")
    ap.add_argument("--only", default="pallium,prometheus,victoria")
    a = ap.parse_args()
    names = a.only.split(",")
    print(f"machine: {os.cpu_count()} cores, {open('/proc/cpuinfo').read().split('model name')[1].split(':')[1].splitlines()[0].strip()}")
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"commit: {commit}\n")
    for series in [int(s) for s in a.series.split(",") if s]:
        table = {n: {} for n in names}
        for n in names:
            ingest(n, series, a.passes, table[n])
        report(f"{series:,} series, {a.passes} passes", names, table)
    for series in [int(s) for s in a.query_series.split(",") if s]:
        table = {n: {} for n in names}
        for n in names:
            queries(n, series, table[n])
        report(f"range query, {series:,} series", names, table)


def report(title, names, table):
    print(f"### {title}\n\n| | " + " | ".join(names) + " | ratios to pallium |\n|---|" + "---|" * (len(names) + 1))
    for key in table[names[0]]:
        row = [table[n].get(key) for n in names]
        base = row[0]
        ratios = ", ".join(f"{n} {v / base:.1f}x" for n, v in zip(names[1:], row[1:]) if v is not None and base) or "-"
        print(f"| {key} | " + " | ".join("-" if v is None else f"{v:.3g}" for v in row) + f" | {ratios} |")
    print(flush=True)


if __name__ == "__main__":
    main()
