"""The stopping rule: what it keeps, what it risks, what it spends."""

import numpy as np
import pytest

from ncore.errors import InputError
from ncore.predict import Curve, Forecast, Predictor, get_predictor
from ncore.predict.stopping import Standing, StoppingRule, standing


class Told(Predictor):
    """Forecasts by name, whatever the curve."""

    name, label, description = "told", "Told", "As told"

    def __init__(self, **forecasts):
        self.forecasts = forecasts

    def also(self, **forecasts):
        return Told(**self.forecasts, **forecasts)

    def predict(self, curves):
        return [Forecast(*self.forecasts[curve.candidate]) for curve in curves]


def curve(name, *accuracies, seed=0, horizon=20, **more):
    epochs = np.arange(1, len(accuracies) + 1)
    return Curve(name, seed, epochs, np.array(accuracies, dtype=float), {}, horizon=horizon, **more)


def test_probability_and_regret_of_two_normal_forecasts():
    now = standing([curve("a", 0.5), curve("b", 0.5)], Told(a=(0.6, 0.03), b=(0.5, 0.04)))
    # The difference is normal with mean 0.1 and sd 0.05, so b wins when a standard normal exceeds 2.
    assert now.candidates == ("a", "b")
    assert now.choice == "a"
    assert now.probability("b") == pytest.approx(0.02275, abs=0.005)
    # E max(d, 0) of a normal d with mean -0.1 and sd 0.05: 0.05 (phi(2) - 2 (1 - Phi(2))).
    assert now.expected_regret == pytest.approx(100 * 0.05 * (0.05399 - 2 * 0.02275), abs=0.01)
    assert sum(now.p_best) == pytest.approx(1)


def test_an_error_that_all_share_leaves_the_order_as_it_is():
    apart = standing([curve("a", 0.5), curve("b", 0.5)], Told(a=(0.6, 0.03), b=(0.5, 0.04)))
    sds = [np.hypot(own, 0.2) for own in (0.03, 0.04)]
    together = Told(a=(0.6, sds[0], "", 0.2), b=(0.5, sds[1], "", 0.2))
    now = standing([curve("a", 0.5), curve("b", 0.5)], together)
    assert now.p_best == pytest.approx(apart.p_best)
    assert now.expected_regret == pytest.approx(apart.expected_regret)
    # Beside a candidate that has ended, what the others have in common counts.
    done = curve("c", *np.linspace(0.5, 0.7, 20))
    assert 0.2 < standing([curve("a", 0.5), curve("b", 0.5), done], together.also(c=(0.7, 0.01))).probability("a") < 0.4


def test_a_finished_run_is_what_it_ended_at():
    done = curve("a", *np.linspace(0.5, 0.7, 20))
    now = standing([done, curve("b", 0.5)], Told(a=(0.1, 0.3), b=(0.5, 0.05)))
    assert now.choice == "a"
    assert now.probability("a") > 0.99


def test_failed_runs_are_not_compared():
    failed = curve("a", 0.9, status="failed")
    assert standing([failed, curve("b", 0.5)], get_predictor("last")).candidates == ("b",)
    with pytest.raises(InputError, match="can be compared"):
        standing([failed], get_predictor("last"))


def test_the_smallest_set_that_holds_the_best():
    now = Standing(("a", "b", "c", "d"), (0.6, 0.28, 0.08, 0.04), 1.0, "a")
    assert StoppingRule(risk=0.1).keep(now, "abcd") == ["a", "b", "c"]
    assert StoppingRule(risk=0.2).keep(now, "abcd") == ["a", "b"]
    assert StoppingRule(risk=0).keep(now, "abcd") == ["a", "b", "c", "d"]
    assert StoppingRule(risk=0.9, cut=1).keep(now, "abcd") == ["a"]


def test_a_look_stops_half_of_the_candidates_at_most():
    now = Standing(("a", "b", "c", "d", "e"), (0.96, 0.01, 0.01, 0.01, 0.01), 1.0, "a")
    assert StoppingRule().keep(now, "abcde") == ["a", "b", "c"]
    assert StoppingRule().keep(now, "bcde") == ["b", "c"]
    assert StoppingRule().keep(now, "ab") == ["a"]
    assert StoppingRule(cut=0.25).keep(now, "abcde") == ["a", "b", "c", "d"]
    assert StoppingRule(cut=0).keep(now, "abcde") == list("abcde")


