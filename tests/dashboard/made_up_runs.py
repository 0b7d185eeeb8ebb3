"""A run that was never trained: a learning curve and a beta_eff that go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ncore.store import RunWriter, Store

EPOCHS = 6
STRENGTHS = ("signed", "absolute", "relative")


def begin(store: Store, candidate: str, dataset: str = "digits", seed: int = 0, **options: Any) -> RunWriter:
    """Begin a run of six planned epochs."""
    given = {"mode": "all", "planned_epochs": EPOCHS, **options}
    return store.new_run(candidate=candidate, dataset=dataset, seed=seed, **given)


def write_epoch(writer: RunWriter, epoch: int, final: float = 0.9, seed: int = 0) -> None:
    """Record one epoch: accuracy rises to ``final`` as beta_eff falls from 1 to 0."""
    beta = float(np.exp(-epoch / 2))
    accuracy = final - (final - 0.1) * beta + 0.01 * seed
    rows = [
        ("train", "loss", 1 - accuracy),
        ("validation", "accuracy", accuracy),
        ("validation", "loss", 1.1 - accuracy),
    ]
    split, name, value = (list(column) for column in zip(*rows, strict=True))
    layers = np.array([1.0, 0.0, 0.7, 0.3, 0.0])
    writer.write_epoch(
        epoch,
        metrics={"step": [10 * epoch] * 3, "split": split, "name": name, "value": value, "seconds": [2.0 * epoch] * 3},
        capacitance=pd.DataFrame(
            {
                "strength": np.repeat(STRENGTHS, 5),
                "layer": np.tile(np.arange(5), 3),
                "beta_eff": beta * np.concatenate([(-1) ** epoch * layers, 3 * layers, layers]),
                "numerator": 1.0,
                "denominator": 1.0,
                "conditioning": np.concatenate([[0.01] * 5, [1.0] * 10]),
            }
        ),
        summary={"validation_accuracy": accuracy, "beta_eff": beta},
    )


def record(
    store: Store,
    candidate: str,
    *,
    final: float = 0.9,
    seed: int = 0,
    epochs: int = EPOCHS,
    fail: str = "",
    **options: Any,
) -> str:
    """Record a run; returns its id."""
    with begin(store, candidate, seed=seed, **options) as writer:
        for epoch in range(epochs + 1):
            write_epoch(writer, epoch, final, seed)
        if fail:
            writer.fail(fail)
        else:
            writer.finish({"test_accuracy": final})
    return writer.run_id
