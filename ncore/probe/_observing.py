"""A model as it is seen on the probe: called from outside its training, and left as it was."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ncore.errors import InputError, NcoreError, UnsupportedError
from ncore.network.derivatives import evaluation
from ncore.probe._memory import by_parts
from ncore.store.damage import in_line

__all__ = ["Inputs", "Observed", "bare", "read_probe", "undisturbed"]

Inputs: TypeAlias = "Tensor | dict[str, Any] | tuple[Any, ...]"
"""What a model is called with: ``model(x)``, ``model(**x)`` or ``model(*x)``."""

_CHUNK = 256  # probe samples that go through the whole model at once


def read_probe(probe: Any, most: int) -> tuple[Inputs, Tensor]:
    """The inputs and targets of a probe as tensors, the first ``most`` of them.

    Args:
        probe: (inputs, targets); inputs are a tensor, an array, or a mapping or tuple of such, one row a sample.
        most: Samples.

    Raises:
        InputError: It is something else, or has not as many targets as inputs.
    """
    if not isinstance(probe, Sequence) or isinstance(probe, str) or len(probe) != 2:
        raise InputError(
            f"The probe is a {type(probe).__name__}, but two things are needed: probe=(inputs, targets), such as a "
            "batch of 512 training images and their labels."
        )
    inputs, targets = _inputs(probe[0]), _tensor(probe[1], "targets")
    if targets.ndim == 0 or not len(targets):
        raise InputError("The probe has no targets, but one sample is needed at least.")
    if not (targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool):
        targets = targets.long()  # what losses take for classes
    for name, part in _tensors(inputs):
        if part.ndim == 0 or len(part) != len(targets):
            count = len(part) if part.ndim else 0
            raise InputError(f"There are {len(targets)} targets for {count} {name}, but one a sample is needed.")
        if part.is_floating_point() and part.isnan().any():
            raise InputError(
                f"The {name} are not numbers in {int(part.isnan().sum())} places: leave those samples out."
            )
    if not list(_tensors(inputs)):
        raise InputError("The inputs of the probe hold no tensor, but one row a sample is needed.")
    return _rows(inputs, slice(most)), targets[:most]


def bare(module: Any) -> Any:
    """A module without what ``torch.compile``, ``DataParallel``, DDP and PEFT (where it is trained) put around it."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        elif isinstance(copies := getattr(module, "modules_to_save", None), nn.ModuleDict):
            inner = next((copies[name] for name in module.active_adapters), None)
        if not isinstance(inner, nn.Module):
            return module
        module = inner


