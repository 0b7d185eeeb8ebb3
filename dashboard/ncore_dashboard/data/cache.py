"""What was read or computed, kept until there is too much of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable
from threading import Condition
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from cachetools import LRUCache

__all__ = ["Memory", "size_of"]

T = TypeVar("T")
_FLAT = 1024  # bytes that anything is taken to have at least


class Memory:
    """Results by key, the least recently used ones forgotten first; shared by all sessions of a server.

    What is kept is handed out again as it is: nobody changes it.

    Args:
        limit: Bytes of everything together, as far as arrays and tables go; what is larger by itself is not kept.

    Example:
        >>> memory = Memory(limit=10_000)
        >>> memory.get("answer", lambda: 42), memory.get("answer", lambda: 43)
        (42, 42)
    """

    def __init__(self, limit: int) -> None:
        self._kept: LRUCache[Hashable, Any] = LRUCache(limit, getsizeof=size_of)
        self._making: set[Hashable] = set()
        self._changed = Condition()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under ``key``, made if it is not there; an exception of ``make`` is not kept.

        It is made once: who asks for it meanwhile waits. ``make`` may ask for other keys.
        """
        with self._changed:
            self._changed.wait_for(lambda: key not in self._making)
            if key in self._kept:
                found: T = self._kept[key]
                return found
            self._making.add(key)
        try:
            value = make()
            with self._changed, contextlib.suppress(ValueError):  # larger than the limit
                self._kept[key] = value
            return value
        finally:
            with self._changed:
                self._making.remove(key)
                self._changed.notify_all()

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
