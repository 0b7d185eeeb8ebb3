"""The zero-cost scores of a cell, with what each costs, kept so that they are computed once."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from pathlib import Path

from ncore.probe.job import Job, expand

__all__ = ["IMAGES", "read_scores", "score_file", "write_scores"]

IMAGES = 64
"""The batch that the scores see, as large as where they were published."""


def score_file(job: Job, folder: Path) -> Path:
    """Where the scores of a cell are, for all of its runs."""
    return folder / f"{job.candidate.name}.json"


def read_scores(job: Job, folder: Path) -> dict[str, dict[str, float]]:
    """``scores`` and ``seconds`` by name, NaN for a score that this cell can't have; empty if not computed."""
    try:
        found = json.loads(score_file(job, folder).read_text())
    except FileNotFoundError:
        return {"scores": {}, "seconds": {}}
    return {key: {k: math.nan if v is None else v for k, v in found[key].items()} for key in ("scores", "seconds")}


def write_scores(job: Job, folder: Path) -> None:
    """Compute the scores of a job's network before training, unless that is done.

    They see the network that is trained, its NCP unit included, and the first training images. Seconds are of the
    processor, for the pass and the score: building the network and decoding the images is part of training too.

    Raises:
        NcoreError: The candidate or the data cannot be had.
    """
    path = score_file(job, folder)
    if path.is_file():
        return
    import torch

    from ncore.probe.candidates import load_candidate
    from ncore.probe.datasets import load_dataset
    from ncore.probe.unit import NCPUnit
    from ncore.scores.zero_cost import ZERO_COST_SCORES, grad_norm

    torch.set_num_threads(job.settings.threads or 1)
    with contextlib.chdir(job.base):
        data = load_dataset(expand(job.dataset))
        backbone = load_candidate(expand(job.candidate), seed=job.seed, shape=data.shape)
        head = job.settings.unit
        unit = NCPUnit(backbone.feature_dim, len(data.class_names), head.widths, head.activation, seed=head.seed)
        train = data.splits["train"]
        inputs = backbone.input.prepare(train.tensor(backbone.input)[:IMAGES])
    model, targets = torch.nn.Sequential(backbone.module, unit), torch.from_numpy(train.labels[:IMAGES])
    loss = torch.nn.functional.cross_entropy
    grad_norm(model, inputs, targets, loss)  # the first pass of a process pays for what later ones find ready
    found: dict[str, dict[str, float | None]] = {"scores": {}, "seconds": {}}
    for name, score in ZERO_COST_SCORES.items():
        started = time.process_time()
        value = score.function(model, inputs, targets, loss)
        found["seconds"][name] = time.process_time() - started
        found["scores"][name] = value if math.isfinite(value) else None
    folder.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    aside.write_text(json.dumps(found))
    os.replace(aside, path)
