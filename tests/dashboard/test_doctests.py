"""The examples in docstrings; pages and the app are left out, because importing one draws it."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import ncore_dashboard
import pytest

DRAWN = ("ncore_dashboard.pages.", "ncore_dashboard.app.main")
MODULES = [
    module.name
    for module in pkgutil.walk_packages(ncore_dashboard.__path__, "ncore_dashboard.")
    if not module.name.startswith(DRAWN)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
