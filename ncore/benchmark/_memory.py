"""Forecasts of slow predictors, kept in a file: they depend on one curve only, and take long to compute again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from ncore.predict.curves import Curve
from ncore.predict.forecast import Forecast, Predictor

__all__ = ["COMMITTED", "Memory", "MissingForecastError", "Remembered", "digest"]

COMMITTED = Path(__file__).parent / "results" / "slow_forecasts.parquet"
"""Those for the table that comes with the package."""


class MissingForecastError(LookupError):
    """A forecast is not in the memory, and may not be computed."""


class Memory:
    """Forecasts by a digest of what they depend on.

    Args:
        path: Parquet file; it need not exist.
        compute: Whether what is missing is computed, rather than an error.
    """

    def __init__(self, path: str | os.PathLike[str] = COMMITTED, compute: bool = False) -> None:
        self.path, self.compute = Path(path), compute
        self._known: dict[str, Forecast] = {}
        self._new = 0
        if self.path.exists():
            table = pd.read_parquet(self.path)
            columns = (table[name].tolist() for name in ("key", "mean", "sd", "warning"))
            for key, mean, sd, warning in zip(*columns, strict=True):
                self._known[key] = Forecast(mean, sd, warning)

    def forecast(self, predictor: Predictor, curve: Curve) -> Forecast:
        """The forecast of one curve.

        Raises:
            MissingForecastError: It is not known, and not to be computed.
        """
        key = digest(predictor.name, curve)
        if key not in self._known:
            if not self.compute:
                raise MissingForecastError(key)
            (self._known[key],) = predictor.predict([curve])
            self._new += 1
            if self._new % 50 == 0:  # what took minutes is not lost
                self.save()
        return self._known[key]

    def save(self) -> None:
        """Write what was computed, in an order of its own."""
        if not self._new:
            return
        rows = [(key, value.mean, value.sd, value.warning) for key, value in sorted(self._known.items())]
        aside = self.path.with_suffix(f".{os.getpid()}.tmp")
        aside.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows, columns=["key", "mean", "sd", "warning"]).to_parquet(aside, index=False, compression="zstd")
        os.replace(aside, self.path)


class Remembered(Predictor):
    """A predictor that looks at one curve at a time, with a memory.

    Args:
        predictor: Whose forecasts these are.
        memory: Where they are kept.
    """

    def __init__(self, predictor: Predictor, memory: Memory) -> None:
        self._predictor, self._memory = predictor, memory
        self.take_facts(predictor)

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast each run by itself; see ``Predictor.predict``."""
        return [self._memory.forecast(self._predictor, curve) for curve in curves]


def digest(name: str, curve: Curve) -> str:
    """What a forecast of a single curve of accuracies depends on, as 20 hexadecimal digits."""
    content = sha256(f"{name} {curve.horizon} {curve.epochs.tolist()} ".encode())
    content.update(np.round(curve.accuracy, 6).astype("<f4").tobytes())
    return content.hexdigest()[:20]
