"""What pictures hold, however they are stored: digests of what is decoded tell the same data, and copies, by content.

A picture's digest is that of its pixels in full, upright, in RGB, or with their transparency where there is any, or as
numbers where they have more than 8 bits: the same for every file that decodes to the same, whatever its name, format
or compression, and whatever size a candidate wants.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageOps

from ncore.probe._content_cache import RECORD, ContentCache
from ncore.probe._copies import perceptual_hashes, small
from ncore.probe.images import CHUNK, EXIF_ORIENTATION
from ncore.probe.sources.pictures import Pictures, naming
from ncore.probe.sources.split_names import nfc

__all__ = ["SKETCHED", "Contents", "Cut", "digests_of", "picture_digest", "sketch_of", "upright"]

SKETCHED = 64
"""Pictures in a sketch: those with the smallest digests, a fair sample that is the same wherever they are."""


class Cut(Protocol):
    """What digests are made of: see ``ncore.probe.datasets.ImageDataset``."""

    class_names: list[str]
    splits: Any
    choice: dict[str, tuple[Contents, np.ndarray]]


class Contents:
    """What the pictures of one set of a source hold; each is looked at once, and what is a file not again later.

    Args:
        pictures: The set's.
        count: How many there are.
    """

    def __init__(self, pictures: Pictures, count: int) -> None:
        self._pictures, self._known = pictures, np.zeros(count, dtype=bool)
        self._records = np.zeros(count, dtype=RECORD)

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Records of pictures: ``digest``, ``hash`` and ``telling`` of each (see ``perceptual_hashes``).

        Raises:
            InputError: One can't be decoded; names its file or place.
        """
        missing = np.unique(rows[~self._known[rows]])
        if missing.size:
            cache = ContentCache(self._pictures, missing)
            found = cache.found
            self._records[missing[found]] = cache.records[found]
            rest = missing[~found]
            if rest.size:
                self._records[rest] = _look_at(self._pictures, rest)
                cache.keep(self._records[missing])
            self._known[missing] = True
        return self._records[rows]


def _look_at(pictures: Pictures, rows: np.ndarray) -> np.ndarray:
    """Decode pictures by threads."""

    def chunk(start: int) -> np.ndarray:
        own = rows[start : start + CHUNK]
        records = np.zeros(len(own), dtype=RECORD)
        shrunk = []
        for at, row in enumerate(own.tolist()):
            with naming(pictures, row):
                image = upright(pictures[row])
                records["digest"][at] = picture_digest(image)
                shrunk.append(small(image))
        records["hash"], records["telling"] = perceptual_hashes(np.stack(shrunk))
        return records

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        try:
            return np.concatenate(list(pool.map(chunk, range(0, len(rows), CHUNK))))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def upright(image: Image.Image) -> Image.Image:
    """The picture as it is to be seen, decoded in full."""
    image.load()
    return ImageOps.exif_transpose(image) if image.getexif().get(EXIF_ORIENTATION, 1) != 1 else image


def picture_digest(image: Image.Image) -> bytes:
    """Sixteen bytes that depend on every pixel of an upright picture, and on nothing else.

    Example:
        >>> grey = Image.new("L", (4, 4), 7)
        >>> picture_digest(grey) == picture_digest(grey.convert("RGBA"))
        True
    """
    if image.mode.startswith("I"):
        pixels, mode = np.asarray(image).astype("<i4").tobytes(), "I"
    elif image.mode == "F":
        pixels, mode = np.asarray(image).astype("<f4").tobytes(), "F"
    else:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            clear = image.getchannel("A").getextrema() != (255, 255)
        else:
            clear = False
        mode = "RGBA" if clear else "RGB"
        pixels = (image if image.mode == mode else image.convert(mode)).tobytes()
    state = blake2b(f"{mode} {image.width} {image.height} ".encode(), digest_size=16)
    state.update(pixels)
    return state.digest()


def digests_of(data: Cut) -> dict[str, Any]:
    """What a run was trained on, by content.

    Args:
        data: As loaded.

    Returns:
        ``data``, a digest of all pictures with their labels as they are named, whatever their order; where each seed
        cuts the data anew, of all that a cut can choose from. ``cut``, a digest of who is in which set. ``sketch``,
        sixteen hexadecimal digits of each of the ``SKETCHED`` pictures whose digests are the smallest, ascending, so
        that data that share pictures share some of these.
    """
    names = [nfc(name).encode() for name in data.class_names]
    sets = {name: (split.content, split.labels) for name, split in data.splits.items()}
    chosen = sets
    if data.choice:
        rows = {name: np.flatnonzero(labels >= 0) for name, (_, labels) in data.choice.items()}
        chosen = {
            name: (contents.of(rows[name]), labels[rows[name]]) for name, (contents, labels) in data.choice.items()
        }
    return {
        "data": _digest({"": [entry for own in chosen.values() for entry in _labelled(*own, names)]}),
        "cut": _digest({name: _labelled(*own, names) for name, own in sets.items()}),
        "sketch": sketch_of(np.concatenate([records["digest"] for records, _ in chosen.values()])),
    }


def sketch_of(digests: np.ndarray, count: int = SKETCHED) -> list[str]:
    """The smallest of pictures' digests, in hexadecimal, each once.

    Args:
        digests: S16 (N,).
        count: How many at most.
    """
    return [digest.ljust(8, b"\0").hex() for digest in np.unique(digests.astype("S8"))[:count].tolist()]


def _labelled(records: np.ndarray, labels: np.ndarray, names: Sequence[bytes]) -> list[bytes]:
    digests = records["digest"].tolist()  # without zeros at their ends, which padding gives back
    return [
        blake2b(digest.ljust(16, b"\0") + names[label], digest_size=16).digest()
        for digest, label in zip(digests, labels.tolist(), strict=True)
    ]


def _digest(sets: Mapping[str, Sequence[bytes]]) -> str:
    """Of sets of entries, by name: the same in any order."""
    state = blake2b(digest_size=16)
    for name in sorted(sets):
        state.update(f"{name} {len(sets[name])} ".encode())
        state.update(b"".join(sorted(sets[name])))
    return state.hexdigest()
