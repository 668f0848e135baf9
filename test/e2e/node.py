"""Starts real processes for the end-to-end tests, and speaks to them. Everything listens on 127.0.0.1 and ends with the test."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PALLIUM = os.environ.get("PALLIUM", os.path.join(ROOT, "build", "pallium"))
PALLIUMCTL = os.environ.get("PALLIUMCTL", os.path.join(ROOT, "build", "palliumctl"))
CACHE = os.environ.get("PALLIUM_CACHE", os.path.expanduser("~/.cache/pallium-peers"))


def need(path, why):
    """The path of a program, or a skip that names it."""
    found = path if os.path.isfile(path) else shutil.which(path)
    if not found:
        raise unittest.SkipTest(f"{path} is missing: {why}")
    return found


def prometheus3():
    return need(os.path.join(CACHE, "prometheus"), "built by make test PEERS=all")


def promtool3():
    return need(os.path.join(CACHE, "promtool"), "built by make test PEERS=all")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    def __init__(self, args, log, cwd=None, env=None):
        self.args = args
        self.log = log
        self.out = open(log, "ab")
        self.p = subprocess.Popen(args, stdout=self.out, stderr=subprocess.STDOUT, cwd=cwd, env=env)

    def stop(self, sig=signal.SIGTERM, timeout=30):
        if self.p.poll() is None:
            self.p.send_signal(sig)
            try:
                self.p.wait(timeout)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        self.out.close()
        return self.p.returncode

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()


def http(url, data=None, headers=None, method=None, timeout=60):
    """(status, headers, body); errors of the server are answers, not exceptions."""
    req = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(req, timeout=timeout) as r:
            return r.status, dict(r.headers), r.read()
    except urllib.error.HTTPError as e:
        return e.code, dict(e.headers), e.read()


def wait_for(what, check, seconds=30):
    end = time.time() + seconds
    last = None
    while time.time() < end:
        try:
            last = check()
            if last:
                return last
        except (OSError, urllib.error.URLError, ValueError) as e:
            last = e
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s, last seen: {last}")


class Node:
    """One Pallium process on its own data folder."""

    def __init__(self, folder, *flags, port=None, wrap=None):
        self.folder = folder
        self.port = port or free_port()
        self.grpc = free_port()
        self.flags = flags
        self.wrap = list(wrap or [])
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = self.url + "/prometheus/api/v1"
        self.process = None

    def start(self, ready=True, seconds=60):
        args = self.wrap + [PALLIUM, "-target=all", "-auth.enabled=false", "-server.http-listen-address=127.0.0.1",
                f"-server.http-listen-port={self.port}", "-server.grpc-listen-address=127.0.0.1",
                f"-server.grpc-listen-port={self.grpc}", f"-blocks-storage.tsdb.dir={self.folder}/tsdb",
                "-blocks-storage.backend=filesystem", "-ring.store=inmemory", "-distributor.replication-factor=1",
                "-distributor.ingestion-rate-limit=1e12", "-distributor.ingestion-burst-size=1000000000",
                "-ingester.max-series-per-metric=0", *self.flags]
        self.process = Process(args, os.path.join(self.folder, "pallium.log"))
        if ready:
            self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=60):
        def check():
            if self.process.p.poll() is not None:
                raise AssertionError(f"pallium ended with {self.process.p.returncode}:\n{self.process.log_text()[-3000:]}")
            return http(self.url + "/ready", timeout=5)[0] == 200
        wait_for("pallium ready", check, seconds)

    def kill(self):
        return self.process.stop(signal.SIGKILL)

    def stop(self):
        return self.process.stop() if self.process else None

    def log(self):
        return self.process.log_text()

    def push(self, series, metadata=(), headers=None):
        """series: [(labels dict, [(t_ms, v), ...]), ...]"""
        h = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        h.update(headers or {})
        return http(self.url + "/api/v1/push", snappy(write_request(series, metadata)), h)

    def query(self, q, t=None, headers=None, **more):
        params = dict(query=q, **more)
        if t is not None:
            params["time"] = t
        return query_json(self.api + "/query", params, headers)

    def query_range(self, q, start, end, step, headers=None):
        return query_json(self.api + "/query_range", dict(query=q, start=start, end=end, step=step), headers)

    def metric(self, name):
        """Sum of the samples of one family in /metrics."""
        total = 0.0
        for line in http(self.url + "/metrics")[2].decode().splitlines():
            if line.startswith(name) and line[len(name)] in " {":
                total += float(line.rsplit(" ", 1)[1])
        return total


def query_json(url, params, headers=None):
    status, _, body = http(url, urllib.parse.urlencode(params).encode(), headers)
    try:
        return json.loads(body)
    except ValueError:
        return {"status": "error", "http": status, "body": body.decode(errors="replace")}


# ---- remote write 1.0 by hand: the tests must not lean on Pallium's own encoder ----

def uvarint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(num, wire, payload):
    return uvarint(num << 3 | wire) + payload


def text(num, s):
    b = s.encode() if isinstance(s, str) else s
    return field(num, 2, uvarint(len(b)) + b)


def time_series(labels, samples):
    items = labels.items() if isinstance(labels, dict) else labels
    body = b"".join(text(1, text(1, k) + text(2, v)) for k, v in items)
    for t, v in samples:
        body += text(2, field(1, 1, struct.pack("<d", v)) + field(2, 0, uvarint(t)))
    return text(1, body)


def write_request(series, metadata=()):
    body = b"".join(time_series(labels, samples) for labels, samples in series)
    for kind, name, help_text, unit in metadata:
        body += text(3, field(1, 0, uvarint(kind)) + text(2, name) + text(4, help_text) + text(5, unit))
    return body


def snappy(data):
    """Snappy block format by its simplest means: literals only."""
    out = bytearray(uvarint(len(data)))
    for i in range(0, len(data), 65536):
        part = data[i:i + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return bytes(out)


class Case(unittest.TestCase):
    """A temporary folder per test, and processes that end with it."""

    @classmethod
    def setUpClass(cls):
        if not os.path.isfile(PALLIUM):
            raise unittest.SkipTest(f"{PALLIUM} is missing: make build")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pallium-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def node(self, *flags, folder=None, **kw):
        n = Node(folder or self.folder, *flags, **kw)
        self.addCleanup(n.stop)
        return n

    def spawn(self, args, name):
        p = Process(args, os.path.join(self.folder, name + ".log"))
        self.addCleanup(p.stop)
        return p
