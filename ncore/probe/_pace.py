"""Whether the first epochs of a training show that its learning rate is too high, or too low, for the candidate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

    from ncore.probe._course import Moment
    from ncore.probe.settings import TrainingSettings

__all__ = ["EPOCHS", "STEPS", "Pace", "guessing"]

EPOCHS, STEPS = 3, 30
"""After warming up, until it is said: at least so many of either."""

# Shares of the loss of guessing. Of the built-in networks on digits, with both optimizers, in three modes, at rates
# from 1e-6 to 1: all of which at least half of the best rate's accuracy came were left in peace.
_ROSE, _LEARNED, _ABOVE, _MOVED, _VANISHED = 2.0, 0.6, 1.01, 0.005, 0.2


class Pace:
    """Watches the training loss of a run until it can be judged.

    The loss is compared with what guessing by how often each class is trained on gives. A rate is too high if the loss
    rose far above that, or stays above it, or if nothing moves any more because the gradient has vanished. It is too
    low if the loss hardly moves.

    Args:
        settings: Of the training.
        labels: Of the training examples.
        steps: Of an epoch.
    """

    def __init__(self, settings: TrainingSettings, labels: Tensor, steps: int = STEPS) -> None:
        self._settings = settings
        self._guess = guessing(labels, balanced=bool(settings.class_weights) or settings.sampling == "balanced")
        self._first = math.ceil(settings.warmup_epochs) + 1
        self._last = self._first - 1 + max(EPOCHS, math.ceil(STEPS / max(steps, 1)))
        self._losses: dict[int, float] = {}
        self._norms: dict[int, float] = {}
        self._worst = 0.0

    def add(self, epoch: int, train: Mapping[str, float], moments: Sequence[Moment] = ()) -> str:
        """An epoch has ended with these metrics of training; returns what is to be said, mostly nothing."""
        self._losses[epoch] = train["loss"]
        self._norms[epoch] = train.get("gradient_norm", math.nan)
        self._worst = max(self._worst, train["loss"], *(moment.metrics.get("loss", 0.0) for moment in moments), 0.0)
        return self._said(epoch) if epoch == self._last else ""

    def go_on(self, metrics: pd.DataFrame) -> None:
        """Take in the epochs that a run has recorded already, by its table ``metrics``."""
        rows = metrics[(metrics["split"] == "train") & (metrics["epoch"] > 0)]
        for name, found in (("loss", self._losses), ("gradient_norm", self._norms)):
            of = rows[rows["name"] == name]
            found |= dict(zip(of["epoch"].astype(int), of["value"].astype(float), strict=True))
        self._worst = max([self._worst, *rows.loc[rows["name"] == "loss", "value"]])

    def _said(self, epoch: int) -> str:
        first, last = (self._losses.get(one, math.nan) for one in (self._first, epoch))
        before, after = (self._norms.get(one, math.nan) for one in (self._first, epoch))
        told = f"{first:.4g} after epoch {self._first}, {last:.4g} after epoch {epoch}, where guessing gives"
        told += f" {self._guess:.4g}"
        if self._worst > _ROSE * self._guess and last > _LEARNED * self._guess:
            return self._high(f"rose to {self._worst:.4g} ({told})")
        if last > _ABOVE * self._guess and last >= first:
            return self._high(f"stays above that of guessing ({told})")
        if last > (1 - _LEARNED / 4) * self._guess and first - last < _MOVED * self._guess:
            if after < _VANISHED * before:
                return self._high(f"stands still as its gradient has vanished ({told})")
            return (
                f"The training loss hardly moves ({told}): the learning rate {self._rate} looks too low for this "
                "candidate, unless what it is given says nothing of the classes; try ten times as much."
            )
        return ""

    def _high(self, how: str) -> str:
        return (
            f"The training loss {how}: the learning rate {self._rate} looks too high for this candidate; try a tenth "
            "of it."
        )

    @property
    def _rate(self) -> str:
        rate, own = self._settings.learning_rate, self._settings.backbone_learning_rate
        return f"{rate:g}" + (f" (of the backbone {own:g})" if own is not None else "")


def guessing(labels: Tensor, balanced: bool) -> float:
    """Cross-entropy of predicting each class as often as it is trained on.

    Args:
        labels: Of the training examples.
        balanced: All classes count alike.

    Example:
        >>> round(guessing(torch.tensor([0, 1, 2, 3]), balanced=False), 4)
        1.3863
    """
    counts = torch.bincount(labels).double()
    shares = counts[counts > 0] / counts.sum()
    return math.log(len(shares)) if balanced else float(-(shares * shares.log()).sum())
