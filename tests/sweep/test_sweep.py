"""Recipes and sweeps, with real training on digits."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import ncore
from ncore.errors import InputError, NcoreError
from ncore.probe.job import Job
from ncore.sweep.following import follow
from ncore.sweep.local import LocalEngine
from ncore.sweep.recipe import Recipe
from ncore.sweep.running import run_id, sweep

RECIPE = {
    "candidates": [
        "dense-small",
        {"source": "builtin:lenet", "name": "small net", "training": {"learning_rate": 0.01}},
    ],
    "datasets": [{"source": "digits", "train": 120, "validation": 60, "test": 60}],
    "seeds": [0, 1],
    "training": {"mode": "all", "epochs": 2, "threads": 1},
    "recording": {"neurons": 4, "line_graph_every": 0},
}


def in_this_process(jobs, store):
    """An engine without processes, for tests of everything around it."""
    from ncore.sweep.running import execute

    for job in jobs:
        yield job, execute(job, store)


def recipe(**changes):
    return Recipe.parse(RECIPE | changes)


def test_a_recipe_is_its_product():
    jobs = recipe().jobs
    assert [(j.candidate.name, j.seed) for j in jobs] == [
        ("dense-small", 0), ("small net", 0), ("dense-small", 1), ("small net", 1),
    ]  # fmt: skip
    assert [j.settings.learning_rate for j in jobs[:2]] == [1e-3, 0.01]
    assert len({run_id(job) for job in jobs}) == 4


def test_what_a_run_is_does_not_depend_on_where_it_runs(tmp_path):
    here, there = (Recipe.parse(RECIPE, base=base).jobs[0] for base in (".", tmp_path))
    more_threads = recipe(training=RECIPE["training"] | {"threads": 2, "device": "cpu"}).jobs[0]
    assert run_id(here) == run_id(there) == run_id(more_threads)
    assert run_id(here) != run_id(recipe(training=RECIPE["training"] | {"epochs": 3}).jobs[0])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"candidates": []}, "needs 'candidates'"),
        ({"datasets": None}, "needs 'datasets'"),
        ({"candidates": ["lenet", "builtin:lenet"]}, "'lenet' more than once"),
        ({"trainign": {}}, "'trainign' is not known"),
        ({"training": {"epochs": "many"}}, "training: epochs is 'many'"),
        ({"candidates": [{"source": "lenet", "training": {"epoch": 3}}]}, "candidate lenet: 'epoch' is not known"),
        ({"seeds": []}, "seeds"),
    ],
)
def test_bad_recipes_are_one_sentence(changes, match):
    with pytest.raises(InputError, match=match) as caught:
        recipe(**changes)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_recipes(tmp_path):
    (tmp_path / "broken.yaml").write_text("candidates: [lenet\n")
    (tmp_path / "list.yaml").write_text("- lenet\n")
    for name, match in (("none.yaml", "cannot be read"), ("broken.yaml", "not valid YAML"), ("list.yaml", "mapping")):
        with pytest.raises(InputError, match=match):
            Recipe.read(tmp_path / name)


def test_relative_places_are_those_of_the_recipe(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "r.yaml").write_text("candidates: [lenet]\ndatasets: [digits]\nstore: ../runs\n")
    assert Recipe.read(tmp_path / "sub" / "r.yaml").store_place == str(tmp_path / "runs")


def test_a_sweep_trains_skips_and_ranks(tmp_path):
    place, seen = str(tmp_path / "runs"), []
    jobs = recipe().jobs
    results = sweep(jobs, place, engine=LocalEngine(workers=2), on_result=seen.append)
    assert [r.outcome for r in results] == ["finished"] * 4
    assert sorted(r.run_id for r in seen) == sorted(r.run_id for r in results)
    table = ncore.open_store(place).runs()
    assert (table["status"] == "finished").all()
    assert table["test_accuracy"].between(0, 1).all()
    assert (table["epochs"] == 2).all()
    again = sweep(jobs, place, engine=in_this_process)
    assert [r.outcome for r in again] == ["skipped"] * 4
    ranking = ncore.rank(place, epochs=1, method="last")
    assert set(ranking["candidate"]) == {"dense-small", "small net"}
    assert (ranking["seeds"] == 2).all()


def test_the_same_job_gives_the_same_run(tmp_path):
    job = recipe().jobs[0]
    runs = []
    for name in ("one", "two"):
        sweep([job], str(tmp_path / name), engine=in_this_process)
        runs.append(ncore.open_store(tmp_path / name).run(run_id(job)))
    for table in ("metrics", "capacitance"):
        one, two = (getattr(run, table)().drop(columns="seconds", errors="ignore") for run in runs)
        assert one.equals(two), table
    assert runs[0].trajectory().equals(runs[1].trajectory())


def test_seeds_share_their_data_but_not_their_course(tmp_path):
    sweep(recipe().jobs, str(tmp_path), engine=in_this_process)
    store = ncore.open_store(tmp_path)
    runs = [store.run(run_id(job)) for job in recipe().jobs if job.candidate.name == "dense-small"]
    assert len({run.manifest.info["dataset_fingerprint"] for run in runs}) == 1
    losses = [run.metrics().query("name == 'loss' and split == 'train'")["value"].to_numpy() for run in runs]
    assert not np.allclose(*losses)


def test_one_failure_stops_nothing_else_and_is_recorded(tmp_path):
    candidates = [
        "dense-small",
        {"source": "builtin:lenet", "name": "explodes", "training": {"optimizer": "sgd", "learning_rate": 1e9}},
        {"source": "file:nowhere.safetensors", "architecture": "builtin:lenet", "name": "missing"},
    ]
    jobs = recipe(candidates=candidates, seeds=[0]).jobs
    results = {r.job.candidate.name: r for r in sweep(jobs, str(tmp_path), engine=in_this_process)}
    assert results["dense-small"].outcome == "finished"
    assert "loss became" in results["explodes"].reason
    assert "nowhere.safetensors" in results["missing"].reason
    table = ncore.open_store(tmp_path).runs().set_index("candidate")
    assert table.loc[["explodes", "missing"], "status"].tolist() == ["failed", "failed"]
    assert "loss became" in table.loc["explodes", "reason"]
    assert ncore.open_store(tmp_path).run(table.loc["explodes", "run"]).epochs[0] == 0
    ranking = ncore.rank(tmp_path, epochs=2, method="last")
    assert ranking["candidate"].tolist()[0] == "dense-small"
    assert set(ranking["candidate"]) == {"dense-small", "explodes", "missing"}
    skipped = {r.job.candidate.name: r for r in sweep(jobs, str(tmp_path), engine=in_this_process)}
    assert skipped["explodes"].outcome == "skipped"
    assert "--retry-failed" in skipped["explodes"].reason
    retried = {r.job.candidate.name: r for r in sweep(jobs, str(tmp_path), engine=in_this_process, retry_failed=True)}
    assert retried["explodes"].outcome == "failed"


def test_a_killed_sweep_leaves_no_process_behind(tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "candidates: [dense-small]\ndatasets: [digits]\ntraining: {epochs: 100000, threads: 1}\n"
    )
    program = "import sys; from ncore.cli import main; sys.argv[0] = 'ncore'; main()"
    words = ["sweep", str(tmp_path / "recipe.yaml"), "--store", str(tmp_path / "store"), "--workers", "1"]
    sweeping = subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        worker = _wait_for(lambda: _writer(tmp_path / "store"))
    finally:
        sweeping.kill()
        sweeping.wait()
    _wait_for(lambda: not _alive(worker))
    assert ncore.open_store(tmp_path / "store").runs().status.tolist() == ["interrupted"]


def _writer(place):
    """The process that records the only run, None while there is none."""
    try:
        opened = ncore.open_store(place)
        manifest = opened.run(opened.run_ids()[0]).manifest
        return manifest.writer.pid if manifest.epochs else None
    except (NcoreError, IndexError):
        return None


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_for(look, seconds=90):
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_killed_process_takes_no_other_run_down_and_is_resumed(tmp_path):
    # Many epochs, so that on a busy machine, too, it is killed before they are over.
    jobs = recipe(training=RECIPE["training"] | {"epochs": 200}, seeds=[0]).jobs
    victim = run_id(jobs[0])

    def kill_when_it_runs():
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                manifest = ncore.open_store(tmp_path).run(victim).manifest
                if manifest.last_epoch >= 3:
                    os.kill(manifest.writer.pid, signal.SIGKILL)
                    return
            except NcoreError:
                pass
            time.sleep(0.01)

    killer = threading.Thread(target=kill_when_it_runs)
    killer.start()
    results = {r.run_id: r for r in sweep(jobs, str(tmp_path), engine=LocalEngine(workers=2))}
    killer.join()
    assert results[victim].outcome == "failed"
    assert "was killed" in results[victim].reason
    assert results[run_id(jobs[1])].outcome == "finished"
    table = ncore.open_store(tmp_path).runs().set_index("run")
    assert table.loc[victim, "status"] == "interrupted"
    again = {r.run_id: r.outcome for r in sweep(jobs, str(tmp_path), engine=in_this_process)}
    assert again == {victim: "finished", run_id(jobs[1]): "skipped"}
    sweep(jobs[:1], str(tmp_path / "undisturbed"), engine=in_this_process)
    ends = [ncore.open_store(place).run(victim) for place in (tmp_path, tmp_path / "undisturbed")]
    one, two = (run.metrics().drop(columns="seconds") for run in ends)
    assert one.equals(two)


def test_progress_is_read_from_the_store(tmp_path):
    jobs = recipe(seeds=[0]).jobs
    sweep(jobs, str(tmp_path), engine=in_this_process)
    seen, stop = {}, threading.Event()
    stop.set()
    follow(jobs, str(tmp_path), lambda name, epoch, planned: seen.update({name: (epoch, planned)}), stop)
    assert seen == {run_id(job): (2, 2) for job in jobs}


def test_environment_variables_keep_a_recipe_portable(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (150, 8, 8), dtype=np.uint8), np.arange(150) % 3
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    datasets = [{"source": "numpy:${NCORE_TEST_PLACE}/mine.npz", "name": "mine"}]
    jobs = recipe(candidates=["dense-small"], datasets=datasets, seeds=[0]).jobs
    results = sweep(jobs, str(tmp_path / "a"), engine=in_this_process)
    assert "NCORE_TEST_PLACE, which is not set" in results[0].reason
    monkeypatch.setenv("NCORE_TEST_PLACE", str(tmp_path))
    results = sweep(jobs, str(tmp_path / "b"), engine=in_this_process)
    assert results[0].outcome == "finished", results[0].reason
    manifest = ncore.open_store(tmp_path / "b").run(results[0].run_id).manifest
    assert "${NCORE_TEST_PLACE}" in manifest.config["dataset"]["source"]
    assert str(tmp_path) not in manifest.to_bytes().decode()


def test_a_candidate_and_a_folder_that_the_package_has_never_seen(tmp_path):
    """The user's own network from a module of theirs, the user's own folder of images: sweep, then rank."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for label, base in (("dark", 40), ("light", 180)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(base, base + 60, (20 + number % 3, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    (tmp_path / "their_networks.py").write_text(
        textwrap.dedent(
            """
            from torch import nn

            def tiny(width=8):
                return nn.Sequential(nn.Conv2d(3, width, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            """
        )
    )
    (tmp_path / "recipe.yaml").write_text(
        textwrap.dedent(
            """
            candidates:
              - {source: "python:their_networks:tiny", input_size: 20}
              - {source: "python:their_networks:tiny", name: wide, kwargs: {width: 16}, input_size: 20}
            datasets: ["folder:photos"]
            training: {mode: all, epochs: 3, learning_rate: 0.01, threads: 1}
            """
        )
    )
    read = Recipe.read(tmp_path / "recipe.yaml")
    results = sweep(read.jobs, read.store_place, engine=LocalEngine())
    assert [r.outcome for r in results] == ["finished"] * 2, [r.reason for r in results]
    ranking = ncore.rank(tmp_path / "runs", epochs=3, method="last")
    assert len(ranking) == 2
    assert ranking["observed"].between(0, 1).all()


def test_jobs_can_be_sent_to_other_processes():
    import pickle

    job = recipe().jobs[1]
    assert pickle.loads(pickle.dumps(job)) == job
    assert isinstance(job, Job)
