"""Near-copies: pictures that were saved again, resized or slightly changed, by a perceptual hash of 64 bits.

The hash is the usual one of the lowest frequencies (pHash). What it is good for was measured on seven datasets whose
test sets have no picture of their training sets, and on copies made of 400 test pictures of each:

- Copies saved as JPEG of quality 75, at half or twice the size, brighter, in grey or in 64 colours differ in ``NEAR``
  bits at most for 83 to 100 of 100 pictures of 28 pixels and more; fashion items halved 78, textures 72 at that quality
  and 82 halved, emoji 53 where they are brighter. Those cut by one pixel of 32 all around mostly don't (3 to 29).
- Training pictures that come so near to a test picture: CIFAR-10 44 of 50,000, of which nearly all are copies to the
  eye, too; emoji 10 of 3,638, the same drawing with another mouth or sign; textures 0 of 3,600; and, by mistake, spoken
  digits 7 of 4,000, letters 15 of 6,000, digits 1 of 1,250, Fashion-MNIST 848 of 20,000.
- Where the hash can't tell, many pictures have neighbours by chance, in 3 to 8 bits: 17% of the spoken digits, 31% of
  the letters, 19% of the digits, 47% of Fashion-MNIST, against 0.6% of CIFAR-10, 2.9% of the emoji, none of the
  textures. From ``CROWDED`` on nothing is said, unless near-copies outnumber such neighbours, as frames of a film do.
- So nothing is said of the whole of those four, and of 348 smaller draws from them something in 34, of 4 pictures at
  most.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image
from scipy.fft import dct

__all__ = ["CROWDED", "NEAR", "near_copies", "perceptual_hashes", "small"]

NEAR, NEIGHBOURS = 2, 8
"""Bits in which near-copies differ at most, and those of neighbours that chance makes."""
CROWDED = 0.1
"""Share of pictures with a neighbour by chance from which on the hash tells nothing."""
_SAMPLE = 512  # pictures whose neighbours are counted
_SIDE, _LOW = 32, 8
_COSINES = dct(np.eye(_SIDE), axis=0, norm="ortho")[:_LOW].astype(np.float32)
_BANDS = ((0, 21), (21, 21), (42, 22))  # first bit and number of bits: of two that differ in two, one is the same
_PAIRS = 4_000_000  # compared at a time


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


def perceptual_hashes(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the lowest frequencies of pictures are above their median, and whether there is anything but one tone.

    Args:
        pictures: As :func:`small` makes them, (N, 32, 32).

    Returns:
        Uint64 (N,), and bool (N,).
    """
    low = (_COSINES @ pictures @ _COSINES.T).reshape(len(pictures), _LOW * _LOW)
    low[:, 0] = -np.inf  # the mean is no detail
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64), np.abs(low[:, 1:]).mean(axis=1) > 1


def near_copies(digests: Mapping[str, np.ndarray], hashes: Mapping[str, np.ndarray]) -> dict[str, int]:
    """How many pictures of training and validation look like others of a later set.

    Args:
        digests: Of the pictures of train, validation and test that have any detail.
        hashes: Theirs.

    Returns:
        By name of the set, where there are any; those that are the same pixel by pixel don't count.
    """
    found = {}
    for name, after in {"train": ("validation", "test"), "validation": ("test",)}.items():
        later = np.unique(np.concatenate([hashes[other] for other in after]))
        own = hashes[name][~np.isin(digests[name], np.concatenate([digests[other] for other in after]))]
        if not own.size or not later.size:
            continue
        kinds, counts = np.unique(own, return_counts=True)
        near = _near(kinds, later)
        count = int(counts[near].sum())
        if count and (_by_chance(own, later) <= CROWDED * len(own) or count > _by_chance(own, later)):
            found[name] = count
    return found


def _by_chance(own: np.ndarray, later: np.ndarray) -> float:
    """About how many have a neighbour that is no near-copy, from some of them, drawn with a fixed seed."""
    drawn = np.random.default_rng(0).choice(own, min(_SAMPLE, len(own)), replace=False)
    nearest = np.array([int(np.bitwise_count(later ^ one).min()) for one in drawn])
    return float(((nearest > NEAR) & (nearest <= NEIGHBOURS)).mean()) * len(own)


def _near(own: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Which hashes have one within ``NEAR`` bits; both sorted and each once. Compares those that share a band."""
    found = np.zeros(len(own), dtype=bool)
    for first, width in _BANDS:
        ours, theirs = ((own >> first) & ((1 << width) - 1) for own in (own, later))
        order = np.argsort(theirs, kind="stable")
        start, end = (np.searchsorted(theirs[order], ours, side) for side in ("left", "right"))
        rows = np.flatnonzero(~found & (end > start))
        ends = np.cumsum(end[rows] - start[rows])
        at = 0
        while at < len(rows):
            before = ends[at - 1] if at else 0
            stop = max(at + 1, int(np.searchsorted(ends, before + _PAIRS, "right")))
            some = rows[at:stop]
            sizes = end[some] - start[some]
            places = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            pairs = order[np.repeat(start[some], sizes) + places]
            alike = np.bitwise_count(np.repeat(own[some], sizes) ^ later[pairs]) <= NEAR
            found[np.repeat(some, sizes)[alike]] = True
            at = stop
    return found
