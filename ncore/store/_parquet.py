"""Parquet files of a run: encode, stream, open with the checks, read only what is asked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ncore.errors import NcoreError, SchemaVersionError
from ncore.store._folder import Folder
from ncore.store._footer import check_footer, footer_bytes
from ncore.store.damage import DamagedFileError, in_line
from ncore.store.layout import checksum
from ncore.store.manifest import Extent, FileEntry
from ncore.store.migrations import is_readable, known_versions, lift_rows, schema_of
from ncore.store.schema import SCHEMA_VERSION, TABLE_KEY, TABLES, VERSION_KEY

__all__ = [
    "WHOLE",
    "CheckedSink",
    "Groups",
    "Wanted",
    "check_table",
    "content_damage",
    "damaged_groups",
    "encode",
    "entry_of",
    "footer_is_sound",
    "lifted_group",
    "open_table",
    "read_group",
    "read_rows",
    "stream_writer",
    "too_large",
]

WHOLE = 4 << 20
"""Files up to this many bytes are fetched at once and checked whole; of larger ones only the pages that are read."""

_MOST_ROWS = 1 << 20  # of a row group; tables have thousands

Wanted = Mapping[str, np.ndarray]
"""Column name -> sorted values; only rows that have one of them in every column are wanted."""


class Groups:
    """The footer of a file, and what its statistics say, column by column once that is asked for.

    Args:
        metadata: Of the file, which never changes.
    """

    def __init__(self, metadata: pq.FileMetaData) -> None:
        self.metadata = metadata
        self._limits: dict[str, tuple[np.ndarray, np.ndarray] | None] = {}

    def possible(self, wanted: Wanted) -> np.ndarray:
        """Numbers of the row groups that can have rows that are wanted."""
        left = np.ones(self.metadata.num_row_groups, bool)
        for name, values in wanted.items():
            if name not in self._limits:
                self._limits[name] = _limits(self.metadata, name)
            if (limits := self._limits[name]) is not None:
                left &= np.searchsorted(values, limits[0]) < np.searchsorted(values, limits[1], "right")
        return np.flatnonzero(left)


def encode(name: str, table: pa.Table) -> pa.Buffer:
    """A table as a Parquet file in memory."""
    sink = pa.BufferOutputStream()
    with _writer(name, sink) as writer:
        writer.write_table(table, row_group_size=TABLES[name].group_rows)
    return sink.getvalue()


def entry_of(data: pa.Buffer) -> FileEntry:
    """What the manifest says of a Parquet file."""
    footer = data[len(data) - _footer_bytes(data) :]
    tail = Extent(bytes=len(footer), crc32=checksum(footer))
    return FileEntry(bytes=len(data), crc32=checksum(data), tail=tail)


class CheckedSink:
    """A file to write into that keeps count of size and checksum."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._whole = Extent(bytes=0, crc32="0" * 8)
        self._tail: Extent | None = None

    @property
    def entry(self) -> FileEntry:
        """What the manifest says of the file."""
        return FileEntry(bytes=self._whole.bytes, crc32=self._whole.crc32, tail=self._tail)

    def begin_tail(self) -> None:
        """Say that the footer comes next."""
        self._tail = Extent(bytes=0, crc32="0" * 8)

    def write(self, data: Any) -> int:
        """Write all of ``data``."""
        self._whole = _longer(self._whole, data)
        self._tail = self._tail and _longer(self._tail, data)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        """The file is flushed by its owner."""


@contextlib.contextmanager
def stream_writer(name: str, sink: CheckedSink) -> Iterator[pq.ParquetWriter]:
    """A writer for tables of any number, which keeps none of them in memory."""
    with _writer(name, pa.PythonFile(sink, mode="w")) as writer:
        yield writer
        sink.begin_tail()


@contextlib.contextmanager
def open_table(
    folder: Folder, path: str, name: str, entry: FileEntry, groups: Groups | None = None, choosing: bool = False
) -> Iterator[pq.ParquetFile]:
    """A listed Parquet file, opened with the checks.

    Args:
        folder: Of the run.
        path: Of the file, in the folder.
        name: Of the table that it must hold.
        entry: What the manifest says of it.
        groups: What its footer was read as before, if it was.
        choosing: Whether the footer will be asked for more than how many rows there are, as by :func:`read_rows`.

    Raises:
        FileNotFoundError: It is not there.
        SchemaVersionError: It is of an unknown version.
        DamagedFileError: It is not what was recorded, as far as it was looked at, also inside the block.
    """
    where = folder.name_of(path)
    with contextlib.ExitStack() as stack:
        try:
            source = _in_pieces(folder, path, entry, stack) or _whole(folder, path, entry)
            known = groups and groups.metadata
            file = pq.ParquetFile(source, metadata=known, page_checksum_verification=True, pre_buffer=False)
            check_table(file, name, where)
            if choosing and known is None:
                check_footer(footer_bytes(source), file.schema)
            yield file
        except (FileNotFoundError, NcoreError):
            raise
        except Exception as error:  # Arrow raises nearly everything, and runs out of memory, on what is not sound
            raise DamagedFileError(where, "corrupt", in_line(error)) from error


