"""Many runs: recipes, the engines that execute them, and stopping those that are hardly the best any more."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncore.sweep.following import follow
    from ncore.sweep.local import LocalEngine
    from ncore.sweep.ray import RayEngine
    from ncore.sweep.recipe import Recipe
    from ncore.sweep.running import Engine, Outcome, Result, execute, run_id, sweep
    from ncore.sweep.stages import sweep_and_stop

_HOME = {
    "Engine": "ncore.sweep.running",
    "LocalEngine": "ncore.sweep.local",
    "Outcome": "ncore.sweep.running",
    "RayEngine": "ncore.sweep.ray",
    "Recipe": "ncore.sweep.recipe",
    "Result": "ncore.sweep.running",
    "execute": "ncore.sweep.running",
    "follow": "ncore.sweep.following",
    "run_id": "ncore.sweep.running",
    "sweep": "ncore.sweep.running",
    "sweep_and_stop": "ncore.sweep.stages",
}

__all__ = [
    "Engine",
    "LocalEngine",
    "Outcome",
    "RayEngine",
    "Recipe",
    "Result",
    "execute",
    "follow",
    "run_id",
    "sweep",
    "sweep_and_stop",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
