"""A Gaussian process over the epochs of all candidates, with the kernel of freeze-thaw Bayesian optimization."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ncore.predict.curves import Curve, FloatArray, Group, grouped
from ncore.predict.experience import Task
from ncore.predict.forecast import Family, Forecast, Predictor
from ncore.predict.predictors.naive import MIN_SD

__all__ = ["FreezeThaw", "Kernel", "Seen", "best_kernel", "log_likelihood", "posterior", "shared_mean"]

#: Ranges of the kernel's logarithms: asymptote, curve and noise (standard deviations), alpha, beta.
_LOW = np.log([0.01, 0.01, MIN_SD, 0.1, 0.1])
_HIGH = np.log([1.0, 3.0, 0.2, 10.0, 10.0])
#: Where the search for them begins.
_START = np.log([0.2, 0.3, 0.02, 1.0, 1.0])
#: Standard deviation of the prior on these logarithms, which keeps what a few epochs leave open near the start.
_PRIOR = 1.0
#: Finished runs that a kernel is fitted on at most; more change it little and cost time.
_MOST_RUNS = 400
#: The same of the epochs of a run: the cost grows with their cube.
_MOST_EPOCHS = 48


@dataclass(frozen=True)
class Kernel:
    """Covariance of accuracies of one run: an asymptote, a curve that decays towards it, and noise.

    cov(y(t), y(u)) = asymptote^2 + curve^2 (beta / (t + u + beta))^alpha + noise^2 [t = u], the middle term being an
    infinite mixture of exponential decays with rates from a gamma distribution (Swersky, Snoek, Adams, *Freeze-thaw
    Bayesian optimization*, arXiv 1406.3896, 2014, equation 6). The runs of a task share the kernel and its mean.

    Attributes:
        asymptote, curve, noise: Standard deviations.
        alpha, beta: Shape and rate of the gamma distribution.

    Example:
        >>> Kernel(1.0, 2.0, 0.0, 1.0, 1.0)(np.array([1.0]), np.array([2.0])).tolist()
        [[2.0]]
    """

    asymptote: float
    curve: float
    noise: float
    alpha: float
    beta: float

    def __call__(self, times: FloatArray, others: FloatArray) -> FloatArray:
        """Covariance without noise, shape (n, m)."""
        decay = (self.beta / (times[:, None] + others + self.beta)) ** self.alpha
        return self.asymptote**2 + self.curve**2 * decay

    def noisy(self, times: FloatArray) -> FloatArray:
        """Covariance of what is seen at these epochs, shape (n, n)."""
        return self(times, times) + self.noise**2 * np.eye(times.size)


class FreezeThaw(Predictor):
    """One Gaussian process for all candidates of a task.

    Each run is an independent draw of the ``Kernel`` around a mean that all share, which is estimated with them; so
    candidates share how curves bend and how much they differ, not what the best of them reaches. The candidates'
    hyperparameters, which the original relates by a second kernel, are not known here. The kernel's parameters
    maximise the marginal likelihood with a log-normal prior, of the epochs seen, or, once fitted, of the whole curves
    of finished runs, each task with a mean of its own.

    Args:
        kernel: The kernel; None to find it.
    """

    family = Family.LEARNED
    name = "freeze-thaw"
    label = "Freeze-thaw process"
    description = "One Gaussian process over the epochs of all candidates"
    joint = True
    learns = True

    def __init__(self, kernel: Kernel | None = None) -> None:
        self._kernel = kernel

    def fit(self, experience: Sequence[Task]) -> "FreezeThaw":
        """Find the kernel on whole curves of finished runs; see ``Predictor.fit``."""
        runs = [[curve for curve in task.curves if curve.usable] for task in experience]
        most = max(1, _MOST_RUNS // max(1, len(runs)))
        groups = [group for task in runs for group in grouped(task[:: max(1, -(-len(task) // most))])]
        return FreezeThaw(best_kernel(tuple(_hashable(_thinned(group)) for group in groups))) if groups else self

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast all runs together; see ``Predictor.predict``."""
        groups = grouped(curves)
        kernel = self._kernel or best_kernel(tuple(_hashable(group) for group in groups))
        forecasts: dict[int, Forecast] = {}
        mean = shared_mean(kernel, groups)
        for times, values, members in groups:
            for horizon in sorted({curve.horizon for curve in members}):
                chosen = [index for index, curve in enumerate(members) if curve.horizon == horizon]
                at, sd = posterior(kernel, times, values[chosen], mean, float(horizon))
                for index, value in zip(chosen, at.tolist(), strict=True):
                    forecasts[id(members[index])] = Forecast(min(max(value, 0.0), 1.0), sd)
        return [forecasts[id(curve)] for curve in curves]


