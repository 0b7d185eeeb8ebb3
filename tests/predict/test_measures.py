"""Ranking measures against their definitions, written out pair by pair."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ncore.errors import InputError
from ncore.predict import MEASURES, evaluate, kendall, precision_at_3, regret, spearman, weighted_kendall

values = st.integers(0, 8).map(lambda number: number / 8)
pairs = st.lists(st.tuples(values, values), min_size=2, max_size=7)
quick = settings(deadline=None, max_examples=60)


def split(pairs):
    predicted, true = zip(*pairs, strict=True)
    return list(predicted), list(true)


def sign_tau(x, y, weight):
    """Weighted tau-b: the cosine between the signs of all pairwise differences."""

    def product(a, b):
        return math.fsum(
            np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) * weight(i, j)
            for i, j in itertools.combinations(range(len(a)), 2)
        )

    norms = product(x, x) * product(y, y)
    return product(x, y) / math.sqrt(norms) if norms else math.nan


def average_ranks(x):
    return [sum(b < a for b in x) + (sum(b == a for b in x) + 1) / 2 for a in x]


@quick
@given(pairs=pairs)
def test_spearman(pairs):
    predicted, true = split(pairs)
    a, b = (np.array(average_ranks(x)) for x in (predicted, true))
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt((a @ a) * (b @ b))
    assert spearman(predicted, true) == pytest.approx(a @ b / norm if norm else math.nan, nan_ok=True)


@quick
@given(pairs=pairs)
def test_kendall(pairs):
    predicted, true = split(pairs)
    assert kendall(predicted, true) == pytest.approx(sign_tau(predicted, true, lambda i, j: 1), nan_ok=True)


@quick
@given(pairs=pairs)
def test_weighted_kendall(pairs):
    predicted, true = split(pairs)

    def by(first, second):
        order = sorted(range(len(first)), key=lambda i: (first[i], second[i]), reverse=True)
        rank = {i: position for position, i in enumerate(order)}
        return sign_tau(predicted, true, lambda i, j: 1 / (rank[i] + 1) + 1 / (rank[j] + 1))

    expected = (by(predicted, true) + by(true, predicted)) / 2
    assert weighted_kendall(predicted, true) == pytest.approx(expected, nan_ok=True)


@quick
@given(pairs=pairs)
def test_regret(pairs):
    predicted, true = split(pairs)
    chosen = [t for p, t in pairs if p == max(predicted)]
    assert regret(predicted, true) == pytest.approx(100 * (max(true) - sum(chosen) / len(chosen)))


@settings(deadline=None, max_examples=15)
@given(pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=4, max_size=5))
def test_precision_is_the_mean_over_all_ways_to_break_ties(pairs):
    predicted, true = split(pairs)

    def tops(x):
        orders = (sorted(range(len(x)), key=lambda i: (-x[i], order[i])) for order in orderings)
        return [set(order[:3]) for order in orders]

    orderings = list(itertools.permutations(range(len(pairs))))
    expected = np.mean([[len(a & b) for b in tops(true)] for a in tops(predicted)]) / 3
    assert precision_at_3(predicted, true) == pytest.approx(expected)


@quick
@given(pairs=pairs, shuffle=st.randoms(use_true_random=False))
def test_order_and_rising_maps_of_the_prediction_do_not_matter(pairs, shuffle):
    predicted, true = split(pairs)
    expected = evaluate(predicted, true)
    shuffled = list(pairs)
    shuffle.shuffle(shuffled)
    assert evaluate(*split(shuffled)) == pytest.approx(expected, nan_ok=True)
    assert evaluate([math.exp(3 * p) - 7 for p in predicted], true) == pytest.approx(expected, nan_ok=True)


@quick
@given(true=st.lists(st.integers(0, 100), min_size=4, max_size=10, unique=True), pairs=pairs)
def test_direction_and_range_are_as_declared(true, pairs):
    true = [value / 100 for value in true]
    right, wrong = evaluate(true, true), evaluate([-value for value in true], true)
    for name, measure in MEASURES.items():
        assert measure.name == name
        best, worst = measure.upper_bound, measure.lower_bound
        if not measure.higher_is_better:
            best, worst = worst, best
        assert right[name] == pytest.approx(best)
        assert (right[name] > wrong[name]) == measure.higher_is_better
        value = measure.function(*split(pairs))
        assert math.isnan(value) or measure.lower_bound <= value <= measure.upper_bound


def test_the_top_weighs_most():
    true = [1, 2, 3, 4, 5]
    assert weighted_kendall([1, 2, 3, 5, 4], true) < weighted_kendall([2, 1, 3, 4, 5], true)


def test_too_few_candidates_are_nan():
    for predicted in ([], [0.5]):
        assert all(math.isnan(value) for value in evaluate(predicted, predicted).values())
    assert math.isnan(precision_at_3([1, 2, 3], [1, 2, 3]))
    assert precision_at_3([1, 2, 3, 4], [1, 2, 3, 4]) == 1


def test_constant_sides():
    flat, true = [0.5] * 4, [0.1, 0.2, 0.3, 0.4]
    for measure in (spearman, kendall, weighted_kendall):
        assert math.isnan(measure(flat, true))
        assert math.isnan(measure(true, flat))
    assert regret(flat, true) == pytest.approx(100 * (0.4 - 0.25))
    assert regret(true, flat) == 0
    assert precision_at_3(flat, true) == pytest.approx(3 / 4)


@quick
@given(pairs=pairs)
def test_no_prediction_ranks_last_and_no_truth_is_left_out(pairs):
    predicted, true = split(pairs)
    assume(len(pairs) > 1)
    expected = evaluate([*predicted, -1.0], [*true, 0.5])
    assert evaluate([*predicted, np.nan], [*true, 0.5]) == pytest.approx(expected, nan_ok=True)
    assert evaluate([*predicted, 0.9], [*true, np.nan]) == pytest.approx(evaluate(predicted, true), nan_ok=True)


@pytest.mark.parametrize("true", [[0.1], [[0.1, 0.2]]])
def test_lists_of_different_length_are_refused(true):
    with pytest.raises(InputError, match="give two lists of one length"):
        evaluate([0.1, 0.2], true)
