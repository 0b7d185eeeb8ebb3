"""Metrics of a classifier, from what it predicted of single examples: of all, by class, and of two on the same ones.

Each is a pure function of :class:`Predictions`. They are computed for all classes at once, since a bootstrap asks for
them a hundred times over; tests hold them against scikit-learn's.
"""

from ncore.scores.metrics.paired import McNemar, Paired, mcnemar, paired
from ncore.scores.metrics.predictions import Predictions
from ncore.scores.metrics.registry import ACCURACY, Metric, find_metric, get_metric, metric_names
from ncore.scores.metrics.resampling import standard_error

__all__ = [
    "ACCURACY",
    "McNemar",
    "Metric",
    "Paired",
    "Predictions",
    "find_metric",
    "get_metric",
    "mcnemar",
    "metric_names",
    "paired",
    "standard_error",
]
