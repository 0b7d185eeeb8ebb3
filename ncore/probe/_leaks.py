"""Pictures that are in two of the three sets: what is learned must not be what it is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from ncore.probe.datasets import Split

__all__ = ["leaks"]

_ORDER = ("test", "validation", "train")  # who keeps a picture that several have


def leaks(splits: Mapping[str, Split], pixels: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Rows of the training and the validation set whose pictures the later sets have too, byte by byte once decoded.

    Pictures are compared as a model sees them, and those that are alike there, two by two, as they are in full.

    Args:
        splits: Train, validation and test.
        pixels: Of each, as :meth:`~ncore.probe.datasets.Split.tensor` makes them, for one input.

    Returns:
        By name of the set, where there are any, the rows to leave out, ascending.
    """
    kept: dict[bytes, list[tuple[str, int]]] = {}
    found: dict[str, np.ndarray] = {}
    for name in _ORDER:
        rows, own = [], []
        for row, picture in enumerate(pixels[name].numpy()):
            key = blake2b(np.ascontiguousarray(picture).data, digest_size=16).digest()
            if any(_same(splits[name], row, splits[other], at) for other, at in kept.get(key, ())):
                rows.append(row)
            else:
                own.append((key, row))
        for key, row in own:  # after all of the set: within one, a picture may stand twice
            kept.setdefault(key, []).append((name, row))
        if rows:
            found[name] = np.array(rows)
    return found


def _same(one: Split, row: int, other: Split, at: int) -> bool:
    first, second = one.decode(row), other.decode(at)
    return first.size == second.size and np.array_equal(
        np.asarray(first.convert("RGBA")), np.asarray(second.convert("RGBA"))
    )
