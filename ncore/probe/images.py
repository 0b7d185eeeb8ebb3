"""From pictures to tensors: what a model wants at its input, and how a picture is brought there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps

from ncore.errors import InputError

__all__ = [
    "CHUNK",
    "DEFAULT_MEMORY_GB",
    "EXIF_ORIENTATION",
    "GREY_MODES",
    "INTERPOLATIONS",
    "ImageShape",
    "InputSpec",
    "as_mode",
    "shape_of",
    "stack",
]

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
GREY_MODES = ("1", "L", "LA", "I", "F")
EXIF_ORIENTATION = 0x0112
DEFAULT_MEMORY_GB = 8.0
CHUNK = 64  # pictures a thread decodes at a time


@dataclass(frozen=True)
class ImageShape:
    """Channels (1 grey, 3 RGB) and side in pixels of a dataset's own pictures."""

    channels: int
    size: int


@dataclass(frozen=True)
class InputSpec:
    """What a model wants at its input: square pictures of ``size`` pixels, normalised by ``mean`` and ``std``.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: Side in pixels.
        mean: Per channel, of values in [0, 1]; one value stands for all channels.
        std: Per channel, likewise.
        interpolation: A key of ``INTERPOLATIONS``.

    Raises:
        InputError: A value out of range.

    Example:
        >>> spec = InputSpec(channels=1, size=8, mean=(0.5,), std=(0.25,))
        >>> spec.normalise(torch.full((2, 1, 8, 8), 255, dtype=torch.uint8)).unique().tolist()
        [2.0]
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise InputError(f"a model's input has {self.channels} channels, but pictures have 1 or 3.")
        if self.size < 1:
            raise InputError(f"an input size of {self.size} pixels was given, but it must be at least 1.")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise InputError(f"the interpolation {self.interpolation!r} is unknown: use one of {known}.")
        for what in ("mean", "std"):
            values = tuple(float(value) for value in getattr(self, what))
            values = values * self.channels if len(values) == 1 else values
            if len(values) != self.channels or (what == "std" and min(values) <= 0):
                raise InputError(f"{what} is {list(values)}, but {self.channels} positive values were expected.")
            object.__setattr__(self, what, values)

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn uint8 pictures (N, C, S, S) into the float32 that the model takes, on the batch's device."""
        mean = torch.tensor(self.mean, device=batch.device).view(-1, 1, 1)
        std = torch.tensor(self.std, device=batch.device).view(-1, 1, 1)
        return (batch.float().div_(255.0) - mean).div_(std)

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Bring one picture to (channels, size, size) uint8: turned upright, largest centred square, resized."""
        image.draft(None, (2 * self.size, 2 * self.size))  # a big JPEG is decoded at a fraction of its size
        if image.getexif().get(EXIF_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
        image = as_mode(image, "L" if self.channels == 1 else "RGB")
        if image.size != (self.size, self.size):
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            if image.width != image.height:
                image = image.crop((left, top, left + side, top + side))
            image = image.resize((self.size, self.size), INTERPOLATIONS[self.interpolation])
        array = np.asarray(image)
        return array[None] if self.channels == 1 else array.transpose(2, 0, 1)


def as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert to ``L`` or ``RGB``; 16-bit grey keeps its high byte, transparency is dropped.

    Raises:
        InputError: floating-point pixels, whose range nothing tells.
    """
    if image.mode == mode:
        return image
    if image.mode == "F":
        raise InputError("a picture has floating-point pixels of unknown range, but 8 or 16 bits were expected.")
    if image.mode.startswith("I"):  # PIL would clip 16-bit values at 255 instead of scaling them
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "P" and image.has_transparency_data:
        image = image.convert("RGBA")
    return image.convert(mode)


def shape_of(images: Sequence[Image.Image]) -> ImageShape:
    """Channels and median short side of a few pictures: grey only if all of them are."""
    grey = all(image.mode.split(";")[0] in GREY_MODES for image in images)
    return ImageShape(1 if grey else 3, int(np.median([min(image.size) for image in images])))


def stack(picture: Callable[[int], np.ndarray], count: int, spec: InputSpec, limit_gb: float | None) -> torch.Tensor:
    """Decode ``count`` pictures by threads into one uint8 tensor (count, C, S, S).

    Args:
        picture: Gives the pixels (C, S, S) of picture i.
        count: How many.
        spec: Their shape.
        limit_gb: Refuse more memory than this; by default the environment's NCORE_MEMORY_GB, or 8.

    Raises:
        InputError: The tensor would be larger than the limit.
    """
    if limit_gb is None:
        limit_gb = float(os.environ.get("NCORE_MEMORY_GB", DEFAULT_MEMORY_GB))
    shape = (count, spec.channels, spec.size, spec.size)
    needed_gb = np.prod(shape, dtype=np.float64) / 1e9
    if needed_gb > limit_gb:
        raise InputError(
            f"{count} pictures of {spec.channels}x{spec.size}x{spec.size} take {needed_gb:.1f} GB, above the limit "
            f"of {limit_gb:.1f} GB: subsample the dataset, lower input_size, or raise NCORE_MEMORY_GB."
        )
    out = np.empty(shape, dtype=np.uint8)

    def place(start: int) -> None:
        for index in range(start, min(start + CHUNK, count)):
            out[index] = picture(index)

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        try:
            list(pool.map(place, range(0, count, CHUNK)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # one broken picture: don't decode all the others first
            raise
    return torch.from_numpy(out)
