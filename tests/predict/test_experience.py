"""Finished runs of other tasks: what of them is seen, and which of a store's runs they are."""

import numpy as np
import pytest

from ncore.predict import Task, rank, tasks_from_store, tasks_of


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


def test_a_method_that_learns_is_given_them(store):
    seen = []

    from ncore.predict import Forecast, Predictor

    class Spy(Predictor):
        name = label = description = "spy"
        learns = True

        def fit(self, experience):
            seen.extend(experience)
            return self

        def predict(self, curves):
            return [Forecast(0.5, 0.1) for _ in curves]

    rank(store, dataset="mine", epochs=2, method=Spy())
    assert [task.name for task in seen] == ["other, unit"]
    assert {curve.dataset for task in seen for curve in task.curves} == {"other"}
    seen.clear()
    Spy.learns = False
    rank(store, dataset="mine", epochs=2, method=Spy())
    assert seen == []
