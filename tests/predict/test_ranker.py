"""What is measured and what is forecast, as of now and as of an earlier epoch, and trainings of other lengths."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.predict import Past, Ranker, Task, get_predictor, predictor_names, rank, rank_curves
from ncore.predict.bundled import benchmark_tasks
from ncore.predict.ranker import FORECAST, MEASURED, probability_ahead

Z = NormalDist().inv_cdf(0.95)


def test_what_has_ended_is_measured(make_curve):
    """The mean of the seeds, with the uncertainty of a mean and of a finite test set."""
    finals = [0.80, 0.84, 0.88]
    curves = [
        make_curve([0.5, 0.6], "a", seed, horizon=2, observed=final, test_images=400)
        for seed, final in enumerate(finals)
    ]
    table = rank_curves([*curves, make_curve([0.5], "b", horizon=2, status="running")]).set_index("candidate")
    row = table.loc["a"]
    sd = math.sqrt(np.var(finals, ddof=1) / 3 + 0.84 * 0.16 / 400)
    assert table["kind"].to_dict() == {"a": MEASURED, "b": FORECAST}
    assert row["predicted"] == row["observed"] == pytest.approx(0.84)
    assert (row["lower"], row["upper"]) == pytest.approx((0.84 - Z * sd, 0.84 + Z * sd))
    assert row["warning"] == ""
    assert table.loc["b", "warning"].startswith("running, with 1 epochs where others have 2")


def test_as_of_an_earlier_epoch_nothing_is_measured(make_curve):
    curves = [make_curve([0.5, 0.6, 0.7], name, horizon=3, observed=0.9) for name in "ab"]
    kinds = {k: set(rank_curves(curves, epochs=k, method="last")["kind"]) for k in (1, 2, 3, 4)}
    assert kinds == {1: {FORECAST}, 2: {FORECAST}, 3: {MEASURED}, 4: {MEASURED}}
    assert set(rank_curves(curves)["kind"]) == {MEASURED}


@pytest.mark.parametrize("other", [{"observed": math.nan}, {"status": "running"}, {"status": "interrupted"}])
def test_a_candidate_is_measured_when_all_its_runs_are(make_curve, other):
    ended = make_curve([0.5, 0.6], horizon=2, observed=0.7)
    going_on = replace(ended, seed=1, **other)
    failed = replace(ended, seed=2, status="failed", reason="out of memory", observed=math.nan)
    assert rank_curves([ended, going_on])["kind"].tolist() == [FORECAST]
    (row,) = rank_curves([ended, failed]).to_dict("records")
    assert (row["kind"], row["predicted"], row["seeds"]) == (MEASURED, 0.7, 1)
    assert "seed 2: failed: out of memory" in row["warning"]


def test_a_single_seed_borrows_the_spread_of_the_others_or_says_that_it_has_none(make_curve):
    alone = make_curve([0.5], "alone", horizon=1, observed=0.5)
    pair = [make_curve([0.5], "pair", seed, horizon=1, observed=final) for seed, final in enumerate((0.6, 0.7))]
    row = rank_curves([alone, *pair]).set_index("candidate").loc["alone"]
    assert row["upper"] - row["predicted"] == pytest.approx(Z * math.sqrt(0.005))
    (row,) = rank_curves([alone]).to_dict("records")
    assert math.isnan(row["lower"])
    assert "there is no interval" in row["warning"]
    (row,) = rank_curves([replace(alone, test_images=100)]).to_dict("records")
    assert row["upper"] - row["predicted"] == pytest.approx(Z * 0.05)
    assert "the noise of the test set only" in row["warning"]


def test_now_is_the_default_and_the_last_epoch(make_store):
    store = make_store(
        {"candidate": "a", "accuracy": [0.1, 0.5, 0.6], "planned_epochs": 5, "status": "running"},
        {"candidate": "b", "accuracy": [0.1, 0.4, 0.5, 0.55], "planned_epochs": 5, "status": "running"},
    )
    now = rank(store)
    assert now.attrs["epochs"] == 3
    assert now["predicted"].tolist() == rank(store, epochs=3)["predicted"].tolist()


@settings(deadline=None, max_examples=30)
@given(
    finals=st.lists(st.floats(0.05, 0.95), min_size=2, max_size=5),
    extra=st.integers(0, 3),
)
def test_the_better_of_two_is_told_from_the_ranking_of_all(make_curve, finals, extra):
    curves = [make_curve([0.9 * final, final], f"{index}") for index, final in enumerate(finals)]
    table = rank_curves([*curves, *(make_curve([0.3], f"late {index}") for index in range(extra))], 2, "last")
    one, two = probability_ahead(table, "0", "1"), probability_ahead(table, "1", "0")
    assert one + two == pytest.approx(1, abs=0.05)
    if finals[0] != finals[1]:
        assert (one > two) == (finals[0] > finals[1]) or abs(one - two) < 0.05


@settings(deadline=None, max_examples=50)
@given(length=st.integers(1, 40), count=st.integers(1, 80), seed=st.integers(0, 9))
def test_a_training_told_in_other_epochs_ends_where_it_ended(make_curve, length, count, seed):
    rng = np.random.default_rng(seed)
    accuracy, beta = np.sort(rng.random(length)), rng.random(length)
    curve = make_curve(accuracy, horizon=length, beta={"relative": beta}, loss=1 - accuracy, observed=0.5)
    told = curve.in_epochs(count)
    assert (told.horizon, told.observed) == (count, 0.5)
    assert told.epochs[-1] == count
    assert (told.accuracy[-1], told.loss[-1], told.beta["relative"][-1]) == (accuracy[-1], 1 - accuracy[-1], beta[-1])
    assert (np.diff(told.accuracy) >= 0).all()
    if length % count == 0:  # shares that were seen are read, not interpolated
        step = length // count
        assert told.accuracy.tolist() == accuracy[step - 1 :: step].tolist()


def test_what_was_not_recorded_is_not_made_up(make_curve):
    curve = make_curve([0.5, 0.6, 0.7], horizon=10, loss=[1.0, math.nan, 0.5])
    told = curve.in_epochs(100)
    assert (told.epochs[0], told.epochs[-1]) == (5, 30)
    assert np.isnan(told.loss[(told.epochs > 10) & (told.epochs < 30)]).all()
    empty = make_curve([], horizon=10).in_epochs(3)
    assert (empty.horizon, empty.epochs.size) == (3, 0)
    assert curve.in_epochs(10) is curve


def thinned(curve, every):
    """The same training, said in fewer epochs."""
    kept = curve.epochs % every == 0
    other = {name: None if (v := getattr(curve, name)) is None else v[kept] for name in ("loss", "train_loss")}
    return replace(
        curve,
        epochs=curve.epochs[kept] // every,
        accuracy=curve.accuracy[kept],
        beta={name: values[kept] for name, values in curve.beta.items()},
        train_accuracy=None if curve.train_accuracy is None else curve.train_accuracy[kept],
        horizon=curve.horizon // every,
        **other,
    )


@pytest.mark.with_benchmark
@pytest.mark.parametrize("every", [2, 4, 8])
@pytest.mark.parametrize("mode", ["all", "backbone", "unit"])
def test_the_default_knows_how_much_of_a_training_is_done(mode, every):
    """Trainings said in fewer epochs are forecast no worse than by the last accuracy, in the mean over datasets."""
    errors = {}
    for task in benchmark_tasks(mode)[::4]:  # one of each dataset, of which nothing is learned
        curves = [replace(thinned(curve, every), status="interrupted") for curve in task.curves]
        for k in {1, curves[0].horizon // 2, curves[0].horizon - 1}:
            for method in ("history-logme", "last"):
                table = rank_curves(curves, k, method)
                errors.setdefault((k, method), []).append((table["predicted"] - table["observed"]).abs().mean())
    for k, method in errors:
        assert np.mean(errors[k, method]) <= np.mean(errors[k, "last"]) + 0.02, k


def a_task(make_curve, name, rng, length, lift):
    """Runs whose accuracy rises on a line by ``lift`` from the middle on."""
    curves = []
    for number in range(12):
        base = rng.uniform(0.3, 0.6)
        share = np.arange(1, length + 1) / length
        accuracy = base + lift * np.clip(share - 0.5, 0, 1) + 0.003 * rng.normal(size=length)
        curves.append(
            make_curve(accuracy, f"{number}", horizon=length, observed=base + lift / 2, mode="unit", dataset=name)
        )
    return Task(f"{name}, unit", curves, name)


def test_the_last_accuracy_stands_in_where_a_method_is_no_better(make_curve):
    """Tasks that go on in opposite ways teach a method nothing, but for what it takes from them."""
    rng = np.random.default_rng(0)
    tasks = [a_task(make_curve, name, rng, 20, lift) for name, lift in (("up", 0.6), ("down", -0.4), ("on", 0.0))]
    curves = [curve.in_epochs(10).until(4) for curve in a_task(make_curve, "new", rng, 20, 0.0).curves]
    past = Past(["new"], "unit", lambda: tasks)
    table, last = (Ranker(method, past).rank(curves) for method in ("history", "last"))
    assert table["warning"].str.contains("the last accuracy stands in: after 4 of 10 epochs").all()
    assert table["predicted"].tolist() == last["predicted"].tolist()
    same = [task for task in tasks if task.group == "on"] + [a_task(make_curve, "steady", rng, 20, 0.0)]
    alike = Ranker("history", Past(["new"], "unit", lambda: same)).rank([replace(c, horizon=10) for c in curves])
    assert len(alike) == 12


@pytest.mark.parametrize("method", predictor_names())
def test_at_the_length_of_what_was_learned_nothing_changes(make_curve, method):
    """Fitted for each length, a method says what it says when it is fitted on the tasks as they are."""
    rng = np.random.default_rng(1)
    tasks = [a_task(make_curve, name, rng, 10, lift) for name, lift in (("a", 0.2), ("b", 0.3), ("c", 0.1))]
    predictor = get_predictor(method)
    if predictor.strength is not None:
        pytest.skip("no beta_eff here")
    curves = [curve.until(4) for curve in a_task(make_curve, "new", rng, 10, 0.2).curves]
    assert predictor.fit(tasks).predict(curves) == predictor.predictor.fit(tasks).predict(curves)
