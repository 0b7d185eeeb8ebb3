"""From a candidate model to a recorded run: candidates, datasets, the NCP unit, training, sweeps."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncore.probe.recorder import Recorder
    from ncore.probe.unit import NCPUnit

_HOME = {"NCPUnit": "ncore.probe.unit", "Recorder": "ncore.probe.recorder"}

__all__ = ["NCPUnit", "Recorder"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
