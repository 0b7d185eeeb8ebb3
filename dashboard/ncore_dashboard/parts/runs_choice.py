"""Which runs a page shows: the working set, or, if nothing is chosen, all runs of one dataset and training mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from ncore.predict import Curve
from ncore_dashboard.data.library import SEPARATOR, Problem
from ncore_dashboard.parts import sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import plain

__all__ = ["MOST_RUNS", "Task", "no_runs", "said", "task", "unreadable"]

MOST_RUNS = 300
"""That are shown at most while none is chosen, the newest: each is read."""

_MODES = {"backbone": "backbone trained, unit frozen", "unit": "unit trained, backbone frozen", "all": "all trained"}


@dataclass(frozen=True)
class Task:
    """Runs that can be compared: of one dataset, in one training mode.

    Attributes:
        keys: Of the runs.
        dataset, mode: Of all of them.
        chosen: Whether they are the working set.
        older: How many runs of the same kind are left out, because they are too many.
    """

    keys: tuple[str, ...]
    dataset: str
    mode: str
    chosen: bool
    older: int = 0


def task(page: str) -> Task | None:
    """Let the user choose what a page compares; says why, and returns None, if there is nothing.

    Args:
        page: Prefix of the widgets' keys.
    """
    runs = sidebar.current().runs()
    runs = runs[runs["dataset"].notna() & runs["mode"].notna()]
    if runs.empty:
        no_runs()
        return None
    chosen, _ = session.split_known(set(runs["key"]))
    whole = not chosen
    if chosen:
        picked = st.segmented_control(
            "Runs",
            ["chosen", "all"],
            default="chosen",
            format_func={"chosen": f"Working set ({len(chosen)})", "all": "All of a dataset"}.__getitem__,
            required=True,
            **session.setting(f"{page}-runs"),
        )
        whole = picked == "all"
    if not whole:
        runs = runs[runs["key"].isin(chosen)]
    dataset = _choose("Dataset", runs["dataset"], f"{page}-dataset")
    runs = runs[runs["dataset"] == dataset]
    mode = _choose("Trained", runs["mode"], f"{page}-mode")
    runs = runs[runs["mode"] == mode]
    keys = tuple(runs["key"].head(MOST_RUNS))
    return Task(keys, dataset, mode, not whole, len(runs) - len(keys))


def said(task: Task) -> str:
    """Which runs are shown, in a sentence."""
    runs = len(task.keys)
    number = "1 run" if runs == 1 else f"{runs:,} runs"
    if task.chosen:
        return f"Showing your working set: {number}."
    if task.older:
        return (
            f"Nothing is chosen, so this shows one dataset: its {number} that began last, of {runs + task.older:,}. "
            "Choose others on the page Runs."
        )
    return (
        f"Nothing is chosen, so this shows all {number} of one dataset; choose some in the sidebar or on the page Runs."
    )


def no_runs() -> None:
    """Say that there is nothing to show."""
    ui.empty(
        "There are no runs to show.",
        "The page Runs says which stores are open and what is wrong with those that can't be read. "
        "`ncore demo` makes some runs in two minutes.",
    )


def unreadable(keys: Sequence[str], curves: Sequence[Curve]) -> list[Problem]:
    """Those of the runs whose tables can't be read."""
    return [
        Problem(key.partition(SEPARATOR)[2], curve.reason)
        for key, curve in zip(keys, curves, strict=True)
        if curve.status == "unreadable"
    ]


def _choose(label: str, values: pd.Series, key: str) -> str:
    """The only value, or the one that the user chooses, by default that of most runs."""
    counts = values.value_counts()
    options = sorted(counts.index, key=str.casefold)
    if len(options) == 1:
        return str(options[0])
    most = options.index(counts.index[0])
    found = st.selectbox(
        label,
        options,
        most,
        lambda text: _MODES.get(text, plain(text, 60)) if label == "Trained" else plain(text, 60),
        width=230,
        **session.setting(key),
    )
    return session.one_of(found, options, options[most])
