"""Runs with trajectories and line graphs, of a small unit that moves along its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

import ncore
from ncore.store import Store

WIDTHS = (6, 5, 4, 3, 3)


def record_synapses(
    store: Store,
    candidate: str = "small",
    *,
    epochs: int = 4,
    neurons: int | None = None,
    trajectories_every: int = 1,
    line_graph_every: int = 2,
    widths: Sequence[int] = WIDTHS,
    seed: int = 0,
    **options: Any,
) -> str:
    """Record a run of a unit that is trained on random samples; returns its id."""
    torch.manual_seed(seed)
    first, *hidden, classes = widths
    unit = ncore.NCPUnit(first, classes=classes, widths=tuple(hidden))
    x, y = torch.randn(64, first), torch.randint(classes, (64,))
    loss = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(unit.parameters(), 0.5)
    recording = {
        "neurons": neurons,
        "trajectories_every": trajectories_every,
        "line_graph_every": line_graph_every,
        "probe_samples": 64,
    }
    with ncore.Recorder(
        store,
        None,
        unit=unit,
        probe=(x, y),
        loss=loss,
        candidate=candidate,
        dataset="noise",
        seed=seed,
        epochs=epochs,
        recording=recording,
        **options,
    ) as recorder:
        for _ in range(epochs):
            optimizer.zero_grad()
            loss(unit(x), y).backward()
            optimizer.step()
            recorder.record(validation={"accuracy": 0.5})
    return recorder.run_id
