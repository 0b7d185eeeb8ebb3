"""How the pictures below a folder are laid out: as classes, or as sets of classes; and which files are pictures."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from PIL import Image

from ncore.errors import InputError
from ncore.probe.sources.split_names import nfc, split_of

__all__ = ["LAYOUTS", "Found", "class_folders", "find_pictures", "sets_of"]

LAYOUTS = ("classes", "splits")
#: Folders that systems make beside pictures, with copies, halves or small versions of them.
_MADE_BY_SYSTEMS = {"__macosx", "@eadir", "lost+found", "$recycle.bin", "system volume information", "__pycache__"}
_SMALL_VERSIONS = {"thumb", "thumbs", "thumbnail", "thumbnails"}
#: Formats that Pillow names but does not read as pictures by itself.
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
_MOST_NAMED = 4  # endings


@dataclass
class Found:
    """Pictures below a folder, and what was left out there.

    Attributes:
        paths: Of the pictures, in order.
        hidden: How many files lie in hidden folders, or in those that systems make, or are hidden.
        others: How many files are no pictures, by their ending.
        no_files: How many are neither files nor folders: pipes, devices, links to nothing.
    """

    paths: list[Path] = field(default_factory=list)
    hidden: int = 0
    others: Counter[str] = field(default_factory=Counter)
    no_files: int = 0

    def add(self, other: Found) -> None:
        """Count what was left out elsewhere, too."""
        self.hidden += other.hidden
        self.others += other.others
        self.no_files += other.no_files

    def said(self) -> str:
        """What was left out, in words; empty if nothing."""
        parts = [f"{self.hidden} hidden or made by the system"] if self.hidden else []
        if total := sum(self.others.values()):
            ordered = sorted(self.others.items(), key=lambda item: (-item[1], item[0]))
            named = [f"{count} {ending}" for ending, count in ordered[:_MOST_NAMED]]
            if rest := sum(count for _, count in ordered[_MOST_NAMED:]):
                named.append(f"{rest} others")
            parts.append(f"{total} that are no pictures ({', '.join(named)})")
        if self.no_files:
            parts.append(f"{self.no_files} that are no files (pipes, or links to nothing)")
        return " and ".join(parts)


def class_folders(root: Path) -> list[Path]:
    """Subfolders in order of their names, those left out that are hidden or made by systems.

    Raises:
        InputError: Two have the same name, but for its Unicode form, or a name is no text.
    """
    found = sorted(
        (path for path in root.iterdir() if path.is_dir() and not _is_hidden(path.name)),
        key=lambda path: nfc(path.name),
    )
    for path in found:
        if not _is_text(path.name):
            raise InputError(
                f"the folder {str(root)!a} has a subfolder whose name {path.name!a} is no text in UTF-8: rename it."
            )
    for one, other in itertools.pairwise(found):
        if nfc(one.name) == nfc(other.name):
            raise InputError(
                f"the folder {str(root)!r} has two subfolders called {nfc(one.name)!r}: join or rename them."
            )
    return found


def sets_of(root: Path, layout: str | None) -> dict[str, Path]:
    """The folder of each set; the root itself, as train, where its subfolders are classes.

    Args:
        root: A folder.
        layout: "classes" or "splits", where names alone would leave it open; None to go by them.

    Raises:
        InputError: Both readings are possible, or that asked for is not; says what each would be.
    """
    inside = class_folders(root)
    meant = {path: split for path in inside if (split := split_of(path.name))}
    if layout is None and not meant:
        _refuse_guesses(root, inside)
    if layout == "classes" or (layout is None and not meant):
        return {"train": root}
    nested = {path for path in inside if any(_holds_pictures(sub) for sub in class_folders(path))}
    flat = {path for path in inside if _holds_pictures(path, deep=False)}
    others = [path.name for path in inside if path not in meant and path in nested | flat]
    mixed = [path.name for path in meant if path in flat or path not in nested]
    if layout is None:
        one_class_among_others = len(meant) == 1 and not (set(meant) & nested) and others
        if one_class_among_others:
            return {"train": root}
        if others or mixed:
            names = ", ".join(sorted(path.name for path in meant))
            why = f"{mixed[0]!r} holds no class folders" if mixed else f"{others[0]!r} beside them is none"
            raise InputError(
                f"the folder {str(root)!r} can be read in two ways: {names} are sets, but {why}; or all "
                f"{len(inside)} subfolders are classes. Say `layout: splits` or `layout: classes`."
            )
    if not meant:
        raise InputError(f"the folder {str(root)!r} has no subfolder called train, which `layout: splits` needs.")
    found: dict[str, Path] = {}
    for path, split in meant.items():
        if split in found:
            raise InputError(
                f"the folder {str(root)!r} has both {found[split].name!r} and {path.name!r} for {split}: "
                "join them, or move one away."
            )
        found[split] = path
    if "train" not in found:
        raise InputError(
            f"the folder {str(root)!r} has the sets {', '.join(path.name for path in meant)}, but none called train: "
            "rename one, or say `layout: classes` if they are classes."
        )
    return found


def _refuse_guesses(root: Path, inside: list[Path]) -> None:
    """Refuse folders that could be classes, but look otherwise by what is in them.

    Raises:
        InputError: Sets below classes, or the same folders below all, as in sets of unusual names.
    """
    if len(inside) < 2 or any(_holds_pictures(path, deep=False) for path in inside):
        return
    below = {path: [sub for sub in class_folders(path) if _holds_pictures(sub)] for path in inside}
    for path, subs in below.items():
        if len({split_of(sub.name) for sub in subs} - {None}) > 1:
            raise InputError(
                f"the folder {str(root)!r} can be read in two ways: {', '.join(sub.name for sub in subs)} in "
                f"{path.name!r} are sets of that class, or all in {path.name!r} belong together. Move them to "
                f"{subs[0].name}/{path.name} and so on, or say `layout: classes`."
            )
    names = {tuple(sorted(nfc(sub.name) for sub in subs)) for subs in below.values()}
    if len(names) == 1 and len(next(iter(names))) > 1:
        sets = ", ".join(path.name for path in inside)
        raise InputError(
            f"the folder {str(root)!r} can be read in two ways: {sets} each have the folders "
            f"{', '.join(next(iter(names)))}, as sets have their classes; or they are classes. Rename them to train, "
            "validation and test, or say `layout: classes`."
        )


def _is_text(name: str) -> bool:
    """Names that aren't UTF-8 come with surrogates in place of their bytes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def find_pictures(folder: Path) -> Found:
    """All pictures below a folder, at any depth, by what Pillow can read."""
    found = Found()
    for path, hidden in _files(folder):
        if hidden:
            found.hidden += 1
        elif not path.is_file():
            found.no_files += 1
        elif _is_picture(path):
            found.paths.append(path)
        else:
            found.others[path.suffix.lower() or "without ending"] += 1
    found.paths.sort()
    return found


