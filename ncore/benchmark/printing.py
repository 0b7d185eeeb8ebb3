"""An evaluation as tables in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ncore.benchmark.evaluation import AVERAGE
from ncore.predict import BASELINE

__all__ = ["HEADS", "print_evaluation", "wide"]

HEADS = {
    "kendall": "Kendall ↑",
    "regret": "regret ↓",
    "precision_at_3": "top 3 ↑",
    "share": "cost",
    "spearman": "Spearman ↑",
    "weighted_kendall": "weighted ↑",
    "error": "error ↓",
    "coverage": "coverage",
    "seconds": "seconds",
}
_FIRST = ("kendall", "over", "regret", "precision_at_3", "share")
_SECOND = ("spearman", "weighted_kendall", "error", "coverage", "seconds")
_FORMS = {"regret": ".1f", "error": ".1f", "share": ".0%", "seconds": ".0f"}


def print_evaluation(table: pd.DataFrame, console: Console, at: int = 3) -> None:
    """A table for each mode: every method's measures after ``at`` epochs, then Kendall's tau by k and by task."""
    for mode, part in table[table["task"] == AVERAGE].groupby("mode", sort=True):
        first = part.iloc[0]
        about = f"mode {mode}: {_number(first['tasks'], 'task')}, {_number(first['candidates'], 'candidate')}"
        ks = sorted(part["k"].unique())
        chosen = at if at in ks else ks[-1]
        title = f"After {_number(chosen, 'epoch')}, {about}"
        console.print(_measures(part[part["k"] == chosen], title, _FIRST))
        console.print(_measures(part[part["k"] == chosen], f"{title}: more measures", _SECOND))
        console.print(_taus(part, "k", ks, f"Kendall's tau after k epochs, {about}"))
        own = table[(table["mode"] == mode) & (table["k"] == chosen) & (table["task"] != AVERAGE)]
        if own["task"].nunique() > 1:
            tasks = sorted(own["task"].unique())
            console.print(_taus(own, "task", tasks, f"Kendall's tau after {_number(chosen, 'epoch')} by task, {about}"))
    console.print(
        "[bold]How to read it:[/] Δ is the difference in Kendall's tau to reading the last accuracy, with the 95% "
        "interval over resampled tasks and candidates: what has 0 inside is not shown to be better or worse. Regret "
        "and error are accuracy points, coverage is that of 90% intervals, cost the share of training all to the end.",
        highlight=False,
    )


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method, in the order of the table, best Kendall first; one column a measure."""
    rows = table.pivot_table(index="method", columns="measure", values="value", sort=False)
    return rows.sort_values("kendall", ascending=False, kind="stable")


def _measures(part: pd.DataFrame, title: str, columns: Sequence[str]) -> Table:
    view = _view(title, ("method", *(HEADS.get(name, "Δ [95%]") for name in columns)))
    tau = part[part["measure"] == "kendall"].set_index("method")
    for method, values in wide(part).iterrows():
        row = tau.loc[method]
        cells = {**values.to_dict(), "share": row["share"], "seconds": row["seconds"]}
        told = {name: _form(value, _FORMS.get(str(name), ".2f")) for name, value in cells.items()}
        if method != BASELINE and pd.notna(row["over_last"]):
            told["over"] = f"{row['over_last']:+.2f} [{row['over_last_lower']:+.2f}, {row['over_last_upper']:+.2f}]"
        view.add_row(escape(str(row["label"])), *(told.get(name, "") for name in columns))
    return view


def _taus(part: pd.DataFrame, by: str, values: Sequence[Any], title: str) -> Table:
    view = _view(title, ("method", *map(str, values)))
    tau = part[part["measure"] == "kendall"]
    labels = tau.drop_duplicates("method").set_index("method")["label"]
    rows = tau.pivot_table(index="method", columns=by, values="value", sort=False).reindex(columns=values)
    for method, row in rows.loc[rows.mean(axis=1).sort_values(ascending=False, kind="stable").index].iterrows():
        view.add_row(escape(str(labels[method])), *(_form(value, ".2f") for value in row))
    return view


def _view(title: str, heads: Sequence[str]) -> Table:
    view = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for number, head in enumerate(heads):
        view.add_column(escape(head), justify="right" if number else "left", no_wrap=number > 0)
    return view


def _form(value: Any, form: str) -> str:
    return "–" if value is None or pd.isna(value) else format(value, form)


def _number(count: Any, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
