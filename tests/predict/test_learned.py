"""Gains learned from finished runs: against scikit-learn, the limits of the penalty, and what is not learned from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from ncore.predict import Task
from ncore.predict.features import FEATURES, expit, logit, table
from ncore.predict.learned import LearnedGain, fit_gain
from ncore.predict.record import standings, track_record

LEVEL = LearnedGain("test", "Test", "test", ("rise", "loss"))


def task(make_curve, name, rng, gain, n=20, group="", offset=0.0):
    """Runs of three epochs that end at logit(last) + offset + gain(rise, loss)."""
    curves = []
    for number in range(n):
        accuracy = np.sort(rng.uniform(0.2, 0.7, 3))
        curve = make_curve(accuracy, f"{number}", loss=rng.uniform(0.5, 2.0, 3))
        rise, loss = table([curve], LEVEL.features)[0]
        final = float(expit(logit(accuracy[-1]) + offset + gain(rise, loss)))
        curves.append(make_curve(accuracy, f"{number}", loss=curve.loss, observed=final))
    return Task(name, curves, group)


def slopes(rise, loss):
    return 0.6 * rise + 0.4 * loss


def test_a_linear_gain_is_learned_whatever_else_tasks_differ_in(make_curve):
    rng = np.random.default_rng(0)
    tasks = [task(make_curve, f"{n}", rng, slopes, offset=0.3 * n) for n in range(4)]
    fitted = LEVEL.fit(tasks)
    np.testing.assert_allclose(fitted.gain(3).slopes, [0.6, 0.4], atol=0.02)
    (new,) = [task(make_curve, "new", rng, slopes, offset=0.45)]  # the mean of the offsets
    curves, truth = new.as_of(3)
    means = [forecast.mean for forecast in fitted.predict(curves)]
    np.testing.assert_allclose(means, truth, atol=0.01)


@pytest.mark.parametrize("penalty", [0.1, 10.0, 1000.0])
def test_the_slopes_are_those_of_ridge_regression_within_tasks(penalty):
    rng = np.random.default_rng(1)
    tasks = [("a", rng.normal(3, 2, (15, 3)), rng.normal(0, 1, 15)), ("b", rng.normal(0, 1, (15, 3)), np.arange(15.0))]
    X = np.concatenate([features - features.mean(axis=0) for _, features, _ in tasks])
    y = np.concatenate([gains - gains.mean() for _, _, gains in tasks])
    scale = X.std(axis=0)
    expected = Ridge(alpha=penalty, fit_intercept=False).fit(X / scale, y).coef_ / scale
    found = fit_gain(tasks, penalties=[penalty])
    np.testing.assert_allclose(found.slopes, expected)
    # The mean gain of each task counts the same.
    means = [np.mean(gains - (features - found.centre) @ expected) for _, features, gains in tasks]
    assert found.offset == pytest.approx(np.mean(means))


def test_an_endless_penalty_is_the_last_accuracy(make_curve):
    rng = np.random.default_rng(2)
    rows = [("a", rng.normal(size=(20, 2)), rng.normal(size=20)), ("b", rng.normal(size=(20, 2)), rng.normal(size=20))]
    np.testing.assert_allclose(fit_gain(rows, penalties=[1e12]).slopes, 0, atol=1e-9)


def test_evidence_that_does_not_carry_over_is_not_used():
    """Two groups whose slopes contradict each other leave the largest penalty; two that agree a small one."""
    rng = np.random.default_rng(3)
    features = [rng.normal(size=(30, 1)) for _ in range(4)]
    agree = [(f"{n}", X, X[:, 0] + 0.1 * rng.normal(size=30)) for n, X in enumerate(features)]
    contradict = [(name, X, (-1) ** n * y) for n, (name, X, y) in enumerate(agree)]
    assert fit_gain(agree).penalty < 2
    assert fit_gain(contradict).penalty > 1000
    one_group = [("same", X, y) for _, X, y in agree]
    assert fit_gain(one_group).penalty > 1000  # nothing to judge by


def test_untaught_it_reads_the_last_accuracy(make_curve):
    few = Task("few", [make_curve([0.5, 0.6], f"{n}", observed=0.7) for n in range(5)])
    for predictor in (LEVEL, LEVEL.fit([]), LEVEL.fit([few])):
        (forecast,) = predictor.predict([make_curve([0.4, 0.5])])
        assert forecast.mean == 0.5
        assert "no finished runs of other tasks" in forecast.warning


def test_later_epochs_than_the_experience_has_use_its_last_model(make_curve):
    rng = np.random.default_rng(4)
    fitted = LEVEL.fit([task(make_curve, f"{n}", rng, slopes) for n in range(3)])
    assert fitted.gain(3) is fitted.gain(9)
    assert fitted.gain(1) is not fitted.gain(3)


def test_what_was_not_recorded_counts_as_average(make_curve):
    rng = np.random.default_rng(5)
    fitted = LEVEL.fit([task(make_curve, f"{n}", rng, slopes) for n in range(3)])
    accuracy = [0.3, 0.4, 0.5]
    average = np.exp(-fitted.gain(3).centre[1])
    without, with_average = fitted.predict([make_curve(accuracy), make_curve(accuracy, loss=[1, 1, average])])
    assert without.mean == pytest.approx(with_average.mean)
    assert without.warning == "taken as average, not being known: loss"
    assert with_average.warning == ""


@settings(deadline=None, max_examples=40)
@given(
    accuracy=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    loss=st.floats(-1, 10) | st.just(np.nan),
    beta=st.floats(-1, 10) | st.just(np.nan),
)
def test_features_are_finite_or_unknown(make_curve, accuracy, loss, beta):
    n = len(accuracy)
    curve = make_curve(accuracy, loss=[loss] * n, train_accuracy=accuracy, beta={"relative": [beta] * n})
    row = table([curve], list(FEATURES))[0]
    assert not np.isinf(row).any()
    assert np.isfinite(row[:4]).all()


def test_features_of_a_curve_by_hand(make_curve):
    curve = make_curve([0.5, 0.5, 0.5, 0.75], loss=[4.0, 2.0, 2.0, 1.0], beta={"relative": [1.0, 0.5, 0.5, 0.25]})
    row = dict(zip(FEATURES, table([curve], list(FEATURES))[0], strict=True))
    step = np.log(3)
    assert row["level"] == row["step"] == pytest.approx(step)
    assert row["smooth"] == pytest.approx(step / 3 - step)
    assert row["rise"] == pytest.approx(step / 2)  # two doublings of the epochs
    assert row["loss"] == 0
    assert row["loss rise"] == pytest.approx(np.log(4) / 2)
    assert row["beta"] == pytest.approx(np.log(4))
    assert row["beta fall"] == pytest.approx(np.log(4) / 2)
    assert row["beta step"] == pytest.approx(np.log(2))
    assert np.isnan(row["train"])


def finished(make_curve, name, finals, group=""):
    curves = [
        make_curve([0.3, 0.4, 0.5], candidate, seed, observed=final)
        for candidate, seeds in finals.items()
        for seed, final in enumerate(seeds)
    ]
    return Task(name, curves, group)


def test_standings_are_those_of_candidates(make_curve):
    task = finished(make_curve, "a", {"x": [0.5], "y": [float(expit(np.array(v))) for v in (1.5, 2.5)], "z": [np.nan]})
    assert standings(task) == pytest.approx({"x": -1.0, "y": 1.0})
    assert standings(finished(make_curve, "b", {"x": [0.5], "y": [0.5]})) == {}
    assert standings(Task("c", ())) == {}


def test_a_record_is_the_mean_standing_of_groups(make_curve):
    up, down = {"x": [0.4], "y": [0.6]}, {"x": [0.6], "y": [0.4]}
    tasks = [finished(make_curve, name, up, "g") for name in "abc"]
    record = track_record(["x", "y", "other"], tasks)
    np.testing.assert_allclose(record, [-0.5, 0.5, np.nan])  # three tasks on the same images are one
    more = track_record(["x", "y"], [*tasks, finished(make_curve, "d", up)])
    np.testing.assert_allclose(more, [-2 / 3, 2 / 3])
    np.testing.assert_allclose(track_record(["x"], [*tasks, finished(make_curve, "d", down)]), [0.0], atol=1e-12)


def test_the_record_of_a_task_leaves_out_its_group(make_curve):
    """What is learned of the record on a task must not have seen that task, or its images."""
    seen = []

    class Spy(LearnedGain):
        def _table(self, curves, others):
            seen.append({task.name for task in others})
            return super()._table(curves, others)

    tasks = [
        finished(make_curve, name, {f"{n}": [0.4 + 0.02 * n] for n in range(6)}, name[0]) for name in ("a1", "a2", "b1")
    ]
    spy = Spy("spy", "spy", "spy", ["record"])
    spy._experience = tuple(tasks)
    spy.gain(2)
    assert seen == [{"b1"}, {"b1"}, {"a1", "a2"}]


def test_who_ended_best_elsewhere_is_expected_to_again(make_curve):
    rng = np.random.default_rng(6)
    worth = dict(zip("abcdefghijkl", np.linspace(-1, 1, 12), strict=True))

    def one(name):
        finals = {key: [float(expit(value + 0.1 * rng.normal()))] for key, value in worth.items()}
        return finished(make_curve, name, finals)

    fitted = LearnedGain("t", "t", "t", ["record"]).fit([one(name) for name in ("1", "2", "3", "4")])
    forecasts = fitted.predict([make_curve([0.3, 0.4, 0.5], name) for name in ("a", "l", "unknown")])
    assert forecasts[0].mean < 0.35
    assert forecasts[1].mean > 0.65
    assert forecasts[2].mean == pytest.approx(0.5, abs=0.05)
    assert "record" in forecasts[2].warning


def test_scores_count_within_their_task(make_curve):
    rng = np.random.default_rng(7)

    def one(name, scale):
        scores = rng.normal(size=20)
        return Task(
            name,
            [
                make_curve([0.4, 0.5], f"{n}", observed=float(expit(0.5 * score)), scores={"logme": scale * score + 7})
                for n, score in enumerate(scores)
            ],
        )

    fitted = LearnedGain("t", "t", "t", ["score logme"]).fit([one(f"{scale}", scale) for scale in (0.01, 1.0, 100.0)])
    curves, truth = one("new", 5.0).as_of(2)
    means = [forecast.mean for forecast in fitted.predict(curves)]
    assert np.corrcoef(means, truth)[0, 1] > 0.99
