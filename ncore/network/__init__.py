"""The mathematics: a dense head as a directed line graph of its synapses, and its neural capacitance.

No training and no files here. ``line_graph`` and ``capacitance`` need only NumPy; ``degrees`` computes the
same numbers from a torch module, without ever building the matrix.
"""

from typing import TYPE_CHECKING, Any

from ncore.network.capacitance import Capacitance, LayerCapacitance
from ncore.network.line_graph import LayerFactors, LineGraph

if TYPE_CHECKING:
    from ncore.network.degrees import beta_eff, capacitances
    from ncore.network.hessian import HessianCapacitance, hessian_capacitance

__all__ = [
    "Capacitance",
    "HessianCapacitance",
    "LayerCapacitance",
    "LayerFactors",
    "LineGraph",
    "beta_eff",
    "capacitances",
    "hessian_capacitance",
]


def __getattr__(name: str) -> Any:
    if name in ("beta_eff", "capacitances"):  # these import torch
        from ncore.network import degrees

        return getattr(degrees, name)
    if name in ("HessianCapacitance", "hessian_capacitance"):
        from ncore.network import hessian

        return getattr(hessian, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
