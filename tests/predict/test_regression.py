"""The paper's predictor: closed forms, scales, and every warning."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.predict import get_predictor
from ncore.predict.predictors.capacitance import Ridge

PREDICTOR = get_predictor("capacitance-absolute")


def forecast(make_curve, accuracy, beta):
    return PREDICTOR.predict([make_curve(accuracy, horizon=20, beta={"absolute": beta})])[0]


@settings(deadline=None, max_examples=30)
@given(intercept=st.floats(0.6, 1.0), slope=st.floats(0.05, 0.3), k=st.integers(3, 10), exponent=st.integers(-12, 12))
def test_a_linear_curve_gives_its_intercept_at_any_scale(make_curve, intercept, slope, k, exponent):
    beta = np.linspace(2.0, 0.5, k)
    result = forecast(make_curve, intercept - slope * beta, beta * 10.0**exponent)
    assert result.mean == pytest.approx(intercept, abs=5e-3)
    assert result.sd < 0.05


@settings(deadline=None, max_examples=30)
@given(
    accuracy=st.lists(st.floats(0, 1), min_size=3, max_size=8),
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-300, 1e-9, 1e9, 1e300]),
)
def test_the_scale_of_beta_does_not_matter(make_curve, accuracy, seed, scale):
    beta = np.random.default_rng(seed).uniform(0.1, 1.0, len(accuracy))
    one, other = forecast(make_curve, accuracy, beta), forecast(make_curve, accuracy, beta * scale)
    assert other.mean == pytest.approx(one.mean, abs=1e-6)
    assert other.sd == pytest.approx(one.sd, rel=1e-3, abs=1e-6)


def test_without_scaling_it_would_be_the_mean():
    """The trap that the scaling avoids is real."""
    from sklearn.linear_model import BayesianRidge

    beta = np.array([3e-9, 2e-9, 1e-9])
    accuracy = 0.9 - 1e8 * beta
    bare = BayesianRidge().fit(beta[:, None], accuracy).predict([[0.0]])[0]
    assert bare == pytest.approx(accuracy.mean(), abs=1e-3)
    assert Ridge.fit(beta, accuracy).read(np.zeros(1))[0][0] == pytest.approx(0.9, abs=1e-3)


def test_noise_unrelated_to_accuracy_shrinks_towards_the_mean(make_curve):
    rng = np.random.default_rng(3)
    accuracy = np.tile([0.4, 0.6], 10)
    result = forecast(make_curve, accuracy, rng.uniform(0.9, 1.1, 20))
    assert result.mean == pytest.approx(0.5, abs=0.05)


def test_the_interval_widens_away_from_the_data():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 8)
    y = 0.8 - 0.2 * x + 0.02 * rng.standard_normal(8)
    near, far = Ridge.fit(x, y).read(np.array([0.5, -3.0]))[1]
    assert far > 2 * near


def test_the_posterior_is_that_of_its_own_equations():
    """Predictive mean and variance from the estimated precisions, by the textbook formulas (Bishop 2006, 3.58)."""
    from sklearn.linear_model import BayesianRidge

    x, y = np.array([3.0, 2.2, 1.9, 1.5]), np.array([0.5, 0.62, 0.66, 0.75])
    x /= x.std()
    model = BayesianRidge().fit((x - x.mean())[:, None], y)
    precision = model.lambda_ + model.alpha_ * np.sum((x - x.mean()) ** 2)
    slope = model.alpha_ * np.sum((x - x.mean()) * y) / precision
    found = Ridge.fit(x, y)
    (mean,), (sd,) = found.read(np.zeros(1))
    # scikit-learn updates the precisions once more after its last update of the coefficients, hence the tolerance
    assert found.slope == pytest.approx(slope, rel=1e-3)
    assert mean == pytest.approx(y.mean() - slope * x.mean(), rel=1e-3)
    assert sd == pytest.approx(np.sqrt(1 / model.alpha_ + x.mean() ** 2 / precision), rel=1e-2)


@pytest.mark.parametrize(
    ("accuracy", "beta", "message"),
    [
        ([0.5, 0.6], [2.0, 1.0], "2 epochs with a beta_eff are too few"),
        ([0.5, 0.6, 0.7], [2.0, np.nan, np.inf], "1 epochs with a beta_eff are too few"),
        ([0.5, 0.6, 0.7], [2.0, 2.0, 2.0], "beta_eff is the same at every epoch"),
        ([0.5, 0.6, 0.7], [0.0, 0.0, 0.0], "beta_eff is the same at every epoch"),
    ],
)
def test_what_cannot_be_regressed_falls_back_on_the_last_accuracy(make_curve, accuracy, beta, message):
    result = forecast(make_curve, accuracy, beta)
    assert result.mean == accuracy[-1]
    assert message in result.warning


def test_an_unrecorded_strength_falls_back_on_the_last_accuracy(make_curve):
    (result,) = PREDICTOR.predict([make_curve([0.5, 0.6, 0.7], beta={"signed": [3, 2, 1]})])
    assert result.mean == 0.7
    assert "no absolute beta_eff was recorded" in result.warning


@pytest.mark.parametrize(
    ("accuracy", "beta", "message"),
    [
        ([0.5, 0.6, 0.65, 0.7], [5.0, 4.0, np.nan, 3.0], "1 epochs without a finite beta_eff were left out"),
        ([0.5, 0.6, 0.7], [1.0, 2.0, 3.0], "accuracy does not rise as beta_eff falls"),
        ([0.5, 0.7, 0.9], [5.0, 4.0, 3.0], "was clipped to [0, 1]"),
        ([0.5, 0.6, 0.7], [5.0, 4.0, 3.0], ""),
    ],
)
def test_warnings(make_curve, accuracy, beta, message):
    result = forecast(make_curve, accuracy, beta)
    assert message in result.warning
    assert bool(result.warning) == bool(message)
    assert 0 <= result.mean <= 1


@settings(deadline=None, max_examples=30)
@given(
    intercept=st.floats(0.6, 0.9),
    slope=st.floats(0.05, 0.2),
    power=st.floats(0.3, 2),
    k=st.integers(3, 10),
    exponent=st.integers(-12, 12),
)
def test_a_power_law_of_beta_is_read_at_its_end(make_curve, intercept, slope, power, k, exponent):
    times = np.arange(1.0, k + 1)
    curve = make_curve(intercept - slope * times**-power, horizon=20, beta={"relative": 10.0**exponent * times**-power})
    (forecast,) = get_predictor("forecast-relative").predict([curve])
    assert forecast.mean == pytest.approx(intercept - slope * 20**-power, abs=5e-3)
    assert forecast.warning == ""


def test_a_beta_that_rises_is_not_forecast_to_rise(make_curve):
    beta = np.array([0.2, 0.3, 0.4])
    curve = make_curve([0.7, 0.6, 0.5], horizon=50, beta={"relative": beta})
    (forecast,) = get_predictor("forecast-relative").predict([curve])
    assert forecast.mean == pytest.approx(0.55, abs=0.1)


def test_without_positive_values_it_is_read_at_0(make_curve):
    beta = {"relative": [-3.0, -2.0, -1.0]}
    curve = make_curve([0.4, 0.5, 0.6], beta={**beta, "absolute": beta["relative"]})
    (end,) = get_predictor("forecast-absolute").predict([curve])
    (zero,) = get_predictor("capacitance-absolute").predict([curve])
    assert (end.mean, end.sd) == (zero.mean, zero.sd)
