"""Two classifiers on the same examples: what only one of them gets right, and how sure their difference is.

Two accuracies on one test set are not independent: most examples are easy or hard for both. So the examples on which
they differ decide (McNemar's test, exact), and resamples take the same examples of both (paired bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ncore.errors import InputError
from ncore.scores.metrics.predictions import Predictions
from ncore.scores.metrics.registry import Metric
from ncore.scores.metrics.resampling import grain, reduced, resampled_rows, resamples_of

__all__ = ["McNemar", "Paired", "mcnemar", "paired"]


@dataclass(frozen=True)
class McNemar:
    """Examples that only one of two classifiers gets right.

    Attributes:
        only_first, only_second: How many.
        p_value: Probability of so uneven a split, or one more so, if either is as likely to be the one that is right.
    """

    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True)
class Paired:
    """The difference of two classifiers in a metric, on the same examples.

    Attributes:
        difference: Of the first less the second, in the metric's own units, in the mean of their trainings.
        lower, upper: Its interval.
        level: Probability of the interval.
        first_better: Share of the resamples in which the first is better, ties by half.
        examples: How many.
        trainings: Of both.
    """

    difference: float
    lower: float
    upper: float
    level: float
    first_better: float
    examples: int
    trainings: tuple[int, int]

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.lower <= 0 <= self.upper


def mcnemar(first: Predictions, second: Predictions) -> McNemar:
    """McNemar's exact test.

    Args:
        first: Of one classifier.
        second: Of another one, of the same examples in the same order.

    Raises:
        InputError: They are of other examples.

    Example:
        >>> rows = {"label": [0] * 8, "predicted": [0] * 8}
        >>> mcnemar(Predictions.of(rows), Predictions.of({**rows, "predicted": [1] * 8}))
        McNemar(only_first=8, only_second=0, p_value=0.0078125)
    """
    from scipy.stats import binomtest

    _check([first, second])
    right, other = first.labels == first.predicted, second.labels == second.predicted
    a, b = int((right & ~other).sum()), int((other & ~right).sum())
    return McNemar(a, b, float(binomtest(a, a + b).pvalue) if a + b else 1.0)


def paired(
    metric: Metric,
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> Paired:
    """The paired bootstrap of a metric's difference, over examples; the trainings are taken as they are.

    Its interval is widened by what one example of the rarest class would change in each (see ``grain``): so with few
    examples on which they differ it leaves out 0 about where McNemar's exact test does.

    Args:
        metric: Any.
        first: Of one candidate, one a training.
        second: Of another one; all of the same examples in the same order.
        level: Probability of the interval, in (0, 1).
        resamples: At most; fewer of large predictions, down to 200.
        seed: Of the draws.

    Raises:
        InputError: They are of other examples, or lack what the metric needs.
    """
    everyone = [*first, *second]
    _check(everyone)
    if lacking := next(filter(None, (metric.lacks(one) for one in everyone)), ""):
        raise InputError(f"The metric {metric.name!r} needs {lacking}, which was not recorded: compare by another one.")

    sides = [[reduced(metric, one) for one in side] for side in (first, second)]

    def difference(rows: np.ndarray | None) -> float:
        means = [np.mean([metric.value(one if rows is None else one.take(rows)) for one in side]) for side in sides]
        return float(means[0] - means[1])

    count = resamples_of(metric, everyone[0], resamples, 200)
    drawn = np.array([difference(rows) for rows in resampled_rows(len(everyone[0]), count, seed)])
    drawn = drawn[~np.isnan(drawn)]
    tail = (1 - level) / 2
    lower, upper = np.quantile(drawn, [tail, 1 - tail]) if drawn.size else (np.nan, np.nan)
    middle, least = difference(None), math.hypot(*(max(grain(metric, one) for one in side) for side in (first, second)))
    spread = float(drawn.std()) if drawn.size else 0.0
    if spread > 0:
        wider = math.hypot(spread, least) / spread
        lower, upper = middle + wider * (lower - middle), middle + wider * (upper - middle)
    else:
        half = NormalDist().inv_cdf(1 - tail) * least
        lower, upper = middle - half, middle + half
    ahead = drawn > 0 if metric.higher_is_better else drawn < 0
    share = float((ahead + 0.5 * (drawn == 0)).mean()) if drawn.size else float("nan")
    sizes = (len(first), len(second))
    return Paired(middle, float(lower), float(upper), level, share, len(everyone[0]), sizes)


def _check(predictions: Sequence[Predictions]) -> None:
    if any(not np.array_equal(one.labels, predictions[0].labels) for one in predictions):
        raise InputError(
            "The predictions are not of the same examples, as their labels differ: compare runs on one cut of the data."
        )
