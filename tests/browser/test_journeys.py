"""What people do with the dashboard, in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driving import drag, open_page, until
from made_up_runs import begin, record, write_epoch
from playwright.sync_api import Browser, Page, expect

from ncore.store import create_store

pytestmark = pytest.mark.browser

CHART = '[class*="st-key-chart-beta-"]'
VIEW = f"""() => {{
  const plot = document.querySelector('{CHART} .js-plotly-plot');
  const first = plot.calcdata.find((trace) => trace[0].trace.name === 'lenet');
  return {{
    x: plot._fullLayout.xaxis.range,
    y: plot._fullLayout.yaxis.range,
    hidden: plot.data.filter((trace) => trace.visible === 'legendonly').map((trace) => trace.name),
    epochs: first ? first.length : 0,
  }};
}}"""


def mark_row(page: Page, row: int) -> None:
    """Click the box at the start of a row of the table of runs."""
    box = page.locator('[data-testid="stDataFrame"] canvas').first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 35 * (row + 1) + 17)


def wait_for(page: Page, check: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Look at the chart until it is as wanted."""
    view: dict[str, Any] = until(lambda: page.evaluate(VIEW), check)
    return view


def test_browse_choose_rank_and_pass_the_link_on(page: Page, browser: Browser, small: str) -> None:
    open_page(page, small)
    page.wait_for_selector('[data-testid="stDataFrame"] canvas')
    expect(page.get_by_text("7 of 7 runs shown, 0 chosen")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("s0 resnet")
    expect(page.get_by_text("1 of 7 runs shown")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("")
    for number, row in enumerate((0, 2, 3), start=1):
        expect(page.get_by_text("7 of 7 runs shown")).to_be_visible()
        mark_row(page, row)
        expect(page.get_by_text(f"{number} chosen")).to_be_visible()
    assert page.url.count("runs=0~") == 3

    page.get_by_role("link", name="Ranking").click()
    expect(page.get_by_text("Showing your working set: 3 runs.")).to_be_visible()
    page.get_by_role("slider", name="As of epoch").press("ArrowLeft")
    expect(page.get_by_text("As of epoch 5 of 6")).to_be_visible()
    page.wait_for_url(re.compile(r"/ranking\?.*ranking-epoch=5"))
    assert page.url.count("runs=0~") == 3

    other = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    open_page(other, page.url)
    expect(other.get_by_text("As of epoch 5 of 6")).to_be_visible()
    expect(other.get_by_text("Showing your working set: 3 runs.")).to_be_visible()
    other.context.close()


def test_a_live_run_is_followed_without_losing_the_view(page: Page, serve: Callable[..., str], tmp_path: Path) -> None:
    opened = create_store(tmp_path / "live")
    record(opened, "dense", final=0.6)
    with begin(opened, "lenet", planned_epochs=30) as writer:
        for epoch in range(4):
            write_epoch(writer, epoch)
        open_page(page, serve(tmp_path / "live") + "/capacitance")
        page.wait_for_selector(f"{CHART} .nsewdrag")
        wait_for(page, lambda view: view["epochs"] == 4)
        drag(page, CHART)
        page.locator(f"{CHART} .legendtoggle").first.click()
        before = wait_for(page, lambda view: view["hidden"] == ["dense"] and view["x"][0] > 0)

        def as_before(view: dict[str, Any], hidden: list[str]) -> bool:
            same = all(view[axis] == pytest.approx(before[axis]) for axis in "xy")
            return same and view["hidden"] == hidden

        page.locator('[data-testid="stMain"]').evaluate("(main) => main.scrollTo(0, 250)")

        write_epoch(writer, 4)
        wait_for(page, lambda view: view["epochs"] == 5 and as_before(view, ["dense"]))
        assert page.locator('[data-testid="stMain"]').evaluate("(main) => main.scrollTop") == pytest.approx(250, abs=2)

        # A trace is shown or hidden while a new epoch is on its way: before, while and after the chart is replaced.
        for epoch, milliseconds in enumerate((0, 600, 1200, 1800), start=5):
            write_epoch(writer, epoch)
            page.wait_for_timeout(milliseconds)
            hidden = [] if page.evaluate(VIEW)["hidden"] else ["dense"]
            page.locator(f"{CHART} .legendtoggle").first.click()
            wait_for(page, lambda view: view["epochs"] == epoch + 1 and as_before(view, hidden))  # noqa: B023
            page.wait_for_timeout(700)  # what Plotly takes to tell a click from a double click
            assert as_before(page.evaluate(VIEW), hidden)

        # A double click gives the whole chart back, and keeps it so.
        page.locator(f"{CHART} .nsewdrag").first.dblclick()
        wait_for(page, lambda view: view["x"][1] > 8)
        write_epoch(writer, 9)
        wait_for(page, lambda view: view["epochs"] == 10 and view["x"][1] > 9)

    shutil.rmtree(tmp_path / "live" / writer.run_id)
    gone = f"() => !document.querySelector('{CHART}').textContent.includes('lenet')"
    page.wait_for_function(gone)


def test_steps_back_in_history_show_the_default_and_then_what_was_chosen(page: Page, small: str) -> None:
    """Streamlit leaves a page by way of its bare address, which so comes first on the way back."""
    open_page(page, f"{small}/ranking")
    epoch = page.get_by_role("slider", name="As of epoch")
    chosen = page.get_by_text(re.compile(r"^As of epoch \d of 6"))
    default = chosen.inner_text()
    epoch.press("ArrowLeft")
    expect(chosen).not_to_have_text(default)
    moved = chosen.inner_text()
    page.wait_for_url(re.compile("ranking-epoch="))
    page.get_by_role("link", name="Capacitance").click()
    expect(page.get_by_role("heading", name="Capacitance", level=1)).to_be_visible()
    page.go_back()
    expect(chosen).to_have_text(default)
    page.go_back()
    expect(chosen).to_have_text(moved)
