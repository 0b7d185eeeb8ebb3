"""A model is judged by the best of its variants: which that is, and by how much choosing it flatters the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ncore.predict.combining import draws
from ncore.predict.curves import Curve
from ncore.predict.variants import told_apart

__all__ = ["Choice", "best_variants", "judged"]


@dataclass(frozen=True)
class Choice:
    """The variant that a model is judged by.

    Attributes:
        model: Its name.
        variant: What the chosen one is called.
        of: All of them.
        note: What a ranking says of it.
    """

    model: str
    variant: str
    of: tuple[str, ...]
    note: str


def best_variants(
    models: Mapping[str, str], said: Mapping[str, tuple[float, float]], measured: Collection[str], seed: int = 0
) -> dict[str, Choice]:
    """Choose for each model the variant with the highest forecast, which rests on validation data only.

    The highest of several uncertain forecasts is too high on average; the note says by how much at most, which is what
    it comes to if the variants' errors have nothing to do with each other. An accuracy that was measured on test data,
    which has no part in the choice, is not flattered.

    Args:
        models: Of each variant.
        said: Mean and standard deviation of the forecast of each variant, NaN if there is none.
        measured: Variants that the ranking takes at their final accuracy.
        seed: Of the Monte-Carlo draws.

    Returns:
        By model; one that has a single variant has no entry.
    """
    found = {}
    for model in dict.fromkeys(models.values()):
        names = sorted(name for name, of in models.items() if of == model)
        if not model or len(names) < 2:
            continue
        known = [name for name in names if said[name][0] == said[name][0]]
        chosen = max(known or names, key=lambda name: (said[name][0], name in measured))
        told = f"best of {len(names)} variants: {chosen.removeprefix(model).strip(' ()')}"
        if len(known) < len(names):
            told += f" ({len(names) - len(known)} can't be compared)"
        if chosen not in measured and len(known) > 1:
            flattery = 100 * _optimism([said[name] for name in known], seed)
            told += f"; that choice flatters its forecast by up to {flattery:.1f} points" if flattery >= 0.05 else ""
        found[model] = Choice(model, chosen, tuple(names), told)
    return found


def judged(curves: Sequence[Curve], ranking: pd.DataFrame) -> list[Curve]:
    """Of these curves those that a ranking judges by: without variants that were not chosen, and what costs too much.

    Args:
        curves: That were ranked.
        ranking: As :meth:`ncore.predict.Ranker.rank` made it of them.
    """
    chosen: Mapping[str, Choice] = ranking.attrs.get("variants", {})
    left = {name for choice in chosen.values() for name in choice.of if name != choice.variant}
    left |= set(ranking.attrs.get("over", ()))
    return [curve for curve, told in zip(curves, told_apart(curves), strict=True) if told.candidate not in left]


def _optimism(said: Sequence[tuple[float, float]], seed: int) -> float:
    """By how much the highest of independent normal readings lies above what it is a reading of, on average."""
    means = np.array([mean for mean, _ in said])
    drawn = draws(means, np.array([sd for _, sd in said]), seed)
    highest = drawn.argmax(axis=1)
    return float((drawn.max(axis=1) - means[highest]).mean())
