"""What was read or computed, kept until there is too much of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import pandas as pd

T = TypeVar("T")
_FLAT = 1024  # bytes that anything is taken to have at least


class Memory:
    """Results by key, the least recently used ones forgotten first; shared by all sessions of a server.

    What is kept is handed out again as it is: nobody changes it.

    Args:
        limit: bytes of everything together, as far as arrays and tables go.

    Example:
        >>> memory = Memory(limit=10_000)
        >>> memory.get("answer", lambda: 42), memory.get("answer", lambda: 43)
        (42, 42)
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under ``key``, made if it is not there; an exception of ``make`` is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: T = self._kept[key][0]
                return found
        value = make()  # without the lock: reading is slow, and doing it twice at once does no harm
        size = size_of(value)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value, size
                self._size += size
            while self._size > self._limit and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1][1]
        return value

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)


def size_of(value: Any) -> int:
    """Bytes of arrays, tables and texts, also inside tuples, lists and dictionaries."""
    if isinstance(value, pd.DataFrame):
        return _FLAT + int(value.memory_usage(index=True, deep=True).sum())
    if isinstance(value, np.ndarray):
        return _FLAT + value.nbytes
    if isinstance(value, str | bytes):
        return _FLAT + len(value)
    if isinstance(value, dict):
        return _FLAT + sum(map(size_of, value.values()))
    if isinstance(value, list | tuple):
        return _FLAT + sum(map(size_of, value))
    return _FLAT
