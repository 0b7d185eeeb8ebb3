"""axe finds no serious or critical violation on any page, in light or dark, with its boxes closed and open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from driving import WIDE, open_page, pages_of, settle, until
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ncore.store import create_store

pytestmark = pytest.mark.browser
SEVERE = {"serious", "critical"}
WHITE = "rgb(255, 255, 255)"


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport=WIDE, color_scheme="light")
    yield opened
    opened.close()


def faults(page: Page, where: str) -> list[str]:
    """What axe finds, a line for each element."""
    return [
        f"{where}: {fault['id']} ({fault['impact']}): {node['html'][:300]}"
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in SEVERE
        for node in fault["nodes"][:5]
    ]


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"))


def test_no_page_has_a_serious_fault(page: Page, small: str) -> None:
    found = []
    pages = pages_of(page, small)
    assert len(pages) >= 7
    for title, address in pages.items():
        page.emulate_media(color_scheme="light")
        open_page(page, address)
        assert background(page) == WHITE
        found += faults(page, title)
        page.emulate_media(color_scheme="dark")
        until(lambda: background(page), lambda colour: colour != WHITE)
        settle(page)
        found += faults(page, f"{title}, dark")
    assert found == []


def test_nor_when_runs_are_chosen_or_cannot_be_read(
    page: Page, serve: Callable[..., str], stores: dict[str, Path], tmp_path: Path
) -> None:
    create_store(tmp_path / "broken")
    (tmp_path / "broken" / "a_run").mkdir()
    (tmp_path / "broken" / "a_run" / "run.json").write_text("{")
    run = next(path.name for path in sorted(stores["small"].iterdir()) if path.name.startswith("resnet"))
    found = []
    open_page(page, f"{serve(stores['small'], tmp_path / 'broken', tmp_path / 'nowhere')}/?runs=0~{run}")
    expect(page.get_by_text("1 run can't be read")).to_be_visible()
    expect(page.get_by_text("1 store can't be read")).to_be_visible()
    page.get_by_text("Details of").click()
    found += faults(page, "run chosen")
    for name in ("Filter", "Columns", "What is this?"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        settle(page)
        found += faults(page, name)
        page.keyboard.press("Escape")
    assert found == []


def test_a_fault_would_be_found(page: Page) -> None:
    page.set_content("<html lang=en><title>t</title><main><input><p style='color:#999'>pale</p></main>")
    assert {fault.split()[1] for fault in faults(page, "made")} == {"label", "color-contrast"}
