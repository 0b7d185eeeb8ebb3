"""From pictures to tensors: what a model wants at its input, and how a picture is brought there."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageColor, ImageOps

from ncore.errors import InputError

__all__ = [
    "DARK",
    "EXIF_ORIENTATION",
    "GREY_MODES",
    "INTERPOLATIONS",
    "MANY_ALIKE",
    "NEARLY_BLACK",
    "STATED",
    "Conversion",
    "ImageShape",
    "InputSpec",
    "as_mode",
    "check_range",
    "shape_of",
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
NEARLY_BLACK, DARK = 16, 64
"""Pictures no brighter than this, of 255, were meant otherwise; up to the second, it is said."""
STATED = ("recipe", "default")
"""Sources of ``mean`` and ``std`` that people write; others are measured, whatever they are."""
MANY_ALIKE = 0.05
"""Share of pictures of one colour from which on it is said."""


@dataclass(frozen=True)
class ImageShape:
    """Channels (1 grey, 3 RGB) and side in pixels of a dataset's own pictures, and whether some are no squares."""

    channels: int
    size: int
    oblong: bool = field(default=False, repr=False, compare=False)


@dataclass(frozen=True)
class InputSpec:
    """What a model wants at its input: square pictures of ``size`` pixels, normalised by ``mean`` and ``std``.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: Side in pixels.
        mean: Per channel, of values in [0, 1]; one value stands for all channels.
        std: Per channel, likewise.
        interpolation: A key of ``INTERPOLATIONS``.
        order: Of the channels, ``rgb`` or ``bgr``; ``mean`` and ``std`` are in this order.
        crop_pct: The share of a picture's side that is shown, of its middle, cut out after it was resized; None to cut
            out the largest square before that.
        crop_mode: Oblong pictures are cut to a square, ``center``, or squeezed into one, ``squash``.
        source: What ``mean`` and ``std`` come from: the model's own ``processor``, its ``weights' transforms``, the
            ``recipe``, or else the ``default``.

    Raises:
        InputError: A value out of range.

    Example:
        >>> spec = InputSpec(channels=1, size=8, mean=(0.5,), std=(0.25,))
        >>> spec.prepare(torch.full((2, 1, 8, 8), 255, dtype=torch.uint8)).unique().tolist()
        [2.0]
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    order: Literal["rgb", "bgr"] = "rgb"
    crop_pct: float | None = None
    crop_mode: Literal["center", "squash"] = "center"
    source: str = field(default="default", compare=False)

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
            if max(values) > 1 and self.source in STATED:
                raise InputError(
                    f"{what} is {list(values)}, but pixels are fractions from 0 to 1 here: divide statistics "
                    "in 0..255 by 255."
                )
            object.__setattr__(self, what, values)

    @property
    def made_alike(self) -> Hashable:
        """What decides which pixels of a picture are shown."""
        return self.channels, self.size, self.interpolation, self.crop_pct, self.crop_mode

    @property
    def summary(self) -> dict[str, Any]:
        """What a run records of it."""
        return asdict(self)

    @property
    def words(self) -> str:
        """What it takes, for messages."""
        return f"pictures of {self.channels}x{self.size}x{self.size}"

    @property
    def remedy(self) -> str:
        """What to change where a model doesn't take that."""
        return "set `input_size` and `channels` to what it was built for"

    def inputs(self, split: Any) -> torch.Tensor:
        """All pictures of a set, not yet normalised: uint8 (N, C, S, S).

        Raises:
            InputError: The disk is too small for them, one is broken, or nothing is to be seen in them.
        """
        if split.modality.examples != "pictures":
            raise InputError(f"pictures were expected, but {split.name} holds {split.modality.examples}.")
        found: torch.Tensor = split.modality.pixels(split, self)
        return found

    def lengths(self, made: torch.Tensor) -> None:
        """All are of one length."""

    def content(self) -> bytes:
        """Nothing beside the module."""
        return b""

    def trial(self) -> torch.Tensor:
        """Two pictures of noise, as they are normalised."""
        shape = (2, self.channels, self.size, self.size)
        return torch.rand(shape, generator=torch.Generator().manual_seed(0))

    def prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn uint8 pictures (N, C, S, S) into the float32 that the model takes, on the batch's device."""
        mean = torch.tensor(self.mean, device=batch.device).view(-1, 1, 1)
        std = torch.tensor(self.std, device=batch.device).view(-1, 1, 1)
        batch = batch.flip(1) if self.order == "bgr" else batch
        return (batch.float().div_(255.0) - mean).div_(std)

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Bring one picture to (channels, size, size) uint8: turned upright, its middle cut out, resized."""
        least = math.ceil(2 * self.size / (self.crop_pct or 1))
        image.draft(None, (least, least))  # a big JPEG is decoded at a fraction of its size
        if image.getexif().get(EXIF_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
        image = as_mode(image, "L" if self.channels == 1 else "RGB")
        if self.crop_pct is not None or (self.crop_mode == "squash" and image.width != image.height):
            image = self._seen(image)
        elif image.size != (self.size, self.size):
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            if image.width != image.height:
                image = image.crop((left, top, left + side, top + side))
            image = image.resize((self.size, self.size), INTERPOLATIONS[self.interpolation])
        array = np.asarray(image)
        return array[None] if self.channels == 1 else array.transpose(2, 0, 1)

    def _seen(self, image: Image.Image) -> Image.Image:
        """A picture resized first and then cut to its middle, pixel by pixel as the libraries do it."""
        resized = math.floor(self.size / (self.crop_pct or 1) + 1e-9)
        squash, short = self.crop_mode == "squash", min(image.size)
        width, height = (resized if squash else int(resized * side / short) for side in image.size)
        image = image.resize((width, height), INTERPOLATIONS[self.interpolation])
        left, top = (round((side - self.size) / 2) for side in (width, height))
        return image.crop((left, top, left + self.size, top + self.size))


@dataclass(frozen=True)
class Conversion:
    """How the pixels of a dataset become 8 bits without transparency: what files leave open, said once.

    Args:
        white: The value that is white, where it is less than the largest of the pixels' type: 4095 in 16-bit files of
            12 bits, 16 in scikit-learn's digits. None for the largest.
        background: What shows through transparent pixels: a colour as Pillow names them.

    Raises:
        InputError: A colour that is none.
    """

    white: int | None = None
    background: str = "white"

    def __post_init__(self) -> None:
        try:
            ImageColor.getrgb(self.background)
        except ValueError as error:
            raise InputError(
                f"the background {self.background!r} is no colour: use a name such as white, or #rrggbb."
            ) from error

    def __call__(self, image: Image.Image) -> Image.Image:
        """The picture in 8 bits and opaque; one that is so already is handed back, not yet decoded."""
        if image.has_transparency_data:
            grey = image.mode in GREY_MODES
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, self.background), image)
            image = image.convert("L" if grey else "RGB")
        if image.mode.startswith("I"):  # Pillow would clip 16-bit values at 255 instead of scaling them
            image = Image.fromarray(self._scaled(np.asarray(image), 65535))
        elif self.white is not None and self.white < 255 and image.mode != "F":
            image = Image.fromarray(
                self._scaled(np.asarray(as_mode(image, "L" if image.mode in GREY_MODES else "RGB")), 255)
            )
        return image

    def _scaled(self, values: np.ndarray, largest: int) -> np.ndarray:
        wide = values.astype(np.int64)
        eight = wide * 255 // self.white if self.white else (wide >> 8 if largest > 255 else wide)
        return eight.clip(0, 255).astype(np.uint8)


def as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert to ``L`` or ``RGB``; what is not 8 bits and opaque, as the default ``Conversion`` does.

    Raises:
        InputError: Floating-point pixels, whose range nothing tells.
    """
    if image.mode == mode:
        return image
    if image.mode == "F":
        raise InputError("a picture has floating-point pixels of unknown range, but 8 or 16 bits were expected.")
    return Conversion()(image).convert(mode)


