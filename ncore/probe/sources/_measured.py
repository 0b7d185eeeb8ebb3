"""What a model's own preprocessing does to pictures: read off what it makes of plain ones and of ramps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from ncore.errors import InputError
from ncore.probe._choices import first_line

__all__ = ["COLOURS", "LUMINANCE", "SIDES", "TOLERANCE", "measure"]

COLOURS = (
    (0, 0, 0),
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (64, 64, 64),
    (17, 130, 201),
    (220, 90, 7),
)
"""The first four say what the map is, and all of them whether it is affine."""
SIDES = (320, 448)
"""Sides of the pictures; where what comes out follows them, the preprocessing fixes no size."""
TOLERANCE = 1e-4
"""Of the range of what comes out; where grey is made of colours, a pixel may be rounded besides."""
LUMINANCE = (0.299, 0.587, 0.114)


def measure(
    process: Callable[[Image.Image], torch.Tensor], label: str, *, grey: bool, stated: dict[str, Any]
) -> dict[str, Any]:
    """Channels, size, mean, std, channel order and crop of a preprocessing.

    Args:
        process: From a picture to a tensor (C, H, W).
        label: What the preprocessing is called in messages.
        grey: Whether it is given grey pictures.
        stated: Its ``mean``, ``std`` and ``crop_pct`` as its configuration has them, which are exact, while what is
            read off has the digits of float32: they are handed back where they explain what is seen.

    Returns:
        An own input, as ``Loaded`` has it.

    Raises:
        InputError: It isn't an affine map of each pixel, or fails.
    """
    colours = np.array([3 * (c[-1],) for c in COLOURS[3:]] if grey else COLOURS)
    pictures = [Image.new("RGB", (SIDES[0],) * 2, tuple(int(v) for v in colour)) for colour in colours]
    pictures.append(Image.new("RGB", (SIDES[1],) * 2, tuple(int(v) for v in colours[0])))
    try:
        maps = [process(picture.convert("L") if grey else picture) for picture in pictures]
    except Exception as error:
        raise InputError(_said(label, f"fails on a picture ({first_line(error)})")) from error
    shapes = [tuple(made.shape) for made in maps]
    if len(set(shapes[:-1])) > 1 or len(shapes[0]) != 3 or shapes[0][0] not in (1, 3):
        raise InputError(_said(label, f"gives {shapes[0]} for a picture, but channels, height and width were expected"))
    channels, height, width = shapes[0]
    if max(height, width) > 4 * min(height, width):
        raise InputError(_said(label, f"gives {height}x{width} pixels for a picture, which is none any more"))
    centres = np.array([made[:, height // 2, width // 2].tolist() for made in maps[:-1]], dtype=np.float64)
    found = _affine(colours / 255, centres, label, grey, stated)
    if shapes[-1] == shapes[0]:
        found["size"] = min(height, width)
    found["channels"] = channels
    found["warnings"] = []
    if any(float((made - made[:, height // 2, width // 2, None, None]).abs().max()) > 1e-3 for made in maps):
        found["warnings"].append(f"The preprocessing of {label} pads pictures; here they fill the whole input.")
    if height != width and "size" in found:
        found["warnings"].append(
            f"The preprocessing of {label} gives {height}x{width} pixels; here pictures are squares of {found['size']}."
        )
    elif "size" in found:
        found |= _crop(process, label, grey, found, stated.get("crop_pct"))
    return found


def _crop(
    process: Callable[[Image.Image], torch.Tensor],
    label: str,
    grey: bool,
    found: dict[str, Any],
    stated: float | None,
) -> dict[str, Any]:
    """Which part of a picture is shown, and what becomes of oblong ones, read off where ramps begin and end.

    ``crop_pct`` is left out, with a warning, where it isn't the middle; ``crop_mode`` is ``other`` where oblong
    pictures are neither cut to their middle nor squeezed.
    """
    size, (short, long) = found["size"], SIDES
    near = 2 / size + 0.005  # sides are whole numbers of pixels, and a ramp has 256 steps
    square = [_shown(process, grey, found, (short, short), axis) for axis in (0, 1)]
    seen = [one for one in square if one is not None]
    if len(seen) < 2:
        return {"warnings": [*found["warnings"], _unlike(label)]}
    (across, x), (down, y) = seen
    if min(across, down) < 0.3:
        raise InputError(_said(label, f"shows only {min(across, down):.0%} of a picture's side"))
    if max(across, down) > 1 + near or max(abs(x - 0.5), abs(y - 0.5), abs(across - down)) > near:
        return {"warnings": [*found["warnings"], _unlike(label)]}
    oblong = [_shown(process, grey, found, (long, short), axis) for axis in (0, 1)]
    mode = "other"
    for name, width in (("squash", across), ("center", across * short / long)):
        expected = ((width, 0.5), (down, 0.5))
        measured = [one for one in oblong if one is not None]
        if len(measured) == 2 and np.allclose(measured, expected, rtol=0, atol=near):
            mode = name
    resized = max(round(size / down), size)
    if stated is not None and abs(math.floor(size / stated + 1e-9) - resized) <= 1:
        return {"crop_mode": mode, "crop_pct": float(stated)}
    # Rounded down, so that it gives back as many pixels.
    return {"crop_mode": mode, "crop_pct": math.floor(size / resized * 1e4 + 1e-6) / 1e4}


def _shown(
    process: Callable[[Image.Image], torch.Tensor],
    grey: bool,
    found: dict[str, Any],
    sides: tuple[int, int],
    axis: int,
) -> tuple[float, float] | None:
    """Which share of a picture's width (axis 0) or height is shown, and what is in the middle; None in other shapes."""
    size, side = found["size"], sides[axis]
    ramp = (255 * (np.arange(side) + 0.5) / side).round().astype(np.uint8)
    pixels = np.broadcast_to(ramp[None, :] if axis == 0 else ramp[:, None], sides[::-1])
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    try:
        made = process(picture if grey else picture.convert("RGB"))[0].double()
    except Exception:  # it takes other pictures, as was seen, but not this
        return None
    if made.shape != (size, size):
        return None
    line = (made.median(axis).values * found["std"][0] + found["mean"][0]).numpy()
    inner = slice(size // 8, size - size // 8)  # borders may be padded, or blurred by the filter
    slope, start = np.polyfit(((np.arange(size) + 0.5) / size)[inner], line[inner], 1)
    return float(slope), float(start + slope / 2)


def _unlike(label: str) -> str:
    return f"The preprocessing of {label} shows another part of a picture than its middle, or pads it; here it is that."


def _affine(colours: np.ndarray, seen: np.ndarray, label: str, grey: bool, stated: dict[str, Any]) -> dict[str, Any]:
    """Mean, std and order, from fractions (N, 3) and what they become (N, C)."""
    largest = max(float(np.ptp(seen)), 1e-12)
    rounding = 0.6 / 255 if seen.shape[1] == 1 and not grey else 0.0
    orders: dict[str, np.ndarray] = {"rgb": colours, "bgr": colours[:, ::-1]}
    if seen.shape[1] == 1:
        orders = {"rgb": colours @ np.array(LUMINANCE)[:, None]}
    elif grey:
        del orders["bgr"]
    for order, x in orders.items():
        low, high = x.argmin(0), x.argmax(0)
        columns = np.arange(seen.shape[1])
        scale = (seen[high, columns] - seen[low, columns]) / (x[high, columns] - x[low, columns])
        if (scale <= 0).any():
            continue
        mean, std = x[low, columns] - seen[low, columns] / scale, 1 / scale
        allowed = TOLERANCE * largest + rounding * scale.max()
        if (np.abs((x - mean) / std - seen) > allowed).any():
            continue
        if std.min() > 20:
            raise InputError(
                _said(label, "leaves hardly any contrast, as statistics in 0..255 do where pixels are fractions")
            )
        close = 1e-5 * max(largest, 1) + rounding * scale.max()
        written = [
            np.broadcast_to(np.asarray(stated.get(key, np.nan), dtype=float), mean.shape) for key in ("mean", "std")
        ]
        if (np.abs((x - written[0]) / written[1] - seen) <= close).all():
            return {"mean": tuple(written[0].tolist()), "std": tuple(written[1].tolist()), "order": order}
        return {"mean": tuple(map(_plain, mean)), "std": tuple(map(_plain, std)), "order": order}
    raise InputError(_said(label, "isn't one factor and one offset for each channel of a pixel"))


def _plain(value: float) -> float:
    """Without the noise of float32."""
    short = float(f"{value:.7g}")
    return 0.0 if abs(short) < 1e-7 else short


def _said(label: str, what: str) -> str:
    return (
        f"the preprocessing of {label} {what}: set `mean`, `std` and `input_size` to what the model was trained with."
    )
