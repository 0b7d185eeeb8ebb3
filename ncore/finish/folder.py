"""The folder of a finished model: it appears whole, and replaces only one of its kind."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ncore.errors import InputError, NcoreError

__all__ = ["FORMAT", "default_place", "local", "making"]

FORMAT = "ncore-model"
"""What ``model.json`` says that a folder is."""
_LONGEST = 200  # bytes of a name, so that there is room for what is put around it


def default_place(candidate: str, dataset: str) -> Path:
    """Where a model goes if nothing is said.

    Example:
        >>> default_place("lenet (learning_rate 0.01)", "digits").as_posix()
        'finished/lenet-learning_rate-0.01-digits'
    """
    words = re.findall(r"[^\W_][\w.]*", f"{candidate} {dataset}")
    name = "-".join(word.strip(".") for word in words).encode()[:_LONGEST].decode(errors="ignore")
    return Path("finished", name or "model")


def local(place: str | os.PathLike[str]) -> Path:
    """A place as an absolute path.

    Raises:
        InputError: It is a URL.
    """
    if "://" in (text := os.fspath(place)):
        raise InputError(f"{text} is a URL, but a model is written to a folder of this machine: name one with --to.")
    return Path(text).expanduser().absolute()


@contextmanager
def making(place: Path, overwrite: bool = False) -> Iterator[Path]:
    """A working folder beside ``place``, whose subfolder ``folder`` becomes it at the end.

    The rest of it is kept if something fails, to be gone on with.

    Args:
        place: An absolute path.
        overwrite: Replace a finished model that is there.

    Raises:
        InputError: Something else is there, or another process is at it.
    """
    aside = place.with_name(f".{place.name}.unfinished")
    try:
        _check(place, overwrite)
        aside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(place, error) from error
    lock = FileLock(aside / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{place} is being made by another process: wait for it, or name another --to.") from None
    try:
        shutil.rmtree(aside / "folder", ignore_errors=True)
        (aside / "folder").mkdir()
        yield aside
        _check(place, overwrite)
        _replace(aside / "folder", place)
        shutil.rmtree(aside, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(aside / "folder", ignore_errors=True)
        if {path.name for path in aside.iterdir()} <= {".lock"}:  # nothing was trained
            shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, NcoreError):
            raise _unwritable(place, error) from error
        raise
    finally:
        lock.release()


def _check(place: Path, overwrite: bool) -> None:
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not _is_ours(place):
        raise InputError(f"{place} is there already and no finished model of ncore's: name another folder with --to.")
    if not overwrite:
        raise InputError(f"{place} holds a finished model already: replace it with --overwrite, or name another --to.")


def _unwritable(place: Path, error: OSError) -> InputError:
    why = error.strerror or type(error).__name__
    return InputError(f"{place} cannot be written ({why}): make room for it, or name another folder with --to.")


def _is_ours(place: Path) -> bool:
    try:
        return json.loads((place / "model.json").read_text(encoding="utf-8"))["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _replace(folder: Path, place: Path) -> None:
    """Put a folder in place of what is there."""
    former = folder.with_name("former")
    shutil.rmtree(former, ignore_errors=True)
    if place.exists():
        os.rename(place, former)
    os.rename(folder, place)
