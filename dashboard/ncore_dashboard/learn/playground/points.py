"""Points of the plane to learn: two classes, or values, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ncore.errors import InputError

__all__ = ["DATA_SETS", "REACH", "Array", "DataSet", "Points", "points"]

Array = np.ndarray
REACH = 2.0
"""Clean points lie within ±5/6 of this in both coordinates; pictures show the plane up to here."""
_R = REACH * 5 / 6


@dataclass(frozen=True)
class Points:
    """Training and test points: positions (n, 2) and targets (n,), 0 or 1 for classes, else values from -1 to 1."""

    train: Array
    train_targets: Array
    test: Array
    test_targets: Array
    classes: bool


@dataclass(frozen=True)
class DataSet:
    """How points are drawn: ``draw(rng, n)`` gives positions (n, 2) without noise and their targets (n,)."""

    label: str
    classes: bool
    draw: Callable[[np.random.Generator, int], tuple[Array, Array]]


def points(data: str, count: int, noise: float, share: float, seed: int) -> Points:
    """Draw points, add noise to their positions, and keep a part of them for training.

    Args:
        data: Name in ``DATA_SETS``.
        count: Number of points, at least 10.
        noise: Standard deviation of what is added to each coordinate, in units of the plane.
        share: Of the points, that is trained on, in (0, 1).
        seed: Of the generator; the same arguments give the same points.

    Raises:
        InputError: There is no such data set, or a number is out of its range.

    Example:
        >>> found = points("circle", 100, 0.0, 0.75, seed=1)
        >>> found.train.shape, found.test.shape, found.train_targets[:3].tolist()
        ((75, 2), (25, 2), [1.0, 0.0, 1.0])
    """
    if data not in DATA_SETS:
        raise InputError(f"The data set is {data!r}, but it must be one of {', '.join(DATA_SETS)}.")
    if count < 10 or not 0 < share < 1 or not 0 <= noise < 10:
        raise InputError(
            f"There are {count} points with noise {noise:g} and a training share of {share:g}, but at least 10 points, "
            "noise from 0 to 10 and a share between 0 and 1 are needed."
        )
    rng = np.random.default_rng([seed, 0])
    kind = DATA_SETS[data]
    places, targets = kind.draw(rng, count)
    order = rng.permutation(count)
    places = (places + noise * rng.standard_normal(places.shape))[order]
    targets = targets[order].astype(np.float64)
    cut = min(max(round(count * share), 1), count - 1)
    return Points(places[:cut], targets[:cut], places[cut:], targets[cut:], kind.classes)


def _halves(count: int) -> Array:
    """Targets 0 and 1 in turn, so that both classes are equally many."""
    return np.arange(count) % 2


def _circle(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    inside = _halves(count)
    radius = np.where(inside == 1, rng.uniform(0, 0.5, count), rng.uniform(0.7, 1, count)) * _R
    angle = rng.uniform(0, 2 * np.pi, count)
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]), inside


def _xor(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    places = rng.uniform(-_R, _R, (count, 2))
    places += 0.1 * np.sign(places)  # a gap between the quadrants
    return places, places[:, 0] * places[:, 1] >= 0


def _gaussians(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    which = _halves(count)
    centre = np.where(which == 1, 1.0, -1.0)[:, None] * np.full(2, 0.4 * _R)
    return centre + 0.14 * _R * rng.standard_normal((count, 2)), which


def _spiral(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    arm = _halves(count)
    along = rng.uniform(0.02, 1, count)
    angle = 1.75 * along * 2 * np.pi + np.pi * arm
    return _R * np.column_stack([along * np.sin(angle), along * np.cos(angle)]), arm


def _moons(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    upper = _halves(count)
    angle = rng.uniform(0, np.pi, count)
    places = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    return (np.where(upper[:, None] == 1, places, lower) - [0.5, 0.25]) * _R / 1.5, upper


def _plane(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    places = rng.uniform(-_R, _R, (count, 2))
    return places, places.sum(1) / (2 * _R)


def _bumps(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Three hills and three valleys in turn around the centre."""
    places = rng.uniform(-_R, _R, (count, 2))
    angles = np.arange(6) * np.pi / 3
    tops = 0.65 * _R * np.column_stack([np.sin(angles), np.cos(angles)])
    distance = np.linalg.norm(places[:, None] - tops[None], axis=-1)
    return places, (np.exp(-((distance / (0.3 * _R)) ** 2)) * [1, -1, 1, -1, 1, -1]).sum(1)


DATA_SETS: dict[str, DataSet] = {
    "circle": DataSet("Circle", True, _circle),
    "xor": DataSet("XOR", True, _xor),
    "gaussians": DataSet("Gaussians", True, _gaussians),
    "moons": DataSet("Moons", True, _moons),
    "spiral": DataSet("Spiral", True, _spiral),
    "plane": DataSet("Plane (values)", False, _plane),
    "bumps": DataSet("Bumps (values)", False, _bumps),
}
