"""H-score: how much of the features' variation is between the classes; plain and with a shrunk covariance."""

import numpy as np
import numpy.typing as npt

from ncore.scores.transfer._data import FloatArray, check_features
from ncore.scores.transfer._spectrum import centre, project

__all__ = ["h_score", "ledoit_wolf_shrinkage", "regularized_h_score"]


def h_score(features: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """H-score.

    Source: Bao, Li, Huang, Zhang, Zheng, Zamir, Guibas, *An Information-Theoretic Approach to Transferability in Task
    Transfer Learning*, ICIP 2019.

    tr(cov(f)^+ cov(E[f | y])), ^+ being the pseudo-inverse. It is the sum over principal components of the share of
    each one's variance that lies between the classes. Once there are as many features as samples it is K - 1 whatever
    they are, as any labels are then a linear function of them: use ``regularized_h_score`` there.

    Args:
        features: Shape (N, D).
        labels: Shape (N,), K classes.

    Returns:
        In [0, min(K - 1, D)], higher is better. Invariant to any invertible affine map of the features.

    Raises:
        InputError: See ``check_features``.

    Example:
        >>> round(h_score([[0.0], [0.0], [1.0], [1.0]], [0, 0, 1, 1]), 12)
        1.0
    """
    _, between, _ = _components(features, labels)
    return float(between.sum())


def regularized_h_score(features: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Regularised H-score.

    Source: Ibrahim, Ponomareva, Mazumder, *Newer is not always better: Rethinking transferability metrics, their
    peculiarities, stability and performance*, ECML PKDD 2022, arXiv 2110.06893 of 2021.

    (1 - a) tr(S_a^-1 cov(E[f | y])) with the covariance S_a = (1 - a) S + a m I shrunk towards its mean variance
    m = tr(S) / D by the a of Ledoit and Wolf (*A well-conditioned estimator for large-dimensional covariance matrices*,
    Journal of Multivariate Analysis, 2004). All covariances are divided by N.

    Args:
        features: Shape (N, D).
        labels: Shape (N,), K classes.

    Returns:
        In [0, min(K - 1, D)] and at most ``h_score``, higher is better. Invariant to rotations, shifts and a common
        scale of the features.

    Raises:
        InputError: See ``check_features``.

    Example:
        >>> regularized_h_score([[0.0, 1.0], [0.1, 1.2], [1.0, 1.1], [1.2, 1.0]], [0, 0, 1, 1]) < 1
        True
    """
    variances, between, centred = _components(features, labels)
    if variances.size == 0:
        return 0.0
    shrinkage = ledoit_wolf_shrinkage(centred, variances)
    mean = variances.sum() / centred.shape[1]
    kept = (1 - shrinkage) * variances
    return float(np.sum(between * kept / (kept + shrinkage * mean)))


def ledoit_wolf_shrinkage(centred: FloatArray, variances: FloatArray) -> float:
    """Ledoit and Wolf's shrinkage intensity, in [0, 1].

    The expected squared error of the sample covariance S, estimated by sum_i ||x_i x_i' - S||^2 / N^2, as a share of
    its squared distance ||S - m I||^2 from the target (Frobenius norms).

    Args:
        centred: Samples x_i without their mean, shape (N, D).
        variances: Positive eigenvalues of S, shape (r,).
    """
    samples, dimensions = centred.shape
    norm = np.sum(variances**2)
    distance = norm - variances.sum() ** 2 / dimensions
    error = np.mean(np.einsum("nd,nd->n", centred, centred) ** 2) / samples - norm / samples
    return float(np.clip(error / distance, 0, 1)) if distance > 1e-14 * norm else 0.0


def _components(features: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Variance of each principal component, its share between classes, both (r,), and the centred features (N, D)."""
    matrix, classes = check_features(features, labels)
    centred = centre(matrix)
    squares, projections = project(centred, classes.indicator)
    return squares / matrix.shape[0], np.sum(projections**2 / classes.counts, axis=1), centred
