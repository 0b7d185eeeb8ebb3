"""How well each class is told: a metric by class, of the last predictions that runs have kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ncore.errors import InputError, StoreError
from ncore.predict.curves import StoreLike
from ncore.predict.metric_series import final_predictions
from ncore.scores.metrics import Predictions, get_metric, metric_names

__all__ = ["COLUMNS", "all_metrics", "by_class", "classes_of", "finals_of"]

COLUMNS = ("candidate", "class", "examples", "value", "seeds")


def by_class(
    store: StoreLike | str | os.PathLike[str],
    metric: str,
    dataset: str | None = None,
    mode: str | None = None,
    split: str = "test",
) -> pd.DataFrame:
    """A metric of each class and candidate, in the mean of its seeds.

    Args:
        store: An open store, or its path or URL.
        metric: A name of ``ncore.scores.metrics.metric_names()``.
        dataset: The dataset; None if the store holds only one.
        mode: The training mode; None if the runs share one.
        split: "validation" or "test".

    Returns:
        Columns: candidate, class, examples (of that class), value in the metric's units, NaN where it has none, seeds.
        Candidates whose runs have kept no predictions are left out.

    Raises:
        InputError: There is no such metric or split, or the runs are of several datasets or modes.
    """
    if isinstance(store, str | os.PathLike):
        from ncore.store import open_store

        store = open_store(os.fspath(store))
    if split not in ("validation", "test"):
        raise InputError(f"The split is {split!r}, but predictions are kept of 'validation' and 'test': name one.")
    runs = store.runs()
    for column, wanted in (("dataset", dataset), ("mode", mode)):
        runs = runs if wanted is None else runs[runs[column] == wanted]
        if (several := runs[column].dropna().nunique()) > 1:
            raise InputError(f"The runs are of {several} {column}s: name one as `{column}`.")
    opened: dict[str, list[Any]] = {}
    for row in runs[runs["candidate"].notna()].to_dict("records"):
        try:
            opened.setdefault(str(row["candidate"]), []).append(store.run(row["run"]))
        except StoreError:
            continue
    return classes_of(metric, opened, split)


def classes_of(metric: str, runs: Mapping[str, Iterable[Any]], split: str = "test") -> pd.DataFrame:
    """The same of open runs by candidate."""
    used, rows = get_metric(metric), []
    for candidate, members in runs.items():
        members = list(members)
        found = finals_of(members, split)
        if not found or len({one.classes for one in found}) > 1:
            continue
        values = np.array([used.values_by_class(one) for one in found])
        known = ~np.isnan(values)
        means = np.divide(
            np.where(known, values, 0).sum(0), known.sum(0), out=np.full(values.shape[1], np.nan), where=known.any(0)
        )
        counts = np.bincount(found[0].labels, minlength=found[0].classes)
        named = getattr(getattr(members[0], "manifest", None), "info", {}).get("classes")
        names = named if isinstance(named, list) and len(named) == len(counts) else list(range(len(counts)))
        for name, count, value in zip(names, counts.tolist(), means.tolist(), strict=True):
            rows.append((candidate, str(name), count, value, len(found)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def all_metrics(runs: Mapping[str, Iterable[Any]], split: str = "test") -> pd.DataFrame:
    """Every metric of open runs by candidate, in the mean of their seeds and in the metric's units.

    Returns:
        A row a candidate that has predictions; columns: candidate, seeds, one a metric, NaN where it can't be had.
    """
    rows = []
    for candidate, members in runs.items():
        if found := finals_of(members, split):
            values = {name: np.mean([get_metric(name).value(one) for one in found]) for name in metric_names()}
            rows.append({"candidate": candidate, "seeds": len(found), **values})
    return pd.DataFrame(rows, columns=["candidate", "seeds", *metric_names()])


def finals_of(runs: Iterable[Any], split: str = "test") -> list[Predictions]:
    """The last predictions of runs that have some; what can't be read is left out."""
    found = []
    for run in runs:
        try:
            if (last := final_predictions(run, split)) is not None:
                found.append(last)
        except StoreError:
            continue
    return found
