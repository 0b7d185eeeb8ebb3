"""Every chart of every page can be saved and read aloud, and every number can be asked what it is."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from driving import CHARTS, LESSONS, open_page, pages_of, settle
from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

# For each chart: its key, what it offers, and the heading above it with what that explains.
LOOK = """() => [...document.querySelectorAll('[class*="st-key-chart-"]:not(.st-key-chart-views)')]
  .filter((box) => box.offsetParent).map((box) => {
  const labels = [...box.querySelectorAll('.modebar-btn')].map((button) => button.getAttribute('aria-label') ?? '');
  const before = (a, b) => a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING;
  const last = (items) => items.filter((item) => before(item, box)).pop();
  const heading = last([...document.querySelectorAll('[data-testid="stMain"] h2')]);
  const help = last([...document.querySelectorAll('[data-testid="stPopoverButton"]')]
    .filter((button) => button.innerText.includes('What is this?')));
  const plot = box.querySelector('.js-plotly-plot');
  const axes = Object.entries(plot._fullLayout).filter(([name]) => /^[xy]axis\\d*$/.test(name)).map(([, axis]) => axis);
  return {
    key: [...box.classList].find((name) => name.startsWith('st-key-chart-')),
    png: labels.some((label) => label.includes('PNG')),
    svg: labels.some((label) => label.includes('SVG')),
    csv: box.innerText.includes('Data as CSV'),
    alt: box.querySelector('[role="figure"]')
      ?.getAttribute('aria-label') ?? '',
    heading: heading?.innerText ?? '',
    explained: Boolean(heading && help && before(heading, help)),
    titled: axes.some((axis) => axis.title?.text) || !axes.some((axis) => axis.visible),
  };
})"""

UNEXPLAINED = """() => [...document.querySelectorAll('[data-testid="stMetric"]')]
  .filter((metric) => !metric.querySelector('[data-testid="stTooltipIcon"], [data-testid="stTooltipHoverTarget"]'))
  .map((metric) => metric.innerText)"""


def test_every_chart_can_be_saved_heard_and_asked_about(page: Page, small: str) -> None:
    wrong: list[Any] = []
    charts = 0
    page.set_viewport_size({"width": 1440, "height": 5000})  # charts of the lessons are drawn when they are seen
    for title, address in pages_of(page, small).items():
        open_page(page, address)
        tabs = page.get_by_role("tab").all()
        for tab in tabs or [None]:
            if tab is not None:
                tab.click()
                settle(page)
            for chart in page.evaluate(LOOK):
                charts += 1
                lacking = [name for name in ("png", "svg", "csv", "titled") if not chart[name]]
                if title not in LESSONS and not chart["explained"]:
                    lacking.append("explained")
                if lacking or len(chart["alt"]) < 20:
                    wrong.append((title, chart["key"], lacking, chart["alt"]))
        if title not in LESSONS:  # they link words to their own glossary
            wrong += [(title, metric, "is not explained") for metric in page.evaluate(UNEXPLAINED)]
    assert charts >= 15
    assert wrong == []


@pytest.mark.parametrize("path", ["ranking", "capacitance", "layer_graph", "dynamics", "compare"])
def test_what_is_saved_is_the_chart(page: Page, small: str, path: str) -> None:
    open_page(page, f"{small}/{path}")
    chart = page.locator(CHARTS).first
    chart.locator(".main-svg").first.hover(force=True)
    assert saved(page, chart.get_by_label("Download plot as a PNG"), "png").startswith(b"\x89PNG")
    drawn = saved(page, chart.get_by_label("Download plot as an SVG"), "svg")
    assert drawn.startswith(b"<svg")
    assert len(drawn) > 2000
    table = pd.read_csv(io.BytesIO(saved(page, chart.get_by_role("button", name="Data as CSV"), "csv")))
    assert len(table) >= 2
    assert table.notna().any().sum() >= 3


def saved(page: Page, button: Locator, ending: str) -> bytes:
    """What a click on the button downloads, under a name of ours."""
    with page.expect_download() as waiting:
        button.first.click()
    assert re.fullmatch(rf"ncore-[a-z0-9-]+\.{ending}", waiting.value.suggested_filename)
    return Path(waiting.value.path()).read_bytes()


def test_a_chart_takes_the_place_of_another_at_once(page: Page, small: str) -> None:
    """The one before must not be drawn again on its way out: with 50 runs that takes longer than the new one."""
    open_page(page, f"{small}/capacitance")
    page.evaluate(
        """() => {
          const plots = () => [...document.querySelectorAll(".js-plotly-plot")];
          const before = new Set(plots());
          window.put = new Set();
          new MutationObserver(() => plots().filter((plot) => !before.has(plot) && plot.layout?.meta)
            .forEach((plot) => window.put.add(plot.layout.meta.key)))
            .observe(document.body, { childList: true, subtree: true });
        }"""
    )
    page.get_by_text("absolute", exact=True).first.click()
    page.wait_for_url("**capacitance-strength=absolute**")
    settle(page)
    assert {key.split("-")[1] for key in page.evaluate("[...window.put]")} == {"absolute"}
