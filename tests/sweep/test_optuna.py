"""The pruner in real studies."""

import math

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


def test_a_value_that_is_no_accuracy_is_refused():
    study = optuna.create_study(direction="maximize", pruner=ForecastPruner(EPOCHS))

    def objective(trial):
        trial.report(87.5, 1)
        return float(trial.should_prune())

    study.optimize(objective, n_trials=1)  # nothing to compare it with
    with pytest.raises(InputError, match=r"reported \{1: 87.5\}, but .* accuracy of each epoch, in \[0, 1\]"):
        study.optimize(objective, n_trials=1)


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
