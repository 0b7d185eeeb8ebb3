"""How good a finished model is: on the test set, as a whole and by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor

from ncore.finish.preprocessing import Preprocessing

__all__ = ["Evaluation", "evaluate"]

_BATCH = 64


@dataclass(frozen=True)
class Evaluation:
    """What a model makes of the test set.

    Attributes:
        accuracy: A fraction.
        lower: Of the interval that the size of the test set leaves, by Wilson's score.
        upper: Likewise.
        loss: Mean cross-entropy.
        examples: How many.
        classes: Of each class its name, examples, precision, recall and F1; None where there is nothing to divide by.
    """

    accuracy: float
    lower: float
    upper: float
    loss: float
    examples: int
    classes: list[dict[str, Any]]


def evaluate(
    network: Callable[..., Tensor],
    preprocessing: Preprocessing,
    classes: Sequence[str],
    device: torch.device,
    level: float = 0.9,
) -> Evaluation:
    """Evaluate a model on the test set, in full precision.

    Args:
        network: From inputs to logits.
        preprocessing: Of the test set.
        classes: Their names.
        device: Where the model is.
        level: Probability of the interval.
    """
    labels, predicted, total = preprocessing.labels, [], 0.0
    with torch.no_grad():
        for start in range(0, len(labels), _BATCH):
            rows = range(start, min(start + _BATCH, len(labels)))
            logits = network(*(part.to(device) for part in preprocessing.inputs(rows))).float().cpu()
            wanted = torch.as_tensor(labels[rows.start : rows.stop])
            total += float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
            predicted.append(logits.argmax(1).numpy())
    found = np.concatenate(predicted)
    count, accuracy = len(labels), float((found == labels).mean())
    z = NormalDist().inv_cdf(0.5 + level / 2)
    middle = (accuracy + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (accuracy * (1 - accuracy) / count + z * z / (4 * count**2)) ** 0.5
    numbers = precision_recall_fscore_support(labels, found, labels=np.arange(len(classes)), zero_division=np.nan)
    rows_of = [
        {"class": name, "examples": int(support), "precision": _or_none(p), "recall": _or_none(r), "f1": _or_none(f)}
        for name, p, r, f, support in zip(classes, *numbers, strict=True)
    ]
    return Evaluation(accuracy, max(0.0, middle - half), min(1.0, middle + half), total / count, count, rows_of)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
