"""The paper's predictor: accuracy regressed on neural capacitance, read where the capacitance has vanished."""

from collections.abc import Sequence

import numpy as np

from ncore.predict.curves import Curve, FloatArray
from ncore.predict.forecast import Forecast, Predictor
from ncore.predict.naive import read_last


class CapacitanceRegression(Predictor):
    """Bayesian ridge regression I = h(beta_eff) of one candidate's early epochs, read at I* = h(0).

    Errors vanish as training converges, and beta_eff with them, so h(0) is the converged accuracy (Jiang et al., Nature
    Communications 15, 2024, Algorithm 1). The interval is the regression's predictive one, noise included. beta_eff is
    divided by its standard deviation first: the priors of the ridge assume regressors of order one, and values
    near 1e-9 would silently give the mean accuracy. A curve with fewer than three usable values, or with a beta_eff
    that does not move, gets its last accuracy with a warning.

    Args:
        strength: "absolute", "relative" or "signed".
    """

    min_epochs = 3
    _reading = "h(0)"

    def __init__(self, strength: str) -> None:
        self.strength: str = strength
        self.name = f"capacitance-{strength}"
        self.label = f"Capacitance h(0), {strength}"
        self.description = f"Bayesian ridge regression of accuracy on the {strength} beta_eff, read at 0"

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast each run by itself; see `Predictor.predict`."""
        return [self._forecast(curve) for curve in curves]

    def _forecast(self, curve: Curve) -> Forecast:
        if self.strength not in curve.beta:
            return read_last(curve, f"no {self.strength} beta_eff was recorded")
        finite = np.isfinite(curve.beta[self.strength])
        beta, accuracy = curve.beta[self.strength][finite], curve.accuracy[finite]
        if beta.size < self.min_epochs:
            return read_last(curve, f"{beta.size} epochs with a beta_eff are too few (at least {self.min_epochs})")
        largest = float(np.abs(beta).max())
        # Dividing by the largest value first keeps the squares of tiny and of huge values in range.
        spread = float((beta / largest).std()) if largest > 0 else 0.0
        if spread < 1e-12:
            return read_last(curve, "beta_eff is the same at every epoch")
        end = self._end(curve.epochs[finite].astype(np.float64), beta, float(curve.horizon))
        mean, sd, slope = ridge_at(beta / largest / spread, accuracy, end / largest / spread)
        notes = []
        if not finite.all():
            notes.append(f"{np.count_nonzero(~finite)} epochs without a finite beta_eff were left out")
        if slope >= 0:
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


def ridge_at(regressor: np.ndarray, response: np.ndarray, at: float = 0.0) -> tuple[float, float, float]:
    """Bayesian ridge regression with intercept, scikit-learn's.

    Args:
        regressor: Shape (k,), of unit variance.
        response: Shape (k,).
        at: Where to read it, in units of the regressor.

    Returns:
        Predictive mean and standard deviation there, and the slope.
    """
    from sklearn.linear_model import BayesianRidge

    # Centred here, because older scikit-learn measured the variance from 0 instead of from the mean
    # (scikit-learn#33757): smallest just where we extrapolate.
    centre = regressor.mean()
    model = BayesianRidge().fit((regressor - centre)[:, None], response)
    mean, sd = model.predict(np.array([[at - centre]]), return_std=True)
    return float(mean[0]), float(sd[0]), float(model.coef_[0])
