"""Seeds of a candidate are runs that differ in nothing but the seed: what differs in more is told apart, and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ncore.predict.curves import WEIGHTS, Curve

__all__ = ["best_finished", "told_apart"]

_MISSING = "not set"
_TRAINING = "training."
_RESPLIT = "dataset.resplit"
_MOST = 3  # settings that a name tells
_ANEW = "each seed has its own cut of the data (resplit), so that their spread includes that of the cut"

_Data = tuple[str, str]  # digests of the content and of the cut


def told_apart(curves: Iterable[Curve]) -> list[Curve]:
    """The same curves, with variants of a candidate as candidates of their own, and with warnings of other data.

    Args:
        curves: Runs of one dataset and mode.

    Returns:
        Those of a candidate that has runs with several settings are renamed by what differs, as in
        ``lenet (learning_rate 0.01)``, and so are runs on other data, or another cut of them, than most, which have a
        warning besides. Runs of which neither is known stay as they are. What differs only in how it was trained has
        the name that it would have without that as its ``model``.

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
        others = [name for name in differing if not name.startswith(_TRAINING)]
        for index in members if differing else ():
            curve, model = found[index], _named(found[index], others)
            warnings = curve.warnings
            if model != curve.candidate:
                warning = f"{curve.candidate} has runs with other settings, which are ranked apart by "
                warnings = _joined(warnings, warning + ", ".join(others))
            name = _named(curve, differing)
            found[index] = replace(curve, candidate=name, model=model if name != model else "", warnings=warnings)
    return found


def best_finished(curves: Sequence[Curve]) -> list[Curve]:
    """Of finished runs of a task those that their models are judged by: of the variant with the best last validation.

    Example:
        >>> one, other = (
        ...     Curve("net", 0, np.array([1]), np.array([rate]), {}, 1, settings={"training.learning_rate": rate})
        ...     for rate in (0.1, 0.01)
        ... )
        >>> best_finished([one, other]) == [one]
        True
    """
    apart = told_apart(curves)
    last: dict[str, dict[str, list[float]]] = {}
    for curve in apart:
        if curve.model:
            read = float(curve.accuracy[-1]) if curve.usable else -1.0
            last.setdefault(curve.model, {}).setdefault(curve.candidate, []).append(read)
    means = {model: {name: float(np.mean(values)) for name, values in of.items()} for model, of in last.items()}
    best = {model: max(sorted(of), key=of.__getitem__) for model, of in means.items()}
    return [
        curve for curve, told in zip(curves, apart, strict=True) if not told.model or told.candidate == best[told.model]
    ]


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the settings that are not the same everywhere, or, of weights, wherever they are known."""
    names = dict.fromkeys(name for one in settings for name in one)

    def values(name: str) -> set[str]:
        return {repr(one.get(name, _MISSING)) for one in settings if name in one or name != WEIGHTS}

    return [name for name in names if len(values(name)) > 1]


def _named(curve: Curve, differing: Sequence[str]) -> str:
    """The candidate with what differs."""
    told = [
        f"{name.rpartition('.')[2]} {curve.settings.get(name, _MISSING)}"
        for name in differing
        if name in curve.settings or name != WEIGHTS
    ]
    rest = f" and {len(told) - _MOST} more settings" if len(told) > _MOST else ""
    return f"{curve.candidate} ({', '.join(told[:_MOST])}{rest})" if told else curve.candidate


def _on_other_data(curves: list[Curve]) -> list[Curve]:
    """Runs on other data, or on another cut of them, under the same name: named by that, and said."""
    found = list(curves)
    for resplit in (False, True):
        members = [index for index, curve in enumerate(curves) if bool(curve.settings.get(_RESPLIT)) is resplit]
        data = _data_of([curves[index] for index in members], resplit)
        counts = Counter(filter(None, data))
        most = [one for one, count in counts.items() if count == max(counts.values())]
        usual = most[0] if len(most) == 1 else None  # as many each: none is the usual one
        for index, own in zip(members, data, strict=True):
            curve = curves[index]
            if own is not None and own != usual and len(counts) > 1:
                name, warning = _told(own, usual, list(counts))
                curve = replace(
                    curve, candidate=f"{curve.candidate} ({name})", warnings=_joined(curve.warnings, warning)
                )
            found[index] = replace(curve, warnings=_joined(curve.warnings, _ANEW)) if resplit else curve
    return found


def _data_of(curves: Sequence[Curve], resplit: bool) -> list[_Data | None]:
    """What each was trained on, None where it is not known.

    By content and cut; of runs from before these were recorded by how both were described, which is what later runs on
    the same data say, too. Where each seed cuts the data anew, by content alone.
    """
    if resplit:
        return [(curve.content, "") if curve.content else None for curve in curves]
    described: dict[str, set[_Data]] = {}
    for curve in curves:
        if curve.content:
            described.setdefault(curve.data, set()).add((curve.content, curve.cut))

    def data_of(curve: Curve) -> _Data | None:
        if curve.content:
            return curve.content, curve.cut
        alike = described.get(curve.data, set())
        if not curve.data or len(alike) > 1:
            return None
        return next(iter(alike), (curve.data, ""))

    return [data_of(curve) for curve in curves]


def _told(own: _Data, usual: _Data | None, found: Sequence[_Data]) -> tuple[str, str]:
    """What the name of a run on other data than the usual ones tells, and the warning."""
    content, cut = own
    parts = []
    if content != (usual or ("",))[0] and len({data for data, _ in found}) > 1:
        parts.append(f"data {content[:8]}")
    if len({other for data, other in found if data == content}) > 1:
        parts.append(f"cut {cut[:8]}")
    what = "other data" if parts[0].startswith("data") else "another cut of the data"
    if usual is None:
        warning = f"the runs are on {len(found)} different sets of data that have this name, so they can't be compared"
    else:
        warning = (
            f"trained on {what} than most runs here, although the dataset has the same name: they can't be compared"
        )
    return ", ".join(parts), warning


def _joined(*texts: str) -> str:
    return "; ".join(filter(None, (text.rstrip(".") for text in texts)))
