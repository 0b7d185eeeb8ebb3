"""``digits``, ``numpy:PATH.npz`` and arrays in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ncore.errors import InputError
from ncore.probe._choices import first_line, unknown
from ncore.probe.sources.pictures import ArrayPictures
from ncore.probe.sources.pools import Pool, Raw, digest, numbered
from ncore.probe.sources.split_names import split_of
from ncore.probe.sources.split_rules import ROLES, plain_values

__all__ = ["KEYS", "LAYOUTS", "from_arrays", "load_digits", "load_npz", "to_pixels"]

#: Accepted names of the arrays in an .npz, beside or after the word for a set: this package's, Keras's and MedMNIST's.
KEYS = {"x": ("x", "images", "image", "data"), "y": ("y", "labels", "label", "targets", "target")}

LAYOUTS = ("channels_first", "channels_last")


def load_digits() -> Raw:
    """scikit-learn's 1,797 handwritten digits of 8x8 grey pixels (0..16), in one set."""
    from sklearn.datasets import load_digits as bunch

    data = bunch()
    images = (data.images * (255 / 16)).round().astype(np.uint8)
    pool = Pool(data.target.astype(np.int64), ArrayPictures(images, "digits"))
    return Raw({"train": pool}, [str(name) for name in data.target_names], "digits")


def load_npz(path: str, columns: Mapping[str, str] | None = None, layout: str | None = None) -> Raw:
    """Read x, y or x_train, y_train, x_validation (x_val), ..., x_test, ..., and optionally class_names.

    Args:
        path: Of the file.
        columns: Names of further arrays by what they are for; ``patient``, say, is that array if there is one set, and
            otherwise ``patient_train``, ``patient_test``, ...
        layout: One of ``LAYOUTS``, where the shape of the pictures leaves it open.

    Raises:
        InputError: No such file, arrays that only unpickling could read, or no arrays of these names.
    """
    file = Path(path).expanduser()
    if file.suffix != ".npz":
        raise InputError(f"the file {path!r} is not an .npz: save x and y together with numpy.savez.")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except Exception as error:
        raise InputError(f"the arrays in {path!r} cannot be read ({first_line(error)}).") from error
    sets, used = _sets_in(arrays, path)
    names = arrays.get("class_names")
    beside: dict[str, dict[str, np.ndarray]] = {}
    for role, column in (columns or {}).items():
        for split in sets:
            key = next((name for name in (f"{column}_{split}", column) if name in arrays), None)
            if key is None or (key == column and len(sets) > 1):
                raise unknown(f"an array of {path!r}", f"{column}_{split}" if len(sets) > 1 else column, arrays)
            beside.setdefault(split, {})[role] = arrays[key]
            used.add(key)
    if names is not None and names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8", "replace")
    raw = from_arrays(sets, None if names is None else [str(name) for name in names], file.name, beside, layout)
    rest = [key for key in arrays if key not in used and key != "class_names"]
    said = [f"Of the arrays in {path}, {', '.join(rest)} were left out."] if rest else []
    return replace(raw, warnings=(*raw.warnings, *said))


def _sets_in(arrays: Mapping[str, np.ndarray], path: str) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], set[str]]:
    """Pictures and labels by set, going by names of arrays, and the names that were used.

    Raises:
        InputError: There are none for training, two for the same, or pictures of a set without labels.
    """
    found: dict[tuple[str, str], str] = {}
    for key in arrays:
        for part, words in KEYS.items():
            rest = [word for word in key.lower().split("_") if word not in words]
            if len(rest) == len(key.split("_")) or len(rest) > 1:
                continue
            split = split_of(rest[0]) if rest else "train"
            if split and (split, part) in found:
                raise InputError(f"{path!r} holds both {found[split, part]} and {key} for {split}: leave one out.")
            if split:
                found[split, part] = key
    if ("train", "x") not in found or ("train", "y") not in found:
        raise InputError(f"{path!r} holds {', '.join(arrays)}, but x and y or x_train and y_train were expected.")
    for (split, part), key in found.items():
        if (split, "y" if part == "x" else "x") not in found:
            what = "pictures without labels" if part == "x" else "labels without pictures"
            raise InputError(f"{path!r} holds {what} for {split}, in {key}: add them, or leave {key} out.")
    sets = {
        split: (arrays[found[split, "x"]], arrays[found[split, "y"]])
        for split in ("train", "validation", "test")
        if (split, "x") in found
    }
    return sets, set(found.values())


