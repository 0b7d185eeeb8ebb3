"""How many pages are made at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

__all__ = ["AT_ONCE", "PATIENCE", "turn"]

AT_ONCE = 3
"""Python computes in one thread at a time. With 50 at once, the one that accepts connections came too late for them."""
PATIENCE = 30.0
"""Seconds after which a page is made whatever the others do: they may wait for a bucket that doesn't answer."""
_turns = BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """Around making a page: begins when fewer than ``AT_ONCE`` others are being made, or after ``PATIENCE``."""
    mine = _turns.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        if mine:
            _turns.release()
