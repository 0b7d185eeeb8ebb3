"""Standings on other tasks: against the conditional normal distribution written out, and what must not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from ncore.predict import Task, get_predictor, kendall, rank_curves
from ncore.predict.curves import PROBE_LOGME
from ncore.predict.predictors._features import FEATURES, logit, table
from ncore.predict.predictors.history import (
    ENOUGH,
    FURTHEST,
    LIFT_RIDGE,
    MIN_TASKS,
    RIDGE,
    TRUST,
    History,
    Moments,
    find_moments,
    standing,
)
from ncore.predict.stopping import standing as standings

LEVEL = History("test", "Test", "test")
CANDIDATE = np.array([[0.6, 0.5], [0.5, 0.7]])
GROUP = np.array([[0.1, 0.05], [0.05, 0.1]])
TASK = np.array([[1.0, 0.8], [0.8, 1.0]])


def moments(**changed):
    given = {"past": {}, "candidate": CANDIDATE, "group": GROUP, "task": TASK}
    return Moments(**{**given, "lift": 0.0, "lift_sd": 0.0, "stretch": 1.0, "spread": 1.0, **changed})


@pytest.mark.parametrize("n", [0, 1, 3])
def test_the_final_standing_is_conditional_on_all_that_is_known(n):
    """Build the joint covariance of everything entry by entry, and condition on what is known."""
    rng = np.random.default_rng(n)
    past, now = [rng.normal(size=2) for _ in range(n)], rng.normal(size=1)
    known = [(group, kind) for group in range(n) for kind in (0, 1)] + [("new", 0)]

    def covariance(a, b):
        (where, i), (there, j) = a, b
        value = CANDIDATE[i, j]
        if where == there:
            value = TASK[i, j] if where == "new" else CANDIDATE[i, j] + GROUP[i, j]
        return value + (RIDGE if a == b and a != ("new", 1) else 0)

    matrix = np.array([[covariance(a, b) for b in known] for a in known])
    across = np.array([covariance(a, ("new", 1)) for a in known])
    mean, variance = moments().final(now, past)
    assert mean == pytest.approx(across @ np.linalg.solve(matrix, np.concatenate([*past, now])))
    assert variance == pytest.approx(TASK[1, 1] - across @ np.linalg.solve(matrix, across))


def test_without_a_past_it_is_regression_on_the_level():
    mean, variance = moments().final(np.array([1.5]), [])
    assert mean == pytest.approx(0.8 / (1 + RIDGE) * 1.5)
    assert variance == pytest.approx(1 - 0.8**2 / (1 + RIDGE))


def test_a_long_past_is_surer_and_counts_more():
    past = [np.array([-0.5, 1.0])] * 20  # it always starts slowly and always ends well
    few, many = (moments().final(np.array([-0.5]), past[:n]) for n in (1, 20))
    assert moments().final(np.array([-0.5]), [])[0] < 0 < few[0] < many[0]
    assert many[1] < few[1]


def test_a_past_that_says_nothing_is_not_used():
    nothing = moments(candidate=np.zeros((2, 2)))
    assert nothing.final(np.array([1.0]), [np.array([9.0, 9.0])])[0] == nothing.final(np.array([1.0]), [])[0]


def draw(make_curve, rng, worth, name, group="", kept=0.8, noise=0.5, shift=0.0, seeds=1, epochs=3):
    """A task on which candidates of this worth start by `slow` below their end, for some of them more than others."""
    curves = []
    for number, value in enumerate(worth):
        final = kept * value + np.sqrt(1 - kept**2) * rng.normal()
        for seed in range(seeds):
            level = final - 1.0 - 1.5 * (number % 2) + noise * rng.normal()
            accuracy = expit(np.append(np.linspace(level - 1, level, epochs), [final] * (6 - epochs)) + shift)
            observed = float(expit(np.array(final + shift)))
            curves.append(make_curve(accuracy, f"c{number}", seed, horizon=6, observed=observed))
    return Task(name, curves, group)


@pytest.fixture(scope="module")
def drawn(make_curve):
    rng = np.random.default_rng(0)
    worth = rng.normal(size=30)
    tasks = [draw(make_curve, rng, worth, f"t{n}", f"g{n % 4}", shift=0.3 * rng.normal()) for n in range(8)]
    return tasks, [draw(make_curve, rng, worth, f"new {n}", shift=0.5) for n in range(6)]


def taus(predictor, tasks, k=3):
    found = []
    for task in tasks:
        ranking = rank_curves(task.curves, epochs=k, method=predictor)
        found.append(kendall(ranking["predicted"].to_numpy(), ranking["observed"].to_numpy()))
    return np.mean(found)


def test_the_past_ranks_better_than_the_level_alone(drawn):
    tasks, new = drawn
    last, alone = get_predictor("last"), History("a", "a", "a", past=False).fit(tasks)
    assert taus(alone, new) == pytest.approx(taus(last, new))  # one feature keeps its order
    assert taus(LEVEL.fit(tasks), new) > taus(last, new) + 0.2


def held(fitted, tasks, k=3):
    """The share of finals in 90% intervals, and the intervals' widths in standard deviations of logits, (runs,)."""
    inside, widths = [], []
    for task in tasks:
        curves, truth = task.as_of(k)
        for forecast, final in zip(fitted.predict(curves), truth, strict=True):
            inside.append(abs(forecast.mean - final) < 1.645 * forecast.sd)
            widths.append(forecast.sd / (forecast.mean * (1 - forecast.mean)))
    return np.mean(inside), np.array(widths)


