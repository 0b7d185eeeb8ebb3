"""NCE: what the class predicted by the source head leaves unknown of the label."""

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError
from ncore.scores.transfer._data import check_labels

__all__ = ["nce"]


def nce(predictions: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Negative conditional entropy.

    Source: Tran, Nguyen, Hassner, *Transferability and Hardness of Supervised Classification Tasks*, ICCV 2019.

    The score is -H(Y | Z) = sum over y and z of P(y, z) log P(y | z), P being the shares of the samples.

    Args:
        predictions: Source class z of every sample, usually the argmax of the source head; shape (N,), any names.
        labels: Target class y of every sample, shape (N,).

    Returns:
        Nats, from minus the entropy of the labels to 0, higher is better.

    Raises:
        InputError: The predictions are no vector, or see ``check_labels``.

    Example:
        >>> nce([7, 7, 3], ["cat", "cat", "dog"])
        0.0
    """
    array = np.asarray(predictions)
    if array.ndim != 1:
        raise InputError(
            f"The predictions have shape {array.shape}, but must be one source class a sample: give the argmax of the "
            "source head, or its softmax to `leep`."
        )
    # One predicted class is allowed, unlike one label: it says that the source head sees no difference.
    sources, codes = np.unique(array, return_inverse=True)
    classes = check_labels(labels, codes.size)
    counts = np.zeros((classes.counts.size, sources.size))
    np.add.at(counts, (classes.codes, codes), 1)
    share = counts / counts.sum(axis=0)
    seen = counts > 0
    return float(np.sum(counts[seen] * np.log(share[seen]))) / codes.size + 0.0
