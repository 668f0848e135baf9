"""One node as its user meets it: quick start, push and query, SIGKILL, full disk, damaged files, a folder in use."""
import glob
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import unittest

from node import PALLIUM, PALLIUMCTL, Case, Process, free_port, http, snappy, wait_for

NOW = int(time.time() * 1000)


class QuickStart(Case):
    def test_no_arguments_is_a_node_that_shows_its_own_data(self):
        if http_port_busy(9009):
            self.skipTest("port 9009 is in use")
        p = Process([PALLIUM], os.path.join(self.folder, "log"), cwd=self.folder)
        self.addCleanup(p.stop)
        wait_for("ready", lambda: http("http://127.0.0.1:9009/ready")[0] == 200, 20)

        def own_series():
            body = json.loads(http("http://127.0.0.1:9009/prometheus/api/v1/query", b'query=count({__name__=~".%2B"})')[2])
            return "data" in body and body["data"]["result"] and float(body["data"]["result"][0]["value"][1]) > 100
        wait_for("own metrics", own_series, 60)
        told = json.loads(http("http://127.0.0.1:9009/prometheus/api/v1/metadata?metric=cortex_request_duration_seconds")[2])["data"]
        self.assertEqual(told["cortex_request_duration_seconds"][0]["type"], "histogram")
        self.assertIn(b"9009", http("http://127.0.0.1:9009/config")[2])
        page = http("http://127.0.0.1:9009/")[2]
        self.assertIn(b"<html", page.lower()[:2000])
        log = p.log_text()
        for wanted in ("http://127.0.0.1:9009", "remote_write", "not safe"):
            self.assertIn(wanted, log)
        self.assertTrue(os.path.isdir(os.path.join(self.folder, "data")))
        self.assertEqual(p.stop(), 0)


def http_port_busy(port):
    try:
        http(f"http://127.0.0.1:{port}/ready", timeout=1)
        return True
    except OSError:
        return False


    def test_the_profile_stays_under_flags(self):
        port = free_port()
        p = self.spawn([PALLIUM, "-quick-start", f"-server.http-listen-port={port}", "-server.http-listen-address=0.0.0.0",
                        f"-blocks-storage.tsdb.dir={self.folder}/d"], "quick")
        wait_for("ready", lambda: http(f"http://127.0.0.1:{port}/ready")[0] == 200, 20)
        diff = http(f"http://127.0.0.1:{port}/config?mode=diff")[2]
        for wanted in (b"retention_period: 360h", b"interval: 15s", b"replication_factor: 1"):
            self.assertIn(wanted, diff)
        log = p.log_text()
        for wanted in (f"address=0.0.0.0:{port}", f"url=http://127.0.0.1:{port}", "Open  ", f"{self.folder}/d",
                       "may read and write"):
            self.assertIn(wanted, log)
        self.assertNotIn("-server.http-listen-port=9009", log)
        self.assertNotIn("options were set that", log)  # nobody set them
        self.assertEqual(p.stop(), 0)


