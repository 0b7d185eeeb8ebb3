"""Three systems with known behaviour: mutualistic ecology, epidemics (SIS) and gene regulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ncore.errors import InputError
from ncore.network.dynamics.system import Parameter, System

__all__ = ["SYSTEMS", "gene_regulation", "mutualistic", "sis"]

_GAO = "Gao, Barzel and Barabasi, Universal resilience patterns in complex networks, Nature 530, 307-312 (2016)"


def mutualistic(
    B: float = 0.1, K: float = 5.0, C: float = 1.0, D: float = 5.0, E: float = 0.9, H: float = 0.1
) -> System:
    """Species that help each other, such as plants and pollinators.

    dx_i/dt = B + x_i (1 - x_i/K)(x_i/C - 1) + sum_j P_ij x_i x_j / (D + E x_i + H x_j)

    With the defaults of Gao et al. (2016) the collapsed state exists below beta_eff of about 6.97 only: above it,
    every start recovers.

    Raises:
        InputError: A parameter that is not positive (B, E and H may be 0).
    """
    parameters = _parameters(
        Parameter("B", B, "abundance/time", "migration into each place"),
        Parameter("K", K, "abundance", "carrying capacity"),
        Parameter("C", C, "abundance", "Allee threshold: below it a species alone shrinks"),
        Parameter("D", D, "abundance", "saturation of the help received"),
        Parameter("E", E, "1", "saturation by the species itself"),
        Parameter("H", H, "1", "saturation by its partner"),
        may_be_zero="BEH",
    )

    def g(x: Any, y: Any) -> Any:
        return x * y / (D + E * x + H * y)

    return System(
        name="mutualistic",
        f=lambda x: B + x * (1 - x / K) * (x / C - 1),
        g=g,
        f_x=lambda x: -1 + 2 * x * (1 / C + 1 / K) - 3 * x**2 / (K * C),
        g_x=lambda x, y: y * (D + H * y) / (D + E * x + H * y) ** 2,
        g_y=lambda x, y: x * (D + E * x) / (D + E * x + H * y) ** 2,
        parameters=parameters,
        label="Mutualistic ecology",
        formula=(
            r"\frac{dx_i}{dt} = B + x_i\left(1-\frac{x_i}{K}\right)\left(\frac{x_i}{C}-1\right)"
            r" + \sum_j P_{ij}\frac{x_i x_j}{D + E x_i + H x_j}"
        ),
        state="abundance of species i",
        unit="abundance",
        citation=f"{_GAO}; after Holland, DeAngelis and Bronstein, American Naturalist 159, 231-244 (2002)",
    )


def sis(B: float = 1.0, R: float = 1.0) -> System:
    """An epidemic without immunity (susceptible, infected, susceptible), by probabilities of infection.

    dx_i/dt = -B x_i + sum_j P_ij R (1 - x_i) x_j

    In the reduced form the infection survives where beta_eff R > B, at x = 1 - B / (beta_eff R). No values are
    usual: both default to 1.

    Raises:
        InputError: A parameter that is not positive.
    """
    parameters = _parameters(
        Parameter("B", B, "1/time", "recovery rate"),
        Parameter("R", R, "1/time", "infection rate of a link"),
    )
    return System(
        name="sis",
        f=lambda x: -B * x,
        g=lambda x, y: R * (1 - x) * y,
        f_x=lambda x: -B,
        g_x=lambda x, y: -R * y,
        g_y=lambda x, y: R * (1 - x),
        domain=(0.0, 1.0),
        parameters=parameters,
        label="Epidemic (SIS)",
        formula=r"\frac{dx_i}{dt} = -B x_i + \sum_j P_{ij} R\,(1-x_i)\,x_j",
        state="probability that node i is infected",
        unit="1",
        citation="Pastor-Satorras and Vespignani, Epidemic spreading in scale-free networks, "
        "Physical Review Letters 86, 3200-3203 (2001), by node as in " + _GAO,
    )


def gene_regulation(B: float = 1.0, f: float = 1.0, h: float = 2.0) -> System:
    """Genes that switch each other on (Michaelis-Menten).

    dx_i/dt = -B x_i^f + sum_j P_ij x_j^h / (x_j^h + 1)

    For f = 1 and h = 2 the reduced form has an active state above beta_c = 2 B only, where x = 1.

    Raises:
        InputError: B is not positive, or an exponent is below 1 (the rate would have no slope at x = 0).
    """
    parameters = _parameters(
        Parameter("B", B, "expression/time", "rate of decay"),
        Parameter("f", f, "1", "order of the decay: 1 by degradation, 2 by dimerisation"),
        Parameter("h", h, "1", "Hill coefficient: how sharply a gene switches its target on"),
    )
    for exponent in parameters[1:]:
        if exponent.value < 1:
            raise InputError(f"{exponent.name} is {exponent.value}, but an exponent of gene regulation is at least 1.")

    def positive(x: Any) -> Any:
        """A solver may step below 0 by its tolerance, where a broken power is not defined."""
        return np.where(np.real(x) > 0, x, 0.0)

    def hill(y: Any) -> Any:
        power = positive(y) ** h
        return power / (power + 1)

    def hill_slope(y: Any) -> Any:
        return h * positive(y) ** (h - 1) / (positive(y) ** h + 1) ** 2

    return System(
        name="gene_regulation",
        f=lambda x: -B * positive(x) ** f,
        g=lambda x, y: hill(y),
        f_x=lambda x: -B * f * positive(x) ** (f - 1),
        g_x=lambda x, y: 0.0,
        g_y=lambda x, y: hill_slope(y),
        parameters=parameters,
        label="Gene regulation",
        formula=r"\frac{dx_i}{dt} = -B x_i^f + \sum_j P_{ij}\frac{x_j^h}{x_j^h + 1}",
        state="expression of gene i",
        unit="expression at half saturation",
        citation=f"{_GAO}; after Alon, An Introduction to Systems Biology, Chapman & Hall (2006)",
    )


SYSTEMS: dict[str, Callable[..., System]] = {
    "mutualistic": mutualistic,
    "sis": sis,
    "gene_regulation": gene_regulation,
}
"""The ready-made systems by name: ``SYSTEMS["sis"](R=0.5)``."""


def _parameters(*parameters: Parameter, may_be_zero: str = "") -> tuple[Parameter, ...]:
    for parameter in parameters:
        fits = parameter.value >= 0 if parameter.name in may_be_zero else parameter.value > 0
        if not (fits and math.isfinite(parameter.value)):
            bound = "at least 0" if parameter.name in may_be_zero else "positive"
            raise InputError(f"{parameter.name} ({parameter.meaning}) is {parameter.value}, but it must be {bound}.")
    return parameters
