"""The first stage: built-in networks pretrained on one dataset, to be candidates on the others."""

from __future__ import annotations

import contextlib
from pathlib import Path

from filelock import FileLock

from ncore.benchmark.making.recipe import Pretraining
from ncore.probe.job import expand

__all__ = ["SEED", "pretrain"]

SEED = 0
"""Of weights and training: a pretrained network is one network, whatever the seed of the runs that use it."""


def pretrain(entry: Pretraining, folder: Path, base: str) -> None:
    """Train a built-in network and save its backbone, unless that is done; if another process does it, wait.

    Args:
        entry: What to train, on what.
        folder: Of the weights; the file appears whole or not at all, so that one that was killed is made again.
        base: The folder that paths in the recipe are read from.

    Raises:
        NcoreError: The data cannot be had, or training diverges.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / entry.file
    if path.is_file():
        return
    with FileLock(f"{path}.lock"):
        if not path.is_file():
            _train(entry, path, base)


def _train(entry: Pretraining, path: Path, base: str) -> None:
    import torch

    from ncore.probe.candidates import load_candidate, save_backbone
    from ncore.probe.datasets import load_dataset
    from ncore.probe.training import Examples, ProbedModel, Trainer
    from ncore.probe.unit import NCPUnit

    torch.set_num_threads(1)
    with contextlib.chdir(base):
        data = load_dataset(expand(entry.data))
    backbone = load_candidate(entry.fresh, seed=SEED, shape=data.shape)
    train = data.splits["train"]
    examples = Examples(train.tensor(backbone.input), torch.from_numpy(train.labels), backbone.input.prepare)
    unit = NCPUnit(backbone.feature_dim, len(data.class_names), widths=entry.training.unit.widths)
    trainer = Trainer(ProbedModel(backbone.module, unit, "all"), examples, entry.training, SEED)
    for epoch in range(1, entry.training.epochs + 1):
        trainer.epoch(epoch)
    save_backbone(backbone, path)
