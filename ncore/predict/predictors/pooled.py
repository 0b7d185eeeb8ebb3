"""One hierarchical model of the learning curves of all candidates of a task: shared shapes, partial pooling."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ncore.predict.curves import Curve, FloatArray, grouped
from ncore.predict.experience import Task
from ncore.predict.forecast import Family, Forecast, Predictor
from ncore.predict.predictors.laws import exponential, power
from ncore.predict.predictors.naive import MIN_SD

__all__ = [
    "PSEUDO_RUNS",
    "RATES",
    "ROUNDS",
    "SPREAD",
    "SPREAD_RUNS",
    "Pooled",
    "Population",
    "Posterior",
    "designs",
    "population",
    "posterior",
]

#: Rates of the exponential and of the power law that shapes are mixed of.
RATES = np.geomspace(0.03, 3.0, 12)
#: Rounds of expectation and maximisation; the forecasts of sample runs move by less than 0.002 after that.
ROUNDS = 25
#: How many runs the prior of a shape's share counts for.
PSEUDO_RUNS = 4.0
#: What asymptotes and beginnings scatter by beforehand, and how many runs that counts for.
SPREAD, SPREAD_RUNS = 0.2, 3.0


@dataclass(frozen=True)
class Population:
    """How the runs of a task are distributed: y(t) = a - (a - s) decay_j(t) + noise.

    Attributes:
        mean: Of asymptote a and beginning s, shape (2,).
        covariance: Of the two, shape (2, 2).
        shares: Probability of each shape j: exponential and power law, rate by rate; shape (J,).
        noise: Variance of one reading.
    """

    mean: FloatArray
    covariance: FloatArray
    shares: FloatArray
    noise: float


def designs(epochs: FloatArray) -> FloatArray:
    """Coefficients of asymptote and beginning at these epochs for each shape, shape (J, k, 2).

    Example:
        >>> designs(np.array([1.0, 5.0])).sum(axis=2).tolist() == np.ones((24, 2)).tolist()
        True
    """
    decays = np.concatenate([exponential(epochs, RATES[:, None]), power(epochs, RATES[:, None])])
    return np.stack([1 - decays, decays], axis=2)


class Pooled(Predictor):
    """A mixture of exponential and power laws whose parameters scatter around those of the other candidates.

    Each run has an asymptote and a beginning, drawn from a normal distribution, and a shape, drawn from a finite set,
    both distributions being those of the task: they are estimated from all its runs by expectation-maximisation
    (empirical Bayes), so that a run whose first epochs leave its asymptote open borrows it from the others. Fitted on
    finished runs, the shares of the shapes and the noise start from those of whole curves.

    Args:
        prior: Shares of the shapes beforehand, shape (J,), and the noise; None for equal shares.
    """

    family = Family.LEARNED
    ours = True
    name = "pooled"
    label = "Pooled laws"
    description = "Exponential and power laws whose parameters scatter around those of the other candidates"
    min_epochs = 2
    joint = True
    learns = True

    def __init__(self, prior: Population | None = None) -> None:
        self._prior = prior

    def fit(self, experience: Sequence[Task]) -> "Pooled":
        """Take the shares of the shapes from whole curves of finished runs; see ``Predictor.fit``."""
        found = [
            population(curves)
            for task in experience
            if (curves := [curve for curve in task.curves if curve.usable and curve.epochs.size > 3])
        ]
        if not found:
            return self
        shares = np.mean([one.shares for one in found], axis=0)
        noise = float(np.exp(np.mean([np.log(one.noise) for one in found])))
        gap = np.mean([one.mean for one in found], axis=0)
        covariance = np.mean([one.covariance for one in found], axis=0)
        return Pooled(Population(gap, covariance, shares, noise))

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast all runs together; see ``Predictor.predict``."""
        task = population(curves, self._prior)
        forecasts: dict[int, Forecast] = {}
        for epochs, values, members in grouped(curves):
            found = posterior(epochs, values, task)
            ends = designs(np.array([float(curve.horizon) for curve in members]))  # (J, n, 2)
            lines = np.einsum("jna,nja->nj", ends, found.means)
            means = (found.shares * lines).sum(axis=1)
            within = np.einsum("jna,jab,jnb->nj", ends, found.covariance, ends)
            variances = (found.shares * ((lines - means[:, None]) ** 2 + within)).sum(axis=1) + task.noise
            for curve, mean, sd in zip(members, means.tolist(), np.sqrt(variances).tolist(), strict=True):
                forecasts[id(curve)] = Forecast(min(max(mean, 0.0), 1.0), sd)
        return [forecasts[id(curve)] for curve in curves]


