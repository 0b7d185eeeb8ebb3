"""Early stopping by forecast for Optuna: the stopping rule of ``ncore sweep --stop`` as a pruner.

    study = optuna.create_study(direction="maximize", pruner=ncore.sweep.optuna.ForecastPruner(epochs=20))

An objective reports its validation accuracy after each epoch, by ``trial.report(accuracy, epoch)``, and asks
``trial.should_prune()``, as with any other pruner; ``report`` passes beta_eff and losses on too, for predictors that
read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ncore.errors import InputError, MissingExtraError
from ncore.predict import DEFAULT_METHOD, Curve, Past, Ranker
from ncore.predict.experience import Task
from ncore.predict.forecast import Predictor
from ncore.predict.stopping import StoppingRule

__all__ = ["ForecastPruner", "report"]

try:
    import optuna
    from optuna.study import StudyDirection
    from optuna.trial import TrialState
except ImportError as error:
    raise MissingExtraError("optuna", "optuna", "ncore.sweep.optuna") from error

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

_ATTRIBUTE = "ncore"
_BETA = "beta_eff "
_RETRIED = "failed_trial"  # what Optuna's RetryFailedTrialCallback writes
_COMPARED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


class ForecastPruner(optuna.pruners.BasePruner):
    """Prunes a trial that is hardly the best of all trials so far, by forecasts of their final accuracies.

    After epochs 1, 2, 3, 5, 8, 13 and so on all trials are compared by what was known of them after the same epoch (so
    that a forecast that is too low everywhere is no disadvantage to the young): a trial is pruned unless it is in the
    smallest set that holds the best of them with probability ``1 - risk``, or in the better half of those that got as
    far. Looking at every epoch would be one more chance each time to prune the best. Which predictor forecasts is
    ``ncore.rank``'s choice by default, so the name says what is done, not by what. Trials have to train equally long on
    the same data; a step is an epoch, counted from 1 (or from 0: then all are shifted by one). A trial that reports NaN
    or infinity has diverged: it is pruned, and left out when others are compared.

    Args:
        epochs: At which a trial ends if it isn't pruned.
        risk: Accepted probability of having pruned the best, in [0, 1).
        method: Name of a predictor, which is taught by the finished runs of the benchmark, or a predictor as it is.
        mode: Training mode of the trials ("backbone", "unit" or "all"), empty if it is none of these.
        dataset: What the trials train on: nothing is learned from the benchmark's runs on the same images.
        experience: Finished runs of other tasks of your own, to learn from as well.
        n_startup_trials: Nothing is pruned before so many trials have ended.
        n_warmup_epochs: No trial is pruned before it has this many epochs.

    Raises:
        InputError: An argument is out of range, or, from the first report on, a value is no accuracy (or, where the
            study minimises, no error rate) in [0, 1], or a step is no epoch.

    Example:
        >>> study = optuna.create_study(direction="maximize", pruner=ForecastPruner(epochs=20))
    """

    def __init__(
        self,
        epochs: int,
        risk: float = 0.1,
        method: str | Predictor = DEFAULT_METHOD,
        mode: str = "",
        dataset: str = "",
        experience: Sequence[Task] = (),
        n_startup_trials: int = 1,
        n_warmup_epochs: int = 1,
    ) -> None:
        if epochs < 1:
            raise InputError(f"The value epochs={epochs} must be 1 or more: give the epoch at which a trial ends.")
        self.ranker = Ranker(method, Past([dataset], mode, lambda: experience))
        self.rule = StoppingRule(risk=risk)
        self.epochs, self.n_startup_trials = epochs, n_startup_trials
        self.n_warmup_epochs = max(n_warmup_epochs, self.ranker.predictor.min_epochs)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end now; Optuna calls it."""
        minimised = study.direction == StudyDirection.MINIMIZE
        if _diverged(trial):
            return True
        if wrong := self._wrong(trial, minimised):
            raise InputError(wrong)
        # What the study keeps of this trial may lag behind what the caller holds.
        others = []
        for other in study.get_trials(deepcopy=False, states=_COMPARED):
            if other.number == trial.number or not other.intermediate_values or _diverged(other):
                continue
            wrong = self._wrong(other, minimised)
            # One that still runs is told by itself; one that has ended was not, if another pruner looked at it.
            if wrong and other.state.is_finished():
                raise InputError(wrong)
            if not wrong:
                others.append(other)
        if sum(other.state.is_finished() for other in others) < self.n_startup_trials or not trial.intermediate_values:
            return False
        shift = 1 - min(_first(other) for other in [*others, trial])
        curves = [self._curve(other, shift, minimised) for other in [*others, trial]]
        seen = curves[-1].epochs
        before, epoch = (0, *seen.tolist())[-2:]
        # An objective that doesn't report every epoch is looked at by the next report.
        looked = any(before < look <= epoch for look in self.rule.looks)
        if not looked or not self.n_warmup_epochs <= epoch < self.epochs:
            return False
        as_far = [curve.candidate for curve in curves if curve.epochs[-1] >= epoch]
        now = self.ranker.standing([curve.until(epoch) for curve in curves])
        return curves[-1].candidate not in self.rule.keep(now, as_far)

    def _wrong(self, trial: FrozenTrial, minimised: bool) -> str:
        """Why what a trial reported can't be accuracies of epochs, in a sentence; empty if it can."""
        what, steps = "error rate" if minimised else "accuracy", sorted(trial.intermediate_values)
        for step in steps:
            if not 0 <= (value := trial.intermediate_values[step]) <= 1:
                return (
                    f"Trial {trial.number} reported {value:g} at step {step}, but a pruner that forecasts needs the "
                    f"{what} of each epoch as a fraction in [0, 1]: divide percentages by 100, or use another pruner."
                )
        if steps and _first(trial) > 1:
            return (
                f"Trial {trial.number} reported at step {steps[0]} first, but a pruner that forecasts needs epochs, "
                f"counted from 0 or 1: call `trial.report({what.replace(' ', '_')}, epoch)` after each epoch."
            )
        if steps and steps[-1] > self.epochs:
            return (
                f"Trial {trial.number} reported at step {steps[-1]}, but epochs={self.epochs} says that a trial ends "
                "before: report at epochs, and give the pruner the epoch at which a trial ends."
            )
        return ""

    def _curve(self, trial: FrozenTrial, shift: int, minimised: bool) -> Curve:
        steps = sorted(trial.intermediate_values)
        values = np.array([trial.intermediate_values[step] for step in steps], dtype=np.float64)
        if minimised:
            values = 1 - values
        told: Mapping[str, Mapping[str, float]] = trial.user_attrs.get(_ATTRIBUTE, {})

        def series(name: str) -> np.ndarray | None:
            found = told.get(name)
            return None if not found else np.array([found.get(str(step), np.nan) for step in steps], dtype=np.float64)

        betas = {name.removeprefix(_BETA): series(name) for name in told if name.startswith(_BETA)}
        epochs = np.array(steps, dtype=np.int64) + shift
        return Curve(
            str(trial.number),
            0,
            epochs,
            values,
            {name: values for name, values in betas.items() if values is not None},
            # A trial that ended sooner than planned, but was not pruned, has ended: its value is final.
            horizon=int(epochs[-1]) if trial.state == TrialState.COMPLETE else max(self.epochs, *epochs.tolist(), 1),
            loss=series("loss"),
            train_accuracy=series("train_accuracy"),
            train_loss=series("train_loss"),
        )


