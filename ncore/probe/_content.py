"""What examples hold, however they are stored: digests of what is decoded tell the same data, and copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np

from ncore.probe._content_cache import ContentCache
from ncore.probe.modalities.base import RECORD, Items, Modality
from ncore.probe.sources.split_names import nfc

__all__ = ["SKETCHED", "Contents", "Cut", "digests_of", "sketch_of"]

SKETCHED = 64
"""Examples in a sketch: those with the smallest digests, a fair sample that is the same wherever they are."""


class Cut(Protocol):
    """What digests are made of: see ``ncore.probe.datasets.Dataset``."""

    class_names: list[str]
    splits: Any
    choice: dict[str, tuple[Contents, np.ndarray]]


class Contents:
    """What the examples of one set of a source hold; each is looked at once, and what is a file not again later.

    Args:
        items: The set's examples.
        count: How many there are.
        modality: Looks at them.
    """

    def __init__(self, items: Items, count: int, modality: Modality) -> None:
        self._items, self._modality, self._known = items, modality, np.zeros(count, dtype=bool)
        self._records = np.zeros(count, dtype=RECORD)

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Records of examples, see :data:`~ncore.probe.modalities.base.RECORD`.

        Raises:
            InputError: One can't be decoded; names its file or place.
        """
        missing = np.unique(rows[~self._known[rows]])
        if missing.size:
            cache = ContentCache(self._items, missing)
            found = cache.found
            self._records[missing[found]] = cache.records[found]
            rest = missing[~found]
            if rest.size:
                self._records[rest] = self._modality.look_at(self._items, rest)
                cache.keep(self._records[missing])
            self._known[missing] = True
        return self._records[rows]


def digests_of(data: Cut) -> dict[str, Any]:
    """What a run was trained on, by content.

    Args:
        data: As loaded.

    Returns:
        ``data``, a digest of all examples with their labels as they are named, whatever their order; where each seed
        cuts the data anew, of all that a cut can choose from. ``cut``, a digest of who is in which set. ``sketch``,
        sixteen hexadecimal digits of each of the ``SKETCHED`` examples whose digests are the smallest, ascending, so
        that data that share examples share some of these.
    """
    names = [nfc(name).encode() for name in data.class_names]
    sets = {name: (split.content, split.labels) for name, split in data.splits.items()}
    chosen = sets
    if data.choice:
        rows = {name: np.flatnonzero(labels >= 0) for name, (_, labels) in data.choice.items()}
        chosen = {
            name: (contents.of(rows[name]), labels[rows[name]]) for name, (contents, labels) in data.choice.items()
        }
    return {
        "data": _digest({"": [entry for own in chosen.values() for entry in _labelled(*own, names)]}),
        "cut": _digest({name: _labelled(*own, names) for name, own in sets.items()}),
        "sketch": sketch_of(np.concatenate([records["digest"] for records, _ in chosen.values()])),
    }


def sketch_of(digests: np.ndarray, count: int = SKETCHED) -> list[str]:
    """The smallest of examples' digests, in hexadecimal, each once.

    Args:
        digests: S16 (N,).
        count: How many at most.
    """
    return [digest.ljust(8, b"\0").hex() for digest in np.unique(digests.astype("S8"))[:count].tolist()]


def _labelled(records: np.ndarray, labels: np.ndarray, names: Sequence[bytes]) -> list[bytes]:
    digests = records["digest"].tolist()  # without zeros at their ends, which padding gives back
    return [
        blake2b(digest.ljust(16, b"\0") + names[label], digest_size=16).digest()
        for digest, label in zip(digests, labels.tolist(), strict=True)
    ]


def _digest(sets: Mapping[str, Sequence[bytes]]) -> str:
    """Of sets of entries, by name: the same in any order."""
    state = blake2b(digest_size=16)
    for name in sorted(sets):
        state.update(f"{name} {len(sets[name])} ".encode())
        state.update(b"".join(sorted(sets[name])))
    return state.hexdigest()
