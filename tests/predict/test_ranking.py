"""Ranking: invariances, the combination of seeds, intervals, p_best, and every row that needs a word."""

import math
import sys
import time
from statistics import NormalDist
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.errors import InputError
from ncore.predict import Forecast, Predictor, predictor_names, rank, rank_curves
from ncore.predict.combining import DRAWS, combine, probability_of_best
from ncore.predict.ranker import COLUMNS

accuracy_lists = st.lists(st.floats(0, 1), min_size=1, max_size=5)
tasks = st.lists(st.lists(accuracy_lists, min_size=1, max_size=3), min_size=1, max_size=5)


def as_curves(make_curve, task):
    return [
        make_curve(values, candidate=f"candidate {number}", seed=seed)
        for number, seeds in enumerate(task)
        for seed, values in enumerate(seeds)
    ]


@settings(deadline=None, max_examples=40)
@given(task=tasks, method=st.sampled_from(["last", "best", "mean"]), level=st.floats(0.05, 0.99))
def test_a_ranking_is_consistent(make_curve, task, method, level):
    table = rank_curves(as_curves(make_curve, task), method=method, level=level)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == len(task)
    assert table["p_best"].sum() == pytest.approx(1)
    assert table["p_best"].between(0, 1).all()
    assert (table["lower"] >= 0).all()
    assert (table["upper"] <= 1).all()
    assert (table["lower"] <= table["predicted"]).all()
    assert (table["predicted"] <= table["upper"]).all()
    assert table["rank"].is_monotonic_increasing
    assert table["predicted"].is_monotonic_decreasing
    for _, row in table.iterrows():
        assert row["rank"] == 1 + (table["predicted"] > row["predicted"]).sum()


@settings(deadline=None, max_examples=30)
@given(task=tasks, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_the_runs_does_not_matter(make_curve, task, shuffle):
    curves = as_curves(make_curve, task)
    shuffled = list(curves)
    shuffle.shuffle(shuffled)
    pd.testing.assert_frame_equal(rank_curves(curves), rank_curves(shuffled))


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.integers(0, 50), min_size=2, max_size=6), power=st.sampled_from([0.5, 2.0, 3.0]))
def test_a_rising_map_of_all_accuracies_keeps_the_ranks(make_curve, values, power):
    def ranks(accuracies):
        curves = [make_curve([accuracy], candidate=str(number)) for number, accuracy in enumerate(accuracies)]
        return rank_curves(curves, epochs=1).set_index("candidate")["rank"].sort_index()

    accuracies = np.array(values) / 50
    pd.testing.assert_series_equal(ranks(accuracies), ranks(accuracies**power))


def test_equal_predictions_share_the_best_rank(make_curve):
    curves = [make_curve([value], candidate=name) for name, value in zip("abcd", [0.5, 0.75, 0.5, 0.25], strict=True)]
    table = rank_curves(curves, epochs=1)
    assert table["candidate"].tolist() == ["b", "a", "c", "d"] or table["candidate"].tolist() == ["b", "c", "a", "d"]
    assert table["rank"].tolist() == [1, 2, 2, 4]


def test_only_the_first_epochs_are_used(make_curve):
    curves = [make_curve([0.5, 0.6, 0.1], "a", observed=0.3), make_curve([0.4, 0.5, 0.9], "b", observed=0.7)]
    table = rank_curves(curves, epochs=2)
    assert table["candidate"].tolist() == ["a", "b"]
    assert table["predicted"].tolist() == [0.6, 0.5]
    assert table["epochs"].tolist() == [2, 2]
    assert table["observed"].tolist() == [0.3, 0.7]
    assert rank_curves(curves, epochs=3)["candidate"].tolist() == ["b", "a"]


def test_a_predictor_never_sees_the_truth(make_curve):
    class Spy(Predictor):
        name = label = description = "spy"

        def predict(self, curves):
            assert all(math.isnan(curve.observed) and curve.epochs.max() <= 2 for curve in curves)
            return [Forecast(0.5, 0.1, "seen") for _ in curves]

    table = rank_curves([make_curve([0.5, 0.6, 0.7], observed=0.9)], epochs=2, method=Spy())
    assert table["warning"].tolist() == ["seen"]
    told = {"method": "spy", "label": "spy", "epochs": 2, "level": 0.9, "metric": "accuracy", "own": {"a": 0.1}}
    assert table.attrs == told | {"baselines": {}}


def test_seeds_are_combined(make_curve):
    curves = [make_curve([value], "a", seed, horizon=1) for seed, value in enumerate([0.5, 0.6, 0.7])]
    row = rank_curves(curves, epochs=1, method="last", experience=()).iloc[0]
    sd = math.sqrt(0.005**2 + 0.01)  # within: the floor of a reading; between: variance of 0.5, 0.6, 0.7
    z = NormalDist().inv_cdf(0.95)
    assert row["seeds"] == 3
    assert row["predicted"] == pytest.approx(0.6)
    assert (row["lower"], row["upper"]) == pytest.approx((0.6 - z * sd, 0.6 + z * sd))


