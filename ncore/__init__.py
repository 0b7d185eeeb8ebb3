"""Neural capacitance: predict where candidate models end from a few early epochs, and rank them.

A *candidate* is a model that could be chosen; a *run* is one candidate trained on one dataset with one seed,
as recorded in a *store*; the *line graph* has the synapses of a dense head as its vertices, and its
*capacitance* beta_eff says how strongly they still drive each other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ncore import _renamed
from ncore._version import __version__

if TYPE_CHECKING:
    from ncore.errors import NcoreError
    from ncore.network import Capacitance, LineGraph, beta_eff, hessian_capacitance
    from ncore.predict import rank
    from ncore.probe import NCPUnit, Recorder
    from ncore.store import create_store, open_store

_renamed.install()

# Looked up on first use: reading a store must not wait for torch.
_HOME = {
    "Capacitance": "ncore.network",
    "LineGraph": "ncore.network",
    "NCPUnit": "ncore.probe",
    "NcoreError": "ncore.errors",
    "Recorder": "ncore.probe",
    "beta_eff": "ncore.network",
    "create_store": "ncore.store",
    "hessian_capacitance": "ncore.network",
    "open_store": "ncore.store",
    "rank": "ncore.predict",
}

__all__ = [
    "Capacitance",
    "LineGraph",
    "NCPUnit",
    "NcoreError",
    "Recorder",
    "__version__",
    "beta_eff",
    "create_store",
    "hessian_capacitance",
    "open_store",
    "rank",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ncore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
