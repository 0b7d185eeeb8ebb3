"""What else than chance says which set an example is for: groups that stay together, a column of sets, and time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from ncore._validation import refuse_booleans, shown
from ncore.errors import InputError
from ncore.probe.sources.split_names import nfc, split_of

__all__ = [
    "ROLES",
    "PathGroup",
    "TimeCut",
    "groups_told",
    "matched",
    "one_group",
    "plain_values",
    "sets_by_time",
    "sets_told",
]

#: What a column of a dataset may be for, with the setting that names it.
ROLES = {"group": "group", "split": "split_column", "time": "time", "id": "id_column"}
_NUMBER, _LOCAL, _ZONED = "numbers", "times without a time zone", "times with a time zone"
_NUMERAL = re.compile(r"[-+]?\d+(\.\d*)?")
_START = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


class PathGroup(BaseModel):
    """Groups told by the paths of files.

    Args:
        path: A regular expression with one group in parentheses, searched for in each path below the folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str


def one_group(pattern: str) -> None:
    """Refuse what is no regular expression with one group in parentheses.

    Raises:
        ValueError: What is wrong with it.
    """
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"the `group` {pattern!r} is no regular expression ({error})") from error
    if groups != 1:
        raise ValueError(f"the `group` {pattern!r} has {groups} groups in parentheses, but one was expected")


class TimeCut(BaseModel):
    """Where time cuts the sets: training is before ``validation_from``, validation from then on, then the test set.

    Args:
        column: Of dates or times in ISO 8601, or of numbers such as years.
        validation_from: The first date, time or number of the validation set.
        test_from: Likewise of the test set.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    column: str
    validation_from: str | int | float
    test_from: str | int | float

    @model_validator(mode="before")
    @classmethod
    def _as_text(cls, values: Any) -> Any:
        """YAML makes dates of what is written as such."""
        refuse_booleans(values, cls)
        if not isinstance(values, Mapping):
            return values
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in values.items()}

    @model_validator(mode="after")
    def _in_order(self) -> TimeCut:
        cuts = [_moment(cut, isinstance(cut, int | float)) for cut in (self.validation_from, self.test_from)]
        for cut, read in zip((self.validation_from, self.test_from), cuts, strict=True):
            if read is None:
                raise ValueError(f"{shown(cut)} is no date, as 2024-03-01 or 2024-03-01T12:00:00+01:00, and no number")
        (one, first), (other, second) = cuts  # type: ignore[misc]
        if one != other:
            raise ValueError(f"validation_from and test_from are of two kinds, {one} and {other}")
        if first >= second:
            raise ValueError(
                f"validation_from ({self.validation_from}) must be before test_from ({self.test_from}), as the test "
                "set is the latest"
            )
        return self


def plain_values(values: Any, column: str, what: str) -> np.ndarray:
    """A column as objects: text, numbers, dates, and None where there is nothing.

    Raises:
        InputError: It holds lists or other things that name nothing.
    """
    array = np.asarray(values) if isinstance(values, np.ndarray) else None
    if array is not None and array.dtype.kind == "M":
        array = array.astype("datetime64[us]")
    found = np.empty(len(values), dtype=object)
    for row, value in enumerate(values if array is None else array.tolist()):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            value = nfc(value.strip()) or None
        elif value is None or value != value:  # NaN and NaT differ from themselves
            value = None
        elif not isinstance(value, int | float | date):
            raise InputError(f"{what}: the column {column!r} holds {shown(value)}, but text, numbers or dates were "
                             "expected.")  # fmt: skip
        found[row] = value
    return found


def _complete(values: np.ndarray, column: str, what: str, setting: str) -> None:
    """Refuse missing values."""
    if missing := sum(value is None for value in values):
        raise InputError(
            f"{what}: {missing} of {len(values)} examples have nothing in the column {column!r}, which `{setting}` "
            "reads: fill it, or leave these examples out."
        )


def groups_told(values: Mapping[str, np.ndarray], column: str, what: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """The number of each example's group, the same in all sets of the source, and the groups' names.

    Raises:
        InputError: An example has none.
    """
    for own in values.values():
        _complete(own, column, what, "group")
    told = {pool: np.array([_name(value) for value in own], dtype=object) for pool, own in values.items()}
    names = sorted({name for own in told.values() for name in own})
    numbers = {name: number for number, name in enumerate(names)}
    return {pool: np.array([numbers[name] for name in own], np.int64) for pool, own in told.items()}, names


def _name(value: object) -> str:
    """1 and 1.0 name the same group: columns of numbers become fractions where one is missing."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def sets_told(values: np.ndarray, column: str, what: str) -> np.ndarray:
    """The set that a column names for each example, in any usual spelling.

    Raises:
        InputError: A value is missing or names no set; no example is for training, or all are.

    Example:
        >>> sets_told(np.array(["training", "Test", "train"], dtype=object), "fold", "pets").tolist()
        ['train', 'test', 'train']
    """
    _complete(values, column, what, "split_column")
    meant = {value: split_of(value) if isinstance(value, str) else None for value in set(values)}
    if unknown := sorted((value for value, split in meant.items() if split is None), key=str):
        count = sum(value == unknown[0] for value in values)
        raise InputError(
            f"{what}: the column {column!r} has the value {shown(unknown[0])} for {count} examples, but train, "
            "validation or test (or another usual spelling of these) was expected: rename it."
        )
    found = set(meant.values())
    if "train" not in found or len(found) == 1:
        raise InputError(
            f"{what}: the column {column!r} names {' and '.join(sorted(map(str, found)))} only, but train and one of "
            "validation and test were expected: leave `split_column` out, or name another column."
        )
    return np.array([meant[value] for value in values], dtype=object)


