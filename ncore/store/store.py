"""A store: a folder, or an fsspec URL, of runs."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd

from ncore._validation import text, whole
from ncore.errors import NcoreError, StoreError
from ncore.store._folder import Entry, Folder, LocalFolder, folder_at, printable
from ncore.store._inventory import has_tables, left_out
from ncore.store._lock import BusyError, status_now, take
from ncore.store._marker import check_marker, clear_marker_leftovers, write_marker
from ncore.store._recording import begin, current_versions
from ncore.store.annotations import Annotations, read_annotations, write_annotations
from ncore.store.layout import (
    INDEX_FILE,
    MANIFEST,
    STORE_FILE,
    check_run_id,
    default_run_id,
    is_run_id,
)
from ncore.store.listing import annotated, check_summary, frame_of, row_of, unreadable_row
from ncore.store.manifest import MOST_BYTES, NAME, NOTES, Manifest, check_costs, check_digests, plain
from ncore.store.reader import Run
from ncore.store.writer import RunWriter

__all__ = ["Store", "create_store", "open_store"]

_Row = dict[str, Any]
_CONNECTIONS = 16
_DELETED = ".deleted.tmp"
_BUSY = "Run {} is being recorded: stop that first."


def open_store(place: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Store:
    """Open a store.

    Args:
        place: A local path or any fsspec URL (``s3://bucket/runs``, ``https://host/runs``, ...).
        storage_options: Of the file system, such as credentials.

    Raises:
        StoreError: There is no store at that place, or it can't be reached.
        SchemaVersionError: It is of a version that this ncore does not know.
    """
    folder = folder_at(place, storage_options)
    check_marker(folder)
    return Store(folder)


def create_store(place: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Store:
    """Make a store, or open the one that is there; arguments and errors as in :func:`open_store`.

    Example:
        >>> create_store("memory://doctest-runs").run_ids()
        []
    """
    folder = folder_at(place, storage_options)
    try:
        try:
            folder.read(STORE_FILE)
        except FileNotFoundError:
            folder.make()
            write_marker(folder)
        clear_marker_leftovers(folder)
    except FileNotFoundError as error:
        raise StoreError(f"{folder.url} was deleted while the store was being made.") from error
    return open_store(place, storage_options)


class Store:
    """Runs in a folder; made by :func:`open_store` or :func:`create_store`.

    Attributes:
        url: Where it is.
    """

    def __init__(self, folder: Folder) -> None:
        self.url = folder.url
        self._folder = folder
        # What was read of a run's manifest, by its state: only changed ones are read again.
        self._known: dict[str, tuple[Hashable, _Row]] = {}

    def __repr__(self) -> str:
        return f"<Store {self.url}>"

    def run_ids(self) -> list[str]:
        """Names of the folders that can be runs."""
        return self._runs_of(self._entries())

    def run(self, run_id: str) -> Run:
        """Open a run.

        Raises:
            InputError: No run can have this name.
            StoreError: There is no such run, or its manifest can't be read.
        """
        return Run(self._folder.child(check_run_id(run_id)), run_id)

    def runs(self) -> pd.DataFrame:
        """One row a run, oldest first; a run that cannot be read has status "unreadable" and says why.

        So has one that is left out, for it is behind a link or in a folder whose name no run can have.

        Returns:
            Columns ``run, candidate, dataset, seed, mode, status, epochs, planned_epochs, validation_accuracy,
            test_accuracy, beta_eff, parameters, seconds, bytes, created, updated, reason, notes, tags, warnings``.
            Accuracies and beta_eff are the latest, and tags are tuples; ``test_accuracy`` is missing until the run is
            finished.
        """
        entries = self._entries()
        names = self._runs_of(entries)
        self._known = {name: self._known[name] for name in names if name in self._known}
        if self._folder.local:
            rows = [self._row(name) for name in names]
        else:
            with ThreadPoolExecutor(_CONNECTIONS) as pool:
                rows = list(pool.map(self._row, names))
        rows += [
            unreadable_row(printable(name), StoreError(f"{reason}."))
            for name, reason in left_out(self._folder, entries).items()
        ]
        return frame_of([row for row in rows if row is not None])

    def new_run(
        self,
        *,
        candidate: str,
        dataset: str,
        seed: int,
        mode: str,
        planned_epochs: int | None = None,
        config: Mapping[str, Any] | None = None,
        unit: Mapping[str, Any] | None = None,
        recorded: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        notes: str = "",
        info: Mapping[str, Any] | None = None,
        resolved: Mapping[str, Any] | None = None,
        digests: Mapping[str, Any] | None = None,
        costs: Mapping[str, Any] | None = None,
        warnings: Sequence[str] = (),
        resume: bool = False,
        asynchronous: bool = False,
        take_over: bool = False,
    ) -> RunWriter:
        """Begin a run, or go on with an unfinished one.

        Args:
            candidate: The model, as it was named.
            dataset: The data, as they were named.
            seed: Of everything random.
            mode: What is trained: "backbone", "unit" or "all".
            planned_epochs: How many there will be.
            config: The full training configuration; a run can only be resumed with the same.
            unit: What the unit is: layer widths, names of activations.
            recorded: Which neurons of how many of each layer, and every how many epochs.
            run_id: Name of the run; by default made from the other arguments, the same every time.
            notes: Whatever the user wants to remember.
            info: What else a reader may want to know, as JSON.
            resolved: All settings as they are when it runs, the model's preprocessing as it was found.
            digests: Of the content that it is trained on: ``data``, ``cut``, ``sketch``, ``weights``, ``weight_files``.
            costs: Of using the candidate: ``parameters``, ``bytes``, ``multiply_adds``, ``seconds_per_example``,
                ``peak_bytes``; these three may be given later, with :meth:`ncore.store.RunWriter.describe`.
            warnings: What to know before trusting the run, a sentence each; listings and rankings show them.
            resume: Go on after the last finished epoch, if the run exists and is not finished.
            asynchronous: Write in a thread of its own, so that training goes on meanwhile.
            take_over: Of a run in a bucket that seems to be recorded: its writer is known to be gone.

        Raises:
            InputError: The run id can't be a folder's name, or a value can't be held by JSON.
            StoreError: The run is finished, is being recorded, exists and ``resume`` is False, was begun with
                another configuration, or is damaged.
        """
        for name, value in (("candidate", candidate), ("dataset", dataset), ("mode", mode)):
            text(value, name, NAME)
        given = plain(dict(config or {}), "config")
        about = plain(dict(info or {}), "info")
        check_summary(about)
        contents, price = plain(dict(digests or {}), "digests"), plain(dict(costs or {}), "costs")
        check_digests(contents)
        check_costs(price)
        seed = whole(seed, "seed")
        if run_id is None:
            run_id = default_run_id(candidate, dataset, seed, mode, given)
        values = {
            "run": check_run_id(run_id),
            "candidate": candidate,
            "dataset": dataset,
            "seed": seed,
            "mode": mode,
            "planned_epochs": None if planned_epochs is None else whole(planned_epochs, "number of planned epochs"),
            "config": given,
            "unit": plain(dict(unit or {}), "unit"),
            "recorded": plain(dict(recorded or {}), "recorded"),
            "notes": text(notes, "text of the notes", NOTES),
            "info": about,
            "resolved": plain(dict(resolved or {}), "resolved"),
            "digests": contents,
            "costs": price,
            "versions": current_versions(),
            "warnings": list(dict.fromkeys(text(warning, "text of a warning", NOTES) for warning in warnings)),
        }
        child = self._folder.child(run_id)
        try:
            return begin(child, values, resume=resume, asynchronous=asynchronous, take_over=take_over)
        except FileNotFoundError as error:
            raise StoreError(f"Run {run_id} was deleted while it was being begun.") from error

    def annotate(self, run_id: str, *, tags: Sequence[str] | None = None, notes: str | None = None) -> Annotations:
        """Write down something about a run, whatever its state; the run itself is not touched.

        Args:
            run_id: Of the run.
            tags: All that it shall be filed under; None leaves them.
            notes: Free text, shown instead of what the run was begun with; None leaves it.

        Returns:
            All that is written down now.

        Raises:
            InputError: Too many or too long, or no text.
            StoreError: There is no such run, or it can't be written.
        """
        if check_run_id(run_id) not in self.run_ids():
            raise StoreError(f"There is no run {run_id} in {self.url}.")
        return write_annotations(self._folder.child(run_id), tags, notes)

    def delete(self, run_id: str) -> None:
        """Delete a run with all its files.

        Raises:
            StoreError: There is no such run, or it is being recorded.
        """
        if check_run_id(run_id) not in self.run_ids():
            raise StoreError(f"There is no run {run_id} in {self.url}.")
        child = self._folder.child(run_id)
        try:
            lock = take(child) if isinstance(child, LocalFolder) else None
        except BusyError:
            raise StoreError(_BUSY.format(run_id)) from None
        try:
            if lock is None and (self._row(run_id) or {}).get("status") == "running":
                raise StoreError(_BUSY.format(run_id))
            if not isinstance(self._folder, LocalFolder):
                child.remove(MANIFEST)
                self._folder.remove_folder(run_id)
                return
            aside = f".{run_id}.{os.urandom(8).hex()}{_DELETED}"
            self._folder.rename(run_id, aside)  # at once: a run that is half deleted is never seen
        finally:
            if lock is not None:
                lock.release()
        for entry in self._folder.entries():  # also what deletions left that were killed
            if entry.size is None and entry.name.startswith(".") and entry.name.endswith(_DELETED):
                self._folder.remove_folder(entry.name)

    def write_index(self) -> None:
        """Write the names of all runs to ``runs.json``, for a web server that lists no folders."""
        self._folder.write(INDEX_FILE, json.dumps(self.run_ids()).encode())

    def _entries(self) -> list[Entry]:
        try:
            return self._folder.entries()
        except FileNotFoundError as error:
            raise StoreError(f"The store {self.url} was deleted.") from error
        except StoreError:
            if self._folder.writable:
                raise
            return []  # a web server that lists nothing

    def _runs_of(self, entries: list[Entry]) -> list[str]:
        names = [entry.name for entry in entries if entry.size is None and is_run_id(entry.name)]
        return names or self._indexed(entries)

    def _indexed(self, found: list[Entry]) -> list[str]:
        """Runs that the index names, where folders can't be listed."""
        if self._folder.local or self._folder.writable:
            return []
        try:
            names = json.loads(self._folder.read(INDEX_FILE))
            return sorted(name for name in names if isinstance(name, str) and is_run_id(name))
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            if found:
                return []
            raise StoreError(
                f"{self.url} lists no folders and has no {INDEX_FILE}: write one with store.write_index() before "
                "publishing a store."
            ) from None

    def _row(self, run_id: str) -> _Row | None:
        """The row of a run, None if it is gone or was never one; nothing that goes wrong here stops a listing."""
        try:
            return self._read_row(run_id)
        except Exception as error:
            return unreadable_row(run_id, error)

    def _read_row(self, run_id: str) -> _Row | None:
        child = self._folder.child(run_id)
        try:
            stamp = child.stamp(MANIFEST)
            known = self._known.get(run_id)
            if known is not None and stamp is not None and known[0] == stamp and known[1]["status"] != "running":
                return annotated(known[1], _annotations(child))
            manifest = Manifest.from_bytes(child.read(MANIFEST, MOST_BYTES), child.name_of(MANIFEST))
            row = row_of(run_id, manifest)
            self._known[run_id] = (stamp, row)
            status = status_now(child, manifest)
            if status != manifest.status and child.stamp(MANIFEST) != stamp:  # between the two looks it has ended
                return self._read_row(run_id)
            return annotated({**row, "status": status}, _annotations(child))
        except FileNotFoundError:
            if not has_tables(child):
                return None
            return unreadable_row(run_id, StoreError(f"{child.name_of(MANIFEST)} is missing."))


def _annotations(folder: Folder) -> Annotations | NcoreError:
    """What people wrote down about a run, or why that can't be read: no reason not to list it."""
    try:
        return read_annotations(folder)
    except NcoreError as error:
        return error
