"""Accuracy against beta_eff: the points that runs pass through, and the line fitted to each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ncore.predict import Curve
from ncore.predict.predictors.capacitance import RidgeLine, ridge_line
from ncore_dashboard.data.library import Library

__all__ = ["lines", "points"]

_COLUMNS = ("key", "candidate", "seed", "epoch", "beta_eff", "accuracy")


def points(curves: Mapping[str, Curve], strength: str) -> pd.DataFrame:
    """One row a run and epoch: key, candidate, seed, epoch, beta_eff of this strength, accuracy (a fraction)."""
    known = {key: curve for key, curve in curves.items() if strength in curve.beta and curve.epochs.size}
    if not known:
        return pd.DataFrame(dict.fromkeys(_COLUMNS, np.zeros(0)))
    counts = [curve.epochs.size for curve in known.values()]
    once = pd.DataFrame([(key, curve.candidate, curve.seed) for key, curve in known.items()], columns=_COLUMNS[:3])
    found = once.loc[once.index.repeat(counts)].reset_index(drop=True)
    for name, parts in (
        ("epoch", [curve.epochs for curve in known.values()]),
        ("beta_eff", [curve.beta[strength] for curve in known.values()]),
        ("accuracy", [curve.accuracy for curve in known.values()]),
    ):
        found[name] = np.concatenate(parts)
    return found


def lines(books: Library, curves: Mapping[str, Curve], strength: str, seen: int) -> dict[str, RidgeLine]:
    """The regression of each run (by key) on its epochs up to ``seen``, of those that have three or more."""

    def fit(curve: Curve) -> RidgeLine | None:
        early = curve.until(seen)
        return ridge_line(early.beta[strength], early.accuracy)

    found = {
        key: books.remembered(("line", strength, seen), [key], lambda: fit(curve))  # noqa: B023 - called at once
        for key, curve in curves.items()
        if strength in curve.beta and curve.epochs.size
    }
    return {key: line for key, line in found.items() if line is not None}
