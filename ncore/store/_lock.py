"""Who records a run: a lock that the operating system releases whatever ends the process, and signs of life."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta

from filelock import FileLock, Timeout

from ncore.store._folder import Folder, LocalFolder
from ncore.store.layout import LOCK
from ncore.store.manifest import Manifest, Owner

__all__ = ["SILENCE", "held", "is_alive", "status_now", "take", "this_process"]

SILENCE = timedelta(minutes=10)
"""Where no lock can be asked, a run that was not updated for this long counts as interrupted."""

_PATIENCE = 1.0  # seconds: a reader that asks whether a lock is held holds it for an instant


def this_process() -> Owner:
    """Who the manifests written by a new writer name."""
    return Owner(host=socket.gethostname(), pid=os.getpid(), token=os.urandom(6).hex())


def take(folder: LocalFolder) -> FileLock | None:
    """The lock of a run, or None if another writer holds it."""
    lock = FileLock(folder.path(LOCK), timeout=_PATIENCE, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def held(folder: LocalFolder) -> bool:
    """Whether a writer holds the lock of a run; asking changes nothing and needs no right to write."""
    path = folder.path(LOCK)
    try:
        import fcntl
    except ImportError:  # Windows: a locked file cannot be deleted, so an existing one is tried
        if not os.path.exists(path):
            return False
        lock = take(folder)
        if lock is not None:
            lock.release()
        return lock is None
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that readers who ask at the same moment do not take each other for a writer.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def is_alive(folder: Folder, manifest: Manifest) -> bool:
    """Whether a run whose manifest says "running" is still being recorded."""
    here = manifest.writer.host == socket.gethostname()
    if isinstance(folder, LocalFolder):
        if held(folder):
            return True
        if here:
            return False
    if datetime.now(UTC) - manifest.updated > SILENCE:
        return False
    return not here or _process_lives(manifest.writer.pid)


def status_now(folder: Folder, manifest: Manifest) -> str:
    """The status of a run, "interrupted" where the manifest says "running" but nobody records it."""
    if manifest.status == "running" and not is_alive(folder, manifest):
        return "interrupted"
    return manifest.status


def _process_lives(pid: int) -> bool:
    if os.name == "nt":  # asking there would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
