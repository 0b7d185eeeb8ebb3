"""LogME: the logarithm of the maximum evidence of a Bayesian linear model from features to labels."""

import numpy as np
import numpy.typing as npt

from ncore.scores.transfer._data import FloatArray, check_features
from ncore.scores.transfer._spectrum import project

__all__ = ["MIN_RESIDUAL", "logme"]

#: The residual sum of squares below which the fit of a 0/1 label counts as perfect, as in the authors' code: without
#: it the evidence of labels that are an exact linear function of the features would be infinite.
MIN_RESIDUAL = 1e-5


def logme(features: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """LogME, the logarithm of the maximum evidence of a linear model on the features.

    Source: You, Liu, Wang, Long, *LogME: Practical Assessment of Pre-trained Models for Transfer Learning*, ICML 2021.

    Each class's 0/1 label y is modelled as y ~ N(F w, I / beta) with w ~ N(0, I / alpha). The score is the mean over
    classes of max over alpha and beta of log p(y | F, alpha, beta) / N.

    The paper climbs to the maximum by MacKay's fixed-point iteration. Here it is found directly: with t = alpha / beta
    and the squared singular values s_i of F, the best beta for a t is N / q(t), q(t) = sum_i x_i^2 t / (t + s_i) + r,
    where x = U' y and r is the part of y'y outside the range of F; what is left to maximise,

        sum_i log(t / (t + s_i)) / 2 + N log(beta) / 2 - beta q(t) / 2 - N log(2 pi) / 2,

    has one variable. There is no start to choose, and F of rank below D or with D > N needs no special case.

    Args:
        features: Shape (N, D), as the network gives them: not centred, no column of ones added.
        labels: Shape (N,).

    Returns:
        Nats a sample, higher is better. Invariant to a rotation and to a common scale of the features.

    Raises:
        InputError: See ``check_features``.

    Example:
        >>> import numpy as np
        >>> informative, labels = np.eye(2)[[0, 1, 0, 1]], [0, 1, 0, 1]
        >>> logme(informative, labels) > logme(np.ones((4, 2)), labels)
        True
    """
    from scipy.optimize import minimize_scalar

    matrix, classes = check_features(features, labels)
    squares, projections = project(matrix, classes.indicator)
    squares = squares / squares.max(initial=0)
    energy = projections**2
    rest = np.maximum(classes.counts - energy.sum(axis=0), 0)
    samples = matrix.shape[0]
    # t relative to the largest square. At the upper end every weight is shrunk to nothing; at the lower one even the
    # smallest component counted as one, 1e-13 of the largest, is fitted below MIN_RESIDUAL.
    grid = np.linspace(-60, 28, 177)
    on_grid = np.array([_log_evidence(u, squares, energy, rest, samples) for u in grid])
    best = on_grid.max(axis=0)
    for number, peak in enumerate(on_grid.argmax(axis=0)):
        one = slice(number, number + 1)
        found = minimize_scalar(
            lambda u, one=one: -_log_evidence(u, squares, energy[:, one], rest[one], samples)[0],
            bounds=(grid[max(peak - 1, 0)], grid[min(peak + 1, grid.size - 1)]),
            method="bounded",
            options={"xatol": 1e-7},
        )
        best[number] = max(best[number], -found.fun)
    return float(best.mean()) / samples


def _log_evidence(log_t: float, squares: FloatArray, energy: FloatArray, rest: FloatArray, samples: int) -> FloatArray:
    """Log evidence at t and the best beta for it, one a class: shape (K,) from energies (r, K) and rests (K,)."""
    shrinkage = 1 / (1 + squares * np.exp(-log_t))
    residual = shrinkage @ energy + rest
    beta = samples / np.maximum(residual, MIN_RESIDUAL)
    evidence: FloatArray = np.log(shrinkage).sum() + samples * np.log(beta / (2 * np.pi)) - beta * residual
    return evidence / 2
