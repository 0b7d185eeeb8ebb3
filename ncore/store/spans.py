"""Epochs as a manifest holds them: ``[first, last, step]`` for every stretch of equal steps, so that it stays short."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

__all__ = ["MOST", "MOST_EPOCH", "count_in", "epochs_of", "spans_of"]

MOST = 1_000_000
"""Epochs that a run may have recorded: a few bytes must not make a reader list more than fits into memory."""

MOST_EPOCH = 2**31 - 1
"""Tables keep epochs as int32."""


def spans_of(epochs: Sequence[int]) -> list[list[int]]:
    """Epochs, ascending, as spans.

    Example:
        >>> spans_of([0, 1, 2, 3, 5, 10, 15, 20])
        [[0, 3, 1], [5, 20, 5]]
        >>> spans_of([7]), spans_of([])
        ([[7, 7, 1]], [])
    """
    if epochs and epochs[-1] - epochs[0] == len(epochs) - 1 and epochs == list(range(epochs[0], epochs[-1] + 1)):
        return [[epochs[0], epochs[-1], 1]]  # as of nearly every run, so without a loop
    spans: list[list[int]] = []
    for epoch in epochs:
        if spans and (span := spans[-1])[0] == span[1] < epoch:
            spans[-1] = [span[0], epoch, epoch - span[0]]
        elif spans and epoch - spans[-1][1] == spans[-1][2]:
            spans[-1][1] = epoch
        else:
            spans.append([epoch, epoch, 1])
    return spans


def epochs_of(spans: Any) -> list[int]:
    """The inverse of :func:`spans_of`, which trusts nothing.

    Raises:
        ValueError: They are no spans, not ascending, or of more epochs than a run can have.

    Example:
        >>> epochs_of([[0, 3, 1], [5, 20, 5]])
        [0, 1, 2, 3, 5, 10, 15, 20]
    """
    epochs: list[int] = []
    if not isinstance(spans, list):
        raise ValueError("epochs are written as a list of spans")
    for span in spans:
        if not (isinstance(span, list) and len(span) == 3 and all(type(number) is int for number in span)):
            raise ValueError("a span of epochs is written as [first, last, step]")
        first, last, step = span
        if step < 1 or not 0 <= first <= last <= MOST_EPOCH or (last - first) % step:
            raise ValueError(f"a span of epochs goes from {first} to {last} in steps of {step}")
        if epochs and first <= epochs[-1]:
            raise ValueError(f"epoch {first} comes after epoch {epochs[-1]}")
        if (last - first) // step >= MOST - len(epochs):
            raise ValueError(f"it lists more than {MOST} epochs")
        epochs.extend(range(first, last + 1, step))
    return epochs


def count_in(epochs: Sequence[int], held: range) -> int:
    """How many of some epochs, ascending, are in a range.

    Example:
        >>> count_in([0, 2, 4, 6], range(1, 5))
        2
    """
    return bisect_left(epochs, held.stop) - bisect_left(epochs, held.start)
