from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from ncore_dashboard.data.clock import Clock
from ncore_dashboard.data.comparison import Side, in_words, numbers, settings_in_words, settings_that_differ

from ncore.predict import Curve, rank_curves


def curve(name: str, accuracy: list[float], seed: int = 0, observed: float = math.nan, beta: float = 1.0) -> Curve:
    epochs = np.arange(1, len(accuracy) + 1)
    return Curve(name, seed, epochs, np.array(accuracy), {"relative": beta / epochs}, 4, observed=observed)


def ranked(first: list[Curve], second: list[Curve], k: int) -> pd.DataFrame:
    return rank_curves([*first, *second], epochs=k, method="last")


def told_of(first: Side, second: Side, k: int) -> list[str]:
    """What is said of two candidates that are ranked by themselves."""
    return in_words(first, second, k, ranked(list(first.curves), list(second.curves), k))


def sides(first: list[Curve], second: list[Curve], pace: tuple[float, float] = (1, 1), k: int = 3) -> list[Side]:
    table = ranked(first, second, k)
    found = []
    for group, seconds in zip((first, second), pace, strict=True):
        name = group[0].candidate
        row = table[table["candidate"] == name].iloc[0].to_dict()
        clock = Clock(np.arange(5.0), seconds * np.arange(5.0), 4)
        found.append(Side(name, group, [clock], row, parameters=1e6 * seconds, bytes=2e6))
    return found


def test_a_lead_that_changes_is_told() -> None:
    first, second = sides([curve("a", [0.5, 0.55, 0.6, 0.8])], [curve("b", [0.6, 0.65, 0.55, 0.7])])
    text = told_of(first, second, 3)[2]
    assert text.startswith("On validation examples a is ahead since epoch 3.")
    assert "a reaches 70.0% after 4 epochs" not in text  # both do after four


def test_a_lead_from_the_first_epoch_on_and_who_gets_there_first() -> None:
    first, second = sides([curve("a", [0.7, 0.8, 0.9, 0.92])], [curve("b", [0.5, 0.6, 0.65, 0.7])])
    text = told_of(first, second, 3)[2]
    assert text == (
        "On validation examples a is ahead from the first epoch on. a reaches 70.0% after 1 epoch, b after 4."
    )


def test_the_prediction_is_that_of_the_ranking() -> None:
    first, second = sides([curve("a", [0.5, 0.6, 0.7])], [curve("b", [0.6, 0.7, 0.75])])
    text = told_of(first, second, 3)[0]
    assert text.startswith("As of epoch 3, “Last accuracy” predicts 75.0% for b and 70.0% for a, 5.0 points less")
    assert "better of the two with a probability of" in text
    assert "b is the better of the two with a probability of" in text


def test_what_can_not_be_predicted_is_said() -> None:
    one = sides([curve("a", [0.5])], [curve("b", [0.6])], k=1)
    empty = Side("c", [curve("c", [])])
    assert told_of(one[0], empty, 1)[0] == "As of epoch 1, nothing can be predicted of c."
    assert all("nan" not in text for text in told_of(one[0], empty, 1))


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ([0.50, 0.51, 0.52], "more than the seeds differ"),
        ([0.90, 0.88, 0.93], "which may be chance"),
        ([0.5], "with one seed, chance"),
        ([], "is not known yet"),
        ([0.91, 0.91, 0.91], "Both ended at 91.0%"),
    ],
)
def test_a_difference_is_weighed_against_the_seeds(second: list[float], told: str) -> None:
    early = [0.5, 0.6, 0.7]
    group = [curve("b", early, seed, value) for seed, value in enumerate(second)] or [curve("b", early)]
    mine = [curve("a", early, seed, value) for seed, value in enumerate([0.90, 0.91, 0.92])]
    assert any(told in text for text in told_of(*sides(mine, group), 3))


def test_cost_and_capacitance_are_compared() -> None:
    first, second = sides([curve("a", [0.5, 0.6, 0.7])], [curve("b", [0.5, 0.6, 0.7], beta=0.1)], pace=(6.0, 2.0))
    coupling, cost = told_of(first, second, 3)[3:]
    assert coupling.startswith("beta_eff (relative) after 3 epochs is 0.33 and 0.033: b has less left")
    assert cost == (
        "An epoch takes 6.0 s for a, 3.0 times as long as for b (2.0 s); a has 6.0 million parameters, b 2.0 million."
    )


def test_numbers_are_those_of_the_sides() -> None:
    first, second = sides([curve("a", [0.5, 0.6, 0.7, 0.72], observed=0.75)], [curve("b", [0.4, 0.5, 0.6])], (6.0, 2.0))
    table = numbers(first, second).set_index("measure")
    assert table.loc["Predicted final accuracy", ["first", "second"]].tolist() == [70.0, 60.0]
    assert table.loc["Final accuracy", "first"] == 75.0
    assert math.isnan(table.loc["Final accuracy", "second"])
    assert table.loc["Time of a run to its end", ["first", "second"]].tolist() == [24.0, 8.0]
    assert table.loc["Rank", ["first", "second"]].tolist() == [1.0, 2.0]


def test_settings_that_differ_are_found_at_any_depth() -> None:
    one = {"training": {"rate": 0.1, "unit": {"widths": [1, 2]}}, "x": None}
    two = {"training": {"rate": 0.2, "unit": {"widths": [1, 2]}}, "y": {}}
    table = settings_that_differ([one, {**one, "x": 3}], [two])
    assert table.to_dict("records") == [
        {"setting": "training.rate", "first": "0.1", "second": "0.2"},
        {"setting": "x", "first": "3, –", "second": "–"},
    ]
    text = settings_in_words(table, "a", "b")
    assert "rate (0.1 for a, 0.2 for b)" in text
    assert "So the difference may not be the model’s." in text


def test_settings_that_agree_are_said_to() -> None:
    assert settings_in_words(settings_that_differ([{"a": 1}], [{"a": 1}]), "x", "y").startswith("No recorded setting")
    other = settings_in_words(
        settings_that_differ([{"candidate": {"source": "p"}}], [{"candidate": {"source": "q"}}]), "x", "y"
    )
    assert other == "1 recorded setting differs; those of training are the same."
