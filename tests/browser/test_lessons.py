"""The lesson on training as a learner goes through it: every screen by its one control, answered from its picture."""

from __future__ import annotations

import re
from typing import Any

import pytest
from driving import open_page, settle, until
from ncore_dashboard.learn.lessons import training
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

PATIENCE = 60_000  # milliseconds


def chart(name: str) -> str:
    return f'[class*="st-key-chart-lesson-"][class*="-{name}"] .ncore-live'


def look(page: Page, name: str, what: str) -> Any:
    """A property of a drawn chart, an expression in ``plot``."""
    return page.evaluate(f"() => {{ const plot = document.querySelector('{chart(name)}'); return {what}; }}")


def open_screen(page: Page, address: str, screen: int) -> None:
    open_page(page, f"{address}/learn?lesson=training&screen={screen}")
    page.locator(f"{chart('')}[data-frame] .main-svg").first.wait_for(timeout=PATIENCE)


def answer(page: Page, words: str) -> None:
    """Give an answer, and see that it is called right."""
    page.locator('[class*="-answer-box"]').get_by_text(words, exact=True).click()
    expect(page.get_by_text(re.compile(r"Yes\."))).to_be_visible(timeout=PATIENCE)


def test_step_by_step_everything_moves_together(page: Page, small: str) -> None:
    open_screen(page, small, 1)
    drawn = {
        "boundary": "JSON.stringify([...plot.calcdata[0][0].z].map((row) => [...row].map((z) => z.toFixed(3))))",
        "phase": "JSON.stringify(plot.calcdata.at(-1).map((point) => [point.x, point.y]))",
        "curves": "plot.calcdata[0].length",
        "layers": "plot.layout.images.map((image) => image.source).join()",
    }
    before = {name: look(page, name, what) for name, what in drawn.items()}
    losses = []
    for step in (100, 200, 300):
        page.get_by_role("button", name="100 steps").click()
        expect(page.get_by_test_id("stMetricValue").first).to_have_text(str(step), timeout=PATIENCE)
        page.locator(f"{chart('curves')}[data-frame='{step}']").wait_for(timeout=PATIENCE)
        losses.append(look(page, "curves", "plot.calcdata[0].at(-1).y"))
    for name, what in drawn.items():
        page.locator(chart(name)).scroll_into_view_if_needed()  # what is out of sight is drawn when it is seen
        assert until(lambda name=name, what=what: look(page, name, what), lambda seen, name=name: seen != before[name])
    assert losses == sorted(losses, reverse=True)
    answer(page, "It falls.")
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("0", timeout=PATIENCE)


def to_the_end(page: Page) -> None:
    page.get_by_role("slider", name="Training steps").focus()
    page.keyboard.press("End")
    page.locator(f"{chart('')}[data-frame='{training.LAST}']").first.wait_for(timeout=PATIENCE)


def test_synapses_come_to_rest(page: Page, small: str) -> None:
    open_screen(page, small, 2)
    height = "Math.max(...plot.calcdata.filter((trace) => trace[0].trace.mode === 'markers').flat()"
    highest = f"{height}.map((point) => Math.abs(point.y))) / plot._fullLayout.yaxis.range[1]"
    to_the_end(page)
    end = until(lambda: look(page, "phase", highest), lambda seen: seen < 0.1)
    wide = look(page, "phase", f"{height}.map((point) => Math.abs(point.x)))")
    assert end < 0.1  # of the picture's height: on the line
    assert wide > 1  # and at weights of all sizes
    answer(page, "To the horizontal line, at weights of all sizes.")


def test_beta_eff_falls(page: Page, small: str) -> None:
    open_screen(page, small, 3)
    to_the_end(page)
    values = until(
        lambda: look(page, "curves", "plot.data.find((trace) => trace.name === 'beta_eff') && plot.calcdata[2]"),
        lambda points: len(points) > 50,
    )
    course = [point["y"] for point in values]
    assert course[-1] < 0.25 * max(course)
    answer(page, "less than a quarter")


def test_a_low_beta_eff_is_no_proof(page: Page, small: str) -> None:
    open_screen(page, small, 4)
    page.get_by_text("huge (10)", exact=True).first.click()
    page.locator('[class*="st-key-chart-lesson-rate-10-curves"] .main-svg').first.wait_for(timeout=PATIENCE)
    settle(page)
    last = [look(page, "rate-10-curves", f"plot.calcdata[{number}].at(-1).y") for number in (0, 2)]
    assert last[0] > 0.7  # the loss, not lower than at the start
    assert last[1] < 0.005  # beta_eff
    assert "learn-training-rate=" in page.url
    answer(page, "huge (10)")


def test_terms_lead_to_their_definitions_and_formulas_are_rendered(page: Page, small: str) -> None:
    open_screen(page, small, 2)
    assert page.locator(".katex").count() >= 2
    page.get_by_role("link", name="phase plane").first.click()
    definition = page.get_by_role("heading", name="phase plane", exact=True)
    expect(definition).to_be_in_viewport(timeout=PATIENCE)
    assert "lesson=training" in page.url


def test_it_goes_by_keyboard(page: Page, small: str) -> None:
    open_screen(page, small, 2)
    page.get_by_role("slider", name="Training steps").focus()
    page.keyboard.press("ArrowRight")
    page.locator(f"{chart('phase')}[data-frame='{training.TIMES[1]}']").wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Next screen").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="beta_eff falls with the errors")).to_be_visible(timeout=PATIENCE)
    assert "screen=3" in page.url
