"""The training state of an unfinished run: one safetensors file whose name holds its checksum."""

from __future__ import annotations

import logging

from ncore.errors import StoreError
from ncore.store._folder import Folder
from ncore.store.layout import checkpoint_file, checksum, parse_checkpoint_file

__all__ = ["clear", "load", "save"]

_log = logging.getLogger("ncore.store")


def save(folder: Folder, data: bytes) -> None:
    """Replace the checkpoint of a run; until that is done, the former one stays."""
    former = _names(folder)
    number = 1 + max((number for number, _, _ in former), default=0)
    folder.write(checkpoint_file(number, data), data)
    for _, _, name in former:
        folder.remove(name)


def load(folder: Folder) -> bytes | None:
    """The newest checkpoint that is whole; None if there is none. One that is not is said in the log."""
    for _, crc, name in sorted(_names(folder), reverse=True):
        try:
            data = folder.read(name)
        except FileNotFoundError:
            continue
        except StoreError as error:
            _log.warning("A checkpoint is not used: %s", error)
            continue
        if checksum(data) == crc:
            return data
        _log.warning("A checkpoint is not used: the content of %s is not what its name says.", folder.name_of(name))
    return None


def clear(folder: Folder) -> None:
    """Delete every checkpoint of a run."""
    for _, _, name in _names(folder):
        folder.remove(name)


def _names(folder: Folder) -> list[tuple[int, str, str]]:
    files = (entry.name for entry in folder.entries() if entry.size is not None and not entry.special)
    parsed = ((parse_checkpoint_file(name), name) for name in files)
    return [(found[0], found[1], name) for found, name in parsed if found]
