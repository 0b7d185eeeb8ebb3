"""Sweeps that stop early, with real training on digits."""

import pytest

import ncore
from ncore.errors import InputError
from ncore.predict.stopping import StoppingRule
from ncore.sweep.recipe import Recipe
from ncore.sweep.running import execute, run_id, sweep
from ncore.sweep.stages import sweep_and_stop

EPOCHS = 6
SLOW = {"learning_rate": 1e-5}
RECIPE = {
    "candidates": [
        {"source": "builtin:dense-small", "name": "good"},
        {"source": "builtin:dense-small", "name": "slow", "training": SLOW},
        {"source": "builtin:dense-small", "name": "slower", "training": {"learning_rate": 1e-6}},
    ],
    "datasets": [{"source": "digits", "train": 300, "validation": 100, "test": 100}],
    "seeds": [0],
    "training": {"mode": "all", "epochs": EPOCHS, "threads": 1, "learning_rate": 3e-3},
    "recording": {"neurons": 4, "line_graph_every": 0},
}


class Engine:
    """In this process; remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, jobs, store):
        for job in jobs:
            self.asked.append((job.candidate.name, job.until))
            yield job, execute(job, store)


def stop(jobs, store, rule, **more):
    engine = Engine()
    results = sweep_and_stop(jobs, str(store), engine=engine, rule=rule, method="last", **more)
    return engine.asked, {result.job.candidate.name: result for result in results}


def status(store, jobs):
    table = ncore.open_store(str(store)).runs().set_index("run")
    return {job.candidate.name: table.loc[run_id(job)] for job in jobs}


def test_hopeless_candidates_are_stopped_and_can_be_resumed(tmp_path):
    jobs = Recipe.parse(RECIPE).jobs
    asked, results = stop(jobs, tmp_path, StoppingRule(looks=(1, 2, 4)))
    assert results["good"].outcome == "finished"
    rows = status(tmp_path, jobs)
    assert rows["good"]["status"] == "finished"
    for name in ("slow", "slower"):
        assert results[name].outcome == "stopped"
        assert rows[name]["status"] == "interrupted"
        assert rows[name]["reason"].startswith("stopped early: after epoch")
        assert 1 <= rows[name]["epochs"] < EPOCHS
    assert asked[:3] == [("good", 1), ("slow", 1), ("slower", 1)]

    # The same again does nothing more, and an ordinary sweep goes on with what was stopped.
    again, results = stop(jobs, tmp_path, StoppingRule(looks=(1, 2, 4)))
    assert again == []
    assert {result.outcome for result in results.values()} == {"skipped"}
    engine = Engine()
    sweep(jobs, str(tmp_path), engine=engine)
    assert engine.asked == [("slow", None), ("slower", None)]
    assert {row["status"] for row in status(tmp_path, jobs).values()} == {"finished"}


def test_pausing_changes_nothing(tmp_path):
    """A run that was paused at every look ends exactly as one that was not."""
    jobs = Recipe.parse(RECIPE | {"candidates": RECIPE["candidates"][:1]}).jobs
    stop(jobs, tmp_path / "paused", StoppingRule(looks=(1, 2, 4)))
    sweep(jobs, str(tmp_path / "whole"), engine=Engine())
    tables = [
        ncore.open_store(str(tmp_path / place)).run(run_id(jobs[0])).metrics().drop(columns="seconds")
        for place in ("paused", "whole")
    ]
    assert tables[0].equals(tables[1])


def test_a_budget_is_kept(tmp_path):
    jobs = Recipe.parse(RECIPE).jobs
    with pytest.raises(InputError, match="take 8; give at least that"):
        stop(jobs, tmp_path, StoppingRule(risk=0, budget=7, looks=(1, 2, 4)))
    # One epoch of all, a second of the two most promising, and the rest of one.
    _, results = stop(jobs, tmp_path, StoppingRule(risk=0, budget=9, looks=(1, 2, 4)))
    rows = status(tmp_path, jobs)
    assert sum(row["epochs"] for row in rows.values()) <= 9
    assert [name for name, result in results.items() if result.outcome == "finished"] == ["good"]
    assert "the budget of 9 epochs" in rows["slow"]["reason"]


def test_a_failed_candidate_is_no_candidate(tmp_path):
    jobs = Recipe.parse(
        RECIPE | {"candidates": [*RECIPE["candidates"][:1], {"source": "python:nowhere:make", "name": "broken"}]}
    ).jobs
    _, results = stop(jobs, tmp_path, StoppingRule(looks=(1,)))
    assert results["good"].outcome == "finished"
    assert results["broken"].outcome == "failed"
