"""Wall time of runs: what an epoch takes, and what is saved by training one candidate on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from ncore.predict.curves import FloatArray

__all__ = ["Clock", "clock_of", "pace", "saved"]


@dataclass(frozen=True)
class Clock:
    """Wall time of a run: seconds since its start, shape (k,), at the end of these epochs, and the epoch it ends at."""

    epochs: FloatArray
    seconds: FloatArray
    horizon: int

    def at(self, epoch: float) -> float:
        """Seconds at the end of an epoch; past the last one at the mean pace so far."""
        if not self.epochs.size or self.epochs[-1] < 1:
            return math.nan
        if epoch > self.epochs[-1]:
            return float(self.seconds[-1] * epoch / self.epochs[-1])
        return float(np.interp(epoch, self.epochs, self.seconds, left=0.0))

    @classmethod
    def of(cls, metrics: pd.DataFrame, horizon: int) -> Clock:
        """From the table ``metrics`` of a run."""
        rows = metrics[(metrics["split"] == "validation") & metrics["seconds"].notna()]
        last = rows.groupby("epoch")["seconds"].max()
        return cls(last.index.to_numpy(np.float64), last.to_numpy(np.float64), horizon)


def clock_of(metrics: pd.DataFrame, row: Mapping[str, Any]) -> Clock:
    """Wall time of a run, from its table ``metrics`` and its row in a listing; it ends as planned, or where it did."""
    last = 0 if metrics.empty else int(metrics["epoch"].max())
    over = last == 0 or row["status"] in ("failed", "finished") or pd.isna(row["planned_epochs"])
    return Clock.of(metrics, last if over else int(row["planned_epochs"]))


def saved(clocks: Mapping[str, Sequence[Clock]], epoch: int, choice: str) -> float:
    """Per cent of all time that is saved by training only ``choice`` on after ``epoch``."""
    total = spent = 0.0
    for candidate, group in clocks.items():
        for clock in group:
            total += clock.at(clock.horizon)
            spent += clock.at(clock.horizon if candidate == choice else min(epoch, clock.horizon))
    return 100 * (1 - spent / total) if total > 0 else math.nan


def pace(clocks: Sequence[Clock]) -> float:
    """Seconds that an epoch takes, the median over runs; NaN if none has a time."""
    found = []
    for clock in clocks:
        if clock.epochs.size and clock.epochs[-1] > 0:
            begin = clock.seconds[0] if clock.epochs[0] == 0 else 0.0
            found.append((clock.seconds[-1] - begin) / clock.epochs[-1])
    return float(np.median(found)) if found else math.nan
