"""Intervals that cover what they say, measured on finished runs of other tasks: conformal prediction.

A predictor's own interval rests on its own assumptions. Here it is stretched or shrunk by one factor for each number of
epochs seen, so that on the tasks of the experience, each predicted without what was learned on it or on one of its
group, the 90% interval held 90% of the final accuracies. That is split conformal prediction with the normalised
residual |truth - mean| / sd as its score (Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, *Distribution-free predictive
inference for regression*, JASA 113, 2018), leave-one-task-out in place of the split, as in the jackknife+ (Barber,
Candes, Ramdas, Tibshirani, *Predictive inference with the jackknife+*, Annals of Statistics 49, 2021). Each task has
the same weight, as runs of one task miss together (Dunn, Wasserman, Ramdas, *Distribution-free prediction sets for
two-layer hierarchical models*, JASA 118, 2023). Coverage is guaranteed for runs that are exchangeable with those of
the experience; for a new task that is an assumption which a benchmark has to check, and which it can't with few tasks.

Where a predictor tells the error that all runs of a task share from that of each by itself, the second gets a factor of
its own, from residuals less their common part on each task: the order of runs, and the probability of being the best,
rest on it alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ncore.predict.curves import Curve, FloatArray
from ncore.predict.experience import Task
from ncore.predict.forecast import Calibration, Forecast, Predictor

__all__ = [
    "LEVEL",
    "MIN_RUNS",
    "MOST_RUNS",
    "Calibrated",
    "conformal_factor",
    "normalised_residuals",
    "own_residuals",
    "stretched",
]

#: The probability at which intervals are made to be right; a normal distribution carries it to other levels.
LEVEL = 0.9
#: Fewer finished runs than this say too little about how often an interval misses: the 0.9 quantile of 9 scores is
#: the largest of them.
MIN_RUNS = 20
#: Runs of one task that a predictor which forecasts each by itself is judged on at most, evenly chosen: more of them
#: cost time and say little more, as runs of one task miss together.
MOST_RUNS = 20


class Calibrated(Predictor):
    """Any predictor, its intervals calibrated on what it is fitted on; unfitted it is the predictor itself.

    Args:
        predictor: Whose forecasts these are; the name and all else stays.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.take_facts(predictor)
        self.calibration = Calibration.CONFORMAL

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """The predictor's own forecasts; see ``Predictor.predict``."""
        return self.predictor.predict(curves)

    def errors(self, epoch: int) -> tuple[float, float]:
        """Mean absolute errors as of an epoch on what it was fitted on, each task predicted without its group.

        Returns:
            Its own error, and that of reading the last accuracy; each task has the same weight. NaN where it can't be
            judged, as when nothing was fitted.
        """
        return math.nan, math.nan

    def fit(self, experience: Sequence[Task]) -> Calibrated:
        """Learn from the experience and calibrate on it, group by group; see ``Predictor.fit``."""
        if not experience:
            return self
        return _Fitted(self, self.predictor.fit(experience), tuple(experience))


class _Judgement(NamedTuple):
    """What was forecast of the runs of a task, where they ended, and what reading their last accuracy says."""

    forecasts: list[Forecast]
    truth: FloatArray
    last: FloatArray


class _Fitted(Calibrated):
    """A predictor with what it was fitted on; the factor of an epoch is found when it is first asked for."""

    def __init__(self, origin: Calibrated, fitted: Predictor, experience: tuple[Task, ...]) -> None:
        super().__init__(fitted)
        self._origin, self._experience = origin, experience
        self._judgements: dict[int, list[_Judgement]] = {}
        self._factors: dict[int, tuple[float, float]] = {}
        self._held_out: dict[str, Predictor] = {}

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        forecasts = self.predictor.predict(curves)
        return [
            stretched(forecast, *self._factors_of(int(curve.epochs[-1])))
            for curve, forecast in zip(curves, forecasts, strict=True)
        ]

    def fit(self, experience: Sequence[Task]) -> Calibrated:
        return self._origin.fit(experience)

    def factor(self, epoch: int) -> float:
        """What standard deviations are multiplied by when a run has been seen until ``epoch``."""
        return self._factors_of(epoch)[0]

    def errors(self, epoch: int) -> tuple[float, float]:
        judged = self._judged(epoch)
        if not judged:
            return math.nan, math.nan
        own = [np.abs([forecast.mean for forecast in one.forecasts] - one.truth).mean() for one in judged]
        last = [np.abs(one.last - one.truth).mean() for one in judged]
        return float(np.mean(own)), float(np.mean(last))

    def _factors_of(self, epoch: int) -> tuple[float, float]:
        """The factor, and that of what is not shared."""
        if epoch not in self._factors:
            judged = self._judged(epoch)
            whole = conformal_factor([normalised_residuals(one.forecasts, one.truth.tolist()) for one in judged])
            apart = all(forecast.shared > 0 for one in judged for forecast in one.forecasts)
            own = whole
            if apart:
                own = conformal_factor([own_residuals(one.forecasts, one.truth.tolist()) for one in judged])
            self._factors[epoch] = whole, own
        return self._factors[epoch]

    def _judged(self, epoch: int) -> list[_Judgement]:
        """Forecasts on all tasks of the experience that can be judged as of an epoch."""
        if epoch not in self._judgements:
            found = [self._judge(task, epoch) for task in self._experience]
            self._judgements[epoch] = [one for one in found if one is not None]
        return self._judgements[epoch]

    def _judge(self, task: Task, epoch: int) -> _Judgement | None:
        """Forecasts on one task by what was learned on the other groups, and the truth; None if it can't be judged."""
        alone = all(other.group == task.group for other in self._experience)
        if epoch < self.min_epochs or (self.learns and alone):  # what has learned nothing is another predictor
            return None
        curves, truth = task.as_of(epoch)
        if self.strength is not None:
            chosen = [index for index, curve in enumerate(curves) if self.strength in curve.beta]
            curves, truth = [curves[index] for index in chosen], [truth[index] for index in chosen]
        if not curves:
            return None
        if not self.joint and len(curves) > MOST_RUNS:
            evenly = np.linspace(0, len(curves) - 1, MOST_RUNS).astype(int)
            curves, truth = [curves[index] for index in evenly], [truth[index] for index in evenly]
        last = np.array([curve.accuracy[-1] for curve in curves])
        return _Judgement(self._without(task.group).predict(curves), np.array(truth), last)

    def _without(self, group: str) -> Predictor:
        """The predictor fitted on the other groups."""
        if not self.learns:
            return self._origin.predictor
        if group not in self._held_out:
            rest = [task for task in self._experience if task.group != group]
            self._held_out[group] = self._origin.predictor.fit(rest)
        return self._held_out[group]


