"""From forecasts of single runs to candidates: what their seeds say together, and who of all is the best."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ncore.predict.curves import Curve, FloatArray
from ncore.predict.forecast import Forecast, Predictor
from ncore.predict.predictors.naive import read

__all__ = ["DRAWS", "combine", "draws", "forecasts", "probability_of_best"]

#: Monte-Carlo draws behind a probability of being the best: its standard error is 0.005 at most.
DRAWS = 10_000


def forecasts(predictor: Predictor, curves: Sequence[Curve]) -> list[Forecast]:
    """Forecast runs, those of a task together; one that has reached its end is read: nothing is left to it."""
    said = predictor.predict(curves)
    return [
        read(curve, float(curve.accuracy[-1])) if curve.complete else forecast
        for curve, forecast in zip(curves, said, strict=True)
    ]


def combine(forecasts: Sequence[Forecast], apart: bool = False) -> tuple[float, float]:
    """Mean and standard deviation for one more run of a candidate, from the forecasts of its seeds.

    The variance is the mean variance within the seeds plus the unbiased variance between their means (none for a
    single seed). Both are NaN if there is no forecast.

    Args:
        forecasts: Of its runs.
        apart: Leave out the error that they share with all other candidates.

    Example:
        >>> combine([Forecast(0.75, 0.0), Forecast(0.25, 0.0)])[0]
        0.5
    """
    n = len(forecasts)
    if n == 0:
        return math.nan, math.nan
    mean = math.fsum(forecast.mean for forecast in forecasts) / n
    within = math.fsum((forecast.own if apart else forecast.sd) ** 2 for forecast in forecasts) / n
    between = math.fsum((forecast.mean - mean) ** 2 for forecast in forecasts) / max(n - 1, 1)
    return mean, math.sqrt(within + between)


def probability_of_best(means: FloatArray, sds: FloatArray, seed: int = 0) -> FloatArray:
    """Probability that each of several independent normal variables, clipped to [0, 1], is the largest.

    Args:
        means: Shape (n,); NaN for what cannot be the best.
        sds: Standard deviations before clipping, shape (n,).
        seed: Of the ``DRAWS`` Monte-Carlo draws.

    Returns:
        Shape (n,), summing to 1; a draw in which several are largest is shared between them.

    Example:
        >>> probability_of_best(np.array([0.5, 0.5, 0.4]), np.zeros(3)).tolist()
        [0.5, 0.5, 0.0]
    """
    drawn = draws(means, sds, seed)
    best = drawn == drawn.max(axis=1, keepdims=True)
    shares: FloatArray = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def draws(means: FloatArray, sds: FloatArray, seed: int = 0) -> FloatArray:
    """Draws of such variables, shape (``DRAWS``, n); -1 for what cannot be the best."""
    drawn: FloatArray = means + sds * _normal(means.size, seed)
    return np.nan_to_num(np.clip(drawn, 0, 1, out=drawn), nan=-1.0, copy=False)


@lru_cache(maxsize=4)
def _normal(n: int, seed: int) -> FloatArray:
    """Standard normal draws, shape (``DRAWS``, n); a pruner asks for the same ones at every report."""
    drawn = np.random.default_rng(seed).standard_normal((DRAWS, n))
    drawn.flags.writeable = False
    return drawn
