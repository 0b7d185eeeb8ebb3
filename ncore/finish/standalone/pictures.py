"""Brings pictures to the tensor that the model of this folder takes, as they were when it was trained.

Pictures are files, ``PIL.Image`` images, or arrays of uint8, (height, width) or (height, width, 3). What is done to
them is in ``preprocessing.json``: turned upright, made opaque 8-bit grey or RGB, cut to a square, resized, normalised.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

__all__ = ["Preprocessing"]

_GREY = ("1", "L", "LA", "I", "F")
_ORIENTATION = 0x0112


class Preprocessing:
    """What ``preprocessing.json`` of a folder says.

    Args:
        folder: Of the model.
    """

    def __init__(self, folder: str | Path) -> None:
        self.settings: dict[str, Any] = json.loads((Path(folder) / "preprocessing.json").read_text(encoding="utf-8"))

    def __call__(self, pictures: Sequence[Any]) -> tuple[torch.Tensor]:
        """The model's input, float32 (N, channels, size, size)."""
        stacked = torch.from_numpy(np.stack([self.pixels(picture) for picture in pictures]))
        mean, std = (torch.tensor(self.settings[name]).view(-1, 1, 1) for name in ("mean", "std"))
        if self.settings["order"] == "bgr":
            stacked = stacked.flip(1)
        return ((stacked.float().div_(255.0) - mean).div_(std),)

    def pixels(self, picture: Any) -> np.ndarray:
        """One picture as uint8 (channels, size, size), in RGB."""
        if isinstance(picture, np.ndarray):
            image: Any = Image.fromarray(picture)
        elif isinstance(picture, str | os.PathLike):
            image = Image.open(io.BytesIO(Path(picture).read_bytes()))  # no file is left open
        else:
            image = picture
        settings, size = self.settings, self.settings["size"]
        image = self._eight_bits(image)
        # A big JPEG is decoded at a fraction of its size.
        least = math.ceil(2 * size / (settings["crop_pct"] or 1))
        image.draft(None, (least, least))
        if image.getexif().get(_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
        mode = "L" if settings["channels"] == 1 else "RGB"
        image = image if image.mode == mode else image.convert(mode)
        array = np.asarray(self._square(image))
        return array[None] if settings["channels"] == 1 else array.transpose(2, 0, 1)

    def _eight_bits(self, image: Any) -> Any:
        """Opaque, and in 8 bits."""
        grey, white = image.mode in _GREY, self.settings["white"]
        if image.mode == "F":
            raise ValueError("The picture has floating-point pixels of unknown range, but 8 or 16 bits were expected.")
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, self.settings["background"]), image)
            image = image.convert("L" if grey else "RGB")
        if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
            wide = np.asarray(image).astype(np.int64)
            eight = wide * 255 // white if white else wide >> 8
        elif white is not None and white < 255:
            mode = "L" if image.mode in _GREY else "RGB"
            eight = np.asarray(image if image.mode == mode else image.convert(mode)).astype(np.int64) * 255 // white
        else:
            return image
        return Image.fromarray(eight.clip(0, 255).astype(np.uint8))

    def _square(self, image: Any) -> Any:
        """Cut to the middle, or squeezed, and resized."""
        size, crop = self.settings["size"], self.settings["crop_pct"]
        squash = self.settings["crop_mode"] == "squash"
        resample = Image.Resampling[self.settings["interpolation"].upper()]
        short = min(image.size)
        if crop is not None or (squash and image.width != image.height):  # resized first
            resized = math.floor(size / (crop or 1) + 1e-9)
            width, height = (resized if squash else int(resized * side / short) for side in image.size)
            image = image.resize((width, height), resample)
            left, top = (round((side - size) / 2) for side in (width, height))
            return image.crop((left, top, left + size, top + size))
        if image.size == (size, size):
            return image
        if image.width != image.height:
            left, top = (image.width - short) // 2, (image.height - short) // 2
            image = image.crop((left, top, left + short, top + short))
        return image.resize((size, size), resample)
