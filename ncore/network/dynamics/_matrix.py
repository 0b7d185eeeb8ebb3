"""Any network as the sparse matrix P of its weights: P[i, j] is how strongly node j drives node i."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from ncore.errors import InputError

__all__ = ["FloatArray", "as_matrix"]

FloatArray = NDArray[np.float64]


def as_matrix(network: Any, weight: str = "weight") -> csr_array:
    """P of a network, (N, N) in float64, without stored zeros; what is given stays as it is.

    Args:
        network: A :class:`Network`, a square numpy array or scipy sparse matrix (taken as P itself), a networkx graph
            (a link u -> v of weight w is P[v, u] = w: u drives v; an undirected link drives both ways; parallel
            links are summed), or anything with a ``to_scipy()`` that gives P, such as an ``ncore.LineGraph``.
        weight: The name of the link attribute of a networkx graph; links without it weigh 1.

    Raises:
        InputError: Nothing of the kind, not square, empty, or a weight that is not a finite real number.

    Example:
        >>> import networkx as nx
        >>> as_matrix(nx.DiGraph([("hare", "lynx")])).toarray()
        array([[0., 0.],
               [1., 0.]])
    """
    given = _given(network, weight)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.shape[0] == 0:
        raise InputError(f"The network has the shape {given.shape}, but P must be square, one row and column a node.")
    if np.dtype(given.dtype).kind not in "biuf":
        raise InputError(f"The weights are of type {given.dtype}, but they must be real numbers: convert them first.")
    matrix = csr_array(given, dtype=np.float64)
    if not (matrix.has_canonical_format and matrix.data.all()):
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    if not np.isfinite(matrix.data).all():
        worst = matrix.data[~np.isfinite(matrix.data)][0]
        raise InputError(f"A weight of the network is {worst}, but all must be finite: remove such links.")
    return matrix


def _given(network: Any, weight: str) -> Any:
    """The network as a numpy array or scipy sparse matrix."""
    if issparse(network) or isinstance(network, np.ndarray):
        return network
    if hasattr(network, "to_scipy"):
        return network.to_scipy()
    if hasattr(network, "adjacency") and hasattr(network, "is_directed"):
        import networkx as nx

        if len(network) == 0:
            raise InputError("The network has no nodes, but a system needs at least one: add nodes or links.")
        try:
            return nx.to_scipy_sparse_array(network, weight=weight, dtype=np.float64).T
        except (TypeError, ValueError) as error:
            raise InputError(f"A link attribute {weight!r} is not a number ({error}): name another one.") from error
    raise InputError(
        f"The network is a {type(network).__name__}, but a numpy array, a scipy sparse matrix, a networkx graph or an "
        "ncore Network is needed: convert it first."
    )
