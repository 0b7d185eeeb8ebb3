"""Forecasts by another metric than the accuracy, for which no method was calibrated: with wider intervals, and said.

A method reads a metric on its scale as if it were an accuracy. How often its intervals hold then was never measured on
the benchmark, which knows accuracies only. So where a store has enough finished runs on other datasets, intervals are
stretched until nine in ten of where these ended lie inside; else by a factor that is stated, not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from ncore.predict.calibration import (
    MIN_RUNS,
    conformal_factor,
    normalised_residuals,
    own_residuals,
    stretched,
)
from ncore.predict.curves import Curve
from ncore.predict.experience import Task
from ncore.predict.forecast import Forecast, Predictor
from ncore.scores.metrics import get_metric

__all__ = ["UNCALIBRATED", "Widened", "uncalibrated"]

_SAID = "the interval was calibrated for accuracy"

UNCALIBRATED = 3.0
"""By how much intervals are stretched where nothing is known of how often they hold for a metric.

Those of the log loss, the one metric besides accuracy that the sample runs have, had to be 1.9 times as wide for `last`
and 2.8 times for `history-logme` to hold nine in ten of where these ended, seen after 2 to 10 epochs."""


def uncalibrated(ranking: pd.DataFrame) -> str:
    """What a ranking's forecasts say of intervals that were calibrated for another metric; empty if nothing.

    Args:
        ranking: As ``Ranker.rank`` makes it.
    """
    for text in ranking["warning"]:
        for part in str(text).split("; "):
            if part.startswith(_SAID):
                return part
    return ""


class Widened(Predictor):
    """A predictor that was calibrated for the accuracy, for another metric.

    Args:
        predictor: Having learned; the name and all else stays.
        metric: Name of the metric that curves are of.
        own: Reads a user's own finished tasks by that metric; asked once.
    """

    def __init__(self, predictor: Predictor, metric: str, own: Callable[[], Sequence[Task]] = tuple) -> None:
        self.predictor, self.metric = predictor, metric
        self.take_facts(predictor)
        self._own = own
        self._factors: dict[tuple[int, int], tuple[float, float, str]] = {}

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """The predictor's own forecasts, stretched; see ``Predictor.predict``."""
        going = [curve for curve in curves if curve.epochs[-1] < curve.horizon]
        seen = max((int(curve.epochs[-1]) for curve in going), default=0)
        found = []
        for curve, forecast in zip(curves, self.predictor.predict(curves), strict=True):
            whole, own, why = self._factor(curve.horizon, min(seen or curve.horizon, curve.horizon))
            wider = stretched(forecast, whole, own)
            found.append(replace(wider, warning="; ".join(filter(None, [why, wider.warning]))))
        return found

    def _factor(self, length: int, epoch: int) -> tuple[float, float, str]:
        """By how much to stretch the whole and what is not shared, as of an epoch of a training, and why."""
        if (length, epoch) not in self._factors:
            self._factors[length, epoch] = self._measured(length, epoch)
        return self._factors[length, epoch]

    def _measured(self, length: int, epoch: int) -> tuple[float, float, str]:
        label, whole, own = get_metric(self.metric).label, [], []
        for task in self._own():
            curves, truth = task.in_epochs(length).as_of(epoch)
            if curves:
                said = self.predictor.predict(curves)
                whole.append(normalised_residuals(said, truth))
                own.append(own_residuals(said, truth))
        said_so = f"{_SAID}, not for {label}"
        if (runs := sum(map(len, whole))) < MIN_RUNS:
            return UNCALIBRATED, UNCALIBRATED, f"{said_so}, and is taken {UNCALIBRATED:g} times as wide"
        factor = max(1.0, conformal_factor(whole))
        width = f"{factor:.1f} times as wide" if factor >= 1.05 else "no wider"
        why = f"{said_so}, and is {width} by {runs} finished runs of other datasets here"
        return factor, max(1.0, conformal_factor(own)), why
