"""Capacitance: how does the coupling of the synapses fall, and what does it say about the accuracy to come?"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from ncore.network.strengths import DENSE, SHOWN, Strength
from ncore_dashboard.data import accuracy_paths, rankings
from ncore_dashboard.figures import Style, styles_of
from ncore_dashboard.figures import capacitance as figures
from ncore_dashboard.figures.plane import MOST_BANDS, MOST_PANELS, accuracy_against_beta
from ncore_dashboard.parts import runs_choice, sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import markdown

_PATHS = "Each path is a run, epoch by epoch"
MOST_RUNS = 60
"""Runs that are overlaid at most when nothing is chosen."""


def page() -> None:
    """Lay out the page."""
    ui.head(
        "Capacitance",
        "How strongly do the synapses still drive each other, and what does that say about the accuracy to come?",
    )
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    with bar:
        task = runs_choice.task("capacitance")
    if task is None:
        return
    keys = task.keys[:MOST_RUNS]
    books = sidebar.current()
    table, problems = books.table(keys, "capacitance")
    recorded = set() if table.empty else set(table["strength"])
    offered = [kind.value for kind in SHOWN if kind in DENSE or kind in recorded]
    with bar:
        strength = st.segmented_control(
            "Strength",
            offered,
            default=offered[0],
            format_func=lambda name: Strength(name).label,
            required=True,
            **session.setting("capacitance-strength"),
        )
        strength = session.one_of(strength, offered, offered[0])
        scale = st.segmented_control(
            "Scale", ("linear", "log"), default="linear", required=True, **session.setting("capacitance-scale")
        )
    note = runs_choice.said(task)
    if len(keys) < len(task.keys):
        note += f" The newest {MOST_RUNS} of them are drawn."
    st.caption(note)
    ui.problems(problems, "run")
    if table.empty:
        ui.empty(
            "There is no beta_eff yet.",
            "None of these runs has recorded its capacitance; this page follows as they do.",
        )
        return
    rows = table[table["strength"] == strength]
    if rows.empty:
        ui.empty(
            f"The {strength} beta_eff was not recorded.", f"These runs have: {markdown(', '.join(sorted(recorded)))}."
        )
        return
    styles = styles_of(books.candidates())
    _over_epochs(rows, styles, strength, scale == "log")
    _against_accuracy(keys, rows, styles, strength, {problem.where for problem in problems})


@ui.guarded
def _over_epochs(rows: pd.DataFrame, styles: dict[str, Style], strength: str, log: bool) -> None:
    dark = ui.is_dark()
    ui.section(
        "beta_eff over epochs",
        Strength(strength).course,
        (f"beta_eff {strength}", "conditioning", "seeds"),
    )
    variant = f"{strength}-{'log' if log else 'linear'}"
    whole = rows[rows["layer"] == 0]
    ui.chart(
        figures.over_epochs(rows, styles, strength, log, dark),
        f"beta-{variant}",
        f"The {strength} beta_eff of {whole['candidate'].nunique()} candidates over epochs.",
        whole,
        f"beta-eff-{strength}",
        place="beta-eff",
    )
    _flags(whole, log, strength)
    if Strength(strength).whole:
        return  # candidates have layers of their own, and many
    if st.toggle("By layer", **session.setting("capacitance-layers")):
        ui.section("By layer", "Which layer's synapses are still being driven, and drive others.", ("layer",))
        parts = rows[rows["layer"] > 0]
        ui.chart(
            figures.by_layer(rows, styles, strength, log, dark),
            f"layers-{variant}",
            "The part of beta_eff that passes through each layer, over epochs.",
            parts,
            f"beta-eff-{strength}-by-layer",
            place="layers",
        )


def _flags(whole: pd.DataFrame, log: bool, strength: str) -> None:
    """What can't be drawn, or must not be trusted, in words."""
    missing = whole[~np.isfinite(whole["beta_eff"])]
    notes = []
    known = whole["conditioning"].dropna()
    if Strength(strength).cancels and len(known):
        notes.append(
            f":material/balance: The conditioning goes from {known.min():.2g} to {known.max():.2g}, with a median of "
            f"{known.median():.2g}: at 1 nothing cancels, below {figures.ILL_CONDITIONED_BELOW:g} nearly all."
        )
    bad = int((whole["conditioning"] < figures.ILL_CONDITIONED_BELOW).sum())
    if bad:
        notes.append(
            f":material/warning: {bad} of {len(whole)} values are ill-conditioned (crossed out): positive and negative "
            "interactions nearly cancel there, so their size and even their sign are accidental."
        )
    if log and (negative := int((whole["beta_eff"] <= 0).sum())):
        notes.append(f":material/info: {negative} values are not positive, so a logarithmic scale can't show them.")
    if len(missing):
        reasons = missing["reason"].dropna().unique()
        why = f" Reasons: {markdown('; '.join(map(str, reasons[:3])))}." if len(reasons) else ""
        notes.append(f":material/info: {len(missing)} values are undefined and left out.{why}")
    for note in notes:
        st.markdown(note)


