"""The eleven families of learning curves of Domhan, Springenberg and Hutter, and their least-squares fit.

*Speeding up automatic hyperparameter optimization of deep neural networks by extrapolation of learning curves*, IJCAI
2015, Table 1. Two are undefined at epoch 1 as printed, whose logarithm is 0, or for parameters that a fit may try;
ilog2 is read at t + 1, as the authors' own program does. The ranges are ours: the paper's priors are flat, and a box
around what accuracies between 0 and 1 can need makes them proper.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ncore.predict.curves import FloatArray

__all__ = ["FAMILIES", "Curves", "Family", "fit_family"]

Curves = Callable[[FloatArray, list[FloatArray]], FloatArray]


@dataclass(frozen=True)
class Family:
    """A parametric learning curve.

    Attributes:
        name: Its name in the paper.
        formula: As a reader would write it.
        curve: From epochs, shape (k,), and parameters, a list of arrays of shape (..., 1), to accuracies, shape
            (..., k), NaN or infinite where undefined.
        lower: Smallest value of each parameter, shape (p,).
        upper: Largest value of each.
        start: Where fits begin.
    """

    name: str
    formula: str
    curve: Curves
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    start: tuple[float, ...]

    def __call__(self, epochs: FloatArray, parameters: FloatArray) -> FloatArray:
        """The curve at these epochs, shape (..., k), for parameters of shape (..., p)."""
        split = [parameters[..., index, None] for index in range(len(self.start))]
        with np.errstate(all="ignore"):  # what is undefined is NaN, and no fit or prior accepts it
            return self.curve(epochs, split)


def _saturation(start: float, rate: float, shape: float) -> dict[str, tuple[float, ...]]:
    """Ranges and start of the four families a - (a - b) decay: asymptote, beginning, rate and shape."""
    return {"lower": (0, -0.5, 1e-3, 0.05), "upper": (1.2, 1, 10, 5), "start": (0.8, start, rate, shape)}


FAMILIES: tuple[Family, ...] = (
    Family(
        "vapor pressure",
        "exp(a + b / t + c log t)",
        lambda t, p: np.exp(p[0] + p[1] / t + p[2] * np.log(t)),
        (-5, -10, -1),
        (1, 5, 1),
        (-0.6, -0.5, 0.05),
    ),
    Family(
        "pow3", "c - a t^-alpha", lambda t, p: p[0] - p[1] * t ** -p[2], (0, -1, 1e-3), (1.5, 1.5, 5), (0.8, 0.4, 1)
    ),
    Family(
        "log log linear",
        "log(a log t + b)",
        lambda t, p: np.log(p[0] * np.log(t) + p[1]),
        (-0.5, 1),
        (2, 2.7),
        (0.2, 1.6),
    ),
    Family(
        "Hill3",
        "y t^eta / (kappa^eta + t^eta)",
        lambda t, p: p[0] / ((p[2] / t) ** p[1] + 1),
        (0, 0.05, 1e-3),
        (1.5, 5, 100),
        (0.8, 0.8, 0.8),
    ),
    Family(
        "log power",
        "a / (1 + (t / e^b)^c)",
        lambda t, p: p[0] / (1 + (t / np.exp(p[1])) ** p[2]),
        (0, -5, -5),
        (1.5, 5, 0),
        (0.8, -0.3, -0.8),
    ),
    Family(
        "pow4",
        "c - (a t + b)^-alpha",
        lambda t, p: p[0] - (p[1] * t + p[2]) ** -p[3],
        (0, 1e-3, 0.5, 0.05),
        (1.5, 50, 50, 5),
        (0.9, 2, 1, 1),
    ),
    Family(
        "MMF",
        "a - (a - b) / (1 + (kappa t)^delta)",
        lambda t, p: p[0] - (p[0] - p[1]) / (1 + (p[2] * t) ** p[3]),
        **_saturation(0.2, 1, 1),
    ),
    Family(
        "exp4",
        "c - exp(-a t^alpha + b)",
        lambda t, p: p[0] - np.exp(-p[1] * t ** p[3] + p[2]),
        (0, 1e-3, -5, 0.05),
        (1.2, 10, 5, 5),
        (0.8, 0.5, -0.5, 1),
    ),
    Family(
        "Janoschek",
        "a - (a - b) exp(-kappa t^delta)",
        lambda t, p: p[0] - (p[0] - p[1]) * np.exp(-p[2] * t ** p[3]),
        **_saturation(0.2, 0.5, 1),
    ),
    Family(
        "Weibull",
        "a - (a - b) exp(-(kappa t)^delta)",
        lambda t, p: p[0] - (p[0] - p[1]) * np.exp(-((p[2] * t) ** p[3])),
        **_saturation(0.2, 0.5, 1),
    ),
    Family("ilog2", "c - a / log(t + 1)", lambda t, p: p[0] - p[1] / np.log(t + 1), (0, -0.7), (2, 1), (0.8, 0.2)),
)


def fit_family(family: Family, epochs: FloatArray, accuracy: FloatArray) -> FloatArray:
    """Least-squares parameters inside the family's ranges, shape (p,).

    Args:
        family: One of ``FAMILIES``.
        epochs: Shape (k,); k may be smaller than p, which leaves the fit near its start.
        accuracy: Shape (k,).

    Example:
        >>> t = np.arange(1.0, 9.0)
        >>> ilog2 = FAMILIES[-1]
        >>> [round(float(value), 4) for value in fit_family(ilog2, t, ilog2(t, np.array([0.9, 0.25])))]
        [0.9, 0.25]
    """
    from scipy.optimize import least_squares

    def residuals(parameters: FloatArray) -> FloatArray:
        return np.nan_to_num(family(epochs, parameters) - accuracy, nan=1e3, posinf=1e3, neginf=-1e3)

    scale = np.array(family.upper) - np.array(family.lower)
    bounds = (np.array(family.lower, dtype=np.float64), np.array(family.upper, dtype=np.float64))
    found = least_squares(residuals, family.start, bounds=bounds, x_scale=scale, max_nfev=200)
    parameters: FloatArray = found.x
    return parameters
