"""Finished runs of other tasks: what of them is seen, and which of a store's runs they are."""

import numpy as np
import pandas as pd
import pytest

from ncore.predict import Forecast, Predictor, Task, bundled, rank, rank_curves, tasks_from_store, tasks_of
from ncore.predict.predictors import registry


def test_nothing_later_is_seen(make_curve):
    curve = make_curve([0.1, 0.2, 0.3, 0.4], horizon=4, observed=0.45)
    curves, truth = Task("a", [curve]).as_of(2)
    assert curves[0].accuracy.tolist() == [0.1, 0.2]
    assert np.isnan(curves[0].observed)
    assert truth == [0.45]


def test_what_has_no_end_or_is_too_short_is_left_out(make_curve):
    kept = make_curve([0.1, 0.2, 0.3], horizon=5, observed=0.5)
    others = [
        make_curve([0.1, 0.2, 0.3], horizon=5),
        make_curve([0.1], horizon=5, observed=0.5),
        make_curve([0.1, 0.2], horizon=2, observed=0.5),
        make_curve([0.1, 0.2, 0.3], horizon=5, observed=0.5, status="failed"),
    ]
    assert len(Task("a", [kept, *others]).as_of(2)[0]) == 1


def test_a_group_is_the_name_unless_given():
    assert Task("a", ()).group == "a"
    assert Task("a", (), group="b").group == "b"


def run(candidate, dataset="other", **rest):
    return {"candidate": candidate, "dataset": dataset, "accuracy": [0.1, 0.2, 0.3], "test_accuracy": 0.4, **rest}


def test_a_store_gives_its_other_finished_tasks(make_store):
    store = make_store(
        run("a"),
        run("b"),
        run("a", dataset="digits"),
        run("b", dataset="digits"),
        run("a", dataset="alone"),
        run("a", dataset="unfinished", test_accuracy=np.nan),
        run("b", dataset="unfinished", test_accuracy=np.nan),
        run("a", mode="all", dataset="third"),
        run("b", mode="all", dataset="third"),
    )
    assert [task.name for task in tasks_from_store(store, "unit", without=["digits"])] == ["other, unit"]
    assert [task.group for task in tasks_from_store(store, "unit")] == ["digits", "other"]
    assert [task.name for task in tasks_from_store(store, "all")] == ["third, all"]
    assert tasks_from_store(make_store(), "unit") == []


def test_curves_of_unknown_datasets_are_no_task(make_curve):
    known = [make_curve([0.5], name, observed=0.5, dataset="x", mode="unit") for name in "ab"]
    assert [task.name for task in tasks_of([*known, make_curve([0.5], "c", observed=0.5)])] == ["x, unit"]


@pytest.fixture
def store(make_store):
    """Two datasets; on the other one, what is behind after two epochs ends first."""
    specs = []
    for number in range(12):
        early, final = 0.3 + 0.02 * number, 0.9 - 0.03 * number
        specs.append(run(f"c{number}", accuracy=[0.1, early / 2, early, final], test_accuracy=final, planned_epochs=4))
    specs += [run(name, "mine", accuracy=[0.1, value / 2, value]) for name, value in (("x", 0.35), ("y", 0.5))]
    return make_store(*specs)


class Spy(Predictor):
    """Reads nothing and remembers what it was fitted on."""

    name = label = description = "spy"
    learns = True

    def __init__(self):
        self.seen = []

    def fit(self, experience):
        self.seen.append([task.name for task in experience])
        return self

    def predict(self, curves):
        return [Forecast(0.5, 0.1) for _ in curves]


BENCHMARK = tuple(("unit", Task(f"{name}, unit", (), name)) for name in ("cifar10", "digits"))


@pytest.fixture
def spy(monkeypatch):
    """A method of that name, and a benchmark of two tasks."""
    spy = Spy()
    monkeypatch.setitem(registry._PREDICTORS, "spy", spy)
    monkeypatch.setattr(bundled, "_all_tasks", lambda: BENCHMARK)
    registry._taught.cache_clear()
    yield spy
    registry._taught.cache_clear()


