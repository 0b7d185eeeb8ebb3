"""The effective state of synapses, x_eff = L_P(w), and its one-dimensional equation, held against recorded weights.

Below the last layer gradient flow is linear in the weights, dw_e/dt = -sum_f P[e, f] w_f - lambda w_e with the signed
P: in the form of networked dynamics, f(w) = -lambda w and g(x, y) = -y. The mean-field reduction replaces L_P(P w) by
L_P(P 1) L_P(w) and gives

    dx_eff/dt = -lambda x_eff - beta_eff x_eff.

Four things stand between that equation and the recorded x_eff, and each is a column of :func:`effective_path`:

1. ``pull`` = -L_P(P w) is exact for the synapses that others drive; ``reduced`` = -beta_eff x_eff is its mean field.
2. ``undriven``: the last layer's synapses are driven by the output error and by no synapse, so their part of
   L_P(dw/dt) has no place in the equation. With signed P ``rate == pull + undriven + decay`` to rounding.
3. P changes as training goes on, so x_eff changes with the weights of the mean too: ``drift``, what is left of the
   change of x_eff from one record to the next when the mean of the rates has been taken off.
4. ``x_reduced``, the solution of the equation with the recorded beta_eff(t), adds all of this up.

With absolute strengths nothing cancels in P and beta_eff is stable, but the weights don't follow -|P| w: ``pull`` is
then what the reduction of that other network says, and not a part of the rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.line_graph import LineGraph

__all__ = ["COLUMNS", "driven_rate", "effective_path", "effective_row"]

COLUMNS = ("time", "beta_eff", "conditioning", "x_eff", "mean", "rate", "pull", "undriven", "decay", "reduced")


def driven_rate(graph: LineGraph, weights: ArrayLike) -> FloatArray:
    """P w, (n_synapses,), without building P; the last layer, which no synapse drives, is 0.

    Example:
        >>> import torch
        >>> unit = torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(3)])
        >>> graph = LineGraph.from_batch(unit, torch.randn(5, 2), torch.randn(5, 2), loss=torch.nn.MSELoss())
        >>> bool(np.allclose(driven_rate(graph, np.ones(12)), graph.in_degree, rtol=1e-5))
        True
    """
    w = _per_synapse(graph, weights)
    parts = []
    for layer, pair in enumerate(graph.factors, start=1):
        following = w[graph.layer_slices[layer]].reshape(graph.widths[layer + 1], graph.widths[layer])
        driving = pair.slopes * (pair.errors @ following)
        parts.append((driving.T @ pair.inputs / graph.samples).reshape(-1) * graph.scale)
    last = graph.layer_slices[-1]
    return np.concatenate([*parts, np.zeros(last.stop - last.start)])


def effective_row(
    graph: LineGraph, weights: ArrayLike, rates: ArrayLike, time: float = 0.0, weight_decay: float = 0.0
) -> dict[str, float]:
    """x_eff, its rate and what the rate is made of, at one moment: ``COLUMNS``; see :func:`effective_path`."""
    w, moving = _per_synapse(graph, weights), _per_synapse(graph, rates)
    out = graph.out_degree
    total = out.sum()
    share = out / total if total != 0 else np.full(len(out), np.nan)
    last = graph.layer_slices[-1]
    state, beta = float(share @ w), graph.beta_eff
    return dict(
        zip(
            COLUMNS,
            (
                time,
                beta,
                graph.capacitance.conditioning,
                state,
                float(w.mean()),
                float(share @ moving) - weight_decay * state,
                -float(share @ driven_rate(graph, w)),
                float(share[last] @ moving[last]),
                -weight_decay * state,
                -beta * state,
            ),
            strict=True,
        )
    )


def effective_path(
    graphs: Sequence[LineGraph],
    weights: ArrayLike,
    rates: ArrayLike,
    times: ArrayLike,
    weight_decay: float = 0.0,
) -> pd.DataFrame:
    """The recorded effective state and what its one-dimensional equation makes of it.

    Args:
        graphs: The line graph at each of T moments, of one strength, of all synapses or of the same recorded ones.
        weights: (T, n_synapses) recorded.
        rates: (T, n_synapses) dw/dt = -dC/dw on the probe of the graphs, without weight decay.
        times: (T,) in units of a learning rate times a step, see :func:`~ncore.network.edge_dynamics.flow_time`.
        weight_decay: lambda.

    Returns:
        A row a moment: ``time``, ``beta_eff``, ``conditioning``, ``x_eff`` = L_P(w), ``mean`` of all weights, ``rate``
        = L_P(dw/dt), ``pull``, ``undriven``, ``decay`` and ``reduced`` as above, ``drift``, and ``x_reduced``, the
        solution of dx/dt = -(lambda + beta_eff(t)) x from the first x_eff, with beta_eff linear between moments.

    Raises:
        InputError: Arrays that do not fit.
    """
    grid, w, moving = (np.asarray(x, dtype=np.float64) for x in (times, weights, rates))
    if not len(graphs) == len(grid) == len(w) == len(moving) or len(grid) < 2 or (np.diff(grid) <= 0).any():
        raise InputError(
            f"There are {len(graphs)} graphs, {len(w)} weights, {len(moving)} rates and {len(grid)} times, but as many "
            "of each are needed, at least two, with increasing times."
        )
    rows = [effective_row(*moment, weight_decay) for moment in zip(graphs, w, moving, grid, strict=True)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    steps = np.diff(grid)
    moved = table["x_eff"].diff().to_numpy()
    rate = table["rate"].to_numpy()
    table["drift"] = moved - np.concatenate([[np.nan], steps * (rate[1:] + rate[:-1]) / 2])
    decline = weight_decay + table["beta_eff"].to_numpy()
    fallen = np.concatenate([[0.0], np.cumsum(steps * (decline[1:] + decline[:-1]) / 2)])
    with np.errstate(over="ignore"):  # a negative beta_eff may grow past all bounds, which is then what it says
        table["x_reduced"] = table["x_eff"].iloc[0] * np.exp(-fallen)
    return table


def _per_synapse(graph: LineGraph, values: ArrayLike) -> FloatArray:
    z = np.asarray(values, dtype=np.float64)
    if z.shape != (graph.n_synapses,):
        raise InputError(f"The values have the shape {z.shape}, but the line graph has {graph.n_synapses} synapses.")
    return z
