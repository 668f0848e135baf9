"""The page at / in a real browser: the first screen, the keyboard, errors, tenants, dark and light, nothing from elsewhere.
Screenshots go to E2E_SCREENSHOTS when that folder is given."""
import json
import os
import time
import unittest
import urllib.parse

from browser import ALT, CTRL, SHIFT, Browser
from node import Case, http

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
        self.assertGreater(len(data), 10000)

    def with_data(self, *flags, **kw):
        n = self.node(*flags, **kw).start()
        now = int(time.time() * 1000)
        headers = {"X-Scope-OrgID": "team-a"}
        status, _, body = n.push([({"__name__": "queue_length", "job": j}, [(now - k * 15000, 10 * i + k % 7) for k in range(40, 0, -1)])
                                  for i, j in enumerate(["a", "<img src=x onerror=document.title='hit'>"])], headers=headers)
        self.assertEqual(status // 100, 2, body)
        return n

    def test_first_screen_graphs_the_nodes_own_data(self):
        n = self.node("-self-scrape.interval=1s").start()
        b = self.browser
        b.open(n.url + "/")
        b.until("document.querySelectorAll('.series').length > 0", 60)
        time.sleep(3)
        b.js("document.getElementById('run').click()")
        b.until(READY)
        b.until("(" + COLOURED + ") > 20")
        self.assertIn("process_resident_memory_bytes", b.js("document.getElementById('legend').textContent"))
        self.assertEqual([], b.js(NAMELESS))
        self.assertEqual([], b.complaints())
        self.assertEqual([], [u for u in b.requested() if not u.startswith((n.url, "about:", "data:"))])
        self.shot("first-screen")

    def test_every_admin_link_leads_somewhere(self):
        n = self.node().start()
        self.browser.open(n.url + "/")
        links = self.browser.until("[...document.querySelectorAll('#admin a')].map((a) => a.href)")
        self.assertGreater(len(links), 5)
        for link in links:
            self.assertEqual(200, http(link)[0], link)

    def test_keyboard_alone(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/")
        b.until("document.activeElement.id === 'expr'")
        b.press("a", CTRL)
        b.js("document.getElementById('expr').select()")
        b.type("queue_length")
        b.press("Escape")
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

    def test_history_and_suggestions(self):
        n = self.with_data()
        b = self.browser
        b.open(n.url + "/#g0.expr=queue_length&g0.tab=1")
        b.until(READY)
        b.js("document.getElementById('expr').select()")
        b.type("1 + 1")
        b.press("Enter")
        b.until("document.querySelector('#table .value')?.textContent === '2'")
        b.press("ArrowUp", CTRL)
        b.press("ArrowUp", CTRL)
        self.assertNotEqual("1 + 1", b.js("document.getElementById('expr').value"))
        b.js("document.getElementById('expr').select()")
        b.type("queue")
        b.press(" ", CTRL)
        b.until("!document.getElementById('suggest').hidden")
        b.press("ArrowDown")
        b.press("Enter")
        self.assertEqual("queue_length", b.js("document.getElementById('expr').value"))
        b.js("document.querySelector('#history summary').click()")
        b.until("document.querySelectorAll('#history-list button').length >= 1")

    def test_a_link_shows_the_same_elsewhere(self):
        n = self.with_data()
        expr = 'queue_length{job="a"} * 2'
        self.browser.open(n.url + "/#" + urllib.parse.urlencode({"g0.expr": expr, "g0.tab": "0", "g0.range_input": "1h", "g0.step_input": "30s"}))
        self.browser.until(READY)
        self.assertEqual([expr, "1h", "30s"], self.browser.js("['expr', 'range', 'step'].map((i) => document.getElementById(i).value)"))
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
        self.assertIn(n.url + "/api/v1/push", b.js("document.getElementById('empty').textContent"))
        n.stop()
        b.js("document.getElementById('run').click()")
        b.until("document.getElementById('error').textContent.includes('cannot be reached')")

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
        self.wait_until(lambda: http(n.url + "/metrics-store/ready")[0] == 200)
        self.browser.open(n.url + "/metrics-store/")
        self.browser.until("document.querySelectorAll('.series').length > 0", 30)

    def wait_until(self, check):
        from node import wait_for
        wait_for("the node", check)


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
            import gzip
            self.assertEqual(plain, gzip.decompress(packed))
            self.assertLess(len(packed), 150 << 10)
        self.assertEqual({"api": "prometheus", "auth": False}, json.loads(http(n.url + "/ui/settings.json")[2]))
        self.assertEqual(404, http(n.url + "/ui/nothing")[0])
        self.assertEqual(405, http(n.url + "/", method="POST")[0])


if __name__ == "__main__":
    unittest.main()