def test_what_was_stopped_before_is_part_of_the_risk():
    now = Standing(("a", "b", "c", "d"), (0.5, 0.3, 0.15, 0.05), 1.0, "a")
    rule = StoppingRule(risk=0.2, cut=1)
    assert rule.keep(now, "acd") == ["a"]  # a and b hold 0.8; b was stopped
    assert rule.keep(now, "cd") == ["c"]  # never none


def test_target_regret_keeps_the_choice_only():
    now = Standing(("a", "b"), (0.55, 0.45), 0.4, "b")
    assert StoppingRule(risk=0, target_regret=0.5).keep(now, "ab") == ["b"]
    assert StoppingRule(risk=0, target_regret=0.3).keep(now, "ab") == ["a", "b"]


def test_the_budget_leaves_enough_to_finish_one():
    rule = StoppingRule(budget=50, cut=1)
    # From epoch 5 to 8 costs 3 each, and finishing one 12 more; 20 are spent.
    assert rule.affordable(20, [1] * 10, [5, 8, 20]) == 6
    assert rule.affordable(20, [2] * 10, [5, 8, 20]) == 1
    assert rule.affordable(48, [1], [5, 8, 20]) == 0
    assert StoppingRule().affordable(10**6, [1] * 10, [5, 8, 20]) == 10


def test_the_budget_lasts_if_half_of_the_candidates_are_stopped_at_each_look():
    # 8 to the next look, 4 to the one after, 2 to the end: 8 + 4 + 2 * 3 epochs.
    for budget, count in ((18, 8), (17, 7), (5, 1), (4, 0)):
        assert StoppingRule(budget=budget).affordable(0, [1] * 8, [1, 2, 3, 6]) == count
    assert StoppingRule(budget=20).affordable(2, [1] * 8, [1, 2, 3, 6]) == 8
    # 7, then 4 and 2 go on: 7 + 4 + 2 * 3 = 17. Of two seeds each, three: 6 + 4 + 2 * 3 = 16.
    assert StoppingRule(budget=17).affordable(0, [2] * 8, [1, 2, 3, 6]) == 3
    # One seed of the first and three of the second: either may have to be finished.
    assert StoppingRule(budget=24).affordable(0, [1, 3], [1, 2, 6]) == 2
    assert StoppingRule(budget=15).affordable(0, [1, 3], [1, 2, 6]) == 1
    assert StoppingRule(budget=39, cut=0).affordable(0, [1] * 8, [1, 2, 3, 6]) == 7  # nobody is stopped: 5 each


@pytest.mark.parametrize(
    "values",
    [{"risk": 1.0}, {"risk": -0.1}, {"target_regret": -1}, {"budget": 0}, {"looks": ()}, {"looks": (2, 2)}, {"cut": 2}],
    ids=str,
)
def test_values_out_of_range_are_refused(values):
    with pytest.raises(InputError):
        StoppingRule(**values)


def test_looks_before_the_end_and_not_before_the_method_can():
    rule = StoppingRule()
    assert rule.looks_until(8, get_predictor("last")) == [1, 2, 3, 5]
    assert rule.looks_until(8, get_predictor("power")) == [3, 5]
    assert rule.looks_until(1, get_predictor("last")) == []


def test_the_best_is_stopped_no_more_often_than_the_risk():
    """With forecasts that are right about their own error, over many draws of the truth."""
    rng, rule, lost, trials = np.random.default_rng(0), StoppingRule(risk=0.1), 0, 150
    names = [f"n{index}" for index in range(12)]
    for _ in range(trials):
        means = rng.uniform(0.4, 0.6, size=12)
        truth = means + 0.05 * rng.standard_normal(12)
        told = Told(**{name: (mean, 0.05) for name, mean in zip(names, means, strict=True)})
        kept = rule.keep(standing([curve(name, 0.5) for name in names], told), names)
        assert len(kept) < 12
        lost += names[int(truth.argmax())] not in kept
    assert lost / trials <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / trials)
