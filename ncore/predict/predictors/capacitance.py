"""The paper's predictor: accuracy regressed on neural capacitance, read where the capacitance has vanished."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Self

import numpy as np

from ncore.predict.calibration import LEVEL
from ncore.predict.curves import Curve, FloatArray
from ncore.predict.forecast import Family, Forecast, Predictor, Reads
from ncore.predict.predictors.naive import read_last

if TYPE_CHECKING:
    from sklearn.linear_model import BayesianRidge

__all__ = ["CapacitanceForecast", "CapacitanceRegression", "Ridge", "RidgeLine", "ridge_line"]


class CapacitanceRegression(Predictor):
    """Bayesian ridge regression I = h(beta_eff) of one candidate's early epochs, read at I* = h(0).

    Errors vanish as training converges, and beta_eff with them, so h(0) is the converged accuracy (Jiang et al., Nature
    Communications 15, 2024, Algorithm 1). The interval is the regression's predictive one, noise included. A curve with
    fewer than three usable values, or with a beta_eff that does not move, gets its last accuracy with a warning.

    Args:
        strength: "absolute", "relative" or "signed".
    """

    family = Family.CAPACITANCE
    reads = (Reads.ACCURACY, Reads.BETA_EFF)
    min_epochs = 3
    _reading = "h(0)"

    def __init__(self, strength: str) -> None:
        self.strength: str = strength
        self.name = f"capacitance-{strength}"
        self.label = f"Capacitance h(0), {strength}"
        self.description = f"Bayesian ridge regression of accuracy on the {strength} beta_eff, read at 0"

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast each run by itself; see ``Predictor.predict``."""
        return [self._forecast(curve) for curve in curves]

    def _forecast(self, curve: Curve) -> Forecast:
        if self.strength not in curve.beta:
            return read_last(curve, f"no {self.strength} beta_eff was recorded")
        finite = np.isfinite(curve.beta[self.strength])
        beta, accuracy = curve.beta[self.strength][finite], curve.accuracy[finite]
        if beta.size < self.min_epochs:
            return read_last(curve, f"{beta.size} epochs with a beta_eff are too few (at least {self.min_epochs})")
        fitted = Ridge.fit(beta, accuracy)
        if fitted is None:
            return read_last(curve, "beta_eff is the same at every epoch")
        end = self._end(curve.epochs[finite].astype(np.float64), beta, float(curve.horizon))
        (mean,), (sd,) = (part.tolist() for part in fitted.read(np.array([end])))
        notes = []
        if not finite.all():
            notes.append(f"{np.count_nonzero(~finite)} epochs without a finite beta_eff were left out")
        if fitted.slope >= 0:
            notes.append(f"accuracy does not rise as beta_eff falls, which {self._reading} assumes")
        if not 0 <= mean <= 1:
            notes.append(f"{self._reading} = {mean:.3g} was clipped to [0, 1]")
        return Forecast(min(max(mean, 0.0), 1.0), sd, "; ".join(notes))

    def _end(self, epochs: FloatArray, beta: FloatArray, horizon: float) -> float:
        """Where the regression is read."""
        return 0.0


class CapacitanceForecast(CapacitanceRegression):
    """The same regression, read at a forecast of the beta_eff at the horizon; it goes past the paper.

    beta_eff is not yet 0 when training ends, and the farther from the data a regression is read the less it is worth.
    The forecast continues the fall of beta_eff so far as a power law, log beta_eff being regressed on the log of the
    epoch: it is never above the last value, and never below 0. It needs positive values; the signed strength has none.

    Args:
        strength: "absolute" or "relative".
    """

    ours = True
    _reading = "h(beta_eff at the end)"

    def __init__(self, strength: str) -> None:
        super().__init__(strength)
        self.name = f"forecast-{strength}"
        self.label = f"Capacitance h(end), {strength}"
        self.description = f"The regression on the {strength} beta_eff, read at a forecast of its final value"

    def _end(self, epochs: FloatArray, beta: FloatArray, horizon: float) -> float:
        positive = beta > 0
        if np.count_nonzero(positive) < 2:
            return 0.0
        times, values = np.log(epochs[positive]), np.log(beta[positive])
        centred = times - times.mean()
        slope = min(float(centred @ values) / float(centred @ centred), 0.0)
        end = float(np.exp(values.mean() + slope * (np.log(horizon) - times.mean())))
        return min(end, float(beta[positive][-1]))


@dataclass(frozen=True)
class Ridge:
    """Bayesian ridge regression of accuracy on beta_eff, with intercept: scikit-learn's.

    beta_eff is divided by its standard deviation first: the priors of the ridge assume regressors of order one, and
    values near 1e-9 would silently give the mean accuracy.
    """

    model: "BayesianRidge"
    largest: float
    spread: float
    centre: float

    @classmethod
    def fit(cls, beta: FloatArray, accuracy: FloatArray) -> Self | None:
        """Fit on k epochs, both of shape (k,) and finite; None where beta_eff is the same at all of them."""
        largest = float(np.abs(beta).max(initial=0.0))
        # Dividing by the largest value first keeps the squares of tiny and of huge values in range.
        spread = float((beta / largest).std()) if largest > 0 else 0.0
        if spread < 1e-12:
            return None
        from sklearn.linear_model import BayesianRidge

        regressor = beta / largest / spread
        # Centred here, because older scikit-learn measured the variance from 0 instead of from the mean
        # (scikit-learn#33757): smallest just where we extrapolate.
        centre = float(regressor.mean())
        return cls(BayesianRidge().fit((regressor - centre)[:, None], accuracy), largest, spread, centre)

    def read(self, beta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Predictive mean and standard deviation at these beta_eff, each of shape (n,)."""
        mean, sd = self.model.predict((beta / self.largest / self.spread - self.centre)[:, None], return_std=True)
        return mean, sd

    @property
    def slope(self) -> float:
        """Accuracy per beta_eff."""
        return float(self.model.coef_[0]) / self.largest / self.spread


@dataclass(frozen=True)
class RidgeLine:
    """Accuracy as a line in beta_eff, and its predictive band.

    Attributes:
        beta: Where it is computed, from 0 on, shape (n,).
        mean: Accuracies, fractions, shape (n,), not cut off.
        lower: The lower end of the band, of the same kind.
        upper: The upper end.
        slope: Accuracy per beta_eff.
    """

    beta: FloatArray
    mean: FloatArray
    lower: FloatArray
    upper: FloatArray
    slope: float


def ridge_line(beta: FloatArray, accuracy: FloatArray, points: int = 41, level: float = LEVEL) -> RidgeLine | None:
    """The paper's regression over its whole range; at 0 it is what ``CapacitanceRegression`` reads.

    Args:
        beta: beta_eff of the epochs fitted, shape (k,); values that are not finite are left out.
        accuracy: Validation accuracy of the same epochs, shape (k,).
        points: Of the line.
        level: Probability of the band.

    Returns:
        None if fewer than three points are left, or beta_eff is the same at all of them.
    """
    finite = np.isfinite(beta) & np.isfinite(accuracy)
    beta, accuracy = beta[finite], accuracy[finite]
    fitted = Ridge.fit(beta, accuracy) if beta.size >= CapacitanceRegression.min_epochs else None
    if fitted is None:
        return None
    grid = np.union1d(np.linspace(min(0.0, beta.min()), max(0.0, beta.max()), points), [0.0])
    mean, sd = fitted.read(grid)
    half = NormalDist().inv_cdf(0.5 + level / 2) * sd
    return RidgeLine(grid, mean, mean - half, mean + half, fitted.slope)
