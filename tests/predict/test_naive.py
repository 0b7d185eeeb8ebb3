"""The readings of a curve and their rule-of-thumb interval."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.predict import get_predictor
from ncore.predict.predictors.naive import MIN_SD, read, read_last

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


def with_losses(make_curve, pairs):
    return [
        make_curve([0.1, accuracy], f"{number}", loss=None if loss is None else [3.0, loss])
        for number, (accuracy, loss) in enumerate(pairs)
    ]


@settings(deadline=None, max_examples=50)
@given(pairs=st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 10)), min_size=1, max_size=8))
def test_the_lowest_loss_comes_first(make_curve, pairs):
    means = [forecast.mean for forecast in get_predictor("loss").predict(with_losses(make_curve, pairs))]
    assert math.fsum(means) == pytest.approx(math.fsum(accuracy for accuracy, _ in pairs))
    for (_, loss), mean in zip(pairs, means, strict=True):
        for (_, other), its in zip(pairs, means, strict=True):
            assert mean >= its - 1e-12 or other < loss
            assert mean == its or other != loss


def test_accuracies_are_dealt_out_by_loss(make_curve):
    pairs = [(0.9, 0.8), (0.5, 0.2), (0.7, 0.4)]
    assert [f.mean for f in get_predictor("loss").predict(with_losses(make_curve, pairs))] == [0.5, 0.9, 0.7]


def test_equal_losses_share_and_unknown_ones_keep_theirs(make_curve):
    pairs = [(0.75, 0.3), (0.25, 0.3), (0.6, None), (0.5, 0.1), (0.2, np.nan)]
    forecasts = get_predictor("loss").predict(with_losses(make_curve, pairs))
    assert [f.mean for f in forecasts] == [0.375, 0.375, 0.6, 0.75, 0.2]
    assert "no loss was recorded" in forecasts[2].warning
    assert "no loss was recorded" in forecasts[4].warning
    assert forecasts[0].warning == ""
