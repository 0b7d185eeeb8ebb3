"""Checking every byte of a store: what is damaged, and what can still be read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from ncore.errors import NcoreError, SchemaVersionError, StoreError
from ncore.store._folder import Entry, Folder, folder_at
from ncore.store._footer import check_footer, footer_bytes
from ncore.store._inventory import DROPPINGS, has_tables, left_out, unlisted
from ncore.store._lock import is_alive
from ncore.store._marker import check_marker
from ncore.store._parquet import check_table, content_damage, damaged_groups, footer_is_sound, read_group, too_large
from ncore.store.annotations import read_annotations
from ncore.store.damage import DamagedFileError, Kind, in_line, kept_inside
from ncore.store.layout import (
    ANNOTATIONS,
    INDEX_FILE,
    MANIFEST,
    STORE_FILE,
    checksum,
    is_run_id,
    is_temporary,
    parse_checkpoint_file,
    parse_table_file,
)
from ncore.store.listing import row_of
from ncore.store.manifest import MOST_BYTES, Extent, FileEntry, Manifest
from ncore.store.store import Store

__all__ = ["Finding", "Report", "verify"]

_COMPANIONS = (".md", ".txt", ".yaml", ".yml")
_CHUNK = 4 << 20
_AGAIN = 20  # times that a run is looked at while a writer changes it


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        kind: "leftover" of a killed writer is harmless; everything else is damage.
        path: Of the file.
        problem: In words.
        readable: What can still be read, in words.
    """

    kind: Kind
    path: str
    problem: str
    readable: str = ""

    @property
    def harmless(self) -> bool:
        """Whether nothing is lost."""
        return self.kind == "leftover"

    def __str__(self) -> str:
        said = f"{self.path}: {self.problem.rstrip('.')}"
        return f"{said}; still readable: {self.readable}" if self.readable else said


