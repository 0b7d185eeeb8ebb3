"""What a session remembers: the working set of runs and the settings of each page, both also in the URL.

Settings are widgets that Streamlit binds to the URL; it forgets them when the page is left, so they are kept
here and put back when it is opened again. The working set is too long for a widget when a store has many runs: it
is kept by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

import streamlit as st

__all__ = [
    "MOST_CHOSEN",
    "PARAMETER",
    "begin",
    "choose_runs",
    "one_of",
    "publish",
    "setting",
    "some_of",
    "split_known",
    "wanted_runs",
]

T = TypeVar("T")
PARAMETER = "runs"
MOST_CHOSEN = 100
_CHOSEN, _IN_URL, _SETTINGS, _KNOWN_KEYS = "runs chosen", "runs in url", "settings", "setting keys"


def wanted_runs() -> list[str]:
    """Keys of the working set, as the user or the URL gave them: some may not exist (any more)."""
    return list(st.session_state.get(_CHOSEN, []))


def choose_runs(keys: Iterable[str]) -> None:
    """Make this the working set; at most ``MOST_CHOSEN`` runs, so that a link can hold them."""
    st.session_state[_CHOSEN] = list(dict.fromkeys(keys))[:MOST_CHOSEN]


def split_known(known: Collection[str]) -> tuple[list[str], list[str]]:
    """The working set in two: the runs that are there, and those that aren't."""
    wanted = wanted_runs()
    return [key for key in wanted if key in known], [key for key in wanted if key not in known]


def begin() -> None:
    """To be called first in every run of the app: take what the URL says, keep what widgets say."""
    state = st.session_state
    given = [key for key in st.query_params.get_all(PARAMETER) if key]
    # A link that was opened, or a step back in the browser's history; a change of page leaves the URL empty.
    if _CHOSEN not in state or (given and given != state.get(_IN_URL)):
        choose_runs(given)
    settings = state.setdefault(_SETTINGS, {})
    for key in state.setdefault(_KNOWN_KEYS, set()):
        if key in state:
            settings[key] = state[key]


def publish(page_changed: bool) -> None:
    """Write the working set to the URL, from where a change of page has removed it."""
    chosen = wanted_runs()
    if page_changed or st.query_params.get_all(PARAMETER) != chosen:
        if chosen:
            st.query_params[PARAMETER] = chosen
        elif PARAMETER in st.query_params:
            del st.query_params[PARAMETER]
    st.session_state[_IN_URL] = chosen


def setting(key: str) -> dict[str, Any]:
    """Arguments of a widget whose value is in the URL and comes back with its page.

    Example:
        ``st.toggle("Log", **setting("beta-log"))``
    """
    st.session_state[_KNOWN_KEYS].add(key)
    kept = st.session_state[_SETTINGS]
    if key in kept and key not in st.session_state and key not in st.query_params:
        st.session_state[key] = kept[key]
    return {"key": key, "bind": "query-params"}


def one_of(value: T | None, options: Sequence[T], default: T) -> T:
    """The value if it is an option: what comes from a browser can be anything."""
    return value if value is not None and value in options else default


def some_of(values: Iterable[T] | None, options: Collection[T]) -> list[T]:
    """Those of the values that are options."""
    return [value for value in values or () if value in options]
