"""A model as a program that needs no code of its own: ``torch.export`` and ONNX, both checked against the original."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ncore.errors import InputError, MissingExtraError

__all__ = ["BATCHES", "TOLERANCE", "check", "require_onnx", "runs_onnx", "write_onnx", "write_program"]

TOLERANCE = 1e-4
"""How much of an exported model may differ: absolutely, and relative to the largest of what is given."""
BATCHES = (1, 7)
"""How many examples at a time it is checked with."""

_INPUTS = "inputs"


def write_program(network: nn.Module, inputs: tuple[Tensor, ...], path: Path, varying: Sequence[int] = ()) -> None:
    """Export a model with any number of examples at a time, as ``torch.export`` saves it.

    Args:
        network: On the CPU, in evaluation mode.
        inputs: A batch of two or more.
        path: To write.
        varying: Axes of the inputs that may be of any length, besides the first.

    Raises:
        Exception: Whatever PyTorch says of a model that it can't follow.
    """
    with _quiet():
        program = torch.export.export(network, inputs, dynamic_shapes=_dynamic(inputs, varying))
        torch.export.save(program, path)


def require_onnx() -> None:
    """Refuse where the packages that write and run ONNX are not installed.

    Raises:
        MissingExtraError: Names the first that is missing.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            raise MissingExtraError(package, "onnx", "An ONNX file") from error


def write_onnx(network: nn.Module, inputs: tuple[Tensor, ...], path: Path, varying: Sequence[int] = ()) -> None:
    """Export a model with any number of examples at a time as ONNX, weights included.

    Raises:
        Exception: Whatever PyTorch says of a model that it can't translate.
    """
    names = [f"input_{place}" for place in range(len(inputs))] if len(inputs) > 1 else ["input"]
    with _quiet():
        torch.onnx.export(
            network,
            inputs,
            path,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes=_dynamic(inputs, varying),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def runs_onnx(path: Path) -> Callable[..., Tensor]:
    """An ONNX file as a function of tensors."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        given = {name: part.numpy() for name, part in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return run


def check(
    original: Callable[..., Tensor],
    other: Callable[..., Tensor],
    inputs: tuple[Tensor, ...],
    what: str,
    varying: Sequence[int] = (),
) -> float:
    """The largest difference between two models on batches of several sizes.

    Args:
        original: From inputs to logits.
        other: That should give the same.
        inputs: Of some examples, which are repeated where a batch needs more.
        what: The other one is called in the message.
        varying: Axes of the inputs that may be of any length, besides the first.

    Raises:
        InputError: They differ by more than is taken for rounding.
    """
    worst = 0.0
    shares = (1, 2) if varying else (1,)  # of the length
    for size, share in itertools.product(BATCHES, shares):
        rows = torch.arange(size) % len(inputs[0])
        batch = tuple(part[rows] for part in inputs)
        for axis in varying:
            batch = tuple(part.narrow(axis, 0, max(1, part.shape[axis] // share)) for part in batch)
        with torch.no_grad():
            expected, found = original(*batch), other(*batch)
        if found.shape != expected.shape:
            raise InputError(f"{what} gives {tuple(found.shape)} where {tuple(expected.shape)} were expected.")
        difference = float((found - expected).abs().max())
        allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
        if not difference <= allowed:
            raise InputError(f"{what} differs by {difference:.2g} with {size} at a time, where {allowed:.2g} may be.")
        worst = max(worst, difference)
    return worst


def _dynamic(inputs: tuple[Tensor, ...], varying: Sequence[int]) -> dict[str, Any]:
    """Any number of examples, in all inputs the same; how long other axes may be, PyTorch finds out."""
    batch, lengths = torch.export.Dim("batch"), dict.fromkeys(varying, torch.export.Dim.AUTO)
    return {_INPUTS: tuple({0: batch, **lengths} for _ in inputs)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters say on their way; what is wrong with the result is found by checking it."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch._export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
