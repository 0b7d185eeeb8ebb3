"""``python:module:factory``, and the dotted factories of ``file:`` candidates: a function that returns a module."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe._choices import first_line
from ncore.probe.sources import model_timm, model_torchvision
from ncore.probe.sources._trust import without_remote_code
from ncore.probe.sources.models import Loaded, Request, remove_last_linear, remove_timm

__all__ = ["OWN_CODE", "alike", "call", "find", "guess", "load", "load_factory", "own_input"]

OWN_CODE = "read that code, and give it as a module of yours with `source: python:MODULE:FACTORY`"


def load(request: Request) -> Loaded:
    """Call ``module:factory``; what the module returns is taken as its features unless ``remove`` is given.

    Raises:
        InputError: No such module or function, or it fails, or it returns something else than a module.
    """
    module, _, function = request.name.partition(":")
    model = call(module, function, (), request.kwargs, request.label)
    if own := own_input(model):
        return Loaded(model, own)
    with torch.random.fork_rng(devices=[]), contextlib.suppress(InputError):  # of a factory that can be called once
        torch.default_generator.manual_seed(torch.initial_seed() ^ 1)
        other = call(module, function, (), request.kwargs, request.label)
        return Loaded(model, {"trained": alike(model, other)})
    return Loaded(model)


def alike(first: nn.Module, second: nn.Module) -> bool:
    """Whether two models, built from two seeds, have the same weights, as those have that were trained before.

    Not so for models without data, which are built to learn what they will take.
    """
    pairs = [(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=False) if a.ndim > 1]
    return bool(pairs) and all(a.shape == b.shape and not a.is_meta and torch.equal(a, b) for a, b in pairs)


def load_factory(dotted: str, args: Sequence[Any], kwargs: Mapping[str, Any], label: str) -> Loaded:
    """Call ``package.module.function``; the classifiers of timm and torchvision models are known to be removable."""
    module, _, function = dotted.rpartition(".")
    model = call(module, function, args, kwargs, label)
    return Loaded(model, own_input(model, function), guess(model))


def find(module: str, function: str, label: str) -> Any:
    """Import a factory; a module in the current folder is found too.

    Raises:
        InputError: There is none.
    """
    here = os.getcwd()
    added = here not in sys.path
    sys.path += [here] if added else []
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{label} names {function!r} in the module {module!r}, which cannot be imported ({first_line(error)}): "
            "correct the name or install the module."
        ) from error
    finally:
        if added:
            sys.path.remove(here)


def call(module: str, function: str, args: Sequence[Any], kwargs: Mapping[str, Any], label: str) -> nn.Module:
    """Import and call."""
    if (module, function) == ("torch.hub", "load"):
        raise InputError(f"{label} would run code that comes with a download: {OWN_CODE}.")
    kwargs = without_remote_code(kwargs, label, OWN_CODE)
    factory = find(module, function, label)
    try:
        model = factory(*args, **kwargs)
    except Exception as error:
        raise InputError(f"{label} cannot be built ({type(error).__name__}: {first_line(error)}).") from error
    if not isinstance(model, nn.Module):
        raise InputError(f"{label} built a {type(model).__name__}, but a torch.nn.Module was expected.")
    return model


def own_input(model: nn.Module, function: str = "") -> dict[str, Any]:
    """The input configuration that timm and torchvision models carry; empty for any other."""
    if isinstance(getattr(model, "pretrained_cfg", None), Mapping):
        return model_timm.own_input(model)
    if type(model).__module__.startswith("torchvision.models"):
        try:
            return model_torchvision.own_input(model_torchvision.choose_weights(function, "DEFAULT"))
        except ValueError:  # a class, or a function that is not a registered model
            return dict(model_torchvision.IMAGENET_INPUT)
    return {}


def guess(model: nn.Module) -> Any:
    """The way to take off the output layer of a timm or torchvision model; None for any other."""
    if hasattr(model, "reset_classifier"):
        return remove_timm
    return remove_last_linear if type(model).__module__.startswith("torchvision.models") else None
