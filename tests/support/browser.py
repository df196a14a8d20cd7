"""A Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import subprocess
import time
from pathlib import Path

from support.needs import find_chromium

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0",
    "--disable-background-networking", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream", "--disable-dev-shm-usage", "--mute-audio",
)  # fmt: skip


class Browser:
    """One page of a browser; a context manager that ends it."""

    def __init__(self, folder: Path):
        from websockets.sync.client import connect

        profile = folder / "profile"
        self._process = subprocess.Popen(
            [find_chromium(), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        told = profile / "DevToolsActivePort"
        wait(lambda: told.exists() and len(told.read_text().splitlines()) == 2, "no browser")
        port, path = told.read_text().splitlines()
        self._open = contextlib.ExitStack()
        address = f"ws://127.0.0.1:{port}{path}"
        self._socket = self._open.enter_context(connect(address, max_size=None))
        self._numbers, self._session, self.events = itertools.count(1), None, []
        (page,) = [
            target for target in self.command("Target.getTargets")["targetInfos"]
            if target["type"] == "page"
        ]  # fmt: skip
        attached = self.command("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters) -> dict:
        """The result of a DevTools command; events that come before it are kept in `events`."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            found = json.loads(self._socket.recv(timeout=60))
            if found.get("id") == number:
                assert "error" not in found, found
                return found["result"]
            self.events.append(found)

    def go(self, address: str) -> None:
        self.command("Page.navigate", url=address)
        wait(lambda: self.run("document.readyState") == "complete", f"{address} does not load")

    def run(self, script: str):
        """The value of an expression of the page's; a promise is waited for."""
        found = self.command(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True,
            userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, seconds: float = 60):
        """The first value of `script` that is true."""
        return wait(lambda: self.run(script), f"never true: {script}", seconds)

    def choose(self, selector: str, *files: Path) -> None:
        """As a user who picks files in the dialogue of an input."""
        root = self.command("DOM.getDocument")["root"]["nodeId"]
        node = self.command("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.command("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.command(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key,
                windowsVirtualKeyCode=code, **text,
            )  # fmt: skip

    def look(self, width: int, scheme: str, height: int = 1000) -> None:
        """A window of so many pixels, `light` or `dark`."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.command("Emulation.setEmulatedMedia", features=[feature])

    def picture(self, path: str | Path) -> None:
        found = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(found["data"]))

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_) -> None:
        self._open.close()
        self._process.terminate()
        self._process.wait(20)


def wait(condition, words: str, seconds: float = 60):
    """What `condition()` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, words
        time.sleep(0.05)
    return found
