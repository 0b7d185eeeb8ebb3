"""Strategies of early stopping, replayed on recorded curves: what the chosen candidate is worth, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ncore.benchmark.cases import Case, leave_dataset_out
from ncore.errors import MissingExtraError
from ncore.predict import BASELINE, DEFAULT_METHOD, Curve, get_predictor
from ncore.predict.forecast import Predictor
from ncore.predict.stopping import StoppingRule, standing

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

__all__ = [
    "BUDGETS",
    "FACTORS",
    "LOOKS",
    "ORDERS",
    "RISKS",
    "WHOLE",
    "Choice",
    "Play",
    "Strategy",
    "replay",
    "strategies",
    "summary",
]

RISKS = (0.05, 0.1, 0.2, 0.4)
BUDGETS = (0.12, 0.15, 0.2, 0.3)
FACTORS = (2, 3, 4)
LOOKS = (1, 2, 3, 5, 10)
WHOLE = "Train all to the end"
ORDERS = 2
"""Random orders of the candidates, for strategies that start one after the other."""


@dataclass(frozen=True)
class Choice:
    """What a strategy ended with: the chosen candidate, and the epochs trained of each."""

    candidate: str
    epochs: dict[str, int]


Play = Callable[[Sequence[Curve], Predictor, np.random.Generator], Choice]


@dataclass(frozen=True)
class Strategy:
    """A strategy with one setting.

    Attributes:
        name: In the legend.
        setting: What is varied along its line.
        random: Whether the order of the candidates matters, so that it is played ``ORDERS`` times.
        play: From the whole curves of one seed and a predictor fitted on other datasets to the choice.
    """

    name: str
    setting: str
    random: bool
    play: Play


def strategies(optuna_too: bool = True) -> list[Strategy]:
    """All that are compared.

    Raises:
        MissingExtraError: Optuna's are wanted, and it isn't installed.
    """
    found = [
        Strategy(WHOLE, "", False, _train_all),
        *(Strategy("Last accuracy after k epochs", f"k = {k}", False, _look(k, BASELINE)) for k in LOOKS),
        *(Strategy("ncore sweep --stop", f"risk {risk:g}", False, _stop(risk)) for risk in RISKS),
        *(
            Strategy("ncore sweep --stop --budget", f"{budget:.0%} of all epochs", False, _stop(0.1, budget))
            for budget in BUDGETS
        ),
        *(Strategy("Successive halving, in rounds", f"factor {eta}", False, _halve(eta)) for eta in FACTORS),
    ]
    return found + _of_optuna() if optuna_too else found


def replay(cases: Sequence[Case], chosen: Sequence[Strategy] | None = None, *, seed: int = 0) -> pd.DataFrame:
    """Play every strategy on every case, seed by seed.

    Args:
        cases: Whose curves are known to the end.
        chosen: By default all ``strategies``.
        seed: Of the random orders.

    Returns:
        One row a mode, task, seed of the runs, strategy, setting and order, with the columns candidate (the chosen
        one), accuracy (its final test accuracy), regret (points below the best of that seed), epochs and share (of
        training all to the end, in epochs), and seconds_share (the same in seconds as recorded).
    """
    chosen = strategies() if chosen is None else chosen
    rows: list[dict[str, Any]] = []
    for case in cases:
        predictor = get_predictor(DEFAULT_METHOD).fit([other.experience for other in leave_dataset_out(case, cases)])
        clocks = {
            (curve.candidate, curve.seed): seconds for curve, seconds in zip(case.curves, case.seconds, strict=True)
        }
        for run_seed in sorted({curve.seed for curve in case.curves}):
            curves = [curve for curve in case.curves if curve.seed == run_seed and np.isfinite(curve.observed)]
            if len(curves) < 2:
                continue
            ends = {curve.candidate: curve.observed for curve in curves}
            horizons = {curve.candidate: curve.horizon for curve in curves}
            for strategy in chosen:
                for order in range(ORDERS if strategy.random else 1):
                    rng = np.random.default_rng([seed, run_seed, order])
                    choice = strategy.play(curves, predictor, rng)
                    told = {"mode": case.mode, "task": case.name, "dataset": case.dataset, "seed": run_seed}
                    told |= {"strategy": strategy.name, "setting": strategy.setting, "order": order}
                    accuracy, spent = ends[choice.candidate], sum(choice.epochs.values())
                    rows.append(
                        told
                        | {
                            "candidate": choice.candidate,
                            "accuracy": accuracy,
                            "regret": 100 * (max(ends.values()) - accuracy),
                            "epochs": spent,
                            "share": spent / sum(horizons.values()),
                            "seconds_share": _seconds(choice.epochs, run_seed, clocks)
                            / _seconds(horizons, run_seed, clocks),
                        }
                    )
    return pd.DataFrame(rows)


def summary(played: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds and orders, then over tasks: one row a mode, strategy and setting, as ``played`` has them."""
    values = ["accuracy", "regret", "epochs", "share", "seconds_share"]
    by_task = played.groupby(["mode", "strategy", "setting", "task"], sort=False)[values].mean()
    return by_task.groupby(["mode", "strategy", "setting"], sort=False).mean().reset_index()