def _in_pieces(folder: Folder, path: str, entry: FileEntry, stack: contextlib.ExitStack) -> Any:
    """A large file to read pieces of, its footer checked; None if it is better read whole."""
    if entry.bytes <= WHOLE or entry.tail is None:
        return None
    source = stack.enter_context(folder.open(path))
    try:
        sound = footer_is_sound(source, entry)
    except ValueError:  # a web server that gives no pieces
        return None
    if not sound:
        where = folder.name_of(path)
        found = Extent(bytes=source.seek(0, os.SEEK_END), crc32=entry.crc32)
        raise content_damage(found, entry, where) or DamagedFileError(
            where, "corrupt", "its footer is not what was recorded"
        )
    return source


def _whole(folder: Folder, path: str, entry: FileEntry) -> pa.BufferReader:
    """All of a file, checked; where only pages are damaged, the others can be trusted."""
    data = folder.read(path, entry.bytes)
    source = pa.BufferReader(data)
    damage = content_damage(Extent(bytes=len(data), crc32=checksum(data)), entry, folder.name_of(path))
    if damage is not None and not (footer_is_sound(source, entry) and damaged_groups(source)):
        raise damage
    return source


def content_damage(found: Extent, entry: FileEntry, where: str) -> DamagedFileError | None:
    """In what a file differs from what the manifest says of it."""
    if found.bytes < entry.bytes:
        return DamagedFileError(where, "truncated", f"it has {found.bytes} of its {entry.bytes} bytes")
    if (found.bytes, found.crc32) != (entry.bytes, entry.crc32):
        return DamagedFileError(where, "corrupt", "its content is not what was recorded")
    return None


def footer_is_sound(source: Any, entry: FileEntry) -> bool:
    """Whether the end of an open file is what was recorded; then Arrow can be given the file."""
    if entry.tail is None or entry.tail.bytes > entry.bytes or source.seek(0, os.SEEK_END) != entry.bytes:
        return False
    source.seek(entry.bytes - entry.tail.bytes)
    return checksum(source.read(entry.tail.bytes)) == entry.tail.crc32


def damaged_groups(source: Any) -> list[int]:
    """Row groups that have a page whose checksum is wrong; none if the file cannot be opened at all."""
    damaged: list[int] = []
    try:
        file = pq.ParquetFile(source, page_checksum_verification=True)
        for group in range(file.num_row_groups):
            try:
                read_group(file, group)
            except Exception:
                damaged.append(group)
    except Exception:
        return []
    return damaged


def read_group(file: pq.ParquetFile, number: int, columns: list[str] | None = None) -> pa.Table:
    """A row group, or some columns of it, if it can be as large as it says.

    Raises:
        ValueError: It says it has more than fits into its bytes; Arrow would believe it, and take the memory.
    """
    if problem := too_large(file.metadata.row_group(number)):
        raise ValueError(problem)
    return file.read_row_group(number, columns=columns, use_threads=False)


def too_large(group: Any) -> str:
    """Why a row group can't be as large as its footer says; empty if it can.

    Its columns are not asked: on a footer that is not sound, Arrow may end the process there.
    """
    if 0 <= group.num_rows <= _MOST_ROWS:
        return ""
    return f"a row group says it has {group.num_rows} rows, but at most {_MOST_ROWS} are written"


def check_table(file: pq.ParquetFile, name: str, where: str) -> None:
    """Check that a Parquet file holds a table of a run, in a version that can be read.

    Raises:
        SchemaVersionError: It is of another version.
        DamagedFileError: It holds something else.
    """
    metadata = file.metadata.metadata or {}
    version = metadata.get(VERSION_KEY, b"").decode()
    if metadata.get(TABLE_KEY) != name.encode() or not version.isdigit():
        raise DamagedFileError(where, "foreign", f"it is a Parquet file, but not the table {name} of a run")
    if len(version) > 9 or not is_readable(int(version)):
        raise SchemaVersionError(
            f"{where} has schema version {version[:20]}, but this ncore knows {known_versions()}: "
            "read it with the ncore that wrote it."
        )
    if not any(file.schema_arrow.equals(known) for known in _schemas(name, int(version))):
        raise DamagedFileError(where, "foreign", f"its columns are not those of the table {name}")


