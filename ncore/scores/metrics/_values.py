"""The metrics themselves: of all examples, and by class."""

from __future__ import annotations

import numpy as np

from ncore.scores.metrics.predictions import FloatArray, Predictions

__all__ = [
    "BINS",
    "accuracy",
    "auroc_by_class",
    "average_precision_by_class",
    "calibration_error",
    "calibration_error_by_class",
    "f1_by_class",
    "log_loss",
    "log_loss_by_class",
    "macro",
    "recall_by_class",
    "top_5",
    "top_5_by_class",
]

BINS = 15
"""Of the calibration error, of equal width, as Guo et al. have them."""

_LEAST = float(np.finfo(np.float32).eps)  # probabilities are recorded in single precision


def accuracy(p: Predictions) -> float:
    """Share of examples whose predicted class is theirs."""
    return float((p.labels == p.predicted).mean())


def macro(by_class: FloatArray) -> float:
    """The mean over classes that have a value; NaN if none has."""
    known = by_class[~np.isnan(by_class)]
    return float(known.mean()) if known.size else float("nan")


def recall_by_class(p: Predictions) -> FloatArray:
    """Share of each class's examples that is predicted right, NaN for a class without examples."""
    return _mean_by_class(p, (p.labels == p.predicted).astype(np.float64))


def f1_by_class(p: Predictions) -> FloatArray:
    """2 TP / (2 TP + FP + FN), NaN for a class that neither occurs nor is predicted."""
    right = _counts(p, p.labels[p.labels == p.predicted])
    return _quotient(2 * right, _counts(p, p.labels) + _counts(p, p.predicted))


def auroc_by_class(p: Predictions) -> FloatArray:
    """Area under the ROC curve of each class against the rest, by the ranks of its probabilities (Mann-Whitney U)."""
    from scipy.stats import rankdata

    scores, mine = _scores(p), _one_hot(p)
    of, rest = mine.sum(0), (~mine).sum(0)
    ranks = np.where(mine, rankdata(scores, axis=0), 0).sum(0)
    return _quotient(ranks - of * (of + 1) / 2, of * rest)


def average_precision_by_class(p: Predictions) -> FloatArray:
    """Sum over thresholds of (R_n - R_n-1) P_n, each class against the rest; equal probabilities are one threshold."""
    scores, mine = _scores(p), _one_hot(p)
    order = np.argsort(-scores, axis=0, kind="stable")
    hits, ranked = np.take_along_axis(mine, order, 0), np.take_along_axis(scores, order, 0)
    at = np.arange(len(p))[:, None]
    last = np.vstack([ranked[1:] != ranked[:-1], np.ones((1, p.classes), bool)])
    end = np.minimum.accumulate(np.where(last, at, len(p))[::-1], 0)[::-1]  # of the threshold that each row is in
    precision = np.take_along_axis(np.cumsum(hits, 0) / (at + 1), end, 0)
    return _quotient(np.where(hits, precision, 0).sum(0), mine.sum(0))


def log_loss(p: Predictions) -> float:
    """Mean of minus the log of the true class's probability."""
    return float(_logs(p).mean())


def log_loss_by_class(p: Predictions) -> FloatArray:
    """The same of each class's examples."""
    return _mean_by_class(p, _logs(p))


def calibration_error(p: Predictions) -> float:
    """Mean distance of the predicted class's probability from how often it is right, by bins of that probability."""
    assert p.probability is not None
    return _gap(p.probability, p.labels == p.predicted)


def calibration_error_by_class(p: Predictions) -> FloatArray:
    """The same of each class's probability of all examples, and how often they are of it; NaN where not recorded."""
    if p.probabilities is None:
        return np.full(p.classes, np.nan)
    mine = _one_hot(p)
    return np.array([_gap(p.probabilities[:, k], mine[:, k]) if mine[:, k].any() else np.nan for k in range(p.classes)])


def top_5(p: Predictions) -> float:
    """Share of examples whose class is among the five most probable ones."""
    return float(_in_top_5(p).mean())


def top_5_by_class(p: Predictions) -> FloatArray:
    """The same of each class's examples."""
    return _mean_by_class(p, _in_top_5(p))


def _counts(p: Predictions, classes: np.ndarray) -> FloatArray:
    return np.bincount(classes, minlength=p.classes).astype(np.float64)


def _mean_by_class(p: Predictions, values: FloatArray) -> FloatArray:
    return _quotient(np.bincount(p.labels, values, p.classes), _counts(p, p.labels))


def _quotient(over: np.ndarray, under: np.ndarray) -> FloatArray:
    """NaN where nothing is divided by nothing."""
    found: FloatArray = np.divide(over, under, out=np.full(len(under), np.nan), where=under > 0)
    return found


def _one_hot(p: Predictions) -> np.ndarray:
    return p.labels[:, None] == np.arange(p.classes)


def _scores(p: Predictions) -> FloatArray:
    assert p.probabilities is not None
    return p.probabilities


def _logs(p: Predictions) -> FloatArray:
    assert p.label_probability is not None
    logs: FloatArray = -np.log(np.clip(p.label_probability, _LEAST, 1))
    return logs


def _in_top_5(p: Predictions) -> FloatArray:
    assert p.label_rank is not None
    return (p.label_rank < 5).astype(np.float64)


def _gap(probability: FloatArray, right: np.ndarray) -> float:
    bins = np.clip(np.ceil(probability * BINS).astype(np.int64) - 1, 0, BINS - 1)  # (0, 1/15], (1/15, 2/15], ...
    apart = np.bincount(bins, probability, BINS) - np.bincount(bins, right.astype(np.float64), BINS)
    return float(np.abs(apart).sum() / probability.size)
