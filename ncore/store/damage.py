"""What can be wrong with a file of a store."""

from __future__ import annotations

from typing import Literal

from ncore.errors import StoreError

__all__ = ["DamagedFileError", "Kind"]

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
