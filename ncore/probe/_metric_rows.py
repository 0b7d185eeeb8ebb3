"""Metrics as loops give them: rows of the table ``metrics``, under their usual names, and what to say of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ncore.errors import InputError
from ncore.probe._course import Moment
from ncore.store.metric_names import NAMES, SPLITS, canonical_name, canonical_split, place_of

__all__ = ["OF_TRAINING", "Measured", "Row", "columns_of", "measured", "moments", "not_finite", "unnamed"]

_ACCURACY = "accuracy"
OF_TRAINING = ("train", "probe")
"""Splits that say nothing of data that are not trained on."""


@dataclass(frozen=True)
class Row:
    """A row of the table ``metrics``; ``at`` is None for the end of its epoch."""

    split: str
    name: str
    value: float
    step: int | None
    at: float | None
    seconds: float


Measured = Mapping[str, "Mapping[str, float] | float"]
"""Metrics by split, or by names that hold their split."""


def measured(given: Measured, step: int | None, seconds: float, at: float | None = None) -> list[Row]:
    """Metrics as rows.

    Raises:
        InputError: One is not a number, has no split, or is an accuracy outside [0, 1].
    """
    rows = [Row(split, name, value, step, at, seconds) for split, name, value in _flat(given)]
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if (row.split, row.name) in seen:
            raise InputError(f"The metric {row.split} {row.name} is given twice, under two names: leave one out.")
        seen.add((row.split, row.name))
    return rows


def moments(course: Iterable[Moment]) -> list[Row]:
    """What a trainer measured in the course of an epoch, as rows."""
    return [
        Row("train", name, value, moment.step, moment.at, moment.seconds)
        for moment in course
        for name, value in moment.metrics.items()
    ]


def columns_of(rows: Iterable[Row]) -> dict[str, Any]:
    """Rows as columns; those in between come first, so that the last row of an epoch is of its end."""
    ordered = sorted(rows, key=lambda row: math.inf if row.at is None else row.at)
    names = ("step", "at", "split", "name", "value", "seconds")
    return {name: [getattr(row, name) for row in ordered] for name in names}


def unnamed(rows: Iterable[Row], others: Iterable[str] = (), how: str = "") -> str:
    """What to say where something was measured on other data than of training, but no validation accuracy; else empty.

    Args:
        rows: Of an epoch.
        others: Names of what was seen but has no place in a run.
        how: Where one says which is the accuracy.
    """
    seen = {(row.split, row.name) for row in rows if row.split not in OF_TRAINING}
    if ("validation", _ACCURACY) in seen or not (seen or others):
        return ""
    found = [f"{split} {name}" for split, name in sorted(seen)] + sorted(others)
    return (
        f"No validation accuracy was seen, which rankings are made of, but {', '.join(found)}: "
        + (how or 'give it as validation={"accuracy": 0.9}')
        + "."
    )


def not_finite(rows: Iterable[Row]) -> Iterator[str]:
    """What to say in the run of metrics that are no finite numbers."""
    for row in rows:
        if not math.isfinite(row.value):
            yield f"The {row.split} {row.name} was not finite in some epochs."


def _flat(given: Measured) -> Iterator[tuple[str, str, float]]:
    for key, value in given.items():
        if isinstance(value, Mapping):
            split = canonical_split(key)
            for name, item in value.items():
                known = _within(split, str(name))
                yield split, known, _number(split, known, item)
            continue
        place = place_of(key)
        if place is None or not _is_number(value):
            raise InputError(
                f'The metrics of {key!r} are {value!r}, but a mapping is needed: {key}={{"accuracy": 0.9}}, with one '
                f"of {', '.join(SPLITS)}, or a number under a name that holds one of these."
            )
        yield (*place, _number(*place, value))


def _within(split: str, name: str) -> str:
    """The usual name of a metric of a split, which its name may repeat."""
    plain = canonical_name(name)
    place = None if plain in NAMES else place_of(name)
    if place is None or (place[0] != split and place[1] not in NAMES):
        return plain
    if place[0] != split:
        raise InputError(
            f"The metric {name!r} is of the split {place[0]!r} by its name, but is given for {split!r}: rename it, or "
            f"give it as {place[0]}={{{place[1]!r}: ...}}."
        )
    return place[1]


def _number(split: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"The metric {split} {name} is {value!r}, but a number is needed.") from error
    if name == _ACCURACY and not 0 <= number <= 1:
        raise InputError(
            f"The {split} accuracy is {number}, but a fraction in [0, 1] is needed: divide per cent by 100."
        )
    return number


def _is_number(value: Any) -> bool:
    to_float: Callable[[Any], float] = float
    try:
        to_float(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return True
