"""Real Prometheus beside Pallium: it scrapes node_exporter and itself, remote-writes to Pallium, and both are asked the same
questions while Pallium is killed and started. E2E_SECONDS sets how long (60; the acceptance run takes 600)."""
import json
import os
import subprocess
import time
import unittest

from node import Case, free_port, http, need, prometheus3, promtool3, query_json, wait_for

SECONDS = int(os.environ.get("E2E_SECONDS", "60"))

# What node_exporter's dashboards and people ask.
QUERIES = [
    "up",
    "node_load1",
    'sum by (mode) (rate(node_cpu_seconds_total[30s]))',
    '100 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[30s])) * 100',
    "node_memory_MemTotal_bytes - node_memory_MemFree_bytes - node_memory_Buffers_bytes",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    'sum(rate(node_disk_read_bytes_total[1m])) by (device)',
    'rate(node_network_receive_bytes_total{device!="lo"}[30s])',
    "irate(node_context_switches_total[1m])",
    'topk(3, node_filesystem_size_bytes)',
    'node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"} / on (instance, device, mountpoint, fstype) node_filesystem_size_bytes',
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[1m])))",
    "increase(prometheus_tsdb_head_samples_appended_total[1m])",
    "count by (job) ({__name__=~\".+\"})",
    "max_over_time(node_load1[1m]) - min_over_time(node_load1[1m])",
    "avg_over_time(node_memory_MemFree_bytes[1m])",
    "stddev_over_time(node_load1[1m])",
    'label_replace(up, "host", "$1", "instance", "([^:]+):.*")',
    "sum(rate(node_cpu_seconds_total[30s])) by (cpu) > bool 0.5",
    "max_over_time(rate(node_context_switches_total[15s])[1m:5s])",
    "quantile(0.5, rate(node_interrupts_total[30s])) or vector(0)",
    "count(node_cpu_seconds_total) by (mode) unless on (mode) (node_cpu_seconds_total{mode='idle'} * 0)",
    "deriv(node_memory_MemFree_bytes[1m])",
    "sort_desc(count by (__name__) ({job=\"node\"})) > 5",
    "time() - node_boot_time_seconds",
    "changes(node_load1[1m]) + on (instance) group_left (release) node_uname_info",
]


