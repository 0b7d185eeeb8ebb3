"""The whole system as one equation, dx/dt = f(x) + beta_eff g(x, x), after Gao, Barzel and Barabasi, Nature 530 (2016).

How good that is, ``comparison`` measures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.dynamics._roots import GRID, all_roots, state_grid
from ncore.network.dynamics.system import System

__all__ = ["next_root", "reduced_end", "reduced_equilibria"]


def reduced_equilibria(system: System, beta: float) -> pd.DataFrame:
    """All equilibria of dx/dt = f(x) + beta g(x, x) within the domain, found to rounding.

    Args:
        system: f and g.
        beta: The effective coupling.

    Returns:
        Columns ``x`` (ascending) and ``stable``: states beside a stable one move towards it, on both sides.

    Raises:
        InputError: beta is not finite, states grow without bound, or every state is at rest.

    Example:
        >>> from ncore.network.dynamics import sis
        >>> reduced_equilibria(sis(B=1, R=1), beta=4)
              x  stable
        0  0.00   False
        1  0.75    True
    """
    if not np.isfinite(beta):
        raise InputError(f"beta is {beta}, but it must be finite: a network without links has none.")
    grid = state_grid(system, (beta, beta))

    def rate(x: Any) -> FloatArray:
        return system.reduced_rate(x, beta)

    def slope(x: Any) -> FloatArray:
        return system.reduced_slope(x, beta)

    def gross(x: FloatArray) -> FloatArray:
        return np.abs(system.own(x)) + np.abs(beta * system.pull(x, x))

    roots = all_roots(rate, slope, grid, gross)
    if roots.size > GRID:
        raise InputError(f"Every state of {system.name!r} is at rest for beta = {beta}: choose another beta.")
    edges = np.concatenate([grid[:1], roots, grid[-1:]])
    signs = np.sign(rate((edges[1:] + edges[:-1]) / 2))  # between neighbouring roots the sign does not change
    below, above = signs[:-1], signs[1:]
    at_low, at_high = roots <= grid[0], roots >= grid[-1]
    stable = (at_low | (below > 0)) & (at_high | (above < 0))
    return pd.DataFrame({"x": roots, "stable": stable})


def reduced_end(system: System, beta: float, start: float) -> float:
    """Where the reduction goes from ``start``: the next equilibrium in the direction of its rate.

    Raises:
        InputError: The start is outside the domain, or states grow without bound.
    """
    low, high = system.domain
    if not low <= start <= high:
        raise InputError(f"The start is {start}, but states of {system.name!r} are between {low} and {high}.")
    return next_root(reduced_equilibria(system, beta)["x"].to_numpy(), float(system.reduced_rate(start, beta)), start)


def next_root(roots: FloatArray, direction: float, start: float) -> float:
    """The first root from ``start`` upwards or downwards."""
    ahead = roots[roots > start] if direction > 0 else roots[roots < start][::-1]
    return float(ahead[0]) if direction and ahead.size else float(start)