def normalised_residuals(forecasts: Sequence[Forecast], truth: Sequence[float]) -> FloatArray:
    """|truth - mean| / sd, infinite for a forecast that claims certainty and is wrong.

    Example:
        >>> normalised_residuals([Forecast(0.5, 0.1), Forecast(0.5, 0.0)], [0.75, 0.5]).tolist()
        [2.5, 0.0]
    """
    scores = []
    for forecast, final in zip(forecasts, truth, strict=True):
        miss = abs(final - forecast.mean)
        scores.append(miss / forecast.sd if forecast.sd > 0 else (math.inf if miss > 0 else 0.0))
    return np.array(scores)


def own_residuals(forecasts: Sequence[Forecast], truth: Sequence[float]) -> FloatArray:
    """The same of what is not shared, after the shared error that fits a task best (by weighted least squares).

    Example:
        >>> alike = [Forecast(0.5, 0.5, shared=0.4), Forecast(0.6, 0.5, shared=0.4)]
        >>> own_residuals(alike, [0.8, 0.9]).round(9).tolist()  # both are 0.3 above: the order is as it was
        [0.0, 0.0]
    """
    miss = np.array(truth) - np.array([forecast.mean for forecast in forecasts])
    own = np.array([forecast.own for forecast in forecasts])
    shared = np.array([forecast.shared for forecast in forecasts])
    if not (own > 0).all() or not (shared > 0).any():
        return normalised_residuals(forecasts, truth)
    shift = float((miss * shared / own**2).sum() / (shared**2 / own**2).sum())
    scores: FloatArray = np.abs(miss - shift * shared) / own
    return scores


def stretched(forecast: Forecast, whole: float, own: float) -> Forecast:
    """The forecast with its standard deviation, and the part that is not shared, multiplied."""
    sd = forecast.sd * whole
    shared = math.sqrt(max(sd**2 - (forecast.own * own) ** 2, 0.0)) if forecast.shared > 0 else 0.0
    return Forecast(forecast.mean, sd, forecast.warning, min(shared, sd))


def conformal_factor(scores: Sequence[FloatArray], level: float = LEVEL) -> float:
    """By how much to stretch normal intervals of probability ``level`` so that they hold that share of the truths.

    The quantile is that of the scores, each task having the same weight in all, with the correction for a finite
    sample: of n exchangeable scores it is the one at rank ceil((n + 1) level), which makes the coverage of one more at
    least ``level`` and at most 1 / (n + 1) more.

    Args:
        scores: Normalised residuals, an array for each task.
        level: In (0, 1).

    Returns:
        The factor; 1 where there are fewer than ``MIN_RUNS`` scores, or where the quantile is not finite.

    Example:
        >>> round(conformal_factor([np.arange(1.0, 100.0)]) * NormalDist().inv_cdf(0.95), 9)
        90.0
    """
    values = np.concatenate([np.empty(0), *scores])
    if values.size < MIN_RUNS:
        return 1.0
    weights = np.concatenate([np.full(part.size, 1 / (len(scores) * part.size)) for part in scores])
    order = np.argsort(values, kind="stable")
    # One more score, unknown, of the mean weight of the others, counts as larger than all: the "+ 1" of the rank.
    reached = np.cumsum(weights[order]) * values.size / (values.size + 1)
    index = int(np.searchsorted(reached, level - 1e-12))
    quantile = values[order[min(index, values.size - 1)]]
    return float(quantile / NormalDist().inv_cdf(0.5 + level / 2)) if 0 < quantile < math.inf else 1.0