def population(curves: Sequence[Curve], prior: Population | None = None) -> Population:
    """The distribution of a task's runs, by expectation-maximisation.

    Args:
        curves: Its runs.
        prior: That of other tasks; its shares and noise count for ``PSEUDO_RUNS`` runs, its covariance for
            ``SPREAD_RUNS``, its mean not at all. None for equal shares and the constants of this module.
    """
    n_shapes, n = 2 * RATES.size, len(curves)
    groups = grouped(curves)
    start = np.concatenate([np.empty((0, 2)), *(values[:, [-1, 0]] for _, values, _ in groups)]).sum(axis=0) / max(n, 1)
    if prior is None:
        prior = Population(start, SPREAD**2 * np.eye(2), np.full(n_shapes, 1 / n_shapes), (2 * MIN_SD) ** 2)
    now = Population(start, prior.covariance, prior.shares, prior.noise)
    seen = sum(values.size for _, values, _ in groups)
    for _ in range(ROUNDS if n else 0):
        weights, first, second, squares = PSEUDO_RUNS * prior.shares, np.zeros(2), np.zeros((2, 2)), 0.0
        for epochs, values, _ in groups:
            found = posterior(epochs, values, now)
            weights = weights + found.shares.sum(axis=0)
            first = first + np.einsum("nj,nja->a", found.shares, found.means)
            second = second + np.einsum("nj,nja,njb->ab", found.shares, found.means, found.means)
            second = second + np.einsum("nj,jab->ab", found.shares, found.covariance)
            squares += float(np.sum(found.shares * found.missed))
        mean = first / n
        scatter = second - n * np.outer(mean, mean)
        noise = (squares + PSEUDO_RUNS * prior.noise) / (seen + PSEUDO_RUNS)
        spread = (scatter + SPREAD_RUNS * prior.covariance) / (n + SPREAD_RUNS)
        now = Population(mean, spread, weights / (n + PSEUDO_RUNS), max(MIN_SD**2, noise))
    return now


@dataclass(frozen=True)
class Posterior:
    """What a population and the epochs seen say of n runs, for each of J shapes.

    Attributes:
        shares: Probability of each shape, shape (n, J).
        means: Of asymptote and beginning, shape (n, J, 2).
        covariance: Of the two, shape (J, 2, 2), the same for all runs.
        missed: Expected sum of squared residuals, shape (n, J).
    """

    shares: FloatArray
    means: FloatArray
    covariance: FloatArray
    missed: FloatArray


def posterior(epochs: FloatArray, values: FloatArray, task: Population) -> Posterior:
    """Condition the population on runs seen at the same epochs.

    Args:
        epochs: Shape (k,).
        values: Accuracies, shape (n, k).
        task: The population.
    """
    X = designs(epochs)
    gram = X.transpose(0, 2, 1) @ X
    covariance = np.linalg.inv(gram / task.noise + np.linalg.inv(task.covariance))
    residuals = values[:, None] - X @ task.mean  # (n, J, k)
    shifts = np.einsum("jab,jkb,njk->nja", covariance, X, residuals, optimize=True) / task.noise
    left = residuals - np.einsum("jka,nja->njk", X, shifts)
    # The marginal density of the epochs seen, by Woodbury's formula; what does not depend on the shape cancels.
    exponent = (residuals * left).sum(axis=2) / task.noise
    logs = np.log(task.shares) - 0.5 * exponent + 0.5 * np.linalg.slogdet(covariance)[1]
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    missed = (left**2).sum(axis=2) + np.einsum("jab,jab->j", gram, covariance)
    return Posterior(shares / shares.sum(axis=1, keepdims=True), task.mean + shifts, covariance, missed)
