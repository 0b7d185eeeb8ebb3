"""Made-up epochs of a run, the same whenever they are asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from ncore.store import Run, RunWriter, Store

WHO: dict[str, Any] = {"candidate": "builtin:dense", "dataset": "digits", "seed": 0, "mode": "unit"}


def metrics(epoch: int) -> dict[str, Any]:
    rng = np.random.default_rng([1, epoch])
    return {
        "step": [epoch * 10] * 5,
        "split": ["train", "train", "validation", "validation", "test"],
        "name": ["loss", "accuracy", "loss", "accuracy", "accuracy"],
        "value": rng.random(5),
        "seconds": [epoch * 0.5] * 5,
    }


def capacitance(epoch: int) -> pd.DataFrame:
    rng = np.random.default_rng([2, epoch])
    return pd.DataFrame(
        {
            "strength": np.repeat(["absolute", "relative"], 4),
            "layer": np.tile(np.arange(4), 2),
            "beta_eff": rng.random(8),
            "numerator": rng.random(8),
            "denominator": [np.nan, *rng.random(7)],
            "reason": ["no interaction", *[None] * 7],
        }
    )


def trajectories(epoch: int, rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng([3, epoch])
    synapse = np.arange(rows) * 7
    return pd.DataFrame(
        {
            "layer": 1 + np.arange(rows) * 3 // max(rows, 1),
            "synapse": synapse,
            "source": synapse % 13,
            "target": synapse // 13,
            "weight": rng.normal(size=rows).astype(np.float32),
            "rate": rng.normal(size=rows).astype(np.float32),
        }
    )


def factors(epoch: int, widths: tuple[int, ...] = (5, 4, 3, 2), samples: int = 6) -> list[Any]:
    """Factors that fit together, as of a head of these widths."""
    rng = np.random.default_rng([4, epoch])
    z, slopes, errors = ([rng.normal(size=(samples, w)).astype(np.float32) for w in widths] for _ in range(3))
    return [SimpleNamespace(inputs=z[i], slopes=slopes[i + 1], errors=errors[i + 2]) for i in range(len(widths) - 2)]


def write(writer: RunWriter, epoch: int, rows: int = 60) -> None:
    """Record an epoch: every third one with its line graph."""
    writer.write_epoch(
        epoch,
        metrics=metrics(epoch),
        capacitance=capacitance(epoch),
        trajectories=trajectories(epoch, rows),
        line_graph=factors(epoch) if epoch % 3 == 0 else None,
        line_graph_scale=2.5,
        summary={"parameters": 123},
    )


def record(store: Store, epochs: int, rows: int = 60, finish: bool = True, **options: Any) -> Run:
    """Record epochs 0 .. ``epochs`` - 1 of a run, going on with what is there."""
    writer = store.new_run(**{**WHO, "run_id": "run", "resume": True, **options})
    for epoch in range(writer.last_epoch + 1, epochs):
        write(writer, epoch, rows)
    if finish:
        writer.finish()
    else:
        writer.close()
    return store.run(writer.run_id)


def expected(table: str, epochs: int, rows: int = 60) -> pd.DataFrame:
    """What a reader has to return after ``epochs`` epochs."""
    made = {"metrics": metrics, "capacitance": capacitance}.get(table, lambda epoch: trajectories(epoch, rows))
    frames = [pd.DataFrame(made(epoch)).assign(epoch=epoch) for epoch in range(epochs)]
    return pd.concat(frames, ignore_index=True)


def check_tables(run: Run, epochs: int, rows: int = 60) -> None:
    """Compare all tables of a run with what was recorded."""
    assert run.epochs == list(range(epochs))
    found = {"metrics": run.metrics(), "capacitance": run.capacitance(), "trajectories": run.trajectory()}
    for name, frame in found.items():
        if epochs == 0:
            assert frame.empty
            continue
        wanted = expected(name, epochs, rows)
        pd.testing.assert_frame_equal(frame[wanted.columns], wanted, check_dtype=False)
    for epoch in range(0, epochs, 3):
        layers, scale = run.line_graph_factors(epoch)
        assert scale == 2.5
        for layer, known in zip(layers, factors(epoch), strict=True):
            for kind in ("inputs", "slopes", "errors"):
                np.testing.assert_array_equal(getattr(layer, kind), getattr(known, kind))
