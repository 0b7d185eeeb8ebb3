"""One row a run."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ncore.store.manifest import Manifest

__all__ = ["COLUMNS", "frame_of", "row_of", "unreadable_row"]

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
        "validation_accuracy": _number(summary.get("validation_accuracy")),
        "test_accuracy": _number(summary.get("test_accuracy")) if manifest.status == "finished" else None,
        "beta_eff": _number(summary.get("beta_eff")),
        "parameters": _number(summary.get("parameters", manifest.info.get("parameters"))),
        "seconds": _number(summary.get("seconds")),
        "bytes": manifest.size,
        "created": manifest.created,
        "updated": manifest.updated,
        "reason": manifest.reason,
        "notes": manifest.notes,
        "warnings": " ".join(manifest.warnings) or None,
    }


def unreadable_row(run_id: str, error: Exception) -> dict[str, Any]:
    """What a listing shows of a run whose manifest cannot be read."""
    return {"run": run_id, "status": "unreadable", "reason": str(error)}


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a DataFrame with the types of a listing, oldest run first."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    types = dict.fromkeys(_WHOLE, "Int64") | dict.fromkeys(_REAL, "float64")
    frame = frame.astype(types)
    for name in _TIME:
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame.sort_values(["created", "run"], ignore_index=True)


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None
