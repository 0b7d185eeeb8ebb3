"""Tables in CSV, TSV, JSON-lines and Parquet files, by set."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ncore.errors import InputError
from ncore.probe._choices import first_line
from ncore.probe.sources.data_files import expand, root_of, sort_files
from ncore.probe.sources.pools import digest

__all__ = ["ID_COLUMNS", "SUFFIXES", "read_sets", "read_table"]

_GAPS = ("", "NA", "N/A", "na", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A")
ID_COLUMNS = ("id", "ids", "_id", "key", "name", "file_name")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def read_table(path: Path, text: bool = False) -> pd.DataFrame:
    """One file, by its suffix.

    Args:
        path: Of the file.
        text: Leave everything in CSV text as it is written: ``NA``, ``007`` and ``1.0`` stay what they are.

    Raises:
        InputError: No such file, another suffix, or what can't be read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"the file {str(path)!r} is none of {', '.join(SUFFIXES)}: save it as one of these.")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            with path.open(encoding="utf-8-sig") as file:  # pandas would round numbers
                return pd.DataFrame([json.loads(line) for line in file if line.strip()])
        separator = "\t" if suffix == ".tsv" else _separator(path)
        frame = pd.read_csv(path, sep=separator, encoding="utf-8-sig", dtype=str, keep_default_na=False)
        return frame if text else pd.DataFrame({name: _typed(frame[name]) for name in frame})
    except Exception as error:
        raise InputError(f"the table {str(path)!r} cannot be read ({first_line(error)}).") from error


def _typed(column: pd.Series) -> pd.Series:
    """A column of CSV text as numbers where all of it is, but for gaps; else as text, in which only blanks are gaps.

    So a category may be called NA, None or null.
    """
    gaps = column.str.strip().isin(_GAPS)
    try:
        numbers = pd.to_numeric(column[~gaps])
    except (ValueError, TypeError):
        return column.where(column.str.strip() != "", None).astype(object)
    return numbers.reindex(column.index) if len(numbers) else column.where(column.str.strip() != "", None)


def _separator(path: Path) -> str:
    """Comma, semicolon or tab, as the first line of a CSV file has it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
    try:
        return csv.Sniffer().sniff(head, delimiters=",;\t").delimiter
    except csv.Error:  # a single column
        return ","


def read_sets(
    path: str, files: Mapping[str, str | Sequence[str]] | None, text: bool = False
) -> tuple[dict[str, pd.DataFrame], str]:
    """Tables by set, told by the names of files as with Parquet files of pictures, and what they are.

    Raises:
        InputError: No files, a file in two sets, files with other columns, or no rows.
    """
    if files:
        sets = {split: expand(given, SUFFIXES) for split, given in files.items()}
    else:
        sets = sort_files(expand(path, SUFFIXES), root_of(path))
    if "train" not in sets:
        raise InputError(f"`files` names {', '.join(sets)}, but train is needed: add it.")
    where = [file.resolve() for group in sets.values() for file in group]
    if twice := [file for file in where if where.count(file) > 1]:
        raise InputError(f"the file {str(twice[0])!r} is given for two sets: train, validation and test must differ.")
    frames = {}
    for split, group in sets.items():
        tables = [read_table(file, text) for file in group]
        for file, table in zip(group, tables, strict=True):
            if lacks := [name for name in tables[0].columns if name not in table.columns]:
                raise InputError(f"the file {str(file)!r} lacks the column {lacks[0]!r}, which {group[0].name!r} has.")
        frames[split] = pd.concat(tables, ignore_index=True)
        if not len(frames[split]):
            raise InputError(f"{path or group[0].name}: {split} holds no rows.")
    listing = [f"{split}/{file.name}:{file.stat().st_size}" for split, group in sets.items() for file in group]
    return frames, digest(*listing)
