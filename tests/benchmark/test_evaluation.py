"""Judging methods: against the measures of the rankings themselves, and against what is known of the bounds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ncore
from ncore.benchmark.cases import as_if_unrelated, cases_from_store, cases_from_table, leave_dataset_out
from ncore.benchmark.command import evaluate
from ncore.benchmark.evaluation import AVERAGE, MEASURE_NAMES, evaluate_cases
from ncore.benchmark.methods import Method, among_strangers, predictors, scores, whole_training
from ncore.benchmark.table import load_table
from ncore.errors import InputError
from ncore.predict import evaluate as measures
from ncore.predict import get_predictor, rank_curves


@pytest.fixture(scope="module")
def cases(table_path):
    return cases_from_table(load_table(table_path))


@pytest.fixture(scope="module")
def found(cases):
    methods = [*predictors(["last", "mean", "capacitance-relative"]), *scores(cases), whole_training()]
    return evaluate_cases(cases, methods, ks=(1, 3), resamples=200, recommended="mean")


def value(found, mode, task, k, method, measure="kendall", column="value"):
    rows = found[(found["mode"] == mode) & (found["task"] == task) & (found["k"] == k)]
    rows = rows[(rows["method"] == method) & (rows["measure"] == measure)]
    return float(rows[column].iloc[0])


def test_values_are_those_of_the_rankings_themselves(cases, found):
    case = next(case for case in cases if case.mode == "all" and case.name == "digits")
    table = rank_curves(case.curves, epochs=3, method=get_predictor("mean"))
    expected = measures(table["predicted"], table["observed"])
    for name, number in expected.items():
        assert value(found, "all", "digits", 3, "mean", name) == pytest.approx(number), name
    error = 100 * (table["predicted"] - table["observed"]).abs().mean()
    assert value(found, "all", "digits", 3, "mean", "error") == pytest.approx(error)


def test_averages_are_means_over_tasks(found):
    own = found[(found["mode"] == "unit") & (found["k"] == 3) & (found["method"] == "last")]
    for name in MEASURE_NAMES:
        part = own[own["measure"] == name]
        mean = part.loc[part["task"] != AVERAGE, "value"].mean()
        assert part.loc[part["task"] == AVERAGE, "value"].item() == pytest.approx(mean)


def test_differences_are_paired_and_to_the_right_method(found):
    args = ("all", AVERAGE, 3)
    last, mean = value(found, *args, "last"), value(found, *args, "mean")
    assert value(found, *args, "mean", column="over_last") == pytest.approx(mean - last)
    assert value(found, *args, "last", column="recommended_over") == pytest.approx(mean - last)
    for bound in ("over_last", "over_last_lower", "over_last_upper"):
        assert value(found, *args, "last", column=bound) == 0
    lower, upper = (value(found, *args, "mean", column=f"over_last_{end}") for end in ("lower", "upper"))
    assert lower <= mean - last <= upper


def test_of_tasks_alone_the_interval_is_the_bootstrap_of_their_differences(found):
    part = found[(found["mode"] == "all") & (found["k"] == 3) & (found["measure"] == "kendall")]
    single = part[part["task"] != AVERAGE].pivot(index="task", columns="method", values="value")
    differences = (single["mean"] - single["last"]).to_numpy()
    lower, upper = (
        value(found, "all", AVERAGE, 3, "mean", column=f"over_last_tasks_{end}") for end in ("lower", "upper")
    )
    drawn = np.random.default_rng(0).choice(differences, (4000, differences.size)).mean(axis=1)
    assert [lower, upper] == pytest.approx(
        np.quantile(drawn, [0.025, 0.975]), abs=0.3 * float(np.ptp(differences)) + 1e-9
    )
    assert part.loc[part["task"] != AVERAGE, "over_last_tasks_lower"].isna().all()


def test_what_is_not_defined_is_left_out(found):
    first = found[(found["k"] == 1)]
    assert "capacitance-relative" not in set(first["method"])
    assert "leep" not in set(found["method"])  # no candidate has one


def test_a_method_that_says_the_same_of_all_orders_nothing(cases):
    def flat(case, learned, k):
        names = list(case.observed)
        return pd.DataFrame({"candidate": names, "predicted": 0.5, "lower": 0.0, "upper": 1.0})

    methods = [*predictors(["last"]), Method("flat", "Flat", "naive", flat)]
    found = evaluate_cases(cases, methods, ks=(3,), resamples=50)
    assert value(found, "all", AVERAGE, 3, "flat") == 0
    assert value(found, "all", AVERAGE, 3, "flat", "coverage") == 1
    chance = value(found, "all", AVERAGE, 3, "chance", "regret")
    assert value(found, "all", AVERAGE, 3, "flat", "regret") == pytest.approx(chance)


def test_costs_are_seconds_and_shares(cases, found):
    assert value(found, "all", "digits", 3, "last", column="seconds") == pytest.approx(14 * (5 + 2 * 3))
    assert value(found, "all", "digits", 3, "last", column="share") == pytest.approx(11 / 17)
    assert value(found, "all", "digits", 3, "logme", column="seconds") == pytest.approx(7)
    assert value(found, "all", "digits", 3, "whole", column="share") == 1


def test_the_ceiling_is_between_chance_and_one_and_falls_with_noise(cases):
    def ceiling(chosen):
        found = evaluate_cases(chosen, predictors(["last"]), ks=(1,), resamples=10)
        return value(found, "all", AVERAGE, 1, "ceiling")

    few = [replace(case, test_images=20) for case in cases]
    assert 0 < ceiling(few) < ceiling(cases) <= 1
    exact = [
        replace(
            case,
            test_images=0,
            curves=tuple(replace(curve, observed=int(curve.candidate[-1]) / 10) for curve in case.curves),
        )
        for case in cases
    ]
    assert ceiling(exact) == 1


def test_nothing_is_learned_from_the_images_that_are_judged(cases):
    case = next(case for case in cases if case.name == "cifar10-small" and case.mode == "unit")
    strict = leave_dataset_out(case, cases)
    alone = as_if_unrelated(cases)
    loose = leave_dataset_out(alone[cases.index(case)], alone)
    assert {other.name for other in strict} == {"digits", "fashion"}
    assert {other.name for other in loose} == {"digits", "fashion", "cifar10-tops"}
    assert {other.mode for other in (*strict, *loose)} == {"unit"}


def test_the_future_is_not_seen(cases):
    """Changing all that comes after k changes no forecast."""
    case = cases[0]

    def later(curve):
        return replace(curve, accuracy=np.where(curve.epochs > 2, 0.123, curve.accuracy), observed=0.5)

    changed = replace(case, curves=tuple(later(curve) for curve in case.curves))
    learned = leave_dataset_out(case, cases)
    for method in predictors(["last", "pooled", "freeze-thaw"]):
        pd.testing.assert_frame_equal(method.forecast(case, learned, 2), method.forecast(changed, learned, 2))


def test_strangers_have_no_track_record(cases):
    """The names of candidates tell nothing, and the table has the right ones all the same."""
    table = among_strangers("last").forecast(cases[0], leave_dataset_out(cases[0], cases), 2)
    assert set(table["candidate"]) == set(cases[0].observed)


def test_the_same_twice(cases):
    once, twice = (evaluate_cases(cases, predictors(["last"]), ks=(2,), resamples=50) for _ in range(2))
    pd.testing.assert_frame_equal(once, twice)


def test_a_store_is_judged_too():
    (case, *_) = cases_from_store(ncore.open_store("sample_runs"))
    assert case.name == "cifar10"
    assert len(case.observed) == 12
    assert 0 < case.cost(3) < case.cost(20)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"epochs": "0,3"}, "whole numbers from 1"),
        ({"epochs": "three"}, "whole numbers from 1"),
        ({"store": "here", "epochs": "3"}, "give one of them"),
    ],
    ids=["zero", "word", "both"],
)
def test_wrong_arguments_are_refused(table_path, given, match):
    with pytest.raises(InputError, match=match):
        evaluate(table_path, **given)


def test_a_store_is_judged_with_what_the_benchmark_taught(cases, monkeypatch):
    """As `ncore.rank` has it, and with nothing of the dataset that is judged."""
    asked = []

    def remember(name, mode, datasets, own=()):
        asked.append((name, mode, tuple(datasets), len(own)))
        return get_predictor(name)

    monkeypatch.setattr("ncore.benchmark.methods.taught", remember)
    case = next(case for case in cases if case.mode == "unit" and case.name == "digits")
    (method,) = predictors(["last"], with_benchmark=True)
    method.forecast(case, leave_dataset_out(case, cases), 2)
    assert asked == [("last", "unit", ("digits",), 3)]
