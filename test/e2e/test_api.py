"""The query API of the running binary beside a real Prometheus 3 that was given the same samples: every answer, byte for byte."""
import gzip
import json
import math
import os
import subprocess
import threading
import time
import unittest
import urllib.parse

from node import PALLIUMCTL, Case, free_port, http, prometheus3, query_json, snappy, wait_for, write_request


def data(end_ms):
    """Counters, gauges, classic histograms, odd texts and odd numbers; 40 samples, 15 s apart, up to end_ms."""
    series = []

    def add(labels, f):
        series.append((dict(sorted(labels.items())), [(end_ms - (39 - i) * 15000, f(i)) for i in range(40)]))

    for i, job in enumerate(["api", "db", "web"]):
        for inst in range(3):
            base = {"job": job, "instance": f"host-{inst}:9100"}
            add({"__name__": "requests_total", **base}, lambda k, i=i, inst=inst: float((k * (7 + i * 3 + inst)) % (400 + inst)))
            add({"__name__": "temperature_celsius", **base}, lambda k, i=i, inst=inst: 20 + 5 * math.sin(k / 5 + i) + inst / 7)
            add({"__name__": "up", **base}, lambda k, inst=inst: float(inst != 1 or k % 9 != 0))
        for le, share in (("0.1", 1), ("0.5", 2), ("1", 3), ("+Inf", 4)):
            add({"__name__": "latency_seconds_bucket", "job": job, "le": le}, lambda k, share=share, i=i: float(k * share * (i + 1)))
    odd = [math.nan, math.inf, -math.inf, -0.0, 1e21, 1e-7, -1.5e300, 5e-324, 0.1 + 0.2, 123456789012345680000.0, 1e6, 100000.0]
    add({"__name__": "odd", "kind": "numbers"}, lambda k: odd[k % len(odd)])
    for i, text in enumerate(["a<b>&c", 'quote " and \\', "tab\tline\nbell\x07", "\u00e9\u4e16\u754c\U0001f600", "sep\u2028\u2029", "del\x7f"]):
        add({"__name__": "odd", "kind": "text", "text": text}, lambda k, i=i: float(i))
    # In label order: Prometheus adds floats in the order in which series came, Pallium in the order of their labels.
    return sorted(series, key=lambda s: [(k.encode(), v.encode()) for k, v in s[0].items()])


