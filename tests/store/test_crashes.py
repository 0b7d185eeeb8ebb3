"""A writer that stops dead before any single operation on files leaves a run that opens and resumes."""

import atexit
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from ncore.errors import StoreError
from ncore.store import Store, create_store, verify
from tests.store.data import WHO, check_tables, write

EPOCHS = 2
OPERATIONS = ((os, "fsync"), (os, "replace"), (os, "unlink"), (os, "mkdir"), (shutil, "rmtree"))


class Dead(BaseException):
    """Stands for the end of the process: nothing catches it."""


class Crashing:
    """Counts operations, and lets none happen from the given one on; a torn one is half done."""

    def __init__(self, patched: pytest.MonkeyPatch, at: int | None) -> None:
        self.count, self.at, self._lock = 0, at, threading.Lock()
        for module, name in OPERATIONS:
            patched.setattr(module, name, self._wrap(name, getattr(module, name)))

    def _wrap(self, name: str, original: Any) -> Any:
        def operation(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                number, self.count = self.count, self.count + 1
            if self.at is None or number < self.at:
                return original(*args, **kwargs)
            if name == "rmtree" and number == self.at:
                for path in sorted(Path(args[0]).rglob("*"))[:1]:
                    path.unlink()
            if name == "fsync" and number == self.at and stat.S_ISREG(os.fstat(args[0]).st_mode):
                os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
            raise Dead

        return operation


def session(store: Store) -> None:
    """One process: begins or resumes the run, and may end at any operation."""
    if "run" in store.run_ids() and store.runs().status.tolist() == ["finished"]:
        with pytest.raises(StoreError, match="is finished"):  # and what a crash left is cleared away
            store.new_run(**WHO, run_id="run", resume=True)
        return
    writer = store.new_run(**WHO, run_id="run", resume=True)
    try:
        for epoch in range(writer.last_epoch + 1, EPOCHS):
            write(writer, epoch)
            writer.save_checkpoint(b"state %d" % epoch)
        writer.finish()
    except Dead:
        atexit.unregister(writer._at_exit)  # the end of the process, without its last words
        assert writer._lock is not None
        writer._lock.release()
        raise


def test_every_crash_leaves_a_sound_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # nobody pulls the plug here
    monkeypatch.setattr("ncore.store._compaction.FAN_OUT", 2)  # files are joined after the second epoch
    whole = create_store(tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patched:
        counting = Crashing(patched, None)
        session(whole)
    assert counting.count > 60
    for at in range(counting.count):
        store = create_store(tmp_path / str(at))
        with pytest.MonkeyPatch.context() as patched:
            Crashing(patched, at)
            with pytest.raises(Dead):
                session(store)
        assert verify(store.url).ok, (at, verify(store.url).findings)
        if not store.runs().empty:
            run = store.run("run")
            assert run.status in ("interrupted", "finished"), at
            check_tables(run, len(run.epochs))
        session(store)
        check_tables(store.run("run"), EPOCHS)
        assert not verify(create_store(store.url).url).findings, at
