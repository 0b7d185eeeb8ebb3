"""Checked inputs of the transferability scores: features or source predictions, and target labels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError

__all__ = ["Classes", "FloatArray", "IntArray", "check_features", "check_labels", "check_probabilities"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Classes:
    """Target labels as numbers.

    Attributes:
        codes: Class of every sample, shape (N,), 0 to K-1.
        counts: Samples of every class, shape (K,), all >= 1.
    """

    codes: IntArray
    counts: IntArray

    @property
    def indicator(self) -> FloatArray:
        """One column a class, 1 for its samples and 0 elsewhere, shape (N, K)."""
        return np.equal.outer(self.codes, np.arange(self.counts.size)).astype(np.float64)

    def means(self, values: FloatArray) -> FloatArray:
        """Mean of each class's rows, from shape (N, D) to (K, D)."""
        sums: FloatArray = self.indicator.T @ values
        return sums / self.counts[:, None]


def check_labels(labels: npt.ArrayLike, samples: int) -> Classes:
    """Number the classes of ``labels``.

    Args:
        labels: Shape (samples,): integers, booleans, strings, or floats that are whole numbers.
        samples: Number of samples that they must be for.

    Raises:
        InputError: Another shape, labels that are not classes, or fewer than two of them.
    """
    array = np.asarray(labels)
    if array.shape != (samples,):
        raise InputError(
            f"The labels have shape {array.shape}, but {samples} samples need ({samples},): give one label a sample."
        )
    if array.dtype.kind == "f" and not np.all(array == np.floor(array)):
        odd = array[array != np.floor(array)][0]
        raise InputError(
            f"The label {odd} is no class: give integers or names, as these scores are for classification."
        )
    _, codes, counts = np.unique(array, return_inverse=True, return_counts=True)
    if counts.size < 2:
        raise InputError(
            f"The labels hold {counts.size} class, but a score needs two or more: give samples of other classes too."
        )
    return Classes(codes, counts)


def check_features(features: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, Classes]:
    """Features in float64, and their classes.

    Args:
        features: Shape (N, D), D >= 1, finite.
        labels: Shape (N,), see ``check_labels``.

    Raises:
        InputError: Another shape, a value that is not finite, or labels that ``check_labels`` refuses.
    """
    array = _matrix(features, "features")
    return array, check_labels(labels, array.shape[0])


def check_probabilities(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, Classes]:
    """Probabilities of the source classes in float64 with rows that sum to exactly 1, and the target classes.

    Args:
        probabilities: Shape (N, S), not negative, rows summing to 1 within 0.001 (half precision softmax does).
        labels: Shape (N,), see ``check_labels``.

    Raises:
        InputError: Another shape, rows that are no probabilities, or labels that ``check_labels`` refuses.
    """
    array = _matrix(probabilities, "probabilities")
    sums = array.sum(axis=1, keepdims=True)
    if array.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        worst = int(np.abs(sums - 1).argmax())
        raise InputError(
            f"The probabilities have values from {array.min():.4g} and a row that sums to {sums[worst, 0]:.4g}, but "
            "must be at least 0 and sum to 1: give the softmax of the source head, not its logits."
        )
    return array / sums, check_labels(labels, array.shape[0])


def _matrix(values: npt.ArrayLike, name: str) -> FloatArray:
    """``values`` in float64, two-dimensional, not empty and finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise InputError(
            f"The {name} have shape {array.shape}, but must be a matrix (samples, columns) with one or more of each: "
            "flatten what each sample has."
        )
    if not np.isfinite(array).all():
        raise InputError(
            f"The {name} hold {np.count_nonzero(~np.isfinite(array))} values that are not finite, but all must be: "
            "find out why the model gives NaN or infinity on these samples."
        )
    return array