def test_intervals_are_about_right_before_calibration(drawn, monkeypatch):
    tasks, new = drawn
    monkeypatch.setattr("ncore.predict.predictors.history.RISE", 0.0)  # these tasks rise, but differ little in how far
    assert held(LEVEL.fit(tasks), new)[0] == pytest.approx(0.9, abs=0.07)
    calibrated = get_predictor("history").fit(tasks)
    assert held(calibrated, new)[0] == pytest.approx(0.9, abs=0.07)
    monkeypatch.undo()
    assert held(get_predictor("history").fit(tasks), new)[0] == pytest.approx(0.9, abs=0.07)


def test_intervals_are_wider_while_curves_rise(drawn, monkeypatch):
    tasks, new = drawn
    fitted = LEVEL.fit(tasks)
    rising = held(fitted, new)[1]  # from the first to the third epoch by one in logits, all of them
    monkeypatch.setattr("ncore.predict.predictors.history.RISE", 0.0)
    alone = held(fitted, new)[1]
    assert np.sqrt(rising**2 - alone**2) == pytest.approx(np.ones(rising.size), abs=0.05)
    assert held(fitted, new, 1)[1] == pytest.approx(held(LEVEL.fit(tasks), new, 1)[1])  # one epoch shows no rise


def test_tasks_that_rose_more_steeply_go_on_further(make_curve):
    """In logits, a task that rose by r since its first epoch gains 2 r more."""

    def task(number, steep):
        levels = np.linspace(-1, 1, 6)
        curves = [
            make_curve(
                expit(np.array([level - steep, level, level + steep, level + 2 * steep])),
                f"c{n}",
                observed=float(expit(level + 2 * steep)),
            )
            for n, level in enumerate(levels)
        ]
        return Task(f"t{number}", curves, f"g{number % 2}")

    tasks = [task(number, steep) for number, steep in enumerate([0.1, 0.2, 0.3, 0.4, 0.5])]
    moments = find_moments(tasks, 2, ("level",))
    assert moments.rise == pytest.approx(0.3)
    assert moments.lift == pytest.approx(0.6)
    assert moments.steepness == pytest.approx(2 / (1 + LIFT_RIDGE))
    levels = logit(np.array([0.4, 0.6]))
    assert moments.scale(levels, 0.5)[0] == pytest.approx(levels.mean() + 0.6 + 0.2 * moments.steepness)
    few = find_moments(tasks[: MIN_TASKS - 1], 2, ("level",))
    assert few.steepness == 0


