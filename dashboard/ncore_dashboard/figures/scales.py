"""Colours of numbers: one scale with two ends for values with a sign, one for magnitudes, readable without hue."""

from __future__ import annotations

import numpy as np

__all__ = ["BINS", "bins", "colour_at", "limit", "scale"]

#: From the lowest to the highest value; the middle of the signed scales is close to the background.
_SIGNED = {
    False: ("#0B4F7D", "#4F94C4", "#DDE3E8", "#D98A4A", "#8A3B00"),
    True: ("#9AD6FF", "#3F8FC4", "#2B3541", "#C4702B", "#FFC48A"),
}
_SIZES = {
    False: ("#E3E9EE", "#A9C6DA", "#5F9BC2", "#236E9F", "#083454"),
    True: ("#242E39", "#2C5470", "#3E82AC", "#76B8E0", "#D5EEFF"),
}
BINS = 4


def scale(signed: bool, dark: bool) -> list[tuple[float, str]]:
    """A Plotly colour scale."""
    colours = (_SIGNED if signed else _SIZES)[dark]
    return [(index / (len(colours) - 1), colour) for index, colour in enumerate(colours)]


def colour_at(share: float, signed: bool, dark: bool) -> str:
    """The colour at a share of the scale: of its way from 0 to 1, or with a sign from -1 to 1."""
    colours = (_SIGNED if signed else _SIZES)[dark]
    place = np.clip((share + 1) / 2 if signed else share, 0, 1) * (len(colours) - 1)
    low = min(int(place), len(colours) - 2)
    first, second = (np.array([int(colours[low + i][at : at + 2], 16) for at in (1, 3, 5)]) for i in (0, 1))
    mixed = first + (place - low) * (second - first)
    return "#" + "".join(f"{round(float(part)):02X}" for part in mixed)


def limit(values: np.ndarray, share: float = 0.99) -> float:
    """Where a scale ends: a magnitude that few values exceed, so that one giant does not make all others pale."""
    sizes = np.abs(values[np.isfinite(values)])
    if not sizes.size:
        return 1.0
    return float(np.quantile(sizes, share)) or float(sizes.max()) or 1.0


def bins(values: np.ndarray, end: float) -> np.ndarray:
    """Bin of each value, from -BINS to BINS by its share of ``end``; 0 is what is weak, or missing.

    Example:
        >>> bins(np.array([-9.0, -0.5, 0.1, 0.7, np.nan]), end=1.0).tolist()
        [-4, -2, 0, 3, 0]
    """
    shares = np.clip(np.nan_to_num(values, nan=0.0) / end, -1, 1)
    return np.trunc(shares * (BINS + 0.999)).astype(int)
