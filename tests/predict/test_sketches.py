"""Data that share pictures are told by their sketches, whatever they are called and however much larger one is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import ncore
from ncore.benchmark.cases import cases_from_store, leave_dataset_out
from ncore.cli import app
from ncore.predict import bundled, sketches
from ncore.predict.curves import Curve, curves_from_store
from ncore.predict.experience import Task, tasks_of
from ncore.predict.notes import said_of_past
from ncore.predict.predictors.registry import get_predictor
from ncore.predict.ranker import Past, Ranker
from ncore.predict.ranking import rank_curves
from ncore.predict.sketches import alike, recognised, shared, sketch_of
from ncore.probe._content import SKETCHED, digests_of
from ncore.probe.datasets import Dataset, load_dataset
from ncore.store import create_store

RNG = np.random.default_rng(0)


def pictures(count):
    return RNG.integers(0, 2**64, count, dtype=np.uint64)


def sketch(digests, count=SKETCHED):
    return tuple(np.sort(digests)[:count].tolist())


WHOLE = pictures(60_000)


@pytest.mark.parametrize("kept", [64, 4096])
@pytest.mark.parametrize("size", [60_000, 30_000, 20_000])
def test_parts_of_a_dataset_are_alike(kept, size):
    part = RNG.choice(WHOLE, size, replace=False)
    assert alike(sketch(part), sketch(WHOLE, kept))
    assert alike(sketch(WHOLE, kept), sketch(part))
    assert shared(sketch(part), sketch(WHOLE, kept))[0] == 1


@pytest.mark.parametrize("size", [200, 500, 1000, 2000, 6000])
def test_small_parts_are_alike_to_what_has_a_long_sketch(size):
    assert alike(sketch(RNG.choice(WHOLE, size, replace=False)), sketch(WHOLE, 4096))


@pytest.mark.parametrize("size", [3, 64, 500, 5000, 70_000, 200_000])
def test_others_are_not(size):
    other = pictures(size)
    assert not alike(sketch(other), sketch(WHOLE, 4096))
    few = np.concatenate([other, WHOLE[: size // 100]])  # one in a hundred
    assert not alike(sketch(few), sketch(WHOLE, 4096))


@pytest.mark.parametrize("times", [2, 5, 20])
def test_what_contains_a_dataset_is_alike(times):
    more = np.concatenate([WHOLE, pictures((times - 1) * len(WHOLE))])
    assert alike(sketch(more), sketch(WHOLE, 4096))


@pytest.mark.parametrize("found", [None, "nonsense", ["xyz"], [1, 2], {}, 3, [None], []])
def test_what_is_no_sketch_is_none(found):
    assert sketch_of(found) == ()
    assert not alike((), sketch(WHOLE))


def test_digests_are_read_as_runs_have_them():
    data = load_dataset("digits")
    found = sketch_of(digests_of(data)["sketch"])
    assert found == tuple(sorted(found))
    assert len(found) == SKETCHED


DIGITS = load_digits()
FORMS = {
    "the dataset itself": lambda: load_dataset("digits"),
    "a hundred of them": lambda: load_dataset("digits", train=60, validation=20, test=20),
    "as they come": lambda: Dataset.from_arrays(DIGITS.images.astype(np.uint8), DIGITS.target),
    "as fractions": lambda: Dataset.from_arrays(DIGITS.images / 16, DIGITS.target),
    "rounded down": lambda: Dataset.from_arrays((DIGITS.images * 255 / 16).astype(np.uint8), DIGITS.target),
    "in colours": lambda: Dataset.from_arrays(np.repeat(DIGITS.images[..., None] / 16, 3, 3), DIGITS.target),
    "odd and even": lambda: Dataset.from_arrays(DIGITS.images / 16, DIGITS.target % 2),
    "half of them": lambda: Dataset.from_arrays(DIGITS.images[::2] / 16, DIGITS.target[::2]),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_digits_are_recognised_in_every_form(form):
    assert recognised([sketch_of(digests_of(FORMS[form]())["sketch"])]) == ("digits",)


def test_pictures_of_ones_own_are_not_recognised():
    data = Dataset.from_arrays(RNG.integers(0, 256, (90, 8, 8)).astype(np.uint8), np.arange(90) % 3)
    assert recognised([sketch_of(digests_of(data)["sketch"])]) == ()


def test_all_datasets_of_the_benchmark_have_sketches():
    groups = {task.group for _, task in bundled.read_tasks(bundled.TABLE)}
    assert set(sketches._of_benchmark()) == groups


def test_without_the_file_nothing_is_recognised(tmp_path, monkeypatch):
    own = sketch_of(digests_of(load_dataset("digits"))["sketch"])
    monkeypatch.setattr(sketches, "SKETCHES", tmp_path / "absent.parquet")
    sketches._of_benchmark.cache_clear()
    try:
        assert recognised([own]) == ()
    finally:
        sketches._of_benchmark.cache_clear()


def curves(name, own=(), observed=False, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Curve(
            candidate,
            0,
            np.arange(1, 6),
            np.clip(0.3 + 0.1 * at + 0.05 * np.arange(1, 6) + rng.normal(0, 0.01, 5), 0, 1),
            {},
            horizon=5 if observed else 10,
            observed=0.5 + 0.1 * at if observed else float("nan"),
            dataset=name,
            mode="unit",
            sketch=own,
        )
        for at, candidate in enumerate("abcd")
    ]


@pytest.mark.with_benchmark
@pytest.mark.parametrize("method", ["last", "history-logme"])
def test_the_benchmarks_pictures_are_held_out_under_any_name(method):
    own = sketch_of(digests_of(load_dataset("digits"))["sketch"])
    told, hidden, unknown = (
        Ranker(method, Past([name], "unit")).rank(curves(name, sketch), epochs=3)
        for name, sketch in (("digits", ()), ("mine", own), ("mine", ()))
    )
    assert hidden.attrs["held_out"] == ["digits"]
    assert "held_out" not in told.attrs
    assert "held_out" not in unknown.attrs
    columns = ["candidate", "predicted", "lower", "upper", "p_best"]
    assert hidden[columns].equals(told[columns])
    assert not hidden[columns].equals(unknown[columns])
    standings = [Ranker(method, Past([name], "unit")).standing(curves(name, sketch))
                 for name, sketch in (("digits", ()), ("mine", own))]  # fmt: skip
    assert standings[0] == standings[1]


def test_ones_own_past_on_the_same_pictures_is_held_out():
    whole, other = sketch(WHOLE), sketch(pictures(500))
    part = sketch(RNG.choice(WHOLE, 20_000, replace=False))
    tasks = [Task(name, curves(name, own, observed=True, seed=at), group=name)
             for at, (name, own) in enumerate((("part", part), ("other", other), ("unknown", ())))]  # fmt: skip
    past = Past(["whole"], "unit", lambda: tasks)
    ranked = curves("whole", whole)
    assert [task.name for task in past.without(ranked).own] == ["other", "unknown"]
    assert past.without(ranked) is past.without(list(reversed(ranked)))
    assert past.without([replace(curve, sketch=()) for curve in ranked]) is past


def test_ones_own_past_that_is_held_out_is_named_where_it_would_have_been_learned_from():
    whole = sketch(WHOLE)
    part = sketch(RNG.choice(WHOLE, 20_000, replace=False))
    names = {"mine": sketch(pictures(500)), "odd, in a way": part, "digits": part, "more": whole, "unknown": ()}
    tasks = tasks_of([
        curve for at, (name, own) in enumerate(names.items()) for curve in curves(name, own, observed=True, seed=at)
    ])  # fmt: skip
    past = Past(["whole"], "unit", lambda: tasks)
    ranked = curves("whole", whole)
    for method, expected in (("history", ["digits", "more", "odd, in a way"]), ("last", [])):
        found = Ranker(method, past).rank(ranked, epochs=3)
        assert found.attrs.get("held_out", []) == expected
        assert [name for name in names if f" {name}" in said_of_past(found)] == [n for n in names if n in expected]
    assert "held_out" not in Ranker("history", past).rank(curves("whole"), epochs=3).attrs
    assert "held_out" not in Ranker(get_predictor("history"), past).rank(ranked, epochs=3).attrs
    assert "held_out" not in rank_curves(ranked, epochs=3, method="history", experience=[]).attrs


@pytest.mark.parametrize("count", [1, 5, 6, 40])
def test_many_that_are_held_out_are_counted_in_one_sentence(count):
    whole = sketch(WHOLE)
    tasks = [Task(f"{at}", curves(f"data-{at}", whole, observed=True, seed=at)) for at in range(count)]
    found = Ranker("history", Past(["whole"], "unit", lambda: tasks)).rank(curves("whole", whole), epochs=3)
    assert len(found.attrs["held_out"]) == count
    assert said_of_past(found).count("data-") == min(count, 5)
    assert (f" and {count - 5} more:" in said_of_past(found)) is (count > 5)


def test_datasets_that_share_pictures_are_one_group(tmp_path):
    parts = {"a": WHOLE[:30_000], "b": WHOLE[20_000:50_000], "c": WHOLE[45_000:], "d": pictures(900), "e": None}
    known = {name: () if own is None else sketch(own) for name, own in reversed(parts.items())}
    tasks = tasks_of([curve for name, own in known.items() for curve in curves(name, own, observed=True)])
    assert {task.name: task.group for task in tasks} == {
        "a, unit": "a", "b, unit": "a", "c, unit": "a", "d, unit": "d", "e, unit": "e",
    }  # fmt: skip


def test_evaluation_learns_nothing_of_the_same_pictures(tmp_path):
    store = create_store(str(tmp_path / "runs"))
    whole = load_dataset("digits")
    own = {"whole": digests_of(whole), "part": digests_of(load_dataset("digits", train=500)), "other": {}}
    for name, digests in own.items():
        for at, candidate in enumerate("abcd"):
            run = store.new_run(candidate=candidate, dataset=name, seed=0, mode="unit", config={}, planned_epochs=1)
            run.describe(digests=digests)
            measured = {"split": ["validation", "test"], "name": ["accuracy"] * 2, "value": [0.5 + at / 9] * 2}
            run.write_epoch(1, metrics=measured)
            run.finish()
    cases = {case.name: case for case in cases_from_store(store)}
    assert {name: case.dataset for name, case in cases.items()} == {"whole": "part", "part": "part", "other": "other"}
    for name, expected in (("whole", {"other"}), ("part", {"other"}), ("other", {"whole", "part"})):
        assert {other.name for other in leave_dataset_out(cases[name], list(cases.values()))} == expected


@pytest.mark.with_benchmark
def test_from_the_pictures_to_the_ranking(tmp_path):
    store = create_store(str(tmp_path / "runs"))
    digests = digests_of(load_dataset("digits", train=200))
    for candidate, accuracy in (("a", 0.5), ("b", 0.6)):
        run = store.new_run(candidate=candidate, dataset="mine", seed=0, mode="unit", config={}, planned_epochs=4)
        run.describe(digests=digests)
        for epoch in (1, 2):
            measured = {"split": ["validation"], "name": ["accuracy"], "value": [accuracy + epoch / 100]}
            run.write_epoch(epoch, metrics=measured)
        run.close("left")
    assert {curve.sketch for curve in curves_from_store(store)} == {sketch_of(digests["sketch"])}
    assert ncore.rank(store, epochs=2).attrs["held_out"] == ["digits"]
    said = CliRunner().invoke(app, ["rank", str(tmp_path / "runs"), "--epochs", "2"])
    assert "This data shares examples with digits: what past runs on these taught was left out." in said.output
