"""Ranking: who is best, how sure are we, what did it cost?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ncore.predict import BASELINE, MEASURES, Curve, Past, Ranker, get_predictor, said_of
from ncore.predict.by_class import classes_of
from ncore.predict.choosing import judged as judged_curves
from ncore.predict.ranker import FORECAST, MEASURED
from ncore.predict.widening import uncalibrated
from ncore.scores.metrics import ACCURACY, Metric, get_metric
from ncore_dashboard.data import rankings
from ncore_dashboard.figures import ranking as figures
from ncore_dashboard.figures import styles_of
from ncore_dashboard.pages import ranking_track_record
from ncore_dashboard.parts import method_choice, runs_choice, sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.explanations import explanation
from ncore_dashboard.text.plaintext import markdown, plain

_MOST_BY_CLASS = 8
_SHOWN_MEASURES = ("kendall", "spearman", "regret", "precision_at_3")


def page() -> None:
    """Lay out the page."""
    ui.head("Ranking", "Which candidate will be best in the end, how sure is that, and what did it take to know?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        task = runs_choice.task("ranking")
        if task is None:
            return
        method = method_choice.method("ranking")
        metric = get_metric(method_choice.metric("ranking", task))
    st.caption(runs_choice.said(task))
    books = sidebar.current()
    curves = [books.curve(key, metric.name) for key in task.keys]
    ui.problems(runs_choice.unreadable(task.keys, curves), "run")
    last = rankings.last_epoch(curves)
    if last == 0:
        _nothing(curves, metric)
        return
    k = method_choice.epoch("ranking", curves)
    past = books.past(task.dataset, task.mode, metric.name)
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
        f"{'Final' if all_measured else 'Predicted final'} {metric.label} of {len(table)} candidates with 90% "
        f"intervals; the first is {table['candidate'].iloc[0]} at {metric.in_words(table['predicted'].iloc[0])}.",
        table,
        "forecast",
    )
    _details(table)
    _by_class(task.keys, table, metric)

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
        figures.learning_curves(table_of_curves, styles, k, dark, metric),
        "ranking-curves" if metric.name == ACCURACY else f"ranking-curves-{metric.name}",
        f"Validation {metric.label} over epochs, mean and band over seeds of each candidate.",
        table_of_curves,
        "learning-curves",
    )

    if metric.name == ACCURACY:
        ranking_track_record.show(method, judged, task.mode)
    else:
        st.caption(f"How methods did on the benchmark is known of the accuracy only, not of {metric.label}.")


@ui.guarded
def _headline(table: pd.DataFrame, prices: pd.DataFrame, k: int, end: int) -> None:
    """The answer in a sentence and three numbers."""
    first, metric = table.iloc[0], get_metric(table.attrs["metric"])
    tied = int((table["rank"] == 1).sum())
    who = markdown(first["candidate"], 60)
    same = "measured" if first["kind"] == MEASURED else "predicted"
    others = f" (with {tied - 1} other{'s' if tied > 2 else ''} {same} just the same)" if tied > 1 else ""
    verb = "ended at" if first["kind"] == MEASURED else "is predicted to end at"
    st.markdown(
        f"As of epoch {k} of {end}, **{who}**{others} {verb} **{metric.in_words(first['predicted'])}**"
        f"{'' if metric.name == ACCURACY else f' {metric.label}'} "
        f"(90% interval {metric.interval_in_words(first['lower'], first['upper'])})."
    )
    if metric.name != ACCURACY and (why := uncalibrated(table)):
        st.caption(markdown(f"Forecasts: {why}.", 300))
    for said in said_of(table):
        st.caption(markdown(said, 400))
    going = table[(table["kind"] == FORECAST) & table["predicted"].notna()]
    if first["kind"] == MEASURED and len(going):
        st.markdown(
            f"{len(going)} of {len(table)} have not ended; of these, **{markdown(going['candidate'].iloc[0], 60)}** is "
            f"predicted to end {metric.best}, at **{metric.in_words(going['predicted'].iloc[0])}**."
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
            help=explanation("regret").text
            + f"\n\nThe final {metric.label} of {known} of {len(table)} candidates is known."
            + ("" if metric.unit else " Points are of exp(−x), the geometric mean of the labels’ probabilities."),
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
        lambda: rankings.ranking([books.curve(key, past.metric) for key in keys], Ranker(method, past), k),
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
    kinds, metric = set(table["kind"]), get_metric(table.attrs["metric"])
    unit = f" {metric.unit}" if metric.unit else ""
    value = "Measured" if kinds == {MEASURED} else "Predicted" if kinds == {FORECAST} else f"Final {metric.label}"
    value, low, high, seen = (f"{name}{unit}" for name in (value, "from", "to", "Observed"))
    ends = ["lower", "upper"] if metric.higher_is_better else ["upper", "lower"]
    shown = {name: metric.shown(table[name]) for name in ("predicted", "observed", *ends)}
    view = pd.DataFrame(
        {
            "Rank": table["rank"],
            "Candidate": [plain(name, 80) for name in table["candidate"]],
            value: shown["predicted"],
            low: shown[ends[0]],
            high: shown[ends[1]],
            "P(best) %": 100 * table["p_best"],
            seen: shown["observed"],
            "Error": pd.Series(shown["predicted"] - shown["observed"], table.index).where(table["kind"] == FORECAST),
            "Kind": table["kind"],
            "Seeds": table["seeds"],
            "Note": [plain(text, 300) for text in table["warning"]],
        }
    )
    number, form = st.column_config.NumberColumn, "%.1f" if metric.unit else "%.3f"
    points = ", in accuracy points" if metric.name == ACCURACY else ", in points" if metric.unit else ""
    columns = {
        value: number(format=form, help=explanation("predicted").text),
        low: number(format=form, help=explanation("interval").text),
        high: number(format=form, help=explanation("interval").text),
        "P(best) %": st.column_config.ProgressColumn(
            min_value=0, max_value=100, format="%.0f", help=explanation("p_best").text
        ),
        seen: number(format=form, help=explanation("test_accuracy").text),
        "Error": number(format=form.replace("%", "%+"), help=f"Predicted less observed{points}; of forecasts."),
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


@ui.guarded
def _by_class(keys: Sequence[str], table: pd.DataFrame, metric: Metric) -> None:
    """The metric of each class on the test set, of the candidates that have kept predictions."""
    books = sidebar.current()
    runs: dict[str, list[str]] = {}
    for key in keys:
        runs.setdefault(str(books.row(key)["candidate"]), []).append(key)

    def make() -> pd.DataFrame:
        wanted = [name for name in table["candidate"] if name in runs][:_MOST_BY_CLASS]
        return classes_of(metric.name, {name: [books.run(key) for key in runs[name]] for name in wanted})

    title = f"{metric.label[:1].upper()}{metric.label[1:]} by class, on the test set"
    if not st.toggle(title, **session.setting("ranking-by-class")):
        return
    classes = books.remembered(("by class", metric.name, tuple(table["candidate"])), keys, make)
    if classes.empty:
        st.caption("None of these runs has kept predictions of single test examples.")
        return
    # Names may differ in what can't be seen, so rows and columns are by number first.
    order = list(dict.fromkeys(zip(classes["class"], classes["examples"], strict=True)))
    columns: dict[str, list[object]] = {
        "Class": [plain(name, 60) for name, _ in order],
        "Examples": [count for _, count in order],
    }
    for candidate, rows in classes.groupby("candidate", sort=False):
        values = dict(zip(rows["class"], (100 if metric.unit else 1) * rows["value"], strict=True))
        head = plain(candidate, 60)
        head = head if head not in columns else f"{head} ({len(columns)})"
        columns[head] = [values.get(name) for name, _ in order]
    form = "%.1f" if metric.unit else "%.3f"
    numbers = {name: st.column_config.NumberColumn(format=form) for name in list(columns)[2:]}
    st.dataframe(
        pd.DataFrame(columns),
        hide_index=True,
        column_config=numbers,
        placeholder="–",
        alt=f"{metric.label} by class.",
        key="ranking-classes",
    )
    ui.download(classes, "csv-classes", "by-class")


def _nothing(curves: Sequence[Curve], metric: Metric) -> None:
    """Say why there is nothing to rank."""
    notes = [curve.warnings for curve in curves if curve.warnings] if metric.name != ACCURACY else []
    if notes:
        text = f"{notes[0]}. Choose another metric, or record these runs anew."
        ui.empty(f"Nothing is known of the {metric.label} of these runs.", markdown(text, 400))
        return
    ui.empty("There is nothing to rank yet.", "None of these runs has finished an epoch; this page follows as they do.")


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
