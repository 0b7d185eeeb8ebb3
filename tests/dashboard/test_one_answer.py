"""Everybody who asks who is the best gets the same numbers: the library, the command, pages, reports, and --stop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ncore_dashboard.data import rankings
from ncore_dashboard.data.library import Library
from ncore_dashboard.report.evidence import evidence_from_store
from typer.testing import CliRunner

import ncore
from ncore.cli import app
from ncore.predict import Past, Ranker, curves_from_store, predictor_names
from ncore.predict.experience import tasks_from_store
from ncore.predict.stopping import Standing, StoppingRule
from ncore.probe.job import Job
from ncore.store import create_store
from ncore.sweep.recipe import Recipe
from ncore.sweep.stages import _Stages

EPOCHS, LOOK = 8, 3
NUMBERS = ["predicted", "lower", "upper", "rank", "p_best", "seeds", "epochs", "observed"]


def made_up_store(place: Path, seed: int) -> list[Job]:
    """Runs on several datasets, in two modes: slow starters end best, some runs go on, some have hardly begun."""
    rng, jobs = np.random.default_rng(seed), []
    store = create_store(place)
    for mode, datasets in (("unit", ["alpha", "beta, too", "gamma"]), ("all", ["alpha", "gamma"])):
        recipe = Recipe.parse(
            {
                "candidates": [{"source": "dense-small", "name": f"net {index}"} for index in range(6)],
                "datasets": [{"source": "digits", "name": name} for name in datasets],
                "seeds": [0, 1] if mode == "unit" else [3],
                "training": {"mode": mode, "epochs": EPOCHS},
                "store": str(place),
            }
        )
        jobs += recipe.jobs
    for job in jobs:
        index = int(job.candidate.name[-1])
        final, rate = 0.5 + 0.06 * index + 0.02 * rng.normal(), 0.15 if index >= 3 else 0.9
        going_on = job.dataset.name == "gamma" and rng.random() < 0.4
        last = int(rng.integers(0, EPOCHS)) if going_on else EPOCHS
        writer = store.new_run(**job.identity, planned_epochs=EPOCHS)
        for epoch in range(last + 1):
            seen = float(np.clip(final * (1 - 0.6 * np.exp(-rate * epoch)) + 0.01 * rng.normal(), 0.05, 0.99))
            rows = [("validation", "accuracy", seen), ("validation", "loss", 1.1 - seen)]
            rows += [("probe", "logme", final + 0.1 * rng.normal())] if epoch == 0 else []
            rows += [("test", "accuracy", float(np.clip(final, 0, 1)))] if epoch == EPOCHS else []
            names = ("split", "name", "value")
            columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
            beta = 3 * np.exp(-rate * epoch) + 0.1 * rng.random(3)
            writer.write_epoch(
                epoch,
                metrics=columns | {"seconds": [epoch + 1.0] * len(rows)},
                capacitance={
                    "strength": ["absolute", "relative", "signed"],
                    "layer": [0, 0, 0],
                    "beta_eff": beta.tolist(),
                    "numerator": beta.tolist(),
                    "denominator": [1.0] * 3,
                    "conditioning": [1.0] * 3,
                    **dict.fromkeys(
                        ("mean_degree", "symmetry", "heterogeneity", "in_degree_std", "out_degree_std"), [1.0] * 3
                    ),
                },
            )
        writer.close("stopped for now") if last < EPOCHS else writer.finish()
    return jobs


@pytest.fixture(scope="module", params=[0, 1])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Job], Library]:
    place = tmp_path_factory.mktemp("answers") / "runs"
    return place, made_up_store(place, request.param), Library([str(place)])


def on_the_page(books: Library, dataset: str, mode: str, method: str, k: int) -> pd.DataFrame | str:
    runs = books.runs()
    keys = runs.loc[(runs["dataset"] == dataset) & (runs["mode"] == mode), "key"]
    return rankings.ranking([books.curve(key) for key in keys], Ranker(method, books.past(dataset, mode)), k)


def by_command(place: Path, dataset: str, mode: str, method: str, epochs: str) -> pd.DataFrame:
    arguments = ["rank", str(place), "--dataset", dataset, "--mode", mode, "--method", method, "--epochs", epochs]
    found = CliRunner().invoke(app, [*arguments, "--json"])
    assert found.exit_code == 0, found.output
    return pd.DataFrame(json.loads(found.stdout))


def as_stopping_has_it(place: Path, jobs: list[Job], method: str, look: int) -> Standing:
    """Of the jobs of one dataset and mode."""
    opened = create_store(place)
    ranker = Ranker.of(opened, jobs[0].dataset.name, jobs[0].settings.mode, method)
    stages = _Stages(opened, str(place), jobs, lambda *_: iter(()), StoppingRule(), ranker, lambda _: None)
    return stages._standing(look)


@pytest.mark.parametrize("method", predictor_names())
def test_there_is_one_answer(made: tuple[Path, list[Job], Library], method: str) -> None:
    place, jobs, books = made
    dataset, mode = "gamma", "unit"
    first = ncore.rank(place, dataset, LOOK, method, mode)
    page = on_the_page(books, dataset, mode, method, LOOK)
    report = evidence_from_store(ncore.open_store(place), dataset, LOOK, method, mode, "runs").ranking
    assert isinstance(page, pd.DataFrame)
    for other in (page, report):
        pd.testing.assert_frame_equal(other, first, check_exact=True)
        assert other.attrs == first.attrs
    command = by_command(place, dataset, mode, method, str(LOOK))
    assert command["candidate"].tolist() == first["candidate"].tolist()
    np.testing.assert_allclose(command[NUMBERS].to_numpy(float), first[NUMBERS].to_numpy(float), rtol=0, atol=1e-14)
    mine = [job for job in jobs if (job.dataset.name, job.settings.mode) == (dataset, mode)]
    now = as_stopping_has_it(place, mine, method, LOOK)
    rated = first[first["predicted"].notna()].set_index("candidate")["p_best"]
    assert {name: now.probability(name) for name in rated.index} == rated.to_dict()


def test_a_pruner_gives_it_too(made: tuple[Path, list[Job], Library]) -> None:
    pytest.importorskip("optuna")
    from ncore.sweep.optuna import ForecastPruner

    store = ncore.open_store(made[0])
    past = tasks_from_store(store, "unit", ["gamma"])
    curves = [curve.until(LOOK) for curve in curves_from_store(store, "gamma", "unit")]
    for method in predictor_names():
        pruner = ForecastPruner(EPOCHS, method=method, mode="unit", dataset="gamma", experience=past)
        assert pruner.ranker.standing(curves) == Ranker.of(store, "gamma", "unit", method).standing(curves)


@pytest.mark.with_benchmark
def test_it_is_one_with_the_benchmark_and_as_of_now(made: tuple[Path, list[Job], Library]) -> None:
    place = made[0]
    books = Library([str(place)])  # one that has learned nothing without the benchmark
    for dataset, mode in (("gamma", "unit"), ("alpha", "all")):
        now = ncore.rank(place, dataset, mode=mode)
        k = now.attrs["epochs"]
        page = on_the_page(books, dataset, mode, "history-logme", k)
        report = evidence_from_store(ncore.open_store(place), dataset, None, "history-logme", mode, "runs")
        assert isinstance(page, pd.DataFrame)
        assert report.k == k
        for other in (page, report.ranking):
            pd.testing.assert_frame_equal(other.drop(columns="warning"), now.drop(columns="warning"), check_exact=True)
        command = by_command(place, dataset, mode, "history-logme", "now")
        np.testing.assert_allclose(command[NUMBERS].to_numpy(float), now[NUMBERS].to_numpy(float), rtol=0, atol=1e-14)
        if dataset == "alpha":  # all have ended
            assert now["kind"].eq("measured").all()
            assert now["predicted"].tolist() == now["observed"].tolist()


def test_the_past_is_read_when_it_is_needed_and_kept_as_long_as_it_holds(made: tuple[Path, list[Job], Library]) -> None:
    place, _, _ = made
    books = Library([str(place)])
    past = books.past("gamma", "unit")
    past.teach("last")
    assert "own" not in vars(past)  # nothing was read for a method that doesn't learn
    past.teach("history")
    assert [task.group for task in past.own] == ["alpha", "beta, too"]
    assert books.past("gamma", "unit") is past
    assert books.past("alpha", "unit") is not past


def test_what_the_past_holds_does_not_depend_on_how_stores_are_cut(
    made: tuple[Path, list[Job], Library], tmp_path: Path
) -> None:
    """Two stores with half of the runs each teach what one with all does."""
    place, _, _ = made
    whole = ncore.open_store(place)
    halves = [create_store(tmp_path / name) for name in ("one", "two")]
    for number, run in enumerate(sorted(whole.runs()["run"])):
        shutil.copytree(place / run, tmp_path / ("one", "two")[number % 2] / run)
    curves = curves_from_store(whole, "gamma", "unit")
    first = Ranker.of(whole, "gamma", "unit").rank(curves, LOOK)
    pd.testing.assert_frame_equal(Ranker.of(halves, "gamma", "unit").rank(curves, LOOK), first, check_exact=True)
    books = Library([str(tmp_path / "one"), str(tmp_path / "two")])
    page = on_the_page(books, "gamma", "unit", "history-logme", LOOK)
    assert isinstance(page, pd.DataFrame)
    pd.testing.assert_frame_equal(page, first, check_exact=True)


def test_an_end_does_not_leak_into_what_would_have_been_said(made: tuple[Path, list[Job], Library]) -> None:
    """Other ends of the same runs change nothing as of an earlier epoch, for any method."""
    from dataclasses import replace

    store = ncore.open_store(made[0])
    curves = curves_from_store(store, "gamma", "unit")
    others = [
        replace(curve, observed=1 - curve.observed, accuracy=np.where(curve.epochs > LOOK, 0.2, curve.accuracy))
        for curve in curves
    ]
    past = Past.of(store, "gamma", "unit")
    for method in predictor_names():
        one, other = (Ranker(method, past).rank(given, LOOK).drop(columns="observed") for given in (curves, others))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
