"""The report is one file that opens anywhere: no network, no script from elsewhere, readable by all, printable."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import open_page
from playwright.sync_api import Browser, Page, expect
from test_accessibility import faults

pytestmark = pytest.mark.browser


def test_the_report_is_saved_and_opens_offline(page: Page, browser: Browser, small: str, tmp_path: Path) -> None:
    open_page(page, f"{small}/report?report-epoch=5")
    sentence = page.locator('[data-testid="stMain"] strong').first.inner_text()
    assert "resnet" in sentence
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the report").click()
    assert waiting.value.suggested_filename == "ncore-report-digits.html"
    file = tmp_path / "report.html"
    waiting.value.save_as(file)

    asked: list[str] = []
    context = browser.new_context(offline=True)
    report = context.new_page()
    report.on("request", lambda request: asked.append(request.url))
    report.goto(file.as_uri())
    assert asked == [file.as_uri()]
    expect(report.get_by_text(sentence).first).to_be_visible()
    assert report.locator("svg").count() >= 3
    found = faults(report, "light")
    report.emulate_media(color_scheme="dark")
    assert found + faults(report, "dark") == []
    assert report.evaluate("document.documentElement.scrollWidth <= innerWidth")
    report.set_viewport_size({"width": 800, "height": 900})
    assert report.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert report.pdf(format="A4").startswith(b"%PDF")
    context.close()
