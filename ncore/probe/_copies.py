"""Near-copies: pictures that were saved again, resized or slightly changed, by a perceptual hash of 64 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.fft import dct

__all__ = ["perceptual_hashes", "small"]

_SIDE, _LOW = 32, 8
_COSINES = dct(np.eye(_SIDE), axis=0, norm="ortho")[:_LOW].astype(np.float32)


def small(image: Image.Image) -> np.ndarray:
    """A picture in grey at the size that its hash is made of, float32 (32, 32) from 0 to 255."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float32)
        low, high = float(values.min()), float(values.max())
        image = Image.fromarray((values - low) * (255 / (high - low) if high > low else 0))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("L")
    elif image.mode != "L":
        image = (image if image.mode == "RGB" else image.convert("RGB")).convert("L")
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)).astype(np.float32)


def perceptual_hashes(pictures: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The signs of the lowest frequencies of pictures against their median, and whether these tell pictures apart.

    Args:
        pictures: As :func:`small` makes them, (N, 32, 32).
        sides: The shorter side of each as it is, in pixels.

    Returns:
        Uint64 (N,), and bool (N,).
    """
    low = (_COSINES @ pictures @ _COSINES.T).reshape(len(pictures), _LOW * _LOW)
    low[:, 0] = -np.inf  # the mean is no detail
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    telling = (sides >= _SIDE) & (np.abs(low[:, 1:]).mean(axis=1) > 1)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64), telling
