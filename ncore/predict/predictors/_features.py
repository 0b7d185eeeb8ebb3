"""What a learning curve shows after its first epochs, as numbers that mean the same on every task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ncore.network.strengths import Strength
from ncore.predict.curves import PROBE_LOGME, Curve, FloatArray
from ncore.predict.forecast import Reads

__all__ = ["FEATURES", "MARGIN", "Feature", "logit", "rise", "standardised", "table"]

#: Accuracies are kept this far from 0 and 1, where their logit is infinite: half an image of a hundred.
MARGIN = 0.005


@dataclass(frozen=True)
class Feature:
    """One number of a curve, as of its last epoch.

    Attributes:
        name: Key in ``FEATURES``.
        value: From the curve to the number, NaN where it can't be had.
        description: What it is.
        reads: What of a run it is made of.
    """

    name: str
    value: Callable[[Curve], float]
    description: str
    reads: Reads


def logit(accuracy: FloatArray | float) -> FloatArray:
    """log(p / (1 - p)) of accuracies, kept ``MARGIN`` away from 0 and 1.

    Example:
        >>> logit(0.5).tolist()
        0.0
    """
    from scipy.special import logit as exact

    found: FloatArray = exact(np.clip(np.asarray(accuracy, dtype=np.float64), MARGIN, 1 - MARGIN))
    return found


def rise(curve: Curve) -> float:
    """What the accuracy of a run gained in the second half of its epochs, in logits; 0 of a single epoch.

    Example:
        >>> round(rise(Curve("net", 0, np.array([1, 2, 3]), np.array([0.5, 0.6, 0.8]), {}, 9)), 3)  # since epoch 1
        1.386
    """
    seen = logit(curve.accuracy)
    return float(seen[-1] - seen[max(seen.size // 2, 1) - 1])


def _logs(values: FloatArray | None) -> FloatArray:
    """-log of what is positive: it rises as losses and couplings fall; NaN elsewhere."""
    if values is None:
        return np.empty(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(values > 0, -np.log(values), np.nan)


def _last(values: FloatArray) -> float:
    return float(values[-1]) if values.size else float("nan")


def _beta(curve: Curve) -> FloatArray:
    return _logs(curve.beta.get(Strength.RELATIVE))


def _train(curve: Curve) -> FloatArray:
    return np.empty(0) if curve.train_accuracy is None else logit(curve.train_accuracy)


FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature("level", lambda c: _last(logit(c.accuracy)), "Logit of the last validation accuracy", Reads.ACCURACY),
        Feature("loss", lambda c: _last(_logs(c.loss)), "Minus log of the last validation loss", Reads.LOSS),
        Feature("train", lambda c: _last(_train(c)), "Logit of the last training accuracy", Reads.TRAINING),
        Feature(
            "train loss", lambda c: _last(_logs(c.train_loss)), "Minus log of the last training loss", Reads.TRAINING
        ),
        Feature(
            "logme",
            lambda c: c.scores.get(PROBE_LOGME, np.nan),
            "LogME of the probe's features before training",
            Reads.LOGME,
        ),
        Feature("beta", lambda c: _last(_beta(c)), "Minus log of the last relative beta_eff", Reads.BETA_EFF),
    )
}


def table(curves: Sequence[Curve], names: Sequence[str]) -> FloatArray:
    """Features of several curves, shape (n, p), NaN where one can't be had.

    Args:
        curves: The runs.
        names: Keys of ``FEATURES``.
    """
    rows = [[FEATURES[name].value(curve) for name in names] for curve in curves]
    return np.array(rows, dtype=np.float64).reshape(len(curves), len(names))


def standardised(values: Sequence[float]) -> FloatArray:
    """Scores of several runs less their mean and in standard deviations, which makes tasks comparable; shape (n,).

    Example:
        >>> standardised([1.0, 3.0, float("nan")]).tolist()
        [-1.0, 1.0, nan]
    """
    scores = np.array(values, dtype=np.float64)
    known = scores[np.isfinite(scores)]
    spread = float(known.std()) if known.size else 0.0
    if spread <= 1e-12 * float(np.abs(known).max(initial=0)):
        return np.where(np.isfinite(scores), 0.0, np.nan)
    return np.where(np.isfinite(scores), (scores - known.mean()) / spread, np.nan)