class Starts(Case):
    def test_a_folder_that_cannot_be_made_ends_it_before_it_listens(self):
        with open(os.path.join(self.folder, "file"), "w", encoding="utf-8"):
            pass
        n = self.node("-server.http-listen-port=1", f"-blocks-storage.tsdb.dir={self.folder}/file/x")
        n.start(ready=False)
        self.assertEqual(n.process.p.wait(10), 1)
        self.assertIn(f"cannot use the data folder (-blocks-storage.tsdb.dir): create {self.folder}/file/x: Not a directory", n.log())
        self.assertNotIn("listening", n.log())
        self.assertNotIn("bind:", n.log())

    def test_a_bad_runtime_file_is_named(self):
        path = os.path.join(self.folder, "r.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("overides: {}\n")
        n = self.node(f"-runtime-config.file={path}")
        n.start(ready=False)
        self.assertEqual(n.process.p.wait(10), 1)
        self.assertIn(f"-runtime-config.file={path}: failed to load runtime config", n.log())

    def test_what_was_built_is_said(self):
        n = self.node().start()
        build = json.loads(http(n.api + "/status/buildinfo")[2])["data"]
        self.assertIn(f'revision="{build["revision"]}"', http(n.url + "/metrics")[2].decode())
        self.assertEqual(bool(build["revision"]), bool(build["branch"]))
        self.assertEqual(bool(build["revision"]), bool(build["buildDate"]))

    def test_the_port_of_another_is_named(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            n = self.node(port=s.getsockname()[1])
            n.start(ready=False)
            self.assertEqual(n.process.p.wait(10), 1)
        self.assertIn("another process has the port; take another with -server.http-listen-port=N", n.log())

    def test_sigterm_ends_a_long_replay(self):
        n = self.node().start()
        self.assertEqual(n.push([({"__name__": "m"}, [(NOW, 1.5)])])[0], 200)
        n.kill()
        wal = sorted(glob.glob(os.path.join(self.folder, "tsdb/fake/wal/0*")))
        fifo = wal[-1][:-8] + f"{int(wal[-1][-8:]) + 1:08}"
        os.mkfifo(fifo)  # reading it takes as long as nobody writes
        n.start(ready=False)
        wait_for("the replay", lambda: b"replaying" in http(n.url + "/ready")[2], 10)
        self.assertNotIn("path=/ready", n.log())  # a probe is no news
        begin = time.time()
        self.assertEqual(n.process.stop(timeout=20), 0)
        self.assertLess(time.time() - begin, 10)
        os.unlink(fifo)
        n.start()
        self.assertEqual(n.query("m", t=NOW / 1000)["data"]["result"][0]["value"][1], "1.5")

    def test_local_blocks_beside_a_bucket_are_not_deleted(self):
        """Nothing ships blocks yet: a retention that was written for shipped ones must not delete the only copy."""
        old = NOW - 40 * 86400_000
        for backend, kept in (("s3", True), ("filesystem", False)):
            folder = os.path.join(self.folder, backend)
            os.mkdir(folder)
            n = self.node(f"-blocks-storage.backend={backend}", "-blocks-storage.tsdb.retention-period=24h",
                          folder=folder).start()
            self.assertEqual(n.push([({"__name__": "m"}, [(old, 1.0)])])[0], 200)
            self.assertEqual(http(n.url + "/ingester/flush", method="POST")[0], 204)
            self.assertEqual(n.push([({"__name__": "m"}, [(NOW, 2.0)])])[0], 200)
            self.assertEqual(http(n.url + "/ingester/flush", method="POST")[0], 204)
            found = n.query("m", t=old / 1000)["data"]["result"]
            self.assertEqual(bool(found), kept, backend)
            said = "blocks_storage.backend=s3: this version ships no blocks" in n.log()
            self.assertEqual(said, kept, n.log())
            n.stop()


class PushAndQuery(Case):
    def test_what_is_pushed_is_answered(self):
        n = self.node().start()
        t = NOW - 60_000
        series = [({"__name__": "m", "i": str(i)}, [(t + k * 1000, i + k / 8) for k in range(30)]) for i in range(50)]
        self.assertEqual(n.push(series)[0], 200)
        r = n.query("sum(m)", t=(t + 29_000) / 1000)
        self.assertEqual(r["data"]["result"][0]["value"][1], str(sum(range(50)) + 50 * 29 / 8).removesuffix(".0"))
        r = n.query_range('m{i="7"}', t / 1000, (t + 29_000) / 1000, 1)
        self.assertEqual([v for _, v in r["data"]["result"][0]["values"]], [str(7 + k / 8).removesuffix(".0") for k in range(30)])

    def test_refused_samples_leave_the_good_ones(self):
        n = self.node().start()
        t = NOW - 60_000
        self.assertEqual(n.push([({"__name__": "a"}, [(t, 1.0)])])[0], 200)
        status, _, body = n.push([({"__name__": "a"}, [(t - 1000, 1.0)]), ({"__name__": "b"}, [(t, 2.0)])])
        self.assertEqual(status, 400)
        self.assertIn(b"out of order sample", body)
        status, _, body = n.push([({"__name__": "a"}, [(t, 9.0)]), ({"__name__": "c"}, [(t, 3.0)])])
        self.assertEqual(status, 400)
        self.assertIn(b"duplicate sample for timestamp", body)
        self.assertEqual(n.push([({"__name__": "a"}, [(t, 1.0)])])[0], 200)
        for name, value in (("a", "1"), ("b", "2"), ("c", "3")):
            self.assertEqual(n.query(name, t=t / 1000)["data"]["result"][0]["value"][1], value)

    def test_hostile_bodies_get_400_and_harm_nothing(self):
        n = self.node().start()
        ok = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        bodies = [b"", b"\xff" * 40, b"\xff\xff\xff\xff\x0f", snappy(b"\x0a\xff\xff\xff\xff\x0f"),
                  snappy(b"\x0a\x05abcde"), snappy(b"\x0b" * 1000), snappy(b"\x80" * 1000),
                  snappy(bytes(range(256)) * 40)]
        for body in bodies[1:]:
            self.assertIn(http(n.url + "/api/v1/push", body, ok)[0], (400, 200), body[:20])
        many = {"__name__": "x", **{f"l{i:05}": "v" for i in range(10_000)}}
        self.assertEqual(n.push([(many, [(NOW, 1.0)])])[0], 400)
        for labels in ([("__name__", "x"), ("a", "1"), ("a", "2")], [("__name__", "x"), ("", "1")], [("__name__", b"\xff\xfe")],
                       [("a", "no name")], []):
            status, _, body = n.push([(labels, [(NOW, 1.0)])])
            self.assertEqual(status, 400, (labels, body))
            self.assertTrue(body)
        self.assertEqual(n.push([([("b", "2"), ("a", "1"), ("__name__", "unsorted")], [(NOW, 5.0)])])[0], 200)
        for t in (2**63 - 1, -2**63):
            self.assertIn(n.push([({"__name__": "edge"}, [(t, 1.0)])])[0], (400, 200))
        self.assertEqual(n.push([({"__name__": "good"}, [(NOW, 1.0)])])[0], 200)
        self.assertEqual(n.query('unsorted{a="1",b="2"}', t=NOW / 1000)["data"]["result"][0]["value"][1], "5")
        self.assertEqual(n.query("good", t=NOW / 1000)["data"]["result"][0]["value"][1], "1")

    def test_queries_at_the_edges(self):
        n = self.node().start()
        for q, params, wanted in (
                ("a" * (1 << 20) + "a", {}, 400), ("(" * 10_000 + "1" + ")" * 10_000, {}, 400), ("nope(1)", {}, 400),
                ("1", {"time": "x"}, 400)):
            import urllib.parse
            status, _, body = http(n.api + "/query", urllib.parse.urlencode({"query": q, **params}).encode())
            self.assertEqual(status, wanted, body[:200])
            self.assertEqual(json.loads(body)["errorType"], "bad_data")
        for start, end, step in ((10, 5, 1), (0, 10, 0), (0, 11_001, 1)):
            r = n.query_range("1", start, end, step)
            self.assertEqual(r["errorType"], "bad_data", r)
        self.assertEqual(n.query("1", t=5)["data"]["result"], [5, "1"])


class Durability(Case):
    def writer(self, n, stop, acked, name):
        """Pushes rising counters until told to stop; remembers the last value that was acknowledged."""
        k = 0
        while not stop.is_set():
            t = NOW - 3_600_000 + k * 1000
            try:
                if n.push([({"__name__": name, "i": str(i)}, [(t, float(k))]) for i in range(100)])[0] == 200:
                    acked[name] = k
                    k += 1
            except OSError:
                time.sleep(0.02)

    def test_sigkill_loses_nothing_acknowledged(self):
        n = self.node().start()
        acked, stop = {}, threading.Event()
        threads = [threading.Thread(target=self.writer, args=(n, stop, acked, f"w{i}")) for i in range(3)]
        for t in threads:
            t.start()
        for _ in range(3):
            time.sleep(1.0)
            n.kill()
            seen = dict(acked)
            n.start()
            for name, k in seen.items():
                r = n.query(f"count(max_over_time({name}[2h]) >= {k})", t=NOW / 1000)
                self.assertEqual(r["data"]["result"][0]["value"][1], "100", (name, k))
                r = n.query(f"min(count_over_time({name}[2h]))", t=NOW / 1000)
                self.assertGreaterEqual(int(r["data"]["result"][0]["value"][1]), k + 1, name)
        stop.set()
        for t in threads:
            t.join()
        self.assertGreater(min(acked.values()), 20)

    def test_a_clean_stop_keeps_all_and_answers_sigterm(self):
        n = self.node().start()
        self.assertEqual(n.push([({"__name__": "m"}, [(NOW, 1.5)])])[0], 200)
        self.assertEqual(n.stop(), 0)
        n.start()
        self.assertEqual(n.query("m", t=NOW / 1000)["data"]["result"][0]["value"][1], "1.5")

    def test_full_disk_refuses_and_recovers(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small tmpfs needs root")
        disk = os.path.join(self.folder, "disk")
        os.mkdir(disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", disk])
        n = self.node(f"-blocks-storage.tsdb.dir={disk}/tsdb").start()
        self.addCleanup(n.stop)
        acked = -1
        status = 200
        for k in range(4000):
            t = NOW - 3_600_000 + k * 100
            status, _, body = n.push([({"__name__": "m", "i": str(i)}, [(t, k + i / 7)]) for i in range(500)])
            if status != 200:
                break
            acked = k
        self.assertEqual(status, 500, "the disk should have been full by now")
        self.assertIn(b"No space left", body)
        last = NOW - 3_600_000 + acked * 100
        r = n.query(f'm{{i="0"}}', t=last / 1000)
        self.assertEqual(float(r["data"]["result"][0]["value"][1]), acked)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        t = NOW - 3_600_000 + (acked + 1) * 100
        self.assertEqual(n.push([({"__name__": "m", "i": str(i)}, [(t, acked + 1 + i / 7)]) for i in range(500)])[0], 200)
        n.kill()
        n.start()
        r = n.query('count_over_time(m{i="0"}[2h])', t=NOW / 1000)
        self.assertEqual(int(r["data"]["result"][0]["value"][1]), acked + 2)
        n.stop()

    def test_damaged_files_are_repaired_or_refused_and_said(self):
        n = self.node().start()
        for k in range(40):
            self.assertEqual(n.push([({"__name__": "m", "i": str(i)}, [(NOW - 100_000 + k * 1000, k + i / 9)]) for i in range(200)])[0], 200)
        n.kill()
        wal = sorted(glob.glob(self.folder + "/tsdb/fake/wal/0*"))[0]
        size = os.path.getsize(wal)
        # a torn tail: half a record is left
        shutil.copy(wal, self.folder + "/whole")
        os.truncate(wal, size - 100)
        n.start()
        r = n.query("min(count_over_time(m[1h]))", t=NOW / 1000)
        self.assertGreaterEqual(int(r["data"]["result"][0]["value"][1]), 39)
        n.kill()
        # a flipped byte in the middle: what is before it stays, the rest is dropped, and said
        shutil.copy(self.folder + "/whole", wal)
        for other in sorted(glob.glob(self.folder + "/tsdb/fake/wal/0*"))[1:]:
            os.remove(other)
        with open(wal, "r+b") as f:
            f.seek(size // 2)
            b = f.read(1)
            f.seek(size // 2)
            f.write(bytes([b[0] ^ 0x55]))
        n.start()
        self.assertEqual(n.metric("cortex_ingester_tsdb_wal_corruptions_total"), 1)
        self.assertIn("corrupt", n.log())
        r = n.query("max(count_over_time(m[1h]))", t=NOW / 1000)
        self.assertTrue(5 < int(r["data"]["result"][0]["value"][1]) < 39, r)
        self.assertEqual(n.push([({"__name__": "m", "i": "0"}, [(NOW, 1.0)])])[0], 200)

    def test_a_folder_in_use_is_refused(self):
        n = self.node().start()
        n.push([({"__name__": "m"}, [(NOW, 1.0)])])
        other = self.node(folder=self.folder)
        other.start(ready=False)
        code = other.process.p.wait(20)
        self.assertNotEqual(code, 0)
        self.assertIn("is in use by process", other.log())
        self.assertEqual(n.push([({"__name__": "m"}, [(NOW + 1, 1.0)])])[0], 200)


class Limits(Case):
    def test_tenants(self):
        n = self.node("-auth.enabled=true").start()
        self.assertEqual(n.push([({"__name__": "m"}, [(NOW, 1.0)])])[0:3:2], (401, b"no org id\n"))
        for tenant in ("a/b", "..", "x" * 151):
            status, _, body = n.push([({"__name__": "m"}, [(NOW, 1.0)])], headers={"X-Scope-OrgID": tenant})
            self.assertEqual(status, 500, body)
            self.assertIn(b"tenant ID", body)
        self.assertEqual(n.push([({"__name__": "m"}, [(NOW, 1.0)])], headers={"X-Scope-OrgID": "one"})[0], 200)
        self.assertEqual(n.query("m", t=NOW / 1000, headers={"X-Scope-OrgID": "one"})["data"]["result"][0]["value"][1], "1")
        self.assertEqual(n.query("m", t=NOW / 1000, headers={"X-Scope-OrgID": "two"})["data"]["result"], [])

    def test_body_limit_and_media_types(self):
        n = self.node("-distributor.max-recv-msg-size=1000").start()
        ok = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        status, _, body = http(n.url + "/api/v1/push", b"x" * 2000, ok)
        self.assertEqual(status, 400)
        self.assertIn(b"received message larger than max (2000 vs 1000)", body)
        self.assertEqual(http(n.url + "/api/v1/push", b"x", {**ok, "Content-Encoding": "gzip"})[0], 415)
        self.assertEqual(http(n.url + "/api/v1/push", b"x", {**ok, "Content-Type": "text/plain"})[0], 415)

    def test_series_limits_keep_known_series(self):
        n = self.node("-ingester.max-series-per-user=10").start()
        self.assertEqual(n.push([({"__name__": "m", "i": str(i)}, [(NOW, 1.0)]) for i in range(10)])[0], 200)
        status, _, body = n.push([({"__name__": "m", "i": str(i)}, [(NOW + 1, 2.0)]) for i in range(11)])
        self.assertEqual(status, 400)
        self.assertIn(b"per-user series limit of 10 exceeded", body)
        self.assertEqual(n.query("sum(m)", t=(NOW + 1) / 1000)["data"]["result"][0]["value"][1], "20")

    def test_runtime_overrides_are_re_read(self):
        path = os.path.join(self.folder, "runtime.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("overrides:\n  fake:\n    max_label_names_per_series: 3\n")
        n = self.node(f"-runtime-config.file={path}", "-runtime-config.reload-period=200ms").start()
        four = {"__name__": "m", "a": "1", "b": "2", "c": "3"}
        status, _, body = n.push([(four, [(NOW, 1.0)])])
        self.assertEqual(status, 400, body)
        self.assertIn(b"series has too many labels (actual: 4, limit: 3)", body)
        with open(path, "w", encoding="utf-8") as f:
            f.write("overrides:\n  fake:\n    max_label_names_per_series: 4\n")
        wait_for("the new limit", lambda: n.push([(four, [(NOW, 1.0)])])[0] == 200, 10)
        with open(path, "w", encoding="utf-8") as f:
            f.write("ingester_limits:\n  max_series: 1\n")
        fresh = itertools.count()
        wait_for("the ingester's limit", lambda: b"max series limit" in n.push([({"__name__": "n", "i": str(next(fresh))}, [(NOW, 1.0)])])[2], 10)
        with open(path, "w", encoding="utf-8") as f:
            f.write("overrides: {}\n")
        wait_for("no limit", lambda: n.push([({"__name__": "n", "i": str(next(fresh))}, [(NOW, 1.0)])])[0] == 200, 10)


if __name__ == "__main__":
    unittest.main()
