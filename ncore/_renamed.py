"""Modules by the names they had before, so that what imports those goes on working in this version.

The old names are looked up last: a module of a user's own that has one of them comes first.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType

__all__ = ["RENAMED", "install"]

RENAMED = {
    "dashboard": "ncore_dashboard",
    "dashboard.login": "ncore_dashboard.access.login",
    "dashboard.launch": "ncore_dashboard.app.launch",
    "dashboard.notebook": "ncore_dashboard.notebook",
    "dashboard.queries": "ncore_dashboard.data.library",
    "dashboard.figures": "ncore_dashboard.figures",
    "dashboard.report": "ncore_dashboard.report",
    "ncore.bench": "ncore.benchmark",
    "ncore.bench.cases": "ncore.benchmark.cases",
    "ncore.bench.command": "ncore.benchmark.command",
    "ncore.bench.evaluation": "ncore.benchmark.evaluation",
    "ncore.bench.methods": "ncore.benchmark.methods",
    "ncore.bench.recipe": "ncore.benchmark.making.recipe",
    "ncore.bench.running": "ncore.benchmark.making.running",
    "ncore.bench.nas_evaluation": "ncore.benchmark.nas.evaluation",
    "ncore.bench.nas_table": "ncore.benchmark.nas.table",
    "ncore.bench.table": "ncore.benchmark.table",
    "ncore.optuna": "ncore.sweep.optuna",
    "ncore.predict.benchmark": "ncore.predict.bundled",
    "ncore.predict.naive": "ncore.predict.predictors.naive",
    "ncore.predict.laws": "ncore.predict.predictors.laws",
    "ncore.predict.regression": "ncore.predict.predictors.capacitance",
    "ncore.predict.pooled": "ncore.predict.predictors.pooled",
    "ncore.predict.freeze_thaw": "ncore.predict.predictors.freeze_thaw",
    "ncore.predict.history": "ncore.predict.predictors.history",
    "ncore.predict.domhan": "ncore.predict.predictors.domhan",
    "ncore.predict.transfer": "ncore.scores.transfer",
    "ncore.predict.zero_cost": "ncore.scores.zero_cost",
    "ncore.probe.config": "ncore.probe.settings",
    "ncore.probe.ray_engine": "ncore.sweep.ray",
    "ncore.probe.recipe": "ncore.sweep.recipe",
    "ncore.probe.stages": "ncore.sweep.stages",
    "ncore.probe.sweep": "ncore.sweep",
}
"""New names of modules by old ones."""


class _Finder(MetaPathFinder, Loader):
    """Finds an old name, and gives the module that has the new one."""

    def __init__(self) -> None:
        self._specs: dict[str, importlib.machinery.ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in RENAMED or importlib.util.find_spec(RENAMED[fullname].partition(".")[0]) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(RENAMED[spec.name])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put the spec of the new name back, which importlib has just replaced: the module has been executed."""
        if module.__spec__ is not None:
            module.__spec__ = self._specs[module.__spec__.name]


def install() -> None:
    """Look old names up from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
