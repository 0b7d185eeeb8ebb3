"""Ranking: who is best, how sure are we, what did it cost?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ncore.predict import BASELINE, MEASURES, Curve, Past, Ranker, get_predictor, said_of_past
from ncore.predict.choosing import judged as judged_curves
from ncore.predict.ranker import FORECAST, MEASURED
from ncore_dashboard.data import rankings
from ncore_dashboard.figures import ranking as figures
from ncore_dashboard.figures import styles_of
from ncore_dashboard.pages import ranking_track_record
from ncore_dashboard.parts import method_choice, runs_choice, sidebar, ui
from ncore_dashboard.text.explanations import explanation
from ncore_dashboard.text.plaintext import markdown, plain

_SHOWN_MEASURES = ("kendall", "spearman", "regret", "precision_at_3")


def page() -> None:
    """Lay out the page."""
    ui.head("Ranking", "Which candidate will be best in the end, how sure is that, and what did it take to know?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        task = runs_choice.task("ranking")
        if task is None:
            return
        method = method_choice.method("ranking")
    st.caption(runs_choice.said(task))
    books = sidebar.current()
    curves = [books.curve(key) for key in task.keys]
    ui.problems(runs_choice.unreadable(task.keys, curves), "run")
    last = rankings.last_epoch(curves)
    if last == 0:
        ui.empty(
            "There is nothing to rank yet.", "None of these runs has finished an epoch; this page follows as they do."
        )
        return
    k = method_choice.epoch("ranking", curves)
    past = books.past(task.dataset, task.mode)
    table = _ranking(task.keys, past, method, k)
    if isinstance(table, str):
        ui.empty("This can't be ranked.", markdown(table))
        return
    styles = styles_of(books.candidates())
    dark = ui.is_dark()
    prices = _prices(task.keys, past, method, k, last)
    _headline(table, prices, k, rankings.horizon(curves))

    all_measured = bool((table["kind"] == MEASURED).all())
    ui.section(
        "Prediction and outcome",
        "Where each ended, with what chance between seeds and a finite test set leave uncertain."
        if all_measured
        else f"Seen up to epoch {k} only. How sure the order is, the probabilities say: much of an interval is often "
        "shared by all candidates.",
        ("predicted", "interval", "p_best", "test_accuracy"),
    )
    ui.chart(
        figures.forecast(table, styles, dark),
        f"ranking-forecast-{len(table)}",
        f"{'Final' if all_measured else 'Predicted final'} accuracy of {len(table)} candidates with 90% intervals; the "
        f"first is {table['candidate'].iloc[0]} at {ui.percent(table['predicted'].iloc[0])}.",
        table,
        "forecast",
    )
    _details(table)

    # Of what is measured, methods foretell nothing: there they are judged by what they would have said early.
    judged = min(last, max(3, get_predictor(method).min_epochs, last // 3)) if all_measured else k
    ui.section(
        "How well do the methods rank here?",
        _honest_line(method, task.keys, past, judged),
        ("kendall", "spearman", "regret", "precision_at_3"),
    )
    compared = books.remembered(
        ("methods", past, judged), task.keys, lambda: rankings.compare_methods(curves, past, judged)
    )
    _methods(compared, method)

    ranked = _ranked(task.keys, past, method, k, last)
    ui.section(
        "The ranking as epochs pass",
        "Crossing lines: the order was not settled yet. The dotted line is the epoch chosen above.",
        ("rank",),
    )
    ui.chart(
        figures.bump(ranked, styles, k, dark),
        "ranking-bump",
        "Rank of each candidate as of every epoch, and the observed order at the right.",
        ranked,
        "ranks",
    )

    ui.section(
        "Had one stopped there",
        "What the first choice as of each epoch would have lost, and what stopping would have saved.",
        ("regret", "saved"),
    )
    ui.chart(
        figures.price(prices, k, dark),
        "ranking-price",
        "Regret of the first choice and compute saved, as of every epoch.",
        prices,
        "price",
    )

    ui.section(
        "Learning curves",
        "The shaded epochs are those that the prediction does not see.",
        ("validation_accuracy", "seeds"),
    )
    table_of_curves = _curve_table(judged_curves(curves, table))
    ui.chart(
        figures.learning_curves(table_of_curves, styles, k, dark),
        "ranking-curves",
        "Validation accuracy over epochs, mean and band over seeds of each candidate.",
        table_of_curves,
        "learning-curves",
    )

    ranking_track_record.show(method, judged, task.mode)


@ui.guarded
def _headline(table: pd.DataFrame, prices: pd.DataFrame, k: int, end: int) -> None:
    """The answer in a sentence and three numbers."""
    first = table.iloc[0]
    tied = int((table["rank"] == 1).sum())
    who = markdown(first["candidate"], 60)
    same = "measured" if first["kind"] == MEASURED else "predicted"
    others = f" (with {tied - 1} other{'s' if tied > 2 else ''} {same} just the same)" if tied > 1 else ""
    verb = "ended at" if first["kind"] == MEASURED else "is predicted to end at"
    st.markdown(
        f"As of epoch {k} of {end}, **{who}**{others} {verb} **{ui.percent(first['predicted'])}** "
        f"(90% interval {ui.percent(first['lower'])} – {ui.percent(first['upper'])})."
    )
    if said := said_of_past(table):
        st.caption(markdown(said, 400))
    going = table[(table["kind"] == FORECAST) & table["predicted"].notna()]
    if first["kind"] == MEASURED and len(going):
        st.markdown(
            f"{len(going)} of {len(table)} have not ended; of these, **{markdown(going['candidate'].iloc[0], 60)}** is "
            f"predicted to end highest, at **{ui.percent(going['predicted'].iloc[0])}**."
        )
    now = prices[(prices["k"] == k) & (prices["method"] == table.attrs["method"])]
    regret = now["regret"].iloc[0] if len(now) else float("nan")
    saved = now["saved"].iloc[0] if len(now) else float("nan")
    known = int(table["observed"].notna().sum())
    with st.container(horizontal=True):
        st.metric(
            "Probability of being best", ui.percent(first["p_best"], 0), help=explanation("p_best").text, width=200
        )
        if not len(going):  # nothing was chosen early
            return
        st.metric(
            "Regret of this choice",
            "unknown" if pd.isna(regret) else f"{regret:.1f} points",
            help=explanation("regret").text + f"\n\nThe final accuracy of {known} of {len(table)} candidates is known.",
            width=200,
        )
        st.metric(
            "Compute saved",
            "unknown" if pd.isna(saved) else f"{saved:.0f}%",
            help=explanation("saved").text,
            width=200,
        )


def _ranking(keys: Sequence[str], past: Past, method: str, k: int) -> pd.DataFrame | str:
    books = sidebar.current()
    return books.remembered(
        ("ranking", past, method, k),
        keys,
        lambda: rankings.ranking([books.curve(key) for key in keys], Ranker(method, past), k),
    )


def _ranked(keys: Sequence[str], past: Past, method: str, k: int, last: int) -> pd.DataFrame:
    return rankings.below_each_other({at: _ranking(keys, past, method, at) for at in rankings.epochs_to_show(last, k)})


def _prices(keys: Sequence[str], past: Past, method: str, k: int, last: int) -> pd.DataFrame:
    """Regret and compute saved of the chosen method, and of the simplest one beside it."""
    books = sidebar.current()
    epochs = tuple(rankings.epochs_to_show(last, k))

    def of(name: str) -> pd.DataFrame:
        table = books.remembered(
            ("price", past, name, epochs),
            keys,
            lambda: rankings.price(_ranked(keys, past, name, k, last), books.clocks(keys)),
        )
        return table.assign(method=name, label=get_predictor(name).label)

    return pd.concat([of(name) for name in dict.fromkeys([method, BASELINE])], ignore_index=True)


@ui.guarded
def _details(table: pd.DataFrame) -> None:
    """The same as a table, with what to know before trusting a row."""
    kinds = set(table["kind"])
    value = "Measured %" if kinds == {MEASURED} else "Predicted %" if kinds == {FORECAST} else "Final accuracy %"
    view = pd.DataFrame(
        {
            "Rank": table["rank"],
            "Candidate": [plain(name, 80) for name in table["candidate"]],
            value: 100 * table["predicted"],
            "from %": 100 * table["lower"],
            "to %": 100 * table["upper"],
            "P(best) %": 100 * table["p_best"],
            "Observed %": 100 * table["observed"],
            "Error": (100 * (table["predicted"] - table["observed"])).where(table["kind"] == FORECAST),
            "Kind": table["kind"],
            "Seeds": table["seeds"],
            "Note": [plain(text, 300) for text in table["warning"]],
        }
    )
    number = st.column_config.NumberColumn
    columns = {
        value: number(format="%.1f", help=explanation("predicted").text),
        "from %": number(format="%.1f", help=explanation("interval").text),
        "to %": number(format="%.1f", help=explanation("interval").text),
        "P(best) %": st.column_config.ProgressColumn(
            min_value=0, max_value=100, format="%.0f", help=explanation("p_best").text
        ),
        "Observed %": number(format="%.1f", help=explanation("test_accuracy").text),
        "Error": number(format="%+.1f", help="Predicted less observed, in accuracy points; of forecasts."),
        "Kind": st.column_config.TextColumn(help=explanation("kind").text),
    }
    st.dataframe(
        view,
        hide_index=True,
        column_config=columns,
        placeholder="–",
        height=min(35 * (len(view) + 1), 665) + 2,
        alt="The ranking as a table.",
        key="ranking-table",
    )


def _honest_line(method: str, keys: Sequence[str], past: Past, k: int) -> str:
    """How the chosen method did as of an epoch, against reading the last accuracy."""
    table, simplest = (_ranking(keys, past, name, k) for name in (method, BASELINE))
    if isinstance(table, str):
        return markdown(table)
    mine = rankings.verdict(table)
    naive = mine if isinstance(simplest, str) else rankings.verdict(simplest)
    if mine.pairs == 0:
        return "Nothing can be said yet: a method is judged by final accuracies, and fewer than two are known."
    label = get_predictor(method).label
    line = f"As of epoch {k}, “{label}” put {mine.right} of {mine.pairs} pairs of candidates in the right order"
    if method == BASELINE:
        return f"{line}; it is the simplest method there is, and the one to beat."
    if mine.right > naive.right:
        return f"{line}, more than the {naive.right} of simply reading the last accuracy; a few pairs more can be luck."
    if mine.right == naive.right:
        return f"{line}, no more than simply reading the last accuracy does."
    return f"{line}; simply reading the last accuracy gets {naive.right} right, so prefer that here."


@ui.guarded
def _methods(table: pd.DataFrame, method: str) -> None:
    view = pd.DataFrame(
        {
            "Method": [
                f"▶ {label}" if name == method else label
                for name, label in zip(table["method"], table["label"], strict=True)
            ],
            "First choice": [plain(name, 60) if isinstance(name, str) else None for name in table["choice"]],
            "Pairs right": [
                f"{right:.0f} of {pairs:.0f}" if pairs == pairs and pairs else None
                for right, pairs in zip(table["right"], table["pairs"], strict=True)
            ],
            **{explanation(name).label: table[name] for name in _SHOWN_MEASURES},
            "Mean error": table["error"],
            "Note": [plain(text, 300) for text in table["reason"]],
        }
    )
    columns = {
        explanation(name).label: st.column_config.NumberColumn(
            f"{explanation(name).label} {'↑' if MEASURES[name].higher_is_better else '↓'}",
            format="%.2f",
            help=explanation(name).text,
        )
        for name in _SHOWN_MEASURES
    }
    columns["Mean error"] = st.column_config.NumberColumn(
        "Mean error ↓", format="%.1f", help="Mean absolute difference of predicted and observed accuracy, in points."
    )
    st.dataframe(
        view,
        hide_index=True,
        column_config=columns,
        placeholder="–",
        height="content",
        alt="Methods compared.",
        key="methods-table",
    )
    ui.download(table, "csv-methods", "methods")


def _curve_table(curves: Sequence[Curve]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {"candidate": curve.candidate, "seed": curve.seed, "epoch": curve.epochs, "accuracy": curve.accuracy}
        )
        for curve in curves
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


page()
