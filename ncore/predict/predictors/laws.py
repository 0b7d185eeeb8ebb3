"""Parametric learning curves: the exponential and the power law."""

from collections.abc import Callable, Sequence

import numpy as np

from ncore.predict.curves import Curve, FloatArray
from ncore.predict.forecast import Family, Forecast, Predictor
from ncore.predict.predictors.naive import MIN_SD, read, read_last

__all__ = ["PRIOR_VARIANCE", "RATES", "Decay", "Law", "exponential", "fit", "power"]

#: Rates that are searched, per epoch (exponential) or as an exponent (power law): from a straight line over any
#: early window to a curve that is flat after its first epoch.
RATES = (0.01, 10.0)
#: Variances of a uniform distribution over the range of each parameter: two accuracies and the log of the rate.
PRIOR_VARIANCE = np.array([1.0, 1.0, np.log(RATES[1] / RATES[0]) ** 2]) / 12

Decay = Callable[[FloatArray, FloatArray], FloatArray]


def exponential(epochs: FloatArray, rates: FloatArray) -> FloatArray:
    """exp(-c (t - 1)): what is left, after epoch t, of the distance to the asymptote at epoch 1."""
    return np.exp(-rates * (epochs - 1))


def power(epochs: FloatArray, rates: FloatArray) -> FloatArray:
    """t^-c: the same for a power law."""
    return epochs**-rates


class Law(Predictor):
    """Least-squares fit of accuracy = a - (a - s) decay(t; c), read at the horizon.

    With decay = exp(-c (t - 1)) this is the exponential law a - b exp(-c t), with decay = t^-c the power law
    a - b t^-c; s is the accuracy at epoch 1 and a the asymptote, both kept in [0, 1], so that no extrapolation leaves
    it. For a given rate c the problem is linear in (a, s), so it is solved exactly for each rate of a fine grid
    (variable projection: Golub and Pereyra, SIAM J. Numer. Anal. 10, 1973): the fit needs no starting point and
    cannot fail to converge.

    The interval is that of the linearised model at the best fit, the parameters having the prior variance of a uniform
    distribution over their ranges, which keeps it finite where the epochs seen leave one of them open. Residuals
    estimate the noise from four epochs on; three epochs are met exactly by three parameters, and the interval
    then is that of a reading (``ncore.predict.predictors.naive.read``). Neither is calibrated.

    Args:
        name: Name in the registry.
        label: Name in tables.
        description: The formula.
        decay: From epochs and rates, broadcast together, to decay, 1 at epoch 1.
    """

    family = Family.CURVE
    min_epochs = 3

    def __init__(self, name: str, label: str, description: str, decay: Decay) -> None:
        self.name, self.label, self.description = name, label, description
        self._decay = decay

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast each run by itself; see ``Predictor.predict``."""
        return [self._forecast(curve) for curve in curves]

    def _forecast(self, curve: Curve) -> Forecast:
        n_epochs = curve.epochs.size
        if n_epochs < self.min_epochs:
            return read_last(curve, f"{n_epochs} epochs are too few for the {self.min_epochs} parameters of the fit")
        epochs, horizon = curve.epochs.astype(np.float64), float(curve.horizon)
        parameters = fit(self._decay, epochs, curve.accuracy)
        mean = float(np.clip(self._value(horizon, parameters), 0, 1))
        at_limit = parameters[0] in (0.0, 1.0) or parameters[2] < RATES[0] * 1.01
        warning = ""
        if at_limit and abs(mean - float(curve.accuracy[-1])) > MIN_SD:
            warning = "the curve does not flatten yet, so its extrapolation is a guess"
        if n_epochs == self.min_epochs:
            notes = [warning, "the interval is a guess, as the fit has as many parameters as epochs"]
            return Forecast(mean, read(curve, mean).sd, "; ".join(filter(None, notes)))
        residuals = curve.accuracy - self._value(epochs, parameters)
        noise = max(MIN_SD**2, float(residuals @ residuals) / (n_epochs - self.min_epochs))
        seen, ahead = self._gradient(epochs, parameters), self._gradient(np.array([horizon]), parameters)[0]
        covariance = np.linalg.inv(seen.T @ seen / noise + np.diag(1 / PRIOR_VARIANCE))
        return Forecast(mean, float(np.sqrt(ahead @ covariance @ ahead + noise)), warning)

    def _value(self, epochs: FloatArray | float, parameters: FloatArray) -> FloatArray:
        """The law at these epochs, shape (k,)."""
        asymptote, start, rate = parameters
        return asymptote - (asymptote - start) * self._decay(np.asarray(epochs), rate)

    def _gradient(self, epochs: FloatArray, parameters: FloatArray) -> FloatArray:
        """Derivatives of the law by asymptote, start and log rate, shape (k, 3)."""
        asymptote, start, rate = parameters
        decay, step = self._decay(epochs, rate), 1e-4
        by_log_rate = (self._decay(epochs, rate * np.exp(step)) - self._decay(epochs, rate * np.exp(-step))) / (
            2 * step
        )
        return np.stack([1 - decay, decay, (start - asymptote) * by_log_rate], axis=1)


def fit(decay: Decay, epochs: FloatArray, accuracy: FloatArray) -> FloatArray:
    """Least-squares asymptote, start (both in [0, 1]) and rate (in ``RATES``), shape (3,).

    Args:
        decay: The law's decay.
        epochs: Shape (k,).
        accuracy: Shape (k,).

    Example:
        >>> t = np.arange(1.0, 7.0)
        >>> [round(float(value), 3) for value in fit(exponential, t, 0.9 - 0.4 * np.exp(-0.5 * (t - 1)))]
        [0.9, 0.5, 0.5]
    """
    low, high = np.log(RATES)
    for _ in range(4):  # each round looks between the neighbours of the last one's best rate
        logs = np.linspace(low, high, 48)
        ends, loss = _fit_ends(decay(epochs, np.exp(logs)[:, None]), accuracy)
        best = int(np.argmin(loss))
        low, high = logs[max(best - 1, 0)], logs[min(best + 1, logs.size - 1)]
    return np.array([*ends[best], np.exp(logs[best])])


def _fit_ends(decay: FloatArray, accuracy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Best asymptote and start in the unit square for each rate, and the sum of squares.

    Args:
        decay: Shape (r, k), one row a rate.
        accuracy: Shape (k,).

    Returns:
        The ends, shape (r, 2), and the sums of squares, shape (r,).
    """
    rise = 1 - decay
    aa, ss, cross = (rise**2).sum(1), (decay**2).sum(1), (rise * decay).sum(1)
    ya, ys = rise @ accuracy, decay @ accuracy
    determinant = np.maximum(aa * ss - cross**2, 1e-300)
    free = np.stack([(ss * ya - cross * ys), (aa * ys - cross * ya)], axis=1) / determinant[:, None]
    candidates = [np.clip(free, 0, 1)]
    # Outside the square the optimum of a convex function lies on an edge, where one end is fixed and the other free.
    for edge in (0.0, 1.0):
        fixed = np.full_like(aa, edge)
        candidates.append(np.stack([fixed, np.clip((ys - cross * edge) / ss, 0, 1)], axis=1))
        candidates.append(np.stack([np.clip((ya - cross * edge) / np.maximum(aa, 1e-300), 0, 1), fixed], axis=1))
    ends = np.stack(candidates)
    residuals = accuracy - ends[..., :1] * rise - ends[..., 1:] * decay
    losses = (residuals**2).sum(-1)
    best, row = losses.argmin(0), np.arange(aa.size)
    return ends[best, row], losses[best, row]
