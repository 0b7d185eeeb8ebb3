"""Rows that memory is too small for: decoded pictures and features, in files that are mapped, each row made once.

Files lie in a folder beside the store, one for each way in which rows are made. A file is named by the digests of what
its rows are made of, in their order, so that candidates of one input size share it, and so do seeds and units; rows
that another file of the folder has, as that of a larger draw, are copied. One process makes a file and others wait for
it; one that was killed in the middle is gone on with. The folder is bounded: what was not used for longest goes first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from ncore.errors import InputError

if TYPE_CHECKING:
    from ncore.store import Store

__all__ = ["DISK_GB", "MEMORY_GB", "Make", "beside", "default", "empty", "fits_in_memory", "on_disk", "size"]

MEMORY_GB, DISK_GB = 1.0, 50.0
"""What is held in memory, and on disk, if the environment's NCORE_MEMORY_GB and NCORE_CACHE_GB don't say otherwise."""
Make = Callable[[np.ndarray], Iterator[np.ndarray]]
"""Gives the rows of these numbers, in this order, some at a time."""
_BLOCK = 4096  # rows that are written together
_SYNCED = 64 << 20  # bytes after which what was written is made sure of


def fits_in_memory(count: int, shape: tuple[int, ...], dtype: Any) -> bool:
    """Whether so many rows are held in memory."""
    limit = float(os.environ.get("NCORE_MEMORY_GB", MEMORY_GB))
    return count * _bytes(shape, dtype) <= limit * 1e9


def beside(store: Store) -> Path:
    """The folder of a store's rows: hidden beside it, or for one in a bucket in the user's folder of caches."""
    if "://" not in store.url:
        place = Path(store.url).resolve()
        if os.access(place.parent, os.W_OK):
            return place.with_name(f".{place.name}.rows")
    return default() / blake2b(store.url.encode(), digest_size=8).hexdigest()


def default() -> Path:
    """The user's folder of caches, where there is no store."""
    given = os.environ.get("NCORE_CACHE")
    place = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ncore"
    return place.expanduser() / "rows"


def on_disk(
    place: Path,
    kind: str,
    digests: np.ndarray,
    shape: tuple[int, ...],
    dtype: Any,
    make: Make,
) -> np.ndarray:
    """Rows in a file, mapped: (N, ``*shape``), made if they are not there.

    Args:
        place: The folder of all files.
        kind: How rows are made: the same for all that are made alike.
        digests: Of what each is made of, S16 (N,).
        shape: Of a row.
        dtype: Of its numbers.
        make: Gives the rows of these numbers, in this order, some at a time.

    Raises:
        InputError: The disk is too small for them.
    """
    folder = place / blake2b(f"{kind} {shape} {np.dtype(dtype)}".encode(), digest_size=12).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    whole = np.ascontiguousarray(digests.astype("S16"))
    path = folder / f"{blake2b(whole.tobytes(), digest_size=16).hexdigest()}.rows"
    length = len(whole) * _bytes(shape, dtype)
    with FileLock(path.with_suffix(".lock")):  # which the system opens when its process ends, however it does
        if not (path.is_file() and path.stat().st_size == length):
            _fill(path, whole, shape, dtype, make)
        os.utime(path)
    _forget(place, path)
    # Copied on writing: torch wants an array that can be written to, and the file stays as it is.
    return np.memmap(path, dtype=dtype, mode="c", shape=(len(whole), *shape))


