"""Predictions of single examples: what an evaluation gives of them, and of which epochs a run keeps them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ncore.errors import InputError, StoreError
from ncore.scores.metrics.predictions import ranks_of
from ncore.store.metric_names import canonical_split

if TYPE_CHECKING:
    from ncore.store.reader import Run

__all__ = ["COLUMNS", "MOST_PROBABILITIES", "Due", "KeptPredictions", "Predicted", "columns_of", "predicted_of"]

COLUMNS = ("example", "label", "predicted", "probability", "label_probability", "label_rank", "probabilities")
MOST_PROBABILITIES = 2**18
"""Those of all classes are kept of a split up to so many, a mebibyte an epoch: of 10 classes, of 26,214 examples."""
_OFF = 1e-2  # what rows of probabilities may be off, as half precision is
_JUDGED = "validation"  # the split whose accuracy says which epoch is the best

Predicted = tuple[Tensor, ...]
"""Of a batch, in the order of the columns: all but ``example`` and ``label``, the last one only where it is kept."""


def predicted_of(likelihoods: Tensor, classes: Tensor, labels: Tensor, examples: int) -> Predicted:
    """What is kept of a batch.

    Args:
        likelihoods: Logarithms of the probabilities, (batch, classes).
        classes: Predicted.
        labels: True.
        examples: Of the whole split.
    """
    own = likelihoods.gather(1, labels[:, None])
    before = torch.arange(likelihoods.shape[1], device=labels.device) < labels[:, None]
    rank = ((likelihoods > own) | ((likelihoods == own) & before)).sum(1)
    both = likelihoods.gather(1, torch.stack([classes, labels], 1)).exp()
    kept = [likelihoods.exp()] if examples * likelihoods.shape[1] <= MOST_PROBABILITIES else []
    return classes, both[:, 0], both[:, 1], rank, *kept


def columns_of(parts: Sequence[Predicted], labels: Tensor, back: Tensor | slice = slice(None)) -> dict[str, np.ndarray]:
    """The columns of a split, of all its examples in order: so runs on the same cut of the data pair up by row.

    Args:
        parts: What was predicted, batch by batch.
        labels: Of all examples.
        back: What puts the rows in order, if they weren't gone through so.
    """
    given = (torch.cat(part).cpu()[back].numpy() for part in zip(*parts, strict=True))
    predicted, probability, label_probability, rank, *probabilities = given
    return {
        "example": np.arange(len(labels), dtype=np.int32),
        "label": labels.cpu().numpy().astype(np.int32),
        "predicted": predicted.astype(np.int32),
        "probability": probability.astype(np.float32),
        "label_probability": label_probability.astype(np.float32),
        "label_rank": rank.astype(np.int32),
        **({"probabilities": probabilities[0].astype(np.float32)} if probabilities else {}),
    }


@dataclass(frozen=True)
class Due:
    """What becomes of predictions when an epoch is written.

    Attributes:
        table: To write with it, None for nothing.
        gone: Epochs whose predictions are dropped for it.
        accuracies: Of the epochs whose predictions are kept then.
    """

    table: dict[str, Any] | None
    gone: tuple[int, ...]
    accuracies: dict[int, float]


@dataclass
class KeptPredictions:
    """Of which epochs a run keeps the predictions: of all where these are few, else the first, the best and the last.

    The best is the first with the highest accuracy on validation data, of those so far.

    Args:
        most: Rows up to which those of every epoch are kept, by what the planned epochs will come to; 0 for none.
        planned: Epochs; None if it is not known how many there will be.
        accuracies: Of the epochs whose predictions are kept already.
    """

    most: int
    planned: int | None
    accuracies: dict[int, float] = field(default_factory=dict)

    def go_on(self, run: Run) -> None:
        """Go on where a run has been left; predictions that can't be read any more are left where they are."""
        with contextlib.suppress(StoreError):
            if run.recorded_epochs("predictions"):
                frame = run.predictions()
                self.accuracies = {int(epoch): _accuracy(part) for epoch, part in frame.groupby("epoch")}

    def of_epoch(self, epoch: int, predictions: Mapping[str, Mapping[str, Any]]) -> Due:
        """What becomes of predictions when an epoch is written; nothing is noted before :meth:`written`.

        Args:
            epoch: Its number; those of it and of later ones, which it replaces, are dropped already.
            predictions: Columns by split; ``example`` is the row where it is not given.

        Raises:
            InputError: A split's columns are not those of predictions.
        """
        before = {one: value for one, value in self.accuracies.items() if one < epoch}
        if not self.most or not predictions:
            return Due(None, (), before)
        table = _joined(predictions)
        judged = np.count_nonzero(table["split"] == _JUDGED) or len(table["split"])
        known = before | {epoch: _accuracy(table)}
        if self.planned is not None and judged * max(self.planned, epoch) <= self.most:
            return Due(table, (), known)
        kept = {min(known), max(known, key=lambda one: (known[one], -one)), epoch}
        return Due(table, tuple(sorted(set(known) - kept)), {one: known[one] for one in known if one in kept})

    def written(self, due: Due) -> None:
        """The epoch has been written."""
        self.accuracies = due.accuracies


