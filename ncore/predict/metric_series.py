"""How a run did by a metric, epoch by epoch and in the end: from its predictions of single examples, or as recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ncore.errors import InputError
from ncore.scores.metrics import Metric, Predictions, find_metric, standard_error
from ncore.store.metric_names import NAMES

__all__ = ["MetricSeries", "final_predictions", "metric_series"]

_COLUMNS = ("epoch", "split", "label", "predicted")


@dataclass(frozen=True)
class MetricSeries:
    """A metric of one run, on its scale (``Metric.on_scale``).

    Attributes:
        validation: By epoch, from 1.
        test: Of the last epoch that has one, NaN where unknown.
        test_variance: Of that by the finite test set, None where unknown.
        note: What to know of it, or why there is none; empty if nothing.
    """

    validation: Mapping[int, float] = field(default_factory=dict)
    test: float = math.nan
    test_variance: float | None = None
    note: str = ""


def metric_series(metric: Metric, run: Any, metrics: pd.DataFrame) -> MetricSeries:
    """A metric as a run's predictions have it, or as the run recorded it by name where that is of more epochs.

    Args:
        metric: Any.
        run: With ``predictions()``, ``recorded_epochs()`` and ``manifest``, as ``ncore.store.Run`` has them; what has
            none of these has no predictions.
        metrics: Its table ``metrics``.

    Raises:
        StoreError: The predictions can't be read.
    """
    named = _by_name(metric, metrics)
    kept = _epochs_of(run)
    if not kept or len(named.get("validation", {})) > len(kept):
        return _recorded(metric, named, "" if kept else "no predictions of single examples")
    frame = run.predictions(columns=[*_COLUMNS, *([metric.needs] if metric.needs else []), *_beside(metric)])
    frame = frame[frame["epoch"] >= 1]
    classes = _classes(run)
    found: dict[tuple[str, int], Predictions] = {}
    try:
        for (split, epoch), rows in frame[frame["split"].isin(["validation", "test"])].groupby(["split", "epoch"]):
            found[str(split), int(epoch)] = Predictions.of(rows, classes)
    except InputError as error:
        return _recorded(metric, named, f"predictions that fit its {classes} classes ({str(error).rstrip('.')})")
    if lacking := next(filter(None, map(metric.lacks, found.values())), ""):
        return _recorded(metric, named, lacking)
    values = {key: float(metric.on_scale(metric.value(one))) for key, one in found.items()}
    validation = {epoch: value for (split, epoch), value in values.items() if split == "validation" and value == value}
    others = metrics[(metrics["split"] == "validation") & (metrics["epoch"] >= 1)]["epoch"].nunique()
    note = ""
    if len(validation) < others:
        note = f"{metric.label} is known of {len(validation)} of {others} epochs, those whose predictions were kept"
    tested = [epoch for split, epoch in found if split == "test"]
    if not tested:
        return MetricSeries(validation, note=note)
    key = ("test", max(tested))
    deviation = standard_error(metric, found[key])
    return MetricSeries(validation, values[key], deviation**2 if deviation == deviation else None, note)


def final_predictions(run: Any, split: str = "test") -> Predictions | None:
    """What a run predicted of a split in the last epoch that has it; None where that was not recorded.

    Args:
        run: As for :func:`metric_series`.
        split: "validation" or "test".

    Raises:
        StoreError: The predictions can't be read.
    """
    for epoch in reversed(_epochs_of(run)):
        rows = run.predictions(split, epoch=epoch)
        if len(rows):
            rows = rows.sort_values("example", kind="stable")
            try:
                return Predictions.of(rows, _classes(run))
            except InputError:
                return None
        if split == "validation":
            return None
    return None


def _beside(metric: Metric) -> tuple[str, ...]:
    """Of what else it may follow."""
    return {"probabilities": ("label_probability",), "label_rank": ("label_probability", "probabilities")}.get(
        metric.needs, ()
    )


def _epochs_of(run: Any) -> list[int]:
    listed = getattr(run, "recorded_epochs", None)
    return [epoch for epoch in listed("predictions") if epoch >= 1] if listed is not None else []


def _classes(run: Any) -> int | None:
    """How many classes the manifest of a run names, None where it doesn't; what it says may be anything."""
    names = getattr(getattr(run, "manifest", None), "info", {}).get("classes")
    return len(names) if isinstance(names, list) and len(names) > 1 else None


def _by_name(metric: Metric, metrics: pd.DataFrame) -> dict[str, dict[int, float]]:
    """What was recorded under the metric's names: value by epoch, of the last step of an epoch, by split."""
    alike = [name for name in metrics["name"].unique() if find_metric(str(name)) is metric]
    found: dict[str, dict[int, float]] = {}
    # Its own name before a usual one of the table, as a loss may be another than the log loss.
    for name in sorted(alike, key=lambda one: (one not in NAMES, one)):
        rows = metrics[(metrics["name"] == name) & (metrics["epoch"] >= 1) & metrics["value"].notna()]
        rows = rows.sort_values(["epoch", "step"], kind="stable")
        for split, part in rows.groupby("split"):
            values = dict(zip(part["epoch"].astype(int), part["value"].astype(float), strict=True))
            found[str(split)] = {epoch: value for epoch, value in values.items() if np.isfinite(value)}
    return found


def _recorded(metric: Metric, named: Mapping[str, Mapping[int, float]], lacking: str) -> MetricSeries:
    """As recorded by name, or what is missing."""
    validation, test = named.get("validation", {}), named.get("test", {})
    if not validation:
        what = lacking if lacking.startswith("no ") else f"not {lacking}" if lacking else "nothing of it"
        needs = " and ".join(filter(None, ["predictions of single examples", *_needed(metric)]))
        return MetricSeries(note=f"{metric.label} follows from {needs}, and the run has {what}")
    scaled = {epoch: float(metric.on_scale(value)) for epoch, value in validation.items()}
    if wrong := [epoch for epoch, value in scaled.items() if not 0 <= value <= 1]:
        return MetricSeries(note=f"its {metric.label} is {validation[wrong[0]]:g} after epoch {wrong[0]}, out of range")
    last = max(test, default=0)
    final = float(metric.on_scale(test[last])) if test else math.nan
    note = f"{metric.label} is taken as the run recorded it by name"
    return MetricSeries(scaled, final if 0 <= final <= 1 else math.nan, None, note)


def _needed(metric: Metric) -> list[str]:
    return [metric.needed] if metric.needed else []
