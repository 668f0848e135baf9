"""Blocks against the real ones: what Pallium's writer makes, promtool and Prometheus read; what they make, Pallium's reader reads.

Both sides are asked through block_tool (test/unit/tsdb/block_tool.c; BLOCK_TOOL names another build of it)."""
import json
import os
import random
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse

from node import PALLIUM, PALLIUMCTL, Process, free_port, http, need, wait_for

BLOCK_TOOL = os.environ.get("BLOCK_TOOL", os.path.join(os.path.dirname(PALLIUM), "test", "unit", "tsdb", "block_tool"))
START = 1700006400  # where block_tool's samples begin, seconds
FOREVER = "--storage.tsdb.retention.time=100y"

# As (name, operator, value); asked of Prometheus and of block_tool.
MATCHERS = [
    [("__name__", "=", "metric_0003")],
    [("__name__", "=~", "metric_000[1-3]")],
    [("__name__", "=~", ".+"), ("text", "!=", "")],
    [("job", "=", "odd"), ("instance", "=~", "host-1.*")],
    [("job", "=", "odd"), ("instance", "!~", "host-1.*")],
    [("job", "=", "odd"), ("instance", "=", "")],
    [("job", "!=", "odd"), ("id", "=~", "000010|000020|000031")],
    [("job", "=~", "even|odd"), ("text", "=~", "a.b|back\\\\slash")],
    [("id", "=~", "00001.*"), ("instance", "=~", "|host-12:9100")],
    [("id", "=~", "0000[1-9].*"), ("instance", "!~", ".*")],
    [("id", "!~", "0000[1-9].*"), ("absent", "=~", ".*"), ("job", "=~", ".+")],
    [("text", "=", 'with "quotes"')],
    [("text", "=", "\u00e9\u65e5"), ("id", "!=", "000020")],
]


def run(*args, ok=True):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if ok and p.returncode != 0:
        raise AssertionError(f"{' '.join(args)}: exit {p.returncode}\n{p.stderr.decode(errors='replace')[-3000:]}")
    return p.stdout.decode()


def lines(text):
    return sorted(line for line in text.split("\n") if line)


def tool_args(matchers):
    return [name + op + value for name, op, value in matchers]


def selector(matchers):
    return "{" + ",".join(f"{n}{op}{json.dumps(v, ensure_ascii=False)}" for n, op, v in matchers) + "}"


def label_text(labels):
    """Label sets of the series API in the form that both dumps print."""
    return tuple(sorted(labels.items()))


def promtools():
    found = [p for p in (shutil.which("promtool"), os.environ.get("PROMTOOL3"),
                         os.path.expanduser("~/.cache/pallium-peers/promtool")) if p]
    return [p for i, p in enumerate(found) if os.path.isfile(p) and p not in found[:i]]


