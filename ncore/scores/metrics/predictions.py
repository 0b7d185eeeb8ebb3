"""What was predicted of the examples of one split, as arrays: what metrics are functions of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError

__all__ = ["FloatArray", "IntArray", "Predictions", "ranks_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was predicted of n examples, in K classes.

    Attributes:
        labels: True classes, shape (n,), 0 to K - 1.
        predicted: Predicted classes, the same.
        classes: K.
        probability: Of the predicted class, shape (n,), or None.
        label_probability: Of the true class, the same.
        label_rank: How many classes come before the true one by probability, the same.
        probabilities: Of all classes, shape (n, K), or None.

    Raises:
        InputError: There is no example, or a label or class isn't one of K.

    Example:
        >>> Predictions.of({"label": [0, 1], "predicted": [0, 0], "label_probability": [0.9, 0.2]}).probabilities
        array([[0.9, 0.1],
               [0.8, 0.2]])
    """

    labels: IntArray
    predicted: IntArray
    classes: int
    probability: FloatArray | None = None
    label_probability: FloatArray | None = None
    label_rank: IntArray | None = None
    probabilities: FloatArray | None = None

    def __post_init__(self) -> None:
        if not self.labels.size:
            raise InputError("There are predictions of 0 examples, but metrics need one or more.")
        for what, values in (("label", self.labels), ("predicted class", self.predicted)):
            if values.min() < 0 or values.max() >= self.classes:
                wrong = values.min() if values.min() < 0 else values.max()
                raise InputError(
                    f"A {what} is {wrong}, but with {self.classes} classes it must be 0 to {self.classes - 1}."
                )

    @classmethod
    def of(cls, columns: Mapping[str, Any], classes: int | None = None) -> Predictions:
        """Those of rows of the table ``predictions`` of a run, all of one split and epoch.

        What follows from other columns is filled in: of two classes all probabilities follow from that of the label.

        Args:
            columns: The table, or its columns by name; those that are missing, or have gaps, are unknown.
            classes: How many there are; None for as many as occur.
        """
        labels, predicted = (np.asarray(columns[name]).astype(np.int64) for name in ("label", "predicted"))
        found = {
            name: _whole(columns[name])
            for name in ("probability", "label_probability", "label_rank")
            if name in columns
        }
        probabilities = _matrix(columns["probabilities"]) if "probabilities" in columns else None
        if classes is None:
            seen = 1 + max(int(labels.max(initial=0)), int(predicted.max(initial=0)))
            classes = max(2, seen) if probabilities is None else probabilities.shape[1]
        own, rank = found.get("label_probability"), found.get("label_rank")
        if probabilities is not None and probabilities.shape[1] != classes:
            probabilities = None
        if probabilities is None and classes == 2 and own is not None:
            probabilities = np.empty((labels.size, 2))
            # Rounded to what single precision holds: equal probabilities stay equal whichever of the two was recorded.
            probabilities[np.arange(labels.size), labels] = np.round(own, _DECIMALS)
            probabilities[np.arange(labels.size), 1 - labels] = np.round(1 - own, _DECIMALS)
        if rank is None and probabilities is not None:
            rank = ranks_of(probabilities, labels).astype(np.float64)
        return cls(
            labels,
            predicted,
            classes,
            found.get("probability"),
            own,
            None if rank is None else rank.astype(np.int64),
            probabilities,
        )

    def __len__(self) -> int:
        return int(self.labels.size)

    def take(self, rows: IntArray) -> Predictions:
        """Those of these rows, which may repeat."""
        given = (self.probability, self.label_probability, self.label_rank, self.probabilities)
        rest: list[Any] = [None if values is None else values[rows] for values in given]
        return Predictions(self.labels[rows], self.predicted[rows], self.classes, *rest)


def ranks_of(probabilities: FloatArray, labels: IntArray) -> IntArray:
    """How many classes come before the label: those that are more probable, and of equal ones those before it."""
    own = np.take_along_axis(probabilities, labels[:, None], 1)
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    ranks: IntArray = ((probabilities > own) | ((probabilities == own) & before)).sum(1)
    return ranks


def _whole(values: Any) -> FloatArray | None:
    """A column of numbers; None if it has gaps."""
    array = np.asarray(values, dtype=np.float64)
    return None if np.isnan(array).any() else array


def _matrix(values: Any) -> FloatArray | None:
    """A column of lists of one length; None if it has gaps."""
    rows = list(values)
    if not rows or any(row is None or np.ndim(row) != 1 for row in rows) or len({len(row) for row in rows}) > 1:
        return None
    matrix = np.array(rows, dtype=np.float64)
    return None if np.isnan(matrix).any() else matrix
