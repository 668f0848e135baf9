"""A headless Chromium spoken to over the DevTools pipe: no driver, no network port."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
import unittest

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--no-default-browser-check", "--hide-scrollbars", "--disable-extensions",
         "--remote-debugging-pipe", "--window-size=1280,900"]
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "ArrowRight": (39, ""), "ArrowLeft": (37, ""), "ArrowDown": (40, ""),
        "ArrowUp": (38, ""), " ": (32, " ")}
ALT, CTRL, SHIFT = 1, 2, 8


def chromium():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    raise unittest.SkipTest("chromium is missing: apt-get install chromium")


class Browser:
    def __init__(self, dark=False):
        self.profile = tempfile.mkdtemp(prefix="pallium-browser-")
        to_child, self.out = os.pipe()
        self.inp, from_child = os.pipe()
        args = [chromium(), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"]

        def place():
            # The browser reads commands at 3 and writes at 4; our ends may sit there, so both go out of the way first.
            a, b = os.dup(to_child), os.dup(from_child)
            high_a, high_b = 50, 51
            os.dup2(a, high_a)
            os.dup2(b, high_b)
            os.dup2(high_a, 3)
            os.dup2(high_b, 4)

        self.p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=place,
                                  pass_fds=(3, 4, to_child, from_child))
        os.close(to_child)
        os.close(from_child)
        self.next_id = 0
        self.buffer = b""
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        if dark:
            self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def close(self):
        for fd in (self.out, self.inp):
            os.close(fd)
        try:
            self.p.wait(10)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def read_message(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.time()
            if left <= 0 or not select.select([self.inp], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            data = os.read(self.inp, 1 << 20)
            if not data:
                raise AssertionError("the browser has ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.time() + 30
        while True:
            m = self.read_message(deadline)
            if m.get("id") == self.next_id:
                if "error" in m:
                    raise AssertionError(f"{method}: {m['error']}")
                return m["result"]
            if "method" in m:
                self.events.append((m["method"], m["params"]))

    def open(self, url):
        self.call("Page.navigate", url=url)

    def js(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise AssertionError(f"{expression}: {r['exceptionDetails']}")
        return r["result"].get("value")

    def until(self, expression, seconds=20):
        end = time.time() + seconds
        last = None
        while time.time() < end:
            try:
                last = self.js(expression)
            except AssertionError as e:
                last = e
            if last and not isinstance(last, AssertionError):
                return last
            time.sleep(0.05)
        raise AssertionError(f"never true: {expression} (last: {last}); page: {self.js('document.body.innerText')[:800]}")

    def press(self, key, modifiers=0):
        code, text = KEYS[key] if key in KEYS else (ord(key.upper()), key)
        if modifiers & (ALT | CTRL):
            text = ""
        base = dict(key=key, windowsVirtualKeyCode=code, modifiers=modifiers)
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **base)
        self.call("Input.dispatchKeyEvent", type="keyUp", **base)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        with open(path, "wb") as f:
            f.write(data)
        return data

    def complaints(self):
        """What the page wrote to the console as an error, and what broke its own policy."""
        self.js("0")
        out = []
        for method, p in self.events:
            if method == "Runtime.exceptionThrown":
                out.append(str(p["exceptionDetails"].get("exception", {}).get("description", p)))
            elif method == "Log.entryAdded" and p["entry"]["level"] == "error" and "favicon" not in p["entry"].get("url", ""):
                out.append(p["entry"]["text"] + " " + p["entry"].get("url", ""))
        return out

    def requested(self):
        self.js("0")
        return [p["request"]["url"] for method, p in self.events if method == "Network.requestWillBeSent"]
