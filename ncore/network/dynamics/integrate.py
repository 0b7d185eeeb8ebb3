"""Integrating a system on a network in time, with SciPy's solvers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.sparse import csc_matrix, diags_array

from ncore.errors import InputError, NcoreError
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.dynamics.flow import Dynamics

__all__ = ["DENSE_LIMIT", "JACOBIANS", "METHODS", "Trajectory", "integrate", "simulate"]

METHODS = ("BDF", "Radau", "LSODA", "RK45", "RK23", "DOP853")
"""Solvers of ``scipy.integrate.solve_ivp``; the first three are for stiff systems."""

JACOBIANS = ("diagonal", "full")

DENSE_LIMIT = 2_000
"""Nodes up to which an (N, N) array is affordable."""


@dataclass(frozen=True)
class Trajectory:
    """A network's states over time.

    Attributes:
        times: (T,).
        states: (T, N).
        effective: x_eff = L_P(x) at each time, (T,).
        evaluations: How often the solver asked for the rates.
    """

    times: FloatArray
    states: FloatArray
    effective: FloatArray
    evaluations: int

    @property
    def final(self) -> FloatArray:
        """The last state, (N,)."""
        return self.states[-1]

    def to_frame(self) -> pd.DataFrame:
        """A row a time: time, x_eff, and the mean, lowest and highest state."""
        return pd.DataFrame(
            {
                "time": self.times,
                "x_eff": self.effective,
                "mean": self.states.mean(axis=1),
                "lowest": self.states.min(axis=1),
                "highest": self.states.max(axis=1),
            }
        )


def simulate(
    dynamics: Dynamics,
    start: ArrayLike,
    duration: float | None = None,
    *,
    points: int = 101,
    times: ArrayLike | None = None,
    method: str = "BDF",
    jacobian: str = "diagonal",
    rtol: float = 1e-6,
    atol: float = 1e-9,
) -> Trajectory:
    """Integrate from a starting state.

    Implicit methods solve I - c J at every step. With ``jacobian="diagonal"`` they see the diagonal of J only, where
    the stiffness of hubs sits: a step costs little on any network, the error control stays, and 100,000 nodes are no
    obstacle. ``"full"`` takes the whole sparse J: fewer steps where strong links pull neighbours together (diffusion),
    and cheap on a chain, a ring, a tree or a small lattice; on a random network of 2,000 nodes its factors fill up.

    Args:
        dynamics: A system on a network.
        start: One number for all nodes, or (N,).
        duration: How long, in units of the system's time, with ``points`` states at even intervals.
        points: How many states are kept, the first and the last included; their memory is 8 N bytes each.
        times: Increasing times >= 0 instead, the first being that of ``start``.
        method: One of ``METHODS``.
        jacobian: "diagonal" or "full", for the stiff methods.
        rtol, atol: Tolerances of a step.

    Raises:
        InputError: An argument outside what is said above.
        NcoreError: The solver could not go on.

    Example:
        >>> from ncore.network.dynamics import Dynamics, sis
        >>> dying = simulate(Dynamics(sis(B=1, R=0.1), np.ones((2, 2)) - np.eye(2)), 0.5, 10)
        >>> dying.states.shape, bool(dying.effective[-1] < 1e-3)
        ((101, 2), True)
    """
    if times is not None:
        grid = np.asarray(times, dtype=np.float64)
    elif duration is not None and 0 < duration < np.inf:
        if points < 2:
            raise InputError(f"{points} states are to be kept, but at least the first and the last are: ask for 2.")
        grid = np.linspace(0, duration, points)
    else:
        raise InputError(f"The duration is {duration}, but it must be positive and finite, or times must be given.")
    if grid.ndim != 1 or grid.size < 2 or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
        raise InputError(f"The times are {_short(grid)}, but at least two, finite and increasing, are needed.")
    solution = integrate(
        dynamics, dynamics.state(start), (grid[0], grid[-1]), method, jacobian, rtol=rtol, atol=atol, t_eval=grid
    )
    states = solution.y.T
    return Trajectory(grid, states, dynamics.effective(states), int(solution.nfev))


def integrate(
    dynamics: Dynamics, x: FloatArray, span: tuple[float, float], method: str, jacobian: str, **options: Any
) -> Any:
    """``scipy.integrate.solve_ivp`` with this system's rates and the Jacobian that fits the method."""
    if method not in METHODS:
        raise InputError(f"The method is {method!r}, but it must be one of {', '.join(METHODS)}.")
    if jacobian not in JACOBIANS:
        raise InputError(f"The Jacobian is {jacobian!r}, but it must be 'diagonal' or 'full'.")

    def rate(_: float, x: FloatArray) -> FloatArray:
        change = dynamics.rate(x)
        if not np.isfinite(change).all():
            raise NcoreError(
                f"The rates of {dynamics.system.name!r} are no longer finite: the states grow without bound, so choose "
                "other parameters, a shorter duration or smaller tolerances."
            )
        return change

    with np.errstate(over="ignore", invalid="ignore"):  # reported above, in words
        solution = solve_ivp(rate, span, x, method=method, **_jacobian(dynamics, method, jacobian), **options)
    if solution.status < 0:
        raise NcoreError(
            f"{method} stopped at time {np.max(solution.t, initial=span[0]):.6g} of {span[1]:.6g} "
            f"({solution.message}): try another method or larger tolerances."
        )
    return solution


def _jacobian(dynamics: Dynamics, method: str, jacobian: str) -> dict[str, Any]:
    """The options of solve_ivp by which a method gets the Jacobian."""
    if method not in ("BDF", "Radau", "LSODA"):
        return {}
    if method == "LSODA" and jacobian == "full":
        if dynamics.nodes > DENSE_LIMIT:
            raise InputError(
                f"LSODA's full Jacobian would be a dense {dynamics.nodes} x {dynamics.nodes} array, and {DENSE_LIMIT} "
                "nodes are the limit: use BDF, or the diagonal."
            )
        return {"jac": lambda _, x: dynamics.jacobian(x).toarray()}
    if method == "LSODA":  # a band of one row
        return {"jac": lambda _, x: dynamics.slopes(x)[0][None, :], "lband": 0, "uband": 0}
    if jacobian == "full":
        return {"jac": lambda _, x: csc_matrix(dynamics.jacobian(x))}
    return {"jac": lambda _, x: csc_matrix(diags_array(dynamics.slopes(x)[0]))}


def _short(values: FloatArray) -> str:
    return np.array2string(values, threshold=6, edgeitems=2, precision=4)
