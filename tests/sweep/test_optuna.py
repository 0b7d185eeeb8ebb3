"""The pruner in real studies."""

import math
import random
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from ncore.errors import InputError

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

from ncore.predict import Forecast, Predictor  # noqa: E402
from ncore.sweep.optuna import ForecastPruner, report  # noqa: E402

EPOCHS = 12
ENDS = [0.90, 0.30, 0.88, 0.25, 0.40, 0.92, 0.20, 0.35]


def accuracy(end, epoch):
    return end * (1 - 0.6 * math.exp(-epoch / 3))


def study_of(pruner, direction="maximize", first=1, ends=ENDS):
    study = optuna.create_study(direction=direction, pruner=pruner)
    flip = direction == "minimize"

    def objective(trial):
        end = ends[trial.number]
        for epoch in range(1, EPOCHS + 1):
            value = accuracy(end, epoch)
            trial.report(1 - value if flip else value, epoch - 1 + first)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 1 - value if flip else value

    study.optimize(objective, n_trials=len(ends))
    return study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("first", [0, 1])
def test_hopeless_trials_are_pruned_and_the_best_is_found(direction, first):
    study = study_of(ForecastPruner(EPOCHS), direction, first)
    states = [trial.state.name for trial in study.trials]
    assert states[0] == "COMPLETE"  # there was nothing to compare it with
    assert [states[number] for number in (1, 3, 6)] == ["PRUNED"] * 3
    assert study.best_trial.number == 5
    spent = sum(len(trial.intermediate_values) for trial in study.trials)
    assert spent < 0.7 * EPOCHS * len(ENDS)


def test_equal_trials_are_not_pruned():
    study = study_of(ForecastPruner(EPOCHS), ends=[0.8, 0.8, 0.8])
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3


class Sure(Predictor):
    """The last accuracy, with an interval of next to nothing."""

    name, label, description = "sure", "Sure", "Sure of itself"

    def predict(self, curves):
        return [Forecast(float(curve.accuracy[-1]), 1e-6) for curve in curves]


def test_the_better_half_of_those_that_got_as_far_is_spared():
    """However sure the forecasts are that only one of them can be the best."""
    study = study_of(ForecastPruner(EPOCHS, method=Sure()), ends=[0.9, 0.8, 0.7, 0.6, 0.85])
    lengths = [len(trial.intermediate_values) for trial in study.trials]
    # The second is the worse of two after epoch 1, as are the third and fourth of the three and four that got there;
    # the last is the second of five there, and the second of two after epoch 2.
    assert lengths == [EPOCHS, 1, 1, 1, 2]


def test_startup_and_warmup_are_respected():
    study = study_of(ForecastPruner(EPOCHS, n_startup_trials=2, n_warmup_epochs=4))
    assert [trial.state.name for trial in study.trials[:2]] == ["COMPLETE"] * 2
    assert min(len(trial.intermediate_values) for trial in study.trials) >= 4


def reporting(reports, direction="maximize", pruner=None):
    """A study with one trial that reports these values at these steps."""
    study = optuna.create_study(direction=direction, pruner=pruner or ForecastPruner(EPOCHS))

    def objective(trial):
        for step, value in reports:
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 0.5

    study.optimize(objective, n_trials=1)
    return study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("value", [*np.random.default_rng(0).uniform(1.01, 100, 5).round(2), 100, 2.31e5, -0.2, -1e9])
def test_a_value_that_is_no_fraction_is_refused_at_the_first_report(direction, value):
    what = "accuracy" if direction == "maximize" else "error rate"
    with pytest.raises(
        InputError, match=rf"Trial 0 reported \S+ at step 1, but .* {what} .* divide percentages by 100"
    ):
        reporting([(1, float(value)), (2, 0.5)], direction)


@pytest.mark.parametrize("steps", [[100, 200], [2, 3, 4], [EPOCHS * 391], [7], [10**9]])
def test_steps_that_are_no_epochs_are_refused_at_the_first_report(steps):
    with pytest.raises(InputError, match=rf"at step {steps[0]} first, but .* after each epoch"):
        reporting([(step, 0.5) for step in steps])


