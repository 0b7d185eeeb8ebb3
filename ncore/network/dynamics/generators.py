"""Networks made by a recipe: all take nodes, a mean degree and a seed, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from ncore.errors import InputError
from ncore.network.dynamics._matrix import as_matrix
from ncore.network.dynamics.networks import Network

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "GENERATORS",
    "barabasi_albert",
    "communities",
    "erdos_renyi",
    "mix_by_degree",
    "random_regular",
    "star",
    "watts_strogatz",
]


def erdos_renyi(nodes: int, degree: float, seed: int = 0) -> Network:
    """Every pair is linked with the same probability (Erdos and Renyi): no node is far from the mean degree."""
    import networkx as nx

    _check(nodes, degree)
    return _made(nx.fast_gnp_random_graph(nodes, degree / (nodes - 1), seed=seed), "Erdos-Renyi", seed)


def barabasi_albert(nodes: int, degree: float, seed: int = 0) -> Network:
    """New nodes prefer well-linked ones (Barabasi and Albert): a few hubs. The degree is rounded to an even one."""
    import networkx as nx

    return _made(nx.barabasi_albert_graph(nodes, _half(nodes, degree), seed=seed), "Barabasi-Albert", seed)


def watts_strogatz(nodes: int, degree: float, seed: int = 0, rewired: float = 0.1) -> Network:
    """A ring of near neighbours, some links rewired (Watts and Strogatz). The degree is rounded to an even one."""
    import networkx as nx

    if not 0 <= rewired <= 1:
        raise InputError(f"The rewired share of links is {rewired}, but it must be between 0 and 1.")
    graph = nx.watts_strogatz_graph(nodes, 2 * _half(nodes, degree), rewired, seed=seed)
    return _made(graph, "Watts-Strogatz", seed)


def random_regular(nodes: int, degree: float, seed: int = 0) -> Network:
    """Every node has the same number of links: the reduction is exact. The degree is whole, nodes x degree even."""
    import networkx as nx

    _check(nodes, degree)
    if degree != round(degree) or nodes * round(degree) % 2:
        raise InputError(
            f"No regular network has {nodes} nodes of degree {degree}: make the degree whole, and nodes x degree even."
        )
    return _made(nx.random_regular_graph(round(degree), nodes, seed=seed), "Random regular", seed)


def communities(nodes: int, degree: float, seed: int = 0, blocks: int = 2, mixing: float = 0.1) -> Network:
    """A stochastic block model: equal communities; on average a share ``mixing`` of a node's links leaves its own."""
    import networkx as nx

    _check(nodes, degree)
    if not (2 <= blocks <= nodes // 2 and 0 <= mixing <= 1):
        raise InputError(
            f"There are {blocks} communities with a mixing of {mixing}, but 2 to {nodes // 2} are possible, and a "
            "mixing between 0 and 1."
        )
    sizes = [len(part) for part in np.array_split(np.arange(nodes), blocks)]
    within, between = degree * (1 - mixing) / (nodes / blocks - 1), degree * mixing / (nodes - nodes / blocks)
    if max(within, between) > 1:
        raise InputError(f"A degree of {degree} does not fit into communities of {sizes[0]} nodes: lower it.")
    chances = np.full((blocks, blocks), between) + np.eye(blocks) * (within - between)
    return _made(nx.stochastic_block_model(sizes, chances.tolist(), seed=seed, sparse=True), "Communities", seed)


GENERATORS: dict[str, Callable[..., Network]] = {
    "erdos_renyi": erdos_renyi,
    "barabasi_albert": barabasi_albert,
    "watts_strogatz": watts_strogatz,
    "random_regular": random_regular,
    "communities": communities,
}
"""The recipes by name: ``GENERATORS["erdos_renyi"](nodes=200, degree=8, seed=1)``."""


def star(nodes: int) -> Network:
    """A hub and its leaves: the worst case of the reduction (beta_eff = N / 2, but influence grows as sqrt(N) only)."""
    import networkx as nx

    if nodes < 2:
        raise InputError(f"A star of {nodes} nodes is not possible: it has at least 2.")
    return _made(nx.star_graph(nodes - 1), "Star", 0)


def mix_by_degree(network: Any, alike: bool, seed: int = 0, rounds: float = 20.0) -> Network:
    """An undirected network rewired so that hubs link to hubs (``alike``) or to nodes of few links.

    Two links at a time have their four ends put in order of degree and linked anew: the two highest and the two lowest
    with each other, or the highest with the lowest (Xulvi-Brunet and Sokolov, Physical Review E 70, 066102, 2004).
    All degrees, and so beta_eff, stay what they are: what changes is who is linked to whom, which beta_eff cannot see.

    Args:
        network: Undirected, with equal weights and no loops; see :func:`as_matrix`.
        alike: Assortative; otherwise disassortative.
        seed: Of the random choice of links.
        rounds: Tries, in multiples of the number of links.

    Raises:
        InputError: A network of another kind.
    """
    matrix = as_matrix(network)
    unequal = np.unique(matrix.data).size > 1
    if unequal or (matrix != matrix.T).nnz or matrix.diagonal().any():
        raise InputError("The network has directions, loops or unequal weights, but mixing needs plain links.")
    rows, columns = matrix.tocoo().coords
    ends = np.stack([rows, columns], axis=1)[rows < columns].tolist()
    degree = np.diff(matrix.indptr).tolist()
    linked = {(min(a, b), max(a, b)) for a, b in ends}
    random = np.random.default_rng(seed)
    pairs = random.integers(len(ends), size=(int(rounds * len(ends)), 2)) if ends else np.empty((0, 2), dtype=int)
    for i, j in pairs.tolist():
        four = sorted({*ends[i], *ends[j]}, key=lambda node: (degree[node], node))
        if len(four) < 4:
            continue
        lowest, low, high, highest = four
        new = [(lowest, low), (high, highest)] if alike else [(lowest, highest), (low, high)]
        new = [(min(a, b), max(a, b)) for a, b in new]
        if any(link in linked for link in new):
            continue
        linked -= {(min(ends[k]), max(ends[k])) for k in (i, j)}
        linked |= set(new)
        ends[i], ends[j] = (list(link) for link in new)
    first, second = np.array(ends, dtype=np.intp).reshape(-1, 2).T
    weights = np.full(2 * first.size, matrix.data[0] if matrix.nnz else 0.0)
    rewired = csr_array((weights, (np.r_[first, second], np.r_[second, first])), shape=matrix.shape)
    name = "Hubs with hubs" if alike else "Hubs with leaves"
    return Network(name, rewired, _numbers(matrix.shape[0]), False, f"rewired by degree, seed {seed}")


def _made(graph: nx.Graph, name: str, seed: int) -> Network:
    import networkx as nx

    nodes = len(graph)
    matrix = as_matrix(nx.to_scipy_sparse_array(graph, nodelist=range(nodes), dtype=np.float64))
    return Network(name, matrix, _numbers(nodes), False, f"made with networkx, seed {seed}")


def _numbers(nodes: int) -> tuple[str, ...]:
    return tuple(map(str, range(nodes)))


def _check(nodes: int, degree: float) -> None:
    if nodes < 2 or not 0 < degree <= nodes - 1:
        raise InputError(
            f"A network of {nodes} nodes with a mean degree of {degree} is not possible: it takes at least 2 nodes, "
            "and a degree above 0 and below the number of nodes."
        )


def _half(nodes: int, degree: float) -> int:
    """Links that each node brings along, at least one."""
    _check(nodes, degree)
    half = max(1, round(degree / 2))
    if 2 * half >= nodes:
        raise InputError(f"A degree of {2 * half} is too much for {nodes} nodes: it must be smaller.")
    return half
