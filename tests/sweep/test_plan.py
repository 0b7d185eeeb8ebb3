"""A plan is what the sweep then does, and writes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import ncore
from ncore.cli import app
from ncore.sweep import Recipe, sweep
from ncore.sweep.plan import plan
from ncore.sweep.running import execute

VALUES = {
    "candidates": ["dense-small", "lenet-small", {"source": "dense-small", "name": "other"}],
    "datasets": [{"source": "digits", "train": 100, "validation": 50, "test": 50}],
    "training": {"mode": "unit", "epochs": 4},
    "store": "runs",
}


def go(jobs, store, **rest):
    return sweep(jobs, store, engine=lambda jobs, store: ((job, execute(job, store)) for job in jobs), **rest)


@pytest.fixture
def recipe(tmp_path):
    return Recipe.parse(VALUES, base=str(tmp_path))


def test_of_a_store_that_is_not_there(recipe, tmp_path):
    table = plan(recipe.jobs, recipe.store_place)
    assert set(table["action"]) == {"run"}
    assert table["epochs"].tolist() == [4, 4, 4]
    assert table["seconds"].isna().all()
    assert not (tmp_path / "runs").exists()


def test_it_is_what_the_sweep_then_does(recipe):
    dense, lenet, other = recipe.jobs
    go([dense], recipe.store_place)
    go([lenet.model_copy(update={"until": 3})], recipe.store_place)
    table = plan([dense, lenet, other], recipe.store_place).set_index("candidate")
    assert table["action"].to_dict() == {"dense-small": "skip", "lenet-small": "resume", "other": "run"}
    assert table["epochs"].to_dict() == {"dense-small": 0, "lenet-small": 1, "other": 4}
    assert np.isfinite(table["seconds"]).all()
    assert (table["bytes"] >= 0).all()
    results = go([dense, lenet, other], recipe.store_place)
    assert results[0].outcome == "skipped"
    assert results[0].reason == table.loc["dense-small", "reason"]
    again = plan([dense, lenet, other], recipe.store_place)
    assert again["action"].tolist()[:2] == ["skip", "skip"]


def test_a_run_that_failed(recipe):
    job = recipe.jobs[0]
    store = ncore.create_store(recipe.store_place)
    store.new_run(**job.identity).fail("no reason")
    assert plan([job], recipe.store_place)["action"].tolist() == ["skip"]
    assert plan([job], recipe.store_place, retry_failed=True)["action"].tolist() == ["repeat"]


@pytest.mark.parametrize("until", [2, None])
def test_other_data_under_the_same_name_are_refused(tmp_path, until):
    rng = np.random.default_rng(0)

    def write(seed):
        np.savez(
            tmp_path / "d.npz",
            x=np.random.default_rng(seed).integers(0, 256, (60, 8, 8)).astype(np.uint8),
            y=rng.integers(0, 2, 60),
        )

    values = {**VALUES, "candidates": ["dense-small"], "datasets": ["numpy:d.npz"]}
    recipe = Recipe.parse(values, base=str(tmp_path))
    write(0)
    go([job.model_copy(update={"until": until}) for job in recipe.jobs], recipe.store_place)
    write(1)
    (row,) = plan(recipe.jobs, recipe.store_place).to_dict("records")
    (result,) = go(recipe.jobs, recipe.store_place)
    assert row["action"] == "refuse"
    assert result.outcome == "refused"
    assert result.reason == row["reason"]
    assert "other data than 'd' has now" in result.reason


def test_memory_is_estimated_before_anything_is_trained(recipe, tmp_path):
    table = plan(recipe.jobs, recipe.store_place).set_index("candidate")
    assert set(table["memory_from"]) == {"estimate"}
    assert (table["memory"] > 1e5).all()
    assert table.loc["other", "memory"] == table.loc["dense-small", "memory"] != table.loc["lenet-small", "memory"]
    go(recipe.jobs, recipe.store_place)
    assert plan(recipe.jobs, recipe.store_place)["memory"].isna().all()  # nothing is left to train


@pytest.mark.parametrize("broken", ["dataset", "candidate"])
def test_memory_that_nothing_is_known_of_is_missing(tmp_path, broken):
    changes = {
        "dataset": {"datasets": ["folder:nowhere"]},
        "candidate": {"candidates": ["python:nowhere:net"]},
    }[broken]
    recipe = Recipe.parse({**VALUES, **changes}, base=str(tmp_path))
    table = plan(recipe.jobs, recipe.store_place)
    assert table["memory"].isna().all()
    assert set(table["memory_from"]) == {""}


def test_where_operations_cannot_be_followed_an_earlier_use_says_the_least(tmp_path):
    """A factory whose model needs its data to be there, as those do that look at values."""
    (tmp_path / "choosy.py").write_text(
        "from torch import nn\n\nclass Choosy(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(64, 8)\n\n"
        "    def forward(self, x):\n        x = self.layer(x.flatten(1))\n"
        "        return x if bool((x == x).all()) else -x\n\n"
        "def net():\n    return Choosy()\n"
    )
    candidate = {"source": "python:choosy:net", "input_size": 8, "channels": 1}
    recipe = Recipe.parse({**VALUES, "candidates": [candidate], "seeds": [0, 1]}, base=str(tmp_path))
    assert plan(recipe.jobs, recipe.store_place)["memory"].isna().all()
    (result,) = go(recipe.jobs[:1], recipe.store_place)
    assert result.outcome == "finished", result.reason
    row = plan(recipe.jobs, recipe.store_place).iloc[1]
    assert (row["action"], row["memory_from"]) == ("run", "use")
    assert row["memory"] == ncore.open_store(recipe.store_place).run(result.run_id).manifest.costs["peak_bytes"]


def test_the_command(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("candidates: [dense-small]\ndatasets: [digits]\nstore: runs\ntraining: {epochs: 3}\n")
    result = CliRunner().invoke(app, ["sweep", str(path), "--dry-run"])
    assert result.exit_code == 0
    assert "1 to run: 3 epochs" in result.output
    assert "MB of memory" in " ".join(result.output.split())
    assert not (tmp_path / "runs").exists()
