"""What a network is: P, names for its nodes, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from ncore.network.dynamics._matrix import as_matrix

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Network"]


@dataclass(frozen=True, eq=False)
class Network:
    """A named network.

    Attributes:
        name: For titles.
        matrix: P, (N, N): P[i, j] is how strongly node j drives node i.
        labels: One a node.
        directed: Whether links have a direction; without, P is symmetric.
        source: Where it comes from, and its licence or terms where it is data.
    """

    name: str
    matrix: csr_array = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    directed: bool
    source: str = ""

    @classmethod
    def from_networkx(cls, graph: nx.Graph, name: str = "", source: str = "", weight: str = "weight") -> Network:
        """A networkx graph as a network, see :func:`as_matrix`."""
        labels = tuple(str(node) for node in graph)
        return cls(name or str(graph.name or "network"), as_matrix(graph, weight), labels, graph.is_directed(), source)

    @property
    def nodes(self) -> int:
        """How many nodes."""
        return self.matrix.shape[0]

    @property
    def links(self) -> int:
        """How many links; an undirected one counts once."""
        loops = int(np.count_nonzero(self.matrix.diagonal()))
        return self.matrix.nnz if self.directed else (self.matrix.nnz - loops) // 2 + loops

    def to_scipy(self) -> csr_array:
        """P."""
        return self.matrix

    def to_networkx(self) -> nx.Graph:
        """Nodes 0 to N - 1 with their ``label``, links with their ``weight``, u -> v where u drives v."""
        import networkx as nx

        kind = nx.DiGraph if self.directed else nx.Graph
        graph = nx.from_scipy_sparse_array(self.matrix.T, create_using=kind)
        nx.set_node_attributes(graph, dict(enumerate(self.labels)), "label")
        return graph
