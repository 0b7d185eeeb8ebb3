"""The playground in a real browser: run, pause, step, reset, the link, and what an animation must not break."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving import settle
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from ncore.store import create_store

pytestmark = pytest.mark.browser

LIVE = ".ncore-live"
SECONDS = 60_000  # milliseconds: a busy machine takes its time
SMALL = "play-points=50&play-layers=2&play-width1=2&play-width2=2"


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    store = tmp_path_factory.mktemp("stores") / "empty"
    create_store(store)
    return serve(store)


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails the test on a fault in JavaScript and on a request to anywhere else."""
    faults: list[str] = []
    opened = context.new_page()
    opened.set_default_timeout(SECONDS)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "request",
        lambda request: (
            None if re.match(r"(http|ws)://127\.0\.0\.1|data:|blob:", request.url) else faults.append(request.url)
        ),
    )
    yield opened
    opened.close()
    assert faults == []


def open_playground(page: Page, address: str, query: str = SMALL) -> None:
    """Open the page and wait for its first picture."""
    page.goto(f"{address}/playground?{query}")
    page.wait_for_selector(f"{LIVE}[data-frame] .nsewdrag")


def number(page: Page, label: str) -> Locator:
    return numbers(page, label).first


def numbers(page: Page, label: str) -> Locator:
    """What is said under this name, of each network."""
    return page.locator(f'.ncore-numbers div:has(dt:text-is("{label}")) dd')


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def steps(page: Page) -> int:
    return int(number(page, "Step").inner_text().replace(",", ""))


def wait_for_steps(page: Page, least: int) -> None:
    page.wait_for_function(
        """(least) => {
          const shown = document.querySelector(".ncore-numbers dd")?.innerText ?? "0";
          return Number(shown.replaceAll(",", "")) >= least;
        }""",
        arg=least,
    )


def test_step_run_pause_and_reset(page: Page, address: str) -> None:
    open_playground(page, address, f"{SMALL}&play-speed=5")
    first = number(page, "Training loss").inner_text()
    assert steps(page) == 0

    button(page, "Step").click()
    expect(number(page, "Step")).to_have_text("1", timeout=SECONDS)
    after_one = number(page, "Training loss").inner_text()
    button(page, "Step").click()
    expect(number(page, "Step")).to_have_text("2", timeout=SECONDS)

    # The same elements stay in the page while it runs, so nothing flickers.
    page.evaluate(f"() => document.querySelectorAll('{LIVE}').forEach((box) => (box.ncoreMark = 1))")
    boxes = page.locator(LIVE).count()
    button(page, "Run").click()
    expect(button(page, "Pause")).to_be_visible(timeout=SECONDS)
    expect(button(page, "Step")).to_be_disabled(timeout=SECONDS)
    wait_for_steps(page, 20)
    assert page.evaluate(f"() => [...document.querySelectorAll('{LIVE}')].filter((b) => b.ncoreMark).length") == boxes

    button(page, "Pause").click()
    expect(button(page, "Step")).to_be_enabled(timeout=SECONDS)
    settle(page)
    held = steps(page)
    assert held >= 20
    page.wait_for_timeout(1500)
    assert steps(page) == held

    button(page, "Reset").click()
    expect(number(page, "Step")).to_have_text("0", timeout=SECONDS)
    expect(number(page, "Training loss")).to_have_text(first)
    button(page, "Step").click()
    expect(number(page, "Training loss")).to_have_text(after_one, timeout=SECONDS)


def test_a_reset_while_it_runs_stops_it(page: Page, address: str) -> None:
    open_playground(page, address)
    button(page, "Run").click()
    wait_for_steps(page, 1)
    button(page, "Reset").click()
    expect(button(page, "Run")).to_be_visible(timeout=SECONDS)
    expect(number(page, "Step")).to_have_text("0", timeout=SECONDS)


