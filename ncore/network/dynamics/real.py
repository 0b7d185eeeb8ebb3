"""A few small real networks, as networkx ships them (3-clause BSD licence): no download, and nothing copied here."""

from __future__ import annotations

from ncore.errors import InputError
from ncore.network.dynamics.networks import Network

__all__ = ["REAL", "real_network"]

REAL: dict[str, tuple[str, str, str]] = {
    "karate": (
        "Karate club",
        "karate_club_graph",
        "Zachary, Journal of Anthropological Research 33, 452-473 (1977): 34 members, weights are shared activities",
    ),
    "les_miserables": (
        "Les Miserables",
        "les_miserables_graph",
        "Knuth, The Stanford GraphBase, ACM Press (1993): 77 characters, weights are chapters together",
    ),
    "southern_women": (
        "Southern women",
        "davis_southern_women_graph",
        "Davis, Gardner and Gardner, Deep South, University of Chicago Press (1941): 18 women and the 14 events that "
        "they went to, in two sides like plants and pollinators",
    ),
    "florentine_families": (
        "Florentine families",
        "florentine_families_graph",
        "Breiger and Pattison, Social Networks 8, 215-256 (1986): 15 families of Florence, linked by marriage",
    ),
}
"""Title, networkx function and source of each network, by the name that :func:`real_network` takes."""


def real_network(name: str) -> Network:
    """One of the networks in ``REAL``; all are undirected.

    Raises:
        InputError: An unknown name.

    Example:
        >>> club = real_network("karate")
        >>> club.nodes, club.links
        (34, 78)
    """
    import networkx as nx

    if name not in REAL:
        raise InputError(f"The network is {name!r}, but it must be one of {', '.join(REAL)}.")
    title, function, source = REAL[name]
    return Network.from_networkx(getattr(nx, function)(), title, f"{source}; from networkx (BSD-3-Clause)")
