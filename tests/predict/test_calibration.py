"""Conformal calibration: coverage on exchangeable runs, the quantile, and that nothing is judged by itself."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.predict import Calibrated, Forecast, Predictor, Task, get_predictor
from ncore.predict.calibration import (
    MIN_RUNS,
    MOST_RUNS,
    conformal_factor,
    normalised_residuals,
    own_residuals,
)

Z = NormalDist().inv_cdf(0.95)


class Fixed(Predictor):
    """Reads the last accuracy, with a standard deviation that is far too small."""

    name = label = description = "fixed"

    def predict(self, curves):
        return [Forecast(float(curve.accuracy[-1]), 0.001) for curve in curves]


def a_task(make_curve, name, rng, n=30, group="", scale=0.05, horizon=10):
    """Runs that end at their last accuracy plus noise."""
    curves = []
    for number in range(n):
        accuracy = rng.uniform(0.3, 0.7, 3)
        final = float(np.clip(accuracy[-1] + scale * rng.standard_t(4), 0, 1))
        whole = np.append(accuracy, [final] * (horizon - 3))
        curves.append(make_curve(whole, f"{number}", horizon=horizon, observed=final))
    return Task(name, curves, group)


def test_intervals_cover_what_they_say_on_exchangeable_runs(make_curve):
    rng, inside = np.random.default_rng(0), []
    for _ in range(40):
        experience = [a_task(make_curve, name, rng) for name in "abc"]
        fitted = Calibrated(Fixed()).fit(experience)
        curves, truth = a_task(make_curve, "new", rng, n=50).as_of(3)
        inside += [
            abs(final - forecast.mean) <= Z * forecast.sd
            for final, forecast in zip(truth, fitted.predict(curves), strict=True)
        ]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


@settings(deadline=None, max_examples=50)
@given(scores=st.lists(st.floats(0.01, 100), min_size=MIN_RUNS, max_size=200))
def test_one_task_has_the_usual_conformal_quantile(scores):
    n = len(scores)
    rank = min(n, int(np.ceil(0.9 * (n + 1) - 1e-9)))
    assert conformal_factor([np.array(scores)]) * Z == pytest.approx(sorted(scores)[rank - 1])


def test_tasks_weigh_the_same_whatever_their_size():
    small, large = np.full(10, 10.0), np.full(1000, 1.0)
    assert conformal_factor([small, large]) * Z == pytest.approx(10.0)  # half of the weight lies at 10
    assert conformal_factor([np.full(500, 10.0), np.full(500, 1.0), *[np.full(500, 1.0)] * 18]) * Z == pytest.approx(
        1.0
    )


def test_what_cannot_be_calibrated_stays_as_it_is():
    assert conformal_factor([]) == 1
    assert conformal_factor([np.ones(MIN_RUNS - 1)]) == 1
    assert conformal_factor([np.full(50, np.inf)]) == 1
    assert conformal_factor([np.zeros(50)]) == 1


def test_residuals_of_certain_forecasts():
    forecasts = [Forecast(0.5, 0.0), Forecast(0.5, 0.0), Forecast(0.5, 0.125)]
    assert normalised_residuals(forecasts, [0.5, 0.6, 0.75]).tolist() == [0.0, np.inf, 2.0]


@given(shift=st.floats(-0.3, 0.3), seed=st.integers(0, 100))
def test_own_residuals_are_those_of_least_squares(shift, seed):
    rng = np.random.default_rng(seed)
    own, shared, mean = rng.uniform(0.01, 0.1, 5), rng.uniform(0.01, 0.3, 5), rng.uniform(0.3, 0.7, 5)
    truth = mean + shift * shared + 0.05 * rng.normal(size=5)
    forecasts = [Forecast(m, math.hypot(o, s), shared=s) for m, o, s in zip(mean, own, shared, strict=True)]
    fit, *_ = np.linalg.lstsq((shared / own)[:, None], (truth - mean) / own)
    expected = np.abs((truth - mean) / own - fit[0] * shared / own)
    np.testing.assert_allclose(own_residuals(forecasts, truth.tolist()), expected, rtol=1e-6, atol=1e-9)


def test_what_is_shared_has_a_factor_apart(make_curve):
    """Tasks move by 0.1 as a whole, runs by 0.01 each; the predictor says 0.05 of both."""

    class Both(Predictor):
        name, label, description, joint = "both", "Both", "Both parts", True

        def predict(self, curves):
            return [Forecast(0.5, math.hypot(0.05, 0.05), shared=0.05) for _ in curves]

    rng = np.random.default_rng(4)
    tasks = [
        Task(
            f"t{number}",
            [make_curve([0.5, 0.5, 0.5], f"c{n}", observed=0.5 + move + 0.01 * rng.normal()) for n in range(40)],
        )
        for number, move in enumerate(0.1 * rng.normal(size=30))
    ]
    (found,) = Calibrated(Both()).fit(tasks).predict([make_curve([0.5, 0.5])])
    assert found.sd == pytest.approx(0.1, rel=0.3)
    assert found.own == pytest.approx(0.01, rel=0.1)


def test_unfitted_it_is_the_predictor_itself(make_curve):
    curves = [make_curve([0.3, 0.4]), make_curve([0.2, 0.6])]
    wrapped = Calibrated(Fixed())
    assert wrapped.fit([]) is wrapped
    assert wrapped.predict(curves) == Fixed().predict(curves)


def test_each_epoch_has_its_own_factor_and_none_is_later_than_asked(make_curve):
    rng = np.random.default_rng(1)
    fitted = Calibrated(Fixed()).fit([a_task(make_curve, "a", rng)])
    early, late = (fitted.predict([make_curve(np.full(k, 0.5))])[0].sd for k in (1, 3))
    assert early > 1.5 * late  # the first two accuracies say nothing of the end
    unknown = fitted.predict([make_curve(np.full(10, 0.5))])[0].sd
    assert unknown == 0.001  # nothing is left to predict at the last epoch


def test_a_group_is_judged_by_the_others_only(make_curve):
    """A predictor that learns is refitted without the group of the task that it is judged on."""
    asked = []

    class Spy(Fixed):
        learns = True

        def __init__(self, known=()):
            self.known = known

        def fit(self, experience):
            return Spy(tuple(task.name for task in experience))

        def predict(self, curves):
            asked.append(self.known)
            return super().predict(curves)

    rng = np.random.default_rng(2)
    tasks = [a_task(make_curve, name, rng, group=group) for name, group in (("a", "x"), ("b", "x"), ("c", "y"))]
    fitted = Calibrated(Spy()).fit(tasks)
    curves = [make_curve([0.1, 0.2, 0.3])]
    fitted.predict(curves)
    assert asked == [("a", "b", "c"), ("c",), ("c",), ("a", "b")]
    again = fitted.fit(tasks[:2])
    assert again.predictor.known == ("a", "b")  # fitting again begins anew
    asked.clear()
    assert again.predict(curves) == Fixed().predict(curves)  # one group has no others to be judged by
    assert asked == [("a", "b")]


def test_large_tasks_are_judged_on_some_runs_unless_they_are_forecast_together(make_curve):
    asked = []

    class Counting(Fixed):
        def predict(self, curves):
            asked.append(len(curves))
            return super().predict(curves)

    task = a_task(make_curve, "a", np.random.default_rng(5), n=90)
    predictor = Counting()
    for joint, expected in ((False, MOST_RUNS), (True, 90)):
        predictor.joint = joint
        Calibrated(predictor).fit([task]).predict([make_curve([0.1, 0.2, 0.3])])
        assert asked[-1] == expected


def test_the_means_are_not_touched(make_curve):
    rng = np.random.default_rng(3)
    curves = [make_curve([0.3, 0.4, 0.7])]
    for name in ("last", "power", "exponential"):
        predictor = get_predictor(name)
        fitted = predictor.fit([a_task(make_curve, "a", rng)])
        assert fitted.predict(curves)[0].mean == predictor.predict(curves)[0].mean
        assert fitted.name == name


def test_runs_without_the_strength_are_no_evidence(make_curve):
    rng = np.random.default_rng(4)
    fitted = get_predictor("capacitance-relative").fit([a_task(make_curve, "a", rng)])
    curve = make_curve([0.3, 0.4, 0.7], beta={"relative": [1.0, 0.5, 0.2]})
    (said,), (alone,) = (one.predict([curve]) for one in (fitted, get_predictor("capacitance-relative")))
    assert (said.mean, said.sd) == (alone.mean, alone.sd)
    assert "the interval is not calibrated" in said.warning