def test_it_runs_by_keyboard_and_the_focus_stays(page: Page, address: str) -> None:
    open_playground(page, address)
    button(page, "Run").focus()
    page.keyboard.press("Enter")
    wait_for_steps(page, 1)
    expect(button(page, "Pause")).to_be_focused(timeout=SECONDS)
    page.keyboard.press("Space")
    expect(button(page, "Step")).to_be_enabled(timeout=SECONDS)
    expect(button(page, "Run")).to_be_focused()
    page.keyboard.press("Tab")
    expect(button(page, "Step")).to_be_focused()
    settle(page)
    before = steps(page)
    page.keyboard.press("Enter")
    wait_for_steps(page, before + 1)
    assert steps(page) == before + 1


def test_the_link_gives_another_browser_the_same_training(page: Page, browser: Browser, address: str) -> None:
    open_playground(page, address)
    button(page, "Network A").click()
    page.get_by_role("slider", name="Neurons of hidden layer 1").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("network A: 2-3-2-1")).to_be_visible(timeout=SECONDS)
    page.get_by_role("slider", name="Seed of the network").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("batch 10, seed 2")).to_be_visible(timeout=SECONDS)
    page.keyboard.press("Escape")
    button(page, "Data").click()
    page.get_by_role("slider", name="Noise").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("noise 0.15")).to_be_visible(timeout=SECONDS)
    page.keyboard.press("Escape")
    button(page, "Link").click()
    link = page.get_by_test_id("stCode").inner_text().strip()
    page.keyboard.press("Escape")
    for setting in ("play-width1=3", "play-seed=2", "play-noise=0.15", "play-points=50", "play-rate=0.1"):
        assert setting in link
    for _ in range(3):
        before = steps(page)
        button(page, "Step").click()
        expect(number(page, "Step")).to_have_text(str(before + 1), timeout=SECONDS)

    other = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    other.set_default_timeout(SECONDS)
    other.goto(link)
    other.wait_for_selector(f"{LIVE}[data-frame]")
    expect(other.get_by_text("network A: 2-3-2-1")).to_be_visible()
    for step in ("1", "2", "3"):
        button(other, "Step").click()
        expect(number(other, "Step")).to_have_text(step, timeout=SECONDS)
    for label in ("Training loss", "Test loss", "beta_eff"):
        assert number(other, label).inner_text() == number(page, label).inner_text()
    other.context.close()

    # The address of the page carries what was changed, too.
    assert "play-width1=3" in page.url
    page.reload()
    expect(page.get_by_text("network A: 2-3-2-1")).to_be_visible(timeout=SECONDS)


def test_zoom_is_kept_while_it_runs(page: Page, address: str) -> None:
    open_playground(page, address)
    chart = page.locator('[class*="st-key-chart-play-a-boundary"]')
    box = chart.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    page.mouse.up()
    ranges = f"() => document.querySelector('{LIVE}')._fullLayout.xaxis.range"
    page.wait_for_function(f"() => ({ranges})()[0] > -1.9")
    zoomed = page.evaluate(ranges)
    button(page, "Run").click()
    wait_for_steps(page, 10)
    page.wait_for_function(f"() => Number(document.querySelector('{LIVE}').dataset.frame) > 2")
    assert page.evaluate(ranges) == pytest.approx(zoomed)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_running_chart_looks_like_one_that_stands_still(browser: Browser, address: str, scheme: Any) -> None:
    page = browser.new_context(viewport={"width": 1440, "height": 2000}, color_scheme=scheme).new_page()
    page.set_default_timeout(SECONDS)
    settings = "play-layers=3&play-width1=8&play-width2=8&play-width3=8&play-test=true&play-start=60"
    open_playground(page, address, settings)
    boxes = page.locator(LIVE)
    expect(boxes).to_have_count(5)
    for box in boxes.all():
        box.scroll_into_view_if_needed()
        expect(box).to_have_attribute("data-frame", re.compile("."))
        still = picture(box)
        box.evaluate("(box) => box.ncoreShow({ ...box.ncoreGiven, moving: true })")
        expect(box).to_have_class(re.compile("ncore-painted"))
        painted = picture(box)
        box.evaluate("(box) => (box.querySelector('canvas').hidden = true)")
        key = box.get_attribute("data-key")
        assert difference(still, painted) < 0.15 * difference(still, picture(box)), key
    page.context.close()


