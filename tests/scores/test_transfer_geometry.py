"""H-scores, TransRate and GBC against dense matrices, regression, integration, and their invariances."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm, ortho_group
from sklearn.covariance import LedoitWolf, ledoit_wolf_shrinkage
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from ncore.errors import InputError
from ncore.scores.transfer import gbc, h_score, regularized_h_score, transrate

quick = settings(deadline=None, max_examples=40)
sizes = {
    "seed": st.integers(0, 10**6),
    "samples": st.integers(6, 30),
    "features": st.integers(2, 40),
    "classes": st.integers(2, 4),
}


def sample(seed, samples, features, classes):
    """Correlated features with class means, and labels in which every class has a sample or more."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, samples - classes)])
    means = random.normal(size=(classes, features))
    noise = random.normal(size=(samples, features)) @ random.normal(size=(features, features))
    return noise + 2 * means[labels] + 3, labels


def class_mean_of_each(matrix, labels):
    return np.array([matrix[labels == label].mean(axis=0) for label in labels])


@quick
@given(**sizes)
def test_h_score_with_dense_covariances(seed, samples, features, classes):
    matrix, labels = sample(seed, samples, features, classes)
    covariance, between = np.cov(matrix, rowvar=False), np.cov(class_mean_of_each(matrix, labels), rowvar=False)
    expected = np.trace(np.linalg.pinv(covariance, rcond=1e-11, hermitian=True) @ between)
    assert h_score(matrix, labels) == pytest.approx(expected, rel=1e-6)


@quick
@given(seed=st.integers(0, 10**6), samples=st.integers(5, 30), features=st.integers(1, 3))
def test_h_score_of_two_classes_is_r_squared(seed, samples, features):
    matrix, labels = sample(seed, samples, features, 2)
    expected = LinearRegression().fit(matrix, labels).score(matrix, labels)
    assert h_score(matrix, labels) == pytest.approx(expected, abs=1e-8)


@quick
@given(**sizes)
def test_range_of_the_h_scores(seed, samples, features, classes):
    matrix, labels = sample(seed, samples, features, classes)
    plain, shrunk = h_score(matrix, labels), regularized_h_score(matrix, labels)
    assert 0 <= shrunk <= plain + 1e-12
    assert plain <= min(classes - 1, features) + 1e-9
    if features >= samples - 1:
        assert plain == pytest.approx(classes - 1)


@quick
@given(seed=st.integers(0, 10**6), features=st.integers(1, 5))
def test_h_score_is_invariant_to_affine_maps(seed, features):
    matrix, labels = sample(seed, 20, features, 3)
    map_ = np.random.default_rng(seed).normal(size=(features, features)) + 3 * np.eye(features)
    assert h_score(matrix @ map_ - 5, labels) == pytest.approx(h_score(matrix, labels), rel=1e-6)


@quick
@given(**sizes)
def test_regularized_h_score_with_scikit_learns_covariance(seed, samples, features, classes):
    matrix, labels = sample(seed, samples, features, classes)
    model = LedoitWolf().fit(matrix)
    between = np.cov(class_mean_of_each(matrix, labels), rowvar=False, bias=True)
    expected = (1 - model.shrinkage_) * np.trace(np.linalg.solve(model.covariance_, between))
    assert ledoit_wolf_shrinkage(matrix) == model.shrinkage_
    assert regularized_h_score(matrix, labels) == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_regularized_h_score_tells_signal_from_noise_where_the_plain_one_cannot():
    random = np.random.default_rng(0)
    labels = np.arange(40) % 4
    noise = random.normal(size=(40, 100))
    signal = noise + random.normal(size=(4, 100))[labels]
    assert h_score(noise, labels) == pytest.approx(h_score(signal, labels))
    assert regularized_h_score(signal, labels) > 2 * regularized_h_score(noise, labels)


def test_h_scores_of_one_feature():
    # Two classes at +-1 with variance 1 around: total variance 2, half of it between. One feature is its own target.
    matrix, labels = np.array([[-2.0], [0.0], [0.0], [2.0]]), [0, 0, 1, 1]
    assert h_score(matrix, labels) == pytest.approx(0.5)
    assert regularized_h_score(matrix, labels) == pytest.approx(0.5)


