"""The output error of one sample, for any torch loss that is a mean or a sum over samples."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ncore.errors import InputError, UnsupportedError

__all__ = ["Loss", "SampleErrors"]

Loss = Callable[[Tensor, Tensor], Tensor]

_MODULES_OF: dict[Any, type[nn.Module]] = {
    functional.cross_entropy: nn.CrossEntropyLoss,
    functional.nll_loss: nn.NLLLoss,
    functional.mse_loss: nn.MSELoss,
    functional.l1_loss: nn.L1Loss,
    functional.smooth_l1_loss: nn.SmoothL1Loss,
    functional.huber_loss: nn.HuberLoss,
    functional.binary_cross_entropy: nn.BCELoss,
    functional.binary_cross_entropy_with_logits: nn.BCEWithLogitsLoss,
}
_CLASS_WEIGHTED = (nn.CrossEntropyLoss, nn.NLLLoss)
_ELEMENTWISE = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCELoss, nn.BCEWithLogitsLoss)


class SampleErrors:
    """Derivatives of a batch loss, sample by sample.

    A loss over samples is ``C = sum_b c_b / weight`` with one ``weight`` for the whole probe: the number of
    samples, or what torch divides a mean by (the summed class weights, say). So errors of chunks can be
    added and divided once at the end, and the result does not depend on how the probe was cut.
    A sum over samples is read as N times their mean: the line graph averages over the probe.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = _as_module(loss)
        self.name = getattr(loss, "__name__", type(self.loss).__name__)
        self._scaling: str | None = None
        if isinstance(self.loss, nn.Module):
            # The reduction is changed below, and buffers may move to another device: never the caller's.
            self.loss = copy.deepcopy(self.loss) if any(True for _ in self.loss.buffers()) else copy.copy(self.loss)
        reduction = getattr(self.loss, "reduction", None)
        if reduction == "none":
            raise UnsupportedError(
                f"The loss {self.name} has reduction='none', but the line graph needs one number a batch: "
                "use reduction='mean' or 'sum'."
            )
        self._mean = reduction == "mean"
        self._known = type(self.loss) in _CLASS_WEIGHTED + _ELEMENTWISE and reduction in ("mean", "sum")
        if self._known:
            self.loss.reduction = "sum"

    @property
    def is_cross_entropy(self) -> bool:
        """Softmax cross-entropy on logits: its errors sum to zero over the classes."""
        return type(self.loss) is nn.CrossEntropyLoss

    @property
    def is_squared(self) -> bool:
        """Mean or summed squared error."""
        return type(self.loss) is nn.MSELoss

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, float]:
        """Return ``(N, K)`` derivatives of ``sum_b c_b`` by the outputs, and this chunk's share of ``weight``."""
        leaf = outputs.detach().requires_grad_()
        value, weight = self.summed(leaf, targets)
        if not value.requires_grad:
            raise UnsupportedError(f"The loss {self.name} does not depend on the outputs differentiably.")
        return torch.autograd.grad(value, leaf)[0], weight

    def summed(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, float]:
        """Return ``sum_b c_b``, differentiable as the loss is, and this chunk's share of ``weight``."""
        if isinstance(self.loss, nn.Module):
            self.loss.to(outputs.device)
        if targets.is_floating_point():
            targets = targets.to(outputs.dtype)
        self._check(outputs, targets)
        if self._known:
            return self._value(outputs, targets), self._weight(outputs, targets)
        if self._scaling is None:
            self._scaling = self._classify(outputs, targets)
        samples = len(outputs)
        value = self._value(outputs, targets)
        return value * samples if self._scaling == "mean" else value, float(samples)

    def _check(self, outputs: Tensor, targets: Tensor) -> None:
        if type(self.loss) in _ELEMENTWISE and targets.shape != outputs.shape:
            raise InputError(
                f"The targets have shape {tuple(targets.shape)}, but the loss {self.name} compares them with "
                f"outputs of shape {tuple(outputs.shape)}: make the shapes equal."
            )
        if len(targets) != len(outputs):
            raise InputError(f"There are {len(targets)} targets for {len(outputs)} inputs, but one a sample is needed.")

    def _value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        try:
            value = self.loss(outputs, targets)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise InputError(
                f"The loss {self.name} cannot be computed for outputs of shape {tuple(outputs.shape)} and targets "
                f"of shape {tuple(targets.shape)} and type {targets.dtype}: {str(error).splitlines()[0]}"
            ) from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise UnsupportedError(
                f"The loss {self.name} gives {getattr(value, 'shape', type(value).__name__)}, but one number a "
                "batch is needed: use a loss that is a mean or a sum over samples."
            )
        return value.reshape(())

    def _weight(self, outputs: Tensor, targets: Tensor) -> float:
        """What torch divides the summed loss of this chunk by, for a mean; the samples, for a sum."""
        if not self._mean:
            return float(len(outputs))
        if type(self.loss) in _ELEMENTWISE:
            return float(outputs.numel())
        if targets.is_floating_point():  # class probabilities: torch divides by the number of samples
            return float(len(outputs))
        kept = targets != self.loss.ignore_index
        weight = self.loss.weight
        return float(kept.sum()) if weight is None else float(weight[targets[kept]].double().sum())

    def _classify(self, outputs: Tensor, targets: Tensor) -> str:
        """Is an unknown loss a mean or a sum over samples? Ask it, on up to three samples."""
        pick = torch.arange(3, device=outputs.device) % len(outputs)
        # A little off the outputs, so that a perfect fit is not a loss of zero; probabilities stay in [0, 1].
        near, wanted = outputs.detach()[pick] * 0.9 + 0.05, targets[pick]
        with torch.no_grad():
            batch = float(self._value(near, wanted))
            single = [float(self._value(near[i : i + 1], wanted[i : i + 1])) for i in range(3)]
        total = sum(single)
        tolerance = 1e-4 * max(map(abs, single)) + 1e-12
        if abs(batch - total / 3) <= tolerance:
            return "mean"
        if abs(batch - total) <= 3 * tolerance:
            return "sum"
        raise UnsupportedError(
            f"The loss {self.name} is neither a mean nor a sum over samples: on three samples it gives {batch:.6g}, "
            f"while alone they give {single[0]:.6g}, {single[1]:.6g} and {single[2]:.6g}; use such a loss "
            "(class weights: torch.nn.CrossEntropyLoss(weight=...))."
        )


def _as_module(loss: Any) -> Any:
    """``functional.cross_entropy`` and the like (also as a ``functools.partial``) are their modules."""
    if isinstance(loss, functools.partial) and loss.func in _MODULES_OF and not loss.args:
        return _MODULES_OF[loss.func](**loss.keywords)
    if callable(loss):
        try:
            return _MODULES_OF[loss]() if loss in _MODULES_OF else loss
        except TypeError:  # not hashable
            return loss
    raise InputError(f"The loss is {loss!r}, but a callable of (outputs, targets) is needed, such as a torch loss.")