def _train_all(curves: Sequence[Curve], predictor: Predictor, rng: np.random.Generator) -> Choice:
    last = {curve.candidate: float(curve.accuracy[-1]) for curve in curves}
    return Choice(_best(last), {curve.candidate: curve.horizon for curve in curves})


def _look(k: int, method: str) -> Play:
    """Train all to epoch k, and the first choice of a method to the end."""

    def play(curves: Sequence[Curve], predictor: Predictor, rng: np.random.Generator) -> Choice:
        first = standing([curve.until(k) for curve in curves], get_predictor(method)).choice
        return Choice(
            first,
            {curve.candidate: curve.horizon if curve.candidate == first else min(k, curve.horizon) for curve in curves},
        )

    return play


def _stop(risk: float, budget: float | None = None) -> Play:
    """As ``ncore.sweep.stages``: look, compare, go on; in the end the most accurate of those that were finished.

    Args:
        risk: Of the rule.
        budget: Its share of the epochs of all.
    """

    def play(curves: Sequence[Curve], predictor: Predictor, rng: np.random.Generator) -> Choice:
        horizon = max(curve.horizon for curve in curves)
        epochs = {curve.candidate: 0 for curve in curves}
        whole = sum(curve.horizon for curve in curves)
        rule = StoppingRule(risk=risk, budget=None if budget is None else max(1, int(budget * whole)))
        going = list(epochs)
        looks = [*rule.looks_until(horizon, predictor), horizon]
        for number, look in enumerate(looks[:-1]):
            epochs |= dict.fromkeys(going, look)
            seen = [curve.until(epochs[curve.candidate]) for curve in curves]
            going = rule.keep(standing(seen, predictor), going)
            reach = rule.affordable(sum(epochs.values()), [1] * len(going), looks[number:])
            going = going[: max(reach, 1)]
        epochs |= dict.fromkeys(going, horizon)
        ends = {curve.candidate: float(curve.accuracy[-1]) for curve in curves if curve.candidate in going}
        return Choice(_best(ends), epochs)

    return play