def from_arrays(
    sets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    class_names: Sequence[str] | None,
    what: str,
    columns: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    layout: str | None = None,
) -> Raw:
    """Pictures and labels in memory, by set.

    Args:
        sets: x of shape (N, H, W), (N, H, W, C) or (N, C, H, W) with C of 1 or 3, integers 0..255 or floats 0..1; y of
            shape (N,) or (N, 1), whole numbers or names.
        class_names: Names of labels that are numbers 0..K-1.
        what: The dataset, for messages.
        columns: By set, what is known of each picture beside, by what it is for.
        layout: One of ``LAYOUTS``, where the shape of the pictures leaves it open.

    Raises:
        InputError: Other shapes or ranges, or pictures that could be read in two ways.
    """
    pools, digests = {}, []
    for split, (x, y) in sets.items():
        pixels, labels = to_pixels(np.asarray(x), f"{what}: {split}", layout), np.asanyarray(y)  # with its mask
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.dtype.kind == "f" and np.all(labels == np.floor(labels)):
            labels = labels.astype(np.int64)
        if len(labels) != len(pixels):
            raise InputError(f"{what}: {split} has {len(pixels)} pictures but {len(labels)} labels.")
        beside = {}
        for role, values in (columns or {}).get(split, {}).items():
            if np.ndim(values) != 1 or len(values) != len(labels):
                raise InputError(f"{what}: {split} has {len(labels)} pictures, but the array for `{ROLES[role]}` has "
                                 f"the shape {np.shape(values)}: give one value a picture.")  # fmt: skip
            beside[role] = plain_values(np.asarray(values), ROLES[role], what)
        pools[split] = Pool(labels, ArrayPictures(pixels, f"{what} ({split})"), beside)
        digests.append(digest(split, str(pixels.shape), np.ascontiguousarray(pixels).reshape(-1).data))
    pools, names = numbered(pools, class_names, what)
    return Raw(pools, names, digest(*digests))


def to_pixels(x: np.ndarray, what: str, layout: str | None = None) -> np.ndarray:
    """Bring an array to uint8 of shape (N, H, W) or (N, H, W, 3).

    Raises:
        InputError: Another shape or range, or a shape that can be read in two ways and no layout that says which.
    """
    if layout not in (None, *LAYOUTS):
        raise unknown("a layout of pictures", str(layout), LAYOUTS)
    shape = x.shape
    if x.ndim == 4 and (layout or _layout_of(shape, what)) == "channels_first":
        x = x.transpose(0, 2, 3, 1)
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] != 3):
        forms = {"channels_first": "(N, C, H, W)", "channels_last": "(N, H, W, C)"}
        expected = forms.get(layout or "", "(N, H, W, C) or (N, C, H, W)")
        raise InputError(f"{what} has pictures of shape {shape}, but (N, H, W), {expected} with C of 1 or 3 were "
                         f"expected{' with this `layout`' if layout else ''}.")  # fmt: skip
    if x.dtype == np.uint8 or x.size == 0:
        return x.astype(np.uint8, copy=False)
    top = 1 if x.dtype.kind in "fb" else 255
    low, high = x.min(), x.max()
    if x.dtype.kind not in "fbiu" or not (low >= 0 and high <= top):
        raise InputError(f"{what} has pixels from {low} to {high} ({x.dtype}), but whole numbers from 0 to 255 or "
                         "fractions from 0 to 1 were expected.")  # fmt: skip
    return x.astype(np.uint8) if top == 255 else (x * 255.0).round().astype(np.uint8)


def _layout_of(shape: Sequence[int], what: str) -> str:
    """Where the channels of pictures are, by their shape.

    Raises:
        InputError: They may be first or last.
    """
    _, first, middle, last = shape
    if first not in (1, 3) or first == middle == last == 1:
        return "channels_last"
    if last in (1, 3):
        raise InputError(
            f"{what} has pictures of shape {tuple(shape)}, which are {middle}x{last} pixels of {first} channels first, "
            f"or {first}x{middle} pixels of {last} channels last: set `layout` to channels_first or channels_last."
        )
    return "channels_first"