def sets_by_time(values: np.ndarray, cut: TimeCut, what: str) -> tuple[np.ndarray, list[str]]:
    """The set of each example by its time, and what is to be said of that.

    Pictures of the same moment are always in the same set. A date stands for its beginning.

    Raises:
        InputError: A time is missing or none, some have time zones and some don't, or a set would be empty.
    """
    _complete(values, cut.column, what, "time")
    numbers = isinstance(cut.test_from, int | float)
    read = [_moment(value, numbers) for value in values]
    if None in read:
        bad = values[read.index(None)]
        raise InputError(
            f"{what}: the column {cut.column!r} has {shown(bad)} for {read.count(None)} examples or like it, but "
            + ("numbers, as the cuts are" if numbers else "dates or times in ISO 8601, as 2024-03-01T12:00,")
            + " were expected: rewrite them."
        )
    known = [moment for moment in read if moment is not None]
    kinds = {kind for kind, _ in known}
    if len(kinds) > 1:
        without = sum(kind == _LOCAL for kind, _ in known)
        raise InputError(
            f"{what}: of the times in {cut.column!r}, {without} have no time zone and {len(known) - without} have one, "
            "so that they have no order: write all with, or all without."
        )
    (kind,), said = kinds, []
    borders = [_moment(border, numbers) for border in (cut.validation_from, cut.test_from)]
    own = {border[0] for border in borders if border is not None}
    if own != kinds and own == {_ZONED}:
        raise InputError(
            f"{what}: the times in {cut.column!r} have no time zone, but the cuts have one: write the cuts without."
        )
    if own != kinds and kind == _ZONED:
        said.append(f"The cuts of {cut.column} have no time zone and were read as UTC.")
    at = np.array([number for _, number in known])
    first, second = (border[1] for border in borders if border is not None)
    sets = np.where(at >= second, "test", np.where(at >= first, "validation", "train")).astype(object)
    for name in ("train", "validation", "test"):
        if name not in sets:
            early, late = values[int(at.argmin())], values[int(at.argmax())]
            raise InputError(
                f"{what}: {name} would have no examples, as {cut.column!r} goes from {early} to {late}, and is cut at "
                f"{cut.validation_from} and {cut.test_from}: choose other cuts."
            )
    return sets, said


def _moment(value: object, as_number: bool) -> tuple[str, float] | None:
    """A kind of time, and where on its line; None if the value is none."""
    if as_number:
        if isinstance(value, str) and _NUMERAL.fullmatch(value):
            value = float(value)
        return (_NUMBER, float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        if not isinstance(value, date):
            return None
        value = datetime(value.year, value.month, value.day)
    zoned = value.tzinfo is not None
    if zoned:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return _ZONED if zoned else _LOCAL, (value - _START) // _MICROSECOND


def matched(pattern: str, paths: Sequence[str], what: str) -> np.ndarray:
    """What the group of a regular expression holds, for each path.

    Raises:
        InputError: A path has no match.
    """
    compiled = re.compile(pattern)
    found = [compiled.search(path) for path in paths]
    names = np.array([match.group(1) if match else None for match in found], dtype=object)
    if without := [path for path, name in zip(paths, names, strict=True) if not name]:
        raise InputError(
            f"{what}: {len(without)} of {len(paths)} paths don't match the `group` {pattern!r}, {without[0]!r} among "
            "them: change the pattern, or move these files away."
        )
    return names
