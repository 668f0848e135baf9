"""Native histograms: a real Prometheus scrapes itself and writes them on to Pallium; both answer the same, also after Pallium was
killed; then the real one opens what Pallium stored, from the log alone and as a block."""
import json
import os
import time
import unittest

from node import Case, free_port, http, prometheus3, query_json, wait_for

SECONDS = int(os.environ.get("E2E_HISTOGRAM_SECONDS", "15"))
METRIC = "prometheus_http_request_duration_seconds"
QUERIES = [
    METRIC,
    f"{METRIC}[8s]",
    f"histogram_count({METRIC})",
    f"histogram_sum({METRIC})",
    f"histogram_avg({METRIC})",
    f"histogram_quantile(0.9, rate({METRIC}[10s]))",
    f"histogram_fraction(0, 0.01, {METRIC})",
    f"sum(rate({METRIC}[10s]))",
    f"avg by (handler) (increase({METRIC}[8s]))",
    f"{METRIC} * 2 + {METRIC}",
    f"resets({METRIC}[10s])",
    f"changes({METRIC}[10s])",
    "increase(prometheus_tsdb_compaction_duration_seconds[8s])",
    f'count_over_time({{__name__=~"{METRIC}|prometheus_tsdb_compaction_duration_seconds"}}[10s])',
]


def result(answer):
    """Comparable, whatever the order of series: counts and sums stay the texts they are."""
    rows = answer.get("data", {}).get("result", [])
    return answer["status"], sorted(json.dumps(r, sort_keys=True) for r in rows)


class Histograms(Case):
    maxDiff = None

    def prometheus(self, path, port, remote=""):
        config = os.path.join(self.folder, f"prometheus-{port}.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("global: {scrape_interval: 1s, scrape_native_histograms: true}\n" + remote)
        p = self.spawn([prometheus3(), f"--config.file={config}", f"--storage.tsdb.path={path}",
                        "--storage.tsdb.retention.time=100y",
                        f"--web.listen-address=127.0.0.1:{port}"], f"prometheus-{port}")
        url = f"http://127.0.0.1:{port}"
        wait_for("prometheus ready", lambda: http(url + "/-/ready", timeout=5)[0] == 200, 60)
        return p, url + "/api/v1"

    def compare(self, theirs, ours, t, queries=tuple(QUERIES)):
        for q in queries:
            with self.subTest(query=q):
                a = result(query_json(theirs + "/query", dict(query=q, time=t)))
                self.assertEqual(a[0], "success")
                self.assertEqual(result(query_json(ours + "/query", dict(query=q, time=t))), a)

    def test_from_scrape_to_block(self):
        port = free_port()
        node = self.node("-blocks-storage.tsdb.enable-native-histograms=true")
        node.start()
        p, theirs = self.prometheus(os.path.join(self.folder, "theirs"), port, f"""
scrape_configs:
  - {{job_name: self, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
remote_write:
  - {{url: "{node.url}/api/v1/push", send_native_histograms: true, queue_config: {{batch_send_deadline: 500ms}}}}
""")
        for _ in range(SECONDS):
            query_json(theirs + "/query", dict(query="up"))  # so that there is something to observe
            time.sleep(1)
        t = int(time.time()) - 2
        wait_for("all samples", lambda: result(node.query("count(up[8s])", t)) and
                 result(node.query(f"histogram_count({METRIC})", t)) == result(query_json(
                     theirs + "/query", dict(query=f"histogram_count({METRIC})", time=t))), 20)
        self.assertTrue(result(node.query(METRIC, t))[1])
        self.compare(theirs, node.api, t)
        node.kill()
        node.start()
        self.compare(theirs, node.api, t)
        p.stop()
        mine = {q: result(node.query(q, t)) for q in QUERIES}
        node.stop()
        # The real one on our log, then on the block it makes of it.
        reader, url = self.prometheus(os.path.join(self.folder, "tsdb", "fake"), free_port())
        for q in QUERIES:
            with self.subTest(reader=q):
                self.assertEqual(result(query_json(url + "/query", dict(query=q, time=t))), mine[q])
        reader.stop()
        log = reader.log_text()
        for word in ("orrupt", "nknown series", "level=ERROR"):
            self.assertNotIn(word, log)
        # And we on what it left.
        node.start()
        for q in QUERIES:
            self.assertEqual(result(node.query(q, t)), mine[q])


if __name__ == "__main__":
    unittest.main()
