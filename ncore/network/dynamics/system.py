"""What a node does by itself, and what a neighbour does to it: dx_i/dt = f(x_i) + sum_j P_ij g(x_i, x_j)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray

__all__ = ["COMPLEX_STEP", "Own", "Parameter", "Pull", "System"]

Own = Callable[[Any], Any]
Pull = Callable[[Any, Any], Any]

COMPLEX_STEP = 1e-40
"""Small enough that its square vanishes, so that Im f(x + ih) / h is f'(x) to rounding."""


@dataclass(frozen=True)
class Parameter:
    """A number of a system, with what it means."""

    name: str
    value: float
    unit: str
    meaning: str


@dataclass(frozen=True)
class System:
    """A law of motion for the nodes of any network, dx_i/dt = f(x_i) + sum_j P_ij g(x_i, x_j).

    Args:
        name: A short name.
        f: Own dynamics, elementwise on arrays.
        g: The pull of a neighbour in state y on a node in state x, elementwise on two arrays of the same shape.
        f_x, g_x, g_y: Their derivatives, f'(x), dg/dx (x, y) and dg/dy (x, y); taken numerically where left out.
        derivatives: How to take those: "difference" (central differences, for any function, about ten digits) or
            "complex" (complex steps, exact to rounding, for functions that are analytic and take complex arrays).
        domain: The lowest and the highest state with a meaning; either may be infinite.
        parameters: The numbers inside f and g.
        label: The name in a title.
        formula: dx_i/dt in LaTeX.
        state: What x_i is.
        unit: The unit of x_i.
        citation: Where the system comes from.

    Example:
        >>> decay = System("decay", f=lambda x: -x, g=lambda x, y: y - x)
        >>> decay.reduced_rate([1.0, 2.0], beta=5.0)
        array([-1., -2.])
    """

    name: str
    f: Own
    g: Pull
    f_x: Own | None = None
    g_x: Pull | None = None
    g_y: Pull | None = None
    derivatives: str = "difference"
    domain: tuple[float, float] = (0.0, math.inf)
    parameters: tuple[Parameter, ...] = ()
    label: str = ""
    formula: str = ""
    state: str = "state"
    unit: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        low, high = self.domain
        if not low < high:
            raise InputError(
                f"The domain of {self.name!r} is {self.domain}, but it must go from a lower to a higher x."
            )
        if self.derivatives not in ("difference", "complex"):
            raise InputError(f"The derivatives are {self.derivatives!r}, but they can be 'difference' or 'complex'.")

    def own(self, x: ArrayLike) -> FloatArray:
        """f(x), in the shape of x."""
        x = np.asarray(x, dtype=np.float64)
        return _like(self.f(x), x)

    def pull(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """g(x, y), in their common shape."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        return _like(self.g(x, y), x)

    def own_slope(self, x: ArrayLike) -> FloatArray:
        """f'(x), in the shape of x."""
        x = np.asarray(x, dtype=np.float64)
        return _like(self.f_x(x), x) if self.f_x is not None else self._derivative(self.f, x)

    def pull_slopes(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """dg/dx and dg/dy at (x, y), in their common shape."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        by_x = _like(self.g_x(x, y), x) if self.g_x else self._derivative(lambda z: self.g(z, y), x)
        by_y = _like(self.g_y(x, y), x) if self.g_y else self._derivative(lambda z: self.g(x, z), y)
        return by_x, by_y

    def reduced_rate(self, x: ArrayLike, beta: ArrayLike) -> FloatArray:
        """The one-dimensional reduction, dx/dt = f(x) + beta g(x, x)."""
        return self.own(x) + np.asarray(beta, dtype=np.float64) * self.pull(x, x)

    def reduced_slope(self, x: ArrayLike, beta: ArrayLike) -> FloatArray:
        """d/dx of the reduced rate: f'(x) + beta (dg/dx + dg/dy)(x, x)."""
        by_x, by_y = self.pull_slopes(x, x)
        return self.own_slope(x) + np.asarray(beta, dtype=np.float64) * (by_x + by_y)

    def _derivative(self, function: Own, x: FloatArray) -> FloatArray:
        low, high = self.domain
        x = np.clip(x, low, high)  # f need not be defined outside
        step = np.cbrt(np.finfo(np.float64).eps) * np.maximum(1.0, np.abs(x))
        up, down = np.minimum(x + step, high), np.maximum(x - step, low)
        if self.derivatives == "complex":
            stepped = np.asarray(function(x + 1j * COMPLEX_STEP))
            if np.iscomplexobj(stepped):
                return _like(stepped.imag / COMPLEX_STEP, x)
        slope = _like((np.asarray(function(up)) - np.asarray(function(down))) / (up - down), x)
        if self.derivatives == "complex" and slope.any():  # real, and yet not a constant
            raise InputError(
                f"A function of {self.name!r} gives real numbers for complex ones, so it has no complex step: use "
                "derivatives='difference', or give the derivatives."
            )
        return slope


def _like(values: Any, x: FloatArray) -> FloatArray:
    """What a user's function gave, which may be a constant, as floats in the shape of x."""
    return np.broadcast_to(np.asarray(values, dtype=np.float64), x.shape)
