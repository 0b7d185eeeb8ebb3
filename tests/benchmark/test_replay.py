"""Replayed strategies: what they spend and choose, on curves whose order is known."""

import numpy as np
import pytest

from ncore.benchmark.cases import cases_from_table
from ncore.benchmark.replay import WHOLE, Choice, Strategy, replay, strategies, summary
from ncore.benchmark.table import load_table
from ncore.predict import Curve, get_predictor

RNG = np.random.default_rng(0)


def curves(ends, horizon=8, flat=False):
    epochs = np.arange(1, horizon + 1)
    shape = np.ones(horizon) if flat else 1 - 0.5 * np.exp(-epochs / 2)
    return [
        Curve(name, 0, epochs, end * shape, {}, horizon=horizon, observed=end, mode="all") for name, end in ends.items()
    ]


def play(name, setting, given):
    (strategy,) = (one for one in strategies() if (one.name, one.setting) == (name, setting))
    return strategy.play(given, get_predictor("last"), RNG)


def test_halving_in_rounds_is_counted_by_hand():
    """Eight candidates, eight epochs: 8 to epoch 1, 4 to 2, 2 to 4, 1 to 8."""
    given = curves({f"n{number}": number / 10 for number in range(1, 9)})
    choice = play("Successive halving, in rounds", "factor 2", given)
    assert choice.candidate == "n8"
    assert sorted(choice.epochs.values()) == [1, 1, 1, 1, 2, 2, 4, 8]


def test_a_look_finishes_the_first_choice_only():
    given = curves({"a": 0.3, "b": 0.6, "c": 0.5})
    choice = play("Last accuracy after k epochs", "k = 2", given)
    assert choice == Choice("b", {"a": 2, "b": 8, "c": 2})
    assert play(WHOLE, "", given).epochs == {"a": 8, "b": 8, "c": 8}


def test_a_budget_is_kept():
    given = curves({f"n{number}": 0.5 + number / 100 for number in range(10)}, horizon=16)
    for share in (0.2, 0.3):
        choice = play("ncore sweep --stop --budget", f"{share:.0%} of all epochs", given)
        assert sum(choice.epochs.values()) <= share * 160


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("Optuna, SuccessiveHalvingPruner", "factor 3"),
        ("Optuna, HyperbandPruner", "factor 3"),
        ("Optuna, ForecastPruner of ncore", "risk 0.1"),
    ],
)
def test_pruners_of_optuna_see_whole_curves_at_most(name, setting):
    given = curves({"a": 0.9, "b": 0.1, "c": 0.12, "d": 0.85, "e": 0.11})
    choice = play(name, setting, given)
    assert choice.candidate in ("a", "d")
    assert set(choice.epochs) == set("abcde")
    assert max(choice.epochs.values()) == 8
    assert sum(choice.epochs.values()) < 40 or "Hyperband" in name  # five trials need not fill a bracket that prunes


def test_replay_reports_the_truth_of_what_was_chosen(table_path):
    cases = [case for case in cases_from_table(load_table(table_path)) if case.mode == "unit"]
    worst = Strategy("worst", "", False, lambda given, predictor, rng: Choice("net 0", {c.candidate: 1 for c in given}))
    played = replay(cases, [worst])
    assert len(played) == 4 * 2  # tasks, seeds
    ends = {
        (case.name, curve.seed): [c.observed for c in case.curves if c.seed == curve.seed]
        for case in cases
        for curve in case.curves
    }
    for row in played.itertuples():
        own = ends[row.task, row.seed]
        assert row.accuracy in own
        assert row.regret == pytest.approx(100 * (max(own) - row.accuracy))
        assert row.share == pytest.approx(1 / 6)
        assert row.seconds_share == pytest.approx(7 / 17)
    (mean,) = summary(played).itertuples()
    assert mean.regret == pytest.approx(played.groupby("task")["regret"].mean().mean())
