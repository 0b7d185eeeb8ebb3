"""The freeze-thaw process: against the dense formulas over all runs at once."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ncore.predict import Task, get_predictor
from ncore.predict.curves import grouped
from ncore.predict.predictors.freeze_thaw import (
    FreezeThaw,
    Kernel,
    best_kernel,
    log_likelihood,
    posterior,
    shared_mean,
)

KERNEL = Kernel(0.15, 0.3, 0.02, 0.9, 1.5)


def draw(make_curve, rng, n=20, k=8, horizon=8, kernel=KERNEL, mean=0.5, **rest):
    times = np.arange(1.0, horizon + 1)
    values = rng.multivariate_normal(np.full(horizon, mean), kernel.noisy(times), size=n)
    values = np.clip(values, 0, 1)
    return [
        make_curve(row[:k], f"{number}", horizon=horizon, observed=row[-1], **rest) for number, row in enumerate(values)
    ]


def test_the_kernel_is_a_mixture_of_exponential_decays():
    """Swersky's integral: exp(-lambda (t + u)) under a gamma density with shape alpha and rate beta."""
    rates = np.random.default_rng(0).gamma(KERNEL.alpha, 1 / KERNEL.beta, 400_000)
    for t, u in ((1.0, 1.0), (1.0, 4.0), (3.0, 7.0)):
        expected = KERNEL.asymptote**2 + KERNEL.curve**2 * np.exp(-rates * (t + u)).mean()
        assert KERNEL(np.array([t]), np.array([u]))[0, 0] == pytest.approx(expected, rel=5e-3)


def test_the_forecasts_are_those_of_the_dense_process(make_curve):
    """All runs in one joint normal distribution, the mean known only up to a very wide prior."""
    rng = np.random.default_rng(1)
    curves = [*draw(make_curve, rng, n=3, k=4), *draw(make_curve, rng, n=2, k=2)]
    wide = 1e4
    points = [(number, t) for number, curve in enumerate(curves) for t in [*curve.epochs.tolist(), curve.horizon]]
    ends = np.cumsum([curve.epochs.size + 1 for curve in curves]) - 1
    seen = np.setdiff1d(np.arange(len(points)), ends)

    def covariance(rows, columns):
        matrix = np.empty((len(rows), len(columns)))
        for i, a in enumerate(rows):
            for j, b in enumerate(columns):
                same = points[a][0] == points[b][0]
                inside = KERNEL(np.array([points[a][1]], float), np.array([points[b][1]], float))[0, 0] if same else 0
                matrix[i, j] = wide + inside + (KERNEL.noise**2 if a == b else 0)
        return matrix

    values = np.concatenate([curve.accuracy for curve in curves])
    dense = covariance(ends, seen) @ np.linalg.solve(covariance(seen, seen), values)
    forecasts = FreezeThaw(KERNEL).predict(curves)
    np.testing.assert_allclose([forecast.mean for forecast in forecasts], dense, atol=1e-4)
    # With the mean known, the standard deviation is that of one run by itself.
    times, end = np.arange(1.0, 5), np.array([8.0])
    gain = np.linalg.solve(KERNEL.noisy(times), KERNEL(times, end))
    expected = KERNEL(end, end) + KERNEL.noise**2 - KERNEL(end, times) @ gain
    assert forecasts[0].sd == pytest.approx(float(np.sqrt(expected[0, 0])))


def test_the_likelihood_is_that_of_a_normal_distribution(make_curve):
    rng, times = np.random.default_rng(2), np.arange(1.0, 6)
    values = rng.uniform(0.2, 0.8, (4, 5))
    groups = [(times, values, [])]
    mean = shared_mean(KERNEL, groups)
    expected = multivariate_normal(np.full(5, mean), KERNEL.noisy(times)).logpdf(values).sum()
    assert log_likelihood(KERNEL, times, values) == pytest.approx(expected)
    # The mean is the best one.
    for shift in (-0.01, 0.01):
        assert multivariate_normal(np.full(5, mean + shift), KERNEL.noisy(times)).logpdf(values).sum() < expected


def test_a_run_is_continued_towards_its_own_level(make_curve):
    times = np.arange(1.0, 21)
    at, sd = posterior(KERNEL, times, np.array([np.full(20, 0.8), np.full(20, 0.2)]), 0.5, 30.0)
    assert at[0] == pytest.approx(0.8, abs=0.03)
    assert at[1] == pytest.approx(0.2, abs=0.03)
    assert sd < 0.1


def test_without_epochs_worth_anything_the_mean_is_left():
    loud = Kernel(0.1, 0.1, 100.0, 1.0, 1.0)
    at, _ = posterior(loud, np.array([1.0, 2.0]), np.array([[0.9, 0.95]]), 0.4, 10.0)
    assert at[0] == pytest.approx(0.4, abs=1e-4)


def test_the_kernel_is_found_again(make_curve):
    curves = draw(make_curve, np.random.default_rng(3), n=200, k=20, horizon=20)
    fitted = FreezeThaw().fit([Task("a", curves)])._kernel
    assert fitted.noise == pytest.approx(KERNEL.noise, rel=0.1)
    assert fitted.asymptote == pytest.approx(KERNEL.asymptote, rel=0.35)
    at_start, truth = fitted(np.array([1.0]), np.array([1.0])), KERNEL(np.array([1.0]), np.array([1.0]))
    assert at_start[0, 0] == pytest.approx(truth[0, 0], rel=0.3)


def test_it_covers_what_it_draws_itself(make_curve):
    rng, inside = np.random.default_rng(4), []
    for _ in range(10):
        curves = draw(make_curve, rng, n=30, k=3)
        for curve, forecast in zip(curves, FreezeThaw(KERNEL).predict(curves), strict=True):
            inside.append(abs(curve.observed - forecast.mean) < 1.645 * forecast.sd)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)


def test_the_order_does_not_matter_and_runs_keep_theirs(make_curve):
    rng = np.random.default_rng(5)
    curves = [*draw(make_curve, rng, n=4, k=3), *draw(make_curve, rng, n=3, k=5)]
    forecasts = get_predictor("freeze-thaw").predict(curves)
    assert get_predictor("freeze-thaw").predict(curves[::-1]) == forecasts[::-1]
    assert len(grouped(curves)) == 2


def test_no_experience_teaches_nothing():
    predictor = FreezeThaw()
    assert predictor.fit([Task("empty", ())]) is predictor
    assert best_kernel(()).noise == pytest.approx(0.02)  # the prior's