class Observed:
    """What a unit takes in on a probe, inside its model.

    Args:
        model: The whole model, None if the inputs are the unit's own.
        unit: The dense head inside it.
        inputs: Of the probe.

    Raises:
        InputError: Without a model, the inputs are not one tensor.
        UnsupportedError: The model is spread over several processes, or has no weights yet.
    """

    def __init__(self, model: nn.Module | None, unit: nn.Module, inputs: Inputs) -> None:
        self.model, self._unit, self.inputs = model, unit, inputs
        if model is None and not isinstance(inputs, Tensor):
            raise InputError(
                f"The inputs of the probe are a {type(inputs).__name__}, but without a model they have to be one "
                "tensor, what the unit takes in: pass the model."
            )
        for name, parameter in (unit if model is None else model).named_parameters():
            if nn.parameter.is_lazy(parameter) or parameter.is_meta:
                raise UnsupportedError(
                    f"Parameter {name!r} has no values yet: call the model on a batch, or load its weights, before "
                    "making the recorder."
                )
            if parameter.numel() == 0 or hasattr(parameter, "placements"):
                raise UnsupportedError(
                    f"Parameter {name!r} is spread over several processes, but the recorder needs the whole model in "
                    "one: train with data parallelism (DDP)."
                )

    def __len__(self) -> int:
        return len(next(part for _, part in _tensors(self.inputs)))

    def features(self) -> Tensor:
        """(N, features): the inputs themselves, or caught on their way through the model.

        Raises:
            InputError: The model cannot be called on the inputs.
            UnsupportedError: The model does not call its unit once a batch.
        """
        model = self.model
        if model is None:
            assert isinstance(self.inputs, Tensor)
            return self.inputs
        parameters = [*model.parameters()] or [*self._unit.parameters()]
        device = parameters[0].device
        dtype = next((p.dtype for p in parameters if p.is_floating_point()), None)
        caught: list[Tensor] = []

        def catch(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = args[0] if args else next(iter(kwargs.values()), None)
            caught.append(given.detach() if isinstance(given, Tensor) else torch.empty(0))

        def part(rows: slice) -> list[Tensor]:
            caught.clear()
            batch = _placed(_rows(self.inputs, rows), device, dtype)
            _call(model, batch)
            return list(caught)

        handle = self._unit.register_forward_pre_hook(catch, with_kwargs=True)
        try:
            with undisturbed(model), torch.no_grad():
                parts, _ = by_parts(part, len(self), _CHUNK)
        except NcoreError:
            raise
        except Exception as error:  # a model may raise anything
            raise InputError(
                f"{type(model).__name__} cannot be called on {_described(self.inputs)}, as {type(error).__name__} says "
                f"({in_line(error)}): give the probe inputs as it is called in training, a tensor, or a mapping or "
                "tuple of such."
            ) from error
        finally:
            handle.remove()
        if calls := [len(features) for features in parts if len(features) != 1]:
            raise UnsupportedError(
                f"The model called its unit {calls[0]} times on a batch of probe inputs, but once is needed: pass the "
                "unit that every forward pass goes through once."
            )
        return torch.cat([features[0] for features in parts])


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, after which all is as before: modes, buffers and random numbers.

    What is compiled runs as it is written, as compiling it anew for another mode takes longer than it saves.
    """
    buffers = [
        (module, name, buffer, buffer._version, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None and not buffer.is_inference()
    ]
    numbers, array_numbers = random.getstate(), np.random.get_state()
    devices = {tensor.device for tensor in model.parameters() if tensor.device.type in ("cuda", "xpu")}
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            for device in devices:
                stack.enter_context(torch.random.fork_rng(devices=[device.index], device_type=device.type))
            if "torch._dynamo" in sys.modules:
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(evaluation(model))
            yield
    finally:
        random.setstate(numbers)
        np.random.set_state(array_numbers)
        for module, name, buffer, version, content in buffers:
            if buffer._version != version:
                with torch.no_grad():
                    buffer.copy_(content)
            module._buffers[name] = buffer


def _inputs(given: Any) -> Inputs:
    if isinstance(given, Mapping):
        return {str(name): _argument(value, f"inputs {name!r}") for name, value in given.items()}
    if isinstance(given, tuple):
        return tuple(_argument(value, f"inputs {number}") for number, value in enumerate(given))
    return _tensor(given, "inputs")


def _argument(value: Any, name: str) -> Any:
    """One of several inputs; what is no row a sample, such as a switch, is passed as it is."""
    return value if value is None or isinstance(value, bool | int | float | str) else _tensor(value, name)


def _tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    try:
        return torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The {name} of the probe are a {type(value).__name__}, but a tensor or an array of numbers is needed."
        ) from error


def _tensors(inputs: Inputs) -> Iterator[tuple[str, Tensor]]:
    if isinstance(inputs, Tensor):
        yield "probe inputs", inputs
        return
    for name, value in inputs.items() if isinstance(inputs, dict) else enumerate(inputs):
        if isinstance(value, Tensor):
            yield f"probe inputs {name!r}", value


def _each(inputs: Inputs, change: Any) -> Any:
    def one(value: Any) -> Any:
        return change(value) if isinstance(value, Tensor) else value

    if isinstance(inputs, dict):
        return {name: one(value) for name, value in inputs.items()}
    return tuple(map(one, inputs)) if isinstance(inputs, tuple) else change(inputs)


def _call(model: nn.Module, batch: Any) -> None:
    if isinstance(batch, Mapping):
        model(**batch)
    elif isinstance(batch, tuple):
        model(*batch)
    else:
        model(batch)


def _described(inputs: Inputs) -> str:
    """As a sentence names them: "probe inputs of shape (64, 5) and type float32"."""
    return " and ".join(
        f"{name} of shape {tuple(part.shape)} and type {str(part.dtype).removeprefix('torch.')}"
        for name, part in _tensors(inputs)
    )


def _rows(inputs: Inputs, rows: slice) -> Any:
    return _each(inputs, lambda part: part[rows])


def _placed(inputs: Inputs, device: torch.device, dtype: torch.dtype | None) -> Any:
    """Where the model is, and what is no whole number in the precision that the model is in."""
    return _each(inputs, lambda part: part.to(device, dtype if part.is_floating_point() else None))
