"""kNN accuracy: how often the nearest other samples vote for the right class."""

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError
from ncore.scores.transfer._data import check_features
from ncore.scores.transfer._spectrum import centre

__all__ = ["knn_accuracy"]

_CHUNK = 2048  # rows of distances at a time


def knn_accuracy(features: npt.ArrayLike, labels: npt.ArrayLike, neighbours: int = 5) -> float:
    """Leave-one-out accuracy of the k-nearest-neighbour classifier, in Euclidean distance.

    Source: Cover, Hart, *Nearest neighbor pattern classification*, IEEE Transactions on Information Theory, 1967.

    Of classes with equally many votes that of the nearest neighbour wins, then that of the second, and so on.

    Args:
        features: Shape (N, D).
        labels: Shape (N,).
        neighbours: k, in [1, N - 1] and at most 40.

    Returns:
        Share of samples whose neighbours vote right, in [0, 1], higher is better. Invariant to rotations, shifts and a
        common scale.

    Raises:
        InputError: k is out of its range, or see ``check_features``.

    Example:
        >>> knn_accuracy([[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1], neighbours=1)
        1.0
    """
    matrix, classes = check_features(features, labels)
    samples = len(matrix)
    if not 1 <= neighbours <= min(samples - 1, 40):
        raise InputError(
            f"The number of neighbours is {neighbours}, but must be from 1 to {min(samples - 1, 40)} for {samples} "
            "samples: change `neighbours`."
        )
    centred = centre(matrix)  # keeps digits that large means would take
    squares = np.einsum("nd,nd->n", centred, centred)
    # One vote each, and a bonus that is smaller than a vote in all and larger than all later ones: it breaks ties.
    weights = 1 + 0.5 ** np.arange(2, neighbours + 2)
    right = 0
    for start in range(0, samples, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, samples))
        distances = squares - 2 * (centred[rows] @ centred.T)  # less the row's own square, which changes no order
        distances[np.arange(rows.size), rows] = np.inf
        near = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
        near = np.take_along_axis(
            near, np.take_along_axis(distances, near, axis=1).argsort(axis=1, kind="stable"), axis=1
        )
        votes = np.zeros((rows.size, classes.counts.size))
        np.add.at(votes, (np.arange(rows.size)[:, None], classes.codes[near]), weights)
        right += int(np.count_nonzero(votes.argmax(axis=1) == classes.codes[rows]))
    return right / samples
