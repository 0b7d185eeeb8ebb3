"""The hierarchical law: against Bayesian regression written out, and the limits of pooling."""

import numpy as np
import pytest

from ncore.predict import Task, get_predictor
from ncore.predict.predictors.laws import exponential, power
from ncore.predict.predictors.pooled import RATES, Pooled, Population, designs, population, posterior

N = 2 * RATES.size
EQUAL = np.full(N, 1 / N)
MEAN = np.array([0.7, 0.3])


def only(shape):
    """All of the weight on one shape, or so much that no data undo it."""
    shares = np.full(N, 1e-300)
    shares[shape] = 1.0
    return shares


def law(asymptote, start, shape, epochs):
    decay = (exponential if shape < RATES.size else power)(epochs, RATES[shape % RATES.size])
    return asymptote - (asymptote - start) * decay


def test_a_shape_is_bayesian_linear_regression():
    epochs, values, noise = np.arange(1.0, 5), np.array([[0.3, 0.5, 0.55, 0.6], [0.2, 0.2, 0.3, 0.2]]), 0.01
    covariance = np.array([[0.04, 0.01], [0.01, 0.02]])
    found = posterior(epochs, values, Population(MEAN, covariance, EQUAL, noise))
    densities = np.empty((2, N))
    for shape in range(N):
        X = designs(epochs)[shape]
        marginal = X @ covariance @ X.T + noise * np.eye(4)
        gain = covariance @ X.T @ np.linalg.inv(marginal)
        for run in range(2):
            residual = values[run] - X @ MEAN
            np.testing.assert_allclose(found.means[run, shape], MEAN + gain @ residual, rtol=1e-9)
            exponent = residual @ np.linalg.solve(marginal, residual)
            densities[run, shape] = np.exp(-0.5 * exponent) / np.sqrt(np.linalg.det(marginal))
        np.testing.assert_allclose(found.covariance[shape], covariance - gain @ X @ covariance, rtol=1e-7)
    np.testing.assert_allclose(found.shares, densities / densities.sum(axis=1, keepdims=True), rtol=1e-7)


@pytest.mark.parametrize("shape", [4, 8, RATES.size + 6], ids=["slow exponential", "fast exponential", "power"])
def test_with_no_pooling_it_is_least_squares(shape):
    epochs = np.arange(1.0, 7)
    values = law(0.8, 0.2, shape, epochs) + 0.02 * np.random.default_rng(0).standard_normal(6)
    found = posterior(epochs, values[None], Population(MEAN, 1e8 * np.eye(2), only(shape), 1e-4))
    best = np.linalg.lstsq(designs(epochs)[shape], values, rcond=None)[0]
    np.testing.assert_allclose(found.means[0, shape], best, atol=1e-4)


def test_with_complete_pooling_all_runs_are_the_mean():
    epochs, values = np.arange(1.0, 4), np.array([[0.1, 0.5, 0.9], [0.9, 0.5, 0.1]])
    found = posterior(epochs, values, Population(MEAN, 1e-12 * np.eye(2), EQUAL, 0.01))
    np.testing.assert_allclose(found.means, np.broadcast_to(MEAN, (2, N, 2)), atol=1e-6)


def test_each_round_of_the_estimate_is_at_the_maximum(make_curve):
    """EM has converged: the mean is that of the posterior means, shares those of the posterior ones with the prior."""
    rng = np.random.default_rng(1)
    epochs = np.arange(1.0, 13)
    levels = rng.uniform(0.6, 0.9, 30)
    runs = [make_curve(law(level, 0.3, 7, epochs) + 0.005 * rng.standard_normal(12), horizon=12) for level in levels]
    task = population(runs)
    found = posterior(epochs, np.array([run.accuracy for run in runs]), task)
    np.testing.assert_allclose(np.einsum("nj,nja->a", found.shares, found.means) / 30, task.mean, atol=2e-3)
    assert task.shares[7 - 1 : 7 + 2].sum() > 0.5  # the shape all runs have, or its neighbours
    assert task.noise == pytest.approx(0.005**2, rel=1.0)


def test_a_short_run_borrows_from_the_others(make_curve):
    """Fifteen runs show how curves bend; one with two epochs is continued like them, and surer than by itself."""
    epochs = np.arange(1.0, 16)
    rng = np.random.default_rng(2)
    others = [
        make_curve(law(level, level - 0.4, 6, epochs) + 0.002 * rng.standard_normal(15), f"{number}", horizon=15)
        for number, level in enumerate(np.linspace(0.6, 0.8, 15))
    ]
    short = make_curve(law(0.7, 0.3, 6, epochs)[:2], "short", horizon=15)
    end = law(0.7, 0.3, 6, np.array([15.0]))[0]
    together = Pooled().predict([*others, short])[-1]
    alone = Pooled().predict([short])[0]
    assert together.mean == pytest.approx(end, abs=0.02)
    assert together.sd < 0.5 * alone.sd


def test_finished_runs_teach_the_shape(make_curve):
    epochs = np.arange(1.0, 16)
    rng = np.random.default_rng(3)

    def finished(level):
        values = np.clip(law(level, level - 0.4, 6, epochs) + 0.002 * rng.standard_normal(15), 0, 1)
        return make_curve(values, f"{level}", horizon=15, observed=values[-1])

    fitted = Pooled().fit([Task("a", [finished(level) for level in np.linspace(0.5, 0.8, 12)])])
    new = [make_curve(law(level, level - 0.4, 6, epochs)[:3], f"{level}", horizon=15) for level in (0.65, 0.9, 0.7)]
    ends = [law(level, level - 0.4, 6, np.array([15.0]))[0] for level in (0.65, 0.9, 0.7)]
    misses = [
        np.abs([forecast.mean - end for forecast, end in zip(predictor.predict(new), ends, strict=True)]).mean()
        for predictor in (fitted, Pooled())
    ]
    assert misses[0] < 0.02
    assert misses[0] < misses[1]
    untaught = Pooled()
    assert untaught.fit([Task("short", [make_curve([0.5, 0.6], observed=0.7)])]) is untaught


def test_the_order_does_not_matter(make_curve):
    curves = [make_curve([0.1, 0.2, 0.4]), make_curve([0.5, 0.6]), make_curve([0.3, 0.2, 0.5], horizon=12)]
    forecasts = get_predictor("pooled").predict(curves)
    assert get_predictor("pooled").predict(curves[::-1]) == forecasts[::-1]
    assert get_predictor("pooled").predict([]) == []
