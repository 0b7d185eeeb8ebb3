"""Fits of the exponential and the power law, against their formulas and against SciPy's least squares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from ncore.predict import get_predictor
from ncore.predict.predictors.laws import RATES, exponential, fit, power

DECAYS = {"exponential": exponential, "power": power}
laws = pytest.mark.parametrize("name", DECAYS)


def formula(name, t, a, b, c):
    """The laws as the literature writes them."""
    return a - b * np.exp(-c * t) if name == "exponential" else a - b * t**-c


@laws
@settings(deadline=None, max_examples=40)
@given(a=st.floats(0.5, 1), drop=st.floats(0.05, 0.5), c=st.floats(0.05, 2), k=st.integers(3, 12))
def test_an_exact_curve_is_continued(make_curve, name, a, drop, c, k):
    t = np.arange(1.0, 31)
    b = drop * np.exp(c) if name == "exponential" else drop  # so that the accuracy at epoch 1 is a - drop
    curve = make_curve(formula(name, t, a, b, c)[:k], horizon=30)
    (forecast,) = get_predictor(name).predict([curve])
    assert forecast.mean == pytest.approx(formula(name, 30.0, a, b, c), abs=2e-3)


@laws
@settings(deadline=None, max_examples=25)
@given(values=st.lists(st.floats(0, 1), min_size=3, max_size=10))
def test_no_fit_of_scipy_is_better(name, values):
    t, y = np.arange(1.0, len(values) + 1), np.array(values)

    def residuals(parameters):
        a, s, log_rate = parameters
        return a - (a - s) * DECAYS[name](t, np.exp(log_rate)) - y

    ours = fit(DECAYS[name], t, y)
    low, high = np.log(RATES)
    loss = np.sum(residuals([ours[0], ours[1], np.log(ours[2])]) ** 2)
    assert 0 <= ours[0] <= 1
    assert 0 <= ours[1] <= 1
    for start in (-3.0, 0.0, 1.5):
        theirs = least_squares(residuals, [0.5, 0.5, start], bounds=([0, 0, low], [1, 1, high]))
        assert loss <= 2 * theirs.cost + 1e-6


@laws
def test_the_interval_covers_what_the_law_makes(make_curve, name):
    """With the law true and Gaussian noise, the 90% intervals of the final reading cover about 90%."""
    rng, predictor = np.random.default_rng(1), get_predictor(name)
    t, sigma, horizon = np.arange(1.0, 13), 0.01, 12
    truth = formula(name, t, 0.9, 0.5, 0.4)
    inside = []
    for _ in range(300):
        noisy = truth + sigma * rng.standard_normal(t.size)
        (forecast,) = predictor.predict([make_curve(noisy[:8], horizon=horizon)])
        inside.append(abs(noisy[-1] - forecast.mean) < 1.645 * forecast.sd)
    assert 0.82 < np.mean(inside) < 0.98


@laws
@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=3, max_size=6))
def test_any_curve_has_a_bounded_forecast(make_curve, name, values):
    (forecast,) = get_predictor(name).predict([make_curve(values, horizon=200)])
    assert 0 <= forecast.mean <= 1
    assert 0 < forecast.sd < 1.5


@laws
def test_few_epochs_fall_back_on_the_last_accuracy(make_curve, name):
    (forecast,) = get_predictor(name).predict([make_curve([0.5, 0.6])])
    assert forecast.mean == 0.6
    assert "2 epochs are too few" in forecast.warning


@laws
def test_three_epochs_are_fitted_with_a_guessed_interval(make_curve, name):
    (forecast,) = get_predictor(name).predict([make_curve([0.5, 0.7, 0.8])])
    assert forecast.mean > 0.8
    assert "as many parameters as epochs" in forecast.warning


@laws
def test_a_curve_that_does_not_flatten_is_flagged(make_curve, name):
    predictor = get_predictor(name)
    (convex,) = predictor.predict([make_curve([0.10, 0.12, 0.16, 0.24, 0.40], horizon=50)])
    (flat,) = predictor.predict([make_curve([0.8] * 5, horizon=50)])
    assert "does not flatten" in convex.warning
    assert flat.warning == ""
    assert flat.mean == pytest.approx(0.8)


@laws
def test_a_falling_curve_is_followed_down(make_curve, name):
    (forecast,) = get_predictor(name).predict([make_curve([0.8, 0.7, 0.65, 0.625])])
    assert forecast.mean < 0.625
