"""The sidebar: the stores, and the working set."""

from __future__ import annotations

import streamlit as st

from ncore_dashboard.data.library import Library, library
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import markdown, plain, told_apart

__all__ = ["FEW", "current", "show"]

_WIDGET = "working set widget"
FEW = 300
"""Up to so many runs can be added in the sidebar; from a longer list they are chosen on the page Runs."""


def current() -> Library:
    """The stores that this session shows."""
    found: Library = library(st.session_state["places"])
    return found


def show() -> None:
    """Draw the sidebar."""
    books = current()
    runs = books.runs()
    with st.sidebar:
        _working_set(books, runs["key"].tolist())
        st.caption("Stores")
        for source in books.sources:
            count = len(source.listing)
            state = "can't be read" if source.problem else "1 run" if count == 1 else f"{count:,} runs"
            icon = ":material/error:" if source.problem else ":material/database:"
            st.markdown(f"{icon} {markdown(source.label, 40)} · {state}", help=markdown(source.problem or source.place))
        if not books.sources:
            st.markdown("none")


def _working_set(books: Library, keys: list[str]) -> None:
    chosen, gone = session.split_known(set(keys))
    few = len(keys) <= FEW
    options = keys if few else chosen
    labels = told_apart({key: _label(books.row(key)) for key in options})
    st.session_state[_WIDGET] = chosen

    def changed() -> None:
        session.choose_runs(st.session_state[_WIDGET])

    st.multiselect(
        f"Working set: {len(chosen)} run{'' if len(chosen) == 1 else 's'}",
        options,
        format_func=lambda key: labels.get(key, key),
        key=_WIDGET,
        on_change=changed,
        placeholder="Choose runs" if few else "Choose them on the page Runs",
        help="The runs that the other pages show. It is in the address of the page, so a link keeps it.",
        max_selections=session.MOST_CHOSEN,
    )
    if gone:
        number = "1 chosen run is" if len(gone) == 1 else f"{len(gone)} chosen runs are"
        st.markdown(f":material/warning: {number} not in these stores (deleted, or from another link).")
        for key in gone[:5]:
            st.text(plain(key.partition("~")[2] or key, 60))
        st.button("Forget them", on_click=session.choose_runs, args=(chosen,))


def _label(row: dict[str, object]) -> str:
    if row["status"] == "unreadable":
        return plain(row["run"], 60)
    return plain(f"{row['candidate']} · {row['dataset']} · seed {row['seed']}", 60)
