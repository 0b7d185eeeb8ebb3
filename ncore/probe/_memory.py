"""What becomes of work that memory is too small for: the same in smaller parts."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

__all__ = ["by_parts", "even_parts", "free", "is_out_of_memory", "least_batch", "said_of_parts"]

_T = TypeVar("_T")
# What allocators say that raise no error of a class of their own: torch's for the CPU, and C++'s.
_SAYINGS = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory", "bad_alloc")
_NORMS = (nn.modules.batchnorm._BatchNorm,)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is that of an allocator that had no more to give.

    Example:
        >>> try:
        ...     torch.empty(1 << 60, dtype=torch.uint8)
        ... except RuntimeError as error:
        ...     print(is_out_of_memory(error), is_out_of_memory(ValueError("no")))
        True False
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in _SAYINGS)


def free() -> None:
    """Give back what a failed attempt has left, so that the next has all there is; call it outside of ``except``."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()


def by_parts(one: Callable[[slice], _T], count: int, size: int) -> tuple[list[_T], int]:
    """Go through ``count`` rows in parts of ``size``, and in halves of these from where memory runs out.

    Args:
        one: What is done with the rows of a slice; it may be called again for rows that it failed on.
        count: How many rows there are.
        size: Of a part.

    Returns:
        What ``one`` gave, part by part, and the size that memory lasted for.
    """
    found: list[_T] = []
    start = 0
    while start < count:
        try:
            found.append(one(slice(start, min(start + size, count))))
            start += size
            continue
        except Exception as error:
            if size == 1 or not is_out_of_memory(error):
                raise
        size = (size + 1) // 2
        free()
    return found, size


def even_parts(count: int, size: int, least: int) -> list[slice]:
    """Rows of a batch in parts of ``size`` at most, as equal as can be, none with fewer than ``least`` rows.

    Example:
        >>> even_parts(9, 4, 2)
        [slice(0, 3, None), slice(3, 6, None), slice(6, 9, None)]
    """
    parts = max(1, min(-(-count // size), count // least))
    return [slice(count * k // parts, count * (k + 1) // parts) for k in range(parts)]


def least_batch(model: nn.Module) -> int:
    """The fewest rows that a model can be trained on at once: batch normalisation has no statistics of one."""
    return 2 if any(isinstance(module, _NORMS) and module.training for module in model.modules()) else 1


def said_of_parts(batch: int, part: int, epoch: int) -> str:
    """What to know of a run that memory was too small for."""
    return (
        f"Memory ran out in epoch {epoch}: batches of {batch} are trained in parts of {part} at most from there on, "
        "with their gradients added up; batch normalisation, where there is any, sees the parts."
    )
