"""Which states of rest the reduction has for each beta: branches, and the tipping points where they begin and end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.dynamics._roots import all_roots, find_roots, state_grid
from ncore.network.dynamics.reduction import reduced_equilibria
from ncore.network.dynamics.system import System

__all__ = ["Bifurcation", "bifurcation"]


@dataclass(frozen=True)
class Bifurcation:
    """The universal curve of a system: its equilibria over beta.

    Attributes:
        system: f and g.
        betas: The range that was asked for.
        branches: Columns ``branch`` (a number), ``beta``, ``x``, ``stable``; along a branch the stability is one and
            the points are in order, ready to be drawn as a line.
        tipping: Columns ``kind``, ``beta``, ``x``. At a "fold" a stable and an unstable branch meet and end; at a
            "transcritical" point a branch crosses another one, which changes its stability.
    """

    system: System
    betas: tuple[float, float]
    branches: pd.DataFrame
    tipping: pd.DataFrame

    def at(self, beta: float) -> pd.DataFrame:
        """The equilibria for one beta, see :func:`reduced_equilibria`."""
        return reduced_equilibria(self.system, beta)


def bifurcation(system: System, low: float, high: float, points: int = 400) -> Bifurcation:
    """The equilibria of dx/dt = f(x) + beta g(x, x) for beta from ``low`` to ``high``.

    A state x with g(x, x) != 0 rests at exactly one beta, -f(x) / g(x, x): the branches are that curve, cut where it
    turns (folds, the zeros of f' g - f g'), together with the states that rest at any beta (f = g = 0). Nothing
    is followed step by step, so no branch is missed for being far from the others.

    Args:
        system: f and g.
        low, high: The range of beta.
        points: About how many points a branch has.

    Raises:
        InputError: An empty range, or states that grow without bound within it.

    Example:
        >>> from ncore.network.dynamics import gene_regulation
        >>> bifurcation(gene_regulation(B=1.5), 0, 10).tipping.round(9)  # f = 1, h = 2: beta_c = 2 B at x = 1
           kind  beta    x
        0  fold   3.0  1.0
    """
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"beta goes from {low} to {high}, but it must go from a lower to a higher finite value.")
    if points < 2:
        raise InputError(f"A branch is to have {points} points, but it needs at least 2.")
    grid = state_grid(system, (low, high))
    poles = find_roots(lambda x: system.pull(x, x), grid)
    always = [x for x in all_roots(system.own, system.own_slope, grid).tolist() if _no_pull(system, x)]
    folds = [x for x in _folds(system, grid).tolist() if x not in poles]
    crossings = [(beta, x) for x in always if low < (beta := _crossing(system, x)) < high]

    lines = list(_curve(system, grid, poles, np.array(folds), (low, high), points))
    for x in always:
        stops = [low, *sorted(beta for beta, where in crossings if where == x), high]
        for start, end in pairwise(stops):
            lines.append((np.array([start, end]), np.array([x, x])))
    stable = [np.full(len(x), _stable(system, beta, x)) for beta, x in lines]
    branches = {
        "branch": np.repeat(np.arange(len(lines)), [len(x) for _, x in lines]),
        "beta": np.concatenate([np.empty(0), *(beta for beta, _ in lines)]),
        "x": np.concatenate([np.empty(0), *(x for _, x in lines)]),
        "stable": np.concatenate([np.empty(0, bool), *stable]),
    }
    tipping: list[tuple[str, float, float]] = [("transcritical", beta, x) for beta, x in crossings]
    tipping += [("fold", beta, x) for x in folds if low <= (beta := _beta(system, x)) <= high]
    tipping.sort(key=lambda point: point[1])
    points_of_tipping = {
        "kind": [kind for kind, _, _ in tipping],
        "beta": np.array([beta for _, beta, _ in tipping], dtype=np.float64),
        "x": np.array([x for _, _, x in tipping], dtype=np.float64),
    }
    return Bifurcation(system, (low, high), pd.DataFrame(branches), pd.DataFrame(points_of_tipping))


def _beta(system: System, x: float) -> float:
    """The coupling at which x rests."""
    return float(-system.own(x) / system.pull(x, x))


def _folds(system: System, grid: FloatArray) -> FloatArray:
    """Where beta(x) = -f / g turns: sign changes of f' g - f g', to rounding."""

    def terms(x: Any) -> tuple[FloatArray, FloatArray]:
        by_x, by_y = system.pull_slopes(x, x)
        return system.own_slope(x) * system.pull(x, x), system.own(x) * (by_x + by_y)

    one, other = terms(grid)
    clear = np.abs(one - other) > 1e-8 * (np.abs(one) + np.abs(other))  # the rest may be rounding, not a sign
    x, signs = grid[clear], np.sign(one - other)[clear]
    cells = np.flatnonzero(signs[:-1] != signs[1:])

    def turn(state: float) -> float:
        one, other = terms(state)
        return float(one - other)

    return np.array([brentq(turn, x[i], x[i + 1], xtol=1e-15, rtol=1e-15) for i in cells])


def _no_pull(system: System, x: float) -> bool:
    """Whether g(x, x) is zero, against its size nearby."""
    step = 1e-3 * (1 + abs(x))
    near = np.clip([x - step, x + step], *system.domain)
    return abs(float(system.pull(x, x))) <= 1e-10 * float(np.abs(system.pull(near, near)).max())


def _crossing(system: System, x: float) -> float:
    """The beta at which the curve meets a state that always rests, the limit of -f / g; NaN if it does not."""
    own, pull = float(system.own_slope(x)), float(np.sum(system.pull_slopes(x, x)))
    if pull != 0:
        return -own / pull
    # Both f and g leave zero more slowly than linearly, or only g does: then the limit is infinite.
    high = system.domain[1]
    step = 1e-4 * (1 + abs(x)) * (1 if x + 1e-2 * (1 + abs(x)) < high else -1)
    with np.errstate(divide="ignore", invalid="ignore"):  # no pull there either
        near, far = _beta(system, x + step), _beta(system, x + 2 * step)
    return 2 * near - far if abs(far - near) <= 1e-2 * abs(near) else math.nan


def _curve(
    system: System,
    grid: FloatArray,
    poles: FloatArray,
    folds: FloatArray,
    betas: tuple[float, float],
    points: int,
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """The monotone pieces of beta(x) = -f / g within the range of beta, as (betas, states)."""
    cuts = np.unique(np.concatenate([grid[[0, -1]], poles, folds]))
    for start, end in pairwise(cuts.tolist()):
        inside = grid[(grid > start) & (grid < end)]
        inside = np.concatenate([[x for x in (start, end) if x in folds], inside, np.linspace(start, end, 50)[1:-1]])
        x = np.unique(inside)
        x = x[system.pull(x, x) != 0]
        beta = -system.own(x) / system.pull(x, x)
        keep = (beta >= betas[0]) & (beta <= betas[1])
        if not keep.any():
            continue
        first, last = np.flatnonzero(keep)[[0, -1]]
        ends = [_edge(system, x[i], x[j], betas) for i, j in ((first, first - 1), (last, last + 1)) if 0 <= j < x.size]
        x = np.union1d(x[keep], ends)
        x = np.union1d(x[np.linspace(0, x.size - 1, min(points, x.size)).astype(int)], ends)
        yield np.clip(-system.own(x) / system.pull(x, x), *betas), x


def _edge(system: System, inside: float, outside: float, betas: tuple[float, float]) -> float:
    """The state between these two at which beta(x) enters the range."""
    limit = betas[0] if _beta(system, outside) < betas[0] else betas[1]
    return float(brentq(lambda x: _beta(system, x) - limit, inside, outside, xtol=1e-15, rtol=1e-15))


def _stable(system: System, beta: FloatArray, x: FloatArray) -> bool:
    """The stability of a branch, read at its middle, where it is far from its ends."""
    middle = len(x) // 2 if len(x) > 2 else 0
    where, at = (beta[middle], x[middle]) if len(x) > 2 else (beta.mean(), x.mean())
    known = reduced_equilibria(system, float(where))
    return bool(known["stable"][(known["x"] - at).abs().idxmin()])
