"""Runs of older versions of the format, lifted to the newest one as they are read; nothing is rewritten for it.

One module a step. Each has the version that it lifts, what a manifest's JSON becomes, and, of the tables that the
step changes, the Arrow schema from before it and what their rows become. A manifest and the Parquet files that it
lists are lifted each by the version that they say themselves: a run that was begun by an older ncore and resumed has
files of both.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ncore.store.migrations import v1_to_v2
from ncore.store.schema import SCHEMA_VERSION, TABLES

__all__ = ["OLDEST", "is_readable", "known_versions", "lift_manifest", "lift_rows", "schema_of"]

_STEPS = (v1_to_v2,)

OLDEST = SCHEMA_VERSION - len(_STEPS)
"""The oldest version that is read."""


def is_readable(version: Any) -> bool:
    """Whether a version, as a file says it, is one that this ncore reads."""
    return isinstance(version, int) and not isinstance(version, bool) and OLDEST <= version <= SCHEMA_VERSION


def known_versions() -> str:
    """In words."""
    return f"versions {OLDEST} to {SCHEMA_VERSION}"


def lift_manifest(content: dict[str, Any]) -> dict[str, Any]:
    """A manifest's JSON as the newest version has it; what has no sensible values keeps them, to be refused later.

    Args:
        content: As it was read, of a version that is readable.
    """
    for step in _STEPS[content["schema"] - OLDEST :]:
        content = {**step.lift_manifest(content), "schema": step.VERSION + 1}
    return content


def schema_of(table: str, version: int) -> pa.Schema:
    """The columns that files of a version have."""
    changed = (step.SCHEMAS[table] for step in _STEPS[version - OLDEST :] if table in step.SCHEMAS)
    return next(changed, TABLES[table].schema)


def lift_rows(table: str, version: int, rows: pa.Table) -> pa.Table:
    """Rows of a file as the newest version has them.

    Args:
        table: Its name.
        version: Of the file.
        rows: With all columns, or some of a table that no step has changed.
    """
    for step in _STEPS[version - OLDEST :]:
        if table in step.SCHEMAS:
            rows = step.lift_rows(table, rows)
    return rows
