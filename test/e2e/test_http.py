"""The HTTP server of the running binary: smuggling, limits, slow and idle clients, TLS, draining. Everything is raw sockets,
since libraries would mend what is broken on purpose."""
import gzip
import http.client
import os
import resource
import socket
import ssl
import subprocess
import threading
import time

from node import Case, http as fetch, need, wait_for

GOOD = b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"
PUSH = b"POST /api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"

# Each must be refused, and what follows it must not be taken for a request.
SMUGGLED = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED = {
    "both lengths": b"POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, chunked first": b"POST /ready HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "differing lengths": b"POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\n",
    "listed lengths": b"POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n",
    "signed length": b"POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
    "bare CR": b"GET /ready HTTP/1.1\r\nHost: x\r\nX: a\rb: c\r\n\r\n",
    "bare LF": b"GET /ready HTTP/1.1\nHost: x\n\n",
    "obs-fold": b"GET /ready HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "space before colon": b"POST /ready HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "NUL": b"GET /ready HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "two hosts": b"GET /ready HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "no host": b"GET /ready HTTP/1.1\r\n\r\n",
    "blank in the target": b"GET /re ady HTTP/1.1\r\nHost: x\r\n\r\n",
    "chunk size 0x1": PUSH + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "chunk size with sign": PUSH + b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    "chunk size overflow": PUSH + b"Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
    "chunk with bare LF": PUSH + b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
    "chunk longer than said": PUSH + b"Transfer-Encoding: chunked\r\n\r\n1\r\naa\r\n0\r\n\r\n",
    "chunk extension without end": PUSH + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 5000,
}


