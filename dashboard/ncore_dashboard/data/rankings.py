"""From learning curves to what the pages draw: rankings as of every epoch, how right they were, and their price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ncore.errors import InputError
from ncore.predict import MEASURES, Curve, Past, Ranker, evaluate, get_predictor, predictor_names
from ncore.predict.ranker import FORECAST
from ncore_dashboard.data.clock import Clock, saved

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MOST_EPOCHS",
    "Verdict",
    "below_each_other",
    "compare_methods",
    "epochs_to_show",
    "horizon",
    "last_epoch",
    "price",
    "ranking",
    "verdict",
]

MOST_EPOCHS = 24
"""As of how many epochs a ranking is computed at most, for the pictures over k."""


def horizon(curves: Sequence[Curve]) -> int:
    """The last epoch that any of these runs is planned for or has reached, 1 if there is none."""
    return max((curve.horizon for curve in curves), default=1)


def last_epoch(curves: Sequence[Curve]) -> int:
    """The last epoch that any of these runs has finished, 0 if there is none."""
    return max((int(curve.epochs[-1]) for curve in curves if curve.epochs.size), default=0)


def epochs_to_show(last: int, chosen: int = 1) -> list[int]:
    """Epochs 1 to ``last``, thinned evenly if they are many; ``chosen`` and the ends are always among them.

    Example:
        >>> epochs_to_show(4), len(epochs_to_show(300, 7)) <= 26, 7 in epochs_to_show(300, 7)
        ([1, 2, 3, 4], True, True)
    """
    if last <= MOST_EPOCHS:
        return list(range(1, last + 1))
    grid = np.unique(np.geomspace(1, last, MOST_EPOCHS).round().astype(int))
    return sorted({*grid.tolist(), min(chosen, last), last})


def ranking(curves: Sequence[Curve], ranker: Ranker, k: int) -> pd.DataFrame | str:
    """The ranking as of one epoch, or why it can't be done: too few epochs for the method, say."""
    try:
        return ranker.rank(curves, epochs=k)
    except InputError as error:
        return str(error)


def below_each_other(tables: Mapping[int, pd.DataFrame | str]) -> pd.DataFrame:
    """Rankings by epoch as one table, with the epoch as the column ``k``; those that can't be made are left out."""
    parts = [table.assign(k=k) for k, table in tables.items() if isinstance(table, pd.DataFrame)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["k", "candidate", "rank"])


@dataclass(frozen=True)
class Verdict:
    """How the forecasts of one ranking did, against the final accuracies that are known.

    What is measured is no forecast, and isn't judged, but for the regret: that is of the first choice among all.

    Attributes:
        choice: The candidate that came first, the first by name if several did.
        measures: Those of ``ncore.predict.evaluate``.
        pairs: Pairs of candidates that could be compared.
        right: Pairs in the right order.
        error: Mean absolute error of the predicted accuracy, in accuracy points.
    """

    choice: str
    measures: dict[str, float]
    pairs: int
    right: int
    error: float


def verdict(ranking: pd.DataFrame) -> Verdict:
    """Judge a table of ``Ranker.rank``."""
    whole = evaluate(ranking["predicted"].to_numpy(np.float64), ranking["observed"].to_numpy(np.float64))
    foretold = ranking[ranking["kind"] == FORECAST]
    predicted, observed = (foretold[name].to_numpy(np.float64) for name in ("predicted", "observed"))
    known = np.isfinite(observed)
    first, second = np.triu_indices(int(known.sum()), k=1)
    # As in the measures, what was not predicted counts as predicted last.
    guess, truth = np.nan_to_num(predicted[known], nan=-1.0), observed[known]
    different = truth[first] != truth[second]
    agree = (guess[first] - guess[second]) * (truth[first] - truth[second]) > 0
    error = np.abs(predicted[known] - truth)[np.isfinite(predicted[known])]
    return Verdict(
        choice=str(ranking["candidate"].iloc[0]),
        measures=evaluate(predicted, observed) | {"regret": whole["regret"]},
        pairs=int(different.sum()),
        right=int((agree & different).sum()),
        error=100 * float(error.mean()) if error.size else math.nan,
    )


def compare_methods(curves: Sequence[Curve], past: Past, epochs: int) -> pd.DataFrame:
    """All prediction methods as of one epoch, with the same past to learn from, naive ones first.

    Returns:
        Columns: method, label, choice, pairs, right, error, one of each ranking measure, and reason: why a method
        can't be used here, else empty.
    """
    rows = []
    for name in predictor_names():
        row: dict[str, object] = {"method": name, "label": get_predictor(name).label, "reason": ""}
        table = ranking(curves, Ranker(name, past), epochs)
        if isinstance(table, str):
            row["reason"] = table
        else:
            judged = verdict(table)
            row |= {"choice": judged.choice, "pairs": judged.pairs, "right": judged.right, "error": judged.error}
            row |= judged.measures
        rows.append(row)
    return pd.DataFrame(rows, columns=["method", "label", "choice", "pairs", "right", "error", *MEASURES, "reason"])


def price(ranked: pd.DataFrame, clocks: Mapping[str, Sequence[Clock]]) -> pd.DataFrame:
    """What the first choice as of each epoch would have cost and saved.

    Args:
        ranked: As :func:`below_each_other` returns it.
        clocks: By candidate, one a run.

    Returns:
        Columns: k, choice, regret (accuracy points, NaN where unknown), saved (percent, NaN where no time is known).
    """
    rows = []
    for k, table in ranked.groupby("k"):
        judged = verdict(table)
        rows.append((k, judged.choice, judged.measures["regret"], saved(clocks, int(k), judged.choice)))
    return pd.DataFrame(rows, columns=["k", "choice", "regret", "saved"])
