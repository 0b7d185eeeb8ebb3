"""Writing and reading trajectories: this package, a raw NumPy dump, and TensorBoard histograms of the same run.

    python tests/benchmarks/bench_store.py [--synapses 12000] [--epochs 50]

All three write the same weights and rates, durably, in turn in one process, so the ratios say more than the times.
A stored value is one weight or one rate of one synapse at one epoch; MB are of float32 values, before compression.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ncore.store import create_store

LAYERS = 3


@dataclass
class Result:
    """Seconds and bytes of one way to store a run; None for what it cannot do."""

    name: str
    write: float
    size: int
    by_epoch: float | None
    by_synapse: float | None
    memo: str = ""


def trajectories(synapses: int, epochs: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights that are moved by rates that fade, as in a training that converges; a tenth of the rates is 0."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.05, synapses).astype(np.float32)
    alive = rng.random(synapses) > 0.1
    for epoch in range(epochs):
        rates = (alive * rng.normal(0, 1e-3 * 0.9**epoch, synapses)).astype(np.float32)
        weights = weights + 10 * rates
        yield weights, rates


def ours(place: Path, run: list[tuple[np.ndarray, np.ndarray]]) -> Result:
    """Parquet, by the package, compacted at the end."""
    synapse = np.arange(len(run[0][0]))
    layer = 1 + synapse * LAYERS // len(synapse)
    begun = time.perf_counter()
    store = create_store(place)
    with store.new_run(candidate="bench", dataset="none", seed=0, mode="unit") as writer:
        for epoch, (weights, rates) in enumerate(run):
            columns = {"layer": layer, "synapse": synapse, "source": synapse % 256, "target": synapse // 256}
            writer.write_epoch(epoch, trajectories={**columns, "weight": weights, "rate": rates})
    write = time.perf_counter() - begun
    found = store.run(writer.run_id)
    middle, one = len(run) // 2, len(synapse) // 2
    by_epoch = best(lambda: check(found.trajectory(epoch=middle).weight.to_numpy(), run[middle][0]))
    by_synapse = best(lambda: check(found.trajectory(synapses=one).rate.to_numpy(), [r[one] for _, r in run]))
    return Result("ncore", write, folder_size(place), by_epoch, by_synapse, "with synapse, source and target")


def numpy_dump(place: Path, run: list[tuple[np.ndarray, np.ndarray]]) -> Result:
    """Two .npy files an epoch."""
    begun = time.perf_counter()
    place.mkdir()
    for epoch, pair in enumerate(run):
        for name, values in zip(("weight", "rate"), pair, strict=True):
            with open(place / f"{name}{epoch:05d}.npy", "wb") as file:
                np.save(file, values)
                file.flush()
                os.fsync(file.fileno())
    write = time.perf_counter() - begun
    middle, one = len(run) // 2, len(run[0][0]) // 2

    def epoch_of() -> None:
        np.load(place / f"rate{middle:05d}.npy")
        check(np.load(place / f"weight{middle:05d}.npy"), run[middle][0])

    def synapse_of() -> None:
        weights, rates = (
            [np.load(place / f"{name}{epoch:05d}.npy", mmap_mode="r")[one] for epoch in range(len(run))]
            for name in ("weight", "rate")
        )
        check(rates, [r[one] for _, r in run])
        assert len(weights) == len(rates)

    return Result("numpy", write, folder_size(place), best(epoch_of), best(synapse_of), "values only")


def tensorboard(place: Path, run: list[tuple[np.ndarray, np.ndarray]]) -> Result | None:
    """Histograms, one a layer and epoch: 30 or so bins instead of values, so no synapse can be read back."""
    try:
        with contextlib.redirect_stderr(open(os.devnull, "w")):
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
            from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        print("TensorBoard is not installed: left out.")
        return None
    begun = time.perf_counter()
    with SummaryWriter(str(place)) as writer:
        for epoch, pair in enumerate(run):
            for name, values in zip(("weight", "rate"), pair, strict=True):
                for layer, part in enumerate(np.array_split(values, LAYERS), start=1):
                    writer.add_histogram(f"{name}/{layer}", part, epoch)
            writer.flush()
    write = time.perf_counter() - begun

    def epoch_of() -> None:
        events = EventAccumulator(str(place), size_guidance={"histograms": 0}).Reload()
        assert len(events.Histograms("weight/1")) == len(run)

    return Result("tensorboard", write, folder_size(place), best(epoch_of, 2), None, "histograms: no value survives")


def check(found: object, wanted: object) -> None:
    """What is read must be what was written."""
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


def best(work: Callable[[], None], times: int = 5) -> float:
    """The shortest of several times, in seconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def folder_size(place: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def row(result: Result, values: int, synapses: int, reference: Result) -> str:
    """A line of the table; in brackets how many times as much as the reference."""

    def cell(mine: float | None, base: float | None, amount: float) -> str:
        if mine is None or base is None:
            return f"{'-':>22}"
        return f"{4e-6 * amount / mine:8.1f} MB/s ({mine / base:5.2f}x)"

    size = f"{result.size / values:6.3f} B ({result.size / reference.size:5.2f}x)"
    cells = (
        cell(result.write, reference.write, values),
        cell(result.by_epoch, reference.by_epoch, 2 * synapses),
    )
    one = "-"
    if result.by_synapse is not None and reference.by_synapse is not None:
        one = f"{1e3 * result.by_synapse:8.2f} ms ({result.by_synapse / reference.by_synapse:5.2f}x)"
    return f"{result.name:<12} {size:>18} {cells[0]:>22} {cells[1]:>22} {one:>20}  {result.memo}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synapses", type=int, default=12_000, help="recorded at each epoch")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--folder", help="where to write; by default where temporary files go")
    given = parser.parse_args()
    run = list(trajectories(given.synapses, given.epochs))
    values = 2 * given.synapses * given.epochs
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        ours(Path(place) / "warm", run[:2])
        numpy = numpy_dump(Path(place) / "numpy", run)
        results = [numpy, ours(Path(place) / "ncore", run), tensorboard(Path(place) / "tensorboard", run)]
    print(f"{given.synapses:,} synapses, {given.epochs} epochs, {values:,} values; in brackets: time or size / NumPy's")
    print(f"{'':<12} {'size of a value':>18} {'write':>22} {'read an epoch':>22} {'read a synapse':>20}")
    for result in results:
        if result is not None:
            print(row(result, values, given.synapses, numpy))


if __name__ == "__main__":
    main()
