"""A system on a network: its rates and their sparse Jacobian."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, diags_array

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray, as_matrix
from ncore.network.dynamics.mean_field import Coupling, coupling, weighted_mean
from ncore.network.dynamics.system import System

__all__ = ["Dynamics"]


class Dynamics:
    """dx_i/dt = f(x_i) + sum_j P_ij g(x_i, x_j), in time and memory proportional to nodes and links.

    Args:
        system: f and g.
        network: P, see :func:`as_matrix`.

    Attributes:
        system: As given.
        matrix: P, (N, N) csr_array.

    Example:
        >>> from ncore.network.dynamics import sis
        >>> pair = Dynamics(sis(B=1, R=2), np.array([[0, 1], [1, 0]]))
        >>> pair.rate(pair.state([0.5, 0.0]))
        array([-0.5,  1. ])
    """

    def __init__(self, system: System, network: Any) -> None:
        self.system = system
        self.matrix = as_matrix(network)
        self._rows = np.repeat(np.arange(self.nodes), np.diff(self.matrix.indptr))
        self._columns = self.matrix.indices.astype(np.intp)

    @property
    def nodes(self) -> int:
        """N."""
        return self.matrix.shape[0]

    @cached_property
    def coupling(self) -> Coupling:
        """beta_eff and what it is made of."""
        return coupling(self.matrix)

    @cached_property
    def out_degree(self) -> FloatArray:
        """1^T P, (N,)."""
        return np.asarray(self.matrix.sum(axis=0))

    def effective(self, states: ArrayLike) -> FloatArray:
        """x_eff = L_P(x) of a state (N,), or of each of many (..., N)."""
        return weighted_mean(self.out_degree, states)

    def state(self, start: ArrayLike) -> FloatArray:
        """A new state (N,) from one number for all nodes or one a node.

        Raises:
            InputError: Another shape, not finite, or outside the domain of the system.
        """
        given = np.asarray(start, dtype=np.float64)
        if given.shape not in ((), (self.nodes,)):
            raise InputError(
                f"The start has the shape {given.shape}, but it must be one number, or one a node: ({self.nodes},)."
            )
        low, high = self.system.domain
        outside = ~(np.isfinite(given) & (given >= low) & (given <= high))
        if outside.any():
            raise InputError(
                f"A starting state is {given[outside].flat[0]}, but states of {self.system.name!r} are finite and "
                f"between {low} and {high}."
            )
        return np.broadcast_to(given, (self.nodes,)).copy()

    def rate(self, x: FloatArray) -> FloatArray:
        """dx/dt at a state, (N,)."""
        pull = self.system.pull(x[self._rows], x[self._columns])
        return self.system.own(x) + self._sum_links(pull)

    def slopes(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The Jacobian in two parts: d rate_i / dx_i by the node itself, (N,), and P_ij dg/dy, one a link."""
        by_x, by_y = self.system.pull_slopes(x[self._rows], x[self._columns])
        return self.system.own_slope(x) + self._sum_links(by_x), self.matrix.data * by_y

    def jacobian(self, x: FloatArray) -> csr_array:
        """The Jacobian, d rate_i / dx_j, at a state, (N, N), with the links of P and the diagonal as its pattern."""
        own, links = self.slopes(x)
        between = csr_array((links, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape)
        return csr_array(between + diags_array(own, format="csr"))

    def _sum_links(self, values: FloatArray) -> FloatArray:
        return np.bincount(self._rows, weights=self.matrix.data * values, minlength=self.nodes).astype(np.float64)
