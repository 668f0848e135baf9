"""What the running binary refuses, when, and how it says so: queues of queries, clients that leave, memory, bodies over the limit."""
import json
import os
import socket
import threading
import time
import unittest
import urllib.parse

from node import Case, http, uvarint, wait_for

STEP_MS = 15000
# Some twenty seconds of work on a fast machine: sorting wide windows over and over.
HEAVY = " + ".join(f"sum(quantile_over_time(0.{i}, heavy[5h]))" for i in range(1, 10))


def now_ms():
    return int(time.time() * 1000)


def fill(node, series=200, hours=6, headers=None, name="heavy"):
    """Returns the first timestamp. In order of time: the head takes no series that begins long before its newest sample."""
    begin = now_ms() - hours * 3600 * 1000
    for h in range(hours):
        part = range(h * 240, h * 240 + 240)
        status, _, body = node.push([({"__name__": name, "i": str(i)}, [(begin + k * STEP_MS, float((i * k) % 97)) for k in part])
                                     for i in range(series)], headers=headers)
        assert status == 200, body
    return begin


class Sent:
    """A query that was sent and not yet answered."""

    def __init__(self, node, query, begin_ms, headers=None, **more):
        params = {"query": query, "start": begin_ms / 1000, "end": begin_ms / 1000 + 21600, "step": 2, **more}
        body = urllib.parse.urlencode(params).encode()
        head = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
        self.s = socket.create_connection(("127.0.0.1", node.port))
        self.s.sendall(f"POST /prometheus/api/v1/query_range HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}"
                       f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def answer(self, seconds=60):
        """(status, parsed body), or None when none came in time."""
        self.s.settimeout(seconds)
        got = b""
        try:
            while part := self.s.recv(1 << 16):
                got += part
        except TimeoutError:
            return None
        self.s.close()
        head, _, body = got.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def leave(self):
        self.s.close()


class Queries(Case):
    def busy(self, node, begin, count=1, headers=None):
        """Heavy queries that hold all places; they leave at the end of the test at the latest."""
        out = [Sent(node, HEAVY, begin, headers) for _ in range(count)]
        for q in out:
            self.addCleanup(q.leave)
        wait_for("the heavy queries run", lambda: node.metric("prometheus_engine_queries") == count)
        return out

    def test_a_client_that_leaves_stops_its_query(self):
        n = self.node().start()
        begin = fill(n)
        for query in (HEAVY, "sum(max_over_time(sum_over_time(heavy[1h])[6h:5s]))"):
            q = Sent(n, query, begin)
            wait_for("the query runs", lambda: n.metric("prometheus_engine_queries") == 1)
            self.assertIsNone(q.answer(0.5))
            left = time.time()
            q.leave()
            wait_for("it stops", lambda: n.metric("prometheus_engine_queries") == 0, 5)
            self.assertLess(time.time() - left, 0.5, query)  # 0.1 s is what is promised; this is a shared machine

    def test_tenants_wait_apart(self):
        n = self.node("-auth.enabled=true", "-querier.max-concurrent=1", "-frontend.max-outstanding-requests-per-tenant=3").start()
        a, b = {"X-Scope-OrgID": "a"}, {"X-Scope-OrgID": "b"}
        begin = fill(n, headers=a)
        fill(n, series=1, headers=b, name="light")
        heavy = self.busy(n, begin, headers=a)[0]
        waiting = [Sent(n, "sum(heavy)", begin, a) for _ in range(2)]
        leaver = Sent(n, "sum(heavy)", begin, a)
        wait_for("three wait", lambda: n.metric("cortex_query_frontend_queue_length") == 3)
        status, body = Sent(n, "sum(heavy)", begin, a).answer(10)
        self.assertEqual((status, body["errorType"], body["error"]), (429, "server_error", "too many outstanding requests"))
        self.assertEqual(n.metric("cortex_query_frontend_discarded_requests_total"), 1)
        leaver.leave()
        wait_for("the leaver is gone", lambda: n.metric("cortex_query_frontend_queue_length") == 2)
        # The time in the queue counts, with the timeout that the client asked for too.
        late = time.time()
        status, body = Sent(n, "light", begin, b, timeout="300ms").answer(10)
        self.assertEqual((status, body["errorType"], body["error"]), (503, "timeout", "query timed out in query queue"))
        self.assertLess(time.time() - late, 5)
        other = Sent(n, "sum(light)", begin, b)
        wait_for("all wait", lambda: n.metric("cortex_query_frontend_queue_length") == 3)
        heavy.leave()
        self.assertEqual(other.answer()[0], 200)
        for q in waiting:
            self.assertEqual(q.answer()[0], 200)

    def test_into_the_future(self):
        at = now_ms() + 1800 * 1000
        for flags, seen in (([], False), (["-querier.max-query-into-future=0s"], True)):
            n = self.node("-validation.create-grace-period=2h", *flags).start()
            if not seen:
                self.assertEqual(n.push([({"__name__": "ahead"}, [(at, 1.0)]), ({"__name__": "soon"}, [(now_ms() + 300 * 1000, 1.0)])])[0], 200)
            self.assertEqual(bool(n.query("ahead", at / 1000 + 1)["data"]["result"]), seen, flags)
            self.assertTrue(n.query("soon", time.time() + 330)["data"]["result"])
            self.assertEqual(bool(n.query_range("ahead", at / 1000 - 60, at / 1000 + 60, 15)["data"]["result"]), seen)
            names = json.loads(http(f"{n.api}/label/__name__/values?start={at / 1000 - 60}&end={at / 1000 + 60}")[2])
            self.assertEqual("ahead" in names["data"], seen)
            n.stop()

    def test_flags_and_config_are_shown_without_secrets(self):
        n = self.node("-blocks-storage.s3.secret-access-key=geheim").start()
        flags = json.loads(http(n.api + "/status/flags")[2])["data"]
        self.assertEqual(flags["server.http-listen-port"], str(n.port))
        self.assertEqual(flags["querier.timeout"], "2m0s")
        self.assertEqual(flags["blocks-storage.s3.secret-access-key"], "********")
        self.assertEqual(flags["blocks-storage.swift.password"], "")
        self.assertGreater(len(flags), 1600)
        self.assertEqual(list(flags), sorted(flags))
        yaml = json.loads(http(n.api + "/status/config")[2])["data"]["yaml"]
        self.assertIn(f"http_listen_port: {n.port}", yaml)
        self.assertNotIn("geheim", yaml + json.dumps(flags))


class Memory(Case):
    def used(self):
        n = self.node().start()
        out = int(n.metric("pallium_memory_used_bytes"))
        self.assertGreater(n.metric("pallium_memory_limit_bytes"), 64 << 20)  # by default what machine and group allow
        n.stop()
        return out

    def refused(self, n, what):
        for line in http(n.url + "/metrics")[2].decode().splitlines():
            if line.startswith(f'pallium_memory_refused_total{{what="{what}"}}'):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError("no counter for " + what)

    def test_new_series_then_all_pushes(self):
        limit = self.used() + (24 << 20)
        n = self.node(f"-memory.limit={limit}").start()
        self.assertEqual(n.metric("pallium_memory_limit_bytes"), limit)
        t = now_ms()
        known = [({"__name__": "known", "i": str(i)}, [(t, 1.0)]) for i in range(100)]
        self.assertEqual(n.push(known)[0], 200)
        for batch in range(300):
            status, _, body = n.push([({"__name__": "fresh", "batch": str(batch), "i": str(i), "filler": "x" * 200}, [(t, 1.0)])
                                      for i in range(1000)])
            if status != 200:
                break
        self.assertEqual(status, 503, body)
        self.assertIn(b"-memory.limit", body)
        self.assertGreater(self.refused(n, "series") + self.refused(n, "push"), 0)
        wait_for("a sample of the memory", lambda: n.metric("pallium_memory_used_bytes") > limit, 5)
        if n.metric("pallium_memory_used_bytes") < limit * 1.1:
            known = [(labels, [(t + 1, 2.0)]) for labels, _ in known]
            self.assertEqual(n.push(known)[0], 200, "known series go on")
        status, _, body = http(n.api + "/query?query=1")
        self.assertEqual((status, json.loads(body)["errorType"]), (503, "unavailable"))
        self.assertIn(b"-memory.limit", body)
        self.assertGreater(self.refused(n, "query"), 0)
        wait_for("the log says it", lambda: "memory is short" in n.log(), 5)
        self.assertEqual(http(n.url + "/ready")[0], 200)
        n.stop()
        # A start is not refused, whatever is on the disk; and with room everything works again.
        n = self.node(port=n.port).start()
        self.assertEqual(n.push([({"__name__": "new"}, [(now_ms(), 1.0)])])[0], 200)
        self.assertEqual(n.query("count(known)")["data"]["result"][0]["value"][1], "100")

    def test_a_query_that_grows_is_stopped(self):
        base = self.used()
        n = self.node(f"-memory.limit={base + (120 << 20)}", "-querier.max-query-memory-bytes=4000000000", "-querier.max-samples=1000000000").start()
        begin = fill(n)
        answers = []

        def ask():
            answers.append(Sent(n, 'label_replace(heavy, "x", "$1", "i", "(.*)") or heavy * 2', begin).answer())
        threads = [threading.Thread(target=ask) for _ in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(answers), 12)
        refused = [body["error"] for status, body in answers if status == 503]
        self.assertTrue(refused)
        for why in refused:
            self.assertIn("-memory.limit", why)
        self.assertTrue(all(status in (200, 503) for status, _ in answers), [status for status, _ in answers])
        wait_for("a query works again", lambda: http(n.api + "/query?query=1")[0] == 200, 20)


class Bodies(Case):
    def test_a_plain_client_reads_why_its_body_was_too_large(self):
        n = self.node().start()
        body = b"\0" * (101 << 20)
        for path in ("/api/v1/push", "/prometheus/api/v1/query"):
            for _ in range(3):
                status, _, why = http(n.url + path, body, {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
                self.assertIn(status, (400, 413), why)
        self.assertEqual(n.push([({"__name__": "up"}, [(now_ms(), 1.0)])])[0], 200)

    def test_few_bytes_that_become_many_series(self):
        """Five megabytes that decode to a hundred: 50 million series without labels, then 25 million with an empty one."""
        n = self.node(f"-memory.limit={512 << 20}").start()
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        too_big = ((400, b"needs more memory to decode than its limit"), (503, b"-memory.limit"))  # whichever comes first
        for unit, wanted in ((b"\x0a\x00", ((400, b"empty labels found"),)), (b"\x0a\x02\x0a\x00", too_big)):
            size = 100 << 20
            first = unit * (60 // len(unit))
            body = uvarint(size) + bytes([(len(first) - 1) << 2]) + first
            copies, rest = divmod(size - len(first), 64)
            body += bytes([63 << 2 | 2, len(unit), 0]) * copies + (bytes([(rest - 1) << 2 | 2, len(unit), 0]) if rest else b"")
            self.assertLess(len(body), 6 << 20)
            status, _, text = http(n.url + "/api/v1/push", body, headers)
            self.assertTrue(any(status == code and words in text for code, words in wanted), (status, text))
        with open(f"/proc/{n.process.p.pid}/status", encoding="utf-8") as f:
            peak = int(f.read().split("VmHWM:")[1].split()[0]) << 10
        self.assertLess(peak, 800 << 20)
        self.assertEqual(n.push([({"__name__": "m"}, [(now_ms(), 1.0)])])[0], 200)

    def test_nothing_valid_makes_no_store(self):
        n = self.node("-auth.enabled=true").start()
        status, _, body = n.push([({"job": "without a name"}, [(now_ms(), 1.0)])], headers={"X-Scope-OrgID": "nobody"})
        self.assertEqual(status, 400, body)
        self.assertFalse(os.path.exists(f"{self.folder}/tsdb/nobody"))
        status, _, _ = n.push([({"job": "without a name"}, [(now_ms(), 1.0)]), ({"__name__": "up"}, [(now_ms(), 1.0)])],
                              headers={"X-Scope-OrgID": "somebody"})
        self.assertEqual(status, 400)
        self.assertTrue(os.path.exists(f"{self.folder}/tsdb/somebody"))
        self.assertEqual(n.query("up", headers={"X-Scope-OrgID": "somebody"})["data"]["result"][0]["value"][1], "1")


if __name__ == "__main__":
    unittest.main()
