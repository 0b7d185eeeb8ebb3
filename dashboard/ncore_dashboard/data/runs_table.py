"""The table of runs: which fields it has, and how it is searched, filtered and sorted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from ncore.network.strengths import Strength
from ncore_dashboard.text.explanations import explanation

__all__ = ["FIELDS", "ROWS_OF_PAGE", "SHOWN", "SPARKLINE", "Field", "Kind", "keep", "search", "shown_values", "sort"]

Kind = Literal["text", "choice", "number", "percent", "time"]


@dataclass(frozen=True)
class Field:
    """A column of the table.

    Attributes:
        name: In the listing of a store.
        label: In the table.
        kind: How it is filtered and shown: "choice" is a text with few values, "percent" a fraction shown as per cent.
        explained: Key of its explanation; empty if the label says all.
        by: What its numbers are multiplied by to be shown.
        digits: Of numbers.
    """

    name: str
    label: str
    kind: Kind
    explained: str = ""
    by: float = 1.0
    digits: int = 0

    @property
    def help(self) -> str | None:
        """Markdown for a tooltip."""
        return explanation(self.explained).text if self.explained else None


FIELDS = {
    field.name: field
    for field in (
        Field("candidate", "Candidate", "choice"),
        Field("dataset", "Dataset", "choice"),
        Field("seed", "Seed", "number"),
        Field("mode", "Mode", "choice"),
        Field("status", "Status", "choice", "status"),
        Field("epochs", "Epochs", "number", "epochs"),
        Field("planned_epochs", "Planned", "number", "epochs"),
        Field("validation_accuracy", "Validation %", "percent", "validation_accuracy", 100, 1),
        Field("test_accuracy", "Final %", "percent", "test_accuracy", 100, 1),
        Field("beta_eff", "beta_eff", "number", f"beta_eff {Strength.RELATIVE}", 1, 4),
        Field("updated", "Updated", "time", "updated"),
        Field("created", "Begun", "time"),
        Field("seconds", "Time (s)", "number", "seconds", 1, 1),
        Field("bytes", "Size (MB)", "number", "bytes", 1e-6, 2),
        Field("parameters", "Parameters", "number"),
        Field("store", "Store", "choice"),
        Field("run", "Run", "text"),
        Field("reason", "Reason", "text"),
        Field("notes", "Notes", "text"),
        Field("warnings", "Warnings", "text"),
    )
}
ROWS_OF_PAGE = 1000
"""Of the table: what is more is on further pages, because a browser takes long over a table of megabytes."""

SPARKLINE = "curve"
SHOWN = (
    "candidate",
    "dataset",
    "seed",
    "status",
    "epochs",
    "validation_accuracy",
    SPARKLINE,
    "test_accuracy",
    "beta_eff",
    "updated",
    "bytes",
)
_SEARCHED = ("candidate", "dataset", "mode", "status", "run", "store", "reason", "notes", "warnings")


def search(runs: pd.DataFrame, text: str) -> pd.DataFrame:
    """Runs that have every word of ``text`` somewhere in their texts, in any case.

    Example:
        >>> table = pd.DataFrame({name: ["ResNet digits", "vit"] for name in _SEARCHED})
        >>> len(search(table, "digits res")), len(search(table, ""))
        (1, 2)
    """
    words = text.casefold().split()
    if not words or runs.empty:
        return runs
    columns = [runs[name].fillna("").astype("str").str.casefold() for name in _SEARCHED]
    texts = columns[0].str.cat(columns[1:], sep="\n")
    found = pd.Series(True, index=runs.index)
    for word in words:
        found &= texts.str.contains(word, regex=False)
    return runs[found]


def keep(runs: pd.DataFrame, conditions: Mapping[str, Any]) -> pd.DataFrame:
    """Runs that meet all conditions.

    Args:
        runs: A listing.
        conditions: By field: a list of values (one of them), a text (contained, in any case), or a pair of numbers or
            times, as they are shown, from and to, None where open. A run that has no value meets no condition on it.
    """
    for name, wanted in conditions.items():
        field, values = FIELDS[name], runs[name]
        if isinstance(wanted, str):
            met = values.fillna("").astype(str).str.casefold().str.contains(wanted.casefold(), regex=False)
        elif field.kind == "choice":
            met = values.isin(list(wanted))
        else:
            if field.kind != "time":
                # To the digits shown: what reads 95.0 is found from 95 on.
                values = (values.astype("float64") * field.by).round(field.digits)
            low, high = wanted
            met = values.notna()
            met &= values >= low if low is not None else True
            met &= values <= high if high is not None else True
        runs = runs[met.fillna(False).astype(bool)]
    return runs


def sort(runs: pd.DataFrame, by: str, descending: bool) -> pd.DataFrame:
    """Runs in order of a field, texts in any case, missing values last."""
    return runs.sort_values(
        by,
        ascending=not descending,
        na_position="last",
        kind="stable",
        ignore_index=True,
        key=lambda values: values.str.casefold() if FIELDS[by].kind in ("text", "choice") and len(values) else values,
    )


def shown_values(runs: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The fields as they are shown: per cent, megabytes, one-line texts."""
    from ncore_dashboard.text.plaintext import plain

    table = {}
    for name in columns:
        field, values = FIELDS[name], runs[name]
        if field.kind in ("text", "choice"):
            table[name] = values.map(lambda text: plain(text, 200), na_action="ignore").astype("object")
        elif field.by != 1:
            table[name] = values.astype("float64") * field.by
        else:
            table[name] = values
    return pd.DataFrame(table, index=runs.index)