def picture(box: Locator) -> np.ndarray:
    """Its pixels, without the finest details."""
    with Image.open(io.BytesIO(box.screenshot())) as image:
        return np.asarray(image.convert("RGB").reduce(4), dtype=float)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


def test_a_running_chart_under_the_pointer_says_what_it_shows(page: Page, address: str) -> None:
    open_playground(page, address)
    chart = page.locator('[class*="st-key-chart-play-a-boundary"]').locator(LIVE)
    button(page, "Run").click()
    expect(chart).to_have_class(re.compile("ncore-painted"), timeout=SECONDS)
    drag_layer = chart.locator(".nsewdrag").first
    drag_layer.hover()
    expect(chart).not_to_have_class(re.compile("ncore-painted"), timeout=SECONDS)
    expect(chart.locator(".hovertext").first).to_be_visible(timeout=SECONDS)
    page.mouse.move(5, 5)
    expect(chart).to_have_class(re.compile("ncore-painted"), timeout=SECONDS)
    button(page, "Pause").click()
    expect(chart).not_to_have_class(re.compile("ncore-painted"), timeout=SECONDS)


def test_a_click_on_a_neuron_shows_what_it_answers(page: Page, address: str) -> None:
    open_playground(page, address)
    plot = page.locator('[class*="st-key-chart-play-a-layers"]').locator(LIVE)
    plot.locator(".nsewdrag").first.wait_for()
    at: dict[str, Any] = plot.evaluate(
        """(box) => {
          const trace = box.data.find((each) => each.name === "neurons");
          const number = trace.hovertext.findIndex((name) => name.startsWith("neuron 1.1"));
          const { xaxis, yaxis } = box._fullLayout;
          const place = box.querySelector(".nsewdrag").getBoundingClientRect();
          return { x: place.x + xaxis.d2p(trace.x[number]), y: place.y + yaxis.d2p(trace.y[number]) };
        }"""
    )
    page.mouse.move(at["x"] + 3, at["y"] + 1)
    page.mouse.move(at["x"], at["y"], steps=3)
    expect(plot.get_by_text("neuron 1.1 (hidden layer 1)")).to_be_visible(timeout=SECONDS)
    page.mouse.click(at["x"], at["y"])
    expect(page.locator('[aria-label^="The output of neuron 1.1 over the plane"]')).to_be_visible(timeout=SECONDS)


def test_two_networks_learn_the_same_points_side_by_side(page: Page, address: str) -> None:
    open_playground(page, address, f"{SMALL}&play-two=true&play2-layers=0")
    expect(page.get_by_text("There is no line graph yet.")).to_be_attached()
    button(page, "Step").click()
    expect(numbers(page, "Step")).to_have_text(["1", "1"], timeout=SECONDS)


def test_a_picture_is_saved_as_png_svg_and_csv(page: Page, address: str) -> None:
    open_playground(page, address)
    chart = page.locator('[class*="st-key-chart-play-a-boundary"]')
    chart.locator(".nsewdrag").first.hover()
    for what, ending, starts in (
        (chart.get_by_label("Download plot as a PNG"), "png", b"\x89PNG"),
        (chart.get_by_label("Download plot as an SVG"), "svg", b"<svg"),
        (chart.get_by_role("button", name="Data as CSV"), "csv", b"x1,x2,answer"),
    ):
        with page.expect_download(timeout=SECONDS) as waiting:
            what.first.click()
        assert waiting.value.suggested_filename == f"ncore-decision-boundary.{ending}"
        assert Path(waiting.value.path()).read_bytes().startswith(starts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_into_800_pixels(browser: Browser, address: str, scheme: Any) -> None:
    page = browser.new_context(viewport={"width": 800, "height": 900}, color_scheme=scheme).new_page()
    page.set_default_timeout(SECONDS)
    open_playground(page, address)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 1
    width = page.locator(LIVE).first.evaluate("(box) => box.getBoundingClientRect().width")
    assert width > 350
    page.context.close()
