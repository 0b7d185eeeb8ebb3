"""A real Chromium, and the dashboard on a port of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard.launch import ADDRESS, command, environment, free_port

sys.path.insert(0, str(Path(__file__).parent.parent / "dashboard"))  # made_up_runs

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium_path() -> str | None:
    """The browser: the one that NCORE_CHROMIUM names, or one on the path."""
    return os.environ.get("NCORE_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium; without one the tests are skipped, but not where it has to be there."""
    path = chromium_path()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("There is no Chromium, but in continuous integration these tests must run.")
        pytest.skip("There is no Chromium: install it, or name it as NCORE_CHROMIUM.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start the dashboard on stores; the address."""
    servers: list[subprocess.Popen[bytes]] = []

    def start(*stores: Path) -> str:
        port = free_port(8740 + len(servers))
        where = tmp_path_factory.mktemp("server")
        with (where / "log").open("wb") as log:
            server = subprocess.Popen(
                command(port, browser=False),
                env=environment([str(store) for store in stores]),
                stdout=log,
                stderr=log,
                cwd=where,
            )
        servers.append(server)
        address = f"http://{ADDRESS}:{port}"
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                return address
            except OSError:
                time.sleep(0.1)
        raise TimeoutError((where / "log").read_text())

    yield start
    for server in servers:
        server.terminate()
    for server in servers:
        server.wait(10)
