"""Linear probe: cross-validated accuracy of logistic regression on frozen features."""

import warnings

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError
from ncore.scores.transfer._data import Classes, IntArray, check_features

__all__ = ["linear_probe"]


def linear_probe(
    features: npt.ArrayLike, labels: npt.ArrayLike, folds: int = 5, regularization: float = 1.0, seed: int = 0
) -> float:
    """Cross-validated accuracy of an L2-regularised multinomial logistic regression, scikit-learn's.

    Source: Alain, Bengio, *Understanding intermediate layers using linear classifier probes*, 2016.

    Features are standardised on the training part of each fold. Folds are stratified: each class is spread over them as
    evenly as its size allows, so a class of one sample is always predicted wrong.

    Args:
        features: Shape (N, D).
        labels: Shape (N,).
        folds: Parts, in [2, N].
        regularization: Half the factor of the squared weights against the summed loss, 1/C of scikit-learn, > 0.
        seed: Seed of the partition.

    Returns:
        Share of samples predicted right while held out, in [0, 1], higher is better.

    Raises:
        InputError: More folds than samples or fewer than two, a regularisation that is not positive, or see
            ``check_features``.

    Example:
        >>> import numpy as np
        >>> linear_probe(np.arange(20.0)[:, None], np.repeat([0, 1], 10)) > 0.8
        True
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    matrix, classes = check_features(features, labels)
    if not 2 <= folds <= len(matrix):
        raise InputError(
            f"The number of folds is {folds}, but must be from 2 to the number of samples, {len(matrix)}: change "
            "`folds`."
        )
    if not regularization > 0:
        raise InputError(f"The regularisation is {regularization}, but must be positive: give 1, for instance.")
    fold = _partition(classes, folds, seed)
    right = 0
    for number in range(folds):
        held, kept = fold == number, fold != number
        if np.ptp(classes.codes[kept]) == 0:  # nothing to learn but the one class left
            right += int(np.count_nonzero(classes.codes[held] == classes.codes[kept][0]))
            continue
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=1 / regularization, max_iter=200))
        with warnings.catch_warnings():
            # A probe stopped at 200 steps ranks as well, and separable features need many more.
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(matrix[kept], classes.codes[kept])
        right += int(np.count_nonzero(probe.predict(matrix[held]) == classes.codes[held]))
    return right / len(matrix)


def _partition(classes: Classes, folds: int, seed: int) -> IntArray:
    """Fold of every sample, shape (N,): samples in random order within their class, dealt to the folds in turn."""
    order = np.lexsort((np.random.default_rng(seed).random(classes.codes.size), classes.codes))
    fold = np.empty(order.size, dtype=np.intp)
    fold[order] = np.arange(order.size) % folds
    return fold
