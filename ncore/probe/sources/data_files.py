"""``folder:PATH`` and ``parquet:PATH``: picture files in class folders, and Parquet in the Hugging Face layout."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ncore.errors import InputError
from ncore.probe._choices import first_line, unknown
from ncore.probe.sources.folder_layout import Found, class_folders, find_pictures, sets_of
from ncore.probe.sources.folder_metadata import columns_beside
from ncore.probe.sources.pictures import FilePictures
from ncore.probe.sources.pools import Pool, Raw, digest, numbered, stamp_of
from ncore.probe.sources.split_names import nfc, split_of
from ncore.probe.sources.split_rules import matched, plain_values

__all__ = [
    "GROUPS_HELD",
    "IMAGE_COLUMNS",
    "LABEL_COLUMNS",
    "ParquetPictures",
    "expand",
    "find_column",
    "load_folder",
    "load_parquet",
    "names_in_schema",
    "read_labels",
    "refuse_detection",
    "root_of",
    "sort_files",
]

GROUPS_HELD = 2
_WORDS = re.compile(r"[-_. ]+")


def load_folder(
    path: str,
    layout: str | None = None,
    columns: Mapping[str, str] | None = None,
    metadata: str | None = None,
    group_path: str | None = None,
) -> Raw:
    """Read PATH/class/*.png, or PATH/{train,val,test}/class/*.png; files are opened only when they are used.

    Args:
        path: Of the folder.
        layout: "classes" or "splits", where the names of subfolders leave it open.
        columns: Names of columns of the metadata by what they are for.
        metadata: The file that has them.
        group_path: A regular expression that finds a picture's group in its path.

    Raises:
        InputError: No such folder, no class folders in it, or two ways to read it.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        what = "is a file, but a folder was expected" if root.is_file() else "does not exist"
        raise InputError(f"the folder {path!r} {what}: give one with a subfolder of pictures per class.")
    roots = sets_of(root, layout)
    names = [nfc(folder.name) for folder in class_folders(roots["train"])]
    if len(names) < 2:
        deeper = [folder for folder in class_folders(roots["train"]) if class_folders(folder)]
        inside = f": did you mean {str(deeper[0])!r}?" if deeper else "."
        raise InputError(f"the folder {str(roots['train'])!r} has {len(names)} subfolders, but one of pictures for "
                         f"each of two or more classes was expected{inside}")  # fmt: skip
    pools, listing, left_out = {}, [], Found()
    files: dict[str, list[Path]] = {}
    for name, own in roots.items():
        paths, labels = [], []
        for folder in class_folders(own):
            if nfc(folder.name) not in names:
                raise unknown(f"a class of {str(roots['train'])!r}", nfc(folder.name), names)
            found = find_pictures(folder)
            left_out.add(found)
            paths += found.paths
            labels += [names.index(nfc(folder.name))] * len(found.paths)
        listing += [f"{name}/{nfc(file.relative_to(own).as_posix())}:{file.stat().st_size}" for file in paths]
        files[name], pools[name] = paths, Pool(np.array(labels, dtype=np.int64), FilePictures(paths))
    pools, names = numbered(pools, names, path)
    warnings = [f"Of the files in {path}, {said} were left out."] if (said := left_out.said()) else []
    if columns:
        beside, rest = columns_beside(root, roots, files, columns, metadata)
        warnings += rest
        for name, pool in pools.items():
            pool.columns.update(beside[name])
    if group_path:
        for name, pool in pools.items():
            below = [nfc(file.relative_to(root).as_posix()) for file in files[name]]
            pool.columns["group"] = matched(group_path, below, path)
    return Raw(pools, names, digest(*listing), tuple(warnings))


def load_parquet(
    path: str,
    files: Mapping[str, str | Sequence[str]] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Raw:
    """Read a file, a folder or a pattern of Parquet files; pictures are read by row group when they are used.

    Args:
        path: Sets are told by their names, as in ``train-00000-of-00001.parquet``; without such words all are train.
        files: Instead of ``path``: files or patterns by set.
        image_column: A struct of ``bytes`` (an encoded picture) or binary; found if not given.
        label_column: Whole numbers or names; found if not given.
        columns: Names of further columns by what they are for.

    Raises:
        InputError: No files, a file in two sets, or no such columns.
    """
    sets = (
        {split: expand(given) for split, given in files.items()} if files else sort_files(expand(path), root_of(path))
    )
    if "train" not in sets:
        raise InputError(f"`files` names {', '.join(sets)}, but train is needed: add it.")
    where = [file.resolve() for group in sets.values() for file in group]
    for file in where:
        if where.count(file) > 1:
            raise InputError(f"the file {str(file)!r} is given for two sets: train, validation and test must differ.")
    pools, class_names = {}, None
    for split, group in sets.items():
        pictures = ParquetPictures(group, image_column)
        labels = [read_labels(file, label_column) for file in group]
        beside = {
            role: np.concatenate([_read_column(file, column) for file in group])
            for role, column in (columns or {}).items()
        }
        pools[split] = Pool(np.concatenate(labels), pictures, beside)
        class_names = class_names or names_in_schema(group[0], label_column)
    listing = [f"{split}/{file.name}:{file.stat().st_size}" for split, group in sets.items() for file in group]
    what = path or next(iter(sets["train"])).name
    pools, names = numbered(pools, class_names, what)
    root = root_of(path) if path else None
    hidden = len(list(root.rglob("*.parquet"))) - len(_visible(root)) if root else 0
    said = (f"Of the Parquet files in {path}, {hidden} hidden ones were left out.",) if hidden else ()
    return Raw(pools, names, digest(*listing), said)


def _visible(root: Path, suffixes: Sequence[str] = (".parquet",)) -> list[Path]:
    """The files below a folder, without hidden ones and those in hidden folders, such as ``_delta_log``."""
    return [
        file
        for file in root.rglob("*")
        if file.suffix in suffixes and not any(part.startswith((".", "_")) for part in file.relative_to(root).parts)
    ]


def root_of(path: str) -> Path | None:
    """A path if it is that of a folder."""
    place = Path(path).expanduser()
    return place if place.is_dir() else None


def expand(given: str | Sequence[str], suffixes: Sequence[str] = (".parquet",)) -> list[Path]:
    """Files of a path, a folder, a pattern, or a list of these, in order.

    Raises:
        InputError: There are none.
    """
    found: list[Path] = []
    for item in [given] if isinstance(given, str | Path) else given:
        path = Path(item).expanduser()
        matches = _visible(path, suffixes) if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
        matched = sorted(match for match in matches if match.is_file())
        if not matched:
            kind = "Parquet file" if len(suffixes) == 1 else f"file ({', '.join(suffixes)})"
            raise InputError(f"no {kind} matches {str(item)!r}: give a file, a folder or a pattern.")
        found += matched
    return found


def sort_files(files: Sequence[Path], root: Path | None = None) -> dict[str, list[Path]]:
    """Files by the set that their names tell, or those of their folders; all are train where none tells.

    Args:
        files: In order.
        root: Folders above it tell nothing.

    Raises:
        InputError: Some tell and some don't, none is train, or the folders are several configurations.
    """
    words = [_set_told(file, root) for file in files]
    if not any(words) or len(files) == 1:
        return {"train": list(files)}
    sets: dict[str, list[Path]] = {}
    for file, word in zip(files, words, strict=True):
        if word is None:
            raise InputError(f"the name of {file.name!r} tells no set, but those of others do: use `files`.")
        sets.setdefault(word, []).append(file)
    if "train" not in sets:
        raise InputError(f"the files are {', '.join(sets)}, but none is train: use `files`.")
    apart = sorted({file.parent.parent.name for file in sets["train"] if split_of(file.parent.name)})
    if len(apart) > 1:
        raise InputError(f"the folders {', '.join(apart)} each have a train set: give the path of one of them.")
    return sets


def _set_told(file: Path, root: Path | None) -> str | None:
    """The set that a file's name tells, as in ``pets-train-00000-of-00002``, or else the nearest folder below root."""
    told = [split for word in _WORDS.split(file.stem) if (split := split_of(word))]
    if told:
        return told[-1]
    for folder in file.parents:
        if root is None or folder == root or root not in folder.parents:
            return None
        if split := split_of(folder.name):
            return split
    return None


def find_column(file: Path, given: str | None, wanted: Sequence[str], what: str) -> str:
    """Name of a column: as given, or the first of the usual names that the file has."""
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(file).names
    except Exception as error:
        raise InputError(f"the file {str(file)!r} cannot be read as Parquet ({first_line(error)}).") from error
    found = [name for name in ([given] if given else wanted) if name in names]
    if not found and what == "label":
        refuse_detection(names, f"the file {str(file)!r}")
    if not found:
        raise InputError(f"the file {str(file)!r} has the columns {', '.join(names)}: name the one of the {what}s with "
                         f"`{what}_column`.")  # fmt: skip
    return found[0]


def refuse_detection(columns: Iterable[str], what: str) -> None:
    """Refuse what has boxes and no labels.

    Raises:
        InputError: Names the column.
    """
    for column in columns:
        if column.casefold() in _BOXES:
            raise InputError(f"{what} has {column!r} and no labels, as detection has, which is not supported: one "
                             "class an example was expected.")  # fmt: skip


_BOXES = ("objects", "bbox", "bboxes", "boxes", "annotations", "segmentation", "mask")
IMAGE_COLUMNS = ("image", "img", "pixel_values", "picture")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")


def read_labels(file: Path, column: str | None) -> np.ndarray:
    """Labels of a file: int64 or strings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = pq.read_table(file, columns=[find_column(file, column, LABEL_COLUMNS, "label")]).column(0)
    if values.null_count:
        raise InputError(f"the file {str(file)!r} has {values.null_count} rows without a label: remove them.")
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    labels = np.asarray(values.to_pylist() if str(values.type).endswith("string") else values.to_numpy())
    return labels.astype(np.int64) if labels.dtype.kind in "iu" else labels


def _read_column(file: Path, column: str) -> np.ndarray:
    """Any column of a file, as objects."""
    import pyarrow.parquet as pq

    names = pq.read_schema(file).names
    if column not in names:
        raise unknown(f"a column of {str(file)!r}", column, names)
    return plain_values(pq.read_table(file, columns=[column]).column(0).to_pylist(), column, str(file))


def names_in_schema(file: Path, column: str | None) -> list[str] | None:
    """Class names that the Hugging Face libraries write into a file's schema; None if there are none."""
    import json

    import pyarrow.parquet as pq

    metadata = pq.read_schema(file).metadata or {}
    try:
        features: Any = json.loads(metadata[b"huggingface"])["info"]["features"]
        return features[find_column(file, column, LABEL_COLUMNS, "label")]["names"]
    except (KeyError, TypeError, ValueError):
        return None


class ParquetPictures:
    """Encoded pictures in Parquet files; the last row groups read are held."""

    def __init__(self, files: Sequence[Path], column: str | None) -> None:
        import pyarrow.parquet as pq

        self.files = list(files)
        self.columns = [find_column(file, column, IMAGE_COLUMNS, "image") for file in files]
        self.groups = [  # (number of the file, row group in it), one for each row group of all files
            (at, group) for at, file in enumerate(files) for group in range(pq.read_metadata(file).num_row_groups)
        ]
        counts = [pq.read_metadata(files[at]).row_group(group).num_rows for at, group in self.groups]
        self.ends = np.cumsum(counts)
        self.held: dict[int, list[bytes | None]] = {}
        self.lock = threading.Lock()

    def __getitem__(self, index: int) -> Image.Image:
        """Open the picture in row ``index`` of all files together."""
        number = int(np.searchsorted(self.ends, index, side="right"))
        start = int(self.ends[number - 1]) if number else 0
        with self.lock:
            if number not in self.held:
                while len(self.held) >= GROUPS_HELD:
                    self.held.pop(next(iter(self.held)))
                self.held[number] = self.read(number)
            data = self.held[number][index - start]
        if data is None:
            raise InputError("the row holds no picture")
        return Image.open(io.BytesIO(data))

    def read(self, number: int) -> list[bytes | None]:
        """The encoded pictures of one row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        at, group = self.groups[number]
        with pq.ParquetFile(self.files[at]) as file:
            column = file.read_row_group(group, columns=[self.columns[at]]).column(0).combine_chunks()
        if pa.types.is_struct(column.type):
            column = column.field("bytes")
        return column.to_pylist()

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """By the files, and the rows in them."""
        own = [stamp_of(file.absolute()) for file in self.files]
        file_of = np.array([at for at, _ in self.groups])
        at = file_of[np.searchsorted(self.ends, rows, side="right")]
        starts = np.concatenate([[0], self.ends[:-1]])[np.unique(file_of, return_index=True)[1]]
        files = np.unique(file_of)
        within = rows - starts[np.searchsorted(files, at)]
        stamps = [
            hashlib.blake2b(own[file] + f"{self.columns[file]} {row}".encode(), digest_size=16).digest()
            if own[file]
            else b""
            for file, row in zip(at.tolist(), within.tolist(), strict=True)
        ]
        return digest(*(os.fsencode(file.absolute()) for file in self.files)), stamps

    def describe(self, index: int) -> str:
        """Its row and its file."""
        number = int(np.searchsorted(self.ends, index, side="right"))
        at = self.groups[number][0]
        first = next(n for n, (file, _) in enumerate(self.groups) if file == at)
        return f"row {index - (int(self.ends[first - 1]) if first else 0)} of {str(self.files[at])!r}"
