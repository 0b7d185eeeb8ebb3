"""What lies in a run's folder that its manifest does not list."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from ncore.errors import StoreError
from ncore.store._folder import Entry, Folder, LocalFolder
from ncore.store.layout import (
    ANNOTATIONS,
    LOCK,
    MANIFEST,
    is_run_id,
    is_temporary,
    parse_checkpoint_file,
    parse_table_file,
)
from ncore.store.manifest import Manifest
from ncore.store.schema import TABLES

__all__ = ["DROPPINGS", "Unlisted", "has_tables", "left_out", "remove_leftovers", "unlisted"]

DROPPINGS = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""Files that file managers leave behind."""


@dataclass
class Unlisted:
    """Paths inside a run's folder.

    Attributes:
        leftovers: Of a writer that was killed: never read, and cleared away by the next writer.
        foreign: Not made by ncore.
        checkpoints: Of an unfinished run.
    """

    leftovers: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)


def has_tables(folder: Folder) -> bool:
    """Whether a folder holds tables of a run, or would if its manifest were not lost."""
    try:
        names = [entry.name for entry in folder.entries()]
    except FileNotFoundError:
        return False
    return any(name in TABLES or parse_table_file(name) for name in names)


def left_out(folder: Folder, entries: Iterable[Entry]) -> dict[str, str]:
    """Runs that a store does not read, by the name of their folder or link, each with the reason.

    Args:
        folder: The store's.
        entries: What is in it.
    """
    found = {}
    for entry in entries:
        if is_temporary(entry.name):
            continue
        if entry.special:
            if isinstance(folder, LocalFolder) and os.path.isfile(os.path.join(folder.root, entry.name, MANIFEST)):
                found[entry.name] = (
                    f"{folder.name_of(entry.name)} is {entry.special} to a run, but links inside a store are not "
                    "followed: put the run's folder itself here"
                )
        elif entry.size is None and not is_run_id(entry.name) and _has_manifest(folder, entry.name):
            found[entry.name] = (
                f"{folder.name_of(entry.name)} holds a run, but no run can have this name: rename the folder, to "
                "at most "
                "128 letters, digits, dots, dashes and underscores"
            )
    return found


def _has_manifest(folder: Folder, name: str) -> bool:
    try:
        return any(entry.name == MANIFEST for entry in folder.entries(name))
    except (FileNotFoundError, StoreError):
        return False


def unlisted(folder: Folder, manifest: Manifest) -> Unlisted:
    """Look through a run's folder."""
    found = Unlisted()
    entries = folder.entries()
    if manifest.status != "finished":
        files = [entry.name for entry in entries if entry.size is not None and not entry.special]
        found.checkpoints = [name for name in files if parse_checkpoint_file(name)]
    for entry in entries:
        if entry.size is None and entry.name in TABLES:
            inside = folder.entries(entry.name)
            _sort([item._replace(name=f"{entry.name}/{item.name}") for item in inside], manifest, found)
            if not inside:
                found.leftovers.append(entry.name)
        elif entry.name not in (MANIFEST, ANNOTATIONS, LOCK, *found.checkpoints):
            _sort([entry], manifest, found)
    return found


def remove_leftovers(folder: Folder, manifest: Manifest) -> None:
    """Delete what earlier writers left behind, and nothing else; only the writer of the run may do this."""
    found = unlisted(folder, manifest)
    needed = [*manifest.files, *found.foreign]
    tables = {path.split("/")[0] for path in found.leftovers} & set(TABLES)
    gone = {name for name in tables if not any(path.startswith(f"{name}/") for path in needed)}
    for name in sorted(gone):
        folder.remove_folder(name)
    for path in found.leftovers:
        if path.split("/")[0] not in gone:
            folder.remove(path)


def _sort(entries: list[Entry], manifest: Manifest, found: Unlisted) -> None:
    for path, size, special in entries:
        name = path.rsplit("/", 1)[-1]
        if path in manifest.files or name in DROPPINGS:
            continue
        ours = is_temporary(name) or parse_table_file(path) or parse_checkpoint_file(path)
        (found.leftovers if ours and size is not None and not special else found.foreign).append(path)
