"""The readings of a curve and their rule-of-thumb interval."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.predict import get_predictor
from ncore.predict.naive import MIN_SD, read, read_last

accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=10)


@settings(deadline=None)
@given(values=accuracies)
def test_readings(make_curve, values):
    curve = make_curve(values)
    means = {name: get_predictor(name).predict([curve])[0].mean for name in ("last", "best", "mean")}
    assert means["last"] == values[-1]
    assert means["best"] == max(values)
    assert means["mean"] == pytest.approx(math.fsum(values) / len(values))


def test_the_gain_to_come_is_that_of_a_hyperbola(make_curve):
    t, horizon = np.arange(1, 6), 30
    curve = make_curve(0.8 - 0.3 / t, horizon=horizon)
    noise = math.sqrt(np.mean(np.diff(0.3 / t, n=2) ** 2) / 6)
    gain = 0.3 / 5 - 0.3 / 30
    assert read(curve, curve.accuracy[-1]).sd == pytest.approx(math.hypot(gain, noise))


def test_the_noise_of_a_flat_curve_is_recovered(make_curve):
    values = 0.5 + 0.02 * np.random.default_rng(0).standard_normal(4000)
    assert read(make_curve(values, horizon=4000), values[-1]).sd == pytest.approx(0.02, rel=0.1)


def test_certainty_is_never_claimed(make_curve):
    assert read(make_curve([0.5] * 10), 0.5).sd == MIN_SD
    assert read(make_curve([1.0]), 1.0).sd == MIN_SD


def test_the_distance_from_the_last_accuracy_adds_up(make_curve):
    curve = make_curve([0.5, 0.6, 0.7])
    assert read(curve, 0.6).sd == pytest.approx(math.hypot(read(curve, 0.7).sd, 0.1))


def test_the_interval_narrows_as_the_end_comes_near(make_curve):
    values = [0.3, 0.5, 0.6]
    sds = [read(make_curve(values, horizon=horizon), 0.6).sd for horizon in (100, 30, 10, 5, 3)]
    assert sds == sorted(sds, reverse=True)
    assert len(set(sds)) == len(sds)


def test_one_epoch_leaves_the_room_above_it(make_curve):
    forecast = read(make_curve([0.6], horizon=10), 0.6)
    assert forecast.sd == pytest.approx(math.hypot(0.2 * 0.9, MIN_SD))
    assert "one epoch" in forecast.warning
    assert read(make_curve([0.5, 0.6]), 0.6).warning == ""


def test_a_stand_in_says_why(make_curve):
    forecast = read_last(make_curve([0.6]), "the fit is impossible")
    assert forecast.mean == 0.6
    assert forecast.warning.startswith("the last accuracy stands in, as the fit is impossible; ")
