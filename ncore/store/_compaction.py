"""The epochs of a table become one file when a run ends, and few files while it is being recorded.

Files are joined as digits are carried: a file is of level n if its table has from 16^n to 16^(n+1) - 1 epochs in it,
and those at the end of a table become one as soon as that is of a higher level. So every epoch is written once more a
level, and a table of 2,000 epochs has 37 files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from ncore.errors import StoreError
from ncore.store._folder import Folder
from ncore.store._parquet import CheckedSink, lifted_group, open_table, stream_writer
from ncore.store.layout import parse_table_file, part_file, table_file
from ncore.store.manifest import FileEntry, Manifest
from ncore.store.schema import TABLES
from ncore.store.spans import MOST_EPOCH, count_in

__all__ = ["FAN_OUT", "LARGEST", "Compaction", "due"]

FAN_OUT = 16
LARGEST = 256 << 20
"""Bytes that files of a run that is being recorded are joined to; those of half as many are left as they are."""

_KEPT = 1 << 19  # bytes of an epoch of a table, of which there are up to 16

_log = logging.getLogger("ncore.store")


class Compaction:
    """Writes joined files beside what they are made of.

    Nothing changes for readers until a manifest lists what is returned. Memory is bounded by two row groups, whatever
    the size of the run. A table that cannot be joined (a damaged file, a full disk) keeps its files.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._given_up: set[str] = set()
        self._kept: dict[str, pa.Table] = {}

    def keep(self, name: str, epoch: int, rows: pa.Table) -> None:
        """Have the rows of a file that was just written at hand, unless they are many: reading is most of joining."""
        if rows.nbytes <= _KEPT and name not in self._given_up:
            self._kept[part_file(name, epoch)] = rows

    def of_now(self, manifest: Manifest) -> dict[str, FileEntry]:
        """The files that a run consists of best while it is being recorded.

        Args:
            manifest: Which lists those of now.
        """
        files = dict(manifest.files)
        self._kept = {path: rows for path, rows in self._kept.items() if path in files}
        for name in TABLES:
            if name in self._given_up:
                continue
            parts = manifest.files_of(name)
            paths, listed = list(parts), manifest.tables.get(name, [])
            # One without listed epochs is joined as well, and so goes.
            sizes = [(count_in(listed, held) or 1, manifest.files[path].bytes) for path, held in parts.items()]
            for some in due(sizes):
                joined = paths[some.start : some.stop]
                target = part_file(name, parts[joined[0]].start, parts[joined[-1]].stop - 1)
                self._replace(files, manifest, name, joined, target)
        return files

    def of_end(self, manifest: Manifest) -> dict[str, FileEntry]:
        """The files that a finished run consists of: one a table.

        Args:
            manifest: Which lists those of now.
        """
        files = dict(manifest.files)
        for name in TABLES:
            parts = list(manifest.files_of(name))
            if parts and parts != [table_file(name)]:
                self._replace(files, manifest, name, parts, table_file(name))
        return files

    def before(self, manifest: Manifest, epoch: int) -> dict[str, FileEntry]:
        """The files that a run consists of without this epoch and later ones; what reaches past it is cut.

        Args:
            manifest: Which lists those of now.
            epoch: The first one to go.

        Raises:
            StoreError: A file that is to be cut is damaged.
        """
        self._kept.clear()  # paths may come again
        files = {}
        for path, entry in manifest.files.items():
            name, held = parse_table_file(path) or ("", range(0))
            if held.stop <= epoch:
                files[path] = entry
            elif any(number in held and number < epoch for number in manifest.tables.get(name, ())):
                target = part_file(name, held.start, epoch - 1)
                files[target] = self._join(manifest, name, [path], target, epoch)
        return files

    def _replace(
        self, files: dict[str, FileEntry], manifest: Manifest, name: str, parts: list[str], target: str
    ) -> None:
        try:
            entry = self._join(manifest, name, parts, target)
        except (StoreError, FileNotFoundError) as error:
            self._given_up.add(name)
            _log.warning("The table %s of run %s stays in parts: %s", name, manifest.run, error)
            return
        for path in parts:
            del files[path]
            self._kept.pop(path, None)
        files[target] = entry

    def _join(
        self, manifest: Manifest, name: str, parts: list[str], target: str, before: int = MOST_EPOCH + 1
    ) -> FileEntry:
        """Stream files into one, in their order: row groups are of whole epochs, as many as they can hold."""
        limit = TABLES[name].group_rows
        with self._folder.writing(target) as file:
            sink = CheckedSink(file)
            with stream_writer(name, sink) as writer:
                waiting: list[pa.Table] = []
                count = 0
                for rows in self._epochs(manifest, name, parts, before):
                    if waiting and count + len(rows) > limit:
                        writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=limit)
                        waiting, count = [], 0
                    waiting.append(rows)
                    count += len(rows)
                if waiting:
                    writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=limit)
        return sink.entry

    def _epochs(self, manifest: Manifest, name: str, parts: list[str], before: int) -> Iterator[pa.Table]:
        """Rows of listed epochs in their order, each by itself: so it does not matter what was joined before."""
        listed = {epoch for epoch in manifest.tables.get(name, ()) if epoch < before}
        limit = TABLES[name].group_rows
        for path in parts:
            for rows in self._groups(manifest, name, path):
                epochs = rows["epoch"].to_numpy()
                borders = [0, *(np.flatnonzero(np.diff(epochs)) + 1).tolist(), len(rows)]
                for start, end in pairwise(borders):
                    if start < end and int(epochs[start]) in listed:
                        for first in range(start, end, limit):
                            yield rows.slice(first, min(limit, end - first))

    def _groups(self, manifest: Manifest, name: str, path: str) -> Iterator[pa.Table]:
        if path in self._kept:
            yield self._kept[path]
            return
        with open_table(self._folder, path, name, manifest.files[path]) as part:
            for group in range(part.num_row_groups):
                yield lifted_group(part, name, group)


def due(parts: Sequence[tuple[int, int]]) -> list[range]:
    """Which neighbours are to be joined, as if all had come one by one.

    Args:
        parts: Epochs and bytes of each.

    Returns:
        Ranges of their numbers.

    Example:
        >>> due([(16, 1)] + [(1, 1)] * 15), due([(16, 1)] + [(1, 1)] * 16)
        ([], [range(1, 17)])
    """
    done: list[tuple[range, int, int]] = []
    for number, (epochs, size) in enumerate(parts):
        done.append((range(number, number + 1), epochs, size))
        if count := _last_due(done):
            last = done[-count:]
            whole = range(last[0][0].start, last[-1][0].stop)
            done[-count:] = [(whole, sum(item[1] for item in last), sum(item[2] for item in last))]
    return [some for some, _, _ in done if len(some) > 1]


def _last_due(parts: Sequence[tuple[range, int, int]]) -> int:
    """How many of the last ones together are of a higher level than each, or large enough to be left alone."""
    count = found = total = size = 0
    limit = FAN_OUT
    for _, epochs, own in reversed(parts):
        if own > LARGEST // 2:
            break
        while epochs >= limit:
            if total >= limit:
                found = count
            limit *= FAN_OUT
        count, total, size = count + 1, total + epochs, size + own
    if count > 1 and (total >= limit or size > LARGEST // 2):
        found = count
    return found
