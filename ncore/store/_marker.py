"""``ncore-store.json``: the file that makes a folder a store."""

from __future__ import annotations

import json
import os

from ncore.errors import StoreError
from ncore.store._folder import Folder, LocalFolder
from ncore.store.layout import STORE_FILE
from ncore.store.manifest import check_version
from ncore.store.schema import SCHEMA_VERSION

__all__ = ["check_marker", "write_marker"]

_MOST = 1 << 16  # bytes; it has a few dozen
_CONTENT = {"format": "ncore-store", "schema": SCHEMA_VERSION}


def write_marker(folder: Folder) -> None:
    """Make a folder a store."""
    folder.write(STORE_FILE, json.dumps(_CONTENT).encode())


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
        known = json.loads(data) == _CONTENT
    except (ValueError, RecursionError):
        known = False
    if not known:
        raise StoreError(f"{where} is not what ncore writes there: delete it and call ncore.create_store.")