def check_range(
    pictures: torch.Tensor, what: str, extremes: tuple[int, int], conversion: Conversion, largest: int = 255
) -> list[str]:
    """Whether pictures use the range of their pixels.

    Args:
        pictures: Uint8 (N, C, S, S), as models see them.
        what: They are called in messages.
        extremes: The smallest and the largest value in a few of them as they are in their files.
        conversion: How they became 8 bits.
        largest: The value that was taken for white where the conversion names none.

    Returns:
        What to know before trusting what is learned from them, a sentence each.

    Raises:
        InputError: All are of one colour, or so dark that they must have been meant otherwise.
    """
    flat, (shallowest, deepest) = pictures.flatten(1), extremes
    low, high = flat.amin(1), flat.amax(1)
    darkest, brightest = int(low.min()), int(high.max())
    if darkest == brightest and (brightest > NEARLY_BLACK or deepest <= brightest):
        raise InputError(
            f"{what}: every pixel of all {len(pictures)} pictures is {brightest}, so there is nothing to learn: look "
            f"at the files; transparent pixels are shown on {conversion.background}, which `background` changes."
        )
    if brightest <= NEARLY_BLACK:
        raise InputError(
            f"{what}: the brightest pixel of all {len(pictures)} pictures is {brightest} of 255, and the largest value "
            f"in the files {deepest}: say which value is white, as in `white: {_white_for(deepest)}`."
        )
    warnings = []
    if shallowest < 0:
        warnings.append(f"Pixels of {what} go down to {shallowest}: all below 0 are black; shift them in the files.")
    if deepest > (conversion.white or largest):
        warnings.append(
            f"Pixels of {what} go up to {deepest}, and all above {conversion.white or largest} are white; say which "
            f"value is, as in `white: {_white_for(deepest)}`."
        )
    if brightest < DARK:
        warnings.append(f"The brightest pixel of {what} is {brightest} of 255; `white` says which value is white.")
    elif brightest - darkest < DARK:
        warnings.append(
            f"The pixels of {what} lie between {darkest} and {brightest} of 255, so that models see little contrast: "
            "stretch them in the files."
        )
    black = int((high <= NEARLY_BLACK).sum())
    if black > MANY_ALIKE * len(pictures):
        warnings.append(
            f"{black} of the {len(pictures)} pictures of {what} are nearly black: look at how they are saved."
        )
    alike = int((low == high).sum())
    if alike > MANY_ALIKE * len(pictures):
        warnings.append(f"{alike} of the {len(pictures)} pictures of {what} are of one colour throughout.")
    return warnings


def _white_for(largest: int) -> int:
    """The largest value of the fewest bits that hold this one."""
    return int(2 ** max(largest, 1).bit_length() - 1)


def shape_of(images: Sequence[Image.Image]) -> ImageShape:
    """Channels and median short side of a few pictures: grey only if all of them are, oblong if one is."""
    grey = all(image.mode.split(";")[0] in GREY_MODES for image in images)
    oblong = any(image.width != image.height for image in images)
    return ImageShape(1 if grey else 3, int(np.median([min(image.size) for image in images])), oblong)
