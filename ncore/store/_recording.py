"""Beginning a run, or going on with one that was interrupted."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from filelock import BaseFileLock

from ncore._version import __version__
from ncore.errors import StoreError
from ncore.store._folder import Folder, LocalFolder
from ncore.store._inventory import has_tables, remove_leftovers
from ncore.store._lock import BusyError, is_alive, take, this_process
from ncore.store.layout import LOCK, MANIFEST
from ncore.store.manifest import MOST_BYTES, Manifest
from ncore.store.writer import RunWriter

__all__ = ["begin", "current_versions"]

_PACKAGES = ("ncore", "numpy", "pyarrow", "torch", "torchvision", "timm", "transformers", "lightning")


def begin(
    folder: Folder,
    values: Mapping[str, Any],
    *,
    resume: bool,
    asynchronous: bool,
    take_over: bool,
) -> RunWriter:
    """Make the writer of a run.

    Args:
        folder: Of the run.
        values: Of its manifest: ``run``, ``candidate``, ``dataset``, ``seed``, ``mode`` and so on.
        resume: Whether the run may exist already, unfinished.
        asynchronous: Whether one thread of its own does the writing.
        take_over: Where there are no locks (not a local folder, say): whether a writer that still seems to be alive
            is known to be gone. If it is not, it stops at its next epoch.

    Raises:
        StoreError: The run is finished, is being recorded by another writer, exists but is not to be resumed, was
            recorded with another configuration, or is damaged.
    """
    run_id = values["run"]
    folder.make()
    lock, busy = None, False
    former: Manifest | None = None
    try:
        lock = take(folder) if isinstance(folder, LocalFolder) else None
    except BusyError:
        busy = True
    try:
        former = _former(folder)
        if busy or (
            lock is None
            and not take_over
            and former is not None
            and former.status == "running"
            and is_alive(folder, former)
        ):
            who = f"process {former.writer.pid} on {former.writer.host}" if former else "another process"
            raise StoreError(
                f"Run {run_id} is being recorded by {who}: wait for it, or give another run id with run_id=."
            )
        manifest = _manifest(values, former, resume)
        if former is not None:
            remove_leftovers(folder, former)
            if former.status == "finished":
                raise StoreError(
                    f"Run {run_id} is finished: read it, delete it with `ncore delete STORE {run_id}`, or give another "
                    "run id with run_id=."
                )
        folder.write(MANIFEST, manifest.to_bytes())
    except BaseException:
        _give_back(folder, lock, finished=former is not None and former.status == "finished")
        raise
    return RunWriter(folder, manifest, lock, asynchronous)


def current_versions() -> dict[str, str]:
    """Versions of Python, of this format's library, and of what is loaded."""
    found = {"python": platform.python_version(), "ncore": __version__}
    for name in _PACKAGES:
        if name in sys.modules and name not in found:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
    return found


def _former(folder: Folder) -> Manifest | None:
    where = folder.name_of(MANIFEST)
    try:
        return Manifest.from_bytes(folder.read(MANIFEST, MOST_BYTES), where)
    except FileNotFoundError:
        pass
    if has_tables(folder):
        raise StoreError(f"{where} is missing, but the folder has tables: move it away, or delete it.")
    return None


def _manifest(values: Mapping[str, Any], former: Manifest | None, resume: bool) -> Manifest:
    now = datetime.now(UTC)
    fresh = Manifest(status="running", created=now, updated=now, writer=this_process(), **values)
    if former is None or former.status == "finished":
        return fresh
    run_id = fresh.run
    if not resume:
        raise StoreError(
            f"Run {run_id} exists, unfinished, up to epoch {former.last_epoch}: open it with resume=True, or give "
            "another run id with run_id=."
        )
    for name in ("candidate", "dataset", "seed", "mode", "config"):
        if getattr(former, name) != getattr(fresh, name):
            raise StoreError(
                f"Run {run_id} cannot be resumed with another {name} ({_short(getattr(fresh, name))}) than it was "
                f"begun with ({_short(getattr(former, name))}): give another run id with run_id=."
            )
    keep = ("created", "epochs", "tables", "files", "summary")
    return fresh.model_copy(
        update={
            **{name: getattr(former, name) for name in keep},
            "planned_epochs": fresh.planned_epochs or former.planned_epochs,
            "unit": fresh.unit or former.unit,
            "recorded": fresh.recorded or former.recorded,
            "info": fresh.info or former.info,
            **{name: {**getattr(former, name), **getattr(fresh, name)} for name in ("resolved", "digests", "costs")},
            "warnings": list(dict.fromkeys([*former.warnings, *fresh.warnings])),
            "notes": fresh.notes or former.notes,
        }
    )


def _give_back(folder: Folder, lock: BaseFileLock | None, finished: bool) -> None:
    if lock is not None:
        if finished:
            folder.remove(LOCK)
        lock.release()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
