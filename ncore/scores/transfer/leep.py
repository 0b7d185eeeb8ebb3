"""LEEP: how likely the labels are when predicted through the classes of the source task."""

import numpy as np
import numpy.typing as npt

from ncore.scores.transfer._data import check_probabilities

__all__ = ["leep"]


def leep(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Log expected empirical prediction (Nguyen, Hassner, Seeger, Archambeau, *LEEP*, ICML 2020).

    With the source probabilities theta(x_i)_z, the empirical joint distribution is P(y, z) = sum over samples of class
    y of theta(x_i)_z / N, and the score is the mean over samples of log sum_z P(y_i | z) theta(x_i)_z.

    Args:
        probabilities: Softmax of the pretrained network's own head on the target samples, shape (N, S).
        labels: Target classes, shape (N,).

    Returns:
        Nats a sample, from minus the entropy of the labels to 0, higher is better.

    Raises:
        InputError: See ``check_probabilities``.

    Example:
        >>> leep([[1, 0], [1, 0], [0, 1]], ["cat", "cat", "dog"])
        0.0
    """
    theta, classes = check_probabilities(probabilities, labels)
    joint = classes.indicator.T @ theta
    marginal = joint.sum(axis=0)
    used = marginal > 0  # a source class that nothing is taken for has no conditional distribution
    conditional = joint[:, used] / marginal[used]
    predictions = np.einsum("nz,nz->n", theta[:, used], conditional[classes.codes])
    return float(np.minimum(np.log(predictions), 0).mean())
