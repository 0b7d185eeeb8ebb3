"""A reduced benchmark from scratch: three candidates, two targets, two modes, few epochs."""

import math
import re
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file
from typer.testing import CliRunner

from ncore.benchmark.making.recipe import RECIPE, BenchRecipe
from ncore.benchmark.making.running import bench
from ncore.benchmark.making.scoring import read_scores, write_scores
from ncore.benchmark.table import KEY, about, curves, load_table, merge, write_table
from ncore.cli import app
from ncore.errors import InputError
from ncore.probe.candidates import CandidateSpec, load_candidate
from ncore.probe.datasets import DatasetSpec, load_dataset
from ncore.probe.job import Job
from ncore.scores.transfer import TRANSFER_SCORES, transfer_scores
from ncore.sweep.running import execute

LOW = {"zero or one": [0, 1], "two": 2, "three": 3}
HIGH = {"seven": 7, "eight": 8, "nine": 9}


def settings(**changes):
    sizes = {"train": 120, "validation": 60, "test": 90}
    fast = {"epochs": 3, "learning_rate": 0.01, "unit": {"widths": [12, 10, 8]}}
    return {
        "reduced": "to almost nothing",
        "datasets": {"low": {"source": "digits", "classes": LOW}, "high": {"source": "digits", "classes": HIGH}},
        "tasks": [{"dataset": "low", "name": "low-120", **sizes}, {"dataset": "high", "name": "high-120", **sizes}],
        "candidates": [
            {"source": "dense-small", "name": "dense"},
            {"source": "lenet", "name": "explodes", "training": {"optimizer": "sgd", "learning_rate": 1e12}},
        ],
        "pretraining": [
            {"name": "moved", "source": "lenet", "dataset": "low", "input_size": 8, "train": 120, "training": fast}
        ],
        "training": {**fast, "clip_gradient": 1e9, "threads": 1},
        "recording": {"probe_samples": 60, "trajectories_every": 0, "line_graph_every": 0},
        "modes": {"unit": {}, "all": {"training": {"epochs": 2}}},
        "stages": [{"modes": ["unit", "all"], "seeds": [0]}],
        **changes,
    }


def here(jobs, store):
    """An engine that runs in this process."""
    for job in jobs:
        yield job, execute(job, store)


