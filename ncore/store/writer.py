"""Recording a run, epoch by epoch."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from filelock import BaseFileLock

from ncore._validation import whole
from ncore.errors import NcoreError, StoreError
from ncore.store import _checkpoints
from ncore.store._background import Background, Job
from ncore.store._columns import LATEST, Columns, Factors, arrow_table, factor_table, latest
from ncore.store._compaction import Compaction
from ncore.store._folder import Folder
from ncore.store._inventory import remove_leftovers
from ncore.store._lock import is_lost
from ncore.store._parquet import encode, entry_of
from ncore.store.layout import LOCK, MANIFEST, part_file
from ncore.store.listing import check_summary
from ncore.store.manifest import MOST_BYTES, FileEntry, Manifest, Status, check_costs, check_digests, plain
from ncore.store.schema import TABLES
from ncore.store.spans import MOST, MOST_EPOCH, count_in

__all__ = ["RunWriter"]

_DEPTH = 2  # epochs that may wait for the thread: more would only hide that the disk is too slow
_HEARTBEAT = timedelta(minutes=2)
_REASON = 10_000  # characters: an exception may print a whole tensor


class RunWriter:
    """The only writer of a run; made by :meth:`ncore.store.Store.new_run`.

    What was written up to an epoch is kept whatever happens afterwards. As a context manager it finishes the run
    at the end of the block; an exception makes the run failed, with its one-line reason, and Ctrl-C leaves it
    interrupted, to be resumed.
    """

    def __init__(self, folder: Folder, manifest: Manifest, lock: BaseFileLock | None, asynchronous: bool) -> None:
        self.run_id = manifest.run
        self.url = folder.url
        self._folder, self._manifest, self._lock = folder, manifest, lock
        self._last_epoch = manifest.last_epoch
        self._open = True
        self._process = os.getpid()
        self._manifest_lock = threading.Lock()
        self._compaction = Compaction(folder)
        self._pool = ThreadPoolExecutor(len(TABLES))  # a sync, or an upload, is mostly waiting
        self._background = (
            Background(_DEPTH, idle=self._show_life, period=_HEARTBEAT.total_seconds()) if asynchronous else None
        )
        atexit.register(self._at_exit)

    @property
    def last_epoch(self) -> int:
        """The last epoch that was handed over, -1 if there is none: go on with the next."""
        return self._last_epoch

    @property
    def committed(self) -> int:
        """The last epoch that readers see, -1 if there is none."""
        return self._manifest.last_epoch

    @property
    def closed(self) -> bool:
        """Whether nothing more is recorded."""
        return not self._open

    def write_epoch(
        self,
        epoch: int,
        *,
        metrics: Columns | None = None,
        capacitance: Columns | None = None,
        trajectories: Columns | None = None,
        line_graph: Sequence[Factors] | None = None,
        line_graph_scale: float | None = None,
        predictions: Columns | None = None,
        drop_predictions: Sequence[int] = (),
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an epoch, all of its tables at once or none.

        Args:
            epoch: 0 for the state before training, e after e epochs of it; larger than all before.
            metrics: Rows of the table, as a DataFrame or columns by name; ``epoch`` may be left out.
            capacitance: The same.
            trajectories: The same; in any order of synapses.
            line_graph: Signed factors of P, one for each pair of layers.
            line_graph_scale: One over the beta_eff of an untrained classifier, for the strength "relative".
            predictions: Like metrics; of single examples.
            drop_predictions: Epochs whose predictions are no longer listed from this commit on, their files removed
                after it; those that have none are passed over.
            summary: Values for listings, besides those taken from the tables.

        Raises:
            InputError: A table does not have the columns of the schema.
            StoreError: The epoch is recorded already, the run is closed, or it can't be written; with a writing
                thread, also what went wrong with an earlier epoch.
        """
        self._check_open()
        if isinstance(epoch, int) and epoch < 0:
            raise self._behind(epoch)
        epoch = whole(epoch, "epoch", MOST_EPOCH)
        if epoch <= self._last_epoch:
            raise self._behind(epoch)
        if len(self._manifest.epochs) + _DEPTH >= MOST:
            raise StoreError(f"Run {self.run_id} has {MOST} epochs, but no more are recorded: record fewer of them.")
        given = {
            "metrics": metrics,
            "capacitance": capacitance,
            "trajectories": trajectories,
            "predictions": predictions,
        }
        dropped = {whole(number, "epoch of predictions to drop", MOST_EPOCH) for number in drop_predictions} - {epoch}
        tables = {name: arrow_table(name, epoch, rows) for name, rows in given.items() if rows is not None}
        if line_graph is not None:
            tables["line_graph"] = factor_table(epoch, line_graph, line_graph_scale)
        news = {**latest(tables), **_news(summary)}
        self._do(lambda: self._commit(epoch, tables, news, dropped))
        self._last_epoch = epoch

    def drop_from(self, epoch: int) -> None:
        """Forget this epoch and all later ones, so that they can be recorded anew."""
        self._check_open()
        self._wait()
        before = self._manifest
        tables = {name: [number for number in held if number < epoch] for name, held in before.tables.items()}
        with self._still_there():
            self._switch(
                self._compaction.before(before, epoch),
                tables={name: kept for name, kept in tables.items() if kept},
                epochs=[number for number in before.epochs if number < epoch],
                summary={name: value for name, value in before.summary.items() if name not in LATEST},
            )
        self._last_epoch = self._manifest.last_epoch

    def describe(
        self,
        *,
        info: Mapping[str, Any] | None = None,
        resolved: Mapping[str, Any] | None = None,
        digests: Mapping[str, Any] | None = None,
        costs: Mapping[str, Any] | None = None,
    ) -> None:
        """Add what becomes known later to what :meth:`ncore.store.Store.new_run` was given; newer values replace older.

        Raises:
            InputError: A value can't be held by JSON, or is not what a digest or a cost is.
        """
        self._check_open()
        given = {"info": info, "resolved": resolved, "digests": digests, "costs": costs}
        news = {name: plain(dict(values), name) for name, values in given.items() if values}
        check_summary(news.get("info", {}))
        check_digests(news.get("digests", {}))
        check_costs(news.get("costs", {}))
        if news:
            self._do(
                lambda: self._change(
                    **{name: {**getattr(self._manifest, name), **values} for name, values in news.items()}
                )
            )

    def warn(self, warning: str) -> None:
        """Add what to know before trusting the run, in a sentence; said twice, it stands once."""
        self._check_open()
        if warning not in self._manifest.warnings:
            self._do(lambda: self._change(warnings=list(dict.fromkeys([*self._manifest.warnings, warning]))))

    def save_checkpoint(self, data: bytes) -> None:
        """Replace the checkpoint, a whole safetensors file; call it after the epochs that it follows."""
        self._check_open()
        self._do(lambda: _checkpoints.save(self._folder, data))

    def load_checkpoint(self) -> bytes | None:
        """The last checkpoint, None if there is none that is intact: then train from the start.

        Epochs up to ``last_epoch`` are recorded already and are not to be written again.
        """
        self._check_open()
        self._wait()
        with self._still_there():
            return _checkpoints.load(self._folder)

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Complete the run: every table becomes one file, and nothing can be added."""
        self._check_open()
        news = _news(summary)
        self._wait()
        summary = {**self._manifest.summary, **news}
        with self._still_there():
            files = self._compaction.of_end(self._manifest)
            self._change(status="finished", reason=None, summary=summary, files=files)
            try:
                remove_leftovers(self._folder, self._manifest)
            finally:
                self._release()

    def fail(self, reason: str) -> None:
        """End the run as failed; what was recorded stays, and it can be resumed."""
        self._end("failed", _in_line(reason))

    def close(self, reason: str | None = None) -> None:
        """Stop recording; a run that is not finished is left interrupted, to be resumed; ``reason`` says why."""
        if self._open:
            self._end("interrupted", None if reason is None else _in_line(reason))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._open:
            return
        if error is None:
            try:
                self.finish()
            finally:
                self.close()
            return
        try:
            if isinstance(error, Exception):
                text = str(error) if isinstance(error, NcoreError) else f"{type(error).__name__}: {error}"
                self.fail(text)
            else:
                self.close()
        except NcoreError as second:  # the first one is what the caller has to see
            error.add_note(f"The run could not be closed properly: {second}")

    def _commit(
        self, epoch: int, tables: Mapping[str, pa.Table], news: Mapping[str, Any], dropped: AbstractSet[int]
    ) -> None:
        before = self._manifest
        self._check_lock()

        def put(name: str) -> tuple[str, FileEntry]:
            data = encode(name, tables[name])
            path = part_file(name, epoch)
            self._write(path, data)
            return path, entry_of(data)

        try:
            written = dict(self._pool.map(put, tables))
        except RuntimeError:  # the interpreter is ending and lets no thread begin
            written = dict(map(put, tables))
        for name in tables:
            self._compaction.keep(name, epoch, tables[name])
        listed = {**before.tables, **{name: [*before.tables.get(name, ()), epoch] for name in tables}}
        files = {**before.files, **written}
        if dropped and "predictions" in listed:
            left = [number for number in listed["predictions"] if number not in dropped]
            listed["predictions"] = left
            for path, held in before.files_of("predictions").items():
                if not count_in(left, held):
                    del files[path]
        self._switch(
            files,
            tables=listed,
            epochs=[*before.epochs, epoch],
            summary={**before.summary, **news},
        )
        joined = self._compaction.of_now(self._manifest)
        if joined != self._manifest.files:
            self._switch(joined)

    def _switch(self, files: dict[str, FileEntry], **values: Any) -> None:
        """Have the manifest list other files; only then are those removed that it lists no longer."""
        before = self._manifest.files
        self._change(files=files, **values)
        for path in before:
            if path not in files:
                self._folder.remove(path)

    def _change(self, **values: Any) -> None:
        """Write the manifest with some values replaced; a sign of life may be due at the same moment."""
        with self._manifest_lock:
            manifest = self._manifest.changed(**values)
            self._check_lock()
            if self._lock is None:
                self._check_still_ours()
            self._write(MANIFEST, manifest.to_bytes())
            self._manifest = manifest

    def _write(self, path: str, data: Any) -> None:
        with self._still_there():
            self._folder.write(path, data)

    def _check_lock(self) -> None:
        """Where the folder was deleted and is there again, somebody else's run must not be written into."""
        if self._lock is not None and is_lost(self._lock):
            raise StoreError(f"Run {self.run_id} was taken over by another writer: this one stops.")

    def _check_still_ours(self) -> None:
        """Where no lock keeps others away, the manifest says whose the run is."""
        with self._still_there():
            data = self._folder.read(MANIFEST, MOST_BYTES)
        if Manifest.from_bytes(data, self._folder.name_of(MANIFEST)).writer != self._manifest.writer:
            raise StoreError(f"Run {self.run_id} was taken over by another writer: this one stops.")

    @contextlib.contextmanager
    def _still_there(self) -> Iterator[None]:
        """Around whatever reads or writes files: a folder that is missing was deleted by somebody."""
        try:
            yield
        except FileNotFoundError as error:
            raise self._deleted() from error

    def _behind(self, epoch: int) -> StoreError:
        return StoreError(
            f"Epoch {epoch} cannot be recorded, run {self.run_id} is at epoch {self._last_epoch}: "
            f"go on with epoch {self._last_epoch + 1}."
        )

    def _deleted(self) -> StoreError:
        return StoreError(f"Run {self.run_id} was deleted while it was being recorded.")

    def _show_life(self) -> None:
        self._change()

    def _do(self, job: Job) -> None:
        def guarded() -> None:
            with self._still_there():
                job()

        if self._background is None:
            guarded()
        else:
            self._background.submit(guarded)

    def _wait(self) -> None:
        if self._background is not None:
            self._background.wait()

    def _end(self, status: Status, reason: str | None) -> None:
        self._check_open()
        if self._background is not None:
            self._background.stop()
        try:
            if self._manifest.status != "finished":
                self._change(status=status, reason=reason)
        finally:
            self._release()

    def _release(self) -> None:
        self._open = False
        atexit.unregister(self._at_exit)
        if self._background is not None:
            self._background.stop()
        self._pool.shutdown()
        if self._lock is not None:
            if self._manifest.status == "finished":  # nobody can be waiting for the lock to write
                self._folder.remove(LOCK)
            self._lock.release()

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError(f"Run {self.run_id} is closed: open it again with new_run(..., resume=True).")

    def _at_exit(self) -> None:
        if os.getpid() == self._process:  # and not in a process that was forked off
            self.close()


def _news(summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a caller adds to the summary, as it can be read back."""
    news: dict[str, Any] = plain(dict(summary or {}), "summary")
    check_summary(news)
    return news


def _in_line(reason: str) -> str:
    """A reason in one line, whatever an exception said: it must not keep the end of a run from being written."""
    line = " ".join(str(reason).encode("utf-8", "backslashreplace").decode().split())
    return line if len(line) <= _REASON else f"{line[: _REASON - 3]}..."