def read_rows(
    file: pq.ParquetFile, name: str, wanted: Wanted, columns: list[str], groups: Groups | None = None
) -> list[pa.RecordBatch]:
    """Rows of a file that are wanted, in their order, as the newest version of the format has them.

    Row groups are skipped by their statistics, then by the columns that rows are chosen by; only then is the
    rest read. One row group is in memory at a time.

    Args:
        file: Opened by :func:`open_table`.
        name: Of its table.
        wanted: What rows are chosen by; empty for all, else the file was opened for choosing.
        columns: To return, in this order.
        groups: What is known of the file's row groups.
    """
    found: list[pa.RecordBatch] = []
    version, asked_columns = _version(file), columns
    if (stored := schema_of(name, version)) is not TABLES[name].schema:
        columns = stored.names
    there = set(file.schema_arrow.names)
    absent, columns = [c for c in columns if c not in there], [c for c in columns if c in there]
    for group in range(file.num_row_groups) if groups is None else groups.possible(wanted).tolist():
        asked = _undecided(file.metadata.row_group(group), wanted)
        if asked is None:
            continue
        keys = read_group(file, group, list(asked))
        chosen = np.ones(keys.num_rows, bool)
        for key, values in asked.items():
            chosen &= _is_in(keys[key], values)
        if not chosen.any():
            continue
        table = file.read_row_group(group, columns=[c for c in columns if c not in asked], use_threads=False)
        for key in set(columns) & set(asked):
            table = table.append_column(keys.schema.field(key), keys[key])
        table = table.select(columns)
        table = table if chosen.all() else table.take(pa.array(np.flatnonzero(chosen)))
        table = _with_later(lift_rows(name, version, table), name, absent)
        found.extend(table.select(asked_columns).to_batches())
    return found


def lifted_group(file: pq.ParquetFile, name: str, number: int) -> pa.Table:
    """All of a row group, as the newest version of the format has it."""
    rows = lift_rows(name, _version(file), read_group(file, number))
    return _with_later(rows, name, [column for column in TABLES[name].later if column not in rows.column_names])


def _schemas(name: str, version: int) -> list[pa.Schema]:
    """The columns that files of a version may have: all, or those from before the later ones came."""
    whole, later = schema_of(name, version), TABLES[name].later
    return [whole, *([pa.schema([field for field in whole if field.name not in later])] if later else [])]


def _with_later(rows: pa.Table, name: str, absent: list[str]) -> pa.Table:
    """Rows with columns of nulls at the end for those that their file was written without."""
    for column in absent:
        field = TABLES[name].schema.field(column)
        rows = rows.append_column(field, pa.nulls(len(rows), field.type))
    return rows


def _version(file: pq.ParquetFile) -> int:
    """Of the format; the file was checked by :func:`check_table`."""
    return int(file.metadata.metadata[VERSION_KEY])


def _writer(name: str, sink: Any) -> pq.ParquetWriter:
    writer = pq.ParquetWriter(sink, TABLES[name].schema, **TABLES[name].options)
    writer.add_key_value_metadata({VERSION_KEY: str(SCHEMA_VERSION).encode(), TABLE_KEY: name.encode()})
    return writer


def _footer_bytes(data: pa.Buffer) -> int:
    """Length of the footer, which a Parquet file says before its last four bytes."""
    return int.from_bytes(data[len(data) - 8 : len(data) - 4].to_pybytes(), "little") + 8


def _longer(extent: Extent, data: Any) -> Extent:
    return Extent(bytes=extent.bytes + len(data), crc32=checksum(data, int(extent.crc32, 16)))


def _undecided(group: Any, wanted: Wanted) -> dict[str, np.ndarray] | None:
    """Of what is wanted, that which rows of a row group have still to be chosen by; None if it holds nothing."""
    left = {}
    for number in range(group.num_columns) if wanted else ():
        column = group.column(number)
        if column.path_in_schema not in wanted:
            continue
        values, statistics = wanted[column.path_in_schema], column.statistics
        if statistics is not None and statistics.has_min_max:
            low, high = np.searchsorted(values, statistics.min), np.searchsorted(values, statistics.max, "right")
            if low == high:
                return None
            if statistics.min == statistics.max:
                continue
            values = values[low:high]
        left[column.path_in_schema] = values
    return left


def _limits(metadata: pq.FileMetaData, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The least and the largest value of a column in each row group; None if the statistics of any don't say."""
    column = metadata.schema.names.index(name)
    found = [metadata.row_group(group).column(column).statistics for group in range(metadata.num_row_groups)]
    if any(statistics is None or not statistics.has_min_max for statistics in found):
        return None
    return np.array([statistics.min for statistics in found]), np.array([statistics.max for statistics in found])


def _is_in(column: pa.ChunkedArray, values: np.ndarray) -> np.ndarray:
    if len(values) == 1:
        return column.to_numpy() == values[0]
    return pc.is_in(column, pa.array(values).cast(column.type)).to_numpy()
