"""When training has come to a plateau: validation data say for a while that nothing gets better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Plateau"]


class Plateau:
    """Counts the epochs since accuracy or loss on validation data was the best so far.

    Either counts: the accuracy of a small set hardly moves while the loss still falls, and the loss of a sure model
    rises while it still gets more right.

    Args:
        patience: So many epochs without make a plateau; None for never.

    Example:
        >>> plateau = Plateau(2)
        >>> [plateau.add({"accuracy": value, "loss": 1 - value}) for value in (0.5, 0.7, 0.7, 0.6)]
        [False, False, False, True]
    """

    def __init__(self, patience: int | None) -> None:
        self._patience = patience
        self._accuracy, self._loss, self._since = -math.inf, math.inf, 0

    @property
    def reached(self) -> bool:
        """Whether it is one."""
        return self._patience is not None and self._since >= self._patience

    def add(self, validation: Mapping[str, float]) -> bool:
        """An epoch has ended with these metrics; returns whether there is a plateau now."""
        accuracy, loss = validation.get("accuracy", math.nan), validation.get("loss", math.nan)
        better = accuracy > self._accuracy or loss < self._loss
        self._accuracy = max(self._accuracy, accuracy) if accuracy == accuracy else self._accuracy
        self._loss = min(self._loss, loss) if loss == loss else self._loss
        self._since = 0 if better else self._since + 1
        return self.reached

    def go_on(self, metrics: pd.DataFrame) -> None:
        """Count the epochs that a run has recorded already, by its table ``metrics``."""
        rows = metrics[(metrics["split"] == "validation") & (metrics["epoch"] > 0)]
        for _, epoch in rows.groupby("epoch"):
            self.add(dict(zip(epoch["name"], epoch["value"], strict=True)))

    def said(self, epoch: int, planned: int) -> str:
        """Why a run ended before its time."""
        return (
            f"Training ended at epoch {epoch} of {planned} that were planned: neither accuracy nor loss on validation "
            f"data was better than before for {self._since} epochs (`patience`)."
        )
