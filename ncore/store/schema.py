"""The tables of a run: columns, order, and how each is laid out in Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

__all__ = ["SCHEMA_VERSION", "TABLES", "TABLE_KEY", "VERSION_KEY", "Table"]

SCHEMA_VERSION = 2
"""Version of the run format; any change that an older reader would misread raises it.

Runs of older versions are read through :mod:`ncore.store.migrations`."""

VERSION_KEY, TABLE_KEY = b"ncore.schema", b"ncore.table"
"""Under which a Parquet file says in its key-value metadata what it is."""


@dataclass(frozen=True)
class Table:
    """One table of a run.

    Attributes:
        name: Also the name of its file.
        schema: Arrow schema; a column that may be left out is nullable.
        options: Parquet writer options: encodings measured on real trajectories (delta for numbers that
            climb, byte planes for floats, dictionaries for what repeats) and statistics to prune by.
        group_rows: Rows of a row group at most: small enough to skip most of a file, large enough to decode fast.
        later: Nullable columns at the end that files of this version may lack: those written before they came.
    """

    name: str
    schema: pa.Schema
    options: dict[str, Any]
    group_rows: int
    later: tuple[str, ...] = ()


def _table(
    name: str,
    columns: dict[str, pa.DataType],
    required: str,
    pruned: str,
    group_rows: int = 16_384,
    delta: str = "",
    later: str = "",
) -> Table:
    fields = [pa.field(key, kind, nullable=key not in required.split()) for key, kind in columns.items()]
    encodings = dict.fromkeys(delta.split(), "DELTA_BINARY_PACKED")
    for key, kind in columns.items():
        if pa.types.is_list(kind):
            encodings[f"{key}.list.element"] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_floating(kind):
            encodings[key] = "BYTE_STREAM_SPLIT"
    options = {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [key for key, kind in columns.items() if key not in encodings and not pa.types.is_list(kind)],
        "column_encoding": encodings,
        "write_statistics": pruned.split(),
        "write_page_checksum": True,
        "store_schema": False,
    }
    return Table(name, pa.schema(fields), options, group_rows, tuple(later.split()))


_INT, _LONG, _REAL, _SINGLE, _TEXT = pa.int32(), pa.int64(), pa.float64(), pa.float32(), pa.string()
_SINGLES = pa.list_(pa.field("element", _SINGLE))

TABLES = {
    table.name: table
    for table in (
        _table(
            "metrics",
            {
                "epoch": _INT,
                "at": _REAL,
                "step": _LONG,
                "split": _TEXT,
                "name": _TEXT,
                "value": _REAL,
                "seconds": _REAL,
            },
            required="epoch split name",
            pruned="epoch",
        ),
        _table(
            "capacitance",
            {
                "epoch": _INT,
                "strength": _TEXT,
                "layer": _INT,
                "beta_eff": _REAL,
                "numerator": _REAL,
                "denominator": _REAL,
                "conditioning": _REAL,
                "mean_degree": _REAL,
                "symmetry": _REAL,
                "heterogeneity": _REAL,
                "in_degree_std": _REAL,
                "out_degree_std": _REAL,
                "reason": _TEXT,
            },
            required="epoch strength layer",
            pruned="epoch",
        ),
        _table(
            "trajectories",
            {
                "epoch": _INT,
                "layer": _INT,
                "synapse": _LONG,
                "source": _INT,
                "target": _INT,
                "weight": _SINGLE,
                "rate": _SINGLE,
            },
            required="epoch layer synapse source target",
            pruned="epoch layer synapse",
            delta="synapse source target",
        ),
        _table(
            "line_graph",
            {
                "epoch": _INT,
                "layer": _INT,
                "factor": _TEXT,
                "sample": _INT,
                "scale": _REAL,
                "values": _SINGLES,
            },
            required="epoch layer factor sample",
            pruned="epoch layer",
            group_rows=512,
        ),
        _table(
            "predictions",
            {
                "epoch": _INT,
                "split": _TEXT,
                "example": _INT,
                "label": _INT,
                "predicted": _INT,
                "probability": _SINGLE,
                "label_probability": _SINGLE,
                "label_rank": _INT,
                "probabilities": _SINGLES,
            },
            required="epoch split example label predicted",
            pruned="epoch",
            delta="example",
            later="label_rank probabilities",
        ),
    )
}
"""By name.

``metrics``: ``at`` is the epochs of training done, in fractions, when a row was measured; null means ``epoch``, the
one that it was committed with. ``step`` counts optimizer steps, ``seconds`` those since the start.

``predictions``: of single examples; ``example`` is the row within the split, ``probability`` is that of the predicted
class and ``label_probability`` that of the true one, ``label_rank`` how many classes are more probable than the true
one, and ``probabilities`` those of all classes; null where they were not taken or are no numbers.

``line_graph``: the factors z, sigma', delta of the block of P between ``layer`` and ``layer`` + 1,
one row a sample; ``scale`` is one over the beta_eff of an untrained classifier, null where it was not taken."""
