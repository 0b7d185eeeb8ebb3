"""Built-in networks for small pictures, texts and tables, written for a CPU, that need no download.

Seven families map images (N, C, S, S), of 1 or 3 channels and 8 pixels or more, to features (N, F); ``dense`` takes
rows of numbers (N, F) as well, and ``words`` and ``words-cnn`` texts, as tokens (N, 1, L). The convolutional ones,
LeNet aside, keep the shapes of their weights at any size. ``norm: none`` makes a deliberately bad recipe, ``width``
and ``depth`` scale a network, ``activation`` changes it throughout. ``nas-bench-201`` is none of a family but 15,625
networks, of which ``arch`` names one, see ``ncore.probe.builtin.nas_bench_201``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from ncore.errors import InputError
from ncore.probe._choices import unknown
from ncore.probe.builtin import _families, _texts
from ncore.probe.builtin._layers import ACTIVATIONS, initialise
from ncore.probe.builtin.nas_bench_201 import nas_bench_201
from ncore.probe.images import ImageShape
from ncore.probe.modalities.base import TableShape, TextShape

__all__ = ["FAMILIES", "MIN_SIZE", "NAMES", "SMALL", "TABLE", "TEXT", "build"]

MIN_SIZE = 8
FAMILIES: dict[str, Callable[..., nn.Module]] = {
    name: getattr(_families, name) for name in ("dense", "lenet", "vgg", "resnet", "mobilenet", "densenet", "vit")
}
SMALL: dict[str, dict[str, int]] = {
    "dense": {"width": 64, "depth": 2},
    "lenet": {"width": 3},
    "vgg": {"width": 16, "depth": 1},
    "resnet": {"width": 16, "depth": 1},
    "mobilenet": {"width": 12, "depth": 1},
    "densenet": {"width": 8, "depth": 3},
    "vit": {"width": 48, "depth": 2},
}
TEXT: dict[str, Callable[..., nn.Module]] = {"words": _texts.words, "words-cnn": _texts.words_cnn}
TABLE = ("dense",)
NAMES: tuple[str, ...] = tuple(sorted([*FAMILIES, *(f"{family}-small" for family in SMALL), *TEXT, "nas-bench-201"]))


def build(name: str, shape: ImageShape | TableShape | TextShape, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a built-in network with fresh weights from the current random state.

    Args:
        name: One of ``NAMES``.
        shape: Of the examples that it takes: channels and size of pictures, say.
        options: ``width``, ``depth``, ``norm``, ``activation``, ``vocabulary``, as far as the family has them;
            ``arch``, ``channels`` and ``cells`` of nas-bench-201.

    Raises:
        InputError: An unknown name or option, or a value out of range.

    Example:
        >>> import torch
        >>> build("lenet", ImageShape(1, 8))(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 84])
    """
    if name not in NAMES:
        raise unknown("a built-in network", name, NAMES)
    family = name.removesuffix("-small")
    options = {**(SMALL[family] if name != family else {}), **(options or {})}
    if isinstance(shape, ImageShape) and shape.size < MIN_SIZE:
        raise InputError(f"{name} was asked to take {shape.size} pixels, but built-in networks need {MIN_SIZE}.")
    if (name in TEXT) != isinstance(shape, TextShape):
        raise InputError(f"{name} takes {'texts' if name in TEXT else 'no texts'}: choose from {', '.join(NAMES)}.")
    make = TEXT[name] if name in TEXT else partial(FAMILIES.get(family, nas_bench_201), shape)
    known = list(inspect.signature(make).parameters)
    for option, value in options.items():
        if option not in known:
            raise unknown(f"an option of {name}", option, known)
        if option in ("width", "depth", "channels", "cells", "vocabulary") and (type(value) is not int or value < 1):
            raise InputError(f"{option} of {name} is {value!r}, but a whole number of at least 1 was expected.")
    norms, norm = ("layer" if family == "vit" else "batch", "none"), options.get("norm")
    if norm is not None and norm not in norms:
        raise unknown(f"a normalisation of {name}", str(norm), norms)
    if options.get("activation", "relu") not in ACTIVATIONS:
        raise unknown("an activation", str(options["activation"]), ACTIVATIONS)
    network = make(**options)
    network.apply(initialise)
    return network
