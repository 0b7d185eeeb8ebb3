"""Everything can be done without a mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import open_page, settle
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
MOST = 150  # steps from one thing to another

FOCUSED = """() => {
  let item = document.activeElement;
  while (item?.shadowRoot?.activeElement) item = item.shadowRoot.activeElement;
  const box = item.getBoundingClientRect();
  const labelled = (item.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id));
  const said = [...labelled, item, item.labels?.[0]].map((part) => part?.innerText);
  const names = [item.ariaLabel, ...said];
  let opacity = 1;
  for (let above = item; above; above = above.parentElement) opacity *= Number(getComputedStyle(above).opacity);
  return {
    role: item.getAttribute('role') ?? item.type ?? item.tagName.toLowerCase(),
    tag: item.tagName.toLowerCase(),
    name: names.filter(Boolean).join(' ').replace(/\\s+/g, ' '),
    visible: box.width > 0 && opacity > 0.3,
  };
}"""


def tab_to(page: Page, name: str, tag: str, key: str = "Tab") -> None:
    """Press a key until this has the focus, and can be seen."""
    met = []
    for _ in range(MOST):
        page.keyboard.press(key)
        found = page.evaluate(FOCUSED)
        met.append((found["tag"], found["name"][:30]))
        if name in found["name"] and found["tag"] == tag:
            page.wait_for_function(f"() => ({FOCUSED})().visible")
            return
    raise AssertionError(f"{name!r} is never reached, only {met}")


def test_choose_runs_change_page_move_the_epoch_and_save(page: Page, small: str) -> None:
    open_page(page, small)
    tab_to(page, "Working set", "input")
    for text, number in (("resnet", 1), ("lenet", 2)):
        page.keyboard.type(text)
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"Working set: {number} run")).to_be_visible()
    page.keyboard.press("Escape")
    settle(page)

    tab_to(page, "Ranking", "a", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Showing your working set: 2 runs.")).to_be_visible()
    settle(page)

    tab_to(page, "As of epoch", "input")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("As of epoch 5 of 6")).to_be_visible()
    settle(page)

    tab_to(page, "What is this?", "button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="What is this?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="What is this?")).to_have_count(0)

    for name, ending in (("Download plot as a PNG", "png"), ("Data as CSV", "csv")):
        tab_to(page, name, "button")
        with page.expect_download() as waiting:
            page.keyboard.press("Enter")
        assert waiting.value.suggested_filename == f"ncore-forecast.{ending}"
        assert Path(waiting.value.path()).stat().st_size > 100
