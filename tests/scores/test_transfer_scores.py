"""What all transferability scores share: declared direction and range, awkward data, and errors."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.special import softmax

from ncore.errors import InputError
from ncore.scores.transfer import TRANSFER_SCORES, transfer_scores

names = list(TRANSFER_SCORES)
of_features = [name for name, score in TRANSFER_SCORES.items() if score.reads == "features"]


def data(samples=60, features=10, classes=3, strength=2.0, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    return random.normal(size=(samples, features)) + strength * random.normal(size=(classes, features))[labels], labels


def value(name, matrix, labels):
    """A score of features, whose softmax stands for source probabilities."""
    score = TRANSFER_SCORES[name]
    theta = softmax(np.asarray(matrix, float), axis=1)
    given = {"features": matrix, "probabilities": theta, "predictions": theta.argmax(axis=1)}
    return score.function(given[score.reads], labels)


@pytest.mark.parametrize("name", names)
def test_direction_and_range(name):
    score = TRANSFER_SCORES[name]
    assert score.name == name
    assert score.higher_is_better
    better, worse = (value(name, *data(strength=strength)) for strength in (3.0, 0.0))
    assert better > worse
    assert score.lower_bound <= worse <= better <= score.upper_bound
    assert type(better) is float
    assert score.label
    assert score.source
    assert score.description.endswith(".")


@pytest.mark.parametrize("name", names)
def test_names_types_and_order_of_the_labels_do_not_matter(name):
    matrix, labels = data(samples=31)
    expected = value(name, matrix, labels)
    assert value(name, matrix, np.array(["owl", "ant", "elk"])[labels]) == pytest.approx(expected, abs=0.05)
    assert value(name, matrix.astype(np.float32).tolist(), labels.astype(float).tolist()) == pytest.approx(
        expected, rel=1e-5
    )
    if name not in ("linear_probe", "n_leep"):  # whose folds and start are drawn by position
        order = np.random.default_rng(1).permutation(31)
        assert value(name, matrix[order], labels[order]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", names)
@pytest.mark.parametrize("case", ["wide", "constant", "one constant", "singletons", "equal samples", "float16", "huge"])
def test_awkward_data(name, case):
    matrix, labels = data(samples=24, features=80 if case == "wide" else 6)
    if case == "constant":
        matrix = np.full((24, 6), 0.1)
    elif case == "one constant":
        matrix[:, 2] = 0.1
    elif case == "singletons":
        labels = np.where(np.arange(24) < 4, np.arange(24) + 10, labels)
    elif case == "equal samples":
        matrix = np.repeat(matrix[:8], 3, axis=0)
    elif case == "float16":
        matrix = matrix.astype(np.float16)
    elif case == "huge":
        matrix = 1e30 * matrix
    before = matrix.copy()
    result = value(name, matrix, labels)
    assert np.isfinite(result)
    assert TRANSFER_SCORES[name].lower_bound <= result <= TRANSFER_SCORES[name].upper_bound
    assert np.array_equal(matrix, before)


def test_constant_features_are_worth_nothing():
    matrix, labels = np.full((30, 4), 0.1), np.arange(30) % 3
    values = transfer_scores(matrix, labels)
    assert values["h_score"] == values["regularized_h_score"] == values["transrate"] == 0
    assert values["gbc"] == -6
    assert values["linear_probe"] == pytest.approx(1 / 3)
    assert values["n_leep"] == pytest.approx(-np.log(3))


@pytest.mark.parametrize("name", of_features)
def test_bad_features_and_labels(name):
    function = TRANSFER_SCORES[name].function
    matrix, labels = data()
    with pytest.raises(InputError, match="hold 2 values that are not finite"):
        function(np.where(np.arange(60)[:, None] + np.arange(10) == 1, np.nan, matrix), labels)
    with pytest.raises(InputError, match=r"shape \(60, 2, 5\)"):
        function(matrix.reshape(60, 2, 5), labels)
    with pytest.raises(InputError, match=r"shape \(60, 0\)"):
        function(matrix[:, :0], labels)
    with pytest.raises(InputError, match=r"shape \(59,\), but 60 samples need \(60,\)"):
        function(matrix, labels[1:])
    with pytest.raises(InputError, match="hold 1 class"):
        function(matrix, np.zeros(60))
    with pytest.raises(InputError, match=r"0\.5 is no class"):
        function(matrix, labels / 2)


def test_scores_of_a_candidate():
    matrix, labels = data()
    theta = softmax(matrix, axis=1)
    assert list(transfer_scores(matrix, labels)) == of_features
    values = transfer_scores(matrix, labels, theta)
    assert list(values) == names
    assert values["nce"] == TRANSFER_SCORES["nce"].function(theta.argmax(axis=1), labels)
    assert transfer_scores(matrix, labels, names=["gbc", "logme"]) == {name: values[name] for name in ("gbc", "logme")}


def test_names_that_cannot_be_served():
    matrix, labels = data()
    with pytest.raises(InputError, match="The score 'accuracy' is unknown: choose from logme"):
        transfer_scores(matrix, labels, names=["accuracy"])
    with pytest.raises(InputError, match="leep, nce need the probabilities"):
        transfer_scores(matrix, labels, names=["gbc", "leep", "nce"])


def test_importing_is_light():
    code = (
        "import sys, ncore.scores.transfer, ncore.scores.zero_cost; "
        "print([name for name in ('torch', 'sklearn', 'scipy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
