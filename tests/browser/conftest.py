"""A real Chromium, the dashboard on ports of its own, and pages that fail their test when something is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ncore_dashboard.access.login import Login
from ncore_dashboard.app.launch import ADDRESS, command, environment

from ncore.store import create_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "dashboard")]  # driving, provider; made_up_runs, made_up_synapses

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
PATIENCE = 120_000  # milliseconds; a machine can be busy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give journeys a second chance, which pytest reports: a page may be drawn anew under a click, as for people."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


def chromium_path() -> str | None:
    """The browser: the one that NCORE_CHROMIUM names, or one on the path."""
    return os.environ.get("NCORE_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; without one the tests are skipped, but not where it has to be there."""
    path = chromium_path()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("There is no Chromium, but in continuous integration these tests must run.")
        pytest.skip("There is no Chromium: install it, or name it as NCORE_CHROMIUM.")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start the dashboard on stores; the address. The same stores are served once."""
    servers: dict[tuple[str, ...], tuple[subprocess.Popen[bytes], str]] = {}

    def start(*stores: Path | str, port: int = 0, login: Login | None = None, secrets: Path | None = None) -> str:
        from driving import any_port

        places = tuple(map(str, stores))
        if places in servers and login is None and servers[places][0].poll() is None:
            return servers[places][1]
        port = port or any_port()
        where = tmp_path_factory.mktemp("server")
        with (where / "log").open("wb") as log:
            server = subprocess.Popen(
                command(port, False, login, secrets),
                env=environment(places, login),
                stdin=subprocess.PIPE,  # with whose end the server ends, however the tests do
                stdout=log,
                stderr=log,
                cwd=where,
            )
        address = f"http://{ADDRESS}:{port}"
        servers[(*places, *([address] if login else []))] = server, address
        end = time.monotonic() + 120
        while time.monotonic() < end and server.poll() is None:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                return address
            except OSError:
                time.sleep(0.1)
        raise TimeoutError((where / "log").read_text())

    yield start
    for server, _ in servers.values():
        server.terminate()
    for server, _ in servers.values():
        server.communicate(timeout=30)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores that no test changes.

    ``small``: six runs of three candidates, and a run of which everything is recorded of each synapse. ``hostile``: the
    same kinds of runs, with names that try everything.
    """
    from made_up_runs import record
    from made_up_synapses import record_synapses

    folder = tmp_path_factory.mktemp("stores")
    small, hostile = create_store(folder / "small"), create_store(folder / "hostile")
    record_synapses(small, "probe", epochs=6, line_graph_every=1)
    for seed in (0, 1):
        for candidate, final in (("resnet", 0.95), ("lenet", 0.85), ("dense", 0.6)):
            record(small, candidate, final=final, seed=seed)
    names = (
        "<b id='evil'>bold</b><script>alert(1)</script>",
        "**md** :smile: $\\hbar^7$ %{x}<a href='javascript:alert(3)'>link</a> {{x}}",
        "\u202egnp.exe <img src=x onerror=alert(4)> " + "x" * 120,
    )
    data = "<img src=x onerror=alert(5)>|:red[data]|$\\hbar^7$"
    record_synapses(hostile, names[0], notes="<svg onload=alert(6)>")
    for name, final in zip(names, (0.9, 0.8, 0.7), strict=True):
        record(hostile, name, final=final, dataset=data, notes="<img src=x onerror=alert(2)>", epochs=4)
    return {"small": folder / "small", "hostile": folder / "hostile"}


@pytest.fixture(scope="session")
def small(serve: Callable[..., str], stores: dict[str, Path]) -> str:
    """Address of the dashboard on the store ``small``."""
    return serve(stores["small"])


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What the pages of a module share: a cache, so that scripts are loaded once."""
    from driving import WIDE

    opened = browser.new_context(viewport=WIDE, accept_downloads=True)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails the test on a fault in JavaScript, on a dialog and on a request to anywhere else."""
    from driving import watched

    faults: list[str] = []
    opened = watched(context.new_page(), faults)
    yield opened
    opened.close()
    assert faults == []
