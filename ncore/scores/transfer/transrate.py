"""TransRate: the mutual information of features and labels, with coding rates in place of entropies."""

import numpy as np
import numpy.typing as npt

from ncore.scores.transfer._data import FloatArray, check_features
from ncore.scores.transfer._spectrum import centre

__all__ = ["transrate"]


def transrate(features: npt.ArrayLike, labels: npt.ArrayLike, epsilon: float = 1e-4) -> float:
    """TransRate (Huang, Huang, Rong, Yang, Wei, *Frustratingly Easy Transferability Estimation*, ICML 2022).

    R(Z) - mean over classes of R(Z_c), with the coding rate R(Z) = log det(I + Z'Z / (n epsilon)) / 2 of the n rows of
    Z, Z the centred features and Z_c its rows of class c, not centred again. As in the paper's listing every class
    weighs the same, whatever its size, and the features are not scaled: candidates whose features are on other scales
    are compared as they are.

    Args:
        features: Shape (N, D).
        labels: Shape (N,).
        epsilon: Distortion, > 0.

    Returns:
        Nats, higher is better; >= 0 where all classes are of one size. Invariant to rotations and shifts.

    Raises:
        InputError: See ``check_features``.

    Example:
        >>> transrate([[0.0], [0.0], [1.0], [1.0]], [0, 1, 0, 1])
        0.0
    """
    matrix, classes = check_features(features, labels)
    centred = centre(matrix)
    rates = [_coding_rate(centred[classes.codes == number], epsilon) for number in range(classes.counts.size)]
    return _coding_rate(centred, epsilon) - float(np.mean(rates))


def _coding_rate(rows: FloatArray, epsilon: float) -> float:
    """Coding rate: log det(I + Z'Z / (n epsilon)) / 2, from the smaller of Z'Z and ZZ', of one determinant."""
    samples, features = rows.shape
    gram = rows.T @ rows if samples > features else rows @ rows.T
    return float(np.linalg.slogdet(np.eye(len(gram)) + gram / (samples * epsilon))[1]) / 2
