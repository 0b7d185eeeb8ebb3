"""What a candidate makes of a few examples, tried before anything is trained on what it gives."""

from __future__ import annotations

import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe._choices import first_line
from ncore.probe.modalities.base import Input
from ncore.probe.sources.models import Removed

__all__ = ["check_removed", "classes_as_features", "probe"]


def probe(module: nn.Module, takes: Input, name: str) -> int:
    """Number of features, by passing two examples of noise through, one of them alone, and both again.

    Raises:
        InputError: The module refuses them, gives something else than features, or not the same the second time, or not
            the same for an example alone.
    """
    examples = takes.trial()
    kept = module.state_dict()
    buffers = {key: value.clone() for key, value in module.named_buffers() if key in kept}
    try:
        with torch.no_grad():
            features = module(examples)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{name} does not take {takes.words} ({first_line(error)}): {takes.remedy}, or set `remove` to its "
            "output layer."
        ) from error
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != 2:
        found = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
        raise InputError(f"{name} gives {found} for 2 examples, but features (2, F) were expected: use `remove`.")
    if not features.isfinite().all():
        raise InputError(f"{name} gives features that are not finite for examples of noise: look at its weights.")
    try:
        with torch.no_grad():
            alone, again = module(examples[:1]), module(examples)
        same = _alike(alone, features[:1])
    except Exception:  # a norm of one example's statistics, for one
        same, again = False, features
    if not _alike(again, features):
        raise InputError(
            f"{name} gives other features for the same examples when it is asked again, as models do that mask or "
            "sample their inputs: use one that is meant for classification, or a `python:` factory that turns this off."
        )
    if not same:
        raise InputError(
            f"{name} gives other features for an example alone than among others, as norms do that use a batch's own "
            "statistics in evaluation mode: use a `python:` factory that gives it `track_running_stats`."
        )
    changed = [key for key, value in module.named_buffers() if key in buffers and not value.equal(buffers[key])]
    if changed:
        raise InputError(
            f"{name} changes {changed[0].removeprefix('model.')} in evaluation mode, so that what it gives depends on "
            "what it saw before: use a `python:` factory that turns this off."
        )
    return features.shape[1]


def check_removed(model: nn.Module, label: str) -> None:
    """Whether what the user had removed was in the way of an example at all.

    Raises:
        InputError: It wasn't, so that it is no output layer.
    """
    removed = {name: module for name, module in model.named_modules() if isinstance(module, Removed)}
    if not any(module.called for module in removed.values()):
        raise InputError(
            f"`remove` of {label} names {', '.join(removed)}, which no example passes through: name the layer "
            "whose output the model gives."
        )


def classes_as_features(model: nn.Module, feature_dim: int, label: str) -> list[str]:
    """Whether a model of the user's own seems to give classes where features were meant."""
    said = [getattr(model, "num_classes", None), getattr(getattr(model, "config", None), "num_labels", None)]
    linear = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear) and name]
    if not linear or linear[-1][1].out_features != feature_dim:
        return []
    if feature_dim not in said and not type(model).__module__.startswith("torchvision.models"):
        return []
    return [
        f"The {feature_dim} features of {label} seem to be classes: `remove: {linear[-1][0]}` takes that layer off."
    ]


def _alike(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether features differ by no more than float32 does, against the largest of them."""
    return torch.allclose(first, second, rtol=1e-3, atol=1e-4 * float(second.abs().max()))