def _diverged(trial: FrozenTrial) -> bool:
    return not np.isfinite(list(trial.intermediate_values.values())).all()


def _first(trial: FrozenTrial) -> int:
    """Its first step, or 1 where it goes on with a trial that was killed and so needs not begin at the first epoch."""
    first = min(trial.intermediate_values, default=1)
    return min(first, 1) if _RETRIED in trial.system_attrs else first


def report(
    trial: Trial,
    accuracy: float,
    epoch: int,
    *,
    loss: float | None = None,
    train_accuracy: float | None = None,
    train_loss: float | None = None,
    beta_eff: Mapping[str, float] | None = None,
) -> None:
    """``trial.report``, with what else a predictor may read.

    Args:
        trial: Of the objective.
        accuracy: Validation accuracy (or error rate, where the study minimises) after the epoch.
        epoch: From 1, or from 0.
        loss: Validation loss.
        train_accuracy: The same of the training images.
        train_loss: The same.
        beta_eff: By strength, as in ``{"relative": float(ncore.beta_eff(...))}``.
    """
    given = {"loss": loss, "train_accuracy": train_accuracy, "train_loss": train_loss}
    given |= {f"{_BETA}{strength}": value for strength, value in (beta_eff or {}).items()}
    kept = {name: dict(values) for name, values in trial.user_attrs.get(_ATTRIBUTE, {}).items()}
    for name, value in given.items():
        if value is not None:
            kept.setdefault(name, {})[str(epoch)] = float(value)
    if kept:
        trial.set_user_attr(_ATTRIBUTE, kept)
    trial.report(accuracy, epoch)
