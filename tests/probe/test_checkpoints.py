"""A checkpoint that is not of this training is not gone on with, and nothing is called finished for it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

import ncore
from ncore.store.layout import checkpoint_file
from ncore.sweep import Recipe, sweep
from ncore.sweep.running import execute

EPOCHS = 4


def run(tmp_path, until=None, **training):
    recipe = Recipe.parse(
        {
            "candidates": ["dense-small"],
            "datasets": [{"source": "digits", "train": 100, "validation": 50, "test": 50}],
            "training": {"mode": "unit", "epochs": EPOCHS, **training},
            "store": "runs",
        },
        base=str(tmp_path),
    )
    jobs = [job.model_copy(update={"until": until}) for job in recipe.jobs]
    sweep(jobs, recipe.store_place, engine=lambda jobs, store: ((job, execute(job, store)) for job in jobs))
    store = ncore.open_store(tmp_path / "runs")
    return store.run(store.runs()["run"][0])


def drop(tensors, meta, kind):
    del tensors[next(name for name in tensors if name.startswith(kind))]


def reshape(tensors, meta, kind):
    name = next(name for name in tensors if name.startswith(kind) and tensors[name].ndim > 1)
    tensors[name] = tensors[name].flatten()


CHANGES = {
    "nothing of it": lambda tensors, meta: (tensors.clear(), tensors.update(a=torch.zeros(2))),
    "an epoch to come": lambda tensors, meta: meta.update(epoch=10**9),
    "the epoch after": lambda tensors, meta: meta.update(epoch=3),
    "an epoch below 0": lambda tensors, meta: meta.update(epoch=-1),
    "no epoch": lambda tensors, meta: meta.pop("epoch"),
    "an epoch in words": lambda tensors, meta: meta.update(epoch="two"),
    "no weights": lambda tensors, meta: drop(tensors, meta, "model."),
    "no state of the optimizer": lambda tensors, meta: drop(tensors, meta, "optimizer."),
    "none of the optimizer": lambda tensors, meta: [tensors.pop(n) for n in list(tensors) if n.startswith("opt")],
    "weights of another shape": lambda tensors, meta: reshape(tensors, meta, "model."),
    "a state of another shape": lambda tensors, meta: reshape(tensors, meta, "optimizer."),
    "one more": lambda tensors, meta: tensors.update({"model.more": torch.zeros(1)}),
    "a scaler in words": lambda tensors, meta: meta.update(scaler="x"),
}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("change", CHANGES)
def test_training_starts_over_and_says_so(tmp_path, change, optimizer):
    whole = run(tmp_path / "whole", optimizer=optimizer)
    run(tmp_path / "half", until=2, optimizer=optimizer)
    (path,) = (tmp_path / "half" / "runs").glob("*/checkpoint*")
    with safe_open(path, "pt") as file:
        tensors, meta = {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["ncore"])  # noqa: SIM118
    CHANGES[change](tensors, meta)
    path.unlink()
    data = save(tensors, {"ncore": json.dumps(meta)})
    (path.parent / checkpoint_file(9, data)).write_bytes(data)
    found = run(tmp_path / "half", optimizer=optimizer)
    assert found.manifest.status == "finished"
    assert found.manifest.epochs == list(range(EPOCHS + 1))
    assert any("training started over" in warning for warning in found.manifest.warnings)
    for table in ("metrics", "capacitance"):
        mine, theirs = (getattr(one, table)() for one in (found, whole))
        columns = ["value"] if table == "metrics" else ["beta_eff"]
        keep = ~mine["name"].str.contains("second") if table == "metrics" else slice(None)
        assert mine[columns][keep].equals(theirs[columns][keep])


@pytest.mark.parametrize("training", [{}, {"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.0}, {"mode": "all"}])
def test_its_own_is_gone_on_with(tmp_path, training):
    run(tmp_path, until=2, **training)
    found = run(tmp_path, **training)
    assert found.manifest.epochs == list(range(EPOCHS + 1))
    assert not found.manifest.warnings
