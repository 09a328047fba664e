"""A page in headless Chromium, through its DevTools protocol: what it asks for, what it complains about, its sizes."""

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import requests
import websocket

SECONDS = 30  # for Chromium to start, and for each answer
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def chromium() -> str | None:
    """The browser's program, if one is installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


needs_chromium = pytest.mark.needs_package("chromium", chromium() or "chromium")


class Page:
    """One page, loaded in a window of this width; ends its browser when the block ends."""

    def __init__(self, address: Path | str, width: int):
        self.address = address if isinstance(address, str) else address.resolve().as_uri()
        self.width = width
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._number = 0

    def __enter__(self) -> "Page":
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-port=0",
        ]
        quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        self._browser = subprocess.Popen(
            [chromium() or "", *options, *quiet, f"--user-data-dir={self._profile.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._connect()
            self._load()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.terminate()
        self._browser.wait(SECONDS)
        self._profile.cleanup()

    def _connect(self) -> None:
        """Wait for the port that Chromium chose, and open the socket of its first tab."""
        announced, end = Path(self._profile.name, "DevToolsActivePort"), time.monotonic() + SECONDS
        while not (announced.exists() and announced.read_text().count("\n")):
            assert self._browser.poll() is None, "Chromium ended before it listened"
            assert time.monotonic() < end, "Chromium does not listen"
            time.sleep(0.05)
        port = announced.read_text().splitlines()[0]
        tabs = requests.get(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS).json()
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        self._socket = websocket.create_connection(address, timeout=SECONDS, suppress_origin=True)

    def _load(self) -> None:
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")
        size = {"width": self.width, "height": 900, "deviceScaleFactor": 1, "mobile": self.width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self._loaded = False
        self.call("Page.navigate", url=self.address)
        while not self._loaded:
            self._read()
        self.evaluate("Promise.all([...document.images].map(image => image.decode())).then(() => true)")

    def _read(self) -> dict[str, Any]:
        """The next message; what it says of requests and complaints is kept."""
        message = json.loads(self._socket.recv())
        method, said = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown" or (
            method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning")
        ):
            self.complaints.append(json.dumps(said))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(said["entry"]["text"])
        return message

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while (message := self._read()).get("id") != self._number:
            pass
        assert "error" not in message, message
        return message["result"]

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")
