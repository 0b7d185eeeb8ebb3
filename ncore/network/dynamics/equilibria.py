"""Where a system on a network comes to rest, and whether it stays there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse.linalg import ArpackError, LinearOperator, eigs, gmres

from ncore.network.dynamics._matrix import FloatArray
from ncore.network.dynamics.flow import Dynamics
from ncore.network.dynamics.integrate import integrate
from ncore.network.dynamics.reduction import reduced_equilibria

__all__ = ["REST", "Equilibrium", "equilibria", "equilibria_frame", "growth_rate", "newton", "settle"]

REST = 1e-7
"""A state whose rates are all smaller, relative to 1 + its largest |x_i|, is at rest."""

_EXACT = 1e-12  # the same after Newton's method
_ROUNDING = 1e-9  # the same where rounding in large sums (hubs) stops it earlier
_SAME = 1e-5  # equilibria this close, relative to 1 + |x|, are one
_DENSE = 400  # nodes up to which steps are solved and eigenvalues computed without iteration


@dataclass(frozen=True)
class Equilibrium:
    """A state at rest.

    Attributes:
        state: (N,).
        effective: x_eff = L_P(x).
        residual: The largest |rate|: about 1e-12, or up to ``REST`` where Newton's method did not help.
        growth: The largest real part of the Jacobian's eigenvalues, per unit of time; NaN where it was not computed.
        converged: Whether rest was reached in the time allowed.
    """

    state: FloatArray
    effective: float
    residual: float
    growth: float = math.nan
    converged: bool = True

    @property
    def stable(self) -> bool:
        """Small disturbances die out: ``growth < 0``."""
        return self.growth < 0


def settle(
    dynamics: Dynamics, start: ArrayLike, *, longest: float = 1e6, jacobian: str = "diagonal", stability: bool = True
) -> Equilibrium:
    """Follow the system from a start until it rests, and sharpen the result by Newton's method.

    Args:
        dynamics: A system on a network.
        start: One number for all nodes, or (N,). A start whose rates are already below ``REST`` stays: a seed of an
            instability has to be larger than that.
        longest: Time after which to give up (near a tipping point everything slows down).
        jacobian: See :func:`simulate`.
        stability: Also compute ``growth``.

    Raises:
        InputError: The start does not fit.
        NcoreError: The states grow without bound.

    Example:
        >>> from ncore.network.dynamics import Dynamics, sis
        >>> everyone_meets = np.ones((5, 5)) - np.eye(5)
        >>> round(settle(Dynamics(sis(B=1, R=1), everyone_meets), 0.01).effective, 9)  # 1 - B / (4 R)
        0.75
    """
    x = dynamics.state(start)

    def unrest(_: float, x: FloatArray) -> float:
        return _unrest(dynamics, x) - REST

    unrest.terminal = True  # type: ignore[attr-defined]
    resting = unrest(0, x) <= 0
    if not resting:
        options = {"rtol": 1e-6, "atol": 1e-9, "events": unrest, "t_eval": [longest]}
        solution = integrate(dynamics, x, (0.0, longest), "BDF", jacobian, **options)
        resting = solution.status == 1
        x = solution.y_events[0][0] if resting else solution.y[:, -1]
    sharp = newton(dynamics, x)
    # Newton may leave for another equilibrium, or stop short: then the flow's own end is the answer.
    if sharp is not None and np.abs(sharp - x).max() <= 1e-3 * (1 + np.abs(x).max()):
        x, resting = sharp, True
    return _equilibrium(dynamics, x, resting, stability)


def equilibria(dynamics: Dynamics, starts: Iterable[ArrayLike] | None = None) -> list[Equilibrium]:
    """The equilibria, stable and unstable, that are found from several starts; lowest x_eff first.

    From each start the system is followed to rest (which finds stable ones), and Newton's method is tried directly
    (which also finds unstable ones). A list is what was found, not a proof that there is nothing else.

    Args:
        dynamics: A system on a network.
        starts: Each one number or (N,); by default the equilibria of the one-dimensional reduction, which lie close
            by if the reduction is good, and states a little above the highest and below the lowest of them.

    Raises:
        InputError: A start does not fit, or the reduction has no bounded states to start from.
    """
    found: list[Equilibrium] = []
    low, high = dynamics.system.domain
    for start in _default_starts(dynamics) if starts is None else starts:
        end = settle(dynamics, start, stability=False)
        points = [end.state] if end.converged else []
        direct = newton(dynamics, dynamics.state(start))
        if direct is not None and ((direct >= low - _SAME) & (direct <= high + _SAME)).all():
            points.append(direct)
        for x in points:
            if all(np.abs(x - known.state).max() > _SAME * (1 + np.abs(x).max()) for known in found):
                found.append(_equilibrium(dynamics, x, True, stability=True))
    return sorted(found, key=lambda point: point.effective)


def equilibria_frame(points: Iterable[Equilibrium]) -> pd.DataFrame:
    """A row an equilibrium: x_eff, mean, lowest, highest, growth, stable, residual."""
    columns = ["x_eff", "mean", "lowest", "highest", "growth", "stable", "residual"]
    rows = [(p.effective, p.state.mean(), p.state.min(), p.state.max(), p.growth, p.stable, p.residual) for p in points]
    return pd.DataFrame(rows, columns=columns)


def growth_rate(dynamics: Dynamics, x: FloatArray) -> float:
    """The largest real part of the eigenvalues of the Jacobian at a state: negative is stable.

    All eigenvalues up to 400 nodes, Arnoldi iteration (ARPACK) above.

    Returns:
        Per unit of time; NaN where the iteration does not converge.
    """
    jacobian = dynamics.jacobian(x)
    if dynamics.nodes <= _DENSE:
        return float(np.linalg.eigvals(jacobian.toarray()).real.max())
    seed = np.random.default_rng(0).uniform(0.5, 1.5, dynamics.nodes)  # a fixed start: the same answer every time
    try:
        leading = eigs(jacobian, k=1, which="LR", v0=seed, ncv=40, tol=1e-6, maxiter=2000, return_eigenvectors=False)
    except ArpackError:  # no convergence
        return math.nan
    return float(leading.real.max())


def newton(dynamics: Dynamics, x: FloatArray, steps: int = 50) -> FloatArray | None:
    """A state of rest near ``x`` by Newton's method with step halving, or None where it finds none.

    Steps are solved densely up to 400 nodes, by GMRES with the diagonal as preconditioner above.
    """
    rate = dynamics.rate(x)
    for _ in range(steps):
        size = float(np.abs(rate).max())
        if size <= _EXACT * (1 + float(np.abs(x).max())):
            return x
        step = _newton_step(dynamics, x, rate)
        if step is None:
            return None
        share, trial, trial_rate = 1.0, x, rate
        while share > 1e-3:
            with np.errstate(all="ignore"):  # a step may leave where the functions are defined: it is then halved
                trial = x + share * step
                trial_rate = dynamics.rate(trial)
            if np.abs(trial_rate).max() < size:  # also False for NaN
                break
            share /= 2
        else:  # at the limit of rounding, or stuck
            return x if size <= _ROUNDING * (1 + float(np.abs(x).max())) else None
        x, rate = trial, trial_rate
    return None


def _newton_step(dynamics: Dynamics, x: FloatArray, rate: FloatArray) -> FloatArray | None:
    jacobian = dynamics.jacobian(x)
    if dynamics.nodes <= _DENSE:
        try:
            return np.linalg.solve(jacobian.toarray(), -rate)
        except np.linalg.LinAlgError:
            return None
    diagonal = jacobian.diagonal()
    if not diagonal.all():
        return None
    inverse = LinearOperator(jacobian.shape, matvec=lambda v: v.ravel() / diagonal, dtype=np.float64)
    step, _ = gmres(jacobian, -rate, rtol=1e-4, restart=30, maxiter=10, M=inverse)
    return step if np.isfinite(step).all() else None


def _unrest(dynamics: Dynamics, x: FloatArray) -> float:
    return float(np.abs(dynamics.rate(x)).max() / (1 + np.abs(x).max()))


def _equilibrium(dynamics: Dynamics, x: FloatArray, converged: bool, stability: bool) -> Equilibrium:
    return Equilibrium(
        state=x,
        effective=float(dynamics.effective(x)),
        residual=float(np.abs(dynamics.rate(x)).max()),
        growth=growth_rate(dynamics, x) if stability else math.nan,
        converged=converged,
    )


def _default_starts(dynamics: Dynamics) -> list[float]:
    beta = dynamics.coupling.beta_eff
    states = reduced_equilibria(dynamics.system, 0.0 if math.isnan(beta) else beta)["x"].tolist()
    low, high = dynamics.system.domain
    margin = 0.5 * (1 + max(map(abs, states), default=0.0))
    edges = [min(states, default=0.0) - margin, max(states, default=0.0) + margin]
    return sorted({float(np.clip(x, low, high)) for x in [*states, *edges]})
