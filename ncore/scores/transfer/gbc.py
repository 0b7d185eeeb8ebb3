"""GBC: how much the classes overlap if each is a Gaussian in feature space."""

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError
from ncore.scores.transfer._data import check_features
from ncore.scores.transfer._spectrum import principal_components

__all__ = ["MIN_VARIANCE", "gbc"]

#: Smallest variance of a class, as a share of the mean variance of all samples, so that a class of one sample or of
#: equal samples has a Gaussian too.
MIN_VARIANCE = 1e-4


def gbc(features: npt.ArrayLike, labels: npt.ArrayLike, dimensions: int = 64, covariance: str = "spherical") -> float:
    """Gaussian Bhattacharyya coefficient.

    Source: Pándy, Agostinelli, Uijlings, Ferrari, Mensink, *Transferability Estimation using Bhattacharyya Class
    Separability*, CVPR 2022.

    Minus the sum over ordered pairs of different classes of exp(-D_B), with the Bhattacharyya distance of two Gaussians
    D_B = d' S^-1 d / 8 + log(det S / sqrt(det S_1 det S_2)) / 2, where d is the difference of the class means and S the
    mean of the covariances S_1 and S_2, in the first principal components. (The authors' published code leaves the
    number of dimensions out of the second term of spherical Gaussians; here the formula of the paper is taken.)

    Args:
        features: Shape (N, D).
        labels: Shape (N,), K classes.
        dimensions: Principal components, 64 in the paper; fewer if there are fewer.
        covariance: "spherical", the paper's choice for classification, or "diagonal" (in the components).

    Returns:
        In [-K (K - 1), 0], higher is better. Invariant to rotations, shifts and a common scale.

    Raises:
        InputError: An unknown covariance, fewer than one dimension, or see ``check_features``.

    Example:
        >>> gbc([[1.0], [2.0], [1.0], [2.0]], [0, 0, 1, 1])
        -2.0
    """
    if covariance not in ("spherical", "diagonal") or dimensions < 1:
        raise InputError(
            f"The covariance {covariance!r} in {dimensions} dimensions is not defined: give 'spherical' or 'diagonal', "
            "and one dimension or more."
        )
    matrix, classes = check_features(features, labels)
    reduced = principal_components(matrix, dimensions)
    means = classes.means(reduced)
    variances = classes.means((reduced - means[classes.codes]) ** 2)
    if covariance == "spherical":
        variances = np.broadcast_to(variances.mean(axis=1, keepdims=True), variances.shape)
    floor = MIN_VARIANCE * reduced.var(axis=0).mean()
    if floor == 0:  # all samples are one point, so all classes are the same
        return -float(classes.counts.size * (classes.counts.size - 1))
    variances = np.maximum(variances, floor)
    overlap = 0.0
    for number in range(1, classes.counts.size):
        mean, variance = means[:number], variances[:number]
        shared = (variance + variances[number]) / 2
        distance = np.sum((mean - means[number]) ** 2 / shared, axis=1) / 8
        distance += np.sum(np.log(shared) - np.log(variance * variances[number]) / 2, axis=1) / 2
        overlap += float(np.exp(-np.maximum(distance, 0)).sum())
    return -2 * overlap
