"""kNN and linear probe against scikit-learn and loops."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, PredefinedSplit, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ncore.errors import InputError
from ncore.scores.transfer import knn_accuracy, linear_probe
from ncore.scores.transfer._data import check_labels
from ncore.scores.transfer.linear_probe import _partition


def sample(seed, samples, features, classes):
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, samples - classes)])
    return random.normal(size=(samples, features)) + random.normal(size=(classes, features))[labels], labels


def knn_by_loops(matrix, labels, neighbours):
    distances = cdist(matrix, matrix)
    right = 0
    for i, label in enumerate(labels):
        near = sorted((j for j in range(len(labels)) if j != i), key=lambda j: distances[i, j])[:neighbours]
        votes = Counter(labels[j] for j in near)
        tied = {candidate for candidate, count in votes.items() if count == max(votes.values())}
        right += next(labels[j] for j in near if labels[j] in tied) == label
    return right / len(labels)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6), samples=st.integers(8, 40), features=st.integers(1, 12), neighbours=st.integers(1, 7)
)
def test_knn_by_loops(seed, samples, features, neighbours):
    matrix, labels = sample(seed, samples, features, 3)
    assert knn_accuracy(matrix + 100, labels, neighbours) == knn_by_loops(matrix, labels.tolist(), neighbours)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_knn_is_scikit_learns_leave_one_out(neighbours):
    matrix, labels = sample(0, 80, 4, 2)  # two classes and odd k: no ties
    model = KNeighborsClassifier(neighbours)
    assert knn_accuracy(matrix, labels, neighbours) == cross_val_score(model, matrix, labels, cv=LeaveOneOut()).mean()


def test_knn_in_several_chunks(monkeypatch):
    matrix, labels = sample(1, 100, 3, 4)
    expected = knn_accuracy(matrix, labels)
    monkeypatch.setattr("ncore.scores.transfer.knn._CHUNK", 7)
    assert knn_accuracy(matrix, labels) == expected == knn_by_loops(matrix, labels.tolist(), 5)


@pytest.mark.parametrize("neighbours", [0, 4, 41])
def test_neighbours_out_of_range(neighbours):
    with pytest.raises(InputError, match=f"is {neighbours}, but must be from 1 to 3 for 4 samples"):
        knn_accuracy(np.eye(4), [0, 0, 1, 1], neighbours)


@pytest.mark.parametrize(("samples", "features", "regularization"), [(60, 5, 1.0), (32, 40, 50.0)])
def test_the_probe_is_scikit_learns_on_the_same_folds(samples, features, regularization):
    matrix, labels = sample(5, samples, features, 3)
    folds = PredefinedSplit(_partition(check_labels(labels, samples), 5, seed=0))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / regularization, max_iter=1000))
    expected = cross_val_score(model, matrix, labels, cv=folds)
    sizes = [len(held) for _, held in folds.split()]
    value = linear_probe(matrix, labels, regularization=regularization)
    assert value == pytest.approx(np.average(expected, weights=sizes))
    assert 0.2 < value < 1


@settings(deadline=None, max_examples=40)
@given(labels=st.lists(st.integers(0, 3), min_size=6, max_size=40), folds=st.integers(2, 6), seed=st.integers(0, 9))
def test_folds_are_of_one_size_and_stratified(labels, folds, seed):
    labels = np.array([*labels, 7])
    fold = _partition(check_labels(labels, labels.size), folds, seed)
    for rows in (np.ones(labels.size, bool), *(labels == label for label in set(labels))):
        counts = np.bincount(fold[rows], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_the_probe_on_separable_and_on_useless_features():
    labels = np.arange(60) % 2
    random = np.random.default_rng(0)
    assert linear_probe(labels[:, None] + 0.01 * random.normal(size=(60, 1)), labels) == 1
    assert linear_probe(np.ones((60, 3)), np.arange(60) % 3 > 0) == pytest.approx(2 / 3)  # the larger class
    assert 0.2 < linear_probe(random.normal(size=(60, 3)), labels) < 0.8


def test_a_fold_that_leaves_one_class():
    assert linear_probe(np.arange(5.0)[:, None], [0, 0, 0, 0, 1]) == pytest.approx(4 / 5)


def test_probe_arguments():
    with pytest.raises(InputError, match="folds is 5, but must be from 2 to the number of samples, 4"):
        linear_probe(np.eye(4), [0, 0, 1, 1])
    with pytest.raises(InputError, match="regularisation is 0"):
        linear_probe(np.eye(6), [0, 0, 0, 1, 1, 1], regularization=0)
