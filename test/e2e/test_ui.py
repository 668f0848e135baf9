"""The page at / in a real browser: the start page, the editor and its completion, graph, heat map and table, the keyboard, errors,
tenants, phones, dark and light, nothing from elsewhere. Its number formats are tried by node. Screenshots go to E2E_SCREENSHOTS when that folder is given."""
import gzip
import json
import os
import shutil
import subprocess
import time
import unittest
import urllib.parse
from http.client import HTTPConnection

from browser import ALT, CTRL, SHIFT, Browser
from node import ROOT, Case, http, wait_for

READY = "document.getElementById('status').textContent.includes('series')"
# Pixels of the plot that are neither background nor grey ink: lines.
COLOURED = """(() => {
  const c = document.querySelector('#plot canvas');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let n = 0;
  for (let i = 0; i < d.length; i += 4)
    if (d[i + 3] > 128 && Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]) > 60) n++;
  return n;
})()"""
EXPR = "document.querySelector('#expr').innerText.trim()"
OFFERED = "[...document.querySelectorAll('.cm-tooltip-autocomplete li .cm-completionLabel')].map((e) => e.textContent)"
# Answers with histograms, made here: exponential buckets around zero, and custom ones.
HISTOGRAMS = """(() => {
  const real = window.fetch;
  const wave = (k) => ({ count: String(40 + k), sum: "12.5", buckets: [[1, "-2", "-1", "4"], [3, "-0.001", "0.001", "2"], [0, "0.5", "1", String(20 + k)],
    [0, "1", "2", "9"], [0, "2", "4", "5"]] });
  const custom = () => ({ count: "6", sum: "3", buckets: [[0, "-Inf", "0.1", "1"], [0, "0.1", "0.5", "2"], [0, "0.5", "+Inf", "3"]] });
  window.fetch = async (url, init) => {
    const q = new URLSearchParams(init && init.body || "");
    if (q.get("query") !== "made_up" || String(url).endsWith("parse_query")) return real(url, init);
    const rows = [["latency_seconds", wave], ["custom_seconds", custom]];
    const ranged = String(url).endsWith("query_range");
    const times = [];
    for (let t = Number(q.get("start")); ranged && t <= Number(q.get("end")); t += Number(q.get("step"))) times.push(t);
    const data = ranged
      ? { resultType: "matrix", result: rows.map(([n, f]) => ({ metric: { __name__: n }, histograms: times.map((t, k) => [t, f(k)]) })) }
      : { resultType: "vector", result: rows.map(([n, f]) => ({ metric: { __name__: n }, histogram: [Number(q.get("time")), f(0)] })) };
    return new Response(JSON.stringify({ status: "success", data }));
  };
})()"""
NAMELESS = """[...document.querySelectorAll('button, input, select, textarea, summary, a, [role=tab]')]
  .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length) || e.title))
  .map((e) => e.outerHTML.slice(0, 120))"""


