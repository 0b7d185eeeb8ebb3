"""What a table beside pictures says of them: a CSV, JSON-lines or Parquet file with a column ``file_name``."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ncore.errors import InputError
from ncore.probe._choices import first_line, unknown
from ncore.probe.sources.split_names import nfc
from ncore.probe.sources.split_rules import plain_values

__all__ = ["FILE_NAME", "NAMES", "columns_beside", "read_table"]

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""What such a file is called where `metadata` names none: as in the Hub's folders of pictures."""
FILE_NAME = "file_name"


def columns_beside(
    root: Path,
    sets: Mapping[str, Path],
    paths: Mapping[str, Sequence[Path]],
    columns: Mapping[str, str],
    given: str | None,
) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """Columns of the metadata for each picture of each set.

    Args:
        root: The folder of the dataset.
        sets: The folder of each set.
        paths: The pictures of each set.
        columns: The names of columns by what they are for.
        given: The file, from the folder or from here; those of the usual names, in the folder or in each set's, if
            none is given.

    Returns:
        By set and by what they are for; and what is to be said.

    Raises:
        InputError: No such file or column, a file named twice, or pictures without a row.
    """
    files = {root: _file(root, given)} if given else _usual(root, sets)
    tables = {folder: read_table(file, columns) for folder, file in files.items()}
    used: dict[Path, set[str]] = {folder: set() for folder in tables}
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, own in paths.items():
        base = root if root in tables else sets[name]
        keys = [nfc(path.relative_to(base).as_posix()) for path in own]
        table = tables[base]
        if missing := [key for key in keys if key not in table]:
            raise InputError(
                f"{len(missing)} of {len(keys)} pictures in {str(sets[name])!r} have no row in {files[base].name!r}, "
                f"{missing[0]!r} among them: add them, by their path from {str(base)!r}, or move the files away."
            )
        used[base].update(keys)
        found[name] = {
            role: plain_values([table[key][role] for key in keys], column, str(files[base]))
            for role, column in columns.items()
        }
    rest = sum(len(tables[folder].keys() - names) for folder, names in used.items())
    return found, [f"{rest} rows of the metadata of {root.name} name no picture."] if rest else []


def read_table(file: Path, columns: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Some columns of a file by what its column ``file_name`` has.

    Raises:
        InputError: It can't be read, lacks a column, or names a picture twice.
    """
    try:
        rows = _READERS[file.suffix.lower()](file)
    except KeyError as error:
        raise InputError(f"the metadata {str(file)!r} ends in {file.suffix!r}: give a file that ends in "
                         f"{', '.join(_READERS)}.") from error  # fmt: skip
    except Exception as error:  # whatever the readers of three formats raise
        raise InputError(f"the metadata {str(file)!r} cannot be read ({first_line(error)}).") from error
    known = list(dict.fromkeys(key for row in rows for key in row))
    for column in (FILE_NAME, *columns.values()):
        if column not in known:
            raise unknown(f"a column of {str(file)!r}", column, known)
    table: dict[str, dict[str, Any]] = {}
    for row in rows:
        path = nfc(str(row.get(FILE_NAME) or "").replace("\\", "/")).removeprefix("./")
        if path in table:
            raise InputError(f"the metadata {str(file)!r} has {path!r} twice: keep one row for each picture.")
        table[path] = {role: row.get(column) for role, column in columns.items()}
    return table


def _csv(file: Path) -> list[dict[str, Any]]:
    """As text throughout: patient 007 is not patient 7. Parted by semicolons where the first line is."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        head = lines.readline()
        lines.seek(0)
        mark = "\t" if file.suffix.lower() == ".tsv" else ";" if ";" in head and "," not in head else ","
        rows = list(csv.DictReader(lines, delimiter=mark, strict=True))
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has {'more' if None in row else 'fewer'} cells than the first line")
    return rows


def _json_lines(file: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    if any(not isinstance(row, dict) for row in rows):
        raise ValueError("a line is no object")
    return rows


def _parquet(file: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(file).to_pylist()


_READERS = {".csv": _csv, ".tsv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}


def _file(root: Path, given: str) -> Path:
    for place in (root / given, Path(given).expanduser()):
        if place.is_file():
            return place
    raise InputError(f"the `metadata` {given!r} is neither in {str(root)!r} nor a file from here: correct its path.")


def _usual(root: Path, sets: Mapping[str, Path]) -> dict[Path, Path]:
    def one(folder: Path) -> Path | None:
        present = [folder / name for name in NAMES if (folder / name).is_file()]
        if len(present) > 1:
            raise InputError(
                f"the folder {str(folder)!r} has {' and '.join(file.name for file in present)}: choose with `metadata`."
            )
        return present[0] if present else None

    if (whole := one(root)) is not None:
        return {root: whole}
    found = {folder: one(folder) for folder in sets.values()}
    if None in found.values():
        folder = next(folder for folder, file in found.items() if file is None)
        raise InputError(
            f"the folder {str(folder)!r} has none of {', '.join(NAMES)} that could tell of its pictures: add one with "
            f"the column `{FILE_NAME}`, or name the file with `metadata`."
        )
    return {folder: file for folder, file in found.items() if file is not None}
