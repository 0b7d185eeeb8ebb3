"""Compare: in what do two candidates differ?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from ncore.errors import NcoreError
from ncore.network.strengths import DENSE, SHOWN, Strength
from ncore.predict import Curve, Ranker, said_of
from ncore.predict.paired_runs import SideBySide, on_same_examples
from ncore.scores.metrics import ACCURACY, Metric, get_metric
from ncore_dashboard.data import accuracy_paths, rankings, same_examples
from ncore_dashboard.data.comparison import Side, in_words, numbers, settings_in_words, settings_that_differ
from ncore_dashboard.data.library import Library
from ncore_dashboard.figures import base, capacitance, styles_of
from ncore_dashboard.figures import ranking as ranking_figures
from ncore_dashboard.figures.plane import accuracy_against_beta
from ncore_dashboard.pages import compare_synapses
from ncore_dashboard.parts import method_choice, runs_choice, sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import markdown, plain

_IDENTITY = ("candidate.name",)  # a setting that differs by definition


def page() -> None:
    """Lay out the page."""
    ui.head("Compare", "In what do two candidates differ, and does the difference matter?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        task = runs_choice.task("compare")
        if task is None:
            return
        method = method_choice.method("compare")
        metric = get_metric(method_choice.metric("compare", task))
    st.caption(runs_choice.said(task))
    books = sidebar.current()
    curves = {key: books.curve(key, metric.name) for key in task.keys}
    ui.problems(runs_choice.unreadable(task.keys, list(curves.values())), "run")
    # One that can't be read at all has its id for a candidate.
    names = base.ordered(curve.candidate for curve in curves.values() if curve.epochs.size)
    if len(names) < 2:
        ui.empty(
            "There are no two candidates to compare.",
            "Two candidates on one dataset, with an epoch each, are needed: choose more runs, or all of a dataset.",
        )
        return
    k = method_choice.epoch("compare", list(curves.values()))
    past = books.past(task.dataset, task.mode, metric.name)
    ranking = books.remembered(
        ("ranking", past, method, k),
        task.keys,
        lambda: rankings.ranking(list(curves.values()), Ranker(method, past), k),
    )
    order = names if isinstance(ranking, str) else [name for name in ranking["candidate"] if name in names]
    with st.container(horizontal=True):
        first = _candidate("First candidate", names, "compare-first", order[0])
        default = next(name for name in (*order, *names) if name != first)
        second = _candidate("Second candidate", names, "compare-second", default)
    if first == second:
        ui.empty("Both are the same candidate.", "Choose another one as the first or as the second.")
        return
    pair = {name: [key for key, curve in curves.items() if curve.candidate == name] for name in (first, second)}
    sides = [_side(books, name, keys, curves, ranking) for name, keys in pair.items()]
    _words(books, sides, pair, k, ranking)
    _same_examples(books, sides, pair, metric)
    _forecast(books, sides, ranking, k)
    _curves(books, sides, k)
    _beta(books, sides, pair, k)
    compare_synapses.show(list(pair), list(pair.values()))


def _candidate(label: str, names: Sequence[str], key: str, default: str) -> str:
    arguments = session.setting(key)
    if key in st.session_state and st.session_state[key] not in names:
        del st.session_state[key]  # of another dataset
    chosen = st.selectbox(label, names, names.index(default), lambda name: plain(name, 60), width=330, **arguments)
    return session.one_of(chosen, names, default)


def _side(
    books: Library, name: str, keys: Sequence[str], curves: dict[str, Curve], ranking: pd.DataFrame | str
) -> Side:
    found = ranking[ranking["candidate"] == name] if isinstance(ranking, pd.DataFrame) else pd.DataFrame()
    rows = pd.DataFrame([books.row(key) for key in keys])
    return Side(
        name,
        [curves[key] for key in keys],
        books.clocks(keys).get(name, []),
        found.iloc[0].to_dict() if len(found) else {},
        float(pd.to_numeric(rows["parameters"], errors="coerce").astype(float).mean()),
        float(pd.to_numeric(rows["bytes"], errors="coerce").astype(float).sum()),
    )


@ui.guarded
def _words(
    books: Library,
    sides: Sequence[Side],
    pair: dict[str, list[str]],
    k: int,
    ranking: pd.DataFrame | str,
) -> None:
    first, second = sides
    configurations = [_configurations(books, keys) for keys in pair.values()]
    settings = settings_that_differ(*configurations)
    settings = settings[~settings["setting"].isin(_IDENTITY)]
    ui.section("What differs", "Computed from the runs; the pictures below show the same.", ("predicted", "interval"))
    if isinstance(ranking, str):
        st.markdown(f":material/info: {markdown(ranking)}")
    said = in_words(first, second, k, ranking)
    if all(configurations):
        said.append(settings_in_words(settings, first.name, second.name))
    if isinstance(ranking, pd.DataFrame):
        said += said_of(ranking)
    st.markdown("\n".join(f"- {markdown(text)}" for text in said))

    ui.section("Side by side", "", ("p_best", "test_accuracy", f"beta_eff {Strength.RELATIVE}", "seconds"))
    table = numbers(first, second)
    heads = [plain(side.name, 40) for side in sides]
    if heads[0] == heads[1]:  # names that differ only in what can't be seen
        heads = [f"{head} ({number})" for number, head in enumerate(heads, start=1)]
    view = pd.DataFrame(
        {
            "Measure": [_label(row) for row in table.to_dict("records")],
            heads[0]: [_shown(value, unit) for value, unit in zip(table["first"], table["unit"], strict=True)],
            heads[1]: [_shown(value, unit) for value, unit in zip(table["second"], table["unit"], strict=True)],
            "Difference": [_difference(row["second"] - row["first"], row["unit"]) for row in table.to_dict("records")],
        }
    )
    st.dataframe(view, hide_index=True, height="content", alt="Both candidates as a table.", key="compare-table")
    ui.download(table, "csv-compare", "compare")

    ui.section("Settings that differ", "As recorded in the runs; what is the same is left out.")
    if settings.empty:
        st.markdown("None, or they were not recorded.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Setting": [plain(text, 80) for text in settings["setting"]],
                heads[0]: [plain(text, 200) for text in settings["first"]],
                heads[1]: [plain(text, 200) for text in settings["second"]],
            }
        ),
        hide_index=True,
        height="content",
        alt="Settings that differ.",
        key="compare-settings",
    )


@ui.guarded
def _same_examples(books: Library, sides: Sequence[Side], pair: dict[str, list[str]], metric: Metric) -> None:
    """What their predictions of the same test examples say of the two, once both have finished runs."""
    if not all(any(curve.status == "finished" for curve in side.curves) for side in sides):
        return
    keys = [key for group in pair.values() for key in group]

    def make() -> SideBySide | str:
        first, second = ([books.run(key) for key in group] for group in pair.values())
        return on_same_examples(metric, first, second)

    found = books.remembered(("same examples", metric.name, *(side.name for side in sides)), keys, make)
    ui.section("On the same test examples", "What is easy is easy for both: so their difference is surer than each.")
    if isinstance(found, str):
        st.caption(markdown(f"They can't be compared so: {found}.", 400))
        return
    said = same_examples.in_words(found, sides[0].name, sides[1].name, metric)
    st.markdown("\n".join(f"- {markdown(text, 600)}" for text in said))


@ui.guarded
def _forecast(books: Library, sides: Sequence[Side], ranking: pd.DataFrame | str, k: int) -> None:
    """The rows of the two in the ranking of all."""
    if isinstance(ranking, str):
        return
    rows = ranking[ranking["candidate"].isin([side.name for side in sides])]
    ui.section(
        "Prediction and outcome",
        f"Seen up to epoch {k} only, with their ranks among all {len(ranking)} candidates.",
        ("predicted", "interval", "test_accuracy"),
    )
    ui.chart(
        ranking_figures.forecast(rows, styles_of(books.candidates()), ui.is_dark()),
        "compare-forecast",
        f"Predicted and observed final {sides[0].metric.label} of {plain(sides[0].name, 60)} and "
        f"{plain(sides[1].name, 60)}.",
        rows,
    )


@ui.guarded
def _curves(books: Library, sides: Sequence[Side], k: int) -> None:
    metric = sides[0].metric
    table = pd.concat(
        [
            pd.DataFrame(
                {"candidate": side.name, "seed": curve.seed, "epoch": curve.epochs, "accuracy": curve.accuracy}
            )
            for side in sides
            for curve in side.curves
            if curve.epochs.size
        ],
        ignore_index=True,
    )
    ui.section(
        "Learning curves",
        "The shaded epochs are those that the prediction does not see.",
        ("validation_accuracy", "seeds"),
    )
    ui.chart(
        ranking_figures.learning_curves(table, styles_of(books.candidates()), k, ui.is_dark(), metric),
        "compare-curves" if metric.name == ACCURACY else f"compare-curves-{metric.name}",
        f"Validation {metric.label} over epochs of {sides[0].name} and {sides[1].name}.",
        table,
    )


@ui.guarded
def _beta(books: Library, sides: Sequence[Side], pair: dict[str, list[str]], k: int) -> None:
    keys = [key for group in pair.values() for key in group]
    table, _ = books.table(keys, "capacitance")
    recorded = [kind.value for kind in SHOWN if kind in DENSE and len(table) and (table["strength"] == kind).any()]
    ui.section("Capacitance", "", (*(f"beta_eff {kind}" for kind in SHOWN if kind in DENSE), "h0"))
    if not recorded:
        ui.empty("There is no beta_eff to compare.", "These runs have not recorded their capacitance.")
        return
    arguments = session.setting("compare-strength")
    if st.session_state.get("compare-strength", recorded[0]) not in recorded:
        del st.session_state["compare-strength"]
    chosen = st.segmented_control("Strength", recorded, default=recorded[0], required=True, **arguments)
    strength = session.one_of(chosen, recorded, recorded[0])
    if not Strength(strength).comparable:
        st.caption("Levels of this strength can't be compared between candidates, only their courses.")
    styles, dark = styles_of(books.candidates()), ui.is_dark()
    rows = table[table["strength"] == strength]
    both = f"{sides[0].name} and {sides[1].name}"
    ui.chart(
        capacitance.over_epochs(rows, styles, strength, dark=dark),
        f"compare-beta-{strength}",
        f"The {strength} beta_eff over epochs of {both}.",
        rows[rows["layer"] == 0],
    )
    st.caption("Accuracy against beta_eff: a path a run, and the line that is read where beta_eff has vanished.")
    curves = {key: books.curve(key) for key in keys}
    points, lines = accuracy_paths.points(curves, strength), accuracy_paths.lines(books, curves, strength, k)
    finals = {key: curve.observed for key, curve in curves.items() if np.isfinite(curve.observed)}
    ui.chart(
        accuracy_against_beta(points, lines, finals, styles, strength, k, together=False, dark=dark),
        f"compare-plane-{strength}",
        f"Accuracy against the {strength} beta_eff of {both}, a panel each.",
        points,
    )


def _configurations(books: Library, keys: Sequence[str]) -> list[dict[str, object]]:
    found = []
    for key in keys:
        try:
            found.append(books.run(key).manifest.config)
        except NcoreError:
            continue
    return [configuration for configuration in found if configuration]


def _label(row: dict[str, object]) -> str:
    unit = f" ({row['unit']})" if row["unit"] else ""
    arrow = {"higher": " ↑", "lower": " ↓"}.get(str(row["better"]), "")
    return f"{row['measure']}{unit}{arrow}"


def _shown(value: float, unit: str) -> str:
    if value != value:
        return "–"
    if unit == "%":
        return f"{value:.1f}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def _difference(value: float, unit: str) -> str:
    text = _shown(value, unit)
    return text if text.startswith(("-", "–")) or value == 0 else f"+{text}"


page()