def shared_mean(kernel: Kernel, groups: Sequence[Group]) -> float:
    """Generalised least-squares mean of all runs: what the asymptotes scatter around."""
    weight = total = 0.0
    for times, values, _ in groups:
        precision = np.linalg.solve(kernel.noisy(times), np.ones(times.size))
        weight += len(values) * float(precision.sum())
        total += float(np.sum(values @ precision))
    return total / weight if weight > 0 else 0.0


def posterior(
    kernel: Kernel, times: FloatArray, values: FloatArray, mean: float, horizon: float
) -> tuple[FloatArray, float]:
    """Mean, shape (n,), and standard deviation of what is read at the horizon, noise included.

    Args:
        kernel: The kernel.
        times: Epochs seen, shape (k,).
        values: Accuracies of several runs, shape (n, k).
        mean: The mean that they share.
        horizon: The epoch to forecast.
    """
    end = np.array([horizon])
    across = kernel(times, end)[:, 0]
    gain = np.linalg.solve(kernel.noisy(times), across)
    variance = float(kernel(end, end)[0, 0]) - float(gain @ across) + kernel.noise**2
    return mean + (values - mean) @ gain, float(np.sqrt(max(variance, MIN_SD**2)))


def _thinned(group: Group) -> Group:
    """Of many epochs a few, closer to each other where curves bend."""
    times, values, members = group
    if times.size <= _MOST_EPOCHS:
        return group
    kept = np.unique(np.geomspace(1, times.size, _MOST_EPOCHS).round().astype(int)) - 1
    return times[kept], values[:, kept], members


Seen = tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]


def _hashable(group: Group) -> Seen:
    times, values, _ = group
    return tuple(times.tolist()), tuple(sorted(map(tuple, values.tolist())))


@lru_cache(maxsize=256)
def best_kernel(groups: tuple[Seen, ...]) -> Kernel:
    """The kernel of the highest marginal likelihood times prior.

    Args:
        groups: Epochs and accuracies, runs of a group having a mean of their own.
    """
    from scipy.optimize import minimize

    arrays = [(np.array(times), np.array(values)) for times, values in groups]

    def loss(logs: FloatArray) -> float:
        kernel = Kernel(*np.exp(logs).tolist())
        penalty = 0.5 * float(np.sum((logs - _START) ** 2)) / _PRIOR**2
        return penalty - sum(log_likelihood(kernel, times, values) for times, values in arrays)

    found = minimize(loss, _START, method="L-BFGS-B", bounds=list(zip(_LOW, _HIGH, strict=True)))
    return Kernel(*np.exp(found.x).tolist())


def log_likelihood(kernel: Kernel, times: FloatArray, values: FloatArray) -> float:
    """Log density of several runs, shape (n, k), around their best common mean."""
    factor = np.linalg.cholesky(kernel.noisy(times))
    white = np.linalg.solve(factor, np.concatenate([values, np.ones((1, times.size))]).T)
    level = white[:, -1]
    mean = float(np.sum(level @ white[:, :-1])) / (len(values) * float(level @ level))
    residuals = white[:, :-1] - mean * level[:, None]
    constant = values.size * np.log(2 * np.pi) / 2 + len(values) * float(np.log(np.diag(factor)).sum())
    return -0.5 * float(np.sum(residuals**2)) - constant
