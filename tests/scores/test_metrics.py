"""Metrics from predictions, against scikit-learn's, for any classes: with ties, absent ones, rare ones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn import metrics as sk

from ncore.errors import InputError
from ncore.scores.metrics import Predictions, find_metric, get_metric, mcnemar, metric_names, paired, standard_error


def drawn(seed, size=60, classes=4, present=None, ties=True):
    """Predictions of some of the classes, with probabilities that are often the same."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(present or range(classes), size)
    outputs = rng.normal(size=(size, classes)) + 1.5 * np.eye(classes)[labels]
    outputs = np.round(outputs) if ties else outputs
    probabilities = np.exp(outputs)
    probabilities = np.round(probabilities / probabilities.sum(1, keepdims=True), 6)
    return of(labels, probabilities)


def of(labels, probabilities, **rest):
    rows, predicted = np.arange(len(labels)), probabilities.argmax(1)
    columns = {
        "label": labels,
        "predicted": predicted,
        "probability": probabilities[rows, predicted],
        "label_probability": probabilities[rows, labels],
        "probabilities": list(probabilities),
    }
    return Predictions.of(columns | rest)


@given(st.integers(0, 10**6), st.integers(2, 80), st.integers(2, 7), st.data())
@settings(max_examples=80, deadline=None)
def test_they_are_those_of_scikit_learn(seed, size, classes, data):
    present = data.draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes, unique=True))
    p = drawn(seed, size, classes, present, ties=data.draw(st.booleans()))
    seen = np.unique(p.labels)
    hot = np.eye(classes)[p.labels]
    expected = {
        "accuracy": sk.accuracy_score(p.labels, p.predicted),
        "balanced_accuracy": np.mean(sk.recall_score(p.labels, p.predicted, labels=seen, average=None)),
        "macro_f1": sk.f1_score(p.labels, p.predicted, average="macro"),
        "log_loss": sk.log_loss(
            p.labels, p.probabilities / p.probabilities.sum(1, keepdims=True), labels=range(classes)
        ),
        "average_precision": np.mean([sk.average_precision_score(hot[:, k], p.probabilities[:, k]) for k in seen]),
    }
    if len(seen) > 1:
        expected["auroc"] = np.mean([sk.roc_auc_score(hot[:, k], p.probabilities[:, k]) for k in seen])
    for name, value in expected.items():
        assert get_metric(name).value(p) == pytest.approx(value, abs=1e-5 if name == "log_loss" else 1e-9), name
    if len(seen) == 1:
        assert math.isnan(get_metric("auroc").value(p))
    recall = get_metric("balanced_accuracy").values_by_class(p)
    assert np.flatnonzero(~np.isnan(recall)).tolist() == seen.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_of_two_classes_all_follows_from_the_label_and_its_probability(seed):
    whole = drawn(seed, 50, 2)
    columns = {"label": whole.labels, "predicted": whole.predicted, "label_probability": whole.label_probability}
    part = Predictions.of(columns, 2)
    for name in ("auroc", "average_precision", "top_5"):
        assert get_metric(name).value(part) == pytest.approx(get_metric(name).value(whole))
    binary = sk.roc_auc_score(whole.labels, whole.probabilities[:, 1])
    assert get_metric("auroc").value(part) == pytest.approx(binary)


@pytest.mark.parametrize("seed", range(5))
def test_top_5_without_ties_is_that_of_scikit_learn_and_with_them_as_argmax_has_it(seed):
    p = drawn(seed, 80, 9, ties=False)
    expected = sk.top_k_accuracy_score(p.labels, p.probabilities, k=5, labels=range(9))
    assert get_metric("top_5").value(p) == pytest.approx(expected)
    tied = drawn(seed, 80, 9)
    assert ((tied.label_rank == 0) == (tied.labels == tied.predicted)).all()
    flat = of(np.arange(9), np.full((9, 9), 1 / 9))
    assert get_metric("top_5").values_by_class(flat).tolist() == [1] * 5 + [0] * 4


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_the_gap_of_a_reliability_diagram(seed):
    p = drawn(seed, 300, 3, ties=False)
    edges = np.linspace(0, 1, 16)
    right, expected = p.labels == p.predicted, 0.0
    for low, high in itertools.pairwise(edges):
        inside = (p.probability > low) & (p.probability <= high)
        if inside.any():
            expected += inside.mean() * abs(p.probability[inside].mean() - right[inside].mean())
    assert get_metric("ece").value(p) == pytest.approx(expected)
    assert get_metric("ece").value(of(p.labels, np.eye(3)[p.labels])) == 0


@pytest.mark.parametrize("name", metric_names())
def test_what_is_missing_is_said_by_name_and_nothing_is_guessed(name):
    metric = get_metric(name)
    bare = Predictions.of({"label": [0, 1, 2], "predicted": [0, 2, 2], "probability": [0.5, np.nan, 0.5]}, 3)
    if metric.needs:
        assert metric.lacks(bare)
        assert math.isnan(metric.value(bare))
        assert np.isnan(metric.values_by_class(bare)).all()
        assert math.isnan(standard_error(metric, bare))
        with pytest.raises(InputError, match=metric.needed):
            paired(metric, [bare], [bare])
    else:
        assert 0 <= metric.value(bare) <= 1


