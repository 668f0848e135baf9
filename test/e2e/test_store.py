"""The store (head, WAL, head chunks) against the real ones: Prometheus and promtool open what Pallium wrote, also after a SIGKILL
and a head cut; Pallium opens what a killed Prometheus wrote, and cuts it to a block that promtool reads.

Pallium's side is test/unit/tsdb/head_tool.c (HEAD_TOOL names another build of it)."""
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.parse

from node import CACHE, PALLIUM, Process, free_port, http, need, wait_for

HEAD_TOOL = os.environ.get("HEAD_TOOL", os.path.join(os.path.dirname(PALLIUM), "test", "unit", "tsdb", "head_tool"))
FOREVER = "--storage.tsdb.retention.time=100y"
LINE = re.compile(r"^(\{.*\}) (\S+) (-?\d+)$")


def servers():
    """(prometheus, promtool, extra flags) of each version at hand."""
    out = [("prometheus", "promtool", [])]
    three = os.environ.get("PROMETHEUS3", os.path.join(CACHE, "prometheus"))
    if os.path.isfile(three):
        out.append((three, os.path.join(os.path.dirname(three), "promtool"), ["--storage.tsdb.wal-compression-type=zstd"]))
    return out


def samples(text):
    """{(labels, t): bits of v} of what `tsdb dump` printed."""
    out = {}
    for line in text.splitlines():
        m = LINE.match(line)
        if m:
            out[(m.group(1), int(m.group(3)))] = struct.pack("<d", float(m.group(2)))
    return out


def run(*args):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=120)
    if p.returncode not in (0, -9):
        raise AssertionError(f"{' '.join(args)}: exit {p.returncode}\n{p.stderr.decode(errors='replace')[-3000:]}")
    return p.stdout.decode()


class Store(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need(HEAD_TOOL, "ninja test/unit/tsdb/head_tool")
        need("prometheus", "Debian package")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pallium-store-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.data = os.path.join(self.folder, "data")

    def prometheus(self, program, path, scrape=False, flags=()):
        port = free_port()
        config = os.path.join(self.folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("global: {scrape_interval: 100ms, scrape_timeout: 90ms}\n")
            if scrape:
                f.write(f"scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n")
        p = Process([program, f"--config.file={config}", f"--storage.tsdb.path={path}", FOREVER,
                     f"--web.listen-address=127.0.0.1:{port}", *flags], os.path.join(self.folder, "prometheus.log"))
        self.addCleanup(p.stop)
        url = f"http://127.0.0.1:{port}"
        wait_for("prometheus ready", lambda: http(url + "/-/ready", timeout=5)[0] == 200, 60)
        return p, url

    def value(self, url, query):
        status, _, body = http(url + "/api/v1/query", urllib.parse.urlencode({"query": query, "time": 1700020000}).encode())
        answer = json.loads(body)
        self.assertEqual(status, 200, answer)
        return float(answer["data"]["result"][0]["value"][1])

    def test_they_open_what_we_wrote(self):
        for program, promtool, _ in servers():
            for name, args, blocks in (("killed", ["none"], 0), ("killed, snappy", ["none", "snappy"], 0), ("cut", ["cut"], 1),
                                       ("flushed", ["flush"], 2)):
                with self.subTest(program=program, case=name):
                    shutil.rmtree(self.data, ignore_errors=True)
                    run(HEAD_TOOL, self.data, "200", "1000", *args)
                    mine = samples(run(HEAD_TOOL, self.data, "dump"))
                    self.assertEqual(len(mine), 200 * 1000)
                    self.assertEqual(samples(run(promtool, "tsdb", "dump", self.data)), mine)
                    if blocks:
                        self.assertIn("Series: 200", run(promtool, "tsdb", "analyze", self.data))
                    p, url = self.prometheus(program, self.data)
                    self.assertEqual(self.value(url, 'sum(count_over_time({job="node"}[10h]))'), 200 * 1000)
                    self.assertEqual(self.value(url, 'count(count_over_time({job="node"}[10h]) == 1000)'), 200)
                    p.stop()
                    log = p.log_text()
                    for word in ("orrupt", "nknown series", "level=error", "level=ERROR"):
                        self.assertNotIn(word, log)

    def test_we_open_what_they_wrote(self):
        for program, promtool, flags in servers():
            with self.subTest(program=program):
                shutil.rmtree(self.data, ignore_errors=True)
                for _ in range(2):  # the second start replays, and numbers its series on
                    p, _url = self.prometheus(program, self.data, scrape=True, flags=flags)
                    time.sleep(13)  # more than 120 samples a series: head chunk files too
                    p.stop(sig=9)
                want = samples(run(promtool, "tsdb", "dump", self.data))
                self.assertGreater(len(want), 10000)
                self.assertEqual(samples(run(HEAD_TOOL, self.data, "dump")), want)
                run(HEAD_TOOL, self.data, "0", "0", "flush")
                self.assertEqual(samples(run(promtool, "tsdb", "dump", self.data)), want)
                self.assertEqual(samples(run(HEAD_TOOL, self.data, "dump")), want)


if __name__ == "__main__":
    unittest.main()
