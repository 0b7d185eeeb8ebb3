"""The order of the code: private modules stay in their room, and every public module says what it offers.

That rooms import downwards only is held by import-linter, in the test command.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"ncore": ROOT / "ncore", "ncore_dashboard": ROOT / "dashboard" / "ncore_dashboard"}
MODULES = {
    ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"): path
    for package, folder in PACKAGES.items()
    for path in sorted(folder.rglob("*.py"))
}
#: What Streamlit runs, and what `python -m` does: scripts, from which nothing is imported.
SCRIPTS = {
    name
    for name in MODULES
    if name.startswith("ncore_dashboard.pages.") or name.endswith((".__main__", "ncore_dashboard.app.main"))
}


def imported(path: Path) -> set[str]:
    """The modules of ours that a file imports, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found & set(MODULES)


def room(module: str) -> str:
    """The folder right below the package; the package itself for what lies in it."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 or (PACKAGES[parts[0]] / parts[-1]).is_dir() else parts[0]


def is_private(module: str) -> bool:
    return any(part.startswith("_") for part in module.split("."))


@pytest.mark.parametrize("name", MODULES)
def test_private_modules_are_imported_in_their_room_only(name: str) -> None:
    for found in imported(MODULES[name]):
        if is_private(found):
            own = room(found)
            assert name == own or name.startswith(f"{own}."), f"{name} imports {found}, which is private to {own}"


@pytest.mark.parametrize("name", sorted(set(MODULES) - SCRIPTS))
def test_all_lists_what_is_public(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    defined, listed = set(), None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            listed = set(ast.literal_eval(node.value))
    defined = {found for found in defined if not found.startswith("_")}
    if listed is None:
        assert not defined, f"{name} lacks __all__"
    else:
        assert defined <= listed, f"{name}.__all__ lacks {sorted(defined - listed)}"


def test_no_module_is_left_in_a_folder_of_old() -> None:
    """Of the dashboard's folder only the package is code, so that no `dashboard.x` can be imported from it."""
    assert not list((ROOT / "dashboard").glob("*.py"))
