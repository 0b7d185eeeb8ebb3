"""The door of a public dashboard: nothing of a store is read or shown before somebody has signed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ncore_dashboard.access.login import required
from ncore_dashboard.text.plaintext import markdown, plain

__all__ = ["is_open", "show", "who"]

_LINK = "ncore-link"  # in the browser tab's own memory, while its owner is at the provider's page

_KEEP = f"""
export default function () {{
  if (location.pathname !== "/" || location.search) sessionStorage.setItem("{_LINK}", location.href);
}}
"""
_RETURN = f"""
export default function () {{
  const link = sessionStorage.getItem("{_LINK}");
  sessionStorage.removeItem("{_LINK}");
  if (link && new URL(link).origin === location.origin && link !== location.href) location.replace(link);
}}
"""


def is_open() -> bool:
    """Whether this session may see the app: always, where no login is asked for.

    Raises:
        InputError: The server's own configuration makes no sense, so that nobody comes in.
    """
    login = required()
    return login is None or (_signed_in() and login.allows(st.user.to_dict()))


def show() -> None:
    """What those see who may not come in: the way to sign in, or that their account is not among those allowed."""
    login = required()
    if login is None:
        return
    st.title("ncore", anchor=False)
    if _signed_in():
        st.markdown("You are signed in, but this dashboard is not open to your account. Its owner can add you:")
        st.text(_name())
        if not login.vouched(st.user.to_dict()):
            st.markdown(
                "The provider doesn't say that this address is verified, so it doesn't count, unless the owner of this "
                "dashboard sets `unverified_emails = true`."
            )
        st.button("Sign out", on_click=st.logout, icon=":material/logout:")
        return
    _run("keep", _KEEP)
    st.markdown("These runs are shown to people who have signed in.")
    for provider in login.providers:
        label = f"Sign in with {markdown(provider, 40)}" if provider else "Sign in"
        st.button(label, on_click=_to(provider), key=f"login-{provider}", type="primary", icon=":material/login:")


def who() -> None:
    """Who is signed in, and the way out; nothing where no login is asked for."""
    if required() is None:
        return
    _run("return", _RETURN)
    st.caption("Signed in as")
    st.text(_name())
    st.button("Sign out", on_click=st.logout, icon=":material/logout:", type="tertiary")


def _to(provider: str) -> Callable[[], None]:
    return lambda: st.login(provider or None)


def _signed_in() -> bool:
    return st.user.to_dict().get("is_logged_in") is True  # the attribute is missing where Streamlit knows no provider


def _name() -> str:
    user: dict[str, Any] = st.user.to_dict()
    return plain(user.get("email") or user.get("name") or user.get("sub") or "somebody without a name", 80)


def _run(name: str, script: str) -> None:
    """A few lines of JavaScript, once.

    The provider sends everybody back to the first page, and a link to another page would be lost.
    """
    st.components.v2.component(f"ncore_gate_{name}", js=script)(key=f"gate-{name}", height="content")
