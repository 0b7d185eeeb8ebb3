"""One row a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ncore._validation import INT64, shown
from ncore.errors import InputError, NcoreError
from ncore.store.annotations import Annotations
from ncore.store.damage import in_line
from ncore.store.manifest import Manifest

__all__ = ["COLUMNS", "annotated", "check_summary", "frame_of", "row_of", "unreadable_row"]

_TEXT = ("candidate", "dataset", "mode", "status", "reason", "notes")
_WHOLE = ("seed", "epochs", "planned_epochs", "parameters", "bytes")
_REAL = ("validation_accuracy", "test_accuracy", "beta_eff", "seconds")
_TIME = ("created", "updated")
COLUMNS = (
    "run",
    "candidate",
    "dataset",
    "seed",
    "mode",
    "status",
    "epochs",
    "planned_epochs",
    "validation_accuracy",
    "test_accuracy",
    "beta_eff",
    "parameters",
    "seconds",
    "bytes",
    "created",
    "updated",
    "reason",
    "notes",
    "tags",
    "warnings",
)


def row_of(run_id: str, manifest: Manifest) -> dict[str, Any]:
    """What a listing shows of a run; its status as the manifest has it."""
    summary = manifest.summary
    return {
        "run": run_id,
        "candidate": manifest.candidate,
        "dataset": manifest.dataset,
        "seed": manifest.seed,
        "mode": manifest.mode,
        "status": manifest.status,
        "epochs": max(manifest.last_epoch, 0),
        "planned_epochs": manifest.planned_epochs,
        "validation_accuracy": _number(summary, "validation_accuracy"),
        "test_accuracy": _number(summary, "test_accuracy") if manifest.status == "finished" else None,
        "beta_eff": _number(summary, "beta_eff"),
        "parameters": _whole(summary if "parameters" in summary else manifest.info, "parameters"),
        "seconds": _number(summary, "seconds"),
        "bytes": _whole({"size of all files": manifest.size}, "size of all files"),
        "created": manifest.created,
        "updated": manifest.updated,
        "reason": manifest.reason,
        "notes": manifest.notes,
        "tags": (),
        "warnings": " ".join(manifest.warnings) or None,
    }


def annotated(row: Mapping[str, Any], said: Annotations | NcoreError) -> dict[str, Any]:
    """A row with what people wrote down about the run; where that cannot be read, a warning says so."""
    if isinstance(said, NcoreError):
        return {**row, "warnings": " ".join(filter(None, [row["warnings"], str(said)]))}
    if not said.tags and said.notes is None:
        return {**row}
    return {**row, "tags": said.tags, "notes": row["notes"] if said.notes is None else said.notes}


def unreadable_row(run_id: str, error: Exception) -> dict[str, Any]:
    """What a listing shows of a run that cannot be read."""
    reason = str(error) if isinstance(error, NcoreError) else f"{type(error).__name__}: {in_line(error)}."
    return {"run": run_id, "status": "unreadable", "reason": reason}


def check_summary(summary: Mapping[str, Any]) -> None:
    """Check that a listing can show what is to be recorded for it.

    Raises:
        InputError: It can't.
    """
    for name in _REAL:
        _number(summary, name)
    _whole(summary, "parameters")


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a DataFrame with the types of a listing, oldest run first; one that has no place in it says why."""
    try:
        return _frame(rows)
    except Exception:
        return _frame([_placed(row) for row in rows])


def _placed(row: dict[str, Any]) -> dict[str, Any]:
    try:
        _frame([row])
    except Exception as error:
        return unreadable_row(row["run"], error)
    return row


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    types = dict.fromkeys(_WHOLE, "Int64") | dict.fromkeys(_REAL, "float64")
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in COLUMNS}
    columns["tags"] = pd.Series([row.get("tags") or () for row in rows], dtype=object)  # tuples: they can be compared
    for name, kind in types.items():  # at once: on their way through float64 large numbers would become others
        columns[name] = pd.Series(columns[name], dtype=kind)
    for name in _TIME:
        columns[name] = pd.to_datetime(columns[name], utc=True)
    frame = pd.DataFrame(columns, columns=list(COLUMNS))
    return frame.sort_values(["created", "run"], ignore_index=True)


def _number(values: Mapping[str, Any], name: str) -> float | None:
    """A value as a real number; what is none, such as text, is not shown."""
    value = values.get(name)
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        raise InputError(f"{name!r} is {shown(value)}, but it must be a number of 64 bits.") from None


def _whole(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    if not isinstance(value, int | float) or value != value:
        return None
    if value in (float("inf"), float("-inf")) or int(value) != value or not 0 <= value <= INT64:
        raise InputError(f"{name!r} is {shown(value)}, but it must be a whole number from 0 to {INT64}.")
    return int(value)