@st.fragment
@ui.guarded
def _against_accuracy(
    keys: Sequence[str], rows: pd.DataFrame, styles: dict[str, Style], strength: str, known: Collection[str]
) -> None:
    """The picture that carries the method."""
    ui.section(
        "Accuracy against beta_eff",
        (
            f"{_PATHS}. The dashed line is fitted to the epochs seen and read at beta_eff = 0, where the Hessian's "
            "need not go: the ring there is a prediction without the paper's reason, the star the truth."
            if Strength(strength).curvature
            else f"{_PATHS}; training moves it to the left. The dashed line is fitted to the epochs seen and read at "
            "beta_eff = 0: the ring there is the prediction, the star the truth."
        ),
        ("h0", f"beta_eff {strength}", "test_accuracy"),
    )
    books = sidebar.current()
    curves = {key: books.curve(key) for key in keys}
    many = len({curve.candidate for curve in curves.values()}) > 3
    with st.container(horizontal=True, vertical_alignment="bottom"):
        end = rankings.horizon(list(curves.values()))
        seen = end
        if end > 3:
            seen = st.slider(
                "Fit the epochs up to", 3, end, max(3, end // 2), width=400, **session.setting("capacitance-seen")
            )
        layout = st.segmented_control(
            "Layout",
            ("panels", "together"),
            default="panels" if many else "together",
            format_func={"panels": "One panel each", "together": "All together"}.__getitem__,
            required=True,
            **session.setting("capacitance-layout"),
        )
    points = accuracy_paths.points(curves, strength)
    lines = accuracy_paths.lines(books, curves, strength, int(seen))
    finals = {key: curve.observed for key, curve in curves.items() if np.isfinite(curve.observed)}
    unread = runs_choice.unreadable(keys, list(curves.values()))
    rising = sorted({curves[key].candidate for key, line in lines.items() if line.slope >= 0})
    ui.problems([problem for problem in unread if problem.where not in known], "more run")
    ui.chart(
        accuracy_against_beta(points, lines, finals, styles, strength, int(seen), layout == "together", ui.is_dark()),
        f"plane-{strength}-{layout}",
        f"Validation accuracy against the {strength} beta_eff, a path for each run, with the line that is read at 0.",
        points,
        f"accuracy-against-beta-{strength}",
        place="plane",
    )
    names = {curve.candidate for curve in curves.values()}
    if layout == "panels" and len(names) > MOST_PANELS:
        st.markdown(f":material/info: The first {MOST_PANELS} of {len(names)} candidates by name have a panel.")
    if layout == "together" and points["key"].nunique() > MOST_BANDS:
        st.markdown(":material/info: Lines are drawn without their bands, because there are many runs.")
    if rising:
        listed = ", ".join(markdown(name, 40) for name in rising[:6]) + (", …" if len(rising) > 6 else "")
        st.markdown(
            f":material/warning: For {listed} accuracy does not rise as beta_eff falls, so h(0) means nothing there."
        )
    without = len(curves) - len(lines) - len(unread)
    if without:
        st.markdown(f":material/info: {without} runs have fewer than three epochs with a finite beta_eff, so no line.")


page()
