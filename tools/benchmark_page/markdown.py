"""Tables, numbers and lists in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["join", "markdown_table", "number"]


def markdown_table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; the first column is left, the others right aligned."""
    lines = [f"| {' | '.join(map(str, heads))} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', '∣') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def number(value: Any, digits: int = 2) -> str:
    """A number, nothing where it is missing."""
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def join(words: Iterable[object]) -> str:
    """A list in words.

    Example:
        >>> join(["a", "b", "c"])
        'a, b and c'
    """
    listed = [str(word) for word in words]
    if len(listed) < 2:
        return listed[0] if listed else "none"
    return f"{', '.join(listed[:-1])} and {listed[-1]}"
