"""The metrics by name: what each is, what it needs, and on which scale higher is better."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError
from ncore.scores.metrics import _values
from ncore.scores.metrics.predictions import FloatArray, Predictions

__all__ = ["ACCURACY", "METRICS", "Metric", "find_metric", "get_metric", "metric_names"]

ACCURACY = "accuracy"
"""The one that is ranked by unless another is asked for."""

_WORD = re.compile(r"[a-z0-9]+")
_NEEDS = {
    "label_probability": "the probability of the label",
    "probability": "the probability of the predicted class",
    "label_rank": "the place of the label among the classes",
    "probabilities": "the probabilities of all classes",
}
_FLOOR = 1e-6  # of the scale, where a loss would be infinite


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric with all that rankings, tables and figures need to know of it.

    Forecasts are made on a scale from 0 to 1 on which higher is better: that of the metric itself, 1 - x of a
    calibration error, and exp(-x) of a log loss, which is the geometric mean of the labels' probabilities.

    Attributes:
        name: Key in the registry.
        label: In sentences, in lower case but for abbreviations.
        description: What it is, in a sentence.
        of_all: From predictions to the value.
        by_class: From predictions to the value of each class, NaN where it has none.
        needs: The attribute of ``Predictions`` that it needs besides labels and classes; empty if none.
        aliases: Other usual names, as loops record them.
        higher_is_better: Direction of the value.
        unit: "%" for a fraction that is shown as per cent, else empty.
    """

    name: str
    label: str
    description: str
    of_all: Callable[[Predictions], float]
    by_class: Callable[[Predictions], FloatArray]
    needs: str = ""
    aliases: tuple[str, ...] = ()
    higher_is_better: bool = True
    unit: str = "%"

    @property
    def needed(self) -> str:
        """What it needs besides labels and classes, in words; empty if nothing."""
        return _NEEDS.get(self.needs, "")

    def lacks(self, predictions: Predictions) -> str:
        """What of the predictions is missing for it, in words; empty if nothing is."""
        return self.needed if self.needs and getattr(predictions, self.needs) is None else ""

    def value(self, predictions: Predictions) -> float:
        """Of all examples; NaN where what it needs is missing, or no class has a value."""
        return float("nan") if self.lacks(predictions) else self.of_all(predictions)

    def values_by_class(self, predictions: Predictions) -> FloatArray:
        """Of each class, shape (K,), NaN where it has none."""
        return np.full(predictions.classes, np.nan) if self.lacks(predictions) else self.by_class(predictions)

    def on_scale(self, values: npt.ArrayLike) -> FloatArray:
        """Values on the scale from 0 to 1 on which higher is better."""
        array = np.asarray(values, dtype=np.float64)
        if self.higher_is_better:
            return array
        return 1 - array if self.unit else np.exp(-array)

    def off_scale(self, values: npt.ArrayLike) -> FloatArray:
        """The inverse of :meth:`on_scale`."""
        array = np.asarray(values, dtype=np.float64)
        if self.higher_is_better:
            return array
        return 1 - array if self.unit else np.log(1 / np.maximum(array, _FLOOR))

    def shown(self, on_scale: npt.ArrayLike) -> FloatArray:
        """Numbers as tables and figures show them, per cent of a fraction, of values on the scale."""
        return (100 if self.unit else 1) * self.off_scale(on_scale)

    def in_words(self, on_scale: float | None, digits: int = 1) -> str:
        """A value on the scale as a text, a dash where it is missing.

        Example:
            >>> get_metric("ece").in_words(0.9), get_metric("log_loss").in_words(0.5)
            ('10.0%', '0.693')
        """
        if on_scale is None or on_scale != on_scale:
            return "–"
        return f"{float(self.shown(on_scale)):.{digits if self.unit else digits + 2}f}{self.unit}"

    def interval_in_words(self, lower: float, upper: float) -> str:
        """An interval of the scale as a text, from its smaller number to its larger one."""
        ends = (lower, upper) if self.higher_is_better else (upper, lower)
        return " – ".join(self.in_words(end) for end in ends)

    @property
    def best(self) -> str:
        """The word for the extreme that is wanted: "highest" or "lowest"."""
        return "highest" if self.higher_is_better else "lowest"


