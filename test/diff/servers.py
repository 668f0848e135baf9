"""The two sides of a comparison: a real Prometheus over HTTP, and Pallium's engine in process (diff_answer) or as a node."""
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

FEATURES = ("promql-experimental-functions", "promql-extended-range-selectors", "promql-binop-fill-modifiers", "promql-duration-expr")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Http:
    def __init__(self, args, port, ready, api, folder):
        self.folder, self.api, self.port = folder, api, port
        self.log = open(os.path.join(folder, "log"), "wb")
        self.p = subprocess.Popen(args, stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.time() + 60
        while True:
            try:
                with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, ready), timeout=2) as r:
                    if r.status == 200:
                        break
            except OSError:
                if self.p.poll() is not None or time.time() > deadline:
                    with open(os.path.join(folder, "log"), encoding="utf-8", errors="replace") as f:
                        raise RuntimeError("%s does not start: %s" % (args[0], f.read()[-2000:])) from None
                time.sleep(0.05)
        self.conn = http.client.HTTPConnection("127.0.0.1", port, timeout=180)

    def ask(self, start, end, step, query):
        if step:
            path, p = "/query_range", {"query": query, "start": "%.3f" % (start / 1000), "end": "%.3f" % (end / 1000), "step": "%.3f" % (step / 1000)}
        else:
            path, p = "/query", {"query": query, "time": "%.3f" % (start / 1000)}
        p["stats"] = "all"
        self.conn.request("POST", self.api + path, urllib.parse.urlencode(p), {"Content-Type": "application/x-www-form-urlencoded"})
        return json.loads(self.conn.getresponse().read())

    def end(self):
        self.p.terminate()
        self.p.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Prometheus(Http):
    def __init__(self, binary, block, more_features=()):
        folder = tempfile.mkdtemp(prefix="diff-prometheus-")
        shutil.copytree(block, os.path.join(folder, "data", os.path.basename(block)))
        with open(os.path.join(folder, "prometheus.yml"), "w", encoding="utf-8") as f:
            f.write("global: {}\n")
        port = free_port()
        super().__init__([binary, "--config.file=" + folder + "/prometheus.yml", "--storage.tsdb.path=" + folder + "/data",
                          "--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:%d" % port,
                          "--enable-feature=" + ",".join(FEATURES + tuple(more_features))], port, "/-/ready", "/api/v1", folder)


class Node(Http):
    def __init__(self, binary, block):
        folder = tempfile.mkdtemp(prefix="diff-pallium-")
        shutil.copytree(block, os.path.join(folder, "tsdb", "fake", os.path.basename(block)))
        port = free_port()
        super().__init__([binary, "-target=all", "-auth.enabled=false", "-server.http-listen-address=127.0.0.1",
                          "-server.http-listen-port=%d" % port, "-server.grpc-listen-port=%d" % free_port(),
                          "-blocks-storage.tsdb.dir=" + folder + "/tsdb", "-blocks-storage.backend=filesystem", "-ring.store=inmemory",
                          "-distributor.replication-factor=1", "-querier.enable-promql-experimental-functions=true"],
                         port, "/ready", "/prometheus/api/v1", folder)

    def ask(self, start, end, step, query):
        """Cortex writes a semicolon where Prometheus has a colon."""
        answer = super().ask(start, end, step, query)
        if "error" in answer:
            answer["error"] = answer["error"].replace('invalid parameter "query"; ', 'invalid parameter "query": ', 1)
        return answer


class Engine:
    """diff_answer: the engine over the block in process, with all switches of the language on."""

    def __init__(self, binary, block, switches="-"):
        self.args, self.switches = [binary, block], switches
        self.p = None

    def ask(self, start, end, step, query):
        if self.p is None or self.p.poll() is not None:
            self.p = subprocess.Popen(self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = "%d %d %d %s %s\n" % (start, end, step, self.switches, query.replace("\\", "\\\\").replace("\n", "\\n"))
        self.p.stdin.write(line.encode())
        self.p.stdin.flush()
        out = self.p.stdout.readline()
        if not out:
            return {"status": "error", "errorType": "crash", "error": "ended with %s" % self.p.wait()}
        return json.loads(out)

    def end(self):
        if self.p is not None:
            self.p.stdin.close()
            self.p.wait()
