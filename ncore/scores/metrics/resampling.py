"""How sure a finite test set makes a metric: the bootstrap over examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ncore.scores.metrics.predictions import IntArray, Predictions
from ncore.scores.metrics.registry import Metric

__all__ = ["resampled_rows", "resamples_of", "standard_error"]

_WORK = 2**23  # probabilities to look at, about a second of the slowest metric


def standard_error(metric: Metric, predictions: Predictions, resamples: int = 200, seed: int = 0) -> float:
    """Standard error of a metric on its scale (``Metric.on_scale``), NaN if the metric is.

    Args:
        metric: Any.
        predictions: Of independent examples.
        resamples: At most; fewer of large predictions, down to 20, which know a standard error to a sixth.
        seed: Of the draws.
    """
    if metric.lacks(predictions):
        return float("nan")
    count = resamples_of(metric, predictions, resamples, 20)
    found = [metric.value(predictions.take(rows)) for rows in resampled_rows(len(predictions), count, seed)]
    known = np.array([value for value in found if value == value])
    return float(metric.on_scale(known).std(ddof=1)) if known.size > 1 else float("nan")


def resamples_of(metric: Metric, predictions: Predictions, most: int, least: int) -> int:
    """How many resamples can be looked at in a moment."""
    size = len(predictions) * (predictions.classes if metric.needs == "probabilities" else 1)
    return int(min(most, max(least, _WORK // size)))


def resampled_rows(size: int, count: int, seed: int) -> Iterator[IntArray]:
    """Rows drawn with replacement, ``count`` times."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield rng.integers(0, size, size)
