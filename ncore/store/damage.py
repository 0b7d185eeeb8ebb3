"""What can be wrong with a file of a store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from ncore.errors import NcoreError, StoreError

__all__ = ["DamagedFileError", "Kind", "in_line", "kept_inside"]

Kind = Literal["truncated", "corrupt", "missing", "foreign", "future-version", "leftover", "unreadable"]


class DamagedFileError(StoreError):
    """A file that is not what its manifest says.

    Attributes:
        path: Of the file.
        kind: What is wrong with it.
        problem: The same in words.
        readable: What can still be read, in words.
    """

    def __init__(self, path: str, kind: Kind, problem: str, readable: str = "") -> None:
        super().__init__(f"{path} is {kind}: {problem}{f'; {readable}' if readable else ''}.")
        self.path, self.kind, self.problem, self.readable = path, kind, problem, readable


def in_line(error: BaseException) -> str:
    """What an exception says, in one line without the full stop; its kind if that is nothing."""
    said = " ".join(str(error).encode("utf-8", "backslashreplace").decode().split()).rstrip(".")
    return said or type(error).__name__


@contextlib.contextmanager
def kept_inside(where: str) -> Iterator[None]:
    """Make whatever goes wrong in reading one run an error of that run, so that the others can go on.

    Args:
        where: Path of what is read.

    Raises:
        DamagedFileError: For every exception that is not said already, and is not of a file that is not there.
    """
    try:
        yield
    except (NcoreError, FileNotFoundError):
        raise
    except Exception as error:
        raise DamagedFileError(where, "unreadable", f"{type(error).__name__}, {in_line(error)}") from error
