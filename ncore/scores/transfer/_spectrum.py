"""The principal components of features and how the classes project on them: what several scores are sums over."""

import numpy as np

from ncore.scores.transfer._data import FloatArray

__all__ = ["centre", "principal_components", "project"]


def centre(features: FloatArray) -> FloatArray:
    """Features less their means, shape (N, D); a constant feature becomes exactly 0 instead of rounding noise."""
    centred = features - features.mean(axis=0)
    centred[:, np.ptp(features, axis=0) == 0] = 0
    return centred


def project(matrix: FloatArray, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Squared singular values of F = U S V', and U' times some columns, at the cost of the smaller Gram matrix.

    Components below the numerical rank (squares under max(N, D) times the float64 epsilon of the largest) are left
    out. Squaring F costs half the digits of the small singular values, which no score here can tell apart from 0.

    Args:
        matrix: F, shape (N, D).
        columns: Shape (N, K).

    Returns:
        The squares, shape (r,), all positive, decreasing, and U' columns, shape (r, K).
    """
    squares, vectors = _gram_eigenvectors(matrix)
    rank = np.count_nonzero(squares > max(matrix.shape) * np.finfo(np.float64).eps * squares[0])
    squares, vectors = squares[:rank], vectors[:, :rank]
    if vectors.shape[0] == matrix.shape[0]:
        return squares, vectors.T @ columns
    return squares, vectors.T @ (matrix.T @ columns) / np.sqrt(squares)[:, None]


def principal_components(features: FloatArray, size: int | float) -> FloatArray:
    """Features in their first principal components.

    Args:
        features: Shape (N, D).
        size: Number of components, or, below 1, the share of the variance that they hold at least.

    Returns:
        Shape (N, d), centred, by decreasing variance; d is at least 1, at most the number asked for, N and D.
    """
    centred = centre(features)
    squares, vectors = _gram_eigenvectors(centred)
    if size < 1:
        held = np.cumsum(squares)
        size = int(np.searchsorted(held, size * held[-1])) + 1
    kept = slice(None, int(size))
    if vectors.shape[0] == centred.shape[0]:
        return np.asarray(vectors[:, kept] * np.sqrt(squares[kept]))
    return np.asarray(centred @ vectors[:, kept])


def _gram_eigenvectors(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues, >= 0 and decreasing, and eigenvectors as columns of FF' if N <= D, and of F'F otherwise."""
    samples, features = matrix.shape
    squares, vectors = np.linalg.eigh(matrix @ matrix.T if samples <= features else matrix.T @ matrix)
    return np.maximum(squares[::-1], 0), vectors[:, ::-1]
