"""Curves and a store in memory, with the columns of `ncore.store` and nothing else of it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ncore.errors import StoreError
from ncore.predict import Curve


class MemoryRun:
    """One run: accuracy and beta_eff by epoch, epoch 0 first."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec

    def metrics(self) -> pd.DataFrame:
        if self.spec.get("damaged"):
            raise StoreError("The file metrics.parquet is cut short: record the run again.")
        rows = []
        for epoch, accuracy in enumerate(self.spec["accuracy"]):
            for split, name, value in (
                ("train", "accuracy", 0.99),
                ("validation", "accuracy", accuracy),
                ("validation", "loss", 2.0 - accuracy),
            ):
                rows.append((epoch, 10 * epoch, split, name, value, float(epoch)))
        table = pd.DataFrame(rows, columns=["epoch", "step", "split", "name", "value", "seconds"])
        return table.astype({"epoch": "int32", "step": "int64"})

    def capacitance(self) -> pd.DataFrame:
        rows = [
            (epoch, strength, layer, value if layer == 0 else 99.0)
            for strength, values in self.spec.get("beta", {}).items()
            for epoch, value in enumerate(values)
            for layer in (0, 1, 2)
        ]
        table = pd.DataFrame(rows, columns=["epoch", "strength", "layer", "beta_eff"])
        return table.astype({"epoch": "int32", "layer": "int32", "beta_eff": "float64"})


class MemoryStore:
    """A store of such runs."""

    def __init__(self, specs: Sequence[dict[str, Any]]) -> None:
        self.specs = {f"run-{number}": spec for number, spec in enumerate(specs)}

    def runs(self) -> pd.DataFrame:
        defaults = {
            "dataset": "digits",
            "seed": 0,
            "mode": "unit",
            "status": "finished",
            "planned_epochs": 10,
            "test_accuracy": np.nan,
            "reason": None,
        }
        names = ["run", "candidate", *defaults]
        rows = [{**defaults, **spec, "run": run} for run, spec in self.specs.items()]
        return pd.DataFrame([[row[name] for name in names] for row in rows], columns=names)

    def run(self, run_id: str) -> MemoryRun:
        return MemoryRun(self.specs[run_id])


@pytest.fixture(scope="session")
def make_store() -> Callable[..., MemoryStore]:
    """From dictionaries, one a run, to a store."""
    return lambda *specs: MemoryStore(specs)


@pytest.fixture(scope="session")
def make_curve() -> Callable[..., Curve]:
    """A curve over epochs 1, 2, ... with defaults for all that a test is not about."""

    def make(accuracy: Sequence[float], candidate: str = "a", seed: int = 0, horizon: int = 10, **rest: Any) -> Curve:
        epochs = np.arange(1, len(accuracy) + 1)
        beta = {name: np.asarray(values, float) for name, values in rest.pop("beta", {}).items()}
        return Curve(candidate, seed, epochs, np.asarray(accuracy, float), beta, horizon, **rest)

    return make
