"""LogME against the evidence written out with dense matrices, maximised and integrated numerically."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm, ortho_group

from ncore.scores.transfer import logme


def sample(seed, samples=12, features=4, classes=2, strength=1.0):
    """Features that know something of the labels, and labels with all classes in them."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(samples) % classes)
    return random.normal(size=(samples, features)) + strength * random.normal(size=(classes, features))[labels], labels


def dense_evidence(features, label, alpha, beta):
    covariance = np.eye(len(label)) / beta + features @ features.T / alpha
    return multivariate_normal.logpdf(label, np.zeros(len(label)), covariance)


def largest_evidence(evidence):
    """The maximum over log alpha and log beta, from several starts."""
    starts = [(-4, 3), (0, 1), (4, 1), (8, 1)]
    options = {"xatol": 1e-5, "fatol": 1e-9, "maxiter": 1000}
    return max(
        -minimize(lambda u: -evidence(*np.exp(np.clip(u, -30, 30))), start, method="Nelder-Mead", options=options).fun
        for start in starts
    )


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**6), samples=st.integers(8, 14), features=st.integers(1, 5), classes=st.integers(2, 3))
def test_it_is_the_maximum_of_the_dense_evidence(seed, samples, features, classes):
    matrix, labels = sample(seed, samples, features, classes)
    expected = np.mean(
        [
            largest_evidence(lambda a, b, c=c: dense_evidence(matrix, (labels == c).astype(float), a, b)) / samples
            for c in range(classes)
        ]
    )
    assert logme(matrix, labels) == pytest.approx(expected, abs=1e-6)


def test_the_evidence_is_an_integral_over_the_weights():
    matrix, labels = sample(3, samples=8, features=1, strength=2)

    def evidence(alpha, beta, label):
        def density(w):
            return np.exp(norm.logpdf(label, matrix[:, 0] * w, beta**-0.5).sum() + norm.logpdf(w, 0, alpha**-0.5))

        mode = beta * matrix[:, 0] @ label / (alpha + beta * np.sum(matrix**2))
        width = 12 / np.sqrt(alpha + beta * np.sum(matrix**2))
        return np.log(quad(density, mode - width, mode + width)[0])

    found = []
    for number in (0, 1):
        label = (labels == number).astype(float)
        start = minimize(lambda u, y=label: -dense_evidence(matrix, y, *np.exp(u)), (0, 0), method="Nelder-Mead").x
        found.append(-minimize(lambda u, y=label: -evidence(*np.exp(u), y), start, method="Nelder-Mead").fun)
    assert logme(matrix, labels) == pytest.approx(np.mean(found) / 8, abs=1e-6)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6), features=st.integers(2, 10))
def test_it_is_where_the_papers_iteration_ends(seed, features):
    matrix, labels = sample(seed, samples=60, features=features, classes=3, strength=1.5)
    values = []
    for number in range(3):
        label = (labels == number).astype(float)
        alpha = beta = 1.0
        for _ in range(1000):  # Algorithm 1, with matrices as they are written there
            A = alpha * np.eye(features) + beta * matrix.T @ matrix
            m = beta * np.linalg.solve(A, matrix.T @ label)
            gamma = np.trace(beta * np.linalg.solve(A, matrix.T @ matrix))
            last, alpha, beta = alpha, gamma / (m @ m), (60 - gamma) / np.sum((matrix @ m - label) ** 2)
            if abs(alpha - last) < 1e-9 * last or alpha > 1e9:  # it goes to infinity where no weight is worth having
                break
        values.append(dense_evidence(matrix, label, alpha, beta) / 60)
    assert logme(matrix, labels) == pytest.approx(np.mean(values), abs=1e-7)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), samples=st.integers(4, 15), features=st.integers(1, 20), scale=st.floats(1e-6, 1e6))
def test_rotations_scale_and_columns_of_zeros_change_nothing(seed, samples, features, scale):
    matrix, labels = sample(seed, samples, features)
    expected = logme(matrix, labels)
    rotation = ortho_group.rvs(features, random_state=seed) if features > 1 else np.array([[-1.0]])
    assert logme(scale * matrix @ rotation, labels) == pytest.approx(expected, abs=1e-6)
    assert logme(np.hstack([matrix, np.zeros((samples, 13))]), labels) == pytest.approx(expected, abs=1e-6)


def test_a_shift_of_the_features_matters():
    matrix, labels = sample(0)
    assert logme(matrix + 5, labels) != pytest.approx(logme(matrix, labels), abs=1e-3)


def test_features_of_zeros_leave_a_model_of_noise_only():
    label = np.array([0, 0, 0, 1])
    noise = [norm.logpdf(y, 0, np.sqrt(np.mean(y**2))).mean() for y in (1.0 - label, 1.0 * label)]
    assert logme(np.zeros((4, 3)), label) == pytest.approx(np.mean(noise))


@pytest.mark.parametrize(("samples", "features"), [(40, 2), (10, 30), (30, 30)])
def test_labels_that_are_an_exact_function_of_the_features_have_a_finite_score(samples, features):
    random = np.random.default_rng(0)
    labels = np.arange(samples) % 2
    exact = random.normal(size=(samples, features))
    exact[:, :2] = np.eye(2)[labels]
    assert np.isfinite(logme(exact, labels))
    assert logme(exact, labels) > logme(random.normal(size=(samples, features)), labels)
