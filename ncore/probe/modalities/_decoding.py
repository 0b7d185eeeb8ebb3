"""Decoding of many pictures: by threads into memory, by torch's workers where there are more than that holds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ncore.errors import InputError
from ncore.probe.images import Conversion, InputSpec
from ncore.probe.modalities.base import Items, naming

__all__ = ["CHUNK", "Decoding"]

CHUNK = 64  # pictures a thread decodes at a time
_BATCH, _WORKERS = 256, 16
_WORTHWHILE = 5000  # pictures from which on it is worth starting processes


@dataclass(frozen=True)
class Decoding:
    """Some pictures, as a model wants them.

    Args:
        items: Of a source's set.
        indices: Which of them.
        spec: What the model wants.
        conversion: How their pixels become 8 bits.
    """

    items: Items
    indices: np.ndarray
    spec: InputSpec
    conversion: Conversion

    def __call__(self, at: int) -> np.ndarray:
        """The pixels (C, S, S) of one.

        Raises:
            InputError: It is broken; names its file or place.
        """
        row = int(self.indices[at])
        with naming(self.items, row):
            return self.spec.pixels(self.conversion(self.items[row]))

    def stack(self) -> torch.Tensor:
        """All of them, uint8 (N, C, S, S)."""
        out = np.empty((len(self.indices), self.spec.channels, self.spec.size, self.spec.size), dtype=np.uint8)

        def place(start: int) -> None:
            for at in range(start, min(start + CHUNK, len(out))):
                out[at] = self(at)

        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            try:
                list(pool.map(place, range(0, len(out), CHUNK)))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # one broken picture: don't decode all the others first
                raise
        return torch.from_numpy(out)

    def stream(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Those of these rows in this order, some at a time, decoded by processes.

        Raises:
            InputError: One is broken; names its file or place.
        """
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = min(_WORKERS, cores) if len(rows) > _WORTHWHILE else 0
        loader: DataLoader[Any] = DataLoader(_Told(self, rows), _BATCH, num_workers=workers, collate_fn=_joined)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of forks beside threads
            found = iter(loader)
        for some in found:
            if isinstance(some, str):
                raise InputError(some)
            yield some.numpy()


class _Told(Dataset[Any]):
    """Pictures, or in their place what is wrong with one: an error would bring its worker's traceback."""

    def __init__(self, decoding: Decoding, rows: np.ndarray) -> None:
        self._decoding, self._rows = decoding, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> np.ndarray | str:
        try:
            return self._decoding(int(self._rows[at]))
        except InputError as error:
            return str(error)


def _joined(found: list[np.ndarray | str]) -> torch.Tensor | str:
    """A batch, or the first error in it."""
    for one in found:
        if isinstance(one, str):
            return one
    return torch.from_numpy(np.stack(found))