def idle(jobs, store):
    """An engine that has nothing to do."""
    raise AssertionError(f"{len(jobs)} runs were to be made again")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Where a reduced benchmark was run, and what it said meanwhile."""
    folder = tmp_path_factory.mktemp("bench")
    recipe = BenchRecipe.parse(settings(), text="the text")
    said = []
    started = time.process_time()
    bench(recipe, folder / "work", folder / "table.parquet", engine=here, say=said.append)
    return folder, said, time.process_time() - started


@pytest.fixture
def table(made):
    return load_table(made[0] / "table.parquet")


def test_the_table_has_every_run_and_epoch(table):
    assert set(table["task"]) == {"low-120", "high-120"}
    assert set(table["mode"]) == {"unit", "all"}
    finished = table[table["status"] == "finished"]
    lengths = finished.groupby(["mode", *KEY[:1], "candidate"])["epoch"].agg(["min", "max", "size"])
    assert (lengths["min"] == 1).all()
    assert lengths.loc["unit", "size"].eq(3).all()
    assert lengths.loc["all", "size"].eq(2).all()
    assert (finished["epoch"] <= finished["horizon"]).all()
    assert (finished.groupby("run")["horizon"].first() == finished.groupby("run")["epoch"].max()).all()


def test_a_network_is_no_candidate_where_it_was_pretrained(table):
    assert set(table.loc[table["task"] == "low-120", "candidate"]) == {"dense", "explodes"}
    assert set(table.loc[table["task"] == "high-120", "candidate"]) == {"dense", "explodes", "moved"}


def test_measurements_are_there_and_in_range(table):
    finished = table[table["status"] == "finished"]
    for name in ("train", "validation", "test"):
        assert finished[f"{name}_accuracy"].between(0, 1).all()
    for name in ("gradient_norm", "learning_rate", "train_loss", "validation_loss", "seconds", "parameters"):
        assert (finished[name] > 0).all()
    for strength in ("signed", "absolute", "relative"):
        assert np.isfinite(finished[f"beta_eff_{strength}"]).all()
        assert finished[f"conditioning_{strength}"].between(0, 1).all()
    assert (finished["beta_eff_relative"] > 0).all()
    assert (finished[["train_images", "test_images", "pixels"]] == [120, 90, 8]).all(axis=None)
    p = finished["test_accuracy"]
    np.testing.assert_allclose(finished["test_error"], np.sqrt(p * (1 - p) / 90), rtol=1e-5)
    assert p.max() > 0.6  # three classes: something was learned


def test_seconds_are_of_the_processor_and_add_up(made, table):
    finished = table[table["status"] == "finished"].sort_values("epoch")
    assert (finished.groupby("run")["seconds"].diff().dropna() > 0).all()
    assert finished.groupby("run")["seconds"].max().sum() < made[2]


def test_scores_are_kept_once_a_candidate_and_target_with_their_cost(made, table):
    finished = table[table["status"] == "finished"]
    for name, score in TRANSFER_SCORES.items():
        known = finished[f"score_{name}"].notna()
        assert known.all() if score.reads == "features" else not known.any()  # these have no source classes
        assert (finished[f"score_seconds_{name}"].notna() == known).all()
        assert (finished.groupby(["task", "mode", "candidate"])[f"score_{name}"].nunique() <= 1).all()
    assert finished["score_linear_probe"].between(0, 1).all()
    files = list((made[0] / "work" / "scores").glob("*.json"))
    assert len(files) == 5  # the two modes see the same pixels here, so they share them


def test_a_run_that_fails_says_why(table):
    failed = table[table["candidate"] == "explodes"]
    assert (failed["status"] == "failed").all()
    assert failed["reason"].str.contains("became").all()
    assert failed["test_accuracy"].isna().all()
    assert failed.groupby("run").ngroups == 4


def test_it_says_what_made_it(made):
    found = about(made[0] / "table.parquet")
    assert found["recipe"] == "the text"
    assert found["reduced"] == "to almost nothing"
    assert {"torch", "ncore", "python"} <= set(found["versions"][0])
    assert found["machine"]["cores"] >= 1


def test_progress_says_how_long_it_takes(made):
    said = made[1]
    assert said[0].startswith("10 runs")
    assert said[1].startswith("[1/10] finished low-120 · unit · seed 0 · dense: ")
    assert re.search(r"\d+\.\d%, \d+ s; \d+ h \d+ min left$", said[1])
    assert any("failed" in line and "became" in line for line in said)


def test_nothing_is_run_twice(made, tmp_path):
    folder = made[0]
    recipe = BenchRecipe.parse(settings())
    bench(recipe, folder / "work", folder / "table.parquet", engine=idle, say=lambda line: None)
    # A fresh machine has the table only.
    again = tmp_path / "table.parquet"
    again.write_bytes((folder / "table.parquet").read_bytes())
    bench(recipe, tmp_path / "work", again, engine=idle, say=lambda line: None)
    pd.testing.assert_frame_equal(load_table(again), load_table(folder / "table.parquet"))


def test_it_goes_on_with_more_seeds_from_the_table_alone(made, table, tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes((made[0] / "table.parquet").read_bytes())
    more = BenchRecipe.parse(settings(stages=[{"modes": ["unit"], "seeds": [0, 1]}]))
    bench(more, tmp_path / "work", path, engine=here, limit=1, modes=["unit"], say=lambda line: None)
    longer = load_table(path)
    new = longer[~longer["run"].isin(table["run"])]
    assert new[KEY].drop_duplicates().to_numpy().tolist() == [["low-120", "unit", "dense", 1]]
    old = longer[longer["run"].isin(table["run"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, table)
    assert len(about(path)["versions"]) == 1


def test_failed_runs_are_repeated_when_asked(made, tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes((made[0] / "table.parquet").read_bytes())
    recipe, tried = BenchRecipe.parse(settings()), []

    def in_vain(jobs, store):
        for job in jobs:
            tried.append(job.candidate.name)
            yield job, "again"

    bench(recipe, tmp_path / "work", path, engine=in_vain, retry_failed=True, say=lambda line: None)
    assert tried == ["explodes"] * 4


def test_collecting_makes_no_run(tmp_path):
    path = tmp_path / "table.parquet"
    recipe = BenchRecipe.parse(settings())
    table = bench(recipe, tmp_path / "work", path, engine=idle, collect_only=True, say=lambda line: None)
    assert table.empty
    assert not path.exists()


def test_the_command_says_how_many_runs_the_table_has(made, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(settings(), sort_keys=False))
    folder = made[0]
    options = ["--store", str(folder / "work"), "--table", str(tmp_path / "table.parquet"), "--collect-only"]
    done = CliRunner().invoke(app, ["bench", str(recipe), *options])
    assert done.exit_code == 0, done.output
    assert done.output.rstrip().endswith("table.parquet: 10 runs")
    assert yaml.safe_load(about(tmp_path / "table.parquet")["recipe"]) == settings()


def test_new_rows_of_a_run_replace_the_old_ones():
    old = pd.DataFrame({"task": ["a", "b"], "mode": "unit", "candidate": "c", "seed": 0, "epoch": 1, "value": [1, 2]})
    new = old.iloc[:1].assign(value=3)
    assert merge(old, new)["value"].tolist() == [2, 3]
    assert merge(pd.DataFrame(), new) is new
    assert merge(old, pd.DataFrame()) is old


def test_curves_are_what_predictors_take(table):
    found = curves(table, "high-120", "unit")
    assert [(curve.candidate, curve.seed) for curve in found] == [("dense", 0), ("explodes", 0), ("moved", 0)]
    dense, explodes, moved = found
    rows = table[(table["task"] == "high-120") & (table["mode"] == "unit") & (table["candidate"] == "moved")]
    assert moved.accuracy.tolist() == rows["validation_accuracy"].tolist()
    assert moved.beta["relative"].tolist() == rows["beta_eff_relative"].tolist()
    assert moved.observed == rows["test_accuracy"].iloc[0]
    assert (moved.horizon, moved.dataset, moved.mode) == (3, "high-120", "unit")
    assert moved.scores["logme"] == rows["score_logme"].iloc[0]
    assert "leep" not in moved.scores
    assert dense.usable
    assert not explodes.usable
    assert math.isnan(explodes.observed)
    with pytest.raises(InputError, match=r"no runs of task 'other'.*high-120, low-120"):
        curves(table, "other", "unit")


def test_a_table_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"There is no table .*none\.parquet"):
        load_table(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match="cannot be read"):
        load_table(tmp_path / "bad.parquet")
    pd.DataFrame({"task": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="has no column 'mode'"):
        load_table(tmp_path / "other.parquet")
    recipe = BenchRecipe.parse(settings())
    with pytest.raises(InputError, match=r"ends in \.parquet"):
        bench(recipe, tmp_path, tmp_path / "table.csv", engine=idle)
    with pytest.raises(InputError, match="The mode is 'units', but the recipe has unit, all"):
        bench(recipe, tmp_path, tmp_path / "table.parquet", modes=["units"], engine=idle)


def test_what_is_written_is_read(table, tmp_path):
    path = tmp_path / "sub" / "copy.parquet"
    write_table(table, path, {"date": "today"})
    pd.testing.assert_frame_equal(load_table(path), table)
    assert about(path) == {"date": "today"}
    assert [file.name for file in path.parent.iterdir()] == ["copy.parquet"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": [{"dataset": "middle"}]}, "'middle' is not among the recipe's datasets, which are low, high"),
        ({"tasks": ["low"]}, "A task of the benchmark is 'low', but a mapping with `dataset`"),
        ({"tasks": [{"dataset": "low"}, {"dataset": "low"}]}, "more than one task 'low'"),
        ({"candidates": ["lenet", "lenet"]}, "more than one candidate 'lenet'"),
        ({"stages": [{"modes": ["backbone"], "seeds": [0]}]}, "a stage in mode 'backbone', but says nothing of it"),
        ({"pretraining": [{"name": "a"}]}, "a mapping with `name` and `dataset` is needed"),
        ({"modes": {"unit": {"training": {"epoch": 3}}, "all": {}}}, "training in mode unit: 'epoch' is not known"),
        ({"candidate": []}, "'candidate' is not known here"),
    ],
    ids=["dataset", "task", "tasks", "candidates", "stage", "pretraining", "training", "name"],
)
def test_a_recipe_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        BenchRecipe.parse(settings(**changes))


def test_the_recipe_of_the_results_is_what_was_promised():
    recipe = BenchRecipe.read(RECIPE)
    assert sum(spec.kind == "file" and "${NCORE_MODELS}" in spec.source for spec in recipe.candidates) >= 12
    own = [spec for spec in recipe.candidates if spec.kind == "builtin"]
    assert len(own) + len(recipe.pretraining) >= 8
    assert {target.dataset for target in recipe.tasks} == {"cifar10", "fashion-mnist", "digits"}
    assert len(recipe.tasks) >= 6
    jobs = [job for _, job in recipe.jobs()]
    assert {(job.settings.mode, job.seed) for job in jobs} == {
        (mode, seed) for mode in ("backbone", "unit", "all") for seed in (0, 1)
    }
    assert all(job.settings.epochs > 10 for job in jobs)


@pytest.mark.parametrize("head", [True, False], ids=["head", "no head"])
def test_scores_that_need_source_classes_read_the_head_of_the_weights(head, tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("mobilenetv3_small_050", num_classes=4 if head else 0).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    factory = {"factory": "timm.create_model", "args": ["mobilenetv3_small_050"], "kwargs": {"num_classes": 4 * head}}
    candidate = {"source": f"file:{tmp_path}/weights.safetensors", "architecture": factory, "input_size": 32}
    data = {"source": "digits", "classes": LOW, "train": 30, "validation": 10, "test": 10}
    job = Job(candidate=CandidateSpec.parse(candidate), dataset=DatasetSpec.parse(data), clock="processor")
    write_scores(job, tmp_path)
    found = read_scores(job, tmp_path)

    backbone = load_candidate(job.candidate)
    split = load_dataset(job.dataset).splits["train"]
    images = backbone.input.prepare(split.tensor(backbone.input))
    with torch.no_grad():
        features, logits = backbone.module(images).numpy(), model(images)
    expected = transfer_scores(features, split.labels, logits.softmax(1).numpy() if head else None)
    for name in TRANSFER_SCORES:
        if name in expected:
            assert found["scores"][name] == pytest.approx(expected[name], rel=1e-4), name
            assert found["seconds"][name] > 0
        else:
            assert math.isnan(found["scores"][name])
            assert name in ("leep", "nce")
    assert ("leep" in expected) == head


def test_reading_the_table_takes_no_torch():
    code = "import sys, ncore.benchmark.table; assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
