"""From the name that a training loop logs a metric under to its split and name in a run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ncore.errors import InputError

__all__ = ["SPLITS", "Place", "place_of", "read_places"]

SPLITS = ("train", "validation", "test", "probe")

Place = tuple[str, str]
"""Split and name."""

_PREFIXES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
}
_NAMES = {
    "accuracy": "accuracy",
    "loss": "loss",
    "acc": "accuracy",
    "acc1": "accuracy",
    "top1": "accuracy",
    "binaryaccuracy": "accuracy",
    "multiclassaccuracy": "accuracy",
    "grad_norm": "gradient_norm",
    "lr": "learning_rate",
}
_OF_TRAINING = ("loss", "gradient_norm", "learning_rate")
# transformers puts its "eval" before the names of several evaluation sets.
_KEY = re.compile(rf"(?:eval_)?({'|'.join(_PREFIXES)})[_/.:\- ](.+)", re.IGNORECASE)


def place_of(key: str) -> Place | None:
    """Where a metric belongs by the usual conventions, None if they do not say.

    Example:
        >>> place_of("val_acc"), place_of("valid/loss"), place_of("train_loss_epoch"), place_of("lr")
        (('validation', 'accuracy'), ('validation', 'loss'), ('train', 'loss'), ('train', 'learning_rate'))
        >>> place_of("eval_accuracy"), place_of("eval_test_loss"), place_of("train_loss_step"), place_of("epoch")
        (('validation', 'accuracy'), ('test', 'loss'), None, None)
    """
    key = key.removesuffix("/dataloader_idx_0")  # what Lightning adds where there is more than one loader
    if match := _KEY.fullmatch(key):
        split, name = _PREFIXES[match[1].lower()], match[2]
        return None if name.endswith("_step") else (split, _name(name.removesuffix("_epoch")))
    return ("train", _name(key)) if _name(key) in _OF_TRAINING else None


def read_places(metrics: Mapping[str, str]) -> dict[str, Place]:
    """What a user says: ``{"my_score": "validation/accuracy"}``.

    Raises:
        InputError: A place is not a split and a name.
    """
    places = {}
    for key, place in metrics.items():
        split, _, name = str(place).partition("/")
        if split not in SPLITS or not name:
            raise InputError(
                f"The metric {key!r} is to be recorded as {place!r}, but a split ({', '.join(SPLITS)}) and a name "
                'are needed, such as "validation/accuracy".'
            )
        places[key] = (split, name)
    return places


def _name(name: str) -> str:
    return _NAMES.get(name.lower(), name)