class Blocks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.isfile(BLOCK_TOOL):
            raise unittest.SkipTest(f"{BLOCK_TOOL} is missing: ninja -C build block_tool")
        need("promtool", "Debian package prometheus")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pallium-blocks-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def data_dir(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.join(path, "wal"))  # promtool wants one
        return path

    def generate(self, path, series, samples):
        ulid, _, dump = run(BLOCK_TOOL, "generate", path, str(series), str(samples)).partition("\n")
        return ulid, lines(dump)

    def blocks_of(self, path):
        return sorted(os.path.join(path, b) for b in os.listdir(path) if len(b) == 26)

    def dump_all(self, path):
        return lines("".join(run(BLOCK_TOOL, "dump", b) for b in self.blocks_of(path)))

    def openmetrics(self):
        """A text with many shapes of values and times, over three block ranges."""
        rng = random.Random(5)
        path = os.path.join(self.folder, "om.txt")
        with open(path, "w", encoding="utf-8") as f:
            for m in range(20):
                f.write(f"# TYPE met_{m} gauge\n")
                for s in range(15):
                    v = 0.0
                    for i in range(600):
                        v += rng.random() * (10 if m % 2 else 0)
                        shown = v if m % 5 else rng.choice(["NaN", "+Inf", "-Inf", 1, 2])
                        jitter = rng.randint(0, 9) if m % 3 else 0
                        f.write(f'met_{m}{{inst="h{s}:9\\"0",job="j{s % 3}",u="\u00e9\u65e5{s}"}} {shown} '
                                f"{1700000000 + i * 30 + jitter}\n")
            f.write("# EOF\n")
        return path

    # ---- ours, read by theirs ----

    def test_promtool_reads_our_block(self):
        for promtool in promtools():
            with self.subTest(promtool=promtool):
                path = self.data_dir("ours-" + promtool.strip("/").replace("/", "-"))
                ulid, want = self.generate(path, 500, 500)
                self.assertEqual(len(want), 250000)
                self.assertEqual(lines(run(promtool, "tsdb", "dump", path)), want)
                self.assertEqual(self.dump_all(path), want)
                listed = run(promtool, "tsdb", "list", path)
                self.assertIn(ulid, listed)
                self.assertRegex(listed, r"250000\s+2500\s+500\s")
                analysed = run(promtool, "tsdb", "analyze", path, ulid)
                self.assertIn("Series: 500\n", analysed)
                self.assertIn("Label names: 5\n", analysed)

    # ---- theirs, read by ours ----

    def test_we_read_promtools_blocks(self):
        text = self.openmetrics()
        for promtool in promtools():
            with self.subTest(promtool=promtool):
                path = self.data_dir("theirs-" + promtool.strip("/").replace("/", "-"))
                run(promtool, "tsdb", "create-blocks-from", "openmetrics", text, path)
                self.assertGreater(len(self.blocks_of(path)), 2)
                got = self.dump_all(path)
                self.assertEqual(len(got), 20 * 15 * 600)
                self.assertEqual(got, lines(run(promtool, "tsdb", "dump", path)))
                self.rewrite(path)

    def rewrite(self, path):
        """Read and written again by us, a block of theirs has the same chunk files, and the same index up to where theirs may hold
        the obsolete label indices."""
        again = tempfile.mkdtemp(dir=self.folder)
        for block in self.blocks_of(path):
            copy = os.path.join(again, run(BLOCK_TOOL, "rewrite", block, again).strip())
            for name in sorted(os.listdir(os.path.join(block, "chunks"))):
                self.assertEqual(self.bytes_of(block, "chunks", name), self.bytes_of(copy, "chunks", name), block)
            ours, theirs = self.bytes_of(copy, "index"), self.bytes_of(block, "index")
            series_end = int.from_bytes(theirs[-52 + 16:-52 + 24], "big")
            self.assertEqual(ours[:series_end], theirs[:series_end], block)
            self.assertEqual(self.postings(ours), self.postings(theirs), block)

    def bytes_of(self, *parts):
        with open(os.path.join(*parts), "rb") as f:
            return f.read()

    def postings(self, index):
        """{(name, value): bytes of its list} of an index, read by a few lines of Python."""
        def uvarint(at):
            v = shift = 0
            while True:
                b = index[at]
                at += 1
                v |= (b & 0x7F) << shift
                if b < 0x80:
                    return v, at
                shift += 7

        at = int.from_bytes(index[-52 + 40:-52 + 48], "big")
        count, at, out = int.from_bytes(index[at + 4:at + 8], "big"), at + 8, {}
        for _ in range(count):
            keys = []
            _, at = uvarint(at)
            for _ in range(2):
                n, at = uvarint(at)
                keys.append(index[at:at + n])
                at += n
            where, at = uvarint(at)
            size = int.from_bytes(index[where:where + 4], "big")
            out[tuple(keys)] = index[where:where + 8 + size]
        return out

    # ---- a running Prometheus over our block ----

    def prometheus(self, path):
        port = free_port()
        config = os.path.join(self.folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("global: {scrape_interval: 1h}\n")
        p = Process([need("prometheus", "Debian package"), f"--config.file={config}", f"--storage.tsdb.path={path}", FOREVER,
                     f"--web.listen-address=127.0.0.1:{port}", "--web.enable-admin-api", "--storage.tsdb.min-block-duration=2h"],
                    os.path.join(self.folder, "prometheus.log"))
        self.addCleanup(p.stop)
        url = f"http://127.0.0.1:{port}"
        wait_for("prometheus ready", lambda: http(url + "/-/ready", timeout=5)[0] == 200, 60)
        return p, url + "/api/v1"

    def ask(self, url, params):
        status, _, body = http(url, urllib.parse.urlencode(params, doseq=True).encode())
        answer = json.loads(body)
        self.assertEqual(status, 200, answer)
        return answer["data"]

    def test_prometheus_answers_from_our_block_and_we_see_its_deletions(self):
        path = self.data_dir("data")
        ulid, want = self.generate(path, 400, 300)
        block = os.path.join(path, ulid)
        p, api = self.prometheus(path)
        span = dict(start=START, end=START + 3 * 3600)
        for matchers in MATCHERS:
            with self.subTest(matchers=matchers):
                self.compare_matchers(api, block, matchers, span)
        self.compare_queries(api, want)
        for args in ({"match[]": selector(MATCHERS[0]), "start": START + 120, "end": START + 2400},
                     {"match[]": selector(MATCHERS[3])},
                     {"match[]": '{job="even",id="000002"}', "start": START + 1500, "end": START + 1500 + 600}):
            status, _, body = http(api + "/admin/tsdb/delete_series?" + urllib.parse.urlencode(args), b"", method="POST")
            self.assertEqual(status, 204, body)
        p.stop()
        self.assertGreater(os.path.getsize(os.path.join(block, "tombstones")), 9)
        theirs = lines(run("promtool", "tsdb", "dump", path))
        self.assertLess(len(theirs), len(want))
        self.assertEqual(lines(run(BLOCK_TOOL, "dump", block)), theirs)
        if os.path.isfile(PALLIUMCTL):
            self.verify(path, block)

    def verify(self, path, block):
        """palliumctl finds nothing in what Prometheus left behind (block, tombstones, WAL), and one changed byte."""
        p = subprocess.run([PALLIUMCTL, "tsdb", "verify", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual((p.returncode, p.stdout), (0, b""), p.stderr)
        chunks = os.path.join(block, "chunks", "000001")
        with open(chunks, "r+b") as f:
            f.seek(5000)
            byte = f.read(1)[0]
            f.seek(5000)
            f.write(bytes([byte ^ 16]))
        p = subprocess.run([PALLIUMCTL, "tsdb", "verify", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn(chunks + " at offset ", p.stdout.decode())

    def compare_matchers(self, api, block, matchers, span):
        theirs = self.ask(api + "/series", {"match[]": selector(matchers), **span})
        ours = lines(run(BLOCK_TOOL, "series", block, *tool_args(matchers)))
        self.assertEqual(len(ours), len(theirs))
        dump = {label_text(s) for s in theirs}
        self.assertEqual({label_text(self.parse(line)) for line in ours}, dump)
        names = self.ask(api + "/labels", {"match[]": selector(matchers), **span})
        self.assertEqual(lines(run(BLOCK_TOOL, "names", block, *tool_args(matchers))), sorted(names))
        for name in ("job", "id", "instance"):
            query = urllib.parse.urlencode({"match[]": selector(matchers), **span})
            values = json.loads(http(f"{api}/label/{name}/values?{query}")[2])["data"]
            self.assertEqual(lines(run(BLOCK_TOOL, "values", block, name, *tool_args(matchers))), sorted(values))

    def parse(self, line):
        """{a="b", c="d"} as printed; the texts in use are JSON strings too."""
        out, at = {}, 1
        while line[at] != "}":
            eq = line.index("=", at)
            value, end = json.JSONDecoder().raw_decode(line, eq + 1)
            out[line[at:eq]] = value
            at = end + 2 if line[end] == "," else end
        return out

    def compare_queries(self, api, want):
        matrix = self.ask(api + "/query", dict(query='{__name__="metric_0002",job="odd"}[75m]', time=START + 4500 - 1))
        got = []
        for series in matrix["result"]:
            for t, v in series["values"]:
                got.append((label_text(series["metric"]), round(t * 1000), float(v)))
        ours = []
        for line in want:
            labels, value, t = line.rsplit(" ", 2)
            if '__name__="metric_0002"' in labels and 'job="odd"' in labels and int(t) <= (START + 4500 - 1) * 1000:
                ours.append((label_text(self.parse(labels)), int(t), float(value)))
        key = lambda row: row[:2]
        stale_too = {key(r): r[2] for r in ours}
        self.assertGreater(len(got), 1000)
        for row in got:
            mine = stale_too[key(row)]
            self.assertTrue(mine == row[2] or (mine != mine and row[2] != row[2]), (row, mine))
        missing = set(stale_too) - {key(r) for r in got}
        self.assertTrue(all(stale_too[k] != stale_too[k] for k in missing), "a sample that is no stale marker is missing")


if __name__ == "__main__":
    unittest.main()
