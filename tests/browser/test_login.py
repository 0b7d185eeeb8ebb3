"""A public dashboard shows nothing before somebody has signed in with a provider."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driving import any_port, settle
from ncore_dashboard.access.login import read
from playwright.sync_api import Browser, Page, expect
from provider import CLIENT, SECRET, Provider, provider

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with provider() as found:
        yield found


@pytest.fixture(scope="module")
def address(
    serve: Callable[..., str], stores: dict[str, Path], issuer: Provider, tmp_path_factory: pytest.TempPathFactory
) -> str:
    port = any_port()
    file = tmp_path_factory.mktemp("login") / "secrets.toml"
    settings = {
        "redirect_uri": f"http://127.0.0.1:{port}/oauth2callback",
        "cookie_secret": "0123456789abcdef" * 4,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "server_metadata_url": f"{issuer.address}/.well-known/openid-configuration",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    file.write_text("\n".join(["[auth]", *lines, "[ncore]", 'allow = ["@example.org"]']))
    return serve(stores["small"], port=port, login=read(file), secrets=file)


def test_a_link_is_followed_after_the_login_and_not_before(page: Page, address: str, issuer: Provider) -> None:
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(str(frame))))
    page.goto(f"{address}/ranking?ranking-epoch=4")
    sign_in = page.get_by_role("button", name="Sign in")
    expect(sign_in).to_be_visible()
    page.wait_for_timeout(2500)  # longer than the app waits before it looks for new epochs
    assert sent
    assert not any(name in frame for frame in sent for name in ("resnet", "lenet", "probe", "noise"))
    expect(page.get_by_role("link", name="Ranking")).to_have_count(0)

    sign_in.click()
    page.get_by_role("link", name="Continue as ana@example.org").click()
    page.wait_for_url("**/ranking?**")
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible()
    expect(page.get_by_text("As of epoch 4 of 6")).to_be_visible()
    expect(page.get_by_text("ana@example.org")).to_be_visible()
    assert any("resnet" in frame for frame in sent)
    assert {"/authorize", "/token", "/jwks"} <= set(issuer.seen)

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.goto(f"{address}/capacitance")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_another_account_is_told_that_it_is_not_allowed(browser: Browser, address: str, issuer: Provider) -> None:
    context = browser.new_context()
    page = context.new_page()
    issuer.email = "eve@elsewhere.org"
    page.goto(address)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Continue as").click()
    expect(page.get_by_text("not open to your account")).to_be_visible()
    expect(page.get_by_text("eve@elsewhere.org")).to_be_visible()
    assert page.locator('[data-testid="stSidebarNavLink"]').count() == 0
    context.close()


@pytest.mark.parametrize("verified", [None, False])
def test_an_address_that_is_not_verified_does_not_count(
    browser: Browser, address: str, issuer: Provider, verified: bool | None
) -> None:
    context = browser.new_context()
    page = context.new_page()
    issuer.email, issuer.verified = "ana@example.org", verified
    page.goto(address)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Continue as").click()
    expect(page.get_by_text("not open to your account")).to_be_visible()
    expect(page.get_by_text("unverified_emails = true")).to_be_visible()
    assert page.locator('[data-testid="stSidebarNavLink"]').count() == 0
    context.close()


def test_a_forged_cookie_opens_nothing(browser: Browser, address: str) -> None:
    context = browser.new_context()
    user = json.dumps({"email": "ana@example.org", "is_logged_in": True, "origin": address})
    context.add_cookies([{"name": "_streamlit_user", "value": json.dumps(user), "url": address}])
    page = context.new_page()
    page.goto(address)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    settle(page)
    assert page.locator('[data-testid="stSidebarNavLink"]').count() == 0
    context.close()
