"""The combined parametric curves: their posterior entry by entry, and what the sampler makes of it."""

import builtins
import math

import numpy as np
import pytest

from ncore.errors import MissingExtraError
from ncore.predict import get_predictor
from ncore.predict.predictors._curve_families import FAMILIES
from ncore.predict.predictors.domhan import DIMENSIONS, NOISE, Domhan, Posterior, extrapolate

TIMES = np.arange(1.0, 6)
RISING = 0.8 - 0.4 * TIMES**-0.8
QUICK = Domhan(steps=60)


@pytest.fixture(scope="module")
def posterior():
    return Posterior(TIMES, RISING, 20.0)


@pytest.fixture(scope="module")
def walkers(posterior):
    return posterior.start(2 * DIMENSIONS, np.random.default_rng(1))


def test_the_dimensions_are_those_of_the_paper():
    assert sum(len(family.start) for family in FAMILIES) + 11 + 1 == DIMENSIONS


def test_the_density_is_the_sum_written_out(posterior, walkers):
    for sample in walkers[:5]:
        parameters, log_noise = list(sample), sample[-1]
        weights = parameters[-12:-1]
        total = np.zeros(5)
        for family, weight in zip(FAMILIES, weights, strict=True):
            own = [parameters.pop(0) for _ in family.start]
            total += weight * np.array([family(np.array([t]), np.array(own))[0] for t in TIMES])
        expected = sum(
            -0.5 * ((y - f) / math.exp(log_noise)) ** 2 - log_noise for y, f in zip(RISING, total, strict=True)
        )
        assert posterior(sample[None])[0] == pytest.approx(expected)
        np.testing.assert_allclose(posterior.curves(sample[None])[0, :-1], total)


def test_the_prior_refuses_what_it_must(posterior, walkers):
    def density(index, value):
        changed = walkers[:1].copy()
        changed[0, index] = value
        return posterior(changed)[0]

    assert np.isfinite(posterior(walkers)).all()
    assert density(-2, -0.01) == -np.inf  # a negative weight
    assert density(-1, np.log(NOISE[1]) + 0.1) == -np.inf
    assert density(0, FAMILIES[0].upper[0] + 0.1) == -np.inf
    falling = Posterior(TIMES, RISING[::-1].copy(), 20.0)
    assert np.isfinite(falling(walkers)).all()  # far from the data, but the walkers rise
    flat = walkers[:1].copy()
    flat[0, -12:-1] = 0  # no curve at all is 0 at the first epoch and at the horizon
    assert posterior(flat)[0] == -np.inf


def test_a_rising_curve_goes_on(make_curve):
    (forecast,) = QUICK.predict([make_curve(RISING, horizon=20)])
    assert forecast.mean == pytest.approx(0.8 - 0.4 * 20**-0.8, abs=0.06)
    assert 0 < forecast.sd < 0.2


def test_the_same_curve_has_the_same_forecast(make_curve):
    first = QUICK.predict([make_curve(RISING, horizon=20)])
    extrapolate.cache_clear()
    assert QUICK.predict([make_curve(RISING, horizon=20)]) == first
    assert extrapolate.cache_info().misses == 1
    QUICK.predict([make_curve(RISING, "another", 3, horizon=20)])
    assert extrapolate.cache_info().hits == 1


def test_what_the_model_rules_out_is_read(make_curve):
    falling, short = QUICK.predict([make_curve([0.9, 0.5, 0.2, 0.1, 0.05]), make_curve([0.5, 0.6])])
    assert falling.mean == 0.05
    assert "the curve falls" in falling.warning
    assert short.mean == 0.6
    assert "2 epochs are too few" in short.warning


def test_without_emcee_it_says_what_to_install(make_curve, monkeypatch):
    real = builtins.__import__

    def fake(name, *rest, **more):
        if name == "emcee":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(MissingExtraError, match=r"pip install 'ncore\[curves\]'"):
        Domhan(steps=61).predict([make_curve(RISING, horizon=20)])


def test_it_is_listed_among_the_slow():
    predictor = get_predictor("domhan")
    assert predictor.slow
    assert predictor.extra == "curves"
