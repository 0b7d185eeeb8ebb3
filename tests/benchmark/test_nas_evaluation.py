"""Judging on cells: a made table whose answers are known by counting."""

import numpy as np
import pandas as pd
import pytest

from ncore.benchmark.cases import cases_from_table
from ncore.benchmark.methods import predictors
from ncore.benchmark.nas.evaluation import evaluate_nas
from ncore.errors import InputError

#: Of five cells: accuracy at epoch 1 and 2, final test accuracy, published one, a score.
EARLY = [[0.1, 0.2], [0.2, 0.1], [0.3, 0.3], [0.4, 0.4], [0.5, 0.5]]
FINAL = [0.30, 0.35, 0.40, 0.45, 0.50]
PUBLISHED = [0.90, 0.70, 0.75, 0.80, 0.85]
SYNFLOW = [5.0, 4.0, 3.0, 2.0, 1.0]
NASWOT = [1.0, 1.0, 1.0, 1.0, 1.0]
ROWS = [
    {
        "task": "t",
        "dataset": "d",
        "mode": "all",
        "candidate": f"cell-{cell}",
        "seed": 0,
        "horizon": 4,
        "status": "finished",
        "reason": "",
        "epoch": epoch,
        "seconds": 10.0 * epoch,
        "validation_accuracy": EARLY[cell][min(epoch, 2) - 1],
        "validation_loss": 1.0,
        "train_accuracy": 0.5,
        "train_loss": 1.0,
        "test_accuracy": FINAL[cell],
        "test_images": 100,
        "published_accuracy": PUBLISHED[cell],
        "score_synflow": SYNFLOW[cell],
        "score_seconds_synflow": 0.5,
        "score_naswot": NASWOT[cell],
        "score_seconds_naswot": 0.25,
    }
    for cell in range(5)
    for epoch in range(1, 5)
]


@pytest.fixture(scope="module")
def table():
    return pd.DataFrame(ROWS)


@pytest.fixture(scope="module")
def found(table):
    return evaluate_nas(table, predictors(["last", "mean"]), ks=[1, 2, 10], resamples=200)


def cell_of(found, truth, k, method, measure, column="value"):
    row = found[
        (found["truth"] == truth) & (found["k"] == k) & (found["method"] == method) & (found["measure"] == measure)
    ]
    assert len(row) == 1
    return row[column].item()


@pytest.mark.parametrize(
    ("truth", "k", "method", "measure", "value"),
    [
        ("here", 1, "last", "kendall", 1.0),
        ("here", 2, "last", "kendall", 0.8),  # one pair of ten is swapped
        ("here", 2, "last", "spearman", 0.9),
        ("here", 2, "last", "regret", 0.0),
        ("here", 1, "synflow", "kendall", -1.0),
        ("here", 1, "synflow", "regret", 20.0),
        ("here", 1, "naswot", "kendall", 0.0),  # says the same of all
        ("here", 1, "naswot", "regret", 10.0),  # takes any
        ("here", 1, "chance", "kendall", 0.0),
        ("here", 1, "chance", "regret", 10.0),
        ("here", 1, "whole", "kendall", 0.8),  # epoch 4 is as epoch 2
        ("published", 1, "last", "kendall", 0.2),  # 6 of 10 in order
        ("published", 1, "final", "kendall", 0.2),
        ("published", 2, "final", "spearman", 0.0),
        ("published", 1, "final", "regret", 5.0),
        ("published", 1, "synflow", "regret", 0.0),
    ],
)
def test_values_by_counting(found, truth, k, method, measure, value):
    assert cell_of(found, truth, k, method, measure) == pytest.approx(value, abs=1e-6)


def test_the_last_accuracy_differs_from_itself_by_nothing(found):
    own = found[found["method"] == "last"]
    assert (own[["over_last", "over_last_lower", "over_last_upper"]] == 0).all(axis=None)
    assert cell_of(found, "here", 1, "synflow", "kendall", "over_last") == pytest.approx(-2)
    assert cell_of(found, "here", 2, "mean", "kendall", "over_last") == pytest.approx(
        cell_of(found, "here", 2, "mean", "kendall") - 0.8
    )


def test_noise_leaves_less_than_everything(found):
    # The final accuracies lie 5 points apart, and one of 100 images has a standard error of 5 points.
    assert 0.3 < cell_of(found, "here", 1, "ceiling", "kendall") < 0.8
    assert "ceiling" not in set(found.loc[found["truth"] == "published", "method"])


def test_intervals_hold_the_value_and_the_extremes(found):
    found = found[found["method"] != "ceiling"]
    assert (found["lower"] <= found["value"] + 1e-9).all()
    assert (found["value"] <= found["upper"] + 1e-9).all()
    assert (
        cell_of(found, "here", 2, "last", "kendall", "lower")
        < 0.8
        < cell_of(found, "here", 2, "last", "kendall", "upper")
    )


def test_an_epoch_past_the_end_is_left_out(found):
    assert set(found["k"]) == {1, 2}


def test_costs(found):
    assert cell_of(found, "here", 2, "last", "kendall", "seconds") == 5 * 20
    assert cell_of(found, "here", 2, "synflow", "kendall", "seconds") == 5 * 0.5
    assert cell_of(found, "published", 2, "final", "kendall", "seconds") == 5 * 40
    assert cell_of(found, "here", 1, "whole", "kendall", "seconds") == 5 * 40
    assert cell_of(found, "here", 1, "chance", "kendall", "seconds") == 0


def test_the_final_accuracy_judges_only_the_published_one(found):
    assert set(found.loc[found["method"] == "final", "truth"]) == {"published"}


def test_seeds_are_averaged(table):
    other = table.assign(seed=1, test_accuracy=1 - table["test_accuracy"])
    found = evaluate_nas(pd.concat([table, other]), predictors(["last"]), ks=[1], resamples=5)
    assert cell_of(found, "here", 1, "last", "regret") == pytest.approx(0), "all means are one half"


def test_an_unpublished_cell_is_left_out_there(table):
    some = table.assign(published_accuracy=table["published_accuracy"].where(table["candidate"] != "cell-0", np.nan))
    found = evaluate_nas(some, predictors(["last"]), ks=[1], resamples=5)
    assert set(found.loc[found["truth"] == "published", "cells"]) == {4}
    assert set(found.loc[found["truth"] == "here", "cells"]) == {5}
    assert cell_of(found, "published", 1, "last", "kendall") == pytest.approx(1)
    none = evaluate_nas(table.assign(published_accuracy=np.nan), predictors(["last"]), ks=[1], resamples=5)
    assert set(none["truth"]) == {"here"}


def test_the_same_seed_gives_the_same_table(table, found):
    again = evaluate_nas(table, predictors(["last", "mean"]), ks=[1, 2, 10], resamples=200)
    pd.testing.assert_frame_equal(found, again)


def test_who_learns_needs_something_to_learn_from(table):
    methods = [method for method in predictors() if method.kind == "learned"]
    assert methods
    names = {method.name for method in methods}
    assert not names & set(evaluate_nas(table, methods, ks=[1], resamples=5)["method"])
    other = cases_from_table(table.assign(task="u", dataset="e"))
    assert names <= set(evaluate_nas(table, methods, learned=other, ks=[3], resamples=5)["method"])


def test_another_table_is_refused(table):
    with pytest.raises(InputError, match="published_accuracy"):
        evaluate_nas(table.drop(columns="published_accuracy"))
    with pytest.raises(InputError, match="2 tasks and modes"):
        evaluate_nas(pd.concat([table, table.assign(task="u")]))