def _joined(predictions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    parts: list[dict[str, np.ndarray]] = []
    kept: list[np.ndarray | None] = []
    for split, columns in predictions.items():
        if lacks := [name for name in ("label", "predicted") if name not in columns]:
            raise InputError(
                f"The predictions of {split!r} have no {lacks[0]!r}, but `label` and `predicted` are needed."
            )
        if unknown := sorted(set(columns) - set(COLUMNS)):
            raise InputError(f"The predictions of {split!r} have {unknown[0]!r}, but give {', '.join(COLUMNS)}.")
        given: dict[str, np.ndarray] = {
            name: (column.detach().cpu().numpy() if isinstance(column, Tensor) else np.asarray(column))
            for name, column in columns.items()
        }
        count = given["label"].size
        if not count:
            raise InputError(f"The predictions of {split!r} hold no example, but one is needed: leave {split!r} out.")
        matrix = given.pop("probabilities", None)
        not_taken = np.full(count, np.nan, np.float32)
        full: dict[str, np.ndarray] = {"example": np.arange(count), "probability": not_taken}
        full |= {"label_probability": not_taken, "label_rank": not_taken}
        full |= {} if matrix is None else _follows(matrix, given["label"], given["predicted"], split)
        full |= given
        if others := [name for name in COLUMNS[:-1] if full[name].shape != (count,)]:
            raise InputError(
                f"The column {others[0]!r} of the predictions of {split!r} has the shape {full[others[0]].shape}, but "
                f"there are {count} labels: give one value an example."
            )
        parts.append({"split": np.full(count, canonical_split(split), dtype=object), **full})
        kept.append(matrix if matrix is not None and matrix.size <= MOST_PROBABILITIES else None)
    table = {name: np.concatenate([part[name] for part in parts]) for name in ("split", *COLUMNS[:-1])}
    return table | _below_each_other(kept, [len(part["label"]) for part in parts])


def _follows(matrix: np.ndarray, labels: np.ndarray, predicted: np.ndarray, split: str) -> dict[str, np.ndarray]:
    """The columns that follow from the probabilities of all classes."""
    where = f"The probabilities of the predictions of {split!r}"
    if matrix.ndim != 2 or len(matrix) != len(labels) or matrix.dtype.kind not in "fiu":
        raise InputError(
            f"{where} have the shape {matrix.shape}, but there are {len(labels)} labels: give a row of numbers an "
            "example, one of each class."
        )
    if not (np.isfinite(matrix).all() and matrix.min() >= 0 and np.abs(matrix.sum(1) - 1).max() <= _OFF):
        raise InputError(f"{where} must be 0 or more and sum to 1 in each row: give what softmax makes of the outputs.")
    for name, classes in (("label", labels), ("predicted", predicted)):
        if classes.shape != labels.shape or classes.dtype.kind not in "iu":
            return {}  # of which more is said where columns are checked
        if classes.min() < 0 or classes.max() >= matrix.shape[1]:
            raise InputError(
                f"The column {name!r} of the predictions of {split!r} has classes from {classes.min()} to "
                f"{classes.max()}, but there are probabilities of {matrix.shape[1]}: count classes from 0."
            )
    rows = np.arange(len(labels))
    return {
        "probability": matrix[rows, predicted].astype(np.float32),
        "label_probability": matrix[rows, labels].astype(np.float32),
        "label_rank": ranks_of(matrix, labels),
    }


def _below_each_other(kept: Sequence[np.ndarray | None], counts: Sequence[int]) -> dict[str, Any]:
    """The column ``probabilities``, a matrix where all splits have it; left out where none has."""
    matrices = [matrix for matrix in kept if matrix is not None]
    if not matrices:
        return {}
    if len(matrices) == len(kept) and len({matrix.shape[1] for matrix in matrices}) == 1:
        return {"probabilities": np.concatenate(matrices)}
    rows = [
        row
        for matrix, count in zip(kept, counts, strict=True)
        for row in ([None] * count if matrix is None else matrix)
    ]
    return {"probabilities": rows}


def _accuracy(table: Mapping[str, Any]) -> float:
    """Of the split that is judged by; of all there are where that has none."""
    right = np.asarray(table["label"]) == np.asarray(table["predicted"])
    judged = np.asarray(table["split"]) == _JUDGED
    return float(right[judged].mean() if judged.any() else right.mean())
