"""What training says of itself in the course of an epoch: the loss, how many were right, and the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["MOST_WINDOWS", "WINDOWS", "Course", "Moment", "gradient_norm"]

WINDOWS = 4
"""Parts of an epoch, at the ends of which it is said how training goes."""
MOST_WINDOWS = 200
"""Of a whole run: of longer ones an epoch has fewer."""


@dataclass(frozen=True)
class Moment:
    """What was measured in the course of an epoch.

    Attributes:
        at: Epochs of training done by then, in fractions.
        step: Steps of the optimizer.
        seconds: By the caller's clock.
        metrics: Means over the steps of the epoch so far; so at its end they would be those of the epoch.
    """

    at: float
    step: int
    seconds: float
    metrics: dict[str, float]


class Course:
    """Adds up an epoch, step by step.

    Args:
        epoch: Its number, from 1.
        epochs: How many there will be.
        steps: Of an epoch.
        device: Where training is.
        clock: What seconds are read from.
        skips: Whether steps whose gradient is not finite are skipped, as with gradients scaled for float16.
    """

    def __init__(
        self,
        epoch: int,
        epochs: int,
        steps: int,
        device: torch.device,
        clock: Callable[[], float],
        skips: bool,
    ) -> None:
        self._epoch, self._steps, self._clock, self._skips = epoch, steps, clock, skips
        windows = min(WINDOWS, MOST_WINDOWS // epochs)
        self._ends = {round(steps * k / windows) for k in range(1, windows)} - {0, steps}
        self._loss = torch.zeros((), device=device)
        self._correct = torch.zeros((), device=device)
        self._norms: list[Tensor] = []
        self._seen = 0
        self.moments: list[Moment] = []

    def add(self, loss: Tensor, outputs: Tensor, labels: Tensor) -> None:
        """What a batch, or a part of one, gave."""
        self._seen += len(labels)
        self._loss += loss.detach().float() * len(labels)
        self._correct += (outputs.detach().argmax(1) == labels).sum()

    def end_step(self, norm: Tensor, step: int) -> None:
        """A step is done: the norm of its whole gradient, and how many steps there were since training began."""
        self._norms.append(norm)
        if len(self._norms) in self._ends:
            done = self._epoch - 1 + len(self._norms) / self._steps
            means = {name: value for name, value in self.means().items() if name != "accuracy"}
            self.moments.append(Moment(done, step, self._clock(), means))

    def means(self) -> dict[str, float]:
        """Over all steps so far: loss, accuracy while training, and the norm of the gradient."""
        norms = torch.stack(self._norms)
        if self._skips:
            norms = norms[norms.isfinite()]
        found = {"loss": float(self._loss) / self._seen, "accuracy": float(self._correct) / self._seen}
        return found | ({"gradient_norm": float(norms.mean())} if len(norms) else {})


def gradient_norm(parameters: Iterable[nn.Parameter], scale: Tensor) -> Tensor:
    """The 2-norm of the gradient of all parameters that have one, taken back from the scale of float16."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))) / scale