def requests(end):
    """(path, parameters) of what is asked of both."""
    start = end - 585
    out = []
    instant = [
        "up", "up == 0", 'up{job=~"a.*|d.*"}', "sum by (job) (rate(requests_total[2m]))", "topk(2, requests_total)", "sort_desc(requests_total)",
        "requests_total / on (job, instance) group_left temperature_celsius", "histogram_quantile(0.9, sum by (job, le) (rate(latency_seconds_bucket[5m])))",
        "odd", 'odd{kind="text"}', "odd[10m]", "requests_total offset 5m", f"requests_total @ {end - 100}", "avg_over_time(temperature_celsius[5m:1m])",
        "1", "1e21", "1e-7", "-0", "NaN", "Inf", '"text <&> \u2028"', "vector(1e21)", "time()", "scalar(up)", "vector(scalar(sum(up)))", "count_values(\"v\", up)",
        "absent(nothing)", "nothing", "up and on (job) (up == 1)", "up unless up == 1", "label_replace(up, \"x\", \"$1\", \"job\", \"(.).*\")",
        "quantile by (job) (0.5, temperature_celsius)", "stddev(temperature_celsius)", "bottomk by (job) (1, temperature_celsius)", "group(up)",
        "sum without (instance) (requests_total) > bool 100", "-temperature_celsius ^ 2", "temperature_celsius % 3", "atan2(1, 2)",
        "rate(temperature_celsius[5m])", "increase(requests_total[3m])", "irate(requests_total[1m])", "delta(temperature_celsius[5m])", "changes(up[10m])",
        "resets(requests_total[10m])", "max_over_time(requests_total[1m])", "day_of_week()", "minute(vector(1700000000))", "clamp(temperature_celsius, 20, 22)",
        "round(temperature_celsius, 0.1)", "count(count by (job) (up))",
    ]
    out += [("query", {"query": q, "time": end}) for q in instant]
    ranged = ["up", "sum by (job) (rate(requests_total[1m]))", "temperature_celsius > 22", "odd", "1", "time()", "vector(2) * 3", "topk(1, temperature_celsius)",
              "avg(temperature_celsius) by (job) - 20", "max_over_time(rate(requests_total[1m])[3m:30s])", "nothing", "up or vector(7)",
              "histogram_quantile(0.5, rate(latency_seconds_bucket[2m]))"]
    out += [("query_range", {"query": q, "start": start, "end": end, "step": s}) for q in ranged for s in (15, "1m", 37)]
    out += [("query_range", {"query": "up", "start": start + 0.25, "end": end, "step": 20.5}),
            ("query_range", {"query": "up", "start": start, "end": end, "step": 60, "limit": 2}),
            ("query", {"query": "up", "time": end, "limit": 3}),
            ("query", {"query": "up", "time": end - 200, "lookback_delta": "10s"}),
            ("query", {"query": "up", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))})]
    # what is wrong with a request
    out += [("query", {"query": q, "time": end}) for q in (
        "", "sum(", "up{", "rate(up)", "up[5m]]", "foo bar", "1 + ", "sum by job (up)", "up{job=~\"*\"}", "unknown_function(1)", "{}", "up == on () up[1m]",
        "label_replace(up, \"a-b\", \"\", \"job\", \"(\")", "up <", "'<&>'{")]
    out += [("query", {"query": "1", "time": "x"}), ("query", {"query": "1", "timeout": "x"}), ("query", {"query": "1", "lookback_delta": "x"}),
            ("query", {"query": "1", "limit": "-1"}), ("query", {"query": "1", "limit": "x"}), ("query", {}),
            ("query_range", {"query": "1"}), ("query_range", {"query": "1", "start": 1, "end": "x"}),
            ("query_range", {"query": "1", "start": 2, "end": 1, "step": 1}), ("query_range", {"query": "1", "start": 1, "end": 2, "step": 0}),
            ("query_range", {"query": "1", "start": 1, "end": 2, "step": "y"}), ("query_range", {"query": "1", "start": 1, "end": 2, "step": "1e30"}),
            ("query_range", {"query": "1", "start": 1, "end": 11002, "step": 1}), ("query_range", {"query": '"a"', "start": 1, "end": 2, "step": 1}),
            ("query_range", {"query": "up[1m]", "start": 1, "end": 2, "step": 1})]
    # labels and series
    when = {"start": start, "end": end}
    out += [("labels", when), ("labels", {}), ("labels", {"match[]": "odd", **when}), ("labels", {"match[]": ["up", 'odd{kind="text"}'], **when}),
            ("labels", {"limit": 2, **when}), ("labels", {"start": "x"}), ("labels", {"match[]": "up{"}), ("labels", {"match[]": '{a=~".*"}'}),
            ("labels", {"limit": "x"}), ("labels", {"start": 2, "end": 1}),
            ("label/job/values", when), ("label/text/values", when), ("label/__name__/values", {"match[]": '{job="db"}', **when}),
            ("label/none/values", when), ("label/U__jo_62_/values", when), ("label/%ff/values", when), ("label/le/values", {"limit": 1, **when}),
            ("series", {"match[]": "odd", **when}), ("series", {"match[]": ["up", 'requests_total{job="web"}'], **when}), ("series", {}),
            ("series", {"match[]": "up", "limit": 1, **when}), ("series", {"match[]": "up{", **when}), ("series", {"match[]": "nothing", **when}),
            ("metadata", {"limit": "x"}), ("metadata", {"limit_per_metric": "x"}), ("query_exemplars", {"query": "up", **when}),
            ("query_exemplars", {"query": "up", "start": 3, "end": 1})]
    out += [(p, {"query": q}) for p in ("format_query",) for q in (
        "a<b", "sum by(job)(rate(requests_total{job=~\"a.*\",instance!=\"x\"}[5m:30s] offset 1h))/on(job)group_left(x)max(up)", "a<", '"<&>"')]
    return out


def comparable(query, answer):
    """Prometheus gives groups and joined series in the order of a Go map: vectors are compared without their order, unless the
    query is about order."""
    status, kind, body = answer
    if status == 200 and '"resultType":"vector"' in body and not query.startswith(("sort", "topk", "bottomk")):
        doc = json.loads(body)
        doc["data"]["result"].sort(key=lambda e: json.dumps(e["metric"], sort_keys=True))
        return status, kind, json.dumps(doc)
    return answer


