"""Chromium without a window, driven over its DevTools pipe: pages opened, touched and pictured.

Only what a test of one page needs: no package beyond Chromium itself.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "chrome-headless-shell",
)
_PATIENCE_SECONDS = 60


def chromium_path() -> str | None:
    """Return a Chromium: of ``VIDRESTORE_CHROMIUM``, of the PATH, or of Playwright."""
    named = os.environ.get("VIDRESTORE_CHROMIUM")
    if named:
        return named
    for name in _NAMES:
        result = shutil.which(name)
        if result is not None:
            return result
    browsers = Path(
        os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache/ms-playwright")
    )
    for pattern in ("chromium-*/chrome-linux*/chrome", "chromium_headless_shell-*/*/*shell"):
        installed = sorted(browsers.glob(pattern))
        if installed:
            return str(installed[-1])
    return None


class Tab:
    """One page of a running Chromium."""

    def __init__(self, sent: int, received: int) -> None:
        self._sent, self._received = sent, received
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []

    def attach(self) -> None:
        """Open an empty page and listen to all it says."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": values}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._sent, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def open(self, page: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Show a file in a window of a size, and wait until it is drawn."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=page.absolute().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())
        self.settle()

    def settle(self) -> None:
        """Wait until images are decoded and changes are on the screen."""
        self.evaluate(
            "Promise.all([...document.images].map((each) => each.decode())).then(() => "
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))"
        )

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, *, code: int) -> None:
        """Press and let go a key, ``code`` being its virtual key code."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)
        self.settle()

    def drag(self, start_xy: tuple[float, float], end_xy: tuple[float, float]) -> None:
        """Move the mouse with its left button held; window coordinates."""
        button = {"button": "left", "clickCount": 1}
        x, y = start_xy
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **button)
        x, y = end_xy
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, buttons=1, **button)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, **button)
        self.settle()

    def point(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def box_of(self, selector: str) -> tuple[float, float, float, float]:
        """Scroll to an element and return its left, top, right and bottom in the window."""
        result = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect();"
            "return [box.left, box.top, box.right, box.bottom]; })()"
        )
        self.settle()
        return tuple(result)

    def screenshot(self) -> NDArray[np.uint8]:
        """Return the window as ``(h, w, 3)`` RGB."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def complaints(self) -> list[str]:
        """Return errors and warnings of the console, uncaught exceptions, blocked content."""
        result: list[str] = []
        for event in self.events:
            values = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                result.append(str(values["exceptionDetails"]))
            elif event.get("method") == "Runtime.consoleAPICalled":
                result.append(str(values["args"]))
            elif event.get("method") == "Log.entryAdded":
                result.append(str(values["entry"]["text"]))
        return result

    def requests(self) -> list[str]:
        """Return the addresses of all that was asked for, ``data:`` left out."""
        requested = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [address for address in requested if not address.startswith("data:")]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select([self._received], [], [], _PATIENCE_SECONDS)
            assert ready, "Chromium does not answer"
            data = os.read(self._received, 1 << 20)
            assert data, "Chromium is gone"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium_tab(program: str, profile: Path) -> Generator[Tab]:
    """Start Chromium with an empty profile and give a page of it; end it at the end."""
    to_child, sent = os.pipe()
    received, from_child = os.pipe()
    # Chromium reads commands from descriptor 3 and answers on 4.
    shell = f'exec 3<&{to_child} 4>&{from_child}; exec "$0" "$@"'
    options = (
        "--headless",
        "--remote-debugging-pipe",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-first-run",
        "--force-color-profile=srgb",
        f"--user-data-dir={profile}",
    )
    if os.geteuid() == 0:
        options += ("--no-sandbox",)  # it refuses to be root in its sandbox
    process = subprocess.Popen(
        ["bash", "-c", shell, program, *options],
        pass_fds=(to_child, from_child),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(to_child)
    os.close(from_child)
    try:
        tab = Tab(sent, received)
        tab.attach()
        yield tab
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(sent)
        os.close(received)
