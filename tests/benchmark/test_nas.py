"""The NAS benchmark: its recipe, and from cells to a judged table, from scratch."""

import json

import numpy as np
import pandas as pd
import pytest

from ncore.benchmark.making.recipe import BenchRecipe
from ncore.benchmark.nas.cells import CELLS, RECIPE, bench_nas, draw, main, name_of
from ncore.benchmark.nas.evaluation import evaluate_nas
from ncore.benchmark.nas.table import collect
from ncore.benchmark.table import about, load_table
from ncore.errors import InputError
from ncore.probe.builtin.nas_bench_201 import is_connected
from ncore.scores.zero_cost import ZERO_COST_SCORES
from ncore.sweep.running import execute

CELLS_HERE = draw(4, seed=1)


def in_this_process(jobs, store):
    """An engine without processes of its own."""
    for job in jobs:
        yield job, execute(job, store)


def recipe(cells=CELLS_HERE) -> BenchRecipe:
    small = {"channels": 2, "cells": 1}
    return BenchRecipe.parse(
        {
            "datasets": {"digits": {"source": "digits", "train": 100, "validation": 60, "test": 60}},
            "tasks": [{"dataset": "digits"}],
            "modes": {"all": {}},
            "stages": [{"modes": ["all"], "seeds": [0]}],
            "training": {"epochs": 2, "clip_gradient": 1e9, "unit": {"widths": [8, 8, 8]}},
            "recording": {"trajectories_every": 0, "line_graph_every": 0, "probe_samples": 50},
            "candidates": [
                {"source": "nas-bench-201", "name": name_of(cell), "kwargs": {"arch": cell, **small}} for cell in cells
            ],
            "reduced": "almost all",
        },
        text="a recipe",
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A table of the published form, with these cells."""
    path = tmp_path_factory.mktemp("published") / "published.parquet"
    numbers = np.arange(len(CELLS_HERE))
    frame = {"arch_id": 100 + numbers, "cell": CELLS_HERE, "cifar10_test": np.float32(80 + numbers)}
    pd.DataFrame(frame).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs, as after an interruption."""
    folder = tmp_path_factory.mktemp("nas")
    bench_nas(recipe(), folder, limit=2, engine=in_this_process)
    return folder


def test_the_recipe_has_the_cells_that_were_drawn():
    jobs = BenchRecipe.read(RECIPE).jobs()
    cells = [job.candidate.kwargs["arch"] for _, job in jobs if job.seed == 0]
    assert cells == draw()
    assert len(set(cells)) == CELLS == 64
    assert all(map(is_connected, cells))
    assert [job.candidate.name for _, job in jobs if job.seed == 0] == [name_of(cell) for cell in cells]
    assert {(job.candidate.kwargs["channels"], job.candidate.kwargs["cells"]) for _, job in jobs} == {(8, 1)}
    assert {job.settings.mode for _, job in jobs} == {"all"}


def test_from_scratch(folder, published, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (folder / "scores").iterdir()}
    assert len(before) == 2
    outcomes = [result.outcome for result in bench_nas(recipe(), folder, engine=in_this_process)]
    assert outcomes == ["skipped", "skipped", "finished", "finished"]
    assert all(path.stat().st_mtime_ns == time for path, time in before.items()), "scores are computed once"

    path = tmp_path / "nas.parquet"
    made = collect(recipe(), folder, path, published)
    table = load_table(path)
    assert list(made.columns) == list(table.columns)
    assert len(table) == 8
    assert table.groupby("candidate")["epoch"].apply(list).tolist() == [[1, 2]] * 4
    first = table[table["candidate"] == name_of(CELLS_HERE[2])].iloc[0]
    assert first["arch"] == CELLS_HERE[2]
    assert first["published_accuracy"] == pytest.approx(0.82)
    assert first["published_number"] == 102
    assert first["score_parameter_count"] == first["parameters"]
    assert set(ZERO_COST_SCORES) == {name[6:] for name in table if name.startswith("score_") and "seconds" not in name}
    measured = ["train_accuracy", "validation_loss", "gradient_norm", "learning_rate", "beta_eff_absolute", "seconds"]
    assert np.isfinite(table[[*measured, "conditioning_signed", "score_synflow", "score_seconds_snip"]]).all(axis=None)
    assert about(path)["recipe"] == "a recipe"
    assert "12 epochs" in about(path)["published"]

    found = evaluate_nas(table, ks=[1, 2, 3], resamples=10)
    assert set(found["k"]) == {1, 2}
    assert {"last", "synflow", "final"} <= set(found["method"])


def test_scores_are_those_of_the_network_before_training(folder):
    import torch

    from ncore.benchmark.nas.scores import read_scores
    from ncore.probe.candidates import load_candidate
    from ncore.probe.datasets import load_dataset
    from ncore.probe.unit import NCPUnit

    _, job = recipe().jobs()[0]
    kept = read_scores(job, folder / "scores")
    data = load_dataset(job.dataset)
    backbone = load_candidate(job.candidate, seed=0, shape=data.shape)
    model = torch.nn.Sequential(backbone.module, NCPUnit(backbone.feature_dim, 10, (8, 8, 8)))
    train = data.splits["train"]
    images = backbone.input.prepare(train.tensor(backbone.input)[:64])
    for name, score in ZERO_COST_SCORES.items():
        expected = score.function(model, images, torch.from_numpy(train.labels[:64]), torch.nn.CrossEntropyLoss())
        assert kept["scores"][name] == pytest.approx(expected, rel=1e-4, nan_ok=True), name
        assert kept["seconds"][name] >= 0


def test_a_cell_of_no_benchmark_is_refused(folder, tmp_path):
    other = tmp_path / "other.parquet"
    pd.DataFrame({"arch_id": [0], "cell": ["|none~0|"], "cifar10_test": [10.0]}).to_parquet(other)
    with pytest.raises(InputError, match="not in the published table"):
        collect(recipe(), folder, tmp_path / "nas.parquet", other)
    pd.DataFrame({"cell": ["|none~0|"]}).to_parquet(other)
    with pytest.raises(InputError, match="cifar10_test"):
        collect(recipe(), folder, tmp_path / "nas.parquet", other)
    assert not (tmp_path / "nas.parquet").exists()


def test_the_command(folder, tmp_path, capsys):
    values = {
        "datasets": {"digits": {"source": "digits"}},
        "tasks": [{"dataset": "digits"}],
        "modes": {"all": {}},
        "stages": [{"modes": ["all"], "seeds": [0]}],
        "candidates": [{"source": "nas-bench-201", "name": "one"}],
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(values))
    arguments = [
        "--recipe",
        str(path),
        "--store",
        str(folder),
        "--table",
        str(tmp_path / "nas.parquet"),
        "--limit",
        "0",
    ]
    assert main(arguments) == 1, "no run of this recipe has ended"
    said = capsys.readouterr().err
    assert said.startswith("ncore: No run of the recipe")
    assert said.count("\n") == 1
