"""All roots of a function of one variable: where the rate of a one-dimensional equation is zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import brentq

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.dynamics.system import System

__all__ = ["GRID", "all_roots", "find_roots", "state_grid"]

GRID = 2_000
"""States at which signs are looked at: as many evenly spaced, and as many by powers towards the edge of the domain."""

_LARGEST = 1e9  # how far the search for the highest state looks


def state_grid(system: System, betas: tuple[float, float]) -> FloatArray:
    """Increasing states that hold every equilibrium for betas in this range, fine near the edges of the domain.

    An infinite edge is replaced by a state beyond which the reduced rate points back, for both betas.

    Raises:
        InputError: There is none, up to 1e9.
    """
    low, high = system.domain
    upper = high if np.isfinite(high) else _bound(system, betas, 1.0)
    lower = low if np.isfinite(low) else _bound(system, betas, -1.0)
    powers = np.geomspace(1e-9, 1.0, GRID)
    parts = [np.linspace(lower, upper, GRID), lower + powers * (upper - lower), upper - powers * (upper - lower)]
    if lower < 0 < upper:
        parts += [upper * powers, lower * powers, np.zeros(1)]
    return np.unique(np.clip(np.concatenate(parts), lower, upper))


def all_roots(
    function: Callable[[Any], FloatArray],
    slope: Callable[[Any], FloatArray],
    grid: FloatArray,
    gross: Callable[[FloatArray], FloatArray] = np.zeros_like,
) -> FloatArray:
    """:func:`find_roots`, and those that come in pairs within one cell of the grid, or touch zero without crossing it.

    Args:
        function, slope: Elementwise.
        grid: Increasing.
        gross: The size of the terms of the function, in whose rounding a touching root is zero.
    """
    turns = find_roots(slope, grid)  # between the two of a pair, and where the function touches
    roots = find_roots(function, np.union1d(grid, turns))
    values = np.abs(function(grid))
    zero = 1e-13 * gross(turns) + 1e-15 * values[np.isfinite(values)].max(initial=0.0)
    return _distinct(np.union1d(roots, turns[np.abs(function(turns)) <= zero]))


def find_roots(function: Callable[[Any], FloatArray], grid: FloatArray) -> FloatArray:
    """Zeros of a function on a grid, and between two of its states of different sign, to rounding; ascending."""
    values = np.asarray(function(grid))
    signs = np.sign(values)
    exact = grid[signs == 0]
    cells = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    tolerance = 4 * np.finfo(np.float64).eps
    between = [brentq(lambda x: float(function(x)), grid[i], grid[i + 1], xtol=1e-15, rtol=tolerance) for i in cells]
    return np.union1d(exact, between)


def _bound(system: System, betas: tuple[float, float], side: float) -> float:
    """A state beyond which, as far as 1e9, all reduced rates point back and none of them turns."""
    inner = system.domain[0] if side > 0 else system.domain[1]
    reach = np.geomspace(1e-3, _LARGEST, 400)
    states = (inner if np.isfinite(inner) else 0.0) + side * reach
    outward = np.zeros(reach.size, dtype=bool)
    for beta in betas:
        outward |= side * system.reduced_rate(states, beta) >= 0
        # Two roots between neighbouring states have a turn between them.
        slopes = np.sign(system.reduced_slope(states, beta))
        outward[:-1] |= slopes[:-1] != slopes[1:]
    last = np.flatnonzero(outward)[-1] if outward.any() else -1
    if last == reach.size - 1:
        raise InputError(
            f"The states of {system.name!r} grow without bound for beta_eff = {betas[1]:.6g}: choose other parameters "
            "or a smaller beta."
        )
    return float(states[last + 1])


def _distinct(roots: FloatArray) -> FloatArray:
    """Ascending roots without those that rounding has doubled."""
    if roots.size < 2:
        return roots
    return roots[np.concatenate([[True], np.diff(roots) > 1e-12 * (1 + np.abs(roots[1:]))])]
