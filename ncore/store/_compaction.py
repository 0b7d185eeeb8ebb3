"""When a run ends, the epochs of a table become one file."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ncore.errors import StoreError
from ncore.store._folder import Folder
from ncore.store._parquet import CheckedSink, lifted_group, open_table, stream_writer
from ncore.store.layout import table_file
from ncore.store.manifest import FileEntry, Manifest
from ncore.store.schema import TABLES

__all__ = ["compact"]

_log = logging.getLogger("ncore.store")


def compact(folder: Folder, manifest: Manifest) -> dict[str, FileEntry]:
    """Write one file a table beside its parts.

    Nothing changes for readers until a manifest lists what is returned. Memory is bounded by two row groups,
    whatever the size of the run. A table that cannot be compacted (a damaged part, a full disk) keeps its parts.

    Args:
        folder: Of the run.
        manifest: Which lists the parts.

    Returns:
        The files that the finished run consists of.
    """
    files: dict[str, FileEntry] = {}
    for name in TABLES:
        parts = manifest.files_of(name)
        try:
            if parts and parts != [table_file(name)]:
                files[table_file(name)] = _join(folder, manifest, name, parts)
                continue
        except (StoreError, FileNotFoundError) as error:
            _log.warning("The table %s of run %s stays in parts: %s", name, manifest.run, error)
        files.update({path: manifest.files[path] for path in parts})
    return files


def _join(folder: Folder, manifest: Manifest, name: str, parts: list[str]) -> FileEntry:
    """Stream parts into one file, in their order; small row groups are joined, and epochs only as wholes."""
    limit = TABLES[name].group_rows
    with folder.writing(table_file(name)) as file:
        sink = CheckedSink(file)
        with stream_writer(name, sink) as writer:
            waiting: list[pa.Table] = []
            for rows in _groups(folder, manifest, name, parts):
                if waiting and sum(map(len, waiting)) + len(rows) > limit:
                    writer.write_table(pa.concat_tables(waiting), row_group_size=limit)
                    waiting = []
                waiting.append(rows)
            if waiting:
                writer.write_table(pa.concat_tables(waiting), row_group_size=limit)
    return sink.entry


def _groups(folder: Folder, manifest: Manifest, name: str, parts: list[str]) -> Iterator[pa.Table]:
    """Row groups of parts in their order; what goes wrong in writing them is no damage of the parts."""
    for path in parts:
        with open_table(folder, path, name, manifest.files[path]) as part:
            for group in range(part.num_row_groups):
                rows = lifted_group(part, name, group)
                if name == "predictions":  # some were dropped since
                    rows = rows.filter(pc.is_in(rows["epoch"], pa.array(manifest.tables.get(name, []), pa.int32())))
                if len(rows) or name != "predictions":
                    yield rows
