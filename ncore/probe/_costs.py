"""What it costs to use a candidate once it is trained: measured once, on one example, on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ncore.network.derivatives import evaluation
from ncore.probe._live import LiveBytes

__all__ = ["costs_of"]

_TIMES, _SECONDS = 7, 0.5  # measurements of the time at most, and what all of them may take
_OURS = ("aten", "prim", "prims")
# Products that torch's counter knows no formula of, so that it would count nothing.
_UNCOUNTED = ("attention", "transformer", "rnn", "lstm", "gru", "trilinear", "cdist", "quantized", "mkldnn", "einsum")


def costs_of(model: nn.Module, example: Tensor) -> dict[str, int | float | None]:
    """What a run records as ``costs``; None for what can't be found out, whatever the reason.

    The model, its buffers, its mode and the random state are left as they were.

    Args:
        model: From prepared pictures to classes.
        example: A batch of one, on the model's device.

    Returns:
        ``parameters``; ``bytes`` of these and of the buffers; ``multiply_adds`` of a forward pass, by torch's counter;
        ``seconds_per_example``, the median of a few; ``peak_bytes`` of all tensors at once in such a pass: on a CUDA
        device what was allocated, and elsewhere without what kernels need for themselves.

    Example:
        >>> costs = costs_of(nn.Linear(10, 5), torch.zeros(1, 10))
        >>> costs["parameters"], costs["bytes"], costs["multiply_adds"], costs["peak_bytes"]
        (55, 220, 50, 280)
    """
    devices = [example.device] if example.device.type == "cuda" else []

    def use() -> Any:
        return model(example)

    with _left_as_it_was(model), torch.random.fork_rng(devices=devices), torch.no_grad():
        return {
            "parameters": _or_none(lambda: sum(parameter.numel() for parameter in model.parameters())),
            "bytes": _or_none(lambda: _bytes(model)),
            "peak_bytes": _or_none(lambda: _peak(use, model, example)),
            "seconds_per_example": _or_none(lambda: _seconds(use, example.device)),
            "multiply_adds": _or_none(lambda: _multiply_adds(use, model)),
        }


def _or_none(measure: Callable[[], int | float | None]) -> int | float | None:
    try:
        return measure()
    except Exception:  # a model may do anything; a run that can be trained must not fail for this
        return None


@contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    """In evaluation mode, and with buffers that a pass has changed none the less put back."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with evaluation(model):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, value in before:
                    if not torch.equal(buffer, value):
                        buffer.copy_(value)


def _bytes(model: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in chain(model.parameters(), model.buffers()))


def _peak(use: Callable[[], Any], model: nn.Module, example: Tensor) -> int:
    if example.device.type != "cuda":
        with LiveBytes(chain(model.parameters(), model.buffers(), [example])) as live:
            use()
        return live.peak
    torch.cuda.synchronize(example.device)
    torch.cuda.reset_peak_memory_stats(example.device)
    before = torch.cuda.memory_allocated(example.device)
    use()
    torch.cuda.synchronize(example.device)
    own = _bytes(model) + example.numel() * example.element_size()
    return torch.cuda.max_memory_allocated(example.device) - before + own


def _seconds(use: Callable[[], Any], device: torch.device) -> float:
    def wait() -> None:
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) <= _TIMES and (len(taken) < 2 or time.perf_counter() - begun < _SECONDS):
        wait()
        started = time.perf_counter()
        use()
        wait()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])  # the first one warms up


def _multiply_adds(use: Callable[[], Any], model: nn.Module) -> int | None:
    """By torch's counter, where it has a formula for all products of the model."""
    names: set[str] = set()
    counter = FlopCounterMode(display=False, custom_mapping=_PRODUCTS)
    with _spelled_out(model), _Names(names), counter:
        use()
    if any(_is_uncounted(name) for name in names):
        return None
    return counter.get_total_flops() // 2


@contextmanager
def _spelled_out(model: nn.Module) -> Iterator[None]:
    """Attention and recurrent layers as the products that they consist of, not as single operations."""
    fast, kernels = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    enabled = kernels.set_flags(_enabled=False if recurrent else None, _fp32_precision=None)[0]
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        kernels.set_flags(_enabled=enabled, _fp32_precision=None)


class _Names(TorchDispatchMode):
    """Notes the operations that are executed, as ``aten.mm``."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self._names = names

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._names.add(f"{func.namespace}.{func._schema.name.partition('::')[2]}")
        return func(*args, **(kwargs or {}))


def _is_uncounted(name: str) -> bool:
    space, _, rest = name.partition(".")
    return space not in _OURS or any(part in rest for part in _UNCOUNTED)


def _matrix_vector(matrix: Any, vector: Any, *_: Any, **__: Any) -> int:
    return 2 * matrix[0] * matrix[1]


def _added_matrix_vector(_: Any, matrix: Any, vector: Any, *__: Any, **___: Any) -> int:
    return 2 * matrix[0] * matrix[1]


def _dot(one: Any, other: Any, *_: Any, **__: Any) -> int:
    return 2 * one[0]


# What torch's counter leaves out, by the shapes of the arguments.
_PRODUCTS = {
    torch.ops.aten.mv: _matrix_vector,
    torch.ops.aten.addmv: _added_matrix_vector,
    torch.ops.aten.dot: _dot,
}
