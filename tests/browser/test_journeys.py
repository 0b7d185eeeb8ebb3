"""What people do with the dashboard, in a real browser."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import begin, record, write_epoch
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ncore.store import create_store

pytestmark = pytest.mark.browser

READY = '[data-testid="stMain"] h1'
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


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Six runs of three candidates, and runs with hostile names."""
    folder = tmp_path_factory.mktemp("stores")
    small, hostile = create_store(folder / "small"), create_store(folder / "hostile")
    for seed in (0, 1):
        for candidate, final in (("resnet", 0.95), ("lenet", 0.85), ("dense", 0.6)):
            record(small, candidate, final=final, seed=seed)
    record(hostile, "<b id='evil'>bold</b><script>alert(1)</script>", notes="<img src=x onerror=alert(2)>")
    record(hostile, "**md** :smile: $x^2$ %{x}<a href='javascript:alert(3)'>link</a>")
    return {"small": folder / "small", "hostile": folder / "hostile"}


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], stores: dict[str, Path]) -> str:
    return serve(stores["small"])


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What the pages of these tests share: a cache, so that scripts are loaded once."""
    opened = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails the test on a fault in JavaScript and on a request to anywhere else."""
    faults: list[str] = []
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("dialog", lambda dialog: (faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
    opened.on(
        "request",
        lambda request: (
            None if re.match(r"(http|ws)://127\.0\.0\.1|data:|blob:", request.url) else faults.append(request.url)
        ),
    )
    yield opened
    opened.close()
    assert faults == []


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(READY)


def mark_row(page: Page, row: int) -> None:
    """Click the box at the start of a row of the table of runs."""
    box = page.locator('[data-testid="stDataFrame"] canvas').first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 35 * (row + 1) + 17)


def drag(page: Page, chart: str) -> None:
    """Zoom into the middle of a chart."""
    box = page.locator(f"{chart} .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    page.mouse.up()


def wait_for(page: Page, check: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
    """Look at the chart until it is as wanted."""
    end = time.monotonic() + seconds
    while True:
        try:
            view: dict[str, Any] = page.evaluate(VIEW)
        except Exception:  # it is being replaced
            view = {}
        if view and check(view):
            return view
        assert time.monotonic() < end, f"after {seconds} s the chart is {view}"
        page.wait_for_timeout(100)


def test_browse_choose_rank_and_pass_the_link_on(page: Page, browser: Browser, address: str) -> None:
    open_page(page, address)
    page.wait_for_selector('[data-testid="stDataFrame"] canvas')
    expect(page.get_by_text("6 of 6 runs shown, 0 chosen")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("s0 resnet")
    expect(page.get_by_text("1 of 6 runs shown")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("")
    for number, row in enumerate((0, 2, 3), start=1):
        expect(page.get_by_text("6 of 6 runs shown")).to_be_visible()
        mark_row(page, row)
        expect(page.get_by_text(f"{number} chosen")).to_be_visible()
    assert page.url.count("runs=0~") == 3

    page.get_by_role("link", name="Ranking").click()
    expect(page.get_by_text("Showing your working set: 3 runs.")).to_be_visible()
    page.get_by_role("slider", name="As of epoch").press("ArrowRight")
    page.get_by_role("slider", name="As of epoch").press("ArrowRight")
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
        wait_for(page, lambda view: view["epochs"] == 4, 30)
        drag(page, CHART)
        page.locator(f"{CHART} .legendtoggle").first.click()
        before = wait_for(page, lambda view: view["hidden"] == ["dense"] and view["x"][0] > 0, 20)

        def as_before(view: dict[str, Any], hidden: list[str]) -> bool:
            same = all(view[axis] == pytest.approx(before[axis]) for axis in "xy")
            return same and view["hidden"] == hidden

        page.locator('[data-testid="stMain"]').evaluate("(main) => main.scrollTo(0, 250)")

        write_epoch(writer, 4)
        wait_for(page, lambda view: view["epochs"] == 5 and as_before(view, ["dense"]), 20)
        assert page.locator('[data-testid="stMain"]').evaluate("(main) => main.scrollTop") == pytest.approx(250, abs=2)

        # A trace is shown or hidden while a new epoch is on its way: before, while and after the chart is replaced.
        for epoch, milliseconds in enumerate((0, 600, 1200, 1800), start=5):
            write_epoch(writer, epoch)
            page.wait_for_timeout(milliseconds)
            hidden = [] if page.evaluate(VIEW)["hidden"] else ["dense"]
            page.locator(f"{CHART} .legendtoggle").first.click()
            wait_for(page, lambda view: view["epochs"] == epoch + 1 and as_before(view, hidden), 20)  # noqa: B023
            page.wait_for_timeout(700)  # what Plotly takes to tell a click from a double click
            assert as_before(page.evaluate(VIEW), hidden)

        # A double click gives the whole chart back, and keeps it so.
        page.locator(f"{CHART} .nsewdrag").first.dblclick()
        wait_for(page, lambda view: view["x"][1] > 8, 20)
        write_epoch(writer, 9)
        wait_for(page, lambda view: view["epochs"] == 10 and view["x"][1] > 9, 20)

    shutil.rmtree(tmp_path / "live" / writer.run_id)
    gone = f"() => !document.querySelector('{CHART}').textContent.includes('lenet')"
    page.wait_for_function(gone, timeout=20_000)


def test_names_of_runs_do_nothing(page: Page, serve: Callable[..., str], stores: dict[str, Path]) -> None:
    address = serve(stores["hostile"])
    keys = "&".join(f"runs=0~{path.name}" for path in stores["hostile"].iterdir() if path.is_dir())
    for path in ("/", "/capacitance"):
        open_page(page, f"{address}{path}?{keys}")
        if path != "/":
            page.wait_for_selector(".js-plotly-plot .nsewdrag")
            page.locator(".js-plotly-plot .nsewdrag").first.hover()
        else:
            page.get_by_text("Details of").first.click()
        page.wait_for_timeout(500)
        assert page.locator("#evil, img[src='x'], a[href^='javascript']").count() == 0


def test_a_chart_is_saved_as_png_svg_and_csv(page: Page, address: str) -> None:
    open_page(page, f"{address}/capacitance")
    chart = page.locator(CHART)
    chart.locator(".nsewdrag").first.hover()
    for button, ending, starts in (
        (chart.get_by_label("Download plot as a PNG"), "png", b"\x89PNG"),
        (chart.get_by_label("Download plot as an SVG"), "svg", b"<svg"),
        (chart.get_by_role("button", name="Data as CSV"), "csv", b"key,candidate,seed"),
    ):
        with page.expect_download() as waiting:
            button.first.click()
        assert waiting.value.suggested_filename == f"ncore-beta-eff-relative.{ending}"
        assert Path(waiting.value.path()).read_bytes().startswith(starts)
