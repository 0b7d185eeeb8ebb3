"""A ranking in the units of its metric, and back on the scale from 0 to 1 on which higher is better."""

from __future__ import annotations

import pandas as pd

from ncore.scores.metrics import ACCURACY, get_metric

__all__ = ["from_units", "in_units"]


def in_units(table: pd.DataFrame) -> pd.DataFrame:
    """A ranking in the units of its metric, instead of on the scale on which higher is better.

    Args:
        table: As :meth:`Ranker.rank` makes it; its order stays.
    """
    metric = get_metric(table.attrs["metric"])
    if metric.higher_is_better:
        return table
    names = ["predicted", "lower", "upper", "observed"]
    predicted, upper, lower, observed = (metric.off_scale(table[name]) for name in names)
    return table.assign(predicted=predicted, lower=lower, upper=upper, observed=observed)


def from_units(table: pd.DataFrame) -> pd.DataFrame:
    """The inverse of :func:`in_units`, of a ranking as ``ncore.rank`` returns it."""
    metric = get_metric(table.attrs.get("metric", ACCURACY))
    if metric.higher_is_better:
        return table
    predicted, upper, lower, observed = (
        metric.on_scale(table[name]) for name in ("predicted", "lower", "upper", "observed")
    )
    return table.assign(predicted=predicted, lower=lower, upper=upper, observed=observed)
