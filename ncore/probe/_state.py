"""The state of a training: a copy to go back to, and whether that of a checkpoint is all that is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from ncore.errors import StoreError
from ncore.probe.settings import TrainingSettings

__all__ = ["State", "check_tensors", "metadata"]

_OPTIMIZER_STATE = {"adamw": ("step", "exp_avg", "exp_avg_sq"), "sgd": ("momentum_buffer",)}


@dataclass(frozen=True)
class State:
    """Copies of all that a step changes, in the memory of the host."""

    tensors: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    scaler: Mapping[str, Any]

    @classmethod
    def of(cls, trained: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> Self:
        """As it is now; ``trained`` is the part of a model's state that training changes."""
        return cls(_copied(trained), _copied(optimizer.state_dict()), dict(scaler.state_dict()))

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
        """Go back to it."""
        model.load_state_dict(self.tensors, strict=False)
        optimizer.load_state_dict(_copied(self.optimizer))  # which it would go on with, and change
        if self.scaler:
            scaler.load_state_dict(dict(self.scaler))


def check_tensors(
    tensors: Mapping[str, Tensor],
    epoch: int,
    trained: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
) -> None:
    """Every tensor that training goes on with must be there, with its shape, and no other one.

    Args:
        tensors: Of a checkpoint.
        epoch: That it follows.
        trained: The part of the model's state that training changes.
        optimizer: Of the training.
        settings: Of the training.

    Raises:
        StoreError: Names the first that is not.
    """
    wanted = {f"model.{name}": tuple(tensor.shape) for name, tensor in trained.items()}
    kinds = _OPTIMIZER_STATE[settings.optimizer]
    if epoch == 0 or (settings.optimizer == "sgd" and not settings.momentum):
        kinds = ()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    known = {key.split(".")[1] for key in tensors if key.startswith("optimizer.")}
    if kinds and not known:
        raise StoreError("it lacks the optimizer's state")
    for index, parameter in enumerate(parameters):
        if str(index) in known:  # one that never had a gradient has no state
            wanted |= {f"optimizer.{index}.{kind}": () if kind == "step" else tuple(parameter.shape) for kind in kinds}
    for name, shape in wanted.items():
        if name not in tensors:
            raise StoreError(f"it lacks {name}")
        if tuple(tensors[name].shape) != shape:
            raise StoreError(f"its {name} has the shape {tuple(tensors[name].shape)}, not {shape}")
    if others := sorted(set(tensors) - set(wanted)):
        raise StoreError(f"it has {others[0]}, which this training has not")


def metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file in memory: an 8-byte length, then a JSON header."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    if "ncore" not in header.get("__metadata__", {}):
        raise StoreError("The checkpoint was not written by ncore: remove it, and training begins anew.")
    return header["__metadata__"]


def _copied(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state
