"""Resampled measures against the measures of the resample itself, candidate by candidate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.benchmark._resampling import resampled_measures
from ncore.predict import evaluate

value = st.integers(0, 6).map(lambda number: number / 8)
triple = st.tuples(value, value, st.integers(0, 3))


@settings(deadline=None, max_examples=150)
@given(rows=st.lists(triple, min_size=2, max_size=7))
def test_a_candidate_drawn_twice_is_two_candidates(rows):
    predicted, true, counts = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if counts.sum() < 2:
        counts = counts + 1
    found = resampled_measures(predicted, true, counts[None])
    repeat = np.repeat(np.arange(len(rows)), counts.astype(int))
    expected = evaluate(predicted[repeat], true[repeat])
    for name, number in expected.items():
        assert found[name][0] == pytest.approx(number, nan_ok=True, abs=1e-12), name
    assert found["error"][0] == pytest.approx(100 * np.mean(np.abs(predicted - true)[repeat]))


def test_one_call_holds_every_resample():
    rng = np.random.default_rng(0)
    predicted, true, inside = rng.random(8), rng.random(8), (rng.random(8) > 0.5).astype(float)
    counts = rng.multinomial(8, np.full(8, 1 / 8), size=50).astype(float)
    together = resampled_measures(predicted, true, counts, inside)
    for row in (0, 17, 49):
        alone = resampled_measures(predicted, true, counts[row : row + 1], inside)
        assert {name: values[row] for name, values in together.items()} == pytest.approx(
            {name: values[0] for name, values in alone.items()}, nan_ok=True
        )
    repeat = np.repeat(np.arange(8), counts[5].astype(int))
    assert together["coverage"][5] == pytest.approx(inside[repeat].mean())


def test_no_prediction_ranks_last_and_has_no_error():
    counts = np.ones((1, 4))
    predicted, true = np.array([0.5, np.nan, 0.7, np.nan]), np.array([0.6, 0.2, 0.7, 0.3])
    found = resampled_measures(predicted, true, counts)
    expected = evaluate(predicted, true)
    assert {name: float(found[name][0]) for name in expected} == pytest.approx(expected)
    assert found["error"][0] == pytest.approx(5.0)
    assert np.isnan(found["coverage"][0])
