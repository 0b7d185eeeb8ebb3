"""What of a ranking is measured: the candidates that ended, with the uncertainty of seeds and of a finite test set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ncore.predict.curves import Curve
from ncore.scores.metrics import ACCURACY

__all__ = ["measured"]


def measured(candidates: Iterable[Sequence[Curve]], k: int) -> dict[str, tuple[float, float, str]]:
    """Mean, its standard deviation, and what to know of them, of the candidates that ended by epoch k.

    The variance is that of a mean over seeds, s^2/n, and that of a finite test set, which more seeds don't make
    smaller: p (1 - p)/m of an accuracy, a bootstrap's of any other metric. A single seed is given the variance between
    the seeds of the others, in the mean.
    """
    ended: dict[str, list[Curve]] = {}
    for members in candidates:
        counted = [curve for curve in members if curve.status not in ("failed", "unreadable")]
        if counted and all(_has_ended(curve, k) for curve in counted):
            ended[counted[0].candidate] = counted
    finals = {name: np.array([curve.observed for curve in members]) for name, members in ended.items()}
    several = [values for values in finals.values() if values.size > 1]
    degrees = sum(values.size - 1 for values in several)
    pooled = sum(float(((values - values.mean()) ** 2).sum()) for values in several) / degrees if degrees else math.nan
    found = {}
    for name, values in finals.items():
        mean = math.fsum(values) / values.size
        seeds = (float(values.var(ddof=1)) if values.size > 1 else pooled) / values.size
        finite = _of_test_set(ended[name], mean)
        note = ""
        if math.isnan(seeds):
            note = "with one seed, the interval holds the noise of the test set only"
            if math.isnan(finite):
                note = "there is no interval, as there is one seed and the size of the test set is not known"
        parts = [part for part in (seeds, finite) if not math.isnan(part)]
        found[name] = mean, math.sqrt(sum(parts)) if parts else math.nan, note
    return found


def _of_test_set(curves: Sequence[Curve], mean: float) -> float:
    """The variance of a candidate's result by the finite test set that its seeds share, NaN where unknown."""
    if curves[0].metric != ACCURACY:
        variances = [curve.test_variance for curve in curves if curve.test_variance is not None]
        return math.fsum(variances) / len(variances) if variances else math.nan
    images = min((curve.test_images for curve in curves if curve.test_images is not None), default=None)
    return mean * (1 - mean) / images if images else math.nan


def _has_ended(curve: Curve, k: int) -> bool:
    """Whether all of a run, its final accuracy included, was known after epoch k."""
    done = curve.status == "finished" and math.isfinite(curve.observed)
    return done and curve.epochs.size > 0 and bool(curve.epochs[-1] <= k)
