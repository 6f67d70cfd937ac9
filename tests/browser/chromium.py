"""Headless Chromium, driven over its DevTools protocol (two pipes, JSON messages that end in NUL).

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

CHROMIUM = shutil.which("chromium")
TIMEOUT_S = 60.0
# Pipes 3 and 4 are where Chromium looks for them. Root cannot have its sandbox.
_START = 'exec "$0" "$@" 3<&{to} 4>&{back}'
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


class Page:
    """One tab. `faults` are what the console, the network and the page's scripts complain of."""

    def __init__(self, to: int, back: int) -> None:
        self.faults: list[str] = []
        self._to = to
        self._back = back
        self._number = 0
        self._held = b""
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Do one thing and return what comes of it."""
        self._number += 1
        message: dict[str, object] = {
            "id": self._number,
            "method": method,
            "params": parameters,
        }
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of this size: a phone if it is narrow."""
        is_phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=is_phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page says
        """Return the JSON value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page says
        """Return the expression's value as soon as it has one that is true."""
        end_s = time.monotonic() + TIMEOUT_S
        while True:
            with suppress(RuntimeError):  # of a page that is not there yet
                value = self.evaluate(expression)
                if value:
                    return value
            if time.monotonic() > end_s:
                text = self.evaluate("document.documentElement.outerHTML")
                raise TimeoutError(f"{expression} never came true; {self.faults}\n{text}")
            time.sleep(0.05)

    def screenshot(self) -> bytes:
        """Return a PNG of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        return base64.b64decode(data)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._back], [], [], TIMEOUT_S)
            part = os.read(self._back, 1 << 20) if ready else b""
            if not part:
                raise TimeoutError("Chromium does not answer")
            self._held += part
        line, _, self._held = self._held.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded":
            entry = parameters["entry"]
            self.faults.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
        elif method == "Runtime.consoleAPICalled":
            self.faults.append(json.dumps(parameters["args"]))


@contextmanager
def browsing() -> Iterator[Page]:
    """Give a tab of a browser that knows nothing, and forgets everything."""
    assert CHROMIUM is not None
    theirs_in, to = os.pipe()
    back, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        start = _START.format(to=theirs_in, back=theirs_out)
        browser = subprocess.Popen(
            ["bash", "-c", start, CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Page(to, back)
        finally:
            os.close(to)
            os.close(back)
            browser.terminate()
            try:
                browser.wait(20)
            except subprocess.TimeoutExpired:
                browser.kill()
                browser.wait()
            # What it leaves running for a moment may still write there.
            time.sleep(0.2)
