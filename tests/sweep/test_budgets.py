"""Budgets of time, and limits on what candidates may cost to use."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import ncore
from ncore.cli import app
from ncore.errors import InputError
from ncore.predict.stopping import StoppingRule
from ncore.store.limits import Limits
from ncore.sweep import Recipe, run_id, sweep
from ncore.sweep.budget import Budget
from ncore.sweep.plan import plan
from ncore.sweep.running import execute
from ncore.sweep.stages import sweep_and_stop

VALUES = {
    "candidates": ["dense-small", "lenet"],
    "datasets": [{"source": "digits", "train": 100, "validation": 50, "test": 50}],
    "training": {"mode": "unit", "epochs": 3},
    "recording": {"neurons": 4, "line_graph_every": 0},
}
UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def engine(jobs, store):
    return ((job, execute(job, store)) for job in jobs)


@given(st.lists(st.integers(1, 99), min_size=4, max_size=4), st.sets(st.sampled_from("dhms"), min_size=1))
def test_times_are_read_with_their_units(amounts, used):
    given_ = {unit: amount for unit, amount in zip("dhms", amounts, strict=True) if unit in used}
    read = Budget.parse("".join(f"{amount}{unit}" for unit, amount in given_.items()))
    assert (read.epochs, read.seconds) == (None, sum(UNITS[unit] * amount for unit, amount in given_.items()))


@pytest.mark.parametrize(
    "text", ["", "0", "-3", "2.5", "2 h", "2hours", "h", "30m1h", "1h30", "0h", "2H", "nan", "1e3", "½h"]
)
def test_other_budgets_are_one_sentence(text):
    with pytest.raises(InputError, match="number of epochs, such as 200, or a time with units"):
        Budget.parse(text)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("ms", "is no limit"),
        ("20", "is no limit"),
        ("seconds=2", "'seconds' is not known here.*ms, mb"),
        ("ms=0", "ms is '?0"),
        ("ms=fast", "number, perhaps with k, M, G"),
        ("params=10Mio", "number, perhaps with k, M, G"),
        ("ms=1,ms=2", "stands twice"),
        ("ms=nan", "number, perhaps"),
    ],
)
def test_limits_that_are_not_understood_are_one_sentence(text, match):
    with pytest.raises(InputError, match=match) as caught:
        Limits.parse([text], "--under")
    assert "\n" not in str(caught.value)


@given(st.floats(1e-3, 1e12), st.floats(1e-3, 1e12))
def test_a_cost_is_over_a_limit_if_it_is_larger(limit, cost):
    assert bool(Limits(params=limit).over({"parameters": cost})) == (cost > limit)
    assert Limits(params=limit).unknown({"parameters": cost}) == []
    assert Limits(params=limit).unknown({"parameters": None}) == ["params"]
    assert not Limits(params=limit).over({})


def test_what_costs_too_much_is_left_out_with_the_reason(tmp_path):
    # 50,000 parameters: between the two, units included.
    jobs = Recipe.parse(VALUES | {"under": {"params": "100k"}}).jobs
    results = {result.job.candidate.name: result for result in sweep(jobs, str(tmp_path), engine=engine)}
    store = ncore.open_store(str(tmp_path))
    sizes = {job.candidate.name: store.run(run_id(job)).manifest.costs["parameters"] for job in jobs}
    small, large = sorted(sizes, key=sizes.__getitem__)
    assert sizes[small] <= 100_000 < sizes[large], sizes
    assert results[small].outcome == "finished"
    assert results[large].outcome == "skipped"
    assert "parameters, and 100,000 are allowed" in results[large].reason
    run = store.run(run_id(next(job for job in jobs if job.candidate.name == large)))
    assert (run.manifest.status, run.manifest.last_epoch) == ("interrupted", -1)
    assert "left out" in run.manifest.reason

    # Nothing is asked again; the plan says so, too; and a higher limit trains it.
    assert {one.outcome for one in sweep(jobs, str(tmp_path), engine=lambda *_: iter(()))} == {"skipped"}
    assert set(plan(jobs, str(tmp_path))["action"]) == {"skip"}
    more = Recipe.parse(VALUES | {"under": {"params": "1M"}}).jobs
    assert sorted(one.outcome for one in sweep(more, str(tmp_path), engine=engine)) == ["finished", "skipped"]

    # Rankings: the best under a limit.
    table = ncore.rank(str(tmp_path), method="last", under={"params": "100k"})
    assert table["candidate"].tolist() == [small]
    assert set(table.attrs["over"]) == {large}
    told = CliRunner().invoke(app, ["rank", str(tmp_path), "--under", "params=100k", "--method", "last"])
    assert told.exit_code == 0
    assert f"Left out: {large}" in " ".join(told.stdout.split())
    with pytest.raises(InputError, match="None of the 2 candidates is under 1 parameters"):
        ncore.rank(str(tmp_path), method="last", under={"params": 1})
    page = tmp_path / "report.html"
    told = CliRunner().invoke(
        app, ["report", str(tmp_path), "--under", "params=100k", "--method", "last", "-o", str(page)]
    )
    assert told.exit_code == 0, told.output
    assert f"Left out: {large}" in page.read_text()


def test_nothing_is_begun_after_the_time_and_what_runs_is_left_to_be_resumed(tmp_path):
    jobs = Recipe.parse(VALUES | {"training": {"mode": "unit", "epochs": 500}}).jobs
    results = sweep(jobs, str(tmp_path), engine=engine, deadline=time.time() + 4)
    assert {result.outcome for result in results} == {"stopped"}
    assert "the time was over" in results[-1].reason
    first = ncore.open_store(str(tmp_path)).run(run_id(jobs[0])).manifest
    assert first.status == "interrupted"
    assert 0 < first.last_epoch < 500
    assert "as the time was over" in first.reason
    assert plan(jobs, str(tmp_path))["action"].tolist()[0] == "resume"


def test_stages_end_with_the_time(tmp_path):
    jobs = Recipe.parse(VALUES | {"training": {"mode": "unit", "epochs": 500}}).jobs
    rule = StoppingRule(risk=0, looks=(1, 2, 400))
    results = sweep_and_stop(jobs, str(tmp_path), engine=engine, rule=rule, method="last", deadline=time.time() + 6)
    assert {result.outcome for result in results} == {"stopped"}


def test_stages_settle_what_ends_on_a_plateau(tmp_path):
    still = {"mode": "unit", "epochs": 9, "patience": 1, "learning_rate": 1e-30, "weight_decay": 0.0}
    jobs = Recipe.parse(VALUES | {"training": still}).jobs
    results = sweep_and_stop(
        jobs, str(tmp_path), engine=engine, rule=StoppingRule(risk=0, looks=(1, 3)), method="last"
    )  # fmt: skip
    assert {result.outcome for result in results} == {"finished"}


def test_the_command(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(VALUES | {"vary": {"learning_rate": [0.001, 0.01]}}))
    run = CliRunner().invoke
    for arguments, match in ((["--budget", "200"], "add --stop"), (["--budget", "2 hours"], "a time with units")):
        said = run(app, ["sweep", str(recipe), *arguments])
        assert isinstance(said.exception, InputError)
        assert match in str(said.exception)
    said = run(app, ["sweep", str(recipe), "--dry-run", "--budget", "2h", "--under", "ms=20"])
    assert said.exit_code == 0, said.output
    assert "dense-small (learning_rate" in said.stdout
