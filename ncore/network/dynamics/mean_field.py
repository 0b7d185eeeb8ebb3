"""The mean field of a network: the operator L_P, the effective coupling beta_eff and what it is made of."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray, as_matrix

__all__ = ["Coupling", "coupling", "effective_state", "weighted_mean"]


@dataclass(frozen=True)
class Coupling:
    """beta_eff = (1^T P P 1) / (1^T P 1) of a network, after Gao, Barzel and Barabasi, Nature 530 (2016).

    Attributes:
        beta_eff: The effective coupling, in units of a link weight; NaN where it is 0/0, and ``reason`` says why.
        mean_degree: <s>, the average weighted degree.
        symmetry: S, the correlation of in- and out-degree over nodes, in [-1, 1]; NaN where one of them is constant.
        heterogeneity: H = sigma_in sigma_out / <s>; 0 where a degree is constant.
        covariance: Of in- and out-degree; ``beta_eff == mean_degree + covariance / mean_degree`` is <s> + S H.
        conditioning: |sum of weights| / sum of |weights|, 1 for non-negative weights, small where they cancel.
        nodes: How many nodes.
        links: How many non-zero P_ij; an undirected link counts twice.
        reason: Why ``beta_eff`` is NaN, else None.
    """

    beta_eff: float
    mean_degree: float
    symmetry: float
    heterogeneity: float
    covariance: float
    conditioning: float
    nodes: int
    links: int
    reason: str | None = None

    def __float__(self) -> float:
        return self.beta_eff

    def row(self) -> dict[str, Any]:
        """The attributes by name, for a table."""
        return asdict(self)


def coupling(network: Any) -> Coupling:
    """The effective coupling of a network from its weighted degrees only: P P is never formed.

    Args:
        network: See :func:`as_matrix`; beta_eff is that of P and of its transpose alike.

    Example:
        A star of n leaves has degrees n and 1, so beta_eff = (n^2 + n) / 2n:

        >>> import networkx as nx
        >>> coupling(nx.star_graph(9)).beta_eff
        5.0
    """
    matrix = as_matrix(network)
    nodes = matrix.shape[0]
    into, out = np.asarray(matrix.sum(axis=1)), np.asarray(matrix.sum(axis=0))
    total, absolute = float(matrix.data.sum()), float(np.abs(matrix.data).sum())
    mean = total / nodes
    spread_in, spread_out = float(into.std()), float(out.std())
    covariance = float(np.mean((into - mean) * (out - mean)))
    spread = spread_in * spread_out
    value, reason = math.nan, None
    if absolute == 0:
        reason = "the network has no links"
    elif total == 0:
        reason = "the weights cancel to a sum of zero"
    else:
        value = float(out @ into) / total
    return Coupling(
        beta_eff=value,
        mean_degree=mean,
        symmetry=min(max(covariance / spread, -1.0), 1.0) if spread > 0 else math.nan,
        heterogeneity=spread / mean if total != 0 else math.nan,
        covariance=covariance,
        conditioning=abs(total) / absolute if absolute > 0 else math.nan,
        nodes=nodes,
        links=matrix.nnz,
        reason=reason,
    )


def effective_state(network: Any, values: ArrayLike) -> FloatArray:
    """The mean-field operator L_P(z) = (1^T P z) / (1^T P 1): the average over nodes, weighted by out-degree.

    Args:
        network: See :func:`as_matrix`.
        values: One value a node, (N,), or any number of such rows, (..., N).

    Returns:
        One value, or one a row, (...); NaN where the weights sum to zero.

    Raises:
        InputError: Not one value a node.

    Example:
        >>> float(effective_state(np.array([[0, 1], [3, 0]]), [8.0, 4.0]))
        7.0
    """
    matrix = as_matrix(network)
    return weighted_mean(np.asarray(matrix.sum(axis=0)), values)


def weighted_mean(out_degree: FloatArray, values: ArrayLike) -> FloatArray:
    """:func:`effective_state` for known out-degrees, (N,)."""
    z = np.asarray(values, dtype=np.float64)
    if z.ndim == 0 or z.shape[-1] != out_degree.size:
        raise InputError(f"The values have the shape {z.shape}, but one a node is needed, {out_degree.size} in a row.")
    total = out_degree.sum()
    return z @ out_degree / total if total != 0 else np.full(z.shape[:-1], np.nan)
