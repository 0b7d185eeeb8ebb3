"""``ncore-store.json``: the file that makes a folder a store."""

from __future__ import annotations

import contextlib
import json
import os

from ncore.errors import StoreError
from ncore.store._folder import Folder, LocalFolder
from ncore.store.layout import STORE_FILE, is_temporary
from ncore.store.manifest import check_version
from ncore.store.migrations import is_readable
from ncore.store.schema import SCHEMA_VERSION

__all__ = ["check_marker", "clear_marker_leftovers", "write_marker"]

_MOST = 1 << 16  # bytes; it has a few dozen
_CONTENT = {"format": "ncore-store", "schema": SCHEMA_VERSION}


def write_marker(folder: Folder) -> None:
    """Make a folder a store; another process may do so at the same moment."""
    try:
        folder.write(STORE_FILE, json.dumps(_CONTENT).encode())
    except FileNotFoundError:  # that one was done first, and cleared this one's away
        check_marker(folder)


def clear_marker_leftovers(folder: Folder) -> None:
    """Delete what processes left that were killed as they made the store."""
    if folder.local:
        with contextlib.suppress(StoreError):  # a store that may only be read
            for name, size, special in folder.entries():
                if name.startswith(f".{STORE_FILE}.") and is_temporary(name) and size is not None and not special:
                    folder.remove(name)


def check_marker(folder: Folder) -> None:
    """Check that a folder is a store.

    Raises:
        StoreError: It is not, or can't be reached.
        SchemaVersionError: It is one of another version.
    """
    where = folder.name_of(STORE_FILE)
    try:
        data = folder.read(STORE_FILE, _MOST)
    except FileNotFoundError as error:
        if isinstance(folder, LocalFolder) and not os.path.isdir(folder.root):
            raise StoreError(
                f"There is no folder {folder.url}: record a run into it, or make it with ncore.create_store."
            ) from error
        raise StoreError(
            f"{folder.url} is not an ncore store, it has no {STORE_FILE}: give the folder that holds the runs, or make "
            "it a store with ncore.create_store."
        ) from error
    check_version(data, where)
    try:
        found = json.loads(data)
        known = is_readable(found["schema"]) and found == {**_CONTENT, "schema": found["schema"]}
    except (ValueError, TypeError, KeyError, RecursionError):
        known = False
    if not known:
        raise StoreError(f"{where} is not what ncore writes there: delete it and call ncore.create_store.")
