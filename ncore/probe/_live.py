"""How much memory tensors take while something is computed, by the operations that torch dispatches."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["LiveBytes"]


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive while it is entered, on any device, ``meta`` included.

    What kernels need for themselves is not seen, nor what was there before, unless it is given.

    Args:
        known: Tensors that count from the start.

    Attributes:
        now: Bytes.
        peak: The most at any time.

    Example:
        >>> with LiveBytes() as live:
        ...     for _ in range(3):
        ...         x = torch.zeros(100, dtype=torch.float64).view(10, 10) + 1
        >>> live.peak  # the last sum, the next zeros, and the next sum, of 800 bytes each
        2400
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        for tensor in known:
            self._see(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do it, and count what it gave."""
        found = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor):
                self._see(leaf)
        return found

    def _see(self, tensor: Tensor) -> None:
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse ones have none
            return
        key, size = id(storage), storage.nbytes()
        if key in self._alive:
            return

        def gone(_: Any) -> None:
            self._alive.pop(key, None)
            self.now -= size

        self._alive[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)
