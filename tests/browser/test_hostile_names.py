"""Names, notes and datasets of runs are text on every page, whatever they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from driving import CHARTS, open_page, pages_of, settle
from playwright.sync_api import Frame, Page

pytestmark = pytest.mark.browser
# What would be there if a name were read as HTML, Markdown or LaTeX.
DANGER = """() => [
  ...document.querySelectorAll('#evil, img[src="x"], svg[onload], [onerror], a[href^="javascript"]'),
  ...[...document.querySelectorAll('strong')].filter((item) => item.innerText === 'md'),
  ...[...document.querySelectorAll('.katex annotation')].filter((item) => item.textContent.includes('hbar')),
].map((item) => item.outerHTML.slice(0, 200))"""


def dangers(frame: Page | Frame) -> list[str]:
    found: list[str] = frame.evaluate(DANGER)
    return found


def test_names_do_nothing_on_any_page(page: Page, serve: Callable[..., str], stores: dict[str, Path]) -> None:
    """A dialog, a request to elsewhere and a fault in JavaScript fail it too, by the fixture ``page``."""
    runs = sorted(path.name for path in stores["hostile"].iterdir() if path.is_dir())
    chosen = "&".join(f"runs=0~{run}" for run in runs)
    names = {}
    for title, where in pages_of(page, serve(stores["hostile"])).items():
        open_page(page, f"{where}?{chosen}")
        if title == "Runs":
            for box in page.get_by_text("Details of").all():
                box.click()
            page.get_by_role("button", name="Filter").click()
            settle(page)
        for chart in page.locator(CHARTS).all()[:2]:
            chart.locator(".nsewdrag").first.hover(force=True)
        names[title] = [danger for frame in page.frames for danger in dangers(frame)]
    assert names == {title: [] for title in names}
