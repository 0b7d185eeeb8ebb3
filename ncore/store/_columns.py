"""What a recorder hands over -> an Arrow table of the schema, checked and copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ncore.errors import InputError, StoreError
from ncore.network.strengths import Strength
from ncore.store.damage import in_line
from ncore.store.metric_names import canonical_name, canonical_split
from ncore.store.schema import TABLES

__all__ = ["FACTORS", "LATEST", "Columns", "Factors", "arrow_table", "factor_table", "factors_of_table", "latest"]

Columns: TypeAlias = pd.DataFrame | Mapping[str, Any]
"""A table as a DataFrame, or as a mapping from column name to values."""

FACTORS = ("inputs", "slopes", "errors")
LATEST = ("validation_accuracy", "test_accuracy", "seconds", "beta_eff", "beta_eff_strength")
"""What :func:`latest` finds."""

_MOST_VALUES = 2**31 - 1  # of lists: where each of them begins is kept as int32


class Factors(Protocol):
    """The factors of one block of P, as in :class:`ncore.network.LayerFactors`: arrays (N, width), signed."""

    @property
    def inputs(self) -> np.ndarray:
        """Activations z of the layer's sources."""

    @property
    def slopes(self) -> np.ndarray:
        """Slopes sigma' of the neurons that both layers share."""

    @property
    def errors(self) -> np.ndarray:
        """Errors delta of the next layer's targets."""


def arrow_table(name: str, epoch: int, columns: Columns) -> pa.Table:
    """One epoch of a table.

    Args:
        name: Of the table.
        epoch: Fills the column ``epoch``, which may be left out, like every nullable column.
        columns: Values; they are copied, so that the caller may change them afterwards.

    Raises:
        InputError: A column is missing, unknown, of another length or of values that its type cannot hold.
    """
    schema = TABLES[name].schema
    given: dict[str, Any] = {str(key): columns[key] for key in columns}
    if unknown := sorted(set(given) - set(schema.names)):
        raise InputError(f"The table {name} has no column {unknown[0]!r}: it has {', '.join(schema.names)}.")
    try:
        lengths = {len(values) for values in given.values()}
    except TypeError as error:
        raise InputError(f"A column of the table {name} is no sequence, but one value a row is needed.") from error
    if len(lengths) > 1:
        raise InputError(f"Columns of the table {name} have different lengths: {sorted(lengths)}.")
    rows = lengths.pop() if lengths else 0
    arrays = []
    for field in schema:
        if field.name in given:
            arrays.append(_array(name, field, given[field.name]))
        elif field.name == "epoch":
            arrays.append(pa.array(np.full(rows, epoch, np.int32)))
        elif field.nullable:
            arrays.append(pa.nulls(rows, field.type))
        else:
            raise InputError(f"The table {name} of epoch {epoch} lacks its column {field.name!r}.")
    table = pa.Table.from_arrays(arrays, schema=schema)
    if "epoch" in given and not (table["epoch"].to_numpy() == epoch).all():
        raise InputError(f"The table {name} holds rows of another epoch than {epoch}, the one that is recorded.")
    if name == "metrics" and not pc.all(_from_to(table["at"], epoch), min_count=0).as_py():
        raise InputError(f"The column 'at' of the table metrics must have numbers from 0 to {epoch}, its epoch.")
    return _in_order(table) if name == "trajectories" else table


def factor_table(epoch: int, layers: Sequence[Factors], scale: float | None) -> pa.Table:
    """One epoch of ``line_graph``: float32, in order of layer, factor and sample.

    Raises:
        InputError: A factor is not a matrix, or has not as many samples as the others.
    """
    schema = TABLES["line_graph"].schema
    blocks = []
    samples = len(layers[0].inputs) if layers else 0
    for layer, factors in enumerate(layers, start=1):
        for kind in FACTORS:
            matrix = np.array(getattr(factors, kind), dtype=np.float32, order="C")
            if matrix.ndim != 2 or len(matrix) != samples:
                raise InputError(
                    f"The {kind} of layer {layer} have shape {matrix.shape}, but ({samples}, width) is expected."
                )
            if matrix.size > _MOST_VALUES:
                raise InputError(
                    f"The {kind} of layer {layer} have {matrix.size} values, but at most {_MOST_VALUES} are recorded: "
                    "record fewer neurons or samples."
                )
            starts = pa.array(np.arange(samples + 1, dtype=np.int32) * np.int32(matrix.shape[1]))
            columns = {
                "epoch": pa.array(np.full(samples, epoch, np.int32)),
                "layer": pa.array(np.full(samples, layer, np.int32)),
                "factor": pa.repeat(kind, samples),
                "sample": pa.array(np.arange(samples, dtype=np.int32)),
                "scale": pa.nulls(samples, pa.float64()) if scale is None else pa.repeat(float(scale), samples),
                "values": pa.ListArray.from_arrays(starts, pa.array(matrix.reshape(-1)), type=schema.field(5).type),
            }
            blocks.append(pa.table(columns, schema=schema))
    return pa.concat_tables(blocks) if blocks else schema.empty_table()


