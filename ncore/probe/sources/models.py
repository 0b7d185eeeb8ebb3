"""What every source of models shares: request, answer, the output layer and its removal, weights from a file."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe.images import ImageShape
from ncore.probe.sources._offline import first_line

__all__ = [
    "Features",
    "Loaded",
    "Read",
    "Request",
    "channels_last",
    "load_exactly",
    "misfits",
    "read_weights",
    "remove_last_linear",
    "remove_timm",
    "remover",
    "replace",
    "without_prefix",
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
        input: Some of channels, size, mean, std, interpolation, order, and their source; what is absent follows the
            dataset. Besides, ``warnings``, and a ``refusal`` where the model's own preprocessing can't be followed.
        remove: Takes the output layer off; None where there is none.
        read: Calls the model; its result holds the features.
    """

    model: nn.Module
    input: dict[str, Any] = field(default_factory=dict)
    remove: Callable[[nn.Module], None] | None = None
    read: Read = lambda model, images: model(images)


class Features(nn.Module):
    """A model without its output layer: images (N, C, H, W) to features (N, F), spatial maps and tokens averaged."""

    def __init__(self, model: nn.Module, read: Read) -> None:
        super().__init__()
        self.model = model
        self.read = read

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of normalised images (N, C, H, W)."""
        features = self.read(self.model, images)
        if isinstance(features, tuple):  # GoogLeNet and Inception add auxiliary outputs while they train
            features = features[0]
        if isinstance(features, torch.Tensor) and features.ndim == 4:
            return features.mean((1, 2) if channels_last(self.model, features.shape) else (2, 3))
        return features.mean(1) if isinstance(features, torch.Tensor) and features.ndim == 3 else features


def channels_last(model: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a feature map (N, ., ., .) of a square picture has its channels last: the other two axes are equal.

    Where the shape leaves it open, the model's ``num_features`` or its configuration's ``hidden_size`` decides.

    Raises:
        InputError: Nothing decides.
    """
    _, first, middle, last = shape
    if (first == middle) != (middle == last):
        return first == middle
    config = getattr(model, "config", None)
    for known in (getattr(model, "num_features", None), getattr(config, "hidden_size", None)):
        if known in (first, last) and first != last:
            return known == last
    raise InputError(
        f"a {type(model).__name__} gives feature maps of {tuple(shape[1:])}, which are {first} channels or, with "
        f"channels last, {last}: give the model the attribute `num_features`, or average them in a `python:` factory."
    )


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
    setattr(model.get_submodule(parent), leaf, nn.Identity())


def remover(names: str | Sequence[str]) -> Callable[[nn.Module], None]:
    """Remove the submodules that the user named."""
    listed = [names] if isinstance(names, str) else list(names)

    def remove(model: nn.Module) -> None:
        for name in listed:
            replace(model, name)

    return remove


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors from a .safetensors file, or from a .pt or .pth one with ``weights_only=True``.

    Raises:
        InputError: No such file, or one that holds anything else than tensors by name.
    """
    if not path.is_file():
        raise InputError(f"the weights file {str(path)!r} does not exist: give the path of a .safetensors file.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"the weights file {str(path)!r} holds objects that only unpickling could load, which is refused: "
            "save its state_dict() as safetensors."
        ) from error
    except Exception as error:
        raise InputError(f"the weights file {str(path)!r} cannot be read ({first_line(error)}).") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):  # a checkpoint of Lightning's
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"the weights file {str(path)!r} does not hold a plain state_dict: save one as safetensors.")
    return dict(state)


def without_prefix(state: Mapping[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """``state`` without what wrappers put before each name: ``module.`` (DataParallel), ``model.`` (Lightning), ..."""
    own = model.state_dict()
    first = next(iter(own), "")
    before = [key.removesuffix(first) for key in state if key.endswith(f".{first}")]
    if own.keys() & state.keys() or len(before) != 1 or not all(key.startswith(before[0]) for key in state):
        return dict(state)
    return {key.removeprefix(before[0]): value for key, value in state.items()}


def misfits(state: Mapping[str, torch.Tensor], model: nn.Module) -> list[str]:
    """What keeps ``state`` from being exactly the model's: a phrase for each tensor that is missing or does not fit."""
    own = model.state_dict()
    phrases = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    phrases += [
        f"{key} holds {state[key].dtype}, as quantised weights do, instead of {own[key].dtype}"
        for key in own
        if key in state and own[key].is_floating_point() and not state[key].is_floating_point()
    ]
    # A batch norm's counter of batches is left out of many files, and nothing here uses it.
    phrases += [f"{key} is missing" for key in own if key not in state and not key.endswith("num_batches_tracked")]
    return phrases + [f"{key} is not part of the model" for key in state if key not in own]


def load_exactly(loaded: Loaded, path: Path, label: str) -> None:
    """Load a file into a model, whole or without its output layer, and take the output layer off.

    Raises:
        InputError: The file is neither; names the first tensors that do not fit.
    """
    state = without_prefix(read_weights(path), loaded.model)
    problems = misfits(state, loaded.model)
    if problems and loaded.remove is not None:
        loaded.remove(loaded.model)
        loaded.remove = None
        if not misfits(state, loaded.model):
            problems = []
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(
            f"the weights {str(path)!r} do not fit {label} ({'; '.join(problems[:3])}{more}): "
            "give the architecture and kwargs they were saved with."
        )
    loaded.model.load_state_dict(state, strict=True)
    if loaded.remove is not None:
        loaded.remove(loaded.model)
        loaded.remove = None
