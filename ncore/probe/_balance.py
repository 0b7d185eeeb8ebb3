"""Classes of different sizes: weights of the loss, and draws of an epoch, that make them count alike."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["balanced_weights", "epoch_order"]


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """A weight a class, n / (c n_c) with the n_c of its examples, 0 for one without; their mean over examples is 1.

    Args:
        labels: Of the training examples.
        classes: How many there are.

    Example:
        >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 2).tolist()
        [0.6666666865348816, 2.0]
    """
    counts = torch.bincount(labels, minlength=classes)
    present = int((counts > 0).sum())
    return torch.where(counts > 0, len(labels) / (present * counts.clamp(min=1)), 0.0)


def epoch_order(labels: Tensor, sampling: str, generator: torch.Generator) -> Tensor:
    """Rows of the training examples in the order in which an epoch takes them.

    Args:
        labels: Of the training examples.
        sampling: "shuffled", each once, or "balanced", as many draws with replacement, each class as often as another
            on average.
        generator: What draws them.
    """
    if sampling == "shuffled":
        return torch.randperm(len(labels), generator=generator)
    weights = balanced_weights(labels, int(labels.max()) + 1)[labels].double()
    # Not torch.multinomial, which takes no more than 2^24 categories.
    bounds = weights.cumsum(0)
    drawn = torch.rand(len(labels), generator=generator, dtype=torch.float64) * bounds[-1]
    return torch.searchsorted(bounds, drawn, right=True).clamp(max=len(labels) - 1)