@pytest.mark.parametrize("name", metric_names())
@given(value=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_on_the_scale_higher_is_better_and_there_is_a_way_back(name, value):
    metric = get_metric(name)
    assert 0 <= metric.on_scale(value) <= 1
    assert metric.off_scale(metric.on_scale(value)) == pytest.approx(value, abs=1e-9)
    low, high = metric.on_scale([0.2, 0.6])
    assert bool(high > low) is metric.higher_is_better


def test_an_unknown_metric_names_all_there_are_and_usual_spellings_are_known():
    with pytest.raises(InputError) as caught:
        get_metric("mcc")
    assert all(name in str(caught.value) for name in metric_names())
    for name, spelled in {
        "auroc": "ROC-AUC",
        "macro_f1": "f1",
        "top_5": "Acc@5",
        "ece": "ECE",
        "log_loss": "nll",
    }.items():
        assert find_metric(spelled) is get_metric(name)
    assert find_metric("gradient_norm") is None


@pytest.mark.parametrize("name", metric_names())
def test_a_standard_error_is_the_spread_over_test_sets(name):
    """Against fresh test sets of the same kind, within what the resamples know."""
    metric = get_metric(name)
    values = metric.on_scale([metric.value(drawn(seed, 200, 4, ties=False)) for seed in range(60)])
    found = np.mean([standard_error(metric, drawn(seed, 200, 4, ties=False), resamples=60) for seed in range(6)])
    assert 0.6 < found / max(values.std(ddof=1), 1e-4) < 1.6 or name == "top_5"


@pytest.mark.parametrize(("rare", "right"), [(1, True), (4, True), (40, True), (40, False)])
def test_what_is_all_right_or_all_wrong_is_not_known_without_error(rare, right):
    """However few there are of a class: as Laplace's rule has it, to a third."""
    labels = np.r_[np.zeros(50 * rare, int), np.ones(rare, int)]
    p = Predictions.of({"label": labels, "predicted": labels if right else np.zeros_like(labels)}, 2)
    smoothed = (rare + 1) / (rare + 2)
    expected = math.sqrt(smoothed * (1 - smoothed) / (rare + 3)) / 2
    assert standard_error(get_metric("balanced_accuracy"), p) == pytest.approx(expected, rel=0.5)
    few = Predictions.of({"label": labels, "predicted": np.where(np.arange(labels.size) < 50 * rare + 1, 0, labels)}, 2)
    assert not paired(get_metric("balanced_accuracy"), [p if right else few], [few], resamples=200).clear


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 20))
@settings(deadline=None)
def test_mcnemar_is_the_exact_binomial_test_of_those_that_differ(first, second, both):
    labels = np.zeros(first + second + both + 1, int)
    one = np.r_[np.zeros(first, int), np.ones(second, int), np.zeros(both, int), 1]
    other = np.r_[np.ones(first, int), np.zeros(second, int), np.zeros(both, int), 1]
    found = mcnemar(*(Predictions.of({"label": labels, "predicted": side}, 2) for side in (one, other)))
    assert (found.only_first, found.only_second) == (first, second)
    expected = binomtest(first, first + second).pvalue if first + second else 1
    assert found.p_value == pytest.approx(expected)


def test_the_paired_interval_holds_the_difference_as_often_as_it_says_and_is_narrower_than_apart():
    rng, size, held, widths, apart = np.random.default_rng(0), 300, 0, [], []
    metric, z = get_metric("accuracy"), norm.ppf(0.95)
    for trial in range(120):
        easy = rng.random(size) < 0.7  # both get these right; of the others 30 and 50 per cent
        sides = [np.where(easy, 0, (rng.random(size) > chance).astype(int)) for chance in (0.3, 0.5)]
        both = [Predictions.of({"label": np.zeros(size, int), "predicted": side}, 2) for side in sides]
        found = paired(metric, [both[0]], [both[1]], resamples=300, seed=trial)
        held += found.lower <= -0.06 <= found.upper
        widths.append(found.upper - found.lower)
        rates = [one.mean() for one in sides]
        apart.append(2 * z * math.sqrt(sum(rate * (1 - rate) for rate in rates) / size))
    assert 0.82 <= held / 120 <= 0.97
    assert np.mean(widths) < 0.85 * np.mean(apart)


@pytest.mark.parametrize("differ", [1, 2, 3, 5, 6, 8, 12])
def test_few_examples_that_differ_are_clear_where_mcnemar_says_so(differ):
    labels = np.zeros(500, int)
    better, worse = (np.where(np.arange(500) < wrong, 1, 0) for wrong in (20, 20 + differ))
    sides = [Predictions.of({"label": labels, "predicted": side}, 2) for side in (better, worse)]
    found = paired(get_metric("accuracy"), [sides[0]], [sides[1]])
    assert found.clear == (mcnemar(*sides).p_value < 0.1)


def test_trainings_are_averaged_and_other_examples_are_refused():
    first, second = [drawn(seed, 100, 3, [0, 1, 2]) for seed in (1, 1)], drawn(1, 100, 3, [0, 1, 2])
    found = paired(get_metric("log_loss"), first, [second], resamples=50)
    assert (found.difference, found.trainings, found.clear) == (0, (2, 1), False)
    assert found.first_better == 0.5
    with pytest.raises(InputError, match="same examples"):
        mcnemar(first[0], drawn(2, 100, 3))


@pytest.mark.parametrize("columns", [{"label": [0, 3]}, {"predicted": [0, -1]}, {"label": [], "predicted": []}])
def test_classes_that_can_not_be_are_one_sentence(columns):
    with pytest.raises(InputError):
        Predictions.of({"label": [0, 1], "predicted": [0, 1]} | columns, 2)
