"""Lessons as a learner goes through them: change the one thing, see the picture change, answer the question."""

from __future__ import annotations

import re
from typing import Any

import pytest
from driving import CHARTS, open_page, settle, until
from ncore_dashboard.learn.lessons.registry import lessons
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

#: Lesson, screen, the role and name of what one changes, and what is pressed on it, or None to click it.
CHANGES = [
    ("collapse", 1, "slider", "Pollinators lost (%)", "End"),
    ("collapse", 2, "slider", "Infection rate of a contact, R (per week)", "End"),
    ("collapse", 3, "radio", "links grow weak", None),
    ("synapses", 2, "slider", "Training steps", "End"),
    ("synapses", 3, "slider", "All errors are multiplied by", "Home"),
    ("forecast", 1, "slider", "Epochs seen", "End"),
    ("forecast", 2, "slider", "Epochs seen", "End"),
    ("forecast", 3, "slider", "Epochs seen", "End"),
    ("judging", 1, "slider", "Test examples", "End"),
    ("judging", 2, "radio", "turned round", None),
    ("judging", 3, "slider", "Stop all after epoch", "End"),
    ("limits", 1, "slider", "Training steps", "End"),
    ("limits", 2, "radio", "a star", None),
    ("limits", 3, "slider", "Seed of the first weights", "End"),
]
_DRAWN = f"""() => JSON.stringify([...document.querySelectorAll('{CHARTS} .js-plotly-plot')].map(
  (plot) => [plot.layout.shapes, plot.calcdata?.map((trace) => trace.map((point) => [point.x, point.y, point.z]))]
))"""


def answer(page: Page) -> None:
    """Try the answers, by keyboard, until one is right."""
    options = page.locator('[class*="-answer-box"]').get_by_role("radio")
    verdict = page.get_by_text(re.compile(r"\b(Yes|Not quite)\."))
    for number in range(options.count()):
        option = options.nth(number)
        until(lambda option=option: option.is_checked() or option.press(" ") or option.is_checked(), bool)
        expect(verdict).to_be_visible()
        settle(page)
        if "Yes." in verdict.inner_text():
            return
    pytest.fail("No answer is right.")


@pytest.mark.parametrize(("lesson", "screen", "role", "name", "key"), CHANGES)
def test_the_one_thing_changes_the_picture(
    page: Page, small: str, lesson: str, screen: int, role: Any, name: str, key: str | None
) -> None:
    open_page(page, f"{small}/learn?lesson={lesson}&screen={screen}")
    before = until(lambda: page.evaluate(_DRAWN), lambda drawn: len(drawn) > 50)
    control = page.get_by_role(role, name=name).first
    if key is None:
        control.click()
    else:
        control.focus()
        control.press(key)
    until(lambda: page.evaluate(_DRAWN), lambda drawn: drawn != before)
    settle(page)
    answer(page)


def test_a_synapse_is_chosen_by_a_click(page: Page, small: str) -> None:
    open_page(page, f"{small}/learn?lesson=synapses&screen=1")
    point = page.locator(f"{CHARTS} .scatterlayer .trace .points path").last  # the chosen one, in the line graph
    expect(point).to_be_visible()
    other = page.locator(f"{CHARTS} .subplot.x2y2 .scatterlayer .trace .points path").first
    box = other.bounding_box()
    assert box is not None
    before = page.get_by_role("combobox", name=re.compile("Synapse")).input_value()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(
        lambda: page.get_by_role("combobox", name=re.compile("Synapse")).input_value(), lambda chosen: chosen != before
    )
    settle(page)
    answer(page)
    assert "synapses-chosen=" in page.url


def test_through_a_lesson_and_into_the_next(page: Page, small: str) -> None:
    titles = [lesson.title for lesson in lessons().values()]
    open_page(page, f"{small}/learn")
    page.get_by_role("button", name="Begin").first.click()
    for _ in next(iter(lessons().values())).screens[1:]:
        page.get_by_role("button", name="Next screen").click()
        settle(page)
    page.get_by_role("button", name="Next lesson").click()
    expect(page.get_by_role("heading", name=titles[1], level=1)).to_be_visible()
    page.wait_for_url(re.compile(r"lesson=synapses&screen=1"))
    page.get_by_role("link", name="line graph").first.click()
    expect(page.locator("#word-line-graph")).to_be_in_viewport()


def test_the_link_for_a_class(page: Page, small: str) -> None:
    open_page(page, f"{small}/teachers?teachers-class=7")
    page.get_by_role("radio", name="2", exact=True).click()
    code = page.locator('[data-testid="stCode"]')
    expect(code).to_contain_text("screen=2")
    link = code.inner_text().strip()
    assert link.startswith(small)
    open_page(page, link)
    first = next(iter(lessons().values()))
    expect(page.get_by_role("heading", name=first.screens[1].title)).to_be_visible()