def _macro(by_class: Callable[[Predictions], FloatArray]) -> Callable[[Predictions], float]:
    return lambda predictions: _values.macro(by_class(predictions))


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            ACCURACY,
            "accuracy",
            "Share of the examples that are classified correctly; by class, its recall",
            _values.accuracy,
            _values.recall_by_class,
            aliases=("acc", "top1", "top1accuracy"),
        ),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            "Mean over classes of the share of their examples that is classified correctly, however rare they are",
            _macro(_values.recall_by_class),
            _values.recall_by_class,
            aliases=("balancedacc", "bacc", "macrorecall", "recallmacro", "multiclassbalancedaccuracy"),
        ),
        Metric(
            "macro_f1",
            "macro F1",
            "Mean over classes of F1, the harmonic mean of precision and recall",
            _macro(_values.f1_by_class),
            _values.f1_by_class,
            aliases=("f1", "f1macro", "f1score", "multiclassf1score", "f1scoremacro"),
        ),
        Metric(
            "auroc",
            "AUROC",
            "Mean over classes of the area under the ROC curve of each against the rest",
            _macro(_values.auroc_by_class),
            _values.auroc_by_class,
            needs="probabilities",
            aliases=("auc", "rocauc", "aucroc", "rocaucscore", "multiclassauroc", "binaryauroc"),
        ),
        Metric(
            "average_precision",
            "average precision",
            "Mean over classes of the average precision of each against the rest",
            _macro(_values.average_precision_by_class),
            _values.average_precision_by_class,
            needs="probabilities",
            aliases=("ap", "auprc", "prauc", "averageprecisionscore", "multiclassaverageprecision"),
        ),
        Metric(
            "log_loss",
            "log loss",
            "Mean of minus the logarithm of the true class’s probability, the cross-entropy",
            _values.log_loss,
            _values.log_loss_by_class,
            needs="label_probability",
            aliases=("logloss", "nll", "crossentropy", "crossentropyloss", "loss"),
            higher_is_better=False,
            unit="",
        ),
        Metric(
            "ece",
            "calibration error",
            f"How far probabilities of predicted classes are from how often these are right, in {_values.BINS} bins "
            "(Guo et al. 2017)",
            _values.calibration_error,
            _values.calibration_error_by_class,
            needs="probability",
            aliases=("calibrationerror", "expectedcalibrationerror", "multiclasscalibrationerror"),
            higher_is_better=False,
        ),
        Metric(
            "top_5",
            "top-5 accuracy",
            "Share of the examples whose class is among the five most probable ones",
            _values.top_5,
            _values.top_5_by_class,
            needs="label_rank",
            aliases=("top5", "top5accuracy", "top5acc", "acc5", "accuracy5", "accat5", "precat5"),
        ),
    )
}
"""By name."""

_BY_ALIAS = {alias: metric for metric in METRICS.values() for alias in (metric.name.replace("_", ""), *metric.aliases)}


def metric_names() -> tuple[str, ...]:
    """Names that ``rank(metric=...)`` and ``--metric`` take."""
    return tuple(METRICS)


def find_metric(name: str) -> Metric | None:
    """The metric that is usually called so, None if there is none.

    Example:
        >>> find_metric("ROC-AUC").name, find_metric("gradient_norm")
        ('auroc', None)
    """
    return _BY_ALIAS.get("".join(_WORD.findall(name.lower().replace("@", "at"))))


def get_metric(name: str) -> Metric:
    """The metric of that name, in any usual spelling.

    Raises:
        InputError: There is none.
    """
    metric = find_metric(name) if isinstance(name, str) else None
    if metric is None:
        raise InputError(f"The metric {name!r} is not known: use one of {', '.join(METRICS)}.")
    return metric
