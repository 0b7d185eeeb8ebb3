"""The examples in docstrings; pages are left out, because importing one draws it."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from dashboard import analysis, launch, listing, login, memory, plaintext, queries, views
from dashboard.figures import base, styles


@pytest.mark.parametrize("module", [analysis, base, launch, listing, login, memory, plaintext, queries, styles, views])
def test_examples(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
