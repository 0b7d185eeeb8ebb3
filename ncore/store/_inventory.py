"""What lies in a run's folder that its manifest does not list."""

from __future__ import annotations

from dataclasses import dataclass, field

from ncore.store._folder import Entry, Folder
from ncore.store.layout import LOCK, MANIFEST, is_temporary, parse_checkpoint_file, parse_table_file
from ncore.store.manifest import Manifest
from ncore.store.schema import TABLES

__all__ = ["DROPPINGS", "Unlisted", "has_tables", "remove_leftovers", "unlisted"]

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


def unlisted(folder: Folder, manifest: Manifest) -> Unlisted:
    """Look through a run's folder."""
    found = Unlisted()
    entries = folder.entries()
    if manifest.status != "finished":
        found.checkpoints = [entry.name for entry in entries if parse_checkpoint_file(entry.name)]
    for entry in entries:
        if entry.size is None and entry.name in TABLES:
            inside = folder.entries(entry.name)
            _sort([Entry(f"{entry.name}/{item.name}", item.size) for item in inside], manifest, found)
            if not inside:
                found.leftovers.append(entry.name)
        elif entry.name not in (MANIFEST, LOCK, *found.checkpoints):
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
    for path, size in entries:
        name = path.rsplit("/", 1)[-1]
        if path in manifest.files or name in DROPPINGS:
            continue
        ours = is_temporary(name) or parse_table_file(path) or parse_checkpoint_file(path)
        (found.leftovers if ours and size is not None else found.foreign).append(path)