class Page(Case):
    def setUp(self):
        super().setUp()
        self.browser = self.browse()

    def browse(self, **kw):
        b = Browser(**kw)
        self.addCleanup(b.close)
        return b

    def shot(self, name, browser=None):
        folder = os.environ.get("E2E_SCREENSHOTS") or self.folder
        data = (browser or self.browser).screenshot(os.path.join(folder, name + ".png"))
        self.assertGreater(len(data), 5000)

    def with_data(self, *flags, **kw):
        n = self.node(*flags, **kw).start()
        now = int(time.time() * 1000)
        headers = {"X-Scope-OrgID": "team-a"}
        status, _, body = n.push([({"__name__": "queue_length", "job": j}, [(now - k * 15000, 10 * i + k % 7) for k in range(40, 0, -1)])
                                  for i, j in enumerate(["a", "<img src=x onerror=document.title='hit'>"])], headers=headers)
        self.assertEqual(status // 100, 2, body)
        return n

    def keys(self, text):
        for c in text:
            self.browser.call("Input.dispatchKeyEvent", type="keyDown", key=c, text=c)
            self.browser.call("Input.dispatchKeyEvent", type="keyUp", key=c)

    def ask(self, text):
        """Replaces the expression, as one who types does."""
        self.browser.js("document.getElementById('expr').focus()")
        self.browser.press("a", CTRL)
        self.keys(text)

    def offered(self, want):
        return self.browser.until(f"(() => {{ const l = {OFFERED}; return l.includes({json.dumps(want)}) && l; }})()")

    def complaints(self):
        """All but answers with an error status, which the browser reports by itself."""
        return [c for c in self.browser.complaints() if "Failed to load resource" not in c]

    def test_start_page_shows_the_nodes_own_data(self):
        n = self.node("-self-scrape.interval=1s").start()
        b = self.browser
        b.open(n.url + "/")
        b.until("document.querySelectorAll('.card .uplot').length === 3", 90)
        texts = b.js("[...document.querySelectorAll('.card .big')].map((e) => e.textContent)")
        self.assertRegex(texts[2], r"^[\d.]+ [MG]B$")
        self.assertNotIn("\u2013", texts)
        self.assertIn(n.url + "/api/v1/push", b.js("document.getElementById('home').textContent"))
        self.assertEqual([], b.js(NAMELESS))
        self.assertEqual([], b.complaints())
        self.assertEqual([], [u for u in b.requested() if not u.startswith((n.url, "about:", "data:"))])
        self.shot("start-page")
        b.js("document.querySelector('.card button').click()")
        b.until(READY)
        b.until("(" + COLOURED + ") > 20")
        self.assertIn('job="pallium"', b.js(EXPR))
        self.assertTrue(b.js("document.getElementById('home').hidden"))
        self.shot("first-graph")

    def test_every_admin_link_leads_somewhere(self):
        n = self.node().start()
        self.browser.open(n.url + "/")
        links = self.browser.until("[...document.querySelectorAll('#admin a')].map((a) => a.href)")
        self.assertGreater(len(links), 5)
        for link in links:
            self.assertEqual(200, http(link)[0], link)
        for path in ("services", "admin", "distributor/all_user_stats"):
            self.browser.open(n.url + "/" + path)
            self.browser.until("document.querySelector('h1') && getComputedStyle(document.body).maxWidth === '960px'")
            self.assertEqual(n.url + "/", self.browser.js("document.querySelector('nav a').href"))
            self.shot("admin-" + path.replace("/", "-"))

    def test_keyboard_alone(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/")
        b.until("document.activeElement.id === 'expr'")
        self.ask("queue_length")
        b.press("Enter")
        b.until("document.querySelectorAll('.series').length === 2")
        self.assertIn("g0.expr=queue_length", b.js("location.hash"))
        b.press("2", ALT)
        b.until("document.querySelectorAll('#table tbody tr').length === 2")
        self.assertTrue(b.js("document.getElementById('panel-graph').hidden"))
        self.assertEqual("<img src=x onerror=document.title='hit'>", json.loads(
            b.js("document.querySelector('#table tbody tr:first-child td').textContent").split("job=")[1].rstrip("}")))
        self.assertNotEqual("hit", b.js("document.title"))
        b.js("document.getElementById('tab-table').focus()")
        b.press("ArrowLeft")
        b.until("document.activeElement.id === 'tab-graph' && document.getElementById('tab-graph').getAttribute('aria-selected') === 'true'")
        before = b.js("document.getElementById('range').value")
        b.press("=", ALT)
        b.until(f"document.getElementById('range').value !== {json.dumps(before)}")
        b.js("document.activeElement.blur()")
        b.press("/")
        b.until("document.activeElement.id === 'expr'")
        b.js("document.activeElement.blur()")
        b.press("?", SHIFT)
        b.until("document.getElementById('help').open")
        b.press("Escape")
        b.until("!document.getElementById('help').open")
        order = []
        b.js("document.getElementById('expr').focus()")
        for _ in range(14):
            b.press("Tab")
            order.append(b.js("document.activeElement.id || document.activeElement.tagName + ' ' + document.activeElement.textContent"))
        self.assertEqual("run", order[0])
        for want in ("tab-graph", "range", "end", "step"):
            self.assertIn(want, order)
        self.assertNotEqual("none", b.js("getComputedStyle(document.activeElement).outlineStyle"))

    def test_history(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/#g0.expr=queue_length&g0.tab=1")
        b.until(READY)
        self.ask("1 + 1")
        b.press("Enter")
        b.until("document.querySelector('#table .value')?.textContent === '2'")
        b.press("ArrowUp", CTRL)
        b.press("ArrowUp", CTRL)
        self.assertEqual("queue_length", b.js(EXPR))
        b.press("ArrowDown", CTRL)
        self.assertEqual("1 + 1", b.js(EXPR))
        b.js("document.querySelector('#history summary').click()")
        b.until("document.querySelectorAll('#history-list button').length === 2")

    def test_completion(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/")
        b.until("document.activeElement.id === 'expr'")
        self.ask("rat")
        self.assertEqual("rate", self.offered("rate")[0])
        b.until("document.querySelector('.cm-completionInfo')?.textContent.includes('rate(range vector) \u2192 instant vector')")
        b.press("Tab")
        self.assertEqual("rate()", b.js(EXPR))
        self.keys("queue_l")
        self.offered("queue_length")
        b.press("ArrowDown")
        b.press("ArrowUp")
        b.press("Enter")
        self.assertEqual("rate(queue_length)", b.js(EXPR))
        self.keys("{jo")
        self.offered("job")
        b.press("Tab")
        self.keys('="')
        self.offered("a")
        self.keys("a")
        b.press("Escape")
        b.until("!document.querySelector('.cm-tooltip-autocomplete')")
        self.assertEqual('rate(queue_length{job="a"})', b.js(EXPR))
        self.assertEqual("expr", b.js("document.activeElement.id"))
        self.shot("editor")
        self.ask("sum by (")
        self.offered("job")
        self.assertEqual([], self.complaints())

    def test_enter_takes_a_name_half_written_and_runs_a_whole_one(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/")
        b.until("document.activeElement.id === 'expr'")
        self.ask("queue_le")
        self.offered("queue_length")
        b.press("Enter")
        self.assertEqual("queue_length", b.js(EXPR))
        self.assertTrue(b.js("document.getElementById('panel-graph').hidden"))
        b.press("Enter")
        b.until("document.querySelectorAll('.series').length === 2")
        b.press("Enter", SHIFT)
        self.keys("+ 1")
        self.assertEqual("queue_length\n+ 1", b.js("[...document.querySelectorAll('.cm-line')].map((l) => l.textContent).join('\\n')"))
        b.press("Escape")
        b.press("Enter")
        b.until("location.hash.includes('queue_length%0A')")

    def test_the_servers_verdict_while_typing(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/")
        b.until("document.activeElement.id === 'expr'")
        self.ask("rate(queue_length)")
        b.until("document.querySelector('.cm-lintRange-error')?.textContent === 'queue_length'")
        self.assertIn("expected type range vector", b.js("document.getElementById('verdict').textContent"))
        self.ask('"\u00fc" + queue_length +* 2')
        b.until("document.querySelector('.cm-lintRange-error')?.textContent === '*'")  # bytes are not letters
        for text, kind in (("queue_length[5m]", "range vector"), ("1 + 2", "scalar"), ('"text"', "string"), ("sum(queue_length) > 1", "instant vector")):
            self.ask(text)
            b.until(f"document.getElementById('verdict').textContent === {json.dumps(kind)}")
        self.assertIsNone(b.js("document.querySelector('.cm-lintRange-error')"))

    def test_help_at_the_pointer(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/#" + urllib.parse.urlencode({"g0.expr": "sum(rate(queue_length[5m]))"}))
        b.until(READY)
        for word, text in (("rate", "rate(range vector) \u2192 instant vector"), ("sum", "sum: aggregation")):
            x, y = b.until(f"(() => {{ const e = [...document.querySelectorAll('#expr span')].find((s) => s.textContent === '{word}'); if (!e) return null;"
                           "const r = e.getBoundingClientRect(); return [r.x + 8, r.y + 8]; })()")
            b.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
            b.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
            b.until(f"document.querySelector('.cm-tooltip-hover')?.textContent.includes({json.dumps(text)})")

    def test_a_refresh_leaves_alone_what_is_being_typed(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/#g0.expr=queue_length")
        b.until(READY)
        b.js("(() => { const s = document.getElementById('refresh'); s.value = '5'; s.dispatchEvent(new Event('change')); })()")
        self.ask("sum(queue_")
        b.press("Escape")
        asked = len([u for u in b.requested() if u.endswith("query_range")])
        wait_for("a refresh", lambda: len([u for u in b.requested() if u.endswith("query_range")]) > asked)
        time.sleep(0.3)
        self.assertEqual("sum(queue_)", b.js(EXPR))
        self.assertIn("g0.expr=queue_length", b.js("location.hash"))
        self.assertEqual(2, b.js("document.querySelectorAll('.series').length"))
        self.assertTrue(b.js("document.getElementById('error').hidden"))

    def test_infinities_are_named(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/#" + urllib.parse.urlencode({"g0.expr": "-1/0"}))
        b.until(READY)
        self.assertEqual("-Inf", b.js("document.querySelector('.series .value').textContent"))
        self.assertIn("not finite (-Inf)", b.js("document.querySelector('.unfinite').textContent"))
        b.open(n.url + "/#" + urllib.parse.urlencode({"g0.expr": "time()"}))
        b.until("/^1[0-9]{9}$/.test(document.querySelector('.series .value')?.textContent)")
        self.assertIsNone(b.js("document.querySelector('.unfinite')"))

    def test_histograms_are_drawn(self):
        n = self.with_data()
        b = self.browser
        b.call("Page.addScriptToEvaluateOnNewDocument", source=HISTOGRAMS)
        b.open(n.url + "/#g0.expr=made_up")
        b.until("document.querySelectorAll('.heat').length === 2")
        b.until("(" + COLOURED.replace("'#plot canvas'", "'.heat .uplot canvas'") + ") > 5000")
        self.assertEqual("", b.js("document.getElementById('legend').textContent"))
        x, y = b.js("(() => { const r = document.querySelector('.heat .u-over').getBoundingClientRect(); return [r.x + r.width / 2, r.y + 4]; })()")
        b.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        b.until("document.querySelector('.heat .tip:not([hidden])')?.textContent.includes('(2, 4]')")
        self.shot("heat")
        b.press("2", ALT)
        b.until("document.querySelectorAll('#table .sketch').length === 2")
        self.assertIn("count 40, sum 12.5, mean 0.3125", b.js("document.querySelector('#table .histogram').textContent"))
        self.assertEqual([5, 3], b.js("[...document.querySelectorAll('.sketch')].map((s) => s.querySelectorAll('rect').length)"))
        self.assertIn("(0.5, ∞]", b.js("document.querySelectorAll('#table .histogram')[1].textContent"))
        self.shot("heat-table")
        self.assertEqual([], b.complaints())

    def test_phone(self):
        n = self.with_data()
        b = self.browser
        b.call("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)
        for hash in ("", "#g0.expr=queue_length", "#g0.expr=nothing_at_all"):
            b.open("about:blank")
            b.open(n.url + "/" + hash)
            b.until("document.activeElement.id === 'expr'")
            b.until(READY if hash else "document.querySelectorAll('.card').length === 3")
            self.assertEqual(400, b.js("document.documentElement.scrollWidth"), hash)
            for menu in ("admin", "history"):
                b.js(f"document.querySelector('#{menu} summary').click()")
                left, right = b.js(f"(() => {{ const r = document.querySelector('#{menu} > :not(summary)').getBoundingClientRect(); return [r.left, r.right]; }})()")
                self.assertGreaterEqual(left, 8, menu)
                self.assertLessEqual(right, 392, menu)
                b.js(f"document.getElementById('{menu}').open = false")
            self.shot("phone" + str(len(hash)))

    def test_more_series_than_are_drawn(self):
        n = self.node().start()
        now = int(time.time() * 1000)
        n.push([({"__name__": "wide", "i": str(i)}, [(now - 15000, i)]) for i in range(1100)])
        b = self.browser
        b.open(n.url + "/#g0.expr=wide")
        b.until(READY)
        self.assertEqual("The first 200 of 1,100 series are drawn; the table shows the first 1,000.", b.js("document.getElementById('notes').textContent"))

    def test_a_link_shows_the_same_elsewhere(self):
        n = self.with_data()
        expr = 'queue_length{job="a"} * 2'
        self.browser.open(n.url + "/#" + urllib.parse.urlencode({"g0.expr": expr, "g0.tab": "0", "g0.range_input": "1h", "g0.step_input": "30s"}))
        self.browser.until(READY)
        self.assertEqual(expr, self.browser.js(EXPR))
        self.assertEqual(["1h", "30s"], self.browser.js("['range', 'step'].map((i) => document.getElementById(i).value)"))
        self.assertIn("step 30s", self.browser.js("document.getElementById('status').textContent"))

    def test_errors_and_empty_answers_are_said(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/#g0.expr=sum(")
        b.until("!document.getElementById('error').hidden")
        self.assertIn("unclosed left parenthesis", b.js("document.getElementById('error').textContent"))
        self.shot("error")
        b.open(n.url + "/#g0.expr=nothing_at_all")
        b.until("!document.getElementById('empty').hidden")
        self.assertTrue(b.js("document.getElementById('error').hidden"))
        self.assertIn("No metric is called nothing_at_all.", b.js("document.getElementById('empty').textContent"))
        b.open(n.url + "/#g0.expr=sum(queu_lenght)")
        b.until("document.getElementById('empty').textContent.includes('Did you mean queue_length?')")
        self.shot("did-you-mean")
        b.js("document.querySelector('#empty button').click()")
        b.until("document.querySelectorAll('.series').length === 1")
        self.assertEqual("sum(queue_length)", b.js(EXPR))
        b.open(n.url + "/#" + urllib.parse.urlencode({"g0.expr": 'queue_length{job="none"}'}))
        b.until("document.getElementById('empty').textContent.includes('none that fits')")
        n.stop()
        b.js("document.getElementById('run').click()")
        b.until("document.getElementById('error').textContent.includes('cannot be reached')")

    def test_a_server_without_data_says_how_to_send_some(self):
        n = self.node().start()
        b = self.browser
        b.open(n.url + "/#g0.expr=up")
        b.until("!document.getElementById('empty').hidden")
        self.assertIn(n.url + "/api/v1/push", b.js("document.getElementById('empty').textContent"))

    def test_tenants(self):
        n = self.with_data("-auth.enabled=true")
        b = self.browser
        b.open(n.url + "/#g0.expr=queue_length")
        b.until("!document.getElementById('tenant-box').hidden")
        b.until("document.getElementById('error').textContent.includes('X-Scope-OrgID')")
        b.js("document.getElementById('tenant').focus()")
        b.type("team-a")
        b.press("Enter")
        b.until("document.querySelectorAll('.series').length === 2")

    def test_dark_and_light(self):
        n = self.with_data()
        b = self.browse(dark=True)
        b.open(n.url + "/#g0.expr=queue_length")
        b.until(READY)
        self.assertEqual("rgb(16, 22, 29)", b.js("getComputedStyle(document.body).backgroundColor"))
        b.until("(" + COLOURED + ") > 20")
        self.shot("dark", b)
        b.js("document.getElementById('theme').click()")
        self.assertEqual("rgb(246, 248, 250)", b.js("getComputedStyle(document.body).backgroundColor"))
        b.call("Page.reload")
        b.until(READY)
        self.assertEqual("rgb(246, 248, 250)", b.js("getComputedStyle(document.body).backgroundColor"))

    def test_behind_a_path_prefix(self):
        n = self.node("-server.path-prefix=/metrics-store", "-self-scrape.interval=1s")
        n.start(ready=False)
        wait_for("the node", lambda: http(n.url + "/metrics-store/ready")[0] == 200)
        self.browser.open(n.url + "/metrics-store/graph?g0.expr=up")
        self.browser.until("document.querySelectorAll('.series').length > 0", 30)
        self.assertEqual(n.url + "/metrics-store/", self.browser.js("location.href.split('#')[0]"))


class Files(Case):
    def test_types_caching_and_gzip(self):
        n = self.node().start()
        for path, kind in (("/", "text/html; charset=utf-8"), ("/ui/app.js", "text/javascript; charset=utf-8"),
                           ("/ui/app.css", "text/css; charset=utf-8"), ("/ui/icon.svg", "image/svg+xml")):
            status, head, plain = http(n.url + path)
            head = {k.lower(): v for k, v in head.items()}
            self.assertEqual((200, kind), (status, head["content-type"]), path)
            self.assertIn("default-src 'none'", head["content-security-policy"])
            status, _, body = http(n.url + path, headers={"If-None-Match": head["etag"]})
            self.assertEqual((304, b""), (status, body))
            status, zhead, packed = http(n.url + path, headers={"Accept-Encoding": "gzip"})
            self.assertEqual(plain, gzip.decompress(packed))
            self.assertLess(len(packed), 300 << 10)
        self.assertEqual({"api": "prometheus", "auth": False}, json.loads(http(n.url + "/ui/settings.json")[2]))
        self.assertEqual("image/x-icon", http(n.url + "/favicon.ico")[1]["Content-Type"])
        notices = http(n.url + "/ui/licenses.txt")[2].decode()
        for name in ("uplot", "@codemirror/view", "@prometheus-io/lezer-promql", "Apache License", "MIT License"):
            self.assertIn(name, notices)
        table = {f["name"]: f for f in json.loads(http(n.url + "/ui/functions.json")[2])}
        self.assertEqual((["range vector"], "instant vector"), (table["rate"]["args"], table["rate"]["result"]))
        self.assertTrue(all(f["doc"] for f in table.values()))
        self.assertEqual(404, http(n.url + "/ui/nothing")[0])
        self.assertEqual(405, http(n.url + "/", method="POST")[0])

    def test_links_of_alerts_lead_to_the_page(self):
        n = self.node().start()
        c = HTTPConnection("127.0.0.1", n.port, timeout=10)
        self.addCleanup(c.close)
        c.request("GET", "/graph?g0.expr=up%7Bjob%3D%22a%22%7D&g0.tab=1")
        r = c.getresponse()
        self.assertEqual((302, "./#g0.expr=up%7Bjob%3D%22a%22%7D&g0.tab=1"), (r.status, r.getheader("Location")))


class Formats(unittest.TestCase):
    """Pure functions of the page, by node."""

    def node(self, module, expression):
        if shutil.which("node") is None:
            self.skipTest("node is missing: apt-get install nodejs")
        code = f"import * as m from {json.dumps('file://' + os.path.join(ROOT, 'ui', 'src', module))}; console.log(JSON.stringify({expression}));"
        done = subprocess.run(["node", "--input-type=module", "-e", code], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    def test_no_two_lines_of_an_axis_read_the_same(self):
        for first, step in ((1796163000, 50), (102512, 0.2), (102500, 2.5), (1.5e9, 2.5e8), (0, 0.25), (1e-7, 1e-9), (-3e6, 1e6), (1e15, 1), (2e21, 1e19)):
            values = [first + i * step for i in range(8)]
            labels = self.node("format.js", f"m.axisNumbers({values}, {step})")
            self.assertEqual(8, len(set(labels)), labels)
        self.assertEqual(["0", "2.5 MB", "5.0 MB"], self.node("format.js", 'm.axisNumbers([0, 2.5e6, 5e6], 2.5e6, "B")'))
        self.assertEqual(["102,512.0", "102,512.2"], self.node("format.js", "m.axisNumbers([102512, 102512.2], 0.2)"))

    def test_numbers(self):
        self.assertEqual(["+Inf", "-Inf", "NaN", "0", "1.234k", "1e-9"], self.node("format.js", "[Infinity, -Infinity, NaN, 0, 1234, 1e-9].map(m.shortNumber)"))
        self.assertEqual(["+Inf", "0.3", "1796163850.123"], self.node("format.js", "[Infinity, 0.1 + 0.2, 1796163850.123].map(m.fullNumber)"))
        self.assertEqual([True, True, 1.5], self.node("format.js", '[m.parseValue("+Inf") === Infinity, m.parseValue("-Inf") === -Infinity, m.parseValue("1.5")]'))

    def test_places_of_buckets(self):
        made = "m.readBuckets({buckets: [[1, '-4', '-2', '1'], [3, '-0.5', '0.5', '1'], [0, '0.5', '1', '1'], [0, '8', '+Inf', '1']]})"
        places = self.node("buckets.js", f"(() => {{ const b = {made}; const s = m.bucketScale(b); return b.flatMap((x) => [s.lowOf(x), s.at(x.high)]); }})()")
        self.assertEqual(sorted(places), places)
        back = self.node("buckets.js", f"(() => {{ const s = m.bucketScale({made}); return [-4, -0.5, -0.1, 0, 0.2, 0.5, 3, 8].map((v) => s.value(s.at(v)) - v); }})()")
        self.assertTrue(all(abs(x) < 1e-12 for x in back), back)
        self.assertEqual(["[-4, -2)", "[-0.5, 0.5]", "(0.5, 1]", "(8, \u221e]"], self.node("buckets.js", f"{made}.map(m.bucketText)"))
        self.assertEqual([0, 1], self.node("buckets.js", "(() => { const s = m.bucketScale([]); return [s.low, s.high]; })()"))


if __name__ == "__main__":
    unittest.main()