def test_combine_is_the_variance_of_one_more_run():
    mean, sd = combine([Forecast(0.4, 0.1), Forecast(0.6, 0.2)])
    assert mean == pytest.approx(0.5)
    assert sd**2 == pytest.approx((0.01 + 0.04) / 2 + 0.02)
    assert combine([Forecast(0.4, 0.1)]) == (0.4, pytest.approx(0.1))
    assert all(math.isnan(value) for value in combine([]))


def test_what_candidates_share_widens_intervals_but_not_the_doubt_who_is_best(make_curve):
    class Together(Predictor):
        name, label, description = "t", "T", "Told"
        shared = 0.0

        def predict(self, curves):
            return [Forecast(float(c.accuracy[-1]), math.hypot(0.05, self.shared), shared=self.shared) for c in curves]

    curves = [make_curve([0.4], "a"), make_curve([0.5], "b")]
    apart, predictor = rank_curves(curves, epochs=1, method=Together()), Together()
    predictor.shared = 0.12
    together = rank_curves(curves, epochs=1, method=predictor)
    assert together["p_best"].tolist() == apart["p_best"].tolist()
    ratio = (together["upper"] - together["lower"]) / (apart["upper"] - apart["lower"])
    assert ratio.tolist() == pytest.approx([13 / 5] * 2)


@pytest.mark.parametrize("shared", [-0.1, 0.2, math.nan])
def test_a_part_is_no_larger_than_the_whole(shared):
    with pytest.raises(InputError, match="shared part"):
        Forecast(0.5, 0.1, shared=shared)


def test_the_level_sets_the_width(make_curve):
    curves = [make_curve([0.4, 0.5, 0.55])]
    narrow, wide = (rank_curves(curves, level=level).iloc[0] for level in (0.5, 0.9))
    ratio = (wide["upper"] - wide["lower"]) / (narrow["upper"] - narrow["lower"])
    assert ratio == pytest.approx(NormalDist().inv_cdf(0.95) / NormalDist().inv_cdf(0.75))


def test_p_best_of_two_is_the_closed_form():
    shares = probability_of_best(np.array([0.55, 0.45]), np.array([0.03, 0.04]))
    assert shares[0] == pytest.approx(NormalDist().cdf(0.1 / 0.05), abs=4 * 0.5 / math.sqrt(DRAWS))


def test_p_best_shares_ties_and_forgets_what_is_unknown():
    assert probability_of_best(np.array([1.0, np.nan, 1.0]), np.array([0.0, np.nan, 0.0])).tolist() == [0.5, 0, 0.5]
    # Far above 1 both are clipped to 1 in every draw.
    assert probability_of_best(np.array([5.0, 9.0]), np.array([0.1, 0.1])).tolist() == [0.5, 0.5]


def test_p_best_depends_on_the_seed_only():
    means, sds = np.array([0.5, 0.52, 0.48]), np.full(3, 0.05)
    np.testing.assert_array_equal(probability_of_best(means, sds, 1), probability_of_best(means, sds, 1))
    assert (probability_of_best(means, sds, 1) != probability_of_best(means, sds, 2)).any()


def test_failed_candidates_come_last_with_their_reason(make_store):
    store = make_store(
        {"candidate": "good", "accuracy": [0.1, 0.2, 0.3]},
        {"candidate": "bad", "accuracy": [0.1, 0.9, 0.95], "status": "failed", "reason": "the loss is nan"},
        {"candidate": "broken", "accuracy": [0.1, 0.9], "damaged": True},
        {"candidate": "new", "accuracy": [0.1], "status": "running"},
    )
    table = rank(store, epochs=2).set_index("candidate")
    assert table.index[0] == "good"
    assert table["rank"].to_dict() == {"good": 1, "bad": 2, "broken": 2, "new": 2}
    assert table["p_best"].to_dict() == {"good": 1.0, "bad": 0.0, "broken": 0.0, "new": 0.0}
    assert table.loc[["bad", "broken", "new"], ["predicted", "lower", "upper"]].isna().all(axis=None)
    assert table.loc["bad", "warning"] == "failed: the loss is nan"
    assert table.loc["broken", "warning"].startswith("unreadable: The file metrics.parquet is cut short")
    assert table.loc["new", "warning"] == "running, with no validation accuracy in epochs 1 to 2"
    assert table["seeds"].to_dict() == {"good": 1, "bad": 0, "broken": 0, "new": 0}


def test_a_failed_seed_is_named_and_has_no_say(make_store):
    store = make_store(
        {"candidate": "a", "accuracy": [0.1, 0.5], "seed": 0},
        {"candidate": "a", "accuracy": [0.1, 0.9], "seed": 1, "status": "failed", "reason": None},
    )
    (row,) = rank(store, epochs=1).to_dict("records")
    assert row["predicted"] == 0.5
    assert row["seeds"] == 1
    assert "seed 1: failed: no reason was recorded" in row["warning"]


