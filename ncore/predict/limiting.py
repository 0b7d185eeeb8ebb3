"""Rankings of what is affordable to use: candidates that cost more than is allowed are left out, and named."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ncore.errors import InputError
from ncore.predict.curves import Curve
from ncore.store.limits import Limits

__all__ = ["within"]


def within(curves: Sequence[Curve], limits: Limits | None) -> tuple[list[Curve], dict[str, str]]:
    """The curves of candidates within the limits, and why the others are not, by name.

    Each candidate is judged by the median over its runs of what each measured. One whose costs are not known stays,
    with a warning.

    Raises:
        InputError: No candidate is within them.

    Example:
        >>> import numpy as np
        >>> small, large = (
        ...     Curve(name, 0, np.array([1]), np.array([0.5]), {}, 2, costs={"parameters": size})
        ...     for name, size in (("small", 10), ("large", 1000))
        ... )
        >>> kept, over = within([small, large], Limits(params=100))
        >>> [curve.candidate for curve in kept], over
        (['small'], {'large': '1,000 parameters, and 100 are allowed'})
    """
    if not limits:
        return list(curves), {}
    measured: dict[str, list[dict[str, Any]]] = {}
    for curve in curves:
        measured.setdefault(curve.candidate, []).append(dict(curve.costs))
    over, doubts = {}, {}
    for name, runs in measured.items():
        costs = {key: _median([run.get(key) for run in runs]) for run in runs for key in run}
        if said := limits.over(costs):
            over[name] = "; ".join(said)
        elif missing := limits.unknown(costs):
            doubts[name] = f"whether it is under the limit of {' and '.join(missing)} is not known"
    if measured and len(over) == len(measured):
        least = "; ".join(f"{name}: {why}" for name, why in list(over.items())[:3])
        raise InputError(f"None of the {len(over)} candidates is under {limits} ({least}): allow more.")
    kept = [curve for curve in curves if curve.candidate not in over]
    return [
        replace(curve, warnings="; ".join(filter(None, (curve.warnings.rstrip("."), doubts[curve.candidate]))))
        if curve.candidate in doubts
        else curve
        for curve in kept
    ], over


def _median(values: Sequence[Any]) -> float | None:
    known = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return statistics.median(known) if known else None
