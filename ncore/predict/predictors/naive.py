"""What anyone would do without a model: read the last, the best or the mean accuracy so far, or the loss."""

from collections.abc import Callable, Sequence

import numpy as np

from ncore.predict.curves import Curve
from ncore.predict.forecast import Family, Forecast, Predictor, Reads

__all__ = ["MIN_SD", "LowestLoss", "Naive", "read", "read_last"]

#: No forecast of a reading is surer than this: the binomial standard deviation of an accuracy of one half measured
#: on 10,000 images, about the largest test set in use here.
MIN_SD = 0.005


class Naive(Predictor):
    """A reading of the curve, taken as the final accuracy.

    Args:
        name: Name in the registry.
        label: Name in tables.
        description: What is read.
        reading: From accuracies, shape (k,), to the prediction.
    """

    family = Family.NAIVE

    def __init__(self, name: str, label: str, description: str, reading: Callable[[np.ndarray], float]) -> None:
        self.name, self.label, self.description = name, label, description
        self._reading = reading

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast each run by itself; see ``Predictor.predict``."""
        return [read(curve, float(self._reading(curve.accuracy))) for curve in curves]


class LowestLoss(Predictor):
    """The ranking by validation loss, lowest first, in terms of accuracy.

    A loss is no accuracy, and how one maps to the other differs from task to task. So the last accuracies of the
    candidates are dealt out again in the order of their last losses: the one with the lowest loss gets the highest
    accuracy, and so on. That keeps the order of the losses exactly, needs no finished run and no fit, and changes
    nothing where both agree. A run without a loss keeps its own accuracy, and says so.
    """

    family = Family.NAIVE
    reads = (Reads.ACCURACY, Reads.LOSS)
    name = "loss"
    label = "Lowest loss"
    description = "The last validation accuracies, dealt out in the order of the last validation losses"
    joint = True

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast each run by its place among the losses; see ``Predictor.predict``."""
        losses = np.array([np.nan if curve.loss is None else curve.loss[-1] for curve in curves])
        last = np.array([curve.accuracy[-1] for curve in curves])
        known = np.flatnonzero(np.isfinite(losses))
        dealt = last.copy()
        highest_first = -np.sort(-last[known])
        # Equal losses share the mean of what they would be dealt.
        _, place, count = np.unique(losses[known], return_inverse=True, return_counts=True)
        dealt[known] = (
            np.bincount(place, highest_first[np.argsort(np.argsort(losses[known], kind="stable"))]) / count
        )[place]
        return [
            read(curve, float(np.clip(mean, 0, 1))) if np.isfinite(loss) else read_last(curve, "no loss was recorded")
            for curve, mean, loss in zip(curves, dealt, losses, strict=True)
        ]


def read(curve: Curve, mean: float) -> Forecast:
    """The forecast ``mean`` with the interval of a reading, a rule of thumb that is not calibrated on anything.

    The standard deviation adds up, in squares, three ways in which a reading misses the final accuracy:

    - the gain to come. If accuracy follows a - b/t, the range R seen between the first epoch s and the last one t
      leaves R (1/t - 1/H) / (1/s - 1/t) to gain until the horizon H. With a single epoch all that is known is the
      room above it, and half of that, (1 - accuracy) / 2 times 1 - t/H, is taken;
    - the noise of one reading, the root mean square of second differences over sqrt(6) (which is what independent
      noise of unit variance has), at least ``MIN_SD``. The curve's own bend counts as noise, to be on the safe side;
    - the distance of the reading from the last accuracy, for the best and the mean.

    The sampling noise of the validation set alone would be no answer: it says nothing about the gain to come.

    Args:
        curve: A run with one epoch or more.
        mean: The reading, in [0, 1].
    """
    accuracy, first, last = curve.accuracy, int(curve.epochs[0]), int(curve.epochs[-1])
    if accuracy.size > 1:
        gain = float(np.ptp(accuracy)) * (1 / last - 1 / curve.horizon) / (1 / first - 1 / last)
        warning = ""
    else:
        gain = (1 - float(accuracy[-1])) / 2 * (1 - last / curve.horizon)
        warning = "the interval is a guess, as one epoch shows no trend"
    bends = np.diff(accuracy, n=2)
    noise = max(MIN_SD, float(np.sqrt(np.mean(bends**2) / 6)) if bends.size else 0.0)
    sd = float(np.sqrt(gain**2 + noise**2 + (mean - float(accuracy[-1])) ** 2))
    return Forecast(mean, sd, warning)


def read_last(curve: Curve, why: str) -> Forecast:
    """The last accuracy in place of a model's forecast, with the reason as its warning."""
    forecast = read(curve, float(curve.accuracy[-1]))
    notes = [f"the last accuracy stands in, as {why}", forecast.warning]
    return Forecast(forecast.mean, forecast.sd, "; ".join(filter(None, notes)))
