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
from ncore.store.metric_names import canonical_split

if TYPE_CHECKING:
    from ncore.store.reader import Run

__all__ = ["COLUMNS", "Due", "KeptPredictions", "Predicted", "columns_of"]

COLUMNS = ("example", "label", "predicted", "probability", "label_probability")
_JUDGED = "validation"  # the split whose accuracy says which epoch is the best

Predicted = tuple[Tensor, Tensor, Tensor]
"""Of a batch: the predicted classes, their probabilities, and those of the labels."""


def columns_of(parts: Sequence[Predicted], labels: Tensor, back: Tensor | slice = slice(None)) -> dict[str, np.ndarray]:
    """The columns of a split, of all its examples in order: so runs on the same cut of the data pair up by row.

    Args:
        parts: What was predicted, batch by batch.
        labels: Of all examples.
        back: What puts the rows in order, if they weren't gone through so.
    """
    found = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    predicted, probability, label_probability = (part[back].numpy() for part in found)
    return {
        "example": np.arange(len(labels), dtype=np.int32),
        "label": labels.cpu().numpy().astype(np.int32),
        "predicted": predicted.astype(np.int32),
        "probability": probability.astype(np.float32),
        "label_probability": label_probability.astype(np.float32),
    }


@dataclass(frozen=True)
class Due:
    """What becomes of predictions when an epoch is written.

    Attributes:
        table: To write with it, None for nothing.
        gone: Epochs whose predictions are dropped for it.
        accuracies: Of the epochs whose predictions are kept then.
    """

    table: dict[str, np.ndarray] | None
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


def _joined(predictions: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    parts: list[dict[str, np.ndarray]] = []
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
        not_taken = np.full(count, np.nan, np.float32)
        full: dict[str, np.ndarray] = {"example": np.arange(count), "probability": not_taken}
        full |= {"label_probability": not_taken, **given}
        if others := [name for name in COLUMNS if full[name].shape != (count,)]:
            raise InputError(
                f"The column {others[0]!r} of the predictions of {split!r} has the shape {full[others[0]].shape}, but "
                f"there are {count} labels: give one value an example."
            )
        parts.append({"split": np.full(count, canonical_split(split), dtype=object), **full})
    return {name: np.concatenate([part[name] for part in parts]) for name in ("split", *COLUMNS)}


def _accuracy(table: Mapping[str, Any]) -> float:
    """Of the split that is judged by; of all there are where that has none."""
    right = np.asarray(table["label"]) == np.asarray(table["predicted"])
    judged = np.asarray(table["split"]) == _JUDGED
    return float(right[judged].mean() if judged.any() else right.mean())
