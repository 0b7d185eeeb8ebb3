from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ncore_dashboard.data import rankings
from ncore_dashboard.data.clock import Clock, saved
from ncore_dashboard.data.library import Library

from ncore.predict import Curve, Past, Ranker, get_predictor
from ncore.predict.predictors.capacitance import ridge_line


def curves_of(books: Library) -> list[Curve]:
    return [books.curve(key) for key in books.runs()["key"]]


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_few_epochs_are_shown_and_always_the_one_chosen(last: int, chosen: int) -> None:
    shown = rankings.epochs_to_show(last, chosen)
    assert shown == sorted(set(shown))
    assert shown[0] == 1
    assert shown[-1] == last
    assert min(chosen, last) in shown
    assert len(shown) <= rankings.MOST_EPOCHS + 2


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e6])
def test_the_line_at_zero_is_what_the_predictor_reads(scale: float) -> None:
    beta = scale * np.array([1.0, 0.7, 0.45, 0.3])
    accuracy = np.array([0.3, 0.5, 0.62, 0.7])
    line = ridge_line(beta, accuracy)
    assert line is not None
    curve = Curve("a", 0, np.arange(1, 5), accuracy, {"relative": beta}, horizon=9)
    forecast = get_predictor("capacitance-relative").predict([curve])[0]
    zero = int(np.flatnonzero(line.beta == 0)[0])
    assert line.mean[zero] == pytest.approx(forecast.mean)
    assert (line.upper[zero] - line.lower[zero]) / 2 == pytest.approx(1.6448536 * forecast.sd)
    assert line.slope < 0


@pytest.mark.parametrize("beta", [[1.0, 0.5], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [1.0, np.nan, 0.5]])
def test_there_is_no_line_through_too_little(beta: list[float]) -> None:
    assert ridge_line(np.array(beta), np.linspace(0.1, 0.5, len(beta))) is None


def test_the_line_reaches_over_negative_values_and_zero() -> None:
    line = ridge_line(np.array([-2.0, -1.0, -0.5]), np.array([0.3, 0.4, 0.5]))
    assert line is not None
    assert line.beta.min() == -2
    assert line.beta.max() == 0


def test_a_ranking_that_cannot_be_made_says_why(books: Library) -> None:
    assert "needs 3 epochs" in str(rankings.ranking(curves_of(books), Ranker("power"), 2))


def test_rankings_below_each_other_leave_out_what_cannot_be_made(books: Library) -> None:
    curves = curves_of(books)
    ranked = rankings.below_each_other({k: rankings.ranking(curves, Ranker("power"), k) for k in (2, 3, 4)})
    assert sorted(ranked["k"].unique()) == [3, 4]
    assert rankings.below_each_other({1: "no"}).empty


def test_the_verdict_counts_pairs_and_points() -> None:
    table = pd.DataFrame(
        {"candidate": list("abc"), "predicted": [0.9, 0.8, 0.7], "observed": [0.8, 0.9, 0.6], "rank": [1, 2, 3]}
    ).assign(kind="forecast")
    judged = rankings.verdict(table)
    assert (judged.choice, judged.pairs, judged.right) == ("a", 3, 2)
    assert judged.error == pytest.approx(10)
    assert judged.measures["regret"] == pytest.approx(10)


def test_unknown_outcomes_are_left_out_of_the_verdict_and_missing_predictions_count_as_last() -> None:
    table = pd.DataFrame({"candidate": list("abc"), "predicted": [0.9, 0.8, np.nan], "observed": [0.8, np.nan, 0.9]})
    table["kind"] = "forecast"
    judged = rankings.verdict(table)
    assert (judged.pairs, judged.right) == (1, 0)
    assert judged.error == pytest.approx(10)
    nothing = rankings.verdict(table.assign(observed=np.nan))
    assert nothing.pairs == 0
    assert math.isnan(nothing.error)


def test_methods_are_compared_with_their_reasons(books: Library) -> None:
    table = rankings.compare_methods(curves_of(books), Past(), 2).set_index("method")
    assert table.loc["last", "right"] == table.loc["last", "pairs"] == 3
    assert "needs 3 epochs" in table.loc["power", "reason"]
    assert np.isnan(table.loc["power", "kendall"])


def test_compute_saved_by_hand() -> None:
    clock = Clock(np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 40.0]), 4)
    # Stopping both at epoch 1 and training one to its end costs 10 + 40 of 80 seconds.
    assert saved({"a": [clock], "b": [clock]}, 1, "a") == pytest.approx(37.5)
    assert saved({"a": [clock], "b": [clock]}, 4, "a") == pytest.approx(0)
    assert math.isnan(saved({}, 1, "a"))


def test_a_clock_goes_on_at_its_pace() -> None:
    clock = Clock(np.array([0.0, 2.0]), np.array([0.0, 6.0]), 10)
    assert clock.at(1) == pytest.approx(3)
    assert clock.at(10) == pytest.approx(30)
    assert math.isnan(Clock(np.array([0.0]), np.array([0.0]), 10).at(3))


def test_prices_fall_to_nothing_saved(books: Library) -> None:
    curves = curves_of(books)
    ranked = rankings.below_each_other({k: rankings.ranking(curves, Ranker("last"), k) for k in range(1, 7)})
    prices = rankings.price(ranked, books.clocks(books.runs()["key"]))
    assert prices["regret"].eq(0).all()
    assert prices["saved"].is_monotonic_decreasing
    assert prices["saved"].iloc[-1] == pytest.approx(0)