def test_of_few_candidates_nothing_is_said_to_be_shared(make_curve, drawn):
    """Two that are nearly level may end in either order."""
    fitted = get_predictor("history").fit(drawn[0])
    curves = [make_curve([0.3, 0.4, 0.45 + 0.002 * n], f"new {n}") for n in range(ENOUGH)]
    assert all(forecast.shared > 0 for forecast in fitted.predict(curves))
    pair = rank_curves(curves[:2], epochs=3, method=fitted)
    assert pair["p_best"].max() < 0.75


def test_the_covariances_are_found(make_curve):
    rng = np.random.default_rng(1)
    worth = rng.normal(size=400)
    tasks = [draw(make_curve, rng, worth, f"t{n}") for n in range(4)]
    found = find_moments(tasks, 3, ("level",))
    assert found.candidate[1, 1] == pytest.approx(TRUST * 0.8**2, abs=0.06)  # correlation of finals between tasks
    np.testing.assert_allclose(np.diag(found.task), [1, 1], atol=0.02)  # standings have variance 1
    np.testing.assert_allclose(found.candidate + found.group, found.task, atol=0.02)  # one task a group
    assert found.lift == pytest.approx(1.75, abs=0.1)  # 1 for half of the candidates and 2.5 for the others


def test_the_ranking_does_not_depend_on_how_hard_a_task_is(make_curve, drawn):
    fitted = LEVEL.fit(drawn[0])
    levels = np.random.default_rng(2).uniform(-1, 1, 12)

    def predicted(shift):
        curves = [make_curve(expit(np.full(3, level + shift)), f"c{n}") for n, level in enumerate(levels)]
        return np.array([forecast.mean for forecast in fitted.predict(curves)])

    np.testing.assert_allclose(logit(predicted(1.0)) - logit(predicted(0.0)), 1.0, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(shuffle=st.randoms(use_true_random=False))
def test_the_order_does_not_matter(make_curve, drawn, shuffle):
    fitted = LEVEL.fit(drawn[0])
    curves = [make_curve([0.1 * n, 0.1 * n + 0.05], f"c{n % 4}", seed=n // 4) for n in range(8)]
    forecasts = dict(zip(map(id, curves), fitted.predict(curves), strict=True))
    shuffled = list(curves)
    shuffle.shuffle(shuffled)
    assert fitted.predict(shuffled) == [forecasts[id(curve)] for curve in shuffled]


def test_seeds_share_the_forecast_of_their_candidate(make_curve, drawn):
    curves = [make_curve([0.3, value], "c1", seed) for seed, value in enumerate([0.4, 0.6])] + [make_curve([0.3, 0.7])]
    first, second, _ = LEVEL.fit(drawn[0]).predict(curves)
    assert first == second


def test_who_was_stopped_changes_nothing_for_the_others(make_curve, drawn):
    """If all gain alike, it makes no difference whether one of them was stopped before it could."""
    fitted = LEVEL.fit(drawn[0])
    levels = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    curves = [make_curve(expit(logit(level) + np.array([0.0, 0.5, 0.8])), f"c{n}") for n, level in enumerate(levels)]
    whole = fitted.predict(curves)
    stopped = fitted.predict([curves[0].until(1), *curves[1:]])
    for one, other in zip(whole[1:], stopped[1:], strict=True):
        assert (other.mean, other.sd) == pytest.approx((one.mean, one.sd))
    assert stopped[0].mean == pytest.approx(whole[0].mean, abs=0.1)


def test_a_stopped_run_does_not_become_the_best_as_the_others_rise(make_curve, drawn):
    fitted = LEVEL.fit(drawn[0])
    stopped = [make_curve([0.1], f"c{n}") for n in range(5)]
    going = [make_curve([0.2, 0.3 + 0.05 * n, 0.5 + 0.05 * n], f"c{n}") for n in range(5, 10)]
    forecasts = fitted.predict([*stopped, *going])
    assert max(f.mean for f in forecasts[:5]) < min(f.mean for f in forecasts[5:])
    assert standings([*stopped, *going], fitted).choice == "c9"


def test_untaught_it_reads_the_last_accuracy(make_curve):
    few = Task("few", [make_curve([0.5, 0.6], f"{n}", observed=0.7) for n in range(5)])
    for predictor in (LEVEL, LEVEL.fit([]), LEVEL.fit([few])):
        (forecast,) = predictor.predict([make_curve([0.4, 0.5])])
        assert forecast.mean == 0.5
        assert "too few finished runs of other tasks" in forecast.warning
    assert LEVEL.predict([]) == []


def test_later_epochs_than_were_seen_use_the_last_model(drawn):
    fitted = LEVEL.fit(drawn[0])
    assert fitted.moments(5) is fitted.moments(50)
    assert fitted.moments(1) is not fitted.moments(3)


def test_a_feature_of_its_own_is_learned(make_curve):
    """beta_eff tells the end, the level nothing; without a recorded beta_eff only the level is left."""
    rng = np.random.default_rng(3)

    def one(name):
        finals = rng.normal(size=25)
        return Task(
            name,
            [
                make_curve(
                    rng.uniform(0.3, 0.7, 2),
                    f"{n}",
                    observed=float(expit(np.array(value))),
                    beta={"relative": [1.0, np.exp(-value)]},
                )
                for n, value in enumerate(finals)
            ],
        )

    fitted = History("b", "b", "b", ("level", "beta"), "relative", past=False).fit([one(f"{n}") for n in range(3)])
    assert taus(fitted, [one("new")], k=2) > 0.9


def test_scores_count_within_their_task(make_curve):
    rng = np.random.default_rng(4)

    def one(name, scale):
        curves = [
            make_curve([0.4, 0.5], f"{n}", observed=float(expit(0.5 * score)), scores={PROBE_LOGME: scale * score + 7})
            for n, score in enumerate(rng.normal(size=20))
        ]
        return Task(name, curves)

    fitted = History("s", "s", "s", ("level", "logme"), past=False).fit([one(f"{x}", x) for x in (0.01, 1.0, 9.0)])
    assert taus(fitted, [one("new", 5.0)], k=2) > 0.99
    # Where all candidates are at one level they end as far apart as on the other tasks.
    curves, truth = one("new", 5.0).as_of(2)
    means = [forecast.mean for forecast in fitted.predict(curves)]
    assert np.std(means) == pytest.approx(np.std(truth), rel=0.5)


def test_one_that_diverged_does_not_squeeze_the_others():
    values = standing(np.array([*np.linspace(0, 1, 20), -1000.0, np.nan]))
    assert np.nanmin(values) == -FURTHEST
    assert np.isnan(values[-1])


def test_what_is_unknown_is_not_conditioned_on():
    task = np.array([[1.0, 0.6, 0.8], [0.6, 1.0, 0.7], [0.8, 0.7, 1.0]])
    three = moments(candidate=0 * task, group=0 * task, task=task)
    two = moments(candidate=np.zeros((2, 2)), group=np.zeros((2, 2)), task=task[np.ix_([0, 2], [0, 2])])
    assert three.final(np.array([1.2, np.nan]), []) == pytest.approx(two.final(np.array([1.2]), []))
    assert three.final(np.array([1.2, 0.0]), []) != pytest.approx(two.final(np.array([1.2]), []))


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
    assert np.isfinite(row[0])


def test_features_of_a_curve_by_hand(make_curve):
    curve = make_curve(
        [0.5, 0.5, 0.75],
        loss=[4.0, 2.0, 1.0],
        train_loss=[1.0, 1.0, 0.5],
        train_accuracy=[0.5, 0.5, 0.25],
        beta={"relative": [1.0, 0.5, 0.25]},
    )
    row = dict(zip(FEATURES, table([curve], list(FEATURES))[0], strict=True))
    expected = {"level": np.log(3), "loss": 0, "train": -np.log(3), "train loss": np.log(2), "beta": np.log(4)}
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert np.isnan(table([make_curve([0.5])], ["beta"])[0, 0])
