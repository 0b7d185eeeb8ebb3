"""Schema 2: ``metrics`` has the column ``at``, manifests hold epochs as spans, and there is ``predictions``."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ncore.store.schema import TABLES
from ncore.store.spans import spans_of

__all__ = ["SCHEMAS", "VERSION", "lift_manifest", "lift_rows"]

VERSION = 1
"""What this step lifts."""

SCHEMAS = {
    "metrics": pa.schema(
        [
            pa.field("epoch", pa.int32(), nullable=False),
            pa.field("step", pa.int64()),
            pa.field("split", pa.string(), nullable=False),
            pa.field("name", pa.string(), nullable=False),
            pa.field("value", pa.float64()),
            pa.field("seconds", pa.float64()),
        ]
    )
}
"""Of the tables that this step changes, as they were."""


def lift_manifest(content: dict[str, Any]) -> dict[str, Any]:
    """Epochs were listed one by one; what a run was given, and what it costs, was not recorded yet."""
    tables = content.get("tables", {})
    return {
        **content,
        "epochs": _spans(content.get("epochs", [])),
        "tables": {name: _spans(epochs) for name, epochs in tables.items()} if isinstance(tables, dict) else tables,
    }


def lift_rows(table: str, rows: pa.Table) -> pa.Table:
    """Everything was measured at the end of its epoch, which a missing ``at`` means."""
    schema = TABLES[table].schema
    missing = pa.chunked_array([pa.nulls(len(rows), pa.float64())])
    return pa.table([missing if name == "at" else rows[name] for name in schema.names], schema)


def _spans(epochs: Any) -> Any:
    """Spans of epochs, or what was there if that is no list of whole numbers."""
    sound = isinstance(epochs, list) and set(map(type, epochs)) <= {int}
    return spans_of(epochs) if sound else epochs