@quick
@given(**sizes)
def test_transrate_with_dense_determinants(seed, samples, features, classes):
    matrix, labels = sample(seed, samples, features, classes)

    def rate(rows):
        return np.linalg.slogdet(np.eye(features) + rows.T @ rows / (len(rows) * 1e-2))[1] / 2

    centred = matrix - matrix.mean(axis=0)
    expected = rate(centred) - np.mean([rate(centred[labels == label]) for label in range(classes)])
    assert transrate(matrix, labels, epsilon=1e-2) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_transrate_in_closed_form():
    # Classes at -1 and +1: the coding rate of all and of each class is log(1 + 1/epsilon) / 2 for one feature. With a
    # second feature that only class 1 has, the determinants are those of 2 x 2 matrices.
    assert transrate([[-1.0], [-1.0], [1.0], [1.0]], [0, 0, 1, 1]) == pytest.approx(0)
    matrix, x = [[0.0, 0.0], [0.0, 0.0], [4.0, 0.0], [-4.0, 0.0]], 1e4
    expected = math.log(1 + 8 * x) / 2 - (0 + math.log(1 + 16 * x) / 2) / 2
    assert transrate(matrix, [0, 0, 1, 1]) == pytest.approx(expected)


@quick
@given(seed=st.integers(0, 10**6), each=st.integers(1, 8), features=st.integers(1, 20), classes=st.integers(2, 4))
def test_transrate_of_equal_classes_is_not_negative(seed, each, features, classes):
    # The log determinant is concave, and the covariance of all is the mean of those of equally large classes.
    random = np.random.default_rng(seed)
    assert transrate(random.normal(size=(each * classes, features)), np.arange(each * classes) % classes) >= -1e-9


def test_bhattacharyya_coefficient_by_integration():
    random = np.random.default_rng(1)
    labels = np.arange(50) % 2
    matrix = np.where(labels, random.normal(0, 1, 50), random.normal(1.5, 2, 50))[:, None]
    first, second = (norm(matrix[labels == label].mean(), matrix[labels == label].std()) for label in (0, 1))
    overlap = quad(lambda x: math.sqrt(first.pdf(x) * second.pdf(x)), -30, 30, limit=200)[0]
    for covariance in ("spherical", "diagonal"):
        assert gbc(matrix, labels, covariance=covariance) == pytest.approx(-2 * overlap, rel=1e-7)


@quick
@given(**sizes, covariance=st.sampled_from(["spherical", "diagonal"]))
def test_gbc_with_full_matrices(seed, samples, features, classes, covariance):
    matrix, labels = sample(seed, samples, features, classes)
    size = min(3, features)
    reduced = PCA(size, svd_solver="full").fit_transform(matrix)
    floor = 1e-4 * reduced.var(axis=0).mean()
    means, covariances = [], []
    for label in range(classes):
        rows = reduced[labels == label]
        variance = rows.var(axis=0)
        means.append(rows.mean(axis=0))
        covariances.append(
            np.diag(np.maximum(variance if covariance == "diagonal" else variance.mean(), floor) * np.ones(size))
        )
    expected = 0.0
    for i in range(classes):
        for j in range(classes):
            if i != j:
                # exp(-D_B) of two Gaussians, written as a ratio of densities instead of with determinants.
                shared = (covariances[i] + covariances[j]) / 2
                log = multivariate_normal.logpdf(means[i], means[j], 4 * shared)
                log -= 0.5 * sum(
                    multivariate_normal.logpdf(means[0], means[0], 2 * c) for c in (covariances[i], covariances[j])
                )
                log += size / 2 * math.log(2)
                expected -= math.exp(log)
    assert gbc(matrix, labels, dimensions=3, covariance=covariance) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_gbc_of_far_and_of_equal_classes():
    near = np.array([[0.0, 1.0], [1.0, 0.0]])
    labels = [0, 0, 1, 1, 2, 2]
    assert gbc(np.vstack([near, near + 100, near + 200]), labels) == pytest.approx(0, abs=1e-12)
    assert gbc(np.vstack([near, near, near]), labels) == pytest.approx(-6)
    assert gbc(np.ones((6, 2)), labels) == -6


def test_gbc_arguments():
    with pytest.raises(InputError, match="'full' in 64 dimensions"):
        gbc([[0.0], [1.0]], [0, 1], covariance="full")
    with pytest.raises(InputError, match="in 0 dimensions"):
        gbc([[0.0], [1.0]], [0, 1], dimensions=0)


@quick
@given(**sizes)
@pytest.mark.parametrize("score", [regularized_h_score, transrate, gbc])
def test_rotations_and_shifts_change_nothing(score, seed, samples, features, classes):
    matrix, labels = sample(seed, samples, features, classes)
    moved = matrix @ ortho_group.rvs(features, random_state=seed) + 10
    assert score(moved, labels) == pytest.approx(score(matrix, labels), rel=1e-6, abs=1e-9)


@quick
@given(**sizes, scale=st.floats(1e-6, 1e6))
@pytest.mark.parametrize("score", [h_score, regularized_h_score, gbc])
def test_a_common_scale_changes_nothing(score, seed, samples, features, classes, scale):
    matrix, labels = sample(seed, samples, features, classes)
    assert score(scale * matrix, labels) == pytest.approx(score(matrix, labels), rel=1e-6, abs=1e-9)
