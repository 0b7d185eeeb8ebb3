"""Pictures that memory is too small for: what an epoch costs, against a plain torch loop with a tuned DataLoader.

    python tests/benchmarks/bench_size.py [--count 200000] [--side 64] [--memory 2.0] [--epochs 2]

JPEG pictures are written to Parquet files first. The child that trains on them is put under a control group with that
much memory, in GB, where the system lets this process make one, and says if it is not. The plain loop decodes the same
pictures in every epoch, by as many workers as there are cores, and trains the same network with the same batches; the
sides take turns, epoch by epoch, on the first accelerator if there is one. The second candidate is another network for
pictures of the same size.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ncore.probe.candidates import load_candidate
from ncore.probe.datasets import load_dataset
from ncore.probe.settings import TrainingSettings
from ncore.probe.training import Examples, ProbedModel, Trainer, choose_device
from ncore.probe.unit import NCPUnit

CLASSES, SHARD, BATCH = 10, 10_000, 128
GROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
LIMITS = ("memory.limit_in_bytes", "memory.max")


def write(folder: Path, count: int, side: int) -> None:
    """Write pictures of smooth patterns, of which each class has its own, and noise."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    patterns = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)).resize((side, side)), np.int16)
        for _ in range(CLASSES)
    ]
    for start in range(0, count, SHARD):
        labels = rng.integers(0, CLASSES, min(SHARD, count - start))
        encoded = []
        for label in labels.tolist():
            noise = rng.integers(-60, 61, (side, side, 1), np.int16)
            file = io.BytesIO()
            Image.fromarray((patterns[label] + noise).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
            encoded.append({"bytes": file.getvalue(), "path": None})
        table = pa.table({"image": encoded, "label": labels})
        pq.write_table(table, folder / f"train-{start // SHARD:05}.parquet", row_group_size=1000)


@contextmanager
def bounded(gigabytes: float) -> Iterator[str]:
    """A control group with so much memory; the path of its list of processes, empty where none can be made."""
    for root, limit in zip(GROUPS, LIMITS, strict=True):
        group = root / f"ncore-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(int(gigabytes * 1e9)))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        try:
            yield str(group / "cgroup.procs")
        finally:
            time.sleep(1)
            group.rmdir()
        return
    yield ""


class Decoded(Dataset[Any]):
    """Pictures of a split, decoded when they are asked for."""

    def __init__(self, split: Any, spec: Any) -> None:
        self.split, self.spec = split, spec

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, int]:
        pixels = self.spec.pixels(self.split.items[int(self.split.indices[at])])
        return torch.from_numpy(np.ascontiguousarray(pixels)), int(self.split.labels[at])


def child(folder: Path, epochs: int) -> None:
    """Train, and print what it took."""
    device = choose_device("auto")
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0))))
    place, began = folder / "rows", time.perf_counter()
    source = {"source": f"parquet:{folder}/train-*.parquet", "validation": 1000, "test": 1000}
    data = load_dataset(source, place=place)
    looked = time.perf_counter()
    network = {"source": "lenet", "input_size": data.shape.size}
    backbone = load_candidate(network, shape=data.shape, device=device)
    train = data.splits["train"]
    inputs = train.tensor(backbone.input)
    decoded = time.perf_counter()
    print(f"{len(train)} pictures: looked at in {looked - began:.0f} s, decoded to disk in {decoded - looked:.0f} s")
    examples = Examples(inputs, torch.from_numpy(train.labels), backbone.input.prepare)
    settings = TrainingSettings(mode="all", batch_size=BATCH, epochs=epochs)
    unit = NCPUnit(backbone.feature_dim, CLASSES).to(device)
    trainer = Trainer(ProbedModel(backbone.module, unit, "all"), examples, settings, 0)
    other = load_candidate(network, shape=data.shape, device=device)
    plain = nn.Sequential(other.module, NCPUnit(other.feature_dim, CLASSES).to(device))
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-3, fused=True)
    loader = DataLoader(
        Decoded(train, backbone.input), BATCH, shuffle=True, num_workers=len(os.sched_getaffinity(0)),
        persistent_workers=True, prefetch_factor=8, pin_memory=device.type == "cuda",
    )  # fmt: skip
    ours, theirs = [], []
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        found = trainer.epoch(epoch)
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        plain.train()
        for pictures, labels in loader:
            optimizer.zero_grad(set_to_none=True)
            moved = pictures.to(device, non_blocking=True)
            outputs = plain(backbone.input.prepare(moved))
            nn.functional.cross_entropy(outputs, labels.to(device, non_blocking=True)).backward()
            optimizer.step()
        theirs.append(time.perf_counter() - started)
        print(f"epoch {epoch}: {ours[-1]:.1f} s, plain loop {theirs[-1]:.1f} s; accuracy {found['accuracy']:.3f}")
    print(f"ratio of medians {statistics.median(ours) / statistics.median(theirs):.3f} (target: 1.05 at most)")
    started = time.perf_counter()
    again = load_dataset(source, place=place)
    again.splits["train"].tensor(load_candidate({**network, "source": "dense-small"}, shape=again.shape).input)
    print(f"second candidate: its pictures are there after {time.perf_counter() - started:.1f} s")
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"largest process: {most / 1e6:.2f} GB resident, mapped files included")


def main() -> int:
    """Write the pictures, and run the child under its bound."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=200_000)
    arguments.add_argument("--side", type=int, default=64)
    arguments.add_argument("--memory", type=float, default=2.0)
    arguments.add_argument("--epochs", type=int, default=2)
    arguments.add_argument("--child", type=Path)
    given = arguments.parse_args()
    if given.child:
        child(given.child, given.epochs)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="ncore-size-"))
    try:
        write(folder, given.count, given.side)
        size = sum(file.stat().st_size for file in folder.glob("*.parquet"))
        print(f"{given.count} JPEG pictures of {given.side} pixels: {size / 1e9:.2f} GB", flush=True)
        with bounded(given.memory) as group:
            print(
                f"under a control group of {given.memory:g} GB" if group else "no control group can be made here",
                flush=True,
            )
            command = [sys.executable, __file__, "--child", str(folder), "--epochs", str(given.epochs)]
            join = (lambda: Path(group).write_text(str(os.getpid()))) if group else None
            environment = os.environ | {"NCORE_CACHE": str(folder / "cache")}
            return subprocess.run(command, preexec_fn=join, env=environment, check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
