"""The lessons, in the order in which they are shown. To add one: a module in this package, and its name here."""

from __future__ import annotations

import importlib

from ncore_dashboard.learn.lessons.frame import Lesson

__all__ = ["NAMES", "lessons"]

NAMES: tuple[str, ...] = ("collapse", "synapses", "training", "forecast", "judging", "limits")
"""Modules of this package; the name is also in the URL, so it stays as it is."""


def lessons() -> dict[str, Lesson]:
    """Lessons by name. Modules are imported here and not when the app starts."""
    return {name: importlib.import_module(f"ncore_dashboard.learn.lessons.{name}").LESSON for name in NAMES}
