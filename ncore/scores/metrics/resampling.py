"""How sure a finite test set makes a metric: the bootstrap over examples.

Of predictions that are all right, of a rare class say, every resample is all right, too, and the bootstrap knows no
error. So what one example of the rarest class, judged otherwise, would change is added, in squares: for a share x/n
close to 0 or 1 that is about what Laplace's (x + 1)/(n + 2) adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ncore.scores.metrics._values import order_of
from ncore.scores.metrics.predictions import IntArray, Predictions
from ncore.scores.metrics.registry import Metric

__all__ = ["grain", "reduced", "resampled_rows", "resamples_of", "standard_error"]

_WORK = 2**23  # numbers to look at, less than a second


def standard_error(metric: Metric, predictions: Predictions, resamples: int = 100, seed: int = 0) -> float:
    """Standard error of a metric on its scale (``Metric.on_scale``), NaN if the metric is.

    Args:
        metric: Any.
        predictions: Of independent examples.
        resamples: At most; fewer of large predictions, down to 20, which know a standard error to a sixth.
        seed: Of the draws.
    """
    if metric.lacks(predictions):
        return math.nan
    count = resamples_of(metric, predictions, resamples, 20)
    needed = reduced(metric, predictions)
    found = [metric.value(needed.take(rows)) for rows in resampled_rows(len(predictions), count, seed)]
    known = np.array([value for value in found if value == value])
    return math.hypot(metric.on_scale(known).std(ddof=1), grain(metric, predictions)) if known.size > 1 else math.nan


def grain(metric: Metric, predictions: Predictions) -> float:
    """About how far one example of the rarest class, judged otherwise, moves a metric on its scale.

    0 for the log loss and the calibration error, which are no shares of examples.
    """
    if metric.needs in ("label_probability", "probability") or metric.lacks(predictions):
        return 0.0
    counts = np.bincount(predictions.labels, minlength=predictions.classes)
    rarest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
    row = int(np.flatnonzero(predictions.labels == rarest)[0])
    predicted = predictions.predicted.copy()
    predicted[row] = (rarest + 1) % predictions.classes if predicted[row] == rarest else rarest
    rank, probabilities = predictions.label_rank, predictions.probabilities
    if rank is not None:
        rank = rank.copy()
        rank[row] = 0 if predicted[row] == rarest else predictions.classes - 1
    if probabilities is not None:
        probabilities = probabilities.copy()
        probabilities[row] = np.eye(predictions.classes)[predicted[row]]
    other = replace(predictions, predicted=predicted, label_rank=rank, probabilities=probabilities)
    before, after = metric.on_scale([metric.value(predictions), metric.value(other)])
    share = counts[rarest] / (counts[rarest] + 2)  # Laplace's: two examples more than there are
    return float(share * abs(after - before)) if before == before and after == after else 0.0


def reduced(metric: Metric, predictions: Predictions) -> Predictions:
    """What a metric needs of predictions and no more, to be resampled quickly; its values are the same."""
    kept: dict[str, Any] = dict.fromkeys(("probability", "label_probability", "label_rank", "probabilities"))
    if metric.needs:
        kept[metric.needs] = getattr(predictions, metric.needs)
    if kept["probabilities"] is not None:
        kept["probabilities"] = order_of(kept["probabilities"])
    return replace(predictions, **kept)


def resamples_of(metric: Metric, predictions: Predictions, most: int, least: int) -> int:
    """How many resamples can be looked at in a moment."""
    size = len(predictions) * (predictions.classes if metric.needs == "probabilities" else 1)
    return int(min(most, max(least, _WORK // size)))


def resampled_rows(size: int, count: int, seed: int) -> Iterator[IntArray]:
    """Rows drawn with replacement, ``count`` times."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield rng.integers(0, size, size)