class Http(Case):
    def connect(self, port):
        s = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.addCleanup(s.close)
        return s

    def to_end(self, s):
        """All bytes until the server closes; fails when it does not."""
        out = b""
        while True:
            try:
                part = s.recv(1 << 16)
            except ConnectionResetError:
                return out
            if not part:
                return out
            out += part

    def answer(self, f):
        """(status, headers, body) of one answer from a buffered reader."""
        status = int(f.readline().split()[1])
        headers = {}
        for line in iter(f.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, f.read(int(headers.get("content-length", 0)))

    def assert_well(self, n):
        self.assertEqual(fetch(n.url + "/ready")[0], 200)


class Protocol(Http):
    def test_smuggling_is_refused(self):
        n = self.node().start()
        for name, request in REFUSED.items():
            with self.subTest(name):
                s = self.connect(n.port)
                s.sendall(request + SMUGGLED)
                got = self.to_end(s)
                self.assertTrue(got.startswith(b"HTTP/1.1 400 Bad Request\r\n"), got[:200])
                self.assertEqual(got.count(b"HTTP/1.1 "), 1)
                self.assertIn(b"\r\nConnection: close\r\n", got)
        self.assert_well(n)

    def test_heads_over_the_limits(self):
        n = self.node().start()
        cases = {
            414: b"GET /prometheus/api/v1/query?query=" + b"1" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            431: b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (1 << 17) + b"\r\n\r\n",
            505: b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
            501: b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            417: b"GET / HTTP/1.1\r\nHost: x\r\nExpect: coffee\r\n\r\n",
        }
        for status, request in cases.items():
            s = self.connect(n.port)
            try:
                s.sendall(request)
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.assertTrue(self.to_end(s).startswith(b"HTTP/1.1 %d " % status), status)
        s = self.connect(n.port)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(150)) + b"\r\n")
        self.assertTrue(self.to_end(s).startswith(b"HTTP/1.1 431 "))
        self.assert_well(n)

    def test_pipelining_and_keep_alive(self):
        n = self.node().start()
        s = self.connect(n.port)
        paths = [b"/ready", b"/no/such/page", b"/prometheus/api/v1/query?query=1", b"/metrics"] * 25
        want = [200, 404, 200, 200] * 25
        sender = threading.Thread(target=s.sendall, args=(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % p for p in paths),))
        sender.start()
        with s.makefile("rb") as f:
            got = [self.answer(f) for _ in paths]
        sender.join()
        self.assertEqual([a[0] for a in got], want)
        self.assertEqual(got[0][2], b"ready")
        self.assertEqual(got[1][2], b"404 page not found\n")
        self.assertIn(b"cortex_request_duration_seconds", got[3][2])
        self.assertIn("date", got[0][1])

    def test_head_chunked_and_gzip(self):
        n = self.node().start()
        c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
        self.addCleanup(c.close)
        c.request("HEAD", "/metrics")
        r = c.getresponse()
        self.assertEqual((r.status, r.read()), (200, b""))
        self.assertGreater(int(r.headers["Content-Length"]), 1000)
        c.request("POST", "/prometheus/api/v1/query", body=iter([b"que", b"ry=1", b"%2B1"]), encode_chunked=True,
                  headers={"Transfer-Encoding": "chunked", "Content-Type": "application/x-www-form-urlencoded"})
        r = c.getresponse()
        body = r.read()
        self.assertEqual(r.status, 200, body)
        self.assertIn(b'"2"', body)
        c.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        r = c.getresponse()
        self.assertEqual(r.headers["Content-Encoding"], "gzip")
        self.assertIn(b"cortex_", gzip.decompress(r.read()))
        c.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        r = c.getresponse()
        self.assertTrue(r.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"))
        self.assertTrue(r.read().endswith(b"# EOF\n"))

    def test_expect_continue(self):
        n = self.node("-distributor.max-recv-msg-size=1000").start()
        s = self.connect(n.port)
        s.sendall(b"POST /prometheus/api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                  b"Content-Length: 7\r\nExpect: 100-continue\r\n\r\n")
        with s.makefile("rb") as f:
            self.assertEqual([f.readline(), f.readline()], [b"HTTP/1.1 100 Continue\r\n", b"\r\n"])
            s.sendall(b"query=1")
            self.assertEqual(self.answer(f)[0], 200)
        s = self.connect(n.port)
        s.sendall(PUSH + b"Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n")
        got = self.to_end(s)
        self.assertTrue(got.startswith(b"HTTP/1.1 400 "), got[:200])
        self.assertIn(b"received message larger than max (5000 vs 1000)\n", got)


class Bodies(Http):
    def test_over_the_limit_with_and_without_length(self):
        n = self.node("-distributor.max-recv-msg-size=1000").start()
        s = self.connect(n.port)
        s.sendall(PUSH + b"Content-Length: 104857600\r\n\r\n")
        got = self.to_end(s)
        self.assertTrue(got.startswith(b"HTTP/1.1 400 "), got[:200])
        self.assertIn(b"received message larger than max (104857600 vs 1000)", got)
        s = self.connect(n.port)
        s.sendall(PUSH + b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n")
        got = self.to_end(s)
        self.assertTrue(got.startswith(b"HTTP/1.1 400 "), got[:200])
        self.assertIn(b"received message larger than max", got)
        self.assert_well(n)


class SlowClients(Http):
    def test_slow_heads_and_bodies_are_cut(self):
        n = self.node("-server.http-read-timeout=2s").start()
        heads = [self.connect(n.port) for _ in range(50)]
        bodies = [self.connect(n.port) for _ in range(50)]
        start = time.time()
        for s in heads:
            s.sendall(b"GET /ready HTTP/1.1\r\n")
        for s in bodies:
            s.sendall(PUSH + b"Content-Length: 100\r\n\r\n")

        def drip():
            while time.time() - start < 14:
                for s in heads + bodies:
                    try:
                        s.send(b"X" if s in bodies else b"X: y\r\n")
                    except OSError:
                        pass
                time.sleep(0.5)
        t = threading.Thread(target=drip)
        t.start()
        self.assert_well(n)
        for s in heads + bodies:
            self.assertTrue(self.to_end(s).startswith(b"HTTP/1.1 408 Request Timeout\r\n"))
        self.assertLess(time.time() - start, 14)
        t.join()
        self.assert_well(n)

    def test_two_thousand_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 5000:
            self.skipTest("too few file descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (5000, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        n = self.node().start()

        def rss_kb():
            with open(f"/proc/{n.process.p.pid}/status") as f:
                return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        self.assert_well(n)
        before = rss_kb()
        for _ in range(2000):
            s = self.connect(n.port)
            s.sendall(GOOD)
            self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 200"))
        self.assertLess(rss_kb() - before, 8 << 10)
        self.assertGreaterEqual(n.metric("cortex_tcp_connections"), 2000)
        self.assert_well(n)


class Endings(Http):
    def test_sigterm_finishes_requests_and_closes_idle(self):
        n = self.node().start()
        idle = self.connect(n.port)
        idle.sendall(GOOD)
        self.assertTrue(idle.recv(1000).startswith(b"HTTP/1.1 200"))
        half = self.connect(n.port)
        half.sendall(b"GET /ready HTTP/1.1\r\n")
        time.sleep(0.2)
        ended = []
        t = threading.Thread(target=lambda: ended.append(n.stop()))
        start = time.time()
        t.start()
        self.assertEqual(self.to_end(idle), b"")
        try:
            half.sendall(b"Host: x\r\n\r\n")
            got = self.to_end(half)
            self.assertTrue(got == b"" or b"Connection: close" in got, got)
        except OSError:
            pass
        t.join()
        self.assertEqual(ended, [0])
        self.assertLess(time.time() - start, 20)

    def test_port_in_use_is_said(self):
        n = self.node().start()
        other = self.node(folder=self.folder + "/other", port=n.port)
        os.mkdir(other.folder)
        other.start(ready=False)
        wait_for("exit", lambda: other.process.p.poll() is not None, 20)
        self.assertNotEqual(other.process.p.returncode, 0)
        self.assertIn("address already in use", other.log())
        self.assert_well(n)


class Tls(Http):
    def certificates(self):
        tool = need("openssl", "apt-get install openssl")

        def run(*args):
            subprocess.run([tool, *args], check=True, capture_output=True, cwd=self.folder)
        for name in ("ca", "server", "client"):
            run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".key")
        run("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=test ca", "-days", "2", "-out", "ca.pem")
        with open(os.path.join(self.folder, "ext"), "w", encoding="ascii") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        for name in ("server", "client"):
            run("req", "-new", "-key", name + ".key", "-subj", "/CN=" + name, "-out", name + ".csr")
            run("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "ext", "-out", name + ".pem")

    def ask(self, n, with_cert):
        ctx = ssl.create_default_context(cafile=os.path.join(self.folder, "ca.pem"))
        if with_cert:
            ctx.load_cert_chain(os.path.join(self.folder, "client.pem"), os.path.join(self.folder, "client.key"))
        c = http.client.HTTPSConnection("127.0.0.1", n.port, timeout=20, context=ctx)
        try:
            c.request("GET", "/ready")
            return c.getresponse().status
        finally:
            c.close()

    def test_tls_and_client_certificates(self):
        self.certificates()
        flags = [f"-server.http-tls-cert-path={self.folder}/server.pem", f"-server.http-tls-key-path={self.folder}/server.key"]
        mutual = ["-server.http-tls-client-auth=RequireAndVerifyClientCert", f"-server.http-tls-ca-path={self.folder}/ca.pem"]
        for name, more in (("tls", []), ("mtls", mutual)):
            os.mkdir(os.path.join(self.folder, name))
            n = self.node(*flags, *more, folder=os.path.join(self.folder, name)).start(ready=False)
            wait_for("ready", lambda n=n: self.ask(n, True) == 200, 30)
            if more:
                with self.assertRaises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                    self.ask(n, False)
            else:
                self.assertEqual(self.ask(n, False), 200)
            s = self.connect(n.port)
            s.sendall(GOOD)  # plain text to a TLS port
            self.assertNotIn(b"HTTP/1.1 200", self.to_end(s))
            n.stop()


class Senders(Case):
    def test_misconfigured_ones_are_named_once_a_minute(self):
        n = self.node("-auth.enabled=true").start()
        for _ in range(5):
            self.assertEqual(fetch(n.url + "/api/v1/write", b"x")[2], b"404 page not found (remote write goes to /api/v1/push)\n")
            self.assertEqual(fetch(n.url + "/nothing")[2], b"404 page not found\n")
            self.assertEqual(fetch(n.url + "/api/v1/push", b"x", {"X-Scope-OrgID": "t", "Content-Type": "text/plain"})[0], 415)
            self.assertEqual(fetch(n.url + "/api/v1/push", b"x")[0], 401)
            self.assertEqual(fetch(n.url + "/ready")[0], 200)
        lines = [line for line in n.log().splitlines() if "msg=request" in line]
        self.assertEqual(sorted((line.split("path=")[1].split()[0], line.split("status=")[1].split()[0]) for line in lines),
                         [("/api/v1/push", "401"), ("/api/v1/push", "415"), ("/api/v1/write", "404")], lines)


class RequestLog(Case):
    def line(self, node, headers):
        mark = f"/x{len(node.log())}"
        self.assertEqual(fetch(node.url + mark, headers=headers)[0], 404)
        return wait_for("the line", lambda: next((x for x in node.log().splitlines() if f"path={mark} " in x), None), 5)

    def test_fields(self):
        n = self.node("-server.log-request-at-info-level-enabled=true", "-server.log-source-ips-enabled=true",
                      "-server.log-request-headers=true", "-server.log-request-headers-exclude-list=X-Quiet,Accept-Encoding",
                      "-api.http-request-headers-to-log=X-Trace", "-api.request-id-header=X-Request-ID").start()
        line = self.line(n, {"Authorization": "Bearer geheim", "Cookie": "geheim", "X-Quiet": "geheim", "X-Trace": "abc", "X-Request-ID": "r-1",
                             "X-Forwarded-For": "10.1.2.3, 10.0.0.1"})
        for part in (" status=404 ", " x-cortex-request-id=r-1 ", ' sourceIPs="10.1.2.3, 127.0.0.1" ', " X-Trace=abc", "Host: "):
            self.assertIn(part, line)
        self.assertNotIn("geheim", line)
        self.assertIn('sourceIPs="192.0.2.60, 127.0.0.1"', self.line(n, {"Forwarded": 'For="192.0.2.60:4711";proto=http, for=1.1.1.1'}))
        self.assertIn('sourceIPs="2001:db8::1, 127.0.0.1"', self.line(n, {"X-Real-IP": "2001:db8::1"}))
        line = self.line(n, {})
        self.assertIn(" sourceIPs=127.0.0.1 ", line)
        self.assertRegex(line, r" x-cortex-request-id=[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12} ")

    def test_source_by_expression(self):
        n = self.node("-server.log-request-at-info-level-enabled=true", "-server.log-source-ips-enabled=true",
                      "-server.log-source-ips-header=X-Who", "-server.log-source-ips-regex=ip=([0-9.]+)").start()
        self.assertIn('sourceIPs="5.6.7.8, 127.0.0.1"', self.line(n, {"X-Who": "name=a ip=5.6.7.8 ip=9.9.9.9"}))
        self.assertTrue(self.line(n, {"X-Who": "nothing"}).endswith(" sourceIPs=127.0.0.1"))
        os.mkdir(self.folder + "/2")
        n = self.node("-server.log-source-ips-enabled=true", "-server.log-source-ips-header=X-Who", folder=self.folder + "/2")
        n.start(ready=False)
        self.assertEqual(n.process.p.wait(10), 1)
        self.assertIn("either both a header field and a regex have to be given or neither", n.log())


if __name__ == "__main__":
    import unittest
    unittest.main()
