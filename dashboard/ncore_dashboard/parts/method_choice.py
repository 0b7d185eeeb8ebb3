"""What several pages let the user choose: the prediction method, and the epoch up to which it sees."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ncore.errors import NcoreError
from ncore.predict import DEFAULT_METHOD, Curve, get_predictor, predictor_names
from ncore.scores.metrics import ACCURACY, find_metric, get_metric, metric_names
from ncore_dashboard.data import rankings
from ncore_dashboard.parts import sidebar
from ncore_dashboard.parts.runs_choice import Task
from ncore_dashboard.state import session

__all__ = ["epoch", "method", "metric"]


def method(page: str) -> str:
    """The prediction method; ``page`` is the prefix of the widget's key."""
    names = list(predictor_names())
    chosen = st.selectbox(
        "Prediction method",
        names,
        names.index(DEFAULT_METHOD),
        lambda name: get_predictor(name).label + (" (default)" if name == DEFAULT_METHOD else ""),
        help="\n\n".join(f"**{get_predictor(name).label}**: {get_predictor(name).description}." for name in names),
        width=300,
        **session.setting(f"{page}-method"),
    )
    return session.one_of(chosen, names, DEFAULT_METHOD)


def metric(page: str, task: Task) -> str:
    """What is ranked by: by default what the recipe of the newest of these runs named, else the accuracy.

    Args:
        page: Prefix of the widget's key.
        task: The runs.
    """
    names = list(metric_names())
    default = _of_recipe(task)
    chosen = st.selectbox(
        "Metric",
        names,
        names.index(default),
        lambda name: _capital(get_metric(name).label),
        help="What counts, measured and forecast.\n\n"
        + "\n\n".join(f"**{_capital(get_metric(name).label)}**: {get_metric(name).description}." for name in names),
        width=200,
        **session.setting(f"{page}-metric"),
    )
    return session.one_of(chosen, names, default)


def _of_recipe(task: Task) -> str:
    books = sidebar.current()
    for key in task.keys[:1]:  # the newest
        try:
            named = find_metric(str(books.run(key).manifest.info.get("metric", "")))
        except NcoreError:
            break
        if named is not None:
            return named.name
    return ACCURACY


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def epoch(page: str, curves: Sequence[Curve]) -> int:
    """The epoch as of which to rank; by default the last that there is, also while runs go on."""
    planned, last = rankings.horizon(curves), rankings.last_epoch(curves)
    if planned < 2:
        return 1
    key = f"{page}-epoch"
    arguments = session.setting(key)
    if isinstance(st.session_state.get(key), int) and not 1 <= st.session_state[key] <= planned:
        st.session_state[key] = planned  # kept from a dataset with more epochs
    chosen = st.slider(
        "As of epoch",
        1,
        planned,
        planned,
        help="At its right end, all that is known now: what has ended is measured, the rest is forecast. At an earlier "
        "epoch, what would have been said then: of these runs, epochs up to that one are seen and nothing later, not "
        "even where they ended. Finished runs of other datasets, which methods learn from, are taken as they are now.",
        **arguments,
    )
    return min(int(chosen), last)
