"""How many pages are made at once."""

from __future__ import annotations

from threading import BoundedSemaphore

__all__ = ["turn"]

AT_ONCE = 3
"""Python computes in one thread at a time. With 50 at once, the one that accepts connections came too late for them."""

turn = BoundedSemaphore(AT_ONCE)