@pytest.mark.parametrize("status", ["running", "interrupted", "finished"])
def test_short_runs_use_what_they_have_and_say_so(make_store, status):
    store = make_store(
        {"candidate": "short", "accuracy": [0.1, 0.5, 0.6], "status": status},
        {"candidate": "long", "accuracy": [0.1, 0.2, 0.3, 0.4, 0.5]},
    )
    table = rank(store, epochs=4, method="last").set_index("candidate")
    assert table.loc["short", "epochs"] == 2
    assert table.loc["short", "predicted"] == 0.6
    assert table.loc["short", "warning"] == f"{status}, with 2 of the 4 epochs asked for"
    assert table.loc["long", "warning"] == ""


def test_warnings_of_several_seeds_are_merged(make_curve):
    curves = [make_curve([0.5], "a", seed) for seed in (0, 1)] + [make_curve([0.5, 0.6], "a", 2)]
    (warning,) = rank_curves(curves, epochs=2)["warning"]
    assert "seed 0, 1: finished, with 1 of the 2 epochs asked for" in warning
    curves = [make_curve([0.5], "a", seed) for seed in (0, 1)]
    (warning,) = rank_curves(curves, epochs=2)["warning"]
    assert "seed" not in warning
    assert warning.count("1 of the 2 epochs") == 1


def test_different_plans_and_repeated_seeds_are_flagged(make_curve):
    curves = [make_curve([0.5, 0.6], "a", horizon=20), make_curve([0.5, 0.6], "b"), make_curve([0.5, 0.6], "b")]
    table = rank_curves(curves, epochs=2, method="last").set_index("candidate")
    assert table.loc["a", "warning"] == ""
    assert "planned for 10 epochs where others have 20" in table.loc["b", "warning"]
    assert "2 runs share 1 seeds, all are combined" in table.loc["b", "warning"]


def test_refusals(make_curve, make_store):
    curves = [make_curve([0.5, 0.6, 0.7])]
    with pytest.raises(InputError, match="level 90"):
        rank_curves(curves, level=90)
    with pytest.raises(InputError, match="epochs=0 must be 1 or more"):
        rank_curves(curves, epochs=0)
    with pytest.raises(InputError, match="'power' needs 3 epochs or more but got epochs=2"):
        rank_curves(curves, epochs=2, method="power")
    with pytest.raises(InputError, match="needs the signed beta_eff, but the runs recorded none"):
        rank_curves(curves, method="capacitance-signed")
    with pytest.raises(InputError, match="recorded absolute, relative:"):
        rank_curves([make_curve([0.5], beta={"relative": [1], "absolute": [1]})], 5, "capacitance-signed")
    with pytest.raises(InputError, match="0 curves"):
        rank_curves([])
    with pytest.raises(InputError, match="not a predictor"):
        rank_curves(curves, method="tarot")
    nothing = make_store({"candidate": "a", "accuracy": [0.1], "status": "failed", "reason": "out of memory"})
    with pytest.raises(InputError, match=r"None of the 1 runs .*'a': failed: out of memory"):
        rank(nothing)


@pytest.fixture(scope="module")
def many_curves(make_curve):
    """A hundred candidates in rising order, three seeds each."""
    rng, t, curves = np.random.default_rng(0), np.arange(1, 9), []
    beta = dict.fromkeys(("absolute", "relative", "signed"), 5 * np.exp(-0.8 * t))
    for number in range(100):
        for seed in range(3):
            values = (0.3 + 0.006 * number) * (1 - np.exp(-0.8 * t)) + 0.002 * rng.standard_normal(8)
            curves.append(make_curve(values, f"{number:03}", seed, beta=beta))
    return curves


@pytest.mark.parametrize("method", predictor_names())
def test_every_method_ranks_clear_candidates_and_is_quick(many_curves, method):
    first = rank_curves(many_curves, method=method)  # also loads what the method imports
    start = time.process_time()
    second = rank_curves(many_curves, method=method)
    assert time.process_time() - start < 1
    pd.testing.assert_frame_equal(first, second)
    assert np.corrcoef(second["candidate"].astype(int), np.arange(100))[0, 1] < -0.97


def test_a_path_is_opened(make_store, monkeypatch, tmp_path):
    opened = []
    module = ModuleType("ncore.store")
    store = make_store({"candidate": "a", "accuracy": [0.1, 0.5]})
    module.open_store = lambda path: opened.append(path) or store
    monkeypatch.setitem(sys.modules, "ncore.store", module)
    assert rank(tmp_path, epochs=1)["candidate"].tolist() == ["a"]
    assert rank("memory://store", epochs=1)["candidate"].tolist() == ["a"]
    assert opened == [str(tmp_path), "memory://store"]
