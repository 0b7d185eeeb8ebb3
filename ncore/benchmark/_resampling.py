"""Ranking measures of many resamples of the candidates at once: what bootstrap intervals are made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "resampled_measures"]

FloatArray = npt.NDArray[np.float64]
_TOP = 3


def resampled_measures(
    predicted: FloatArray, true: FloatArray, counts: FloatArray, inside: FloatArray | None = None
) -> dict[str, FloatArray]:
    """The measures of ``ncore.predict.evaluate``, the error and the coverage, for every resample.

    A candidate that is drawn several times counts as several candidates that are tied on both sides. Everything is a
    quadratic form in the counts, so a thousand resamples cost a few matrix products. A resample in which nothing can be
    ordered has NaN.

    Args:
        predicted: Predictions, shape (n,); NaN ranks below all others, as in ``ncore.predict.measures``.
        true: True accuracies, shape (n,), all finite.
        counts: How often each resample holds each candidate, shape (B, n); all ones give the measures themselves.
        inside: 1.0 where the truth is inside the prediction's interval, 0.0 where not, NaN where there is none,
            shape (n,).

    Returns:
        Arrays of shape (B,): spearman, kendall, weighted_kendall, regret (points), precision_at_3, error (mean
        absolute, points) and coverage.

    Example:
        >>> found = resampled_measures(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3]), np.ones((1, 4)))
        >>> round(float(found["kendall"][0]), 12)
        0.666666666667
    """
    guess = np.where(np.isnan(predicted), -np.inf, predicted)
    with np.errstate(invalid="ignore", divide="ignore"):
        pair = _signs(guess) * _signs(true)
        return {
            "spearman": _spearman(guess, true, counts),
            "kendall": _ratio(guess, true, counts, counts, pair),
            "weighted_kendall": (
                _ratio(guess, true, counts, _harmonic(guess, true, counts), pair)
                + _ratio(guess, true, counts, _harmonic(true, guess, counts), pair)
            )
            / 2,
            "regret": _regret(guess, true, counts),
            "precision_at_3": _precision(guess, true, counts),
            "error": 100 * _mean(np.abs(predicted - true), counts),
            "coverage": _mean(np.full_like(true, np.nan) if inside is None else inside, counts),
        }


def _signs(values: FloatArray) -> FloatArray:
    """Sign of every pairwise difference, shape (n, n); equal infinities differ by 0."""
    signs: FloatArray = np.subtract(values[:, None] > values, values[:, None] < values, dtype=np.float64)
    return signs


def _ratio(
    guess: FloatArray, true: FloatArray, counts: FloatArray, weights: FloatArray, pair: FloatArray
) -> FloatArray:
    """Weighted tau-b: agreement over the geometric mean of what each side can order, shape (B,).

    A pair (i, j) weighs ``weights_i counts_j + weights_j counts_i``.
    """

    def product(matrix: FloatArray) -> FloatArray:
        total: FloatArray = ((counts @ matrix) * weights).sum(axis=1)
        return total

    found: FloatArray = product(pair) / np.sqrt(product(_signs(guess) ** 2) * product(_signs(true) ** 2))
    return np.clip(found, -1, 1)


def _harmonic(first: FloatArray, second: FloatArray, counts: FloatArray) -> FloatArray:
    """Sum over a candidate's copies of 1/position, best first, ties of ``first`` by ``second``; shape (B, n)."""
    order = np.lexsort((np.arange(first.size), second, first))[::-1]
    below = np.cumsum(counts[:, order], axis=1).astype(np.int64)
    sums = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, below[:, -1].max(initial=0) + 1))])
    found = np.empty(counts.shape)
    found[:, order] = sums[below] - sums[below - counts[:, order].astype(np.int64)]
    return found


def _spearman(guess: FloatArray, true: FloatArray, counts: FloatArray) -> FloatArray:
    total = counts.sum(axis=1, keepdims=True)

    def centred(values: FloatArray) -> FloatArray:
        ranks = counts @ (values[:, None] < values) + (counts @ (values[:, None] == values) + 1) / 2
        deviations: FloatArray = ranks - (counts * ranks).sum(axis=1, keepdims=True) / total
        return deviations

    a, b = centred(guess), centred(true)
    found: FloatArray = (counts * a * b).sum(1) / np.sqrt((counts * a**2).sum(1) * (counts * b**2).sum(1))
    return np.clip(found, -1, 1)


def _regret(guess: FloatArray, true: FloatArray, counts: FloatArray) -> FloatArray:
    """Best of the resample less the mean of those predicted best, in points."""
    drawn = counts > 0
    known = np.where(drawn, guess, np.nan)
    chosen = counts * (known == np.nanmax(known, axis=1, keepdims=True))
    taken = (chosen * true).sum(axis=1) / chosen.sum(axis=1)
    found: FloatArray = 100 * np.maximum(np.where(drawn, true, -np.inf).max(axis=1) - taken, 0)
    return found


def _precision(guess: FloatArray, true: FloatArray, counts: FloatArray) -> FloatArray:
    """Expected share of the predicted top three in the true top three, ties broken at random on each side."""

    def within(values: FloatArray) -> FloatArray:
        above, tied = counts @ (values[:, None] > values), counts @ (values[:, None] == values)
        chance: FloatArray = np.clip((_TOP - above) / np.maximum(tied, 1), 0, 1)
        return chance

    found: FloatArray = (counts * within(guess) * within(true)).sum(axis=1) / _TOP
    return np.where(counts.sum(axis=1) > _TOP, found, np.nan)


def _mean(values: FloatArray, counts: FloatArray) -> FloatArray:
    """Weighted mean of the known values, NaN where none is known; shape (B,)."""
    known = np.isfinite(values)
    found: FloatArray = counts[:, known] @ values[known] / counts[:, known].sum(axis=1)
    return found