def _halve(eta: int) -> Play:
    """Successive halving by last accuracy: at epochs 1, eta, eta^2 ... the best 1/eta of the candidates are kept.

    Source: Jamieson and Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization*, AISTATS
    2016.
    """

    def play(curves: Sequence[Curve], predictor: Predictor, rng: np.random.Generator) -> Choice:
        horizon = max(curve.horizon for curve in curves)
        by_name = {curve.candidate: curve for curve in curves}
        rungs = [eta**power for power in range(32) if eta**power < horizon]
        epochs, going = dict.fromkeys(by_name, 0), list(by_name)
        for rung, _ in pairwise([*rungs, horizon]):
            epochs |= dict.fromkeys(going, rung)
            last = {name: _accuracy(by_name[name], rung) for name in going}
            going = sorted(going, key=lambda name: (-last[name], name))[: max(1, len(going) // eta)]
        epochs |= dict.fromkeys(going, horizon)
        return Choice(_best({name: float(by_name[name].accuracy[-1]) for name in going}), epochs)

    return play


def _of_optuna() -> list[Strategy]:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "optuna", "Replaying its pruners") from error
    from ncore.sweep.optuna import ForecastPruner

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruners = optuna.pruners

    def halving(eta: int) -> Callable[[int, Predictor], BasePruner]:
        return lambda horizon, predictor: pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=eta)

    def hyperband(eta: int) -> Callable[[int, Predictor], BasePruner]:
        return lambda horizon, predictor: pruners.HyperbandPruner(1, horizon, eta)

    def forecast(risk: float) -> Callable[[int, Predictor], BasePruner]:
        return lambda horizon, predictor: ForecastPruner(horizon, risk, predictor)

    return [
        *(Strategy("Optuna, ForecastPruner of ncore", f"risk {r:g}", True, _study(forecast(r))) for r in RISKS[1::2]),
        *(Strategy("Optuna, SuccessiveHalvingPruner", f"factor {e}", True, _study(halving(e))) for e in FACTORS),
        *(Strategy("Optuna, HyperbandPruner", f"factor {e}", True, _study(hyperband(e))) for e in FACTORS),
    ]


def _study(make: Callable[[int, Predictor], BasePruner]) -> Play:
    """A study whose trials are the candidates, one after the other, in a random order."""
    import optuna

    def play(curves: Sequence[Curve], predictor: Predictor, rng: np.random.Generator) -> Choice:
        order = [curves[index] for index in rng.permutation(len(curves))]
        horizon = max(curve.horizon for curve in curves)
        study = optuna.create_study(
            direction="maximize",
            pruner=make(horizon, predictor),
            sampler=optuna.samplers.RandomSampler(seed=0),
            study_name="replay",  # Hyperband deals trials to its brackets by this name
        )

        def objective(trial: optuna.Trial) -> float:
            curve = order[trial.number]
            for epoch, accuracy in zip(curve.epochs.tolist(), curve.accuracy.tolist(), strict=True):
                _report(trial, curve, epoch, accuracy)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return float(curve.accuracy[-1])

        study.optimize(objective, n_trials=len(order))
        epochs = {order[trial.number].candidate: max(trial.intermediate_values) for trial in study.trials}
        ended = {
            order[trial.number].candidate: trial.value
            for trial in study.trials
            if trial.state == optuna.trial.TrialState.COMPLETE and trial.value is not None
        }
        seen = {curve.candidate: _accuracy(curve, epochs[curve.candidate]) for curve in order}
        return Choice(_best(ended or seen), epochs)

    return play


def _report(trial: Any, curve: Curve, epoch: int, accuracy: float) -> None:
    from ncore.sweep.optuna import report

    at = int(np.flatnonzero(curve.epochs == epoch)[0])

    def of(values: Any) -> float | None:
        return None if values is None or not np.isfinite(values[at]) else float(values[at])

    report(
        trial,
        accuracy,
        epoch,
        loss=of(curve.loss),
        train_accuracy=of(curve.train_accuracy),
        train_loss=of(curve.train_loss),
        beta_eff={name: value for name, values in curve.beta.items() if (value := of(values)) is not None},
    )


def _accuracy(curve: Curve, epoch: int) -> float:
    """The last accuracy known after an epoch."""
    seen = curve.accuracy[curve.epochs <= epoch]
    return float(seen[-1]) if seen.size else 0.0


def _best(values: dict[str, float]) -> str:
    """The name with the largest value, the first of equals."""
    return min(values, key=lambda name: (-values[name], name))


def _seconds(epochs: dict[str, int], seed: int, clocks: dict[tuple[str, int], np.ndarray]) -> float:
    """Seconds of these epochs, as recorded."""
    total = 0.0
    for candidate, epoch in epochs.items():
        seconds = clocks[candidate, seed]
        total += float(seconds[min(epoch, seconds.size) - 1])
    return total
