"""The model in hand: the chosen candidate, trained to its end and written as a folder that needs no ncore."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncore.finish.finishing import Finished, finish

_HOME = {"Finished": "ncore.finish.finishing", "finish": "ncore.finish.finishing"}

__all__ = ["Finished", "finish"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
