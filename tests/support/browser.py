"""A headless Chromium, driven through the pipe that it opens for that: two file descriptors, a JSON object a message.

https://chromedevtools.github.io/devtools-protocol/ lists the commands. Whatever a page says on its console, and
whatever it asks for, is kept.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package `chromium`)")
PATIENCE = 60  # seconds, for a page that does not answer


class Browser:
    """One page in a browser of its own."""

    def __init__(self, width=1200, height=1600, dark=False):
        self.console, self.requests = [], []
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self._to = os.pipe()  # the browser reads its commands from descriptor 3, and answers on 4
        self._from, to_write = os.pipe()
        arguments = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={self._folder.name}",
            f"--window-size={width},{height}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{to_read} 4>&{to_write}; exec "$@"', "bash", *arguments],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._rest, self._number, self._session = b"", 0, None
        (page,) = [one for one in self.command("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        target = {"targetId": page["targetId"], "flatten": True}
        self._session = self.command("Target.attachToTarget", **target)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.command(f"{domain}.enable")
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        if dark:
            self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        self._folder.cleanup()

    def command(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next_message()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next_message(self):
        while b"\0" not in self._rest:
            content = os.read(self._from, 1 << 20)
            assert content, "the browser has ended"
            self._rest += content
        message, _, self._rest = self._rest.partition(b"\0")
        event = json.loads(message)
        if event.get("method") == "Runtime.consoleAPICalled":
            self.console.append(str(event["params"]["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            self.console.append(str(event["params"]["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded":
            self.console.append(event["params"]["entry"]["text"])
        elif event.get("method") == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        return event

    def open(self, url):
        self.requests.clear()
        self.command("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        """Return the value of an expression in the page."""
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, condition):
        """Wait until a condition holds in the page."""
        holds = self.run(
            f"(async () => {{ const end = Date.now() + {1000 * PATIENCE}; while (!({condition}) && Date.now() < end)"
            f" await new Promise((next) => setTimeout(next, 20)); return Boolean({condition}); }})()"
        )
        assert holds, condition

    def middle_of(self, selector):
        """Return where the middle of an element is, which is scrolled into view."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{found}.scrollIntoView({{block: 'center'}})")
        return self.run(
            f"(({{left, top, width, height}}) => [left + width / 2, top + height / 2])({found}.getClientRects()[0])"
        )

    def point(self, selector):
        x, y = self.middle_of(selector)
        self.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector):
        x, y = self.middle_of(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name):
        for kind in ("keyDown", "keyUp"):
            self.command(
                "Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=KEYS.get(name, 0)
            )

    def type(self, text):
        self.command("Input.insertText", text=text)

    def text(self, selector="body"):
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def picture(self, file, whole=True):
        """Write a screenshot."""
        size = (
            {}
            if not whole
            else {"captureBeyondViewport": True, "clip": {**self._content(), "x": 0, "y": 0, "scale": 1}}
        )
        content = self.command("Page.captureScreenshot", format="png", **size)["data"]
        with open(file, "wb") as picture:
            picture.write(base64.b64decode(content))

    def _content(self):
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        return {"width": size["width"], "height": size["height"]}


KEYS = {
    "ArrowRight": 39,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowDown": 40,
    "Home": 36,
    "End": 35,
    "Tab": 9,
    "Enter": 13,
    " ": 32,
}