@dataclass(frozen=True)
class Report:
    """What :func:`verify` looked at and found."""

    url: str
    runs: int
    files: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything that was recorded is there, as it was written, and nothing else is."""
        return all(finding.harmless for finding in self.findings)


def verify(place: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Report:
    """Read every file of a store, or of one run's folder, and compare it with what was recorded.

    Files beside the runs that document them (``.md``, ``.txt``, ``.yaml``) are taken as belonging there.

    Args:
        place: Path or URL of a store or of a run in it.
        storage_options: Of the file system.

    Raises:
        StoreError: There is no store.
    """
    folder = folder_at(place, storage_options)
    check = _Check()
    try:
        entries = folder.entries()
    except FileNotFoundError as error:
        raise StoreError(f"There is nothing at {folder.url}: give the path or URL of a store.") from error
    except StoreError:
        if folder.writable:
            raise
        check_marker(folder)  # a web server that lists nothing: the index names the runs
        entries = [Entry(STORE_FILE, 0), *(Entry(run_id, None) for run_id in Store(folder).run_ids())]
    names = {entry.name for entry in entries}
    if STORE_FILE not in names and MANIFEST in names:
        check.run(folder, None)
        return check.report(folder.url)
    if STORE_FILE not in names and not any(_is_run(folder, entry) for entry in entries):
        check_marker(folder)  # says that this is no store
    check.marker(folder, STORE_FILE in names)
    others = left_out(folder, entries)
    for entry in entries:
        where = folder.name_of(entry.name)
        if entry.name in others:
            check.runs += 1
            check.add("unreadable", where, others[entry.name])
        elif entry.size is None and is_run_id(entry.name):
            check.run(folder.child(entry.name), entry.name)
        elif is_temporary(entry.name):
            check.add("leftover", where, "a writer or a deletion was killed")
        elif not (
            entry.name in (STORE_FILE, INDEX_FILE, *DROPPINGS)
            or (entry.size is not None and entry.name.lower().endswith(_COMPANIONS))
        ):
            check.add("foreign", where, "ncore did not make it")
    return check.report(folder.url)


def _is_run(folder: Folder, entry: Entry) -> bool:
    try:
        return (
            entry.size is None and is_run_id(entry.name) and bool(folder.child(entry.name).read(MANIFEST, MOST_BYTES))
        )
    except (FileNotFoundError, StoreError):
        return False


class _Check:
    """Gathers findings."""

    def __init__(self) -> None:
        self.runs = self.files = self.bytes = 0
        self.findings: list[Finding] = []

    def add(self, kind: Kind, path: str, problem: str, readable: str = "") -> None:
        self.findings.append(Finding(kind, path, problem, readable))

    def report(self, url: str) -> Report:
        return Report(url, self.runs, self.files, self.bytes, tuple(self.findings))

    def marker(self, folder: Folder, there: bool) -> None:
        where = folder.name_of(STORE_FILE)
        if not there:
            self.add("missing", where, "a store has this file", "the runs, once ncore.create_store made it anew")
            return
        try:
            check_marker(folder)
        except SchemaVersionError as error:
            self.add("future-version", where, str(error))
        except StoreError as error:
            self.add("corrupt", where, str(error), "the runs, once ncore.create_store made it anew")

    def run(self, folder: Folder, name: str | None) -> None:
        self.runs += 1
        try:
            with kept_inside(folder.name_of("")):
                self._run(folder, name)
        except FileNotFoundError:
            return  # deleted meanwhile
        except NcoreError as error:
            self.add("unreadable", folder.name_of(""), in_line(error))

    def _run(self, folder: Folder, name: str | None) -> None:
        where = folder.name_of(MANIFEST)
        before, sound = None, dict[str, FileEntry]()
        for _ in range(_AGAIN):
            try:
                manifest = Manifest.from_bytes(folder.read(MANIFEST, MOST_BYTES), where)
            except FileNotFoundError:
                self._no_manifest(folder)
                return
            except SchemaVersionError as error:
                self.add("future-version", where, str(error))
                return
            except DamagedFileError as error:
                self.add(error.kind, where, error.problem, error.readable)
                return
            except StoreError as error:
                self.add("unreadable", where, str(error))
                return
            found = self._files(folder, manifest, sound)
            # A writer may have replaced files meanwhile: then look again, at what there is now.
            if not found or manifest == before or manifest.status != "running":
                break
            before = manifest
        self.files += 1 + len(manifest.files)
        self.bytes += manifest.size
        self.findings.extend(found)
        try:
            row_of(manifest.run, manifest)
        except NcoreError as error:  # no listing can show it
            self.add("unreadable", where, in_line(error))
        if name is not None and manifest.run != name:
            self.add("foreign", where, f"it is of run {manifest.run}", "everything, under this folder's name")
        self._unlisted(folder, manifest)
        try:
            read_annotations(folder)
        except DamagedFileError as error:
            self.add(error.kind, error.path, error.problem, error.readable)
        except StoreError as error:
            self.add("unreadable", folder.name_of(ANNOTATIONS), str(error), "the run itself")

    def _files(self, folder: Folder, manifest: Manifest, sound: dict[str, FileEntry]) -> list[Finding]:
        """Check the files that a manifest lists; those found ``sound`` are added there, and not read again."""
        found = []
        for path, entry in manifest.files.items():
            if sound.get(path) == entry:
                continue
            where = folder.name_of(path)
            try:
                with kept_inside(where):
                    _check_file(folder, path, entry)
                sound[path] = entry
            except FileNotFoundError:
                found.append(Finding("missing", where, "the manifest lists it", _others(manifest, path)))
            except SchemaVersionError as error:
                found.append(Finding("future-version", where, str(error), _others(manifest, path)))
            except DamagedFileError as error:
                try:
                    left = _salvage(folder, path, entry)
                except Exception:
                    left = "nothing of this file"
                readable = "; ".join(filter(None, (left, _others(manifest, path))))
                found.append(Finding(error.kind, where, error.problem, readable))
            except StoreError as error:
                found.append(Finding("unreadable", where, str(error), _others(manifest, path)))
        return found

    def _unlisted(self, folder: Folder, manifest: Manifest) -> None:
        try:
            found = unlisted(folder, manifest)
        except StoreError as error:
            if folder.writable:
                self.add("unreadable", folder.url, str(error))
            return
        except FileNotFoundError:
            return
        for path in found.foreign:
            self.add("foreign", folder.name_of(path), "ncore did not make it")
        if manifest.status == "running" and is_alive(folder, manifest):
            return  # a writer is at work: what is not listed yet soon will be
        for path in found.leftovers:
            self.add("leftover", folder.name_of(path), "a writer was killed before it was listed, or removed")
        for path in found.checkpoints:
            parsed = parse_checkpoint_file(path)
            problem = ""
            try:
                if parsed is not None and checksum(folder.read(path)) != parsed[1]:
                    problem = "its content is not what its name says"
            except StoreError as error:
                problem = in_line(error)
            if problem:
                self.add("corrupt", folder.name_of(path), problem, "every recorded epoch; training will start over")

    def _no_manifest(self, folder: Folder) -> None:
        try:
            names = [entry.name for entry in folder.entries()]
        except FileNotFoundError:
            return  # deleted meanwhile
        if has_tables(folder):
            readable = "its Parquet files can still be opened by themselves"
            self.add("missing", folder.name_of(MANIFEST), "the folder has tables of a run", readable)
        elif all(name.startswith(".") for name in names):
            self.add("leftover", folder.url, "a writer was killed before its run began")
        else:
            self.add("foreign", folder.url, "it is not a run")


def _check_file(folder: Folder, path: str, entry: FileEntry) -> None:
    """Read all of a listed file."""
    where, size, crc = folder.name_of(path), 0, "0" * 8
    with folder.open(path) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            crc = checksum(chunk, int(crc, 16))
            if size > entry.bytes:
                break  # however long it goes on
    damage = content_damage(Extent(bytes=size, crc32=crc), entry, where)
    table, _ = parse_table_file(path) or ("", range(0))
    try:
        with folder.open(path) as file:
            found = pq.ParquetFile(file)
            check_table(found, table, where)  # it may be sound, but not what belongs here
            groups = (found.metadata.row_group(number) for number in range(found.num_row_groups))
            problem = next(filter(None, map(too_large, groups)), "")
            check_footer(footer_bytes(file), found.schema)
    except (FileNotFoundError, NcoreError):
        raise  # the first: replaced by a writer between the two reads, which the caller looks into
    except Exception as error:
        raise damage or DamagedFileError(where, "corrupt", f"it is no sound Parquet file, {in_line(error)}") from error
    if damage is not None:
        raise damage
    if problem:
        raise DamagedFileError(where, "corrupt", problem)


def _salvage(folder: Folder, path: str, entry: FileEntry) -> str:
    """Which epochs of a damaged file have no damaged row group, in words."""
    with folder.open(path) as source:
        damaged = set(damaged_groups(source)) if footer_is_sound(source, entry) else set()
        if not damaged:
            return "nothing of this file"
        file = pq.ParquetFile(source, page_checksum_verification=True)
        held = [_epochs_of(file, group) for group in range(file.num_row_groups)]
    sound: set[int] = set()
    broken: set[int] = set()
    for group, epochs in enumerate(held):
        if group not in damaged:
            sound |= epochs
        elif epochs:
            broken |= epochs
        else:  # rows are in order of epoch: it may hold the rest of its neighbours' outermost ones
            broken |= {max(before) for before in held[max(group - 1, 0) : group] if before}
            broken |= {min(after) for after in held[group + 1 : group + 2] if after}
    left = sorted(sound - broken)
    return f"epochs {_ranges(left)} of this file" if left else "nothing of this file"


def _epochs_of(file: pq.ParquetFile, group: int) -> set[int]:
    """Epochs that a row group has rows of; empty if that column cannot be read."""
    try:
        return set(read_group(file, group, ["epoch"]).column("epoch").unique().to_pylist())
    except Exception:
        return set()


def _ranges(numbers: list[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def _others(manifest: Manifest, path: str) -> str:
    """What else of the run can be read, in words."""
    table, _ = parse_table_file(path) or ("", range(0))
    others = [name for name in manifest.tables if name != table]
    said = [f"the other epochs of {table}"] if len(manifest.files_of(table)) > 1 else []
    return ", ".join([*said, *(f"the table {name}" for name in others)])