def test_a_method_that_learns_is_given_the_others_of_the_store(store, spy):
    rank(store, dataset="mine", epochs=2, method="spy")
    assert spy.seen == [["other, unit", "cifar10, unit", "digits, unit"]]


def test_one_that_does_not_is_given_the_benchmark_once(store, spy):
    spy.learns = False
    for _ in range(2):
        rank(store, dataset="mine", epochs=2, method="spy")
    assert spy.seen == [["cifar10, unit", "digits, unit"]]


def test_tasks_with_the_same_images_are_left_out(make_curve, spy):
    curves = [make_curve([0.5, 0.6], dataset="CIFAR10 small", mode="unit")]
    rank_curves(curves, epochs=2, method="spy")
    rank_curves([make_curve([0.5, 0.6], dataset="other", mode="all")], epochs=2, method="spy")
    assert spy.seen == [["digits, unit"], []]


def test_what_is_said_outright_holds(make_curve, spy):
    curves = [make_curve([0.5, 0.6])]
    rank_curves(curves, epochs=2, method="spy", experience=())
    rank_curves(curves, epochs=2, method=spy)
    rank_curves(curves, epochs=2, method=spy, experience=[Task("a", ())])
    assert spy.seen == []


def test_slow_methods_are_not_fitted_on_the_benchmark(make_curve, spy):
    spy.slow = True
    rank_curves([make_curve([0.5, 0.6])], epochs=2, method="spy")
    rank_curves([make_curve([0.5, 0.6])], epochs=2, method="spy", experience=[Task("a", ())])
    assert spy.seen == [["a"]]


def test_the_table_of_the_benchmark_becomes_tasks(tmp_path):
    rows = [
        {
            "task": task,
            "dataset": "pictures",
            "mode": "unit",
            "candidate": candidate,
            "seed": seed,
            "epoch": epoch,
            "horizon": 3,
            "status": "failed" if candidate == "bad" else "finished",
            "test_accuracy": 0.7,
            "validation_accuracy": 0.1 * epoch,
            "validation_loss": 1 / epoch,
            "beta_eff_relative": 1 / epoch if candidate == "a" else np.nan,
        }
        for task in ("one", "two")
        for candidate in (("a", "b", "bad") if task == "one" else ("a",))
        for seed in (0, 1)
        for epoch in (3, 1, 2)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "bench.parquet")
    ((mode, task),) = bundled.read_tasks(tmp_path / "bench.parquet")
    assert (mode, task.name, task.group, len(task.curves)) == ("unit", "one, unit", "pictures", 4)
    first, last = task.curves[0], task.curves[-1]
    assert (first.candidate, first.seed, first.dataset, first.mode, first.horizon) == ("a", 0, "one", "unit", 3)
    np.testing.assert_allclose(first.accuracy, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(first.loss, [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(first.beta["relative"], [1, 1 / 2, 1 / 3])
    assert first.observed == 0.7
    assert first.train_accuracy is None
    assert last.beta == {}


@pytest.mark.with_benchmark
def test_the_committed_benchmark_calibrates_what_users_see(make_curve):
    """It comes with the package, and every quick method can be fitted on it."""
    tasks = bundled.benchmark_tasks()
    assert tasks
    assert all(np.isfinite(curve.observed) and curve.epochs.size for task in tasks for curve in task.curves)
    curves = [make_curve([0.1, 0.3 + 0.01 * n, 0.4 + 0.01 * n], f"{n}", horizon=24, mode="unit") for n in range(5)]
    own, taught = (rank_curves(curves, epochs=3, method="last", experience=given) for given in ((), None))
    assert taught["predicted"].tolist() == own["predicted"].tolist()
    assert (taught["upper"] - taught["lower"]).tolist() != (own["upper"] - own["lower"]).tolist()
