"""``text:PATH``, ``table:PATH`` and ``labels:PATH``: examples that are rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ncore.errors import InputError
from ncore.probe._choices import unknown
from ncore.probe.modalities.names import NameItems
from ncore.probe.modalities.tables import TableItems
from ncore.probe.modalities.texts import TextItems
from ncore.probe.sources.data_files import LABEL_COLUMNS
from ncore.probe.sources.pools import Pool, Raw, numbered, refuse_other_tasks
from ncore.probe.sources.split_rules import plain_values
from ncore.probe.sources.table_files import ID_COLUMNS, read_sets

if TYPE_CHECKING:
    from ncore.probe.sources.dataset_spec import DatasetSpec

__all__ = ["LABELS", "MANY_CLASSES", "TEXTS", "load_labels", "load_table", "load_text", "texts_of"]

TEXTS = ("text", "sentence", "content", "document", "review", "body", "comment")
LABELS = (*LABEL_COLUMNS, "category", "y")
_FEW_CLASSES = 50
MANY_CLASSES = 0.5
"""Share of rows with a label of their own from which on a column of numbers is no column of classes."""


def load_text(path: str, spec: DatasetSpec) -> Raw:
    """Read texts, or pairs of them.

    Raises:
        InputError: No files or columns, texts that are numbers, empty or missing.
    """
    frames, identity = read_sets(path, spec.files, text=True)
    what = spec.name
    wanted = [spec.text_column] if isinstance(spec.text_column, str) else list(spec.text_column or ())
    pools = {}
    for split, frame in frames.items():
        columns = wanted or [_column(frame, None, TEXTS, "text", what)]
        texts = [texts_of(_values(frame, column, what), column, f"{what}: {split}") for column in columns]
        items = TextItems(list(zip(*texts, strict=True)), f"{what} ({split})")
        pools[split] = _pool(frame, items, spec, what)
    return _numbered(pools, identity, what)


def texts_of(values: Sequence[Any], column: str, what: str) -> list[str]:
    """Values of a column of texts, as they are.

    Raises:
        InputError: They are numbers, or some are empty or missing.
    """
    kinds = {type(value) for value in values}
    if not kinds & {str}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(f"{what}: the column {column!r} holds {found}, but texts were expected: choose another one.")
    if all(isinstance(value, str) and _is_number(value) for value in values):
        raise InputError(f"{what}: the column {column!r} holds numbers only, but texts were expected: choose another "
                         "one.")  # fmt: skip
    empty = [row for row, value in enumerate(values) if not isinstance(value, str) or not value.strip()]
    if empty:
        raise InputError(
            f"{what}: {len(empty)} of the {len(values)} texts in {column!r} are empty or missing, the first in row "
            f"{empty[0]}: leave these rows out."
        )
    return list(values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def load_table(path: str, spec: DatasetSpec) -> Raw:
    """Read rows of numbers and categories.

    Raises:
        InputError: No files or columns, a column of lists, or nothing but labels.
    """
    frames, identity = read_sets(path, spec.files)
    what, said = spec.name, []
    label = _column(frames["train"], spec.label_column, LABELS, "label", what)
    aside = {label, *spec.columns.values()} | ({spec.id_column} if spec.id_column else set())
    if spec.features is not None:
        for name in [*spec.features, *spec.categorical]:
            if name not in frames["train"]:
                raise unknown(f"a column of {what}", name, map(str, frames["train"].columns))
        used = [name for name in spec.features if name not in aside]
    else:
        used = [str(name) for name in frames["train"].columns if str(name) not in aside]
    if not used:
        raise InputError(f"{what} has no column but that of the labels: name others with `features`.")
    numeric = {name for name in used if _is_numeric(frames["train"][name]) and name not in spec.categorical}
    pools = {}
    for split, frame in frames.items():
        if lacks := [name for name in used if name not in frame]:
            raise InputError(f"{what}: {split} lacks the column {lacks[0]!r}, which train has.")
        rows = pd.DataFrame({name: _cells(frame[name], name in numeric, f"{what}: {split}") for name in used})
        pools[split] = _pool(frame, TableItems(rows, f"{what} ({split})"), spec, what)
    said += _odd(frames["train"], label, used, numeric)
    raw = _numbered(pools, identity, what)
    return Raw(raw.pools, raw.class_names, raw.identity, (*raw.warnings, *said))


def _is_numeric(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column)) and not pd.api.types.is_bool_dtype(column)


def _cells(column: pd.Series, numeric: bool, what: str) -> pd.Series:
    """A column as float64, or as texts with None for what is missing."""
    if numeric:
        try:
            values = pd.to_numeric(column).astype(np.float64)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{what}: the column {column.name!r} holds numbers in train, but not here: name it in `categorical`, "
                "or mend it."
            ) from error
        return values.where(np.isfinite(values))
    if column.map(lambda value: isinstance(value, list | dict | np.ndarray)).any():
        raise InputError(f"{what}: the column {column.name!r} holds lists, but one number or one name was expected: "
                         "choose columns with `features`.")  # fmt: skip
    return pd.Series([None if pd.isna(value) else str(value) for value in column], column.index, dtype=object)


def _odd(frame: pd.DataFrame, label: str, used: Sequence[str], numeric: set[str]) -> list[str]:
    """Columns that say what the label is, are different in every row, or the same in all."""
    said, labels = [], frame[label]
    for name in used:
        column, values = frame[name], frame[name].nunique(dropna=False)
        kinds = labels.groupby(column, dropna=False).nunique()
        if values == labels.nunique() and (kinds == 1).all():
            said.append(f"The column {name!r} says what {label!r} is, one for one: leave it out with `features`, if it "
                        "isn't known before.")  # fmt: skip
        elif name not in numeric and values > MANY_CLASSES * len(frame) and values > 20:
            said.append(f"The column {name!r} has {values} categories in {len(frame)} rows, as ids have: nothing can "
                        "be learned from these; name it as `id_column`, or leave it out with `features`.")  # fmt: skip
        elif values == 1:
            said.append(f"The column {name!r} is the same in every row.")
    return said


def load_labels(path: str, spec: DatasetSpec) -> Raw:
    """Read ids and labels only, for candidates that are vectors from elsewhere.

    Raises:
        InputError: No files or columns, or an id twice.
    """
    frames, identity = read_sets(path, spec.files)
    pools = {}
    for split, frame in frames.items():
        pool = _pool(frame, NameItems(np.empty(0), ""), spec, spec.name, ids_needed=True)
        names = pool.columns["id"]
        values, counts = np.unique(names.astype(str), return_counts=True)
        if (counts > 1).any():
            raise InputError(f"{spec.name}: the id {str(values[counts > 1][0])!r} stands in {split} twice: give each "
                             "example an id of its own.")  # fmt: skip
        pools[split] = Pool(pool.labels, NameItems(names, f"{spec.name} ({split})"), pool.columns)
    return _numbered(pools, identity, spec.name)


def _pool(frame: pd.DataFrame, items: Any, spec: DatasetSpec, what: str, ids_needed: bool = False) -> Pool:
    """A set with its labels, and what else is told of its rows."""
    label = _column(frame, spec.label_column, LABELS, "label", what)
    columns = {role: plain_values(_values(frame, column, what), column, what) for role, column in spec.columns.items()}
    found = spec.id_column or next((name for name in ID_COLUMNS if ids_needed and name in frame), None)
    if ids_needed and found is None:
        raise InputError(f"{what} has the columns {', '.join(map(str, frame.columns))}: name that of the ids with "
                         "`id_column`.")  # fmt: skip
    if found is not None:
        columns["id"] = np.array([str(one) for one in _values(frame, found, what)], dtype=object)
    return Pool(_labels(frame[label], label, what), items, columns)


def _labels(column: pd.Series, name: str, what: str) -> np.ndarray:
    """Labels as whole numbers or names.

    Raises:
        InputError: One is missing, or these are no classes: numbers to be predicted, or several labels a row.
    """
    refuse_other_tasks(column.to_numpy(), f"{what}: the labels in {name!r}")
    if missing := int(column.isna().sum() + (column.astype(str).str.strip() == "").sum()):
        raise InputError(f"{what} has {missing} rows without a label in {name!r}: leave them out.")
    if pd.api.types.is_bool_dtype(column):
        return column.map({True: "true", False: "false"}).to_numpy(object)
    if not pd.api.types.is_numeric_dtype(column):
        texts = column.astype(str)
        if not texts.map(_is_number).all():
            return texts.to_numpy(object)
        column = pd.to_numeric(texts)  # in a file that was read as text
    refuse_other_tasks(column.to_numpy(), f"{what}: the labels in {name!r}")
    values = column.nunique()
    if values > max(_FEW_CLASSES, MANY_CLASSES * len(column)):
        raise InputError(f"{what}: the column {name!r} holds {values} different numbers in {len(column)} rows, as "
                         "regression has them, which is not supported: one class a row was expected.")  # fmt: skip
    return column.astype(np.int64).to_numpy()


def _numbered(pools: Mapping[str, Pool], identity: str, what: str) -> Raw:
    numbered_pools, names = numbered(pools, None, what)
    return Raw(numbered_pools, names, identity)


def _column(frame: pd.DataFrame, given: str | None, usual: Sequence[str], what: str, name: str) -> str:
    """Name of a column: as given, or the first of the usual ones that there is.

    Raises:
        InputError: There is none.
    """
    columns = [str(column) for column in frame.columns]
    if given is not None:
        if given not in columns:
            raise unknown(f"a column of {name}", given, columns)
        return given
    lower = {column.casefold(): column for column in reversed(columns)}
    for own in usual:
        if own in lower:
            return lower[own]
    raise InputError(f"{name} has the columns {', '.join(columns)}: name the one of the {what}s with `{what}_column`.")


def _values(frame: pd.DataFrame, column: str, what: str) -> list[Any]:
    """A column, with None for what is missing."""
    if column not in frame:
        raise unknown(f"a column of {what}", column, map(str, frame.columns))
    values = frame[column]
    return [None if not isinstance(value, list | np.ndarray) and pd.isna(value) else value for value in values.tolist()]
