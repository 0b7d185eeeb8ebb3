"""LEEP, NCE and N-LEEP against loops, scikit-learn, and the inequalities of their papers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.metrics import mutual_info_score
from sklearn.mixture import GaussianMixture

from ncore.errors import InputError
from ncore.scores.transfer import leep, n_leep, nce

quick = settings(deadline=None, max_examples=50)
sizes = {
    "seed": st.integers(0, 10**6),
    "samples": st.integers(4, 30),
    "sources": st.integers(1, 6),
    "classes": st.integers(2, 4),
}


def sample(seed, samples, sources, classes):
    """Source probabilities that go a little with the labels."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(samples) % classes)
    logits = 2 * random.normal(size=(samples, sources)) + 2 * random.normal(size=(classes, sources))[labels]
    return softmax(logits, axis=1), labels


def entropy(labels):
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return -math.fsum(shares * np.log(shares))


def leep_by_loops(theta, labels):
    samples, sources = theta.shape
    joint = {(y, z): 0.0 for y in set(labels) for z in range(sources)}
    for i in range(samples):
        for z in range(sources):
            joint[labels[i], z] += theta[i][z] / samples
    marginal = [math.fsum(joint[y, z] for y in set(labels)) for z in range(sources)]
    return (
        math.fsum(
            math.log(math.fsum(joint[labels[i], z] / marginal[z] * theta[i][z] for z in range(sources) if marginal[z]))
            for i in range(samples)
        )
        / samples
    )


@quick
@given(**sizes)
def test_leep_by_loops(seed, samples, sources, classes):
    theta, labels = sample(seed, samples, sources, classes)
    assert leep(theta, labels) == pytest.approx(leep_by_loops(theta, labels.tolist()))


@quick
@given(**sizes)
def test_nce_is_mutual_information_less_entropy(seed, samples, sources, classes):
    theta, labels = sample(seed, samples, sources, classes)
    predictions = theta.argmax(axis=1)
    assert nce(predictions, labels) == pytest.approx(
        mutual_info_score(labels, predictions) - entropy(labels), abs=1e-12
    )


@quick
@given(**sizes)
def test_leep_of_sure_predictions_is_nce(seed, samples, sources, classes):
    theta, labels = sample(seed, samples, sources, classes)
    predictions = theta.argmax(axis=1)
    assert leep(np.eye(sources)[predictions], labels) == pytest.approx(nce(predictions, labels), abs=1e-12)


@quick
@given(**sizes)
def test_the_bounds_of_leep(seed, samples, sources, classes):
    theta, labels = sample(seed, samples, sources, classes)
    value = leep(theta, labels)
    joint = np.array([theta[labels == y].sum(axis=0) for y in range(classes)]) / samples
    conditional = joint / joint.sum(axis=0)
    # Property 1 of Nguyen et al.: with one source class z_i for each sample, log P(y_i | z_i) + log theta(x_i)_z_i.
    # (P is LEEP's own: with the P of the z_i, as in `nce`, it does not hold for few samples.)
    best = theta.argmax(axis=1)
    assert value >= np.mean(np.log(conditional[labels, best]) + np.log(theta.max(axis=1))) - 1e-12
    # Jensen: minus the conditional entropy of the empirical joint distribution, which is at least minus the entropy.
    assert -entropy(labels) - 1e-12 <= np.sum(joint * np.log(conditional)) <= value + 1e-12
    assert value <= 0


@quick
@given(**sizes)
def test_the_bounds_of_nce(seed, samples, sources, classes):
    theta, labels = sample(seed, samples, sources, classes)
    assert -entropy(labels) - 1e-12 <= nce(theta.argmax(axis=1), labels) <= 0


def test_closed_forms():
    labels = [0, 0, 1, 1, 2, 2]
    assert leep(np.full((6, 4), 0.25), labels) == pytest.approx(-math.log(3))
    assert nce(np.zeros(6), labels) == pytest.approx(-math.log(3))
    assert nce([5, 5, 1, 1, 5, 5], labels) == pytest.approx(-math.log(2) * 4 / 6)
    assert nce(list("aabbcc"), labels) == leep(np.eye(9)[labels], labels) == 0


def test_half_precision_probabilities_are_scaled_to_sum_to_1():
    theta, labels = sample(0, 20, 5, 3)
    assert leep(theta * 1.0005, labels) == pytest.approx(leep(theta, labels), rel=1e-12)


@pytest.mark.parametrize("theta", [[[2.0, -1.0], [0.5, 0.5]], [[0.5, 0.4], [0.5, 0.5]]])
def test_logits_are_refused(theta):
    with pytest.raises(InputError, match="give the softmax of the source head"):
        leep(theta, [0, 1])


def test_predictions_are_one_a_sample():
    with pytest.raises(InputError, match=r"shape \(2, 2\)"):
        nce(np.eye(2), [0, 1])
    with pytest.raises(InputError, match="give one label a sample"):
        nce([1, 2, 3], [0, 1])


@pytest.mark.parametrize(("samples", "features"), [(90, 4), (90, 100)])
def test_n_leep_is_leep_of_a_mixture_of_principal_components(samples, features):
    random = np.random.default_rng(samples)
    labels = np.arange(samples) % 3
    matrix = random.normal(size=(samples, features)) + 2 * random.normal(size=(3, features))[labels] / features**0.5
    reduced = PCA(n_components=0.8, svd_solver="full").fit_transform(matrix)
    reduced /= np.sqrt(reduced.var(axis=0).mean())
    theta = GaussianMixture(15, random_state=0).fit(reduced).predict_proba(reduced)
    expected = leep_by_loops(theta, labels.tolist())
    assert -math.log(3) < expected < -1e-4
    assert n_leep(matrix, labels) == pytest.approx(expected, rel=1e-6)
    assert n_leep(1e-5 * matrix + 7, labels) == pytest.approx(expected, rel=1e-3)


def test_n_leep_of_few_or_equal_samples():
    assert n_leep(np.ones((6, 3)), [0, 0, 0, 1, 1, 1]) == pytest.approx(-math.log(2))
    assert n_leep(np.diag([1.0, 2.0, 3.0]), [0, 1, 2]) == pytest.approx(0, abs=1e-6)  # a component for each sample
