"""Variants of candidates: recipes that vary settings, rankings that judge by the best, sweeps that stop pairs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ncore_dashboard.report import report_html
from ncore_dashboard.report.evidence import evidence_from_store
from typer.testing import CliRunner

import ncore
from ncore.cli import app
from ncore.errors import InputError
from ncore.predict import Curve, rank_curves
from ncore.predict.choosing import judged
from ncore.predict.experience import tasks_of
from ncore.predict.stopping import StoppingRule
from ncore.sweep import Recipe, run_id, sweep
from ncore.sweep.plan import plan
from ncore.sweep.running import execute
from ncore.sweep.stages import sweep_and_stop

VALUES = {
    "candidates": [
        "dense-small",
        {"source": "lenet-small", "name": "fixed", "training": {"learning_rate": 0.01}},
    ],
    "datasets": [{"source": "digits", "train": 200, "validation": 100, "test": 100}],
    "training": {"mode": "unit", "epochs": 3},
    "recording": {"neurons": 4, "line_graph_every": 0},
    "vary": {"learning_rate": [1e-6, 0.01], "unit": {"widths": [[32, 16], [16, 8]]}},
}


def engine(jobs, store):
    return ((job, execute(job, store)) for job in jobs)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    place = str(tmp_path_factory.mktemp("varied"))
    jobs = Recipe.parse(VALUES).jobs
    assert {result.outcome for result in sweep(jobs, place, engine=engine)} == {"finished"}
    return place, jobs


def test_every_combination_is_a_run_and_what_a_candidate_fixes_is_not_varied():
    jobs = Recipe.parse(VALUES).jobs
    assert [job.name for job in jobs] == [
        "dense-small (learning_rate 1e-06, widths [32, 16])",
        "dense-small (learning_rate 1e-06, widths [16, 8])",
        "dense-small (learning_rate 0.01, widths [32, 16])",
        "dense-small (learning_rate 0.01, widths [16, 8])",
        "fixed (widths [32, 16])",
        "fixed (widths [16, 8])",
    ]
    assert {(job.settings.learning_rate, job.settings.unit.widths) for job in jobs[4:]} == {
        (0.01, (32, 16)),
        (0.01, (16, 8)),
    }
    assert len({run_id(job) for job in jobs}) == len(jobs)


def test_a_variant_is_the_run_that_would_be_made_of_its_settings():
    """Whoever tried a rate by hand before has that run already."""
    by_hand = VALUES | {"training": {"mode": "unit", "epochs": 3, "learning_rate": 0.01, "unit": {"widths": [16, 8]}}}
    del by_hand["vary"]
    (alone, _), varied = Recipe.parse(by_hand).jobs, Recipe.parse(VALUES).jobs
    assert run_id(alone) == run_id(varied[3])


@pytest.mark.parametrize(
    ("vary", "match"),
    [
        ({"learning_rat": [1]}, "'learning_rat' is no setting that can be varied.*learning_rate"),
        ({"mode": ["unit", "all"]}, "'mode', which is not varied: write a recipe for each"),
        ({"threads": [1, 2]}, "'threads', which is not varied"),
        ({"learning_rate": 0.1}, r"learning_rate is 0.1, but a list of values is needed, as in \[0.1\]"),
        ({"learning_rate": []}, "a list of values is needed"),
        ({"weight_decay": [0.1, 0.01, 0.1]}, "has 0.1 twice"),
        ({"learning_rate": [0.1, -1]}, "learning_rate is -1"),
        ({"unit.width": [[1]]}, "'unit.width' is no setting"),
        ({"unit": {"dropout": [0.1]}, "unit.dropout": [0.2]}, "names 'unit.dropout' twice"),
        ([1], "vary is .1., but a mapping"),
    ],
)
def test_what_can_not_be_varied_is_one_sentence(vary, match):
    with pytest.raises(InputError, match=match) as caught:
        Recipe.parse(VALUES | {"vary": vary})
    assert "\n" not in str(caught.value)


def test_a_ranking_judges_by_the_best_variant_and_says_so(swept):
    place, jobs = swept
    table = ncore.rank(place, method="last").set_index("candidate")
    assert set(table.index) == {"dense-small", "fixed"}
    assert table.loc["dense-small", "warning"].startswith("best of 4 variants: learning_rate 0.01, widths")
    assert "best of 2 variants: widths" in table.loc["fixed", "warning"]
    assert "flatters" not in table.loc["fixed", "warning"]  # it is measured on the test set, which did not choose
    every = ncore.rank(place, method="last", all_variants=True)
    assert set(every["candidate"]) == {job.name for job in jobs}
    store = ncore.open_store(place)
    chosen = table.attrs["variants"]["dense-small"].variant
    rows = store.runs().set_index("run")
    validation = {job.name: rows.loc[run_id(job), "validation_accuracy"] for job in jobs[:4]}
    assert validation[chosen] == max(validation.values())
    early = ncore.rank(place, method="last", epochs=2).set_index("candidate")
    assert set(early["kind"]) == {"forecast"}
    assert json.loads(CliRunner().invoke(app, ["rank", place, "--variants", "--json"]).stdout)


def made(name, rate, validation, test, seed=0):
    accuracy = np.array(validation)
    return Curve(
        name, seed, np.arange(1, len(accuracy) + 1), accuracy, {}, len(accuracy), observed=test,
        settings={"training.learning_rate": rate}, test_images=100,
    )  # fmt: skip


def test_test_accuracy_has_no_part_in_the_choice():
    """The variant that is better on validation data is chosen, although the other has the better test accuracy."""
    curves = [made("net", 0.1, [0.5, 0.8], 0.60), made("net", 0.01, [0.5, 0.7], 0.95), made("b", 0.1, [0.5, 0.6], 0.7)]
    table = rank_curves(curves, method="last")
    row = table.set_index("candidate").loc["net"]
    assert row["predicted"] == row["observed"] == 0.60
    assert row["warning"].startswith("best of 2 variants: learning_rate 0.1")
    assert table["candidate"].tolist() == ["b", "net"]
    assert judged(curves, table) == [curves[0], curves[2]]


@pytest.mark.parametrize("count", [2, 8])
def test_what_choosing_flatters_a_forecast_by_is_said(count):
    rng = np.random.default_rng(0)
    curves = [
        made("net", float(rate), [0.5, 0.6 + rng.normal() / 100], float("nan"))
        for rate in range(1, count + 1)
    ]  # fmt: skip
    curves = [Curve(**{**curve.__dict__, "horizon": 9, "status": "running"}) for curve in curves]
    (row,) = rank_curves(curves, method="last").to_dict("records")
    assert row["kind"] == "forecast"
    assert f"best of {count} variants" in row["warning"]
    assert "flatters its forecast by up to" in row["warning"]


def test_what_is_learned_of_the_past_is_the_best_variant():
    curves = [made("net", 0.1, [0.5, 0.8], 0.6), made("net", 0.01, [0.5, 0.7], 0.9), made("b", 0.1, [0.4, 0.6], 0.7)]
    named = [replace(curve, dataset="d", mode="all") for curve in curves]
    (task,) = tasks_of(named)
    assert {(curve.candidate, curve.observed) for curve in task.curves} == {("net", 0.6), ("b", 0.7)}


def test_a_report_speaks_of_the_variants_that_count(swept):
    place, _ = swept
    html = report_html(place, method="last")
    assert "best of 4 variants: learning_rate 0.01" in html
    evidence = evidence_from_store(ncore.open_store(place), None, None, "last", None, "")
    assert len(evidence.curves) == 2
    assert {name: values.size for name, values in evidence.finals.items()} == {"dense-small": 1, "fixed": 1}


def test_variants_of_which_one_failed():
    failed = Curve("net", 0, np.array([], int), np.array([]), {}, 2, status="failed", reason="no",
                   settings={"training.learning_rate": 9.0})  # fmt: skip
    (row,) = rank_curves([failed, made("net", 0.1, [0.4, 0.5], 0.5)], method="last").to_dict("records")
    assert row["warning"].startswith("best of 2 variants: learning_rate 0.1 (1 can't be compared)")


def test_pairs_are_stopped_not_candidates(tmp_path):
    values = VALUES | {"vary": {"learning_rate": [1e-6, 0.01]}, "training": {"mode": "unit", "epochs": 6}}
    jobs = Recipe.parse(values | {"candidates": ["dense-small", "lenet-small"]}).jobs
    results = sweep_and_stop(
        jobs, str(tmp_path), engine=engine, rule=StoppingRule(looks=(1, 2, 4)), method="last"
    )  # fmt: skip
    outcome = {result.job.name: result.outcome for result in results}
    assert {outcome[f"{name} (learning_rate 1e-06)"] for name in ("dense-small", "lenet-small")} == {"stopped"}
    assert "finished" in outcome.values()
    table = ncore.rank(str(tmp_path), method="last")
    assert set(table["candidate"]) == {"dense-small", "lenet-small"}


def test_a_plan_tells_variants(swept):
    place, jobs = swept
    table = plan(jobs, place)
    assert table["variant"].tolist()[:1] == ["learning_rate 1e-06, widths [32, 16]"]
    assert set(table["action"]) == {"skip"}
