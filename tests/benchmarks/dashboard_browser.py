"""What ``bench_dashboard.py`` measures with: servers, a Chromium, and clocks inside its pages."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 600_000  # milliseconds: of a million synapses, all epochs are read once

# The clock starts at a key, a click, or the navigation; it stops when everything that is waited for has been drawn
# anew and painted.
_CLOCK = """
window.begun = 0;
for (const kind of ["keydown", "pointerdown"])
  addEventListener(kind, () => { window.begun = performance.now(); }, { capture: true });
const plots = (key) => [...document.querySelectorAll(`[class*="st-key-chart-${key}"] .js-plotly-plot`)];
const drawn = (plot) => plot._fullData?.length && plot.querySelector(".main-svg");
window.markOld = () => { for (const node of document.querySelectorAll(".js-plotly-plot")) node.ncoreOld = true; };
window.allNew = (keys) => keys.every((key) => plots(key).some((plot) => drawn(plot) && !plot.ncoreOld));
window.until = (check) => new Promise((done) => {
  const look = () => check() ? setTimeout(() => done(performance.now() - window.begun)) : requestAnimationFrame(look);
  look();
});
"""


@dataclass
class Server:
    """A program that serves pages, until the block ends."""

    address: str
    process: subprocess.Popen[bytes]

    @property
    def megabytes(self) -> float:
        """The most memory that it has had, with its children, as far as the system tells (Linux)."""
        return sum(_peak(pid) for pid in _family(self.process.pid))


@contextlib.contextmanager
def serving(command: Sequence[str], environment: dict[str, str], port: int, health: str, log: Path) -> Iterator[Server]:
    """Run a server and wait until it answers at the path ``health``."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=file, stderr=file)
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + PATIENCE / 1000
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(address + health, timeout=5).close()
                    break
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{command[0]} does not serve: {log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield Server(address, process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A real Chromium: the one that NCORE_CHROMIUM names, or one on the path."""
    path = os.environ.get("NCORE_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        sys.exit("There is no Chromium: install it, or name it as NCORE_CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextlib.contextmanager
def tab(browser: Browser) -> Iterator[Tab]:
    """A page with nothing in its cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    try:
        yield Tab(context)
    finally:
        context.close()


class Tab:
    """A page, its clock, and the largest message that it was sent."""

    def __init__(self, context: BrowserContext) -> None:
        context.add_init_script(_CLOCK)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.largest = 0
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._weigh))

    def open(self, address: str, check: str) -> float:
        """Go to a page; seconds until ``check``, a JavaScript expression, is true."""
        self.page.goto(address, wait_until="commit")
        return self._until(check)

    def charts(self, action: Callable[[], object], keys: Sequence[str]) -> float:
        """Seconds from a key or a click until the charts of these keys are new."""
        self.page.evaluate("markOld()")
        action()
        return self._until(f"allNew({list(keys)})")

    def seconds(self, action: Callable[[], object], check: str) -> float:
        """Seconds from a key or a click until ``check``, a JavaScript expression, is true."""
        action()
        return self._until(check)

    def settle(self, check: str = "true") -> None:
        """Wait until the app is at rest: nothing runs, nothing is announced to follow."""
        self.page.wait_for_function(
            """() => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning"
                && !/the rest follows|Reading …/.test(document.body.innerText) && """
            + check
        )
        self.page.wait_for_timeout(300)

    def _until(self, check: str) -> float:
        return float(self.page.evaluate(f"until(() => {check})")) / 1000

    def _weigh(self, payload: str | bytes) -> None:
        self.largest = max(self.largest, len(payload))


class Busy:
    """How busy other programs kept the machine's cores inside the block, as far as the system tells (Linux)."""

    others = float("nan")

    def __enter__(self) -> Busy:
        self._ours: dict[int, float] = {}
        self._done = threading.Event()
        self._begun = time.monotonic(), _busy_seconds(), os.times()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()
        begun, busy, ours = self._begun
        mine = sum(self._ours.values()) + sum(os.times()[:2]) - sum(ours[:2])
        cores = os.cpu_count() or 1
        self.others = max(_busy_seconds() - busy - mine, 0) / (time.monotonic() - begun) / cores

    def _look(self) -> None:
        """Programs end: so what they took is noted every half second."""
        while not self._done.wait(0.5):
            self._ours.update({pid: _seconds_of(pid) for pid in _family(os.getpid())[1:]})


def any_port() -> int:
    """A port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(name for child in children for name in _family(int(child)))]
    return [pid]


def _busy_seconds() -> float:
    """Time that all cores together have been busy since the machine began."""
    with contextlib.suppress(OSError):
        user, nice, system, *_ = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
        return (user + nice + system) / os.sysconf("SC_CLK_TCK")
    return float("nan")


def _seconds_of(pid: int) -> float:
    """Time of the processors that a program has had."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _peak(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1000
    return 0.0
