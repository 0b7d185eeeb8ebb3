"""The address of a page opens the same page, working set, epoch, method and view in another browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from driving import WIDE, open_page, settle, until, watched
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect

pytestmark = pytest.mark.browser

# What a page is set to, and what it says.
STATE = """() => {
  const main = document.querySelector('[data-testid="stMain"]');
  const all = (selector) => [...main.querySelectorAll(selector)];
  return {
    address: location.pathname,
    working_set: [...document.querySelectorAll('[data-testid="stSidebar"] [data-tag]')].map((tag) => tag.innerText),
    radios: all('[role="radio"][aria-checked="true"], input[type="radio"]:checked')
      .map((box) => (box.closest('label') ?? box).innerText),
    switches: all('[role="switch"], input[type="checkbox"]').map((box) => box.ariaChecked ?? box.checked),
    sliders: all('[role="slider"], input[type="range"]').map((knob) => knob.ariaValueText ?? knob.value),
    boxes: all('input[role="combobox"], input[type="search"]').map((box) => box.value),
    headings: all('h1, h2').map((title) => title.innerText),
    texts: all('[data-testid="stMarkdown"], [data-testid="stCaptionContainer"]').map((text) => text.innerText),
    charts: all('[class*="st-key-chart-"]').map((box) => [...box.classList].find((name) => name.startsWith('st-key'))),
  };
}"""


def address(page: Page) -> str:
    """As the browser shows it now."""
    return str(page.evaluate("location.href"))


def pick(page: Page, label: str, option: str, number: int = 0) -> None:
    """Choose in a box, and see the choice in the address."""
    before = address(page)
    box = page.get_by_role("combobox", name=label, exact=True).nth(number)
    wanted = page.get_by_role("option", name=option).first
    for _ in range(20):  # a list that is open when the page is drawn anew closes
        box.click()
        try:
            wanted.click(timeout=5_000)
            break
        except TimeoutError:
            page.keyboard.press("Escape")
            settle(page)
    until(lambda: address(page), lambda here: here != before)
    settle(page)


def radio(page: Page, group: str, name: str) -> None:
    """Choose one of a few, and see the choice in the address."""
    before = address(page)
    page.get_by_role("radiogroup", name=group).first.get_by_text(name, exact=True).click()
    until(lambda: address(page), lambda here: here != before)
    settle(page)


def move(page: Page, slider: str, key: str, times: int = 1) -> None:
    """Move a slider by keys."""
    knob: Locator = page.get_by_role("slider", name=slider).first
    for _ in range(times):
        settle(page)  # a key that meets a page being drawn anew goes to a slider that is on its way out
        before = address(page)
        knob.press(key)
        until(lambda: address(page), lambda here, before=before: here != before)
    settle(page)


def on_runs(page: Page) -> None:
    page.get_by_role("searchbox", name="Search").fill("digits")
    pick(page, "Sort by", "Candidate")
    expect(page.get_by_text("6 of 7 runs shown")).to_be_visible()


def on_ranking(page: Page) -> None:
    move(page, "As of epoch", "ArrowLeft")
    pick(page, "Prediction method", "Best accuracy")
    expect(page.get_by_text("As of epoch 5 of 6")).to_be_visible()


def on_capacitance(page: Page) -> None:
    radio(page, "Strength", "absolute")
    radio(page, "Scale", "log")
    page.get_by_text("By layer").click()
    expect(page.get_by_role("heading", name="By layer")).to_be_visible()
    move(page, "Fit the epochs up to", "ArrowRight")


def on_layer_graph(page: Page) -> None:
    move(page, "Epoch", "ArrowLeft", 2)
    radio(page, "Colour by", "Rate dw/dt")
    radio(page, "Detail", "Layers")
    pick(page, "From neuron", "4")
    expect(page.get_by_text("Synapse 4 →")).to_be_visible()


def on_dynamics(page: Page) -> None:
    move(page, "Epoch", "ArrowLeft", 2)
    pick(page, "Layer", "2 (")
    radio(page, "Which synapses", "Fastest now")
    expect(page.get_by_role("heading", name="Phase plane of layer 2")).to_be_visible()


def on_compare(page: Page) -> None:
    move(page, "As of epoch", "ArrowLeft")
    pick(page, "Prediction method", "Best accuracy")
    pick(page, "Second candidate", "dense")


def on_report(page: Page) -> None:
    move(page, "As of epoch", "ArrowLeft")
    pick(page, "Prediction method", "Best accuracy")


JOURNEYS = {
    "": on_runs,
    "ranking": on_ranking,
    "capacitance": on_capacitance,
    "layer_graph": on_layer_graph,
    "dynamics": on_dynamics,
    "compare": on_compare,
    "report": on_report,
}


@pytest.mark.parametrize("path", JOURNEYS)
def test_the_address_opens_the_same_in_another_browser(
    page: Page, browser: Browser, small: str, stores: dict[str, Path], path: str
) -> None:
    runs = [run.name for run in sorted(stores["small"].iterdir()) if run.name.startswith(chosen_on(path))]
    open_page(page, f"{small}/{path}?{'&'.join(f'runs=0~{run}' for run in runs)}")
    as_opened = page.evaluate(STATE)
    JOURNEYS[path](page)
    settle(page, 1)
    before: dict[str, Any] = page.evaluate(STATE)
    assert before != as_opened
    assert len(before["working_set"]) == len(runs)

    faults: list[str] = []
    other = browser.new_context(viewport=WIDE)
    second = watched(other.new_page(), faults)
    open_page(second, address(page))
    settle(second, 1)
    assert second.evaluate(STATE) == before
    other.close()
    assert faults == []


def chosen_on(path: str) -> tuple[str, ...]:
    """How the ids of the runs that are chosen there begin."""
    return ("probe",) if path in ("layer_graph", "dynamics") else ("resnet", "dense", "lenet")