def _files(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Files below a folder, and whether they are hidden, or in something hidden; links back up are not followed."""
    for place, names, files in os.walk(folder, followlinks=True):
        above = {os.path.realpath(part) for part in (place, *map(str, Path(place).parents))}
        names[:] = sorted(name for name in names if not _leads_to(os.path.join(place, name), above))
        inside = Path(place).relative_to(folder).parts
        hidden = any(_is_hidden(part) or part.lower() in _SMALL_VERSIONS for part in inside)
        for name in files:
            yield Path(place, name), hidden or _is_hidden(name) or name.lower() == "thumbs.db"


def _leads_to(path: str, above: set[str]) -> bool:
    return os.path.islink(path) and os.path.realpath(path) in above


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _MADE_BY_SYSTEMS


def _holds_pictures(folder: Path, deep: bool = True) -> bool:
    return any(
        not hidden and (deep or path.parent == folder) and path.is_file() and _is_picture(path)
        for path, hidden in _files(folder)
    )


@lru_cache(maxsize=1)
def _endings() -> tuple[frozenset[str], frozenset[str]]:
    """Those of formats that Pillow reads, and those of formats that it only names or writes."""
    known = Image.registered_extensions()
    reads = {*Image.OPEN, "MPO"} - _NO_PICTURES  # MPO is opened by the reader of JPEG
    readable = {ending for ending, kind in known.items() if kind in reads}
    return frozenset(readable), frozenset(set(known) - readable)


def _is_picture(path: Path) -> bool:
    """By its ending, and where that is none of a picture by its first bytes."""
    readable, never = _endings()
    ending = path.suffix.lower()
    if ending in readable:
        return True
    if ending in never or ending in {".txt", ".csv", ".json", ".xml", ".md", ".npy", ".npz", ".parquet", ".py"}:
        return False
    try:
        with Image.open(path) as image:
            return image.format not in _NO_PICTURES
    except Exception:  # whatever Pillow's readers raise at what is no picture
        return False