def _fill(
    path: Path,
    digests: np.ndarray,
    shape: tuple[int, ...],
    dtype: Any,
    make: Callable[[np.ndarray], Iterator[np.ndarray]],
) -> None:
    part, row_bytes = path.with_suffix(".part"), _bytes(shape, dtype)
    done = part.stat().st_size // row_bytes if part.is_file() else 0
    free, needed = shutil.disk_usage(path.parent).free, (len(digests) - done) * row_bytes
    if needed > free:
        raise InputError(
            f"{len(digests)} rows of {row_bytes} bytes need {needed / 1e9:.1f} GB more in {str(path.parent.parent)!r}, "
            f"but the disk has {free / 1e9:.1f} GB left: empty it with `ncore cache STORE --empty`, or draw fewer."
        )
    others = _Others(path.parent, digests[done:], shape, dtype)
    made = (row for some in make(done + np.flatnonzero(~others.known)) for row in some)
    unsynced = 0
    with part.open("r+b" if part.is_file() else "w+b") as file:
        file.truncate(done * row_bytes)  # a row that a kill cut off
        file.seek(done * row_bytes)
        for start in range(0, len(digests) - done, _BLOCK):
            block = others.block(start, min(start + _BLOCK, len(digests) - done))
            for at in np.flatnonzero(~others.known[start : start + len(block)]).tolist():
                block[at] = next(made)
            file.write(block.data)
            unsynced += block.nbytes
            if unsynced >= _SYNCED:
                file.flush()
                os.fsync(file.fileno())
                unsynced = 0
        file.flush()
        os.fsync(file.fileno())
    np.save(path.with_suffix(".npy"), digests)
    os.replace(part, path)


class _Others:
    """Rows that other files of a folder have.

    Args:
        folder: Of files whose rows are made alike.
        digests: Of those that are wanted.
        shape: Of a row.
        dtype: Of its numbers.

    Attributes:
        known: Which of them some file has.
    """

    def __init__(self, folder: Path, digests: np.ndarray, shape: tuple[int, ...], dtype: Any) -> None:
        self._shape, self._dtype = shape, dtype
        self.known = np.zeros(len(digests), dtype=bool)
        self._file, self._row = np.full(len(digests), -1), np.zeros(len(digests), dtype=np.int64)
        self._maps: list[np.ndarray] = []
        for index in sorted(folder.glob("*.npy")):
            with contextlib.suppress(OSError, ValueError):  # gone since, or damaged: then rows are made again
                theirs = np.load(index, allow_pickle=False)
                rows = np.memmap(index.with_suffix(".rows"), dtype=dtype, mode="r", shape=(len(theirs), *shape))
                order = np.argsort(theirs, kind="stable")
                at = np.searchsorted(theirs[order], digests).clip(max=len(theirs) - 1)
                found = ~self.known & (theirs[order][at] == digests)
                self._file[found], self._row[found] = len(self._maps), order[at][found]
                self.known |= found
                self._maps.append(rows)

    def block(self, start: int, end: int) -> np.ndarray:
        """Some of the rows, filled where they are known."""
        block = np.zeros((end - start, *self._shape), dtype=self._dtype)
        for number, rows in enumerate(self._maps):
            at = np.flatnonzero(self._file[start:end] == number)
            block[at] = rows[self._row[start:end][at]]
        return block


def size(place: Path) -> int:
    """Bytes of all files."""
    return sum(bytes_ for _, bytes_, _ in _files(place))


def empty(place: Path) -> int:
    """Remove all files that no process is making; returns how many bytes that gave back."""
    before = size(place)
    for _, _, path in _files(place):
        _remove(path)
    for folder in [*place.glob("*"), place]:
        for lock in folder.glob("*.lock"):
            if not any(lock.with_suffix(other).exists() for other in (".rows", ".part")):
                lock.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
    return before - size(place)


def _forget(place: Path, kept: Path) -> None:
    """Remove what was not used for longest, until what is left is within the bound."""
    left = float(os.environ.get("NCORE_CACHE_GB", DISK_GB)) * 1e9
    files = sorted(_files(place), reverse=True)
    for _, length, path in files:
        left -= length
        if left < 0 and path != kept:
            _remove(path)


def _files(place: Path) -> list[tuple[float, int, Path]]:
    """When each was last used, its bytes, and its path."""
    found = []
    for path in [*place.glob("*/*.rows"), *place.glob("*/*.part")]:
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return found


def _remove(path: Path) -> None:
    """Remove a file that no process is making; those that have mapped it keep it until they end."""
    with contextlib.suppress(Timeout, OSError), FileLock(path.with_suffix(".lock"), timeout=0):
        path.unlink(missing_ok=True)
        path.with_suffix(".npy").unlink(missing_ok=True)


def _bytes(shape: tuple[int, ...], dtype: Any) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
