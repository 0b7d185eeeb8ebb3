"""How layers converge, from their trajectories: speed, turning, curvature of the path and loss of rank."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray

__all__ = ["convergence", "curvature", "effective_rank", "layer_paths", "speed", "stable_rank", "turning"]


def speed(path: ArrayLike, times: ArrayLike) -> FloatArray:
    """|w(t+1) - w(t)| over the time between, (T - 1,).

    Args:
        path: (T, ...) weights.
        times: (T,) increasing.

    Example:
        >>> speed([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]], [0.0, 1.0, 3.0]).tolist()
        [5.0, 0.5]
    """
    steps, spent = np.diff(_points(path), axis=0), np.diff(np.asarray(times, dtype=np.float64))
    if len(spent) != len(steps) or (spent <= 0).any():
        raise InputError(f"There are {len(steps) + 1} states, but as many increasing times are needed.")
    return np.linalg.norm(steps, axis=1) / spent


def turning(path: ArrayLike) -> FloatArray:
    """The angle between each step and the next, in radians from 0 (straight on) to pi (back), (T - 2,).

    NaN beside a step of length zero.

    Example:
        >>> turning([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]).round(4).tolist()
        [1.5708, 0.0]
    """
    first, second, _ = _sides(path)
    before, after = (np.linalg.norm(side, axis=1) for side in (first, second))
    # Half the angle between unit vectors, by the lengths of their difference and sum: exact for small angles too.
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = first / before[:, None], second / after[:, None]
        return 2 * np.arctan2(np.linalg.norm(b - a, axis=1), np.linalg.norm(a + b, axis=1))


def curvature(path: ArrayLike) -> FloatArray:
    """One over the radius of the circle through three states in turn (Menger), (T - 2,), in 1 / weight.

    Exact for states on a circle, whatever their distances; 0 on a straight line; infinite where a path goes back to
    the state before the last; NaN beside a step of length zero.

    Example:
        >>> angle = np.array([0.0, 0.3, 1.0, 1.2])
        >>> curvature(2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)).round(12).tolist()
        [0.5, 0.5]
    """
    chord = np.linalg.norm(_sides(path)[2], axis=1)
    angle = turning(path)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isnan(angle), np.nan, np.where(chord > 0, 2 * np.sin(angle) / chord, np.inf))


def effective_rank(matrix: ArrayLike) -> float:
    """Effective rank, from 1 to the rank: exp of the entropy of the normalised singular values; NaN for zeros.

    Source: Roy and Vetterli, *The effective rank*, EUSIPCO 2007.

    Example:
        >>> round(effective_rank(np.eye(5)), 12), round(effective_rank(np.outer([1, 2], [3, 4, 5])), 12)
        (5.0, 1.0)
    """
    sizes = _singular(matrix)
    total = sizes.sum()
    if not total > 0:
        return float("nan")
    share = sizes[sizes > 0] / total
    return float(np.exp(-(share * np.log(share)).sum()))


def stable_rank(matrix: ArrayLike) -> float:
    """|W|_F^2 / |W|_2^2, from 1 to the rank, which small singular values hardly touch; NaN for a matrix of zeros.

    Source: Rudelson and Vershynin, *Sampling from large matrices*, J. ACM 54 (2007).

    Example:
        >>> stable_rank(np.diag([2.0, 1.0]))
        1.25
    """
    sizes = _singular(matrix)
    return float((sizes**2).sum() / sizes[0] ** 2) if sizes.size and sizes[0] > 0 else float("nan")


def convergence(path: ArrayLike, times: ArrayLike) -> pd.DataFrame:
    """All diagnostics of one layer.

    Args:
        path: (T, targets, sources) its weights; of recorded neurons, ranks are those of that part of the matrix.
        times: (T,) epochs, or times of the flow: the unit of ``speed``.

    Returns:
        A row a state: ``time``; ``speed`` of the step to it; ``turning`` and ``curvature`` at the state before it;
        ``effective_rank`` and ``stable_rank`` of the weights, and of their change since the first state
        (``update_effective_rank``, ``update_stable_rank``). NaN where there is no such step yet.

    Example:
        A layer that grows along one direction moves straight, and its update has rank one:

        >>> line = np.eye(3) + np.arange(4)[:, None, None] * np.ones((3, 3))
        >>> table = convergence(line, range(4))
        >>> table["speed"].tolist()[1:], table["curvature"].tolist()[2:], float(table["update_stable_rank"][3].round(9))
        ([3.0, 3.0, 3.0], [0.0, 0.0], 1.0)
    """
    matrices = np.asarray(path, dtype=np.float64)
    if matrices.ndim != 3:
        raise InputError(f"The path has the shape {matrices.shape}, but (T, targets, sources) is needed.")
    count = len(matrices)
    late = [np.full(min(missing, count), np.nan) for missing in (1, 2)]
    return pd.DataFrame(
        {
            "time": np.asarray(times, dtype=np.float64),
            "speed": np.concatenate([late[0], speed(matrices, times)]),
            "turning": np.concatenate([late[1], turning(matrices)]),
            "curvature": np.concatenate([late[1], curvature(matrices)]),
            "effective_rank": [effective_rank(w) for w in matrices],
            "stable_rank": [stable_rank(w) for w in matrices],
            "update_effective_rank": [effective_rank(w - matrices[0]) for w in matrices],
            "update_stable_rank": [stable_rank(w - matrices[0]) for w in matrices],
        }
    )


def layer_paths(table: pd.DataFrame, column: str = "weight") -> tuple[FloatArray, dict[int, FloatArray]]:
    """A table of trajectories as arrays: the epochs (T,), and by layer (T, targets, sources).

    Args:
        table: Columns ``epoch``, ``layer``, ``source``, ``target`` and ``column``, as ``Run.trajectory()`` gives them.
        column: "weight" or "rate".

    Raises:
        InputError: A layer has not the same synapses at each epoch, all between its neurons.

    Example:
        >>> table = pd.DataFrame({"epoch": [0, 1], "layer": 1, "source": 0, "target": 3, "weight": [0.5, 0.25]})
        >>> epochs, paths = layer_paths(table)
        >>> epochs.tolist(), paths[1].tolist()
        ([0, 1], [[[0.5]], [[0.25]]])
    """
    epochs = np.unique(table["epoch"].to_numpy())
    paths = {}
    for layer, rows in table.groupby("layer"):
        ordered = rows.sort_values(["epoch", "target", "source"])
        shape = (len(epochs), ordered["target"].nunique(), ordered["source"].nunique())
        if len(ordered) != np.prod(shape):
            raise InputError(
                f"Layer {layer} has {len(ordered)} rows, but {shape[0]} epochs of {shape[1]} x {shape[2]} synapses are "
                f"{np.prod(shape)}: pass epochs that are recorded whole."
            )
        paths[int(str(layer))] = ordered[column].to_numpy(np.float64).reshape(shape)
    return epochs, paths


def _points(path: ArrayLike) -> FloatArray:
    points = np.asarray(path, dtype=np.float64)
    if points.ndim < 2:
        raise InputError(f"The path has the shape {points.shape}, but (T, ...) states of several weights are needed.")
    return points.reshape(len(points), -1)


def _sides(path: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Each step, the step after it, and both together, (T - 2, n)."""
    points = _points(path)
    return points[1:-1] - points[:-2], points[2:] - points[1:-1], points[2:] - points[:-2]


def _singular(matrix: ArrayLike) -> FloatArray:
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f"A rank is that of a matrix, but the shape is {values.shape}.")
    if not np.isfinite(values).all():
        return np.zeros(0)
    return np.asarray(np.linalg.svd(values, compute_uv=False), dtype=np.float64)
