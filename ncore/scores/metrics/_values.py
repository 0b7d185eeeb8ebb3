"""The metrics themselves: of all examples, and by class."""

from __future__ import annotations

import numpy as np

from ncore.scores.metrics.predictions import FloatArray, IntArray, Predictions

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
    "order_of",
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
    """Area under the ROC curve of each class against the rest: the share of pairs in order, ties by half."""
    mine, rest = _at_thresholds(p)
    below = rest.sum(1, keepdims=True) - np.cumsum(rest, 1)
    return _quotient((mine * (below + rest / 2)).sum(1), mine.sum(1) * rest.sum(1))


def average_precision_by_class(p: Predictions) -> FloatArray:
    """Sum over thresholds of (R_n - R_n-1) P_n, of each class against the rest; equal probabilities are one of them."""
    mine, rest = _at_thresholds(p)
    right = np.cumsum(mine, 1)
    precision = right / np.maximum(right + np.cumsum(rest, 1), 1)
    return _quotient((mine * precision).sum(1), mine.sum(1))


def order_of(probabilities: np.ndarray) -> IntArray:
    """Places of the probabilities among those of their class, from 0, equal ones alike: all that areas depend on."""
    from scipy.stats import rankdata

    if probabilities.dtype.kind == "i":
        return probabilities
    places: IntArray = rankdata(probabilities, method="dense", axis=0).astype(np.int64) - 1
    return places


def _at_thresholds(p: Predictions) -> tuple[FloatArray, FloatArray]:
    """Examples of each class, and of the rest, at each of its probabilities, highest first; shape (K, thresholds)."""
    assert p.probabilities is not None
    places = order_of(p.probabilities)
    count = int(places.max()) + 1
    cells = (places + count * np.arange(p.classes)).ravel()
    mine, both = (
        np.bincount(cells, weights, count * p.classes).astype(np.float64).reshape(p.classes, count)[:, ::-1]
        for weights in (_one_hot(p).ravel(), None)
    )
    return mine, both - mine


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
