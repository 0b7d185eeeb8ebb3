"""Networks of rows of a table: the dense built-in ones, and ``python:`` factories that take ``columns``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from ncore.errors import InputError
from ncore.probe import builtin
from ncore.probe.modalities.base import TableShape
from ncore.probe.modalities.tables import TableInput
from ncore.probe.sources.model_python import call, find
from ncore.probe.sources.models import Loaded

if TYPE_CHECKING:
    from ncore.probe.sources.candidate_spec import CandidateSpec

__all__ = ["load"]


def load(spec: CandidateSpec, shape: TableShape) -> Loaded:
    """Build a network for rows of so many numbers.

    Raises:
        InputError: The source has none.
    """
    name, takes = spec.source.partition(":")[2], TableInput(shape.columns)
    if spec.kind == "builtin" and name.removesuffix("-small") in builtin.TABLE:
        return Loaded(builtin.build(name, shape, spec.kwargs), takes=takes)
    if spec.kind == "python":
        module, _, function = name.partition(":")
        wanted = inspect.signature(find(module, function, spec.source)).parameters
        kwargs = dict(spec.kwargs)
        if "columns" in wanted:
            kwargs.setdefault("columns", shape.columns)
        return Loaded(call(module, function, (), kwargs, spec.source), takes=takes)
    known = ", ".join(name for name in builtin.NAMES if name.removesuffix("-small") in builtin.TABLE)
    raise InputError(
        f"{spec.name} takes no rows of numbers, as the dataset has them: use one of {known}, or a `python:` factory."
    )
