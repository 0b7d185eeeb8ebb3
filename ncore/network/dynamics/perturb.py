"""Breaking a network step by step: nodes lost, links lost, links weakened, and the path that its state takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray, as_matrix
from ncore.network.dynamics.comparison import compare
from ncore.network.dynamics.system import System

__all__ = ["PERTURBATIONS", "perturbation_path", "remove_links", "remove_nodes", "weaken_links"]


def remove_nodes(network: Any, share: float, seed: int = 0) -> csr_array:
    """P without a random share of its nodes (at least one node stays).

    The same seed takes nodes in the same order, so a larger share takes those of a smaller one, and more.

    Args:
        network: See :func:`as_matrix`.
        share: In [0, 1].
        seed: Of the random order.

    Raises:
        InputError: The share is outside [0, 1].
    """
    matrix = as_matrix(network)
    nodes = matrix.shape[0]
    order = np.random.default_rng(seed).permutation(nodes)
    stay = np.sort(order[min(round(_checked(share) * nodes), nodes - 1) :])
    return csr_array(matrix[stay][:, stay])


def remove_links(network: Any, share: float, seed: int = 0) -> csr_array:
    """P without a random share of its links; both directions of an undirected network's link go together.

    Args and order as in :func:`remove_nodes`.
    """
    return _scale_links(network, lambda quantiles: quantiles >= _checked(share), seed)


def weaken_links(network: Any, share: float, seed: int = 0) -> csr_array:
    """P whose links each lose a random part of their weight, ``share`` of it on average.

    The loss of a link is uniform between 0 and 2 share (between 2 share - 1 and 1 above one half), and for one seed
    grows with the share. Args as in :func:`remove_nodes`.
    """
    least, most = max(0.0, 2 * _checked(share) - 1), min(1.0, 2 * share)
    return _scale_links(network, lambda quantiles: 1 - (least + (most - least) * quantiles), seed)


PERTURBATIONS: dict[str, Callable[[Any, float, int], csr_array]] = {
    "nodes": remove_nodes,
    "links": remove_links,
    "weights": weaken_links,
}
"""The ways to break a network, by name."""


def perturbation_path(
    system: System,
    network: Any,
    kind: str,
    *,
    start: float,
    shares: Sequence[float] = tuple(np.linspace(0, 0.9, 10).round(12).tolist()),
    seed: int = 0,
) -> pd.DataFrame:
    """The points (beta_eff, x_eff) of a network that is broken step by step, against the universal curve.

    At every step the broken network starts anew with all nodes in the state ``start``: a low one shows when the network
    can no longer recover by itself, a high one when it can no longer be kept up (Gao et al., Nature 530, 2016).

    Args:
        system: f and g.
        network: See :func:`as_matrix`.
        kind: One of ``PERTURBATIONS``.
        start: The state of every node at time 0.
        shares: Of nodes, links or weights that are lost, in [0, 1].
        seed: Of the random choice.

    Returns:
        A row a share: ``kind``, ``share``, and the columns of :func:`compare`; x_reduced is the universal curve. A
        network that has lost all links has a ``reason`` and no beta_eff.

    Raises:
        InputError: An unknown kind, or a share outside [0, 1].
    """
    if kind not in PERTURBATIONS:
        raise InputError(f"The kind is {kind!r}, but it must be one of {', '.join(PERTURBATIONS)}.")
    matrix = as_matrix(network)
    broken = [PERTURBATIONS[kind](matrix, share, seed) for share in shares]
    path = compare(system, broken, start).drop(columns="network")
    path.insert(0, "kind", kind)
    path.insert(1, "share", np.asarray(shares, dtype=np.float64))
    return path


def _scale_links(network: Any, factor: Callable[[FloatArray], Any], seed: int) -> csr_array:
    """P with each link multiplied by a factor of its quantile in [0, 1); both directions of a link share one."""
    matrix = as_matrix(network)
    entries = matrix.tocoo()
    rows, columns = (index.astype(np.int64) for index in entries.coords)
    undirected = (matrix != matrix.T).nnz == 0
    first, second = (np.minimum(rows, columns), np.maximum(rows, columns)) if undirected else (rows, columns)
    links, number = np.unique(first * matrix.shape[0] + second, return_inverse=True)
    # Evenly spaced in random order: a share of the links is then that share, to one link.
    quantiles = np.random.default_rng(seed).permutation(links.size) / max(links.size, 1)
    scaled = csr_array((entries.data * factor(quantiles[number]), (rows, columns)), shape=matrix.shape)
    scaled.eliminate_zeros()
    return scaled


def _checked(share: float) -> float:
    if not 0 <= share <= 1:
        raise InputError(f"The share to lose is {share}, but it must be between 0 and 1.")
    return share
