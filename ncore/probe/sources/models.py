"""What every source of models shares: request, answer, how features are read, the output layer and its removal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe.images import ImageShape
from ncore.probe.modalities.base import Input
from ncore.probe.sources._outputs import choose

__all__ = [
    "Features",
    "Loaded",
    "Read",
    "Removed",
    "Request",
    "channels_last",
    "remove_last_linear",
    "remove_timm",
    "remover",
    "replace",
]

Read = Callable[[nn.Module, torch.Tensor], Any]


@dataclass(frozen=True)
class Request:
    """What a source is asked for.

    Args:
        name: The model's name within the source.
        label: The candidate as the user wrote it, for messages.
        kwargs: For the constructor.
        pretrained: Whether to fetch the source's weights.
        size: The side in pixels that the user wants, None for the model's own.
        image: The dataset's own pictures.
    """

    name: str
    label: str
    kwargs: Mapping[str, Any]
    pretrained: bool
    size: int | None
    image: ImageShape


@dataclass
class Loaded:
    """What a source gives: the whole model, how to call it, its output layer and its own input configuration.

    Args:
        model: As constructed, output layer included.
        input: Some of channels, size, mean, std, interpolation, order, crop_pct, crop_mode, and their source; what is
            absent follows the dataset. Besides, ``warnings``, a ``refusal`` where the model's own preprocessing can't
            be followed, and ``trained`` where weights seem to be trained that nothing else is known of.
        remove: Takes the output layer off; None where there is none.
        read: Calls the model; its result holds the features.
        warnings: What to know of its weights, a sentence each.
        takes: What it wants at its input, where that doesn't follow from ``input``: of anything but pictures.
    """

    model: nn.Module
    input: dict[str, Any] = field(default_factory=dict)
    remove: Callable[[nn.Module], None] | None = None
    read: Read = lambda model, images: model(images)
    warnings: list[str] = field(default_factory=list)
    takes: Input | None = None


class Features(nn.Module):
    """A model without its output layer: images (N, C, H, W) to features (N, F), spatial maps and tokens averaged.

    Args:
        model: Any.
        read: Calls it.
        output: Which of its outputs the features are, by name or place; None for the only one, or one that is known.
        layout: ``channels_last`` for a model that takes pictures (N, H, W, C).

    Attributes:
        read_from: The name of the output that the features were last read from; empty if there is only one.
    """

    def __init__(
        self, model: nn.Module, read: Read, output: str | int | None = None, layout: str | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.read = read
        self.output, self.layout = output, layout
        self.read_from = ""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of normalised images (N, C, H, W).

        Raises:
            InputError: Nothing says which of several outputs holds them, or which axis their channels are.
        """
        if self.layout == "channels_last":
            images = images.permute(0, 2, 3, 1).contiguous()
        found = self.read(self.model, images)
        features, self.read_from = choose(found, self.output, f"a {type(self.model).__name__}")
        if isinstance(features, torch.Tensor) and features.ndim == 4:
            last = channels_last(self.model, features.shape, self.layout)
            return features.mean((1, 2) if last else (2, 3))
        if isinstance(features, torch.Tensor) and features.ndim == 3:
            first, second = features.shape[1:]
            return features.mean(2 if first in _known_sizes(self.model) and first != second else 1)
        return features


def channels_last(model: nn.Module, shape: Sequence[int], layout: str | None = None) -> bool:
    """Whether a feature map (N, ., ., .) of a square picture has its channels last: the other two axes are equal.

    Where the shape leaves it open, the model's ``num_features`` or its configuration's ``hidden_size`` decides, and
    then the layout that the recipe gives.

    Raises:
        InputError: Nothing decides.
    """
    _, first, middle, last = shape
    if (first == middle) != (middle == last):
        return first == middle
    for known in _known_sizes(model):
        if known in (first, last) and first != last:
            return known == last
    if layout is not None:
        return layout == "channels_last"
    raise InputError(
        f"a {type(model).__name__} gives feature maps of {tuple(shape[1:])}, which are {first} channels or, with "
        f"channels last, {last}: give the model the attribute `num_features`, or set `layout` to channels_first or "
        "channels_last."
    )


def _known_sizes(model: nn.Module) -> list[int]:
    """How many features a model says that it has."""
    found = (getattr(model, "num_features", None), getattr(getattr(model, "config", None), "hidden_size", None))
    return [size for size in found if isinstance(size, int)]


class Removed(nn.Identity):
    """What stands in place of an output layer, and whether a picture has come by."""

    called = False

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The same."""
        self.called = True
        return input


def remove_last_linear(model: nn.Module) -> None:
    """Replace the output layer by an identity: the last ``Linear`` in order of registration.

    This holds for every classifier of torchvision and transformers; SqueezeNet, which has none, ends with a 1x1
    convolution.

    Raises:
        InputError: There is no such layer.
    """
    for kind in (nn.Linear, nn.Conv2d):
        names = [name for name, module in model.named_modules() if isinstance(module, kind) and name]
        if names:
            replace(model, names[-1])
            return
    raise InputError(f"a {type(model).__name__} has no Linear layer that could be its output: name it with `remove`.")


def remove_timm(model: nn.Module) -> None:
    """Take the classifier off a timm model, leaving its pooled features."""
    model.reset_classifier(0)  # type: ignore[operator]


def replace(model: nn.Module, name: str) -> None:
    """Put an identity in place of the submodule called ``name`` (dotted).

    Raises:
        InputError: No such submodule.
    """
    try:
        model.get_submodule(name)
    except AttributeError as error:
        children = ", ".join(child for child, _ in model.named_children())
        raise InputError(f"`remove` names {name!r}, which the model lacks: it has {children}.") from error
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, Removed())


def remover(names: str | Sequence[str]) -> Callable[[nn.Module], None]:
    """Remove the submodules that the user named."""
    listed = [names] if isinstance(names, str) else list(names)

    def remove(model: nn.Module) -> None:
        for name in listed:
            replace(model, name)

    return remove
