"""Seeds of a candidate are runs that differ in nothing but the seed: what differs in more is told apart, and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ncore.predict.curves import Curve

__all__ = ["told_apart"]

_MISSING = "not set"
_RESPLIT = "dataset.resplit"
_MOST = 3  # settings that a name tells


def told_apart(curves: Iterable[Curve]) -> list[Curve]:
    """The same curves, with variants of a candidate as candidates of their own, and with warnings of other data.

    Args:
        curves: Runs of one dataset and mode.

    Returns:
        Those of a candidate that has runs with several settings are renamed by what differs, as in
        ``lenet (learning_rate 0.01)``; runs on other data than most have a warning. Runs of which neither is known
        stay as they are.

    Example:
        >>> import numpy as np
        >>> one, other = (
        ...     Curve("net", seed, np.array([1]), np.array([0.5]), {}, 2, settings={"training.learning_rate": rate})
        ...     for seed, rate in enumerate((0.1, 0.01))
        ... )
        >>> [curve.candidate for curve in told_apart([one, other])]
        ['net (learning_rate 0.1)', 'net (learning_rate 0.01)']
    """
    found = _on_other_data(list(curves))
    groups: dict[str, list[int]] = {}
    for index, curve in enumerate(found):
        if curve.settings:
            groups.setdefault(curve.candidate, []).append(index)
    for members in groups.values():
        differing = _differing([found[index].settings for index in members])
        for index in members if differing else ():
            found[index] = _variant(found[index], differing)
    return found


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the settings that are not the same everywhere."""
    names = dict.fromkeys(name for one in settings for name in one)
    return [name for name in names if len({repr(one.get(name, _MISSING)) for one in settings}) > 1]


def _variant(curve: Curve, differing: Sequence[str]) -> Curve:
    told = [f"{name.rpartition('.')[2]} {curve.settings.get(name, _MISSING)}" for name in differing]
    rest = f" and {len(told) - _MOST} more settings" if len(told) > _MOST else ""
    name = f"{curve.candidate} ({', '.join(told[:_MOST])}{rest})"
    warning = f"{curve.candidate} has runs with other settings, which are ranked apart by {', '.join(differing)}"
    return replace(curve, candidate=name, warnings=_joined(curve.warnings, warning))


def _on_other_data(curves: list[Curve]) -> list[Curve]:
    """Say of runs that they were on other data under the same name: those of most runs are the reference."""
    anew = "each seed has its own cut of the data (resplit), so that their spread includes that of the cut"
    curves = [
        replace(curve, data="", warnings=_joined(curve.warnings, anew)) if curve.settings.get(_RESPLIT) else curve
        for curve in curves
    ]
    counts = Counter(curve.data for curve in curves if curve.data)
    if len(counts) < 2:
        return curves
    usual, most = counts.most_common(1)[0]
    if list(counts.values()).count(most) > 1:
        usual = ""  # as many each: none is the usual one
    warning = f"the runs are on {len(counts)} different sets of data that have this name, so they can't be compared"
    here = "trained on other data than most runs here, although the dataset has the same name: they can't be compared"
    return [
        replace(curve, warnings=_joined(curve.warnings, warning if not usual else here))
        if curve.data and curve.data != usual
        else curve
        for curve in curves
    ]


def _joined(*texts: str) -> str:
    return "; ".join(filter(None, (text.rstrip(".") for text in texts)))
