"""Stores for ``bench_dashboard.py``: a run of a million synapses, fifty runs to overlay, and ten thousand runs.

Nothing is trained: weights are moved by rates that fade as in a training that converges, accuracies rise as beta_eff
falls. All of it goes through the package's own writer; of the ten thousand runs one does, and the others have
its tables and a manifest of their own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from ncore.store import RunWriter, Store, create_store
from ncore.store.layout import MANIFEST, default_run_id
from ncore.store.manifest import Manifest

WIDTHS = (1024, 768, 256, 64, 10)
STRENGTHS = ("signed", "absolute", "relative")
_SAMPLES = 512


@dataclass(frozen=True)
class Factors:
    """One block of P: arrays (samples, width)."""

    inputs: np.ndarray
    slopes: np.ndarray
    errors: np.ndarray


def large_run(store: Store, epochs: int, seed: int, widths: tuple[int, ...] = WIDTHS, every: int = 5) -> str:
    """A run with every synapse at each of ``epochs`` epochs, and the line graph at every fifth; returns its id."""
    synapses = _synapses(widths)
    neurons = [list(range(width)) for width in widths]
    recorded = {"neurons": neurons, "of": list(widths), "trajectories_every": 1, "line_graph_every": every}
    with store.new_run(
        candidate="large", dataset="bench", seed=seed, mode="unit", planned_epochs=epochs - 1, recorded=recorded
    ) as writer:
        for epoch, (weight, rate) in enumerate(_course(widths, epochs, seed)):
            factors = _factors(widths, epoch) if epoch % every == 0 or epoch == epochs - 1 else None
            write(writer, epoch, 0.9, trajectories={**synapses, "weight": weight, "rate": rate}, line_graph=factors)
    return writer.run_id


def small_runs(store: Store, count: int, epochs: int) -> list[str]:
    """Runs of as many candidates, with accuracies and beta_eff only; their ids."""
    return [_small_run(store, number, epochs) for number in range(count)]


def many_runs(place: Path, count: int, epochs: int) -> None:
    """A store of ``count`` runs of a hundred candidates: one is recorded, of the others the tables are the same."""
    store = create_store(place)
    first = place / _small_run(store, 0, epochs)
    manifest = Manifest.from_bytes((first / MANIFEST).read_bytes(), MANIFEST)
    for number in range(1, count):
        name, seed = f"candidate-{number % 100:02d}", number // 100
        run_id = default_run_id(name, "bench", seed, "unit", {})
        begun = manifest.created - timedelta(minutes=number)
        summary = {**manifest.summary, "validation_accuracy": 0.5 + 0.4 * (number * 0.618 % 1)}
        own = manifest.model_copy(
            update={"run": run_id, "candidate": name, "seed": seed, "created": begun, "updated": begun}
            | {"summary": summary}
        )
        (place / run_id).mkdir()
        (place / run_id / MANIFEST).write_bytes(own.to_bytes())
        for path in manifest.files:
            _same(first / path, place / run_id / path)


def write(writer: RunWriter, epoch: int, final: float, **tables: object) -> None:
    """An epoch with accuracies and beta_eff that go together, and whatever else is given."""
    beta = float(np.exp(-epoch / 12))
    accuracy = final - (final - 0.1) * beta
    layers = np.array([1.0, 0.0, 0.7, 0.3, 0.0])
    writer.write_epoch(
        epoch,
        metrics={
            "step": [epoch] * 2,
            "split": ["train", "validation"],
            "name": ["loss", "accuracy"],
            "value": [1 - accuracy, accuracy],
            "seconds": [float(epoch)] * 2,
        },
        capacitance={
            "strength": np.repeat(STRENGTHS, 5),
            "layer": np.tile(np.arange(5), 3),
            "beta_eff": beta * np.concatenate([(-1) ** epoch * layers, 3 * layers, layers]),
            "numerator": np.ones(15),
            "denominator": np.ones(15),
            "conditioning": np.concatenate([[0.01] * 5, [1.0] * 10]),
        },
        **tables,  # type: ignore[arg-type]
    )


def _small_run(store: Store, number: int, epochs: int) -> str:
    final = 0.6 + 0.35 * (number * 0.618 % 1)
    with store.new_run(
        candidate=f"candidate-{number:02d}", dataset="bench", seed=0, mode="unit", planned_epochs=epochs - 1
    ) as writer:
        for epoch in range(epochs):
            write(writer, epoch, final)
        writer.finish({"test_accuracy": final})
    return writer.run_id


def _same(path: Path, link: Path) -> None:
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, link)


def _synapses(widths: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Layer, number and ends of every synapse, numbered layer by layer, target-major."""
    parts = []
    for number, (sources, targets) in enumerate(pairwise(widths), start=1):
        row, column = np.indices((targets, sources)).reshape(2, -1)
        parts.append((np.full(sources * targets, number), column, row))
    layer, source, target = map(np.concatenate, zip(*parts, strict=True))
    return {"layer": layer, "synapse": np.arange(len(layer)), "source": source, "target": target}


def _course(widths: tuple[int, ...], epochs: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights and rates of every synapse, epoch by epoch, float32; a tenth is at rest."""
    rng = np.random.default_rng(seed)
    weight = np.concatenate([rng.normal(0, a**-0.5, a * b).astype(np.float32) for a, b in pairwise(widths)])
    pull = rng.normal(0, 1e-3, len(weight)).astype(np.float32) * (rng.random(len(weight)) > 0.1)
    for epoch in range(epochs):
        rate = (pull * 0.92**epoch * (1 + 0.3 * np.sin(epoch / 3 + 40 * weight))).astype(np.float32)
        yield weight, rate
        weight = weight + 10 * rate


def _factors(widths: tuple[int, ...], epoch: int) -> list[Factors]:
    """Factors of P whose errors fade."""
    rng = np.random.default_rng(epoch)
    found = []
    for before, shared, after in zip(widths, widths[1:], widths[2:], strict=False):
        inputs = np.maximum(rng.normal(0, 1, (_SAMPLES, before)), 0)
        slopes = (rng.random((_SAMPLES, shared)) > 0.5).astype(float)
        errors = rng.normal(0, 0.92**epoch, (_SAMPLES, after))
        found.append(Factors(*(matrix.astype(np.float32) for matrix in (inputs, slopes, errors))))
    return found
