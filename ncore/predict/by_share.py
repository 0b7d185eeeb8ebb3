"""What is learned from trainings of one length, used for those of another: by the share of the training that is done.

The first of four epochs is a quarter of a training, the first of sixteen is not. So finished runs are told in as many
epochs as the training to be predicted is planned for, and learned from, and calibrated on, like that. Where that is no
better than reading the last accuracy, the last accuracy it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from ncore.predict.calibration import Calibrated
from ncore.predict.curves import Curve
from ncore.predict.experience import Task
from ncore.predict.forecast import Forecast, Predictor

__all__ = ["LONGEST", "ByShare"]

#: In more epochs than this no finished run is told: what shorter ones know of a thousandth of a training is nothing.
LONGEST = 1000


class ByShare(Predictor):
    """A calibrated predictor that is fitted anew for each planned length; unfitted it is the predictor itself.

    A predictor that learns is held against the last accuracy wherever it learned from trainings of another length: by
    its mean error as of the same share, on each task without what was learned on its group.

    Args:
        predictor: Whose forecasts these are; the name and all else stays.
        baseline: What stands in where that is no better.
    """

    def __init__(self, predictor: Calibrated, baseline: Calibrated) -> None:
        self.predictor, self.baseline = predictor, baseline
        self.take_facts(predictor)

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """The predictor's own forecasts; see ``Predictor.predict``."""
        return self.predictor.predict(curves)

    def fit(self, experience: Sequence[Task], judge: ByShare | None = None) -> ByShare:
        """Keep the experience; what it teaches of a length is found when it is first asked for.

        Args:
            experience: As for ``Predictor.fit``.
            judge: The same predictor with the tasks on which it is held against the baseline; None for the experience.
        """
        return _Fitted(self.predictor, self.baseline, tuple(experience), judge) if experience else self

    def errors(self, length: int, epoch: int) -> tuple[float, float]:
        """Its mean error and that of the last accuracy as of an epoch; see ``Calibrated.errors``."""
        return math.nan, math.nan


class _Fitted(ByShare):
    """A predictor with what it is fitted on, and what that came to for each length."""

    def __init__(
        self, predictor: Calibrated, baseline: Calibrated, experience: tuple[Task, ...], judge: ByShare | None
    ) -> None:
        super().__init__(predictor, baseline)
        self._experience, self._judge = experience, judge
        self._fitted: dict[tuple[str, int], Calibrated] = {}

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        forecasts: dict[int, Forecast] = {}
        for length in sorted({curve.horizon for curve in curves}):
            said = self._predict(curves, length)
            forecasts |= {id(curve): one for curve, one in zip(curves, said, strict=True) if curve.horizon == length}
        return [forecasts[id(curve)] for curve in curves]

    def errors(self, length: int, epoch: int) -> tuple[float, float]:
        return self._as_long_as(self.predictor, length).errors(epoch)

    def _predict(self, curves: Sequence[Curve], length: int) -> list[Forecast]:
        """Forecasts by what trainings of that length teach."""
        fitted = self._as_long_as(self.predictor, length)
        seen = max((int(curve.epochs[-1]) for curve in curves if curve.epochs[-1] < curve.horizon == length), default=0)
        if not seen:  # all have ended
            return fitted.predict(curves)
        # All runs by the same method, that of those seen the longest: two would put them on two scales.
        own, last = self._judgement(length, seen) if self.learns else (math.nan, math.nan)
        if own >= last and not all(_is_long(task, length) for task in self._experience):
            return _warned(
                self._as_long_as(self.baseline, length).predict(curves),
                f"the last accuracy stands in: after {seen} of {length} epochs of finished runs “{self.label}” was off "
                f"by {100 * own:.1f} points on average, and the last accuracy by {100 * last:.1f}",
            )
        why = f"the interval is not calibrated, as no other tasks show {seen} of {length} epochs"
        return _warned(fitted.predict(curves), why if math.isnan(fitted.errors(seen)[1]) else "")

    def _judgement(self, length: int, epoch: int) -> tuple[float, float]:
        """The judge's errors, or those on the experience where it has none."""
        found = self._judge.errors(length, epoch) if self._judge is not None else (math.nan, math.nan)
        return self.errors(length, epoch) if math.isnan(found[1]) else found

    def _as_long_as(self, predictor: Calibrated, length: int) -> Calibrated:
        """A predictor fitted on the experience told in ``length`` epochs."""
        key = (predictor.name, length)
        if key not in self._fitted:
            told = [_told(task, length) for task in self._experience if length <= LONGEST or _is_long(task, length)]
            self._fitted[key] = predictor.fit(told)
        return self._fitted[key]


def _warned(forecasts: Sequence[Forecast], why: str) -> list[Forecast]:
    """Forecasts with one more thing to know before trusting them."""
    return [replace(one, warning="; ".join(filter(None, [why, one.warning]))) for one in forecasts]


def _is_long(task: Task, length: int) -> bool:
    """Whether all runs of a task were planned for so many epochs."""
    return all(curve.horizon == length for curve in task.curves)


@lru_cache(maxsize=128)
def _told(task: Task, length: int) -> Task:
    """A task told in another number of epochs, once for all predictors."""
    return task if _is_long(task, length) else task.in_epochs(length)
