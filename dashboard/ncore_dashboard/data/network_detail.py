"""Level of detail: which vertices and edges a picture of a network has, so that it can be drawn and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

__all__ = [
    "DETAILS",
    "GROUPS",
    "MOST_DRAWN",
    "STRONGEST",
    "View",
    "details_for",
    "grouped",
    "reduced",
    "values_of",
    "view_of",
]

MOST_DRAWN = 3000
"""Synapses that are drawn one by one at most."""
DETAILS = ("layers", "groups", "strongest", "all")
GROUPS = 8
"""Groups of a level at most."""
STRONGEST = 80
"""Synapses of a layer that "strongest" draws at most."""


@dataclass(frozen=True)
class View:
    """What is drawn.

    Attributes:
        nodes: Columns ``level`` (0: inputs), ``y`` in [-1, 1], ``first`` (number of the neuron, or of the group's
            first), ``last`` and ``neurons`` (how many of them were recorded).
        edges: Columns ``layer``, ``row`` and ``column`` (target and source, as positions in their levels' nodes),
            ``y0``, ``y1``, ``source`` and ``target`` (labels).
        detail: One of DETAILS.
        note: What is left out, in a sentence.
    """

    nodes: pd.DataFrame
    edges: pd.DataFrame
    detail: str
    note: str


def details_for(neurons: Sequence[np.ndarray]) -> list[str]:
    """Levels of detail that suit a network; the last but one is good to begin with if it can't be drawn whole."""
    total = sum(len(a) * len(b) for a, b in pairwise(neurons))
    widest = max(map(len, neurons))
    found = ["layers"]
    if widest > GROUPS:
        found.append("groups")
    if total > STRONGEST:
        found.append("strongest")
    if total <= MOST_DRAWN:
        found.append("all")
    return found


def view_of(neurons: Sequence[np.ndarray], matrices: Sequence[np.ndarray], detail: str) -> View:
    """Choose what to draw.

    Args:
        neurons: For each level the numbers of its neurons.
        matrices: Of each layer, (targets, sources): by whose magnitude "strongest" chooses; no other detail needs them.
        detail: One of DETAILS.
    """
    if detail in ("layers", "groups"):
        return _grouped(neurons, 1 if detail == "layers" else GROUPS, detail)
    kept = None if detail == "all" else [_largest(matrix, STRONGEST) for matrix in matrices]
    return _single(neurons, kept, detail)


def values_of(view: View, neurons: Sequence[np.ndarray], matrices: Sequence[np.ndarray], total: bool) -> np.ndarray:
    """What each edge of a view is worth, (edges,) float32.

    Args:
        view: From :func:`view_of`.
        neurons: The same as there.
        matrices: Of each layer, at any epoch.
        total: Whether groups add up (interaction strengths), or have their root mean square (weights, rates).
    """
    found = np.zeros(len(view.edges), np.float32)
    for layer, matrix in enumerate(matrices, start=1):
        rows = np.flatnonzero(view.edges["layer"].to_numpy() == layer)
        part = matrix
        if view.detail in ("layers", "groups"):
            targets, sources = (_starts(len(neurons[level]), view.detail) for level in (layer, layer - 1))
            part = grouped(matrix, targets, sources, total)
        found[rows] = part[view.edges["row"].to_numpy()[rows], view.edges["column"].to_numpy()[rows]]
    return found


def grouped(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray, total: bool) -> np.ndarray:
    """Sum, or root mean square, over blocks of a matrix that begin at these rows and columns; missing ones count not.

    Example:
        >>> grouped(np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([0]), np.array([0, 1]), total=True).tolist()
        [[3.0, 9.0]]
    """

    def blocks(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(np.add.reduceat(values, columns, axis=1, dtype=np.float64), rows, axis=0)

    known = np.isfinite(matrix)
    filled = np.where(known, matrix, 0)
    if total:
        return blocks(filled)
    with np.errstate(invalid="ignore"):
        return np.sqrt(blocks(np.square(filled)) / blocks(known))


def reduced(matrix: np.ndarray, most: tuple[int, int]) -> tuple[np.ndarray, int, int]:
    """The matrix with blocks of cells as one where it is too large to draw: each the value of largest magnitude.

    Returns:
        The smaller matrix, and how many rows and columns make one of its cells.

    Example:
        >>> small, rows, columns = reduced(np.array([[1.0, -3.0, 2.0, 0.5]]), (1, 2))
        >>> small.tolist(), rows, columns
        ([[-3.0, 2.0]], 1, 2)
    """
    height, width = (-(-size // limit) for size, limit in zip(matrix.shape, most, strict=True))
    if height == width == 1:
        return matrix, 1, 1
    filled = np.nan_to_num(matrix, nan=0.0)
    rows, columns = (np.arange(0, size, step) for size, step in zip(matrix.shape, (height, width), strict=True))
    high, low = (
        function.reduceat(function.reduceat(filled, columns, axis=1), rows, axis=0)
        for function in (np.maximum, np.minimum)
    )
    return np.where(high >= -low, high, low), height, width


def _starts(size: int, detail: str) -> np.ndarray:
    """Where groups of about equal size begin."""
    count = min(size, 1 if detail == "layers" else GROUPS)
    return np.linspace(0, size, count, endpoint=False).round().astype(int)


def _places(count: int) -> np.ndarray:
    """Heights of a level's nodes, the first on top."""
    return np.linspace(1, -1, count) if count > 1 else np.zeros(count)


def _grouped(neurons: Sequence[np.ndarray], groups: int, detail: str) -> View:
    nodes, edges = [], []
    for level, numbers in enumerate(neurons):
        starts = _starts(len(numbers), detail)
        ends = np.append(starts[1:], len(numbers))
        nodes.append(
            pd.DataFrame(
                {
                    "level": level,
                    "y": _places(len(starts)),
                    "first": numbers[starts],
                    "last": numbers[ends - 1],
                    "neurons": ends - starts,
                }
            )
        )
        if level:
            row, column = (grid.ravel() for grid in np.indices((len(nodes[-1]), len(nodes[-2]))))
            edges.append(_edges(level, row, column, nodes[-2], nodes[-1]))
    what = "one vertex" if groups == 1 else f"up to {groups} vertices"
    note = (
        f"Each level is drawn as {what}, a group of neighbouring neuron numbers; an edge stands for all synapses "
        "between two groups. Single neurons and synapses are left out, and so are signs."
    )
    return View(pd.concat(nodes, ignore_index=True), pd.concat(edges, ignore_index=True), detail, note)


def _single(neurons: Sequence[np.ndarray], kept: Sequence[np.ndarray] | None, detail: str) -> View:
    """Neurons and synapses one by one: all, or those at these flat positions of each layer's matrix."""
    sizes = [len(numbers) for numbers in neurons]
    pairs = []
    for layer in range(1, len(neurons)):
        flat = np.arange(sizes[layer] * sizes[layer - 1]) if kept is None else kept[layer - 1]
        pairs.append(np.divmod(flat, sizes[layer - 1]))
    nodes, edges = [], []
    for level, numbers in enumerate(neurons):
        shown = np.arange(sizes[level])
        if kept is not None and sizes[level] > 2 * STRONGEST:  # of a wide level only what has an edge
            ends = ([pairs[level - 1][0]] if level else []) + ([pairs[level][1]] if level < len(pairs) else [])
            shown = np.unique(np.concatenate(ends))
        nodes.append(
            pd.DataFrame(
                {
                    "level": level,
                    "y": _places(len(shown)),
                    "first": numbers[shown],
                    "last": numbers[shown],
                    "neurons": 1,
                },
                index=shown,
            )
        )
    for layer, (row, column) in enumerate(pairs, start=1):
        edges.append(_edges(layer, row, column, nodes[layer - 1], nodes[layer]))
    total = sum(a * b for a, b in pairwise(sizes))
    drawn = sum(len(row) for row, _ in pairs)
    note = (
        f"All {total:,} recorded synapses are drawn."
        if drawn == total
        else f"The {drawn:,} strongest of {total:,} recorded synapses are drawn, at most {STRONGEST} of each layer; "
        f"{total - drawn:,} weaker ones are left out"
        + (", and so are the neurons without any of them." if sum(map(len, nodes)) < sum(sizes) else ".")
    )
    return View(pd.concat(nodes, ignore_index=True), pd.concat(edges, ignore_index=True), detail, note)


def _edges(layer: int, row: np.ndarray, column: np.ndarray, before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    sources, targets = before.loc[column], after.loc[row]
    return pd.DataFrame(
        {
            "layer": layer,
            "row": row,
            "column": column,
            "y0": sources["y"].to_numpy(),
            "y1": targets["y"].to_numpy(),
            "source": sources["first"].to_numpy(),
            "target": targets["first"].to_numpy(),
            "source_last": sources["last"].to_numpy(),
            "target_last": targets["last"].to_numpy(),
        }
    )


def _largest(matrix: np.ndarray, count: int) -> np.ndarray:
    """Flat positions of the values of largest magnitude, in order of position."""
    size = np.nan_to_num(np.abs(matrix.ravel()), nan=-1.0)
    if len(size) <= count:
        return np.arange(len(size))
    return np.sort(np.argpartition(size, -count)[-count:])
