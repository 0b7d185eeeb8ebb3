"""What is said of a ranking as a whole: baselines that win, and those that lose."""

from __future__ import annotations

import numpy as np
import pytest

from ncore.predict import Curve, Ranker, said_of
from ncore.predict.experience import tasks_of
from ncore.predict.notes import said_of_baselines

WORDS = "logistic regression on pixels"


def ended(name, accuracy, baseline="", epochs=3):
    count = 1 if baseline else epochs
    return Curve(
        name, 0, np.arange(1, count + 1), np.full(count, accuracy), {}, horizon=count, observed=accuracy,
        test_images=1000, baseline=baseline, dataset="pets", mode="all",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ((0.7, 0.6, 0.5), f"No network is ahead of the baseline, {WORDS}: "),
        ((0.7, 0.9, 0.8), f"net0 ended ahead of the baseline, {WORDS}."),
        ((0.7, 0.9, 0.5), f"net0 ended ahead of the baseline, {WORDS}, and 1 of 2 networks are behind it."),
    ],
)
def test_a_baseline_is_told_of(accuracies, said):
    first, *rest = accuracies
    curves = [ended("baseline", first, WORDS), *(ended(f"net{at}", value) for at, value in enumerate(rest))]
    ranking = Ranker("last").rank(curves)
    assert said_of(ranking)[0].startswith(said)
    warning = ranking.set_index("candidate").loc["baseline", "warning"]
    assert warning.startswith(f"a baseline: {WORDS}")
    assert "epochs where others" not in warning


def test_nothing_is_said_where_no_network_has_ended():
    going = Curve("net", 0, np.array([1]), np.array([0.5]), {}, horizon=9, status="running")
    assert said_of_baselines(Ranker("last").rank([ended("baseline", 0.7, WORDS), going])) == ""
    assert said_of_baselines(Ranker("last").rank([ended("a", 0.7), ended("b", 0.6)])) == ""


def test_nothing_is_learned_of_baselines():
    (task,) = tasks_of([ended("baseline", 0.7, WORDS), ended("a", 0.7), ended("b", 0.6)])
    assert [curve.candidate for curve in task.curves] == ["a", "b"]
