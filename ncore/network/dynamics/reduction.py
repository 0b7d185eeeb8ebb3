"""The whole system as one equation, dx/dt = f(x) + beta_eff g(x, x), and how good that is.

Gao, Barzel and Barabasi, Nature 530 (2016). The reduction is exact where every node has the same in- and out-degree
and the same start. Elsewhere it assumes that the neighbours of all nodes are alike, which broad degrees and
disassortative links break: `compare` measures it, network by network. What the tests find for x_eff at rest, on 25
networks of 60 to 108 nodes and a mean degree of 4 to 10 each (largest relative error; the infected start half full,
R = 0.5, the others high):

| system          | regular | Watts-Strogatz | Erdos-Renyi | communities | Barabasi-Albert |
| --------------- | ------- | -------------- | ----------- | ----------- | --------------- |
| mutualistic     | 0       | 0.2%           | 1.3%        | 1.1%        | 6.2%            |
| sis             | 0       | 1.8%           | 8.3%        | 8.1%        | 20%             |
| gene_regulation | 0       | 0.8%           | 4.6%        | 4.9%        | 8.8%            |

A tipping point is another matter: from a collapsed start the best linked nodes recover first and take the others
along, at a lower beta_eff than the reduction says, and there the error is of the order of the state itself. A star
is the worst case: it can be free of an infection that its beta_eff declares endemic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.sparse import block_diag

from ncore.errors import InputError
from ncore.network.dynamics.matrix import FloatArray, as_matrix
from ncore.network.dynamics.mean_field import coupling, weighted_mean
from ncore.network.dynamics.system import System

GRID = 2_000
"""States at which signs are looked at: as many evenly spaced, and as many by powers towards the edge of the domain."""

_LARGEST = 1e9  # how far the search for the highest state looks
_BLOCK_NODES = 1_000  # nodes of the networks that are settled together


def reduced_equilibria(system: System, beta: float) -> pd.DataFrame:
    """All equilibria of dx/dt = f(x) + beta g(x, x) within the domain, found to rounding.

    Args:
        system: f and g.
        beta: the effective coupling.

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
        InputError: the start is outside the domain, or states grow without bound.
    """
    low, high = system.domain
    if not low <= start <= high:
        raise InputError(f"The start is {start}, but states of {system.name!r} are between {low} and {high}.")
    return _next(reduced_equilibria(system, beta)["x"].to_numpy(), float(system.reduced_rate(start, beta)), start)


def _next(roots: FloatArray, direction: float, start: float) -> float:
    """The first root from ``start`` upwards or downwards."""
    ahead = roots[roots > start] if direction > 0 else roots[roots < start][::-1]
    return float(ahead[0]) if direction and ahead.size else float(start)


def compare(system: System, networks: Mapping[str, Any] | Iterable[Any], start: float) -> pd.DataFrame:
    """The full system against its reduction, at rest, on any number of networks.

    Each network starts with all nodes in the state ``start`` and is followed to rest; so is the reduction. The networks
    are settled side by side, as the parts of one large network.

    Args:
        system: f and g.
        networks: by name, or in order; see :func:`as_matrix`.
        start: the state of every node at time 0.

    Returns:
        A row a network: ``network``, those of :class:`Coupling`, ``x_eff`` (full), ``x_reduced``, ``error`` (their
        difference), ``relative_error`` (its size over the larger of the two; 0 where both are below 1e-6), ``x_curve``
        (the stable equilibrium of the reduction nearest to x_eff: unlike x_reduced it ignores on which side of a
        tipping point the start lies), ``mean``, ``lowest`` and ``highest`` state, ``converged``, ``reason`` (why there
        is no x_eff: a network without links).

    Example:
        >>> import networkx as nx
        >>> from ncore.network.dynamics import sis
        >>> regular = {"ring": nx.cycle_graph(20), "complete": nx.complete_graph(5)}
        >>> compare(sis(), regular, start=0.9)[["beta_eff", "x_reduced", "relative_error"]].round(6)
           beta_eff  x_reduced  relative_error
        0       2.0       0.50             0.0
        1       4.0       0.75             0.0
    """
    named = networks if isinstance(networks, Mapping) else {str(i): x for i, x in enumerate(networks)}
    matrices = {name: as_matrix(network) for name, network in named.items()}
    ends = _settle_side_by_side(system, list(matrices.values()), start)
    rows = []
    for (name, matrix), (state, converged) in zip(matrices.items(), ends, strict=True):
        field = coupling(matrix)
        full = float(weighted_mean(np.asarray(matrix.sum(axis=0)), state))
        reduced = nearest = np.nan
        if field.reason is None:
            known = reduced_equilibria(system, field.beta_eff)
            reduced = _next(known["x"].to_numpy(), float(system.reduced_rate(start, field.beta_eff)), start)
            stable = known.loc[known["stable"], "x"].to_numpy()
            nearest = float(stable[np.abs(stable - full).argmin()]) if stable.size else np.nan
        larger = max(abs(full), abs(reduced))
        rows.append(
            {"network": name, **field.row()}
            | {"x_eff": full, "x_reduced": reduced, "error": full - reduced}
            | {"relative_error": 0.0 if larger < 1e-6 else abs(full - reduced) / larger, "x_curve": nearest}
            | {"mean": state.mean(), "lowest": state.min(), "highest": state.max(), "converged": converged}
        )
    return pd.DataFrame(rows)


def _settle_side_by_side(system: System, matrices: list[Any], start: float) -> list[tuple[FloatArray, bool]]:
    """The end state of each network, and whether it rests."""
    from ncore.network.dynamics.equilibria import settle
    from ncore.network.dynamics.flow import Dynamics

    ends: list[tuple[FloatArray, bool]] = []
    while len(ends) < len(matrices):
        batch: list[Any] = []
        nodes = 0
        for matrix in matrices[len(ends) :]:
            if batch and nodes + matrix.shape[0] > _BLOCK_NODES:
                break
            batch.append(matrix)
            nodes += matrix.shape[0]
        together = settle(Dynamics(system, block_diag(batch, format="csr")), start, stability=False)
        splits = np.cumsum([matrix.shape[0] for matrix in batch])[:-1]
        ends += [(state, together.converged) for state in np.split(together.state, splits)]
    return ends


def state_grid(system: System, betas: tuple[float, float]) -> FloatArray:
    """Increasing states that hold every equilibrium for betas in this range, fine near the edges of the domain.

    An infinite edge is replaced by a state beyond which the reduced rate points back, for both betas.

    Raises:
        InputError: there is none, up to 1e9.
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
        function, slope: elementwise.
        grid: increasing.
        gross: the size of the terms of the function, in whose rounding a touching root is zero.
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
