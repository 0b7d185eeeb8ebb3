"""Training as an ODE: gradient flow dw/dt = F(w), and with momentum m w'' + c w' = F(w), F = -dC/dw - lambda w.

One step of full-batch gradient descent is a step of Euler's method, so ``steps`` steps of size lr end near the flow at
the time lr * steps, with an error that falls linearly in lr. The next term is known too: a step of size h follows
w' = F - (h/2) F'F up to h^2 (Barrett and Dherin, *Implicit gradient regularization*, ICLR 2021).

torch's SGD with momentum mu, v <- mu v + g, w <- w - lr v, is the difference equation

    (w+ - 2 w + w-) + (1 - mu)(w - w-) = lr F(w)        w-, w, w+ being three weights in turn.

With a time step h = lr / (1 - mu) its second difference is h^2 w'' and its first one, which looks back, is
h w' - h^2/2 w'', so it follows m w'' + w' = F with m = lr (1 + mu) / (2 (1 - mu)^2). A start at rest is
w'(0) = (1 - mu)/2 F(w_0). The classical heavy ball has lr / (1 - mu)^2, the same to leading order as mu goes to 1, and
an error of the order of the square root of lr instead of lr (Kovachki and Stuart, *Continuous time analysis of momentum
methods*, JMLR 22, 2021, derive limits of both kinds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from ncore.errors import InputError, NcoreError
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.edge_dynamics.landscape import Landscape

__all__ = [
    "DENSE_LIMIT",
    "METHODS",
    "Flow",
    "flow_time",
    "gradient_flow",
    "heavy_ball",
    "heavy_ball_mass",
    "momentum_flow",
]

METHODS = ("RK45", "DOP853", "RK23", "LSODA", "BDF", "Radau")
"""Of ``scipy.integrate.solve_ivp``; the last three are for stiff landscapes and take the dense Hessian."""

DENSE_LIMIT = 3_000
"""Parameters up to which a dense Hessian is made."""


@dataclass(frozen=True)
class Flow:
    """A solution of the equation of training.

    Attributes:
        times: (T,) in units of a learning rate times a step.
        weights: (T, n) all parameters.
        costs: (T,) C, without weight decay.
        evaluations: Of the gradient.
    """

    times: FloatArray
    weights: FloatArray
    costs: FloatArray
    evaluations: int


def flow_time(learning_rates: ArrayLike, momentum: float = 0.0) -> FloatArray:
    """The time of the flow after each step of SGD, from 0: sum of lr / (1 - momentum), (steps + 1,).

    Args:
        learning_rates: One a step, as a schedule gives them.
        momentum: Of torch's SGD, without dampening and Nesterov.

    Example:
        >>> flow_time([0.1, 0.1, 0.05], momentum=0.5).round(12).tolist()
        [0.0, 0.2, 0.4, 0.5]
    """
    rates = np.asarray(learning_rates, dtype=np.float64)
    _check_step(float(rates.min(initial=np.inf)), momentum)
    return np.concatenate([[0.0], np.cumsum(rates)]) / (1 - momentum)


def heavy_ball_mass(learning_rate: float, momentum: float) -> float:
    """The mass m in m w'' + w' = F that SGD with momentum follows; m = lr / 2 without momentum.

    Example:
        >>> round(heavy_ball_mass(0.01, 0.9), 12)
        0.95
    """
    _check_step(learning_rate, momentum)
    return learning_rate * (1 + momentum) / (2 * (1 - momentum) ** 2)


def gradient_flow(
    landscape: Landscape,
    times: ArrayLike,
    *,
    start: ArrayLike | None = None,
    finite_step: float = 0.0,
    method: str = "RK45",
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> Flow:
    """Integrate dw/dt = F(w).

    Args:
        landscape: C, and weight decay.
        times: Increasing, the first being that of the start.
        start: (n,), by default where the model is.
        finite_step: h adds -(h/2) F'F, what descent with steps of size h follows to the next order.
        method: One of ``METHODS``.
        rtol, atol: Tolerances of a step.

    Raises:
        InputError: An argument outside what is said above, or too many parameters for a dense Hessian.
        NcoreError: The solver could not go on.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1)
        >>> neuron = torch.nn.Linear(1, 1, bias=False)
        >>> parabola = Landscape(neuron, one, 3 * one, loss=torch.nn.MSELoss())  # w' = -2 (w - 3)
        >>> flow = gradient_flow(parabola, [0.0, 1.0], start=[0.0])
        >>> bool(abs(flow.weights[-1, 0] - 3 * (1 - np.exp(-2))) < 1e-7)
        True
    """
    if not 0 <= finite_step < np.inf:
        raise InputError(f"The finite step is {finite_step}, but it must be finite and at least 0.")

    def rate(_: float, w: FloatArray) -> FloatArray:
        plain = landscape.rate(w)
        return plain - finite_step / 2 * landscape.rate_change(w, plain) if finite_step else plain

    options = _jacobian(landscape, method, lambda _, w: landscape.jacobian(w))
    return _solve(landscape, rate, _begin(landscape, start), times, method, rtol=rtol, atol=atol, **options)


def heavy_ball(
    landscape: Landscape,
    times: ArrayLike,
    mass: float,
    *,
    friction: float = 1.0,
    start: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
    method: str = "RK45",
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> Flow:
    """Integrate m w'' + c w' = F(w) as a system of first order in w and w'.

    Args:
        landscape, times, start, method, rtol, atol: As for :func:`gradient_flow`.
        mass: m > 0.
        friction: c >= 0.
        velocity: (n,) w'(0); 0 by default.
    """
    if not (0 < mass < np.inf and 0 <= friction < np.inf):
        raise InputError(f"The mass is {mass} and the friction {friction}, but m > 0 and c >= 0 are needed.")
    first = _begin(landscape, start)
    n = landscape.size
    speed = np.zeros(n) if velocity is None else np.asarray(velocity, dtype=np.float64)
    if speed.shape != first.shape:
        raise InputError(f"The velocity has the shape {speed.shape}, but the model has {n} parameters.")

    def rate(_: float, state: FloatArray) -> FloatArray:
        w, v = state[:n], state[n:]
        return np.concatenate([v, (landscape.rate(w) - friction * v) / mass])

    def jacobian(_: float, state: FloatArray) -> FloatArray:
        eye = np.eye(n)
        return np.block([[np.zeros((n, n)), eye], [landscape.jacobian(state[:n]) / mass, -friction / mass * eye]])

    options = _jacobian(landscape, method, jacobian)
    return _solve(landscape, rate, np.concatenate([first, speed]), times, method, rtol=rtol, atol=atol, **options)


def momentum_flow(
    landscape: Landscape, learning_rate: float, momentum: float, steps: ArrayLike, **options: Any
) -> Flow:
    """What SGD with momentum follows after each of ``steps``, the first being 0: the heavy ball, begun at rest.

    Args:
        landscape: C, and weight decay.
        learning_rate, momentum: Of torch's SGD, constant, without dampening and Nesterov.
        steps: Increasing whole numbers.
        options: ``start``, ``method``, ``rtol`` and ``atol`` of :func:`heavy_ball`.
    """
    mass = heavy_ball_mass(learning_rate, momentum)
    first = _begin(landscape, options.get("start"))
    times = np.asarray(steps, dtype=np.float64) * learning_rate / (1 - momentum)
    return heavy_ball(landscape, times, mass, velocity=(1 - momentum) / 2 * landscape.rate(first), **options)


def _begin(landscape: Landscape, start: ArrayLike | None) -> FloatArray:
    first = landscape.start if start is None else np.asarray(start, dtype=np.float64)
    if first.shape != landscape.start.shape:
        raise InputError(f"The start has the shape {first.shape}, but the model has {landscape.size} parameters.")
    return first


def _check_step(learning_rate: float, momentum: float) -> None:
    if not 0 < learning_rate < np.inf:
        raise InputError(f"A learning rate is {learning_rate}, but it must be positive and finite.")
    if not 0 <= momentum < 1:
        raise InputError(f"The momentum is {momentum}, but it must be at least 0 and below 1.")


def _jacobian(landscape: Landscape, method: str, jacobian: Any) -> dict[str, Any]:
    if method not in METHODS:
        raise InputError(f"The method is {method!r}, but it must be one of {', '.join(METHODS)}.")
    if method not in ("LSODA", "BDF", "Radau"):
        return {}
    if landscape.size > DENSE_LIMIT:
        raise InputError(
            f"{method} takes a dense Hessian, and the model has {landscape.size} parameters, but {DENSE_LIMIT} are the "
            "limit: use RK45, or a smaller model."
        )
    return {"jac": jacobian}


def _solve(landscape: Landscape, rate: Any, start: FloatArray, times: ArrayLike, method: str, **options: Any) -> Flow:
    grid = np.asarray(times, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2 or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
        raise InputError("The times must be at least two, finite and increasing.")
    solution = solve_ivp(rate, (grid[0], grid[-1]), start, method=method, t_eval=grid, **options)
    if solution.status < 0:
        raise NcoreError(
            f"{method} stopped at time {np.max(solution.t, initial=grid[0]):.6g} of {grid[-1]:.6g} "
            f"({solution.message}): try another method or larger tolerances."
        )
    weights = solution.y[: landscape.size].T
    return Flow(grid, weights, np.array([landscape.cost(w) for w in weights]), int(solution.nfev))
