"""Modules under the names they had before, and modules of users that have one of those names."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from ncore._renamed import RENAMED


@pytest.mark.parametrize("old", [name for name in RENAMED if name != "dashboard"])
def test_an_old_name_is_the_module_of_the_new_one(old: str) -> None:
    module = importlib.import_module(old)
    assert module is importlib.import_module(RENAMED[old])
    assert module.__name__ == RENAMED[old]
    assert module.__spec__ is not None
    assert module.__spec__.name == RENAMED[old]


def test_the_changelog_lists_every_old_name() -> None:
    text = (Path(__file__).resolve().parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    for old, new in RENAMED.items():
        assert f"| `{old}` | `{new}` |" in text


def test_what_others_import_by_the_old_names_is_there() -> None:
    for module, names in {
        "ncore.bench.table": ("curves", "load_table"),
        "ncore.probe.datasets": ("load_dataset",),
        "ncore.probe.recipe": ("Recipe",),
        "ncore.probe.sweep": ("Engine", "LocalEngine", "Result", "execute", "follow", "run_id", "sweep"),
        "ncore.probe.images": ("InputSpec",),
        "ncore.predict": ("rank_curves",),
        "ncore.store": ("create_store", "open_store"),
        "ncore.optuna": ("ForecastPruner", "report"),
        "dashboard.report": ("report_html", "write_report"),
    }.items():
        for name in names:
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def run(script: str, folder: Path) -> str:
    (folder / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_dashboard_of_a_users_own_comes_first_and_shadows_nothing(tmp_path: Path) -> None:
    """Beside their script, as a module; and names of our rooms too."""
    for name in ("dashboard", "report", "data", "text", "figures", "learn", "pages", "state"):
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    said = run(
        "import ncore, dashboard, data\n"
        "from ncore_dashboard.app.launch import command\n"
        "from ncore_dashboard.report import report_html\n"
        "from ncore_dashboard import notebook\n"
        "print(dashboard.MINE, data.MINE, report_html.__module__)\n",
        tmp_path,
    )
    assert said.split() == ["True", "True", "ncore_dashboard.report"]


def test_without_one_the_old_name_still_leads_to_ours(tmp_path: Path) -> None:
    said = run("import ncore\nfrom dashboard.report import report_html\nprint(report_html.__module__)\n", tmp_path)
    assert said.strip() == "ncore_dashboard.report"
