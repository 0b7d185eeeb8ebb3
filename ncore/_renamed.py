"""Modules by the names they had before, so that what imports those goes on working in this version.

A module of a user's own that has one of the old names comes first.
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
    """Finds an old name, and gives the module that has the new one.

    Args:
        outermost: Whether it finds packages that lie in none, which a user may have, too, or all others.
    """

    def __init__(self, outermost: bool) -> None:
        self._outermost = outermost
        self._specs: dict[str, importlib.machinery.ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """As importlib asks for it; None where the name is not an old one, or is one of a user's own."""
        package, _, rest = fullname.partition(".")
        if fullname not in RENAMED or self._outermost == bool(rest) or _is_foreign(sys.modules.get(package)):
            return None
        if importlib.util.find_spec(RENAMED[fullname].partition(".")[0]) is None:  # installed without the dashboard
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The module of the new name, which may have been imported before."""
        module = importlib.import_module(RENAMED[spec.name])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put the spec of the new name back, which importlib has just replaced: the module has been executed."""
        if module.__spec__ is not None:
            module.__spec__ = self._specs[module.__spec__.name]


def _is_foreign(package: ModuleType | None) -> bool:
    """Whether a package is neither ours nor a mere folder."""
    ours = (sys.modules["ncore"], sys.modules.get(RENAMED["dashboard"]))
    return getattr(package, "__file__", None) is not None and package not in ours


def install() -> None:
    """Look old names up from now on: those in a package of ours before files are looked for, others after all else."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(outermost=False))
        sys.meta_path.append(_Finder(outermost=True))
