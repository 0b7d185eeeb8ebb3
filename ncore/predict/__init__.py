"""From early epochs to final accuracy to a ranking, and how good the ranking was.

Importing it stays light: SciPy and scikit-learn are loaded by the functions that need them.
"""

from ncore.predict.calibration import LEVEL, Calibrated
from ncore.predict.curves import Curve, curves_from_store
from ncore.predict.experience import Task, tasks_from_store, tasks_of
from ncore.predict.forecast import Calibration, Family, Forecast, Predictor, Reads
from ncore.predict.measures import (
    MEASURES,
    Measure,
    evaluate,
    kendall,
    precision_at_3,
    regret,
    spearman,
    weighted_kendall,
)
from ncore.predict.notes import said_of
from ncore.predict.predictors import BASELINE, DEFAULT_METHOD, RECOMMENDED, get_predictor, predictor_names
from ncore.predict.ranker import Past, Ranker
from ncore.predict.ranking import metric_of_recipe, rank, rank_curves
from ncore.predict.units import from_units, in_units

__all__ = [
    "BASELINE",
    "DEFAULT_METHOD",
    "LEVEL",
    "MEASURES",
    "RECOMMENDED",
    "Calibrated",
    "Calibration",
    "Curve",
    "Family",
    "Forecast",
    "Measure",
    "Past",
    "Predictor",
    "Ranker",
    "Reads",
    "Task",
    "curves_from_store",
    "evaluate",
    "from_units",
    "get_predictor",
    "in_units",
    "kendall",
    "metric_of_recipe",
    "precision_at_3",
    "predictor_names",
    "rank",
    "rank_curves",
    "regret",
    "said_of",
    "spearman",
    "tasks_from_store",
    "tasks_of",
    "weighted_kendall",
]