def factors_of_table(table: pa.Table) -> tuple[list[dict[str, np.ndarray]], float | None]:
    """The inverse of :func:`factor_table`: for each layer its factors by name, and the scale.

    Raises:
        StoreError: Rows are missing.
    """
    layer, kind = table["layer"].to_numpy(), np.asarray(table["factor"].to_pylist())
    values = table["values"].combine_chunks()
    found: list[dict[str, np.ndarray]] = []
    if not len(layer) or layer.min() < 1:
        raise StoreError("The line graph has no rows, or rows of no layer.")
    for number in range(1, int(layer.max()) + 1):
        factors = {}
        for name in FACTORS:
            rows = np.flatnonzero((layer == number) & (kind == name))
            if not len(rows):
                raise StoreError(f"The line graph has no rows of the {name} of layer {number}.")
            part = values.take(pa.array(rows))
            if len(pc.unique(pc.list_value_length(part))) > 1:
                raise StoreError(f"The {name} of layer {number} are not of one width.")
            factors[name] = part.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)
        found.append(factors)
    return found, table["scale"][0].as_py()


def latest(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """What a listing shows of an epoch: accuracies, beta_eff of the whole graph, seconds since the start."""
    found: dict[str, Any] = {}
    if "metrics" in tables:
        rows = tables["metrics"].select(["at", "split", "name", "value", "seconds"]).to_pylist()
        rows.sort(key=lambda row: float("inf") if row["at"] is None else row["at"])  # the latest of an epoch counts
        for row in rows:
            split = canonical_split(row["split"])
            if split in ("validation", "test") and canonical_name(row["name"]) == "accuracy":
                found[f"{split}_accuracy"] = row["value"]
        seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
        if seconds:
            found["seconds"] = max(seconds)
    if "capacitance" in tables:
        rows = tables["capacitance"].select(["strength", "layer", "beta_eff"]).to_pylist()
        whole = {row["strength"]: row["beta_eff"] for row in rows if row["layer"] == 0}
        for strength in (Strength.RELATIVE, Strength.ABSOLUTE):
            if strength in whole:
                return {**found, "beta_eff": whole[strength], "beta_eff_strength": strength}
    return found


def _array(table: str, field: pa.Field, values: Any) -> pa.Array:
    try:
        if pa.types.is_string(field.type):
            array = pa.array(list(values), field.type, from_pandas=True)
        elif pa.types.is_list(field.type):
            array = _lists(field, values)
        elif isinstance(values, pd.Series):
            array = pa.array(values, from_pandas=True).cast(field.type)
        else:
            copied = np.array(values)
            if copied.dtype == object:  # lists with None
                array = pa.array(list(values), field.type, from_pandas=True)
            else:
                array = pa.array(copied, from_pandas=True).cast(field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"The column {field.name!r} of the table {table} is not {field.type}: {in_line(error)}."
        ) from error
    if not field.nullable and array.null_count:
        raise InputError(f"The column {field.name!r} of the table {table} has values that are missing.")
    return array


def _lists(field: pa.Field, values: Any) -> pa.Array:
    """Lists of one length from a matrix, or any from a sequence of them."""
    matrix = values if isinstance(values, np.ndarray) and values.ndim == 2 else None
    if matrix is None:
        return pa.array(list(values), field.type, from_pandas=True)
    if matrix.size > _MOST_VALUES:
        raise ValueError(f"it has {matrix.size} values, but at most {_MOST_VALUES} are recorded")
    starts = pa.array(np.arange(len(matrix) + 1, dtype=np.int32) * np.int32(matrix.shape[1]))
    flat = pa.array(np.array(matrix, dtype=np.float32, order="C").reshape(-1))
    return pa.ListArray.from_arrays(starts, flat, type=field.type)


def _from_to(values: pa.ChunkedArray, last: int) -> pa.ChunkedArray:
    """Whether each is from 0 to a number; what is missing counts as inside."""
    inside = pc.and_(pc.greater_equal(values, 0.0), pc.less_equal(values, float(last)))
    return pc.fill_null(inside, True)


def _in_order(table: pa.Table) -> pa.Table:
    """Sorted by synapse, and so by layer: synapses are numbered layer by layer."""
    synapses = table["synapse"].to_numpy()
    steps = np.diff(synapses)
    if (steps < 0).any():
        order = np.argsort(synapses, kind="stable")
        table, steps = table.take(pa.array(order)), np.diff(synapses[order])
    if (steps == 0).any():
        raise InputError("A synapse occurs twice in the trajectories of one epoch.")
    return table
