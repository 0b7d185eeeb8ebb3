"""Who records a run: a lock that the operating system releases whatever ends the process, and signs of life."""

from __future__ import annotations

import errno
import os
import socket
import stat
from datetime import UTC, datetime, timedelta

from filelock import BaseFileLock, FileLock, Timeout

from ncore.errors import StoreError
from ncore.store._folder import Folder, LocalFolder
from ncore.store.layout import LOCK
from ncore.store.manifest import Manifest, Owner

__all__ = ["SILENCE", "BusyError", "held", "is_alive", "is_lost", "status_now", "take", "this_process"]

SILENCE = timedelta(minutes=10)
"""Where no lock can be asked, a run that was not updated for this long counts as interrupted."""

_PATIENCE = 1.0  # seconds: a reader that asks whether a lock is held holds it for an instant
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


class BusyError(Exception):
    """Another writer holds the lock of a run."""


def this_process() -> Owner:
    """Who the manifests written by a new writer name."""
    return Owner(host=socket.gethostname(), pid=os.getpid(), token=os.urandom(6).hex())


def take(folder: LocalFolder) -> FileLock | None:
    """The lock of a run, or None where the file system has no locks.

    Raises:
        BusyError: Another writer holds it.
        StoreError: It can't be taken.
    """
    lock = FileLock(folder.path(LOCK), timeout=_PATIENCE, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise BusyError from error
    except NotImplementedError:
        return None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise StoreError(f"{folder.name_of(LOCK)} could not be locked: {error.strerror or error}.") from error
    return lock


def is_lost(lock: BaseFileLock) -> bool:
    """Whether another file is where a lock was taken: then it keeps nobody away any more."""
    handle = lock._context.lock_file_fd
    if handle is None:
        return True
    try:
        return not os.path.samestat(os.fstat(handle), os.stat(lock.lock_file, follow_symlinks=False))
    except OSError:  # none at all, or not to be looked at: whoever comes has to make one first
        return False


def held(folder: LocalFolder) -> bool | None:
    """Whether a writer holds the lock of a run; asking changes nothing and needs no right to write.

    None where it can't be asked: another user's lock, no lock at all but something else, a file system without locks.
    """
    path = os.path.join(folder.root, LOCK)
    try:
        import fcntl
    except ImportError:  # Windows: a locked file cannot be deleted, so an existing one is tried
        if not os.path.exists(path):
            return False
        try:
            lock = take(folder)
        except BusyError:
            return True
        if lock is not None:
            lock.release()
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        # Shared, so that readers who ask at the same moment do not take each other for a writer.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return None
    finally:
        os.close(handle)
    return False


def is_alive(folder: Folder, manifest: Manifest) -> bool:
    """Whether a run whose manifest says "running" is still being recorded."""
    here = manifest.writer.host == socket.gethostname()
    if isinstance(folder, LocalFolder):
        locked = held(folder)
        if locked:
            return True
        if here and locked is not None:
            return False
    if abs(datetime.now(UTC) - manifest.updated) > SILENCE:  # the future is no sign of life either
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
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