class RealPrometheus(Case):
    maxDiff = None

    def start_all(self):
        exporter_port, prom_port = free_port(), free_port()
        self.node_ = self.node()
        self.node_.start()
        self.spawn([need("prometheus-node-exporter", "Debian package"), f"--web.listen-address=127.0.0.1:{exporter_port}"], "exporter")
        config = os.path.join(self.folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - {{job_name: node, static_configs: [{{targets: ["127.0.0.1:{exporter_port}"]}}]}}
  - {{job_name: prometheus, static_configs: [{{targets: ["127.0.0.1:{prom_port}"]}}]}}
  - {{job_name: gone, static_configs: [{{targets: ["127.0.0.1:1"]}}]}}
remote_write:
  - url: {self.node_.url}/api/v1/push
    queue_config: {{min_backoff: 100ms, max_backoff: 500ms, batch_send_deadline: 500ms}}
""")
        self.prom_dir = os.path.join(self.folder, "prom")
        self.spawn([prometheus3(), f"--config.file={config}", f"--storage.tsdb.path={self.prom_dir}",
                    f"--web.listen-address=127.0.0.1:{prom_port}"], "prometheus")
        self.prom = f"http://127.0.0.1:{prom_port}/api/v1"
        wait_for("prometheus", lambda: http(f"http://127.0.0.1:{prom_port}/-/ready")[0] == 200)

    def caught_up(self, t):
        """Pallium holds as many samples of the last minute up to t as Prometheus does; queues deliver in order."""
        def count(api):
            body = query_json(api + "/query", {"query": '{job=~".+"}[1m]', "time": t})
            return sum(len(s["values"]) for s in body["data"]["result"]) if "data" in body else 0
        want = count(self.prom)
        return want > 0 and count(self.node_.api) == want

    def compare(self, path, params):
        want = query_json(self.prom + path, params)
        got = query_json(self.node_.api + path, params)
        self.assertEqual(want["status"], "success", (params, want))
        self.assertIn("data", got, (path, params, got))
        ordered = path == "/query" and params["query"].startswith(("sort", "topk"))
        for body in (want, got):
            # Prometheus answers instant vectors in the order in which its head met the series, which no two servers share.
            # sort and topk order by value: elements of equal value keep that order.
            series = body["data"]["result"]
            values = [s.get("value") for s in series]
            series.sort(key=lambda s: (values.index(s.get("value")) if ordered else 0, json.dumps(s["metric"], sort_keys=True)))
        self.assertEqual(got["data"], want["data"], (path, params))
        self.assertEqual(got.get("warnings", []), want.get("warnings", []), params)
        return len(want["data"]["result"])

    def test_equal_answers_while_pallium_is_killed(self):
        self.start_all()
        start = time.time()
        kills = [start + SECONDS * f for f in (0.3, 0.55, 0.8)]
        answered = asked = 0
        time.sleep(10)
        while time.time() < start + SECONDS:
            if kills and time.time() > kills[0]:
                kills.pop(0)
                self.node_.kill()
                self.node_.start()
            t = int(time.time()) - 3
            wait_for("pallium has what prometheus has", lambda: self.caught_up(t), 60)
            for q in QUERIES:
                asked += 2
                answered += self.compare("/query", {"query": q, "time": t}) > 0
                self.compare("/query_range", {"query": q, "start": t - 30, "end": t, "step": 3})
        self.assertFalse(kills)
        self.assertGreater(answered, asked // 2 * 0.7, "too many of the queries have empty answers to prove anything")
        for path, params in (("/labels", {}), ("/label/mode/values", {}), ("/series", {"match[]": "node_load1"})):
            want = query_json(self.prom + path, params) if path != "/label/mode/values" else json.loads(http(self.prom + path)[2])
            got = query_json(self.node_.api + path, params) if path != "/label/mode/values" else json.loads(http(self.node_.api + path)[2])
            self.assertEqual(got["data"], want["data"], path)
        self.every_sample(int(time.time()) - 3)

    def every_sample(self, t):
        """All samples of all series up to t, bit for bit, by range selectors of both."""
        wait_for("pallium has what prometheus has", lambda: self.caught_up(t), 60)
        samples = 0
        for job in ("node", "prometheus", "gone"):
            params = {"query": f'{{job="{job}"}}[2h]', "time": t}
            want = query_json(self.prom + "/query", params)["data"]
            got = query_json(self.node_.api + "/query", params)["data"]
            key = lambda s: json.dumps(s["metric"], sort_keys=True)
            want, got = sorted(want["result"], key=key), sorted(got["result"], key=key)
            self.assertEqual(len(want), len(got))
            for a, b in zip(want, got):
                self.assertEqual(a, b)
                samples += len(a["values"])
        print(f"{samples} samples equal", flush=True)
        self.assertGreater(samples, 10_000)


class Formats(Case):
    def test_prometheus_opens_pallium_folder_and_back(self):
        """Our WAL is read by Prometheus, Prometheus's by us; promtool finds our block clean."""
        n = self.node("-blocks-storage.tsdb.block-ranges-period=2h").start()
        t0 = (int(time.time()) // 7200 - 4) * 7200 * 1000
        count = 0
        for k in range(0, 3 * 240 + 100):
            series = [({"__name__": "m", "i": str(i)}, [(t0 + k * 30_000, k * i / 3)]) for i in range(20)]
            self.assertEqual(n.push(series)[0], 200)
            count += 20
        http(n.url + "/ingester/flush?wait=true", method="POST", data=b"")
        self.assertEqual(n.push([({"__name__": "later"}, [(int(time.time() * 1000), 7.0)])])[0], 200)
        want = n.query("sum(sum_over_time(m[24h]))", t=time.time())["data"]["result"][0]["value"][1]
        n.stop()
        ours = os.path.join(self.folder, "tsdb", "fake")
        tool = promtool3()
        dump = subprocess.run([tool, "tsdb", "dump", "--match", '{__name__="m"}', ours], capture_output=True, text=True)
        self.assertEqual(dump.returncode, 0, dump.stderr)
        dump = dump.stdout
        self.assertEqual(dump.count("\n"), count)
        blocks = [d for d in os.listdir(ours) if len(d) == 26]
        self.assertGreaterEqual(len(blocks), 2)
        for b in blocks:
            out = subprocess.run([tool, "tsdb", "analyze", ours, b], capture_output=True, text=True, check=True)
            self.assertIn("Block ID: " + b, out.stdout)
        # a real Prometheus on our folder
        port = free_port()
        config = os.path.join(self.folder, "empty.yml")
        open(config, "w", encoding="utf-8").close()
        p = self.spawn([prometheus3(), f"--config.file={config}", f"--storage.tsdb.path={ours}",
                        "--storage.tsdb.retention.time=10y", f"--web.listen-address=127.0.0.1:{port}"], "prom")
        api = f"http://127.0.0.1:{port}/api/v1"
        wait_for("prometheus", lambda: http(f"http://127.0.0.1:{port}/-/ready")[0] == 200)
        r = query_json(api + "/query", {"query": "sum(sum_over_time(m[24h]))", "time": time.time()})
        self.assertEqual(r["data"]["result"][0]["value"][1], want)
        self.assertEqual(query_json(api + "/query", {"query": "later"})["data"]["result"][0]["value"][1], "7")
        p.stop()
        # and Pallium on the folder that Prometheus has now written to
        n.start()
        r = n.query("sum(sum_over_time(m[24h]))", t=time.time())
        self.assertEqual(r["data"]["result"][0]["value"][1], want)
        self.assertEqual(n.query("later")["data"]["result"][0]["value"][1], "7")


if __name__ == "__main__":
    unittest.main()
