"""Pieces that pages are made of: heads, charts, messages, explanations."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ncore.errors import NcoreError
from ncore_dashboard.charts.compact import Specified, lean
from ncore_dashboard.charts.download import download
from ncore_dashboard.charts.zoom import PREFIX, with_view
from ncore_dashboard.data.library import Problem
from ncore_dashboard.figures import base
from ncore_dashboard.text.explanations import explanation
from ncore_dashboard.text.plaintext import markdown, plain

__all__ = ["chart", "empty", "explain", "guarded", "head", "is_dark", "percent", "problems", "section"]

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("ncore.dashboard")


def is_dark() -> bool:
    """Whether the page has a dark background."""
    return st.context.theme.type == "dark"


def head(title: str, question: str) -> None:
    """Title of a page and the question that it answers."""
    st.title(title, anchor=False)
    st.markdown(f"*{question}*")


def section(title: str, text: str = "", about: Sequence[str] = ()) -> None:
    """Title of a part of a page, a sentence on how to read it, and explanations of its numbers."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(title, anchor=False, width="content")
        if about:
            explain(about)
    if text:
        st.caption(text)


def explain(names: Iterable[str]) -> None:
    """A button that opens what these numbers are and when to trust them."""
    with st.popover("What is this?", icon=":material/help:", type="tertiary"):
        for number, name in enumerate(names):
            with st.expander(explanation(name).label, expanded=number == 0):  # can be reached and scrolled by keyboard
                st.markdown(explanation(name).text)


def chart(
    figure: go.Figure,
    key: str,
    alt: str,
    data: pd.DataFrame | Callable[[], pd.DataFrame],
    file: str = "",
    on_click: Callable[[list[Any]], None] | None = None,
    place: str = "",
) -> None:
    """A figure that keeps its zoom when its data change, with its data as CSV.

    Args:
        figure: What to show.
        key: Unique on the page; charts whose axes mean something else need keys of their own.
        alt: What the chart shows, for those who don't see it.
        data: What is drawn, or what makes a table of it: that is called when it is asked for.
        file: Name of downloads, without its ending; the key by default.
        on_click: Called with the ``customdata`` of a point that is clicked, before the page is drawn again.
        place: The same for all charts that come into one place of the page, by the key of one of them: when one takes
            the other's place, the browser would else put the old one, drawn again, into a new place first.
    """
    plot = f"plot-{key}"

    def clicked() -> None:
        points = st.session_state[plot].selection.points
        given = points[0].get("customdata") if points else None
        if isinstance(given, dict):  # what JSON makes of a typed array: {"0": ..., "1": ...}
            given = list(given.values())
        if on_click and isinstance(given, list):
            on_click(given)

    choosing: dict[str, Any] = {"on_select": clicked, "selection_mode": "points"} if on_click else {}
    config = {
        "displaylogo": False,
        "doubleClick": "autosize",
        "modeBarButtonsToRemove": ["resetScale2d", "select2d", "lasso2d"],
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": f"ncore-{file or key}"},
    }
    with st.container(key=f"{PREFIX}{place or key}", gap="xxsmall"):
        drawn = Specified(with_view(lean(figure, base.ink(is_dark())), key))
        st.plotly_chart(drawn, theme=None, key=plot, config=config, alt=plain(alt), **choosing)
        download(data, f"csv-{key}", file or key)


def problems(found: Sequence[Problem], what: str) -> None:
    """One message on everything that can't be read, with the reasons to open.

    Args:
        found: What can't be read.
        what: Its kind, such as "run".
    """
    place = st.container()  # also when there are none, see `guarded`
    if not found:
        return
    number = f"1 {what}" if len(found) == 1 else f"{len(found)} {what}s"
    with place.container(border=True):
        st.markdown(f":material/warning: **{number} can't be read.** Everything else goes on without.")
        with st.expander("What is wrong", expanded=len(found) == 1):
            for problem in found[:50]:
                st.markdown(f"**{markdown(problem.where)}**: {markdown(problem.message)}")
            if len(found) > 50:
                st.caption(f"and {len(found) - 50} more.")


def empty(title: str, text: str) -> None:
    """A message in place of what can't be shown."""
    with st.container(border=True):
        st.markdown(f"**{title}**\n\n{text}")


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """A part of a page that says what went wrong, and returns None, instead of showing a traceback.

    It has a place of its own, whatever it draws, so that what follows stays in its place: widgets that move are
    mounted twice by Streamlit 1.67, and when it removes the old ones it lets go of their binding to the URL.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            with st.container():
                return function(*args, **kwargs)
        except NcoreError as error:
            empty("This can't be shown.", markdown(error))
        except Exception:
            _log.exception("The dashboard failed in %s", function.__name__)
            empty(
                "Something in this view failed.",
                "That is a fault of the dashboard; your runs are as they were. Its terminal says "
                "more. Other pages and other runs go on working.",
            )
        return None

    return run


def percent(value: Any, digits: int = 1) -> str:
    """A fraction as per cent, a dash where it is missing."""
    return "–" if value is None or pd.isna(value) else f"{100 * value:.{digits}f}%"