@pytest.mark.parametrize("steps", [[0, 100], [1, 101], [1, EPOCHS + 1], [*range(EPOCHS + 2)]])
def test_steps_past_the_end_of_a_trial_are_refused(steps):
    with pytest.raises(InputError, match=rf"at step {steps[-1]}, but epochs={EPOCHS} says"):
        reporting([(step, 0.5) for step in steps])


@pytest.mark.parametrize("steps", [range(EPOCHS), range(1, EPOCHS + 1), range(EPOCHS + 1), [0, 5, 10], [1, 4, 12]])
def test_epochs_from_0_or_1_are_taken(steps):
    assert reporting([(step, 0.5) for step in steps]).trials[0].state.name == "COMPLETE"


def test_a_trial_that_goes_on_after_a_kill_may_begin_later():
    study = optuna.create_study(direction="maximize", pruner=ForecastPruner(EPOCHS))
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING, system_attrs={"failed_trial": 0, "retry_history": [0]}
        )
    )
    trial = study.ask()
    trial.report(0.5, 7)
    assert not trial.should_prune()


def test_trials_of_another_unit_are_named():
    """Those of an earlier session, with a pruner that took percentages."""
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    study.optimize(lambda trial: (trial.report(87.5, 1), 87.5)[1], n_trials=2)
    study.pruner = ForecastPruner(EPOCHS)
    trial = study.ask()
    trial.report(0.5, 1)
    with pytest.raises(InputError, match=r"Trial 0 reported 87\.5"):
        trial.should_prune()


def test_a_trial_that_still_runs_and_is_wrong_ends_itself_only():
    study = optuna.create_study(direction="maximize", pruner=ForecastPruner(EPOCHS))
    first, second, third = study.ask(), study.ask(), study.ask()
    first.report(87.5, 1)
    second.report(0.5, 100)
    third.report(0.5, 1)
    assert not third.should_prune()
    for wrong in (first, second):
        with pytest.raises(InputError):
            wrong.should_prune()


NOT_FINITE = (math.nan, math.inf, -math.inf)


def diverging_study(storage, plan, first, direction, excluded):
    """Trials that end as planned; those that diverge report so, or else fail, and so are known to be left out."""
    study = optuna.create_study(storage=storage, direction=direction, pruner=ForecastPruner(EPOCHS))
    flip = direction == "minimize"

    def objective(trial):
        end, when, value, asks = plan[trial.number]
        for epoch in range(1, EPOCHS + 1):
            reached = accuracy(end, epoch)
            if epoch == when and excluded:
                raise RuntimeError("diverged")
            trial.report(value if epoch == when else 1 - reached if flip else reached, epoch - 1 + first)
            if epoch == when and not asks:  # as many objectives do, before the pruner is asked
                raise optuna.TrialPruned
            if trial.should_prune():
                raise optuna.TrialPruned
        return 1 - reached if flip else reached

    study.optimize(objective, n_trials=len(plan), catch=(RuntimeError,))
    return study


@pytest.mark.parametrize(("kept", "seed"), [*product(["memory"], range(6)), *product(["database"], range(6, 8))])
def test_diverged_trials_end_themselves_only(tmp_path, kept, seed):
    """The others are judged as if they had never been there."""
    dice = random.Random(seed)
    first, direction = dice.choice([0, 1]), dice.choice(["maximize", "minimize"])
    plan = []
    for _ in range(10):
        when = dice.choice([None, None, dice.randint(1, EPOCHS)])
        plan.append((dice.uniform(0.1, 0.95), when, dice.choice(NOT_FINITE), dice.random() < 0.5))
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # those that fail are meant to
    studies = [
        diverging_study(
            None if kept == "memory" else f"sqlite:///{tmp_path}/{excluded}.db", plan, first, direction, excluded
        )
        for excluded in (False, True)
    ]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for trial, other, (_, when, *_) in zip(*(study.trials for study in studies), plan, strict=True):
        assert len(trial.intermediate_values) == len(other.intermediate_values) + (other.state.name == "FAIL")
        if other.state.name == "FAIL":
            assert trial.state.name == "PRUNED"
            assert len(trial.intermediate_values) == when
        else:
            assert trial.state == other.state


