"""What the journeys have in common: opening pages, waiting until they have settled, and looking at charts."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Error, Page

PATIENCE = 120.0  # seconds; a machine can be busy
WIDE = {"width": 1440, "height": 1000}
READY = '[data-testid="stMain"] h1'
LESSONS = ("Learn", "Playground", "For teachers")  # pages that show no runs
HERE_ONLY = re.compile(r"(http|ws)://(127\.0\.0\.1|localhost)[:/]|data:|blob:|about:")
CHARTS = '[class*="st-key-chart-"]:not(.st-key-chart-views)'

# What the page is like, as a text that changes when it does; nothing while it is being drawn.
_SETTLED = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  if (!app || app.dataset.testScriptState !== "notRunning" || !document.querySelector('[data-testid="stMain"] h1'))
    return null;
  if (document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')) return null;
  const boxes = [...document.querySelectorAll('[class*="st-key-chart-"]:not(.st-key-chart-views)')];
  const drawn = (box) => box.querySelector(".js-plotly-plot .main-svg");  // some are drawn when they are scrolled to
  const below = (box) => !box.offsetParent || box.getBoundingClientRect().top > innerHeight;
  if (!boxes.every((box) => drawn(box) || below(box))) return null;
  const main = document.querySelector('[data-testid="stMain"]');
  if (main.innerText.match(/Read \\d+ of \\d+ epochs; the rest follows|Reading …/)) return null;
  return `${main.scrollHeight} ${main.getElementsByTagName("*").length} ${main.innerText.length}`;
}"""


def watched(page: Page, faults: list[str]) -> Page:
    """Write down what a page must never do."""
    page.set_default_timeout(1000 * PATIENCE)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: (faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request", lambda request: None if HERE_ONLY.match(request.url) else faults.append(f"request to {request.url}")
    )
    return page


def any_port() -> int:
    """A port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_page(page: Page, address: str) -> None:
    """Open an address and wait until all of the page is there."""
    page.goto(address)
    page.wait_for_selector(READY)
    settle(page)


def settle(page: Page, quiet: float = 0.5) -> None:
    """Wait until the app has been at rest, with all its charts drawn, for so many seconds."""
    end, since, before = time.monotonic() + PATIENCE, time.monotonic(), None
    while before is None or time.monotonic() - since < quiet:
        found = page.evaluate(_SETTLED)
        if found is None or found != before:
            since, before = time.monotonic(), found
        assert since < end, f"{page.url} does not come to rest"
        page.wait_for_timeout(50)


def pages_of(page: Page, address: str) -> dict[str, str]:
    """Addresses of all pages that the app has, by title, as its navigation says."""
    open_page(page, address)
    links = page.locator('[data-testid="stSidebarNavLink"]').all()
    return {link.inner_text().splitlines()[-1].strip(): str(link.get_attribute("href")) for link in links}


def until(look: Callable[[], Any], check: Callable[[Any], bool], seconds: float = PATIENCE) -> Any:
    """Look again and again until it is as wanted; what was seen."""
    end = time.monotonic() + seconds
    while True:
        try:
            seen = look()
        except Error:  # it is being replaced
            seen = None
        if seen is not None and check(seen):
            return seen
        assert time.monotonic() < end, f"after {seconds} s it is {seen}"
        time.sleep(0.05)


def drag(page: Page, chart: str) -> None:
    """Zoom into the middle of a chart."""
    area = page.locator(f"{chart} .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    page.mouse.up()
