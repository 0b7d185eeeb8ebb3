"""What takes the steps of a training: the optimizer, its groups of parameters, and the learning rate step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ncore.errors import InputError, TrainingFailedError
from ncore.probe.settings import TrainingSettings

__all__ = ["deterministic", "lower_layers", "make_optimizer", "precision", "schedule"]


def make_optimizer(unit: nn.Module, backbone: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer of what is trained; the ``initial_lr`` of its groups is multiplied by the schedule.

    Raises:
        InputError: Nothing is.
    """
    rate, own = settings.learning_rate, settings.backbone_learning_rate
    parts = [((backbone, unit), rate)] if own is None else [((unit,), rate), ((backbone,), own)]
    groups: list[dict[str, Any]] = []
    for modules, initial in parts:
        trained = [p for module in modules for p in module.parameters() if p.requires_grad]
        # Biases and normalisation are not decayed, as is usual.
        for decay, chosen in (
            (settings.weight_decay, [p for p in trained if p.ndim > 1]),
            (0.0, [p for p in trained if p.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "lr": initial, "initial_lr": initial})
    if not groups:
        raise InputError(f"Mode {settings.mode!r} trains nothing: this candidate's backbone has no parameters.")
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum)
    return torch.optim.AdamW(groups, fused=True)


def schedule(settings: TrainingSettings, step: int, steps_per_epoch: int) -> float:
    """What the learning rate is multiplied by at a step, which are counted from 0."""
    whole = settings.epochs * steps_per_epoch
    warm = settings.warmup_epochs * steps_per_epoch
    if step < warm:
        return (step + 1) / (warm + 1)
    done = min(max((step - warm) / max(whole - warm, 1), 0.0), 1.0)
    match settings.schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            return 1 - done
        case "step":  # a tenth at half way, a hundredth at three quarters
            return 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01
    return 1.0


def lower_layers(backbone: nn.Module, depth: float) -> list[nn.Module]:
    """The layers of a backbone that are not trained: all but the share ``depth`` that is nearest to its output.

    Layers are the modules with parameters of their own, in the order in which they were registered, which is that of
    the forward pass in all but odd models.

    Example:
        >>> lower_layers(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), 0.5)
        [Linear(in_features=4, out_features=3, bias=True)]
    """
    layers = [module for module in backbone.modules() if any(True for _ in module.parameters(recurse=False))]
    return layers[: len(layers) - math.ceil(depth * len(layers))]


def precision(name: str, device: torch.device) -> Callable[[], torch.autocast]:
    """Makes the context in which a pass is computed in this precision.

    Raises:
        InputError: The device has none.
    """
    if name == "float16" and device.type == "cpu":
        raise InputError("The precision is 'float16', but the CPU trains in 'float32' or 'bfloat16': use one of these.")
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
    enabled = name != "float32"
    return lambda: torch.autocast(device.type, dtype=dtype if enabled else None, enabled=enabled)


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Only algorithms that give the same result every time, where that is wanted.

    Raises:
        TrainingFailedError: There is none for something that training does.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise TrainingFailedError(
            f"Training can't be made deterministic on this device ({str(error).splitlines()[0].split(',')[0]}): set "
            "`deterministic: false`, or train on the CPU."
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