@pytest.mark.parametrize(("value", "first"), [*zip(NOT_FINITE, [0, 1, 1], strict=True)])
def test_what_a_killed_process_left_behind_is_passed_over(tmp_path, value, first):
    """In a database: a trial that still seems to run, and whose last report is that it diverged."""
    storage = f"sqlite:///{tmp_path}/study.db"
    script = (
        "import math, os, sys, optuna\n"
        "from ncore.sweep.optuna import ForecastPruner\n"
        f"study = optuna.create_study(storage={storage!r}, study_name='s', direction='maximize',\n"
        f"    pruner=ForecastPruner({EPOCHS}, method='last'))\n"
        "def objective(trial):\n"
        f"    for step in range({first}, 5):\n"
        f"        trial.report(float({str(value)!r}) if trial.number == 1 and step == 3 else 0.5, step)\n"
        "        if trial.number == 1 and step == 3:\n"
        "            os._exit(9)\n"
        "    return 0.5\n"
        "study.optimize(objective, n_trials=3)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    study = optuna.load_study(study_name="s", storage=storage, pruner=ForecastPruner(EPOCHS, method="last"))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "RUNNING"]

    def objective(trial):
        for step in range(first, 5):
            trial.report(0.6, step)
            assert not trial.should_prune()
        return 0.6

    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials[2:]] == ["COMPLETE"] * 2


@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_first_trial_that_diverges_is_pruned_and_does_not_count_as_started(value):
    study = optuna.create_study(direction="maximize", pruner=ForecastPruner(EPOCHS, n_startup_trials=1))

    def objective(trial):
        for epoch in range(1, EPOCHS + 1):
            trial.report(value if trial.number == 0 else 0.5, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 0.5

    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]


@pytest.mark.parametrize("every", [2, 3, 4])
def test_an_objective_that_does_not_report_every_epoch_is_looked_at_too(every):
    study = optuna.create_study(direction="maximize", pruner=ForecastPruner(EPOCHS))

    def objective(trial):
        for epoch in range(1, EPOCHS + 1, every):
            trial.report(value := accuracy(ENDS[trial.number], epoch), epoch)
            if epoch > 1 and trial.should_prune():
                raise optuna.TrialPruned
        return value

    study.optimize(objective, n_trials=len(ENDS))
    assert {study.trials[number].state.name for number in (1, 3, 6)} == {"PRUNED"}


class Reader(Predictor):
    """Remembers the curves that it is given."""

    name, label, description = "reader", "Reader", "Reads"

    def predict(self, curves):
        self.curves = list(curves)
        return [Forecast(float(curve.accuracy[-1]), 0.5) for curve in curves]


def test_report_passes_on_what_predictors_read():
    reader = Reader()
    study = optuna.create_study(direction="maximize", pruner=ForecastPruner(EPOCHS, method=reader))

    def objective(trial):
        for epoch in (1, 2, 3):
            beta = None if epoch == 2 else {"relative": 1 / epoch}
            report(trial, 0.5, epoch, loss=1.0 / epoch, train_accuracy=0.6, beta_eff=beta)
            trial.should_prune()
        return 0.5

    study.optimize(objective, n_trials=2)
    for curve in reader.curves:
        assert curve.loss.tolist() == [1.0, 0.5, pytest.approx(1 / 3)]
        np.testing.assert_array_equal(curve.beta["relative"], [1.0, np.nan, 1 / 3])
        assert curve.train_accuracy.tolist() == [0.6] * 3
        assert curve.train_loss is None