GET_ONLY = ("label/", "metadata")


def ask(url, path, params):
    text = urllib.parse.urlencode(params, doseq=True)
    if path.startswith(GET_ONLY):
        status, head, body = http(f"{url}/{path}?{text}")
    else:
        status, head, body = http(f"{url}/{path}", text.encode())
    return status, head.get("Content-Type"), body.decode()


class BesidePrometheus(Case):
    def test_answers_are_equal(self):
        binary = prometheus3()
        n = self.node().start()
        port = free_port()
        config = os.path.join(self.folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("{}\n")
        self.spawn([binary, f"--config.file={config}", f"--storage.tsdb.path={self.folder}/prometheus",
                    f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"], "prometheus")
        peer = f"http://127.0.0.1:{port}"
        wait_for("prometheus ready", lambda: http(peer + "/-/ready")[0] == 200)
        end = int(time.time()) - 60
        series = data(end * 1000)
        status, _, body = n.push(series)
        self.assertEqual(200, status, body)
        status, _, body = http(peer + "/api/v1/write", snappy(write_request(series)),
                               {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
        self.assertEqual(204, status, body)
        different = []
        asked = requests(end)
        for path, params in asked:
            want = ask(peer + "/api/v1", path, params)
            got = ask(n.api, path, params)
            if path in ("query", "query_range"):
                # COMPAT: Cortex's handlers of these two write a semicolon where Prometheus has a colon.
                got = (got[0], got[1], got[2].replace('invalid parameter \\"', "\0").replace('\\"; ', '\\": ', 1 if "\0" in got[2].replace(
                    'invalid parameter \\"', "\0") else 0).replace("\0", 'invalid parameter \\"'))
            q = params.get("query", "")
            if got != want and comparable(q, got) != comparable(q, want):
                different.append(f"{path} {params}\n   want {want}\n   got  {got}")
        self.assertEqual([], different, f"{len(different)} of {len(asked)} answers differ:\n" + "\n".join(different)[:20000])


class Api(Case):
    def with_data(self, *flags):
        n = self.node(*flags).start()
        self.end = int(time.time()) - 60
        status, _, body = n.push(data(self.end * 1000), metadata=[(1, "requests_total", "Requests <seen>.", ""), (2, "up", "Is it?", "")])
        self.assertEqual(200, status, body)
        return n

    def test_metadata_and_status(self):
        n = self.with_data()
        self.assertEqual({"requests_total": [{"type": "counter", "help": "Requests <seen>.", "unit": ""}], "up": [{"type": "gauge", "help": "Is it?", "unit": ""}]},
                         query_get(n.api + "/metadata")["data"])
        self.assertEqual(["up"], list(query_get(n.api + "/metadata?metric=up")["data"]))
        head = query_get(n.api + "/status/tsdb")["data"]
        self.assertGreaterEqual(head["headStats"]["numSeries"], 46)
        self.assertIn({"name": "latency_seconds_bucket", "value": 12}, head["seriesCountByMetricName"])
        self.assertIn("version", query_get(n.api + "/status/buildinfo")["data"])
        self.assertIn("target", query_get(n.api + "/status/config")["data"]["yaml"])
        self.assertEqual(404, http(n.api + "/rules")[0])
        self.assertEqual(46, query_get(n.url + "/api/v1/user_stats")["numSeries"])

    def test_legacy_prefix_answers_the_same(self):
        n = self.with_data()
        for path in (f"query?query=up&time={self.end}", "labels", "label/job/values", "series?match[]=up"):
            self.assertEqual(http(n.api + "/" + path)[2], http(n.url + "/api/prom/api/v1/" + path)[2], path)

    def test_methods_tenants_and_cors(self):
        n = self.node("-auth.enabled=true").start()
        self.assertEqual((401, b"no org id\n"), http(n.api + "/query?query=1")[::2])
        status, _, body = http(n.api + "/query?query=1", headers={"X-Scope-OrgID": "a/b"})
        self.assertEqual((400, b"tenant ID 'a/b' contains unsupported character '/'\n"), (status, body))
        tenant = {"X-Scope-OrgID": "t"}
        self.assertEqual(405, http(n.api + "/query?query=1", method="PUT", headers=tenant)[0])
        status, _, body = http(n.api + "/series", method="DELETE", headers=tenant)
        self.assertEqual((500, b'{"status":"error","errorType":"internal","error":"not implemented"}'), (status, body))
        status, head, _ = http(n.api + "/query?query=1", headers={"Origin": "http://grafana.example", **tenant})
        self.assertEqual("*", head["Access-Control-Allow-Origin"])
        status, head, _ = http(n.api + "/query", method="OPTIONS", headers={"Origin": "http://grafana.example"})
        self.assertEqual((204, "GET, POST, OPTIONS"), (status, head["Access-Control-Allow-Methods"]))

    def test_hostile_queries_leave_the_node_well(self):
        n = self.with_data()
        deep = "(" * 10000 + "1" + ")" * 10000
        cases = [("x" * ((1 << 20) + 1), 400), ("1+" * 300000 + "1", 400), (deep, 400), ("-" * 100000 + "1", 400), ("up{job=\"" + "a" * (1 << 20) + "\"}", 400),
                 ("sum(" * 5000 + "up" + ")" * 5000, 400), ("\0", 400), ("\xff", 400), ('{__name__=~"' + "(a|b)" * 1000 + '"}', (200, 400))]
        for q, want in cases:
            status, _, body = http(n.api + "/query", urllib.parse.urlencode({"query": q}).encode())
            self.assertIn(status, want if isinstance(want, tuple) else (want,), (q[:40], body[:300]))
            json.loads(body)
            self.assertEqual([], n.query("nothing")["data"]["result"])
        for t in ("9223372036854775.807", "-9223372036854775.808", "1e18", "292277025-08-18T07:12:54.999999999Z"):
            self.assertIn(http(n.api + "/query?" + urllib.parse.urlencode({"query": "rate(up[5m] offset 5m)", "time": t}))[0], (200, 400))
            self.assertIn(http(n.api + "/labels?" + urllib.parse.urlencode({"start": t, "end": t}))[0], (200, 400))
        status, _, body = http(n.api + "/query", b"query=" + b"a" * (11 << 20))
        self.assertEqual((413, b'{"status":"error","errorType":"bad_data","error":"http: request body too large"}'), (status, body))

    def test_limits_name_themselves(self):
        n = self.with_data("-querier.max-samples=100", "-store.max-query-length=1h", "-querier.max-fetched-series-per-query=10",
                           "-querier.max-subquery-steps=50")
        r = n.query_range("requests_total", self.end - 585, self.end, 15)
        self.assertEqual(("execution", "query processing would load too many samples into memory in query execution"), (r["errorType"], r["error"]))
        r = n.query_range("1", self.end - 7200, self.end, 60)
        self.assertEqual(("bad_data", "the query time range exceeds the limit (query length: 2h0m0s, limit: 1h0m0s)"), (r["errorType"], r["error"]))
        r = n.query('{__name__=~"u.*|o.*"}', self.end)
        self.assertEqual(("execution", "the query hit the max number of series limit (limit: 10 series)"), (r["errorType"], r["error"]))
        r = n.query("max_over_time(up[51m:1m])", self.end)
        self.assertEqual(("bad_data", "exceeded maximum resolution of 50 points per timeseries in subquery. Try increasing the step size of your subquery"),
                         (r["errorType"], r["error"]))
        self.assertEqual("success", n.query("up", self.end)["status"])

    def test_lookback_hides_what_is_older(self):
        n = self.with_data("-querier.max-query-lookback=5m")
        self.assertEqual([], n.query("up", self.end - 500)["data"]["result"])
        self.assertEqual(9, len(n.query("up", self.end)["data"]["result"]))
        self.assertEqual([], query_get(f"{n.api}/series?match[]=up&start={self.end - 580}&end={self.end - 500}")["data"])

    def test_memory_limit_is_an_answer(self):
        n = self.with_data("-querier.max-query-memory-bytes=1000000")
        r = n.query_range("temperature_celsius + 1 + requests_total", self.end - 585, self.end, "0.1")
        self.assertEqual("execution", r["errorType"], r)
        self.assertIn("-querier.max-query-memory-bytes", r["error"])
        self.assertEqual(9, len(n.query("up", self.end)["data"]["result"]))

    def test_a_client_that_leaves_stops_its_query(self):
        n = self.with_data()
        with self.assertRaises(OSError):
            http(n.api + "/query", urllib.parse.urlencode({"query": "sum_over_time(quantile_over_time(0.5, vector(1)[1h:1s])[2d:1s])", "timeout": "100"}).encode(), timeout=0.5)
        wait_for("no query running", lambda: n.metric("prometheus_engine_queries{") == 0, 5)

    def test_timeout_of_the_request(self):
        n = self.with_data()
        begin = time.time()
        r = n.query("sum_over_time(quantile_over_time(0.5, vector(1)[1h:1s])[2d:1s])", timeout="200ms")
        self.assertEqual(("timeout", "query timed out in expression evaluation"), (r["errorType"], r["error"]))
        self.assertLess(time.time() - begin, 5)

    def test_many_at_once(self):
        n = self.with_data()
        answers = []

        def work():
            for _ in range(20):
                answers.append(len(n.query("rate(requests_total[5m])", self.end)["data"]["result"]))
        threads = [threading.Thread(target=work) for _ in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([9] * 320, answers)

    def test_gzip(self):
        n = self.with_data()
        url = n.api + "/query_range?" + urllib.parse.urlencode({"query": "up", "start": self.end - 585, "end": self.end, "step": 15})
        plain = http(url)[2]
        status, head, packed = http(url, headers={"Accept-Encoding": "gzip"})
        self.assertEqual((200, "gzip"), (status, head["Content-Encoding"]))
        self.assertEqual(plain, gzip.decompress(packed))
        self.assertLess(len(packed), len(plain) / 2)


def query_get(url):
    status, _, body = http(url)
    if status != 200:
        raise AssertionError(f"{url}: {status} {body[:500]}")
    return json.loads(body)


class Ctl(Case):
    def run_ctl(self, *args):
        p = subprocess.run([PALLIUMCTL, "query", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        return p.returncode, p.stdout, p.stderr

    def setUp(self):
        super().setUp()
        if not os.path.isfile(PALLIUMCTL):
            self.skipTest(f"{PALLIUMCTL} is missing: make build")
        self.n = self.node("-auth.enabled=true").start()
        self.end = int(time.time()) - 60
        self.n.push(data(self.end * 1000), headers={"X-Scope-OrgID": "t"})
        self.common = ("--url", self.n.url + "/prometheus", "--tenant", "t")

    def test_tables(self):
        code, out, err = self.run_ctl("sum by (job) (up)", *self.common, "--time", str(self.end))
        self.assertEqual((0, ""), (code, err))
        self.assertEqual(["SERIES       VALUE", '{job="api"}  3', '{job="db"}   3', '{job="web"}  3'], out.splitlines())
        code, out, err = self.run_ctl("sum(up)", *self.common, "--start", str(self.end - 30), "--end", str(self.end), "--step", "15s")
        stamp = lambda t: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
        self.assertEqual(["{}"] + [f"  {stamp(self.end - d):<25}  9" for d in (30, 15, 0)], out.splitlines())
        self.assertEqual((0, "2\n", ""), self.run_ctl("1 + 1", *self.common))
        self.assertEqual((0, "", "no series match\n"), self.run_ctl("nothing", *self.common))

    def test_json_is_the_servers_answer(self):
        code, out, _ = self.run_ctl("up", *self.common, "--time", str(self.end), "--output", "json")
        self.assertEqual(0, code)
        self.assertEqual(json.loads(out), self.n.query("up", self.end, headers={"X-Scope-OrgID": "t"}))

    def test_errors(self):
        code, out, err = self.run_ctl("sum(", *self.common)
        self.assertEqual((1, ""), (code, out))
        self.assertIn("bad_data: invalid parameter \"query\"; 1:5: parse error: unclosed left parenthesis", err)
        code, _, err = self.run_ctl("up", "--url", self.n.url + "/prometheus")
        self.assertEqual(1, code)
        self.assertIn("no org id", err)
        self.assertIn("--tenant ID", err)
        code, _, err = self.run_ctl("up", "--url", self.n.url, "--tenant", "t")
        self.assertEqual(1, code)
        self.assertIn("under /prometheus", err)
        code, _, err = self.run_ctl("-up")
        self.assertEqual(2, code)
        self.assertIn("palliumctl query -- '-up'", err)
        self.assertIn("RFC 3339", self.run_ctl("up", "--time", "yesterday")[2])
        self.assertIn("--tenant needs a value: --tenant ID", self.run_ctl("up", "--tenant")[2])
        code, _, err = self.run_ctl("up", "--url", "http://127.0.0.1:1")
        self.assertEqual(1, code)
        for args in ((), ("up", "down"), ("up", "--end", "5"), ("up", "--output", "xml"), ("up", "--nope"), ("up", "--start", "5", "--end", "1"),
                     ("up", "--time", "5", "--start", "1"), ("up", "--time", "yesterday")):
            self.assertEqual(2, self.run_ctl(*args)[0], args)

    def run_any(self, *args):
        p = subprocess.run([PALLIUMCTL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        return p.returncode, p.stdout, p.stderr

    def test_groups_list_their_commands(self):
        for group, command in (("config", "check"), ("tsdb", "verify"), ("promql", "fmt")):
            code, out, _ = self.run_any(group, "--help")
            self.assertEqual(0, code)
            self.assertIn(f"{group} {command}", out)
            code, _, err = self.run_any(group)
            self.assertEqual(2, code)
            self.assertIn(f"{group} {command}", err)

    def test_load_finds_its_way(self):
        few = ("load", "--series", "10", "--passes", "1", "--quiet")
        for url in (self.n.url, self.n.url + "/", self.n.url + "/prometheus", self.n.url + "/api/v1/push"):
            code, out, err = self.run_any(*few, "--url", url, "--tenant", "t")
            self.assertEqual(0, code, (url, out, err))
        code, out, _ = self.run_any(*few, "--url", self.n.url)
        self.assertEqual(1, code)
        self.assertIn("--tenant ID", out)
        code, out, _ = self.run_any(*few, "--url", self.n.url, "--path", "/api/v1/write", "--tenant", "t")
        self.assertEqual(1, code)
        self.assertIn("server's root", out)
        code, _, err = self.run_any("load", "--series", "10", "--duration", "2500ms", "--interval", "100ms", "--tenant", "t",
                                    "--url", self.n.url)
        self.assertEqual(0, code)
        self.assertIn(" s of 2 s  pass ", err)
        self.assertNotIn("/9223372036854775807", err)

    def test_verify_passes_over_files(self):
        self.n.stop()
        folder = os.path.join(self.n.folder, "tsdb")
        with open(os.path.join(folder, "lock"), "w", encoding="utf-8"):
            pass
        code, _, err = self.run_any("tsdb", "verify", *(os.path.join(folder, e) for e in sorted(os.listdir(folder))))
        self.assertEqual(0, code, err)
        code, _, err = self.run_any("tsdb", "verify", folder)
        self.assertEqual(1, code)
        self.assertIn("name a tenant's folder", err)

    def test_config_check_knows_a_runtime_file(self):
        path = os.path.join(self.folder, "r.yaml")

        def check(text, *flags):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            return self.run_any("config", "check", *flags, path)[:2]
        self.assertIn("--runtime", check("overrides:\n  a: {ingestion_rate: 5}\n")[1])
        self.assertEqual(check("overrides:\n  a: {ingestion_rate: 5}\n", "--runtime")[0], 0)
        code, out = check("overrides:\n  a: {ingestion_rat: 5}\n", "--runtime")
        self.assertEqual(code, 1)
        self.assertIn("line 2: field ingestion_rat not found", out)
        self.assertIn("a tab? YAML indents with spaces", check("server:\n\thttp_listen_port: 1\n")[1])
        self.assertIn("ships no blocks", check("target: all\n")[1])
        self.assertIn("nothing acts on ruler.enable_sharding yet", check("ruler:\n  enable_sharding: false\n")[1])
        self.assertIn("memberlist.node_name has no effect on a single node", check("memberlist:\n  node_name: x\n")[1])

    def test_help(self):
        code, out, _ = self.run_ctl("--help")
        self.assertEqual(0, code)
        for word in ("--url", "--tenant", "--start", "--output", "Examples:"):
            self.assertIn(word, out)


if __name__ == "__main__":
    unittest.main()
