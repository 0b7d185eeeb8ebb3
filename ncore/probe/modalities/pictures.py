"""Pictures: what they hold, and how they become a tensor.

A picture's digest is that of its pixels in full, upright, in RGB, or with their transparency where there is any, or as
numbers where they have more than 8 bits: the same for every file that decodes to the same, whatever its name, format
or compression, and whatever size a candidate wants.

To look at pictures for the first time takes about as long as to decode them in full: on one core 0.3 ms each for those
of 28 and 32 pixels (60,000 of CIFAR-10, 30,000 of Fashion-MNIST), 5 ms for photographs of 500 x 375, 220 ms for those
of 12 megapixels. From then on, where they are files, it is 0.01 ms.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import ClassVar

import numpy as np
import PIL
import torch
from PIL import Image, ImageOps

from ncore.errors import InputError
from ncore.probe._copies import perceptual_hashes, small
from ncore.probe.images import EXIF_ORIENTATION, Conversion, ImageShape, InputSpec, check_range, shape_of
from ncore.probe.modalities._decoding import CHUNK, Decoding
from ncore.probe.modalities.base import RECORD, Items, Split, naming
from ncore.probe.rows_on_disk import default, fits_in_memory, on_disk

__all__ = ["LOOKED_AT", "Pictures", "picture_digest", "upright"]

LOOKED_AT = 16  # pictures opened to learn their channels, size and range
_MOST_FRAMES = 65_535
_RANGE = 50_000  # pictures whose range is looked at


@dataclass(frozen=True)
class Pictures:
    """The modality.

    Args:
        conversion: How their pixels become 8 bits.
    """

    examples: ClassVar[str] = "pictures"
    copies_are_left_out: ClassVar[bool] = True
    near_copies: ClassVar[str] = "as copies do that were resized or saved again"

    conversion: Conversion = field(default_factory=Conversion)

    def decode(self, items: Items, row: int) -> Image.Image:
        """One picture, decoded."""
        image: Image.Image = items[row]
        image.load()
        return image

    def look_at(self, items: Items, rows: np.ndarray) -> np.ndarray:
        """Decode pictures by threads; ``hash`` and ``telling`` as ``perceptual_hashes`` says."""
        return _records(items, rows)

    def shape(self, train: Split) -> ImageShape:
        """Channels and size of the pictures as they are, from a few of them."""
        return shape_of(_a_few(train))

    def pixels(self, split: Split, spec: InputSpec) -> torch.Tensor:
        """All pictures as a model wants them, not yet normalised: uint8 (N, C, S, S)."""
        shape = (spec.channels, spec.size, spec.size)
        decoding = Decoding(split.items, split.indices, spec, self.conversion)
        if fits_in_memory(len(split), shape, np.uint8):
            made = decoding.stack()
        else:
            kind = f"pixels {spec.made_alike} {self.conversion} Pillow {PIL.__version__}"
            place = split.place or default()
            made = torch.from_numpy(on_disk(place, kind, split.content["digest"], shape, np.uint8, decoding.stream))
        some = made[:: -(-len(made) // _RANGE)]  # of many, some evenly spread
        try:
            split.warnings = check_range(some, split.name, *self._extremes(split))
        except InputError as error:
            if split.name == "train":
                raise
            split.warnings = [str(error)]
        return made

    def _extremes(self, split: Split) -> tuple[tuple[int, int], Conversion, int]:
        """The smallest and largest value in a few of the pictures as they are in their files, and what is white."""
        opened = _a_few(split)
        deep = any(image.mode.startswith("I") for image in opened)
        values = [
            np.asarray(image if image.mode.startswith(("I", "F")) else image.convert("RGBA").convert("RGB"))
            for image in opened
        ]
        extremes = min(int(one.min()) for one in values), max(int(one.max()) for one in values)
        return extremes, self.conversion, 65_535 if deep else 255


def _a_few(split: Split) -> list[Image.Image]:
    """Some of a set's pictures, evenly spread over it."""
    chosen = np.unique(np.linspace(0, len(split) - 1, LOOKED_AT).astype(int))
    return [split.decode(int(index)) for index in chosen]


def _records(pictures: Items, rows: np.ndarray) -> np.ndarray:
    """Decode pictures by threads."""

    def chunk(start: int) -> np.ndarray:
        own = rows[start : start + CHUNK]
        records = np.zeros(len(own), dtype=RECORD)
        shrunk = []
        for at, row in enumerate(own.tolist()):
            with naming(pictures, row):
                image = pictures[row]
                records["frames"][at] = min(getattr(image, "n_frames", 1), _MOST_FRAMES)
                image = upright(image)
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
