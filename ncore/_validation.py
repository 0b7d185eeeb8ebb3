"""What pydantic refuses, in words."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ncore.errors import InputError

__all__ = ["INT64", "described", "refuse_booleans", "refused", "shown", "text", "whole"]

INT64 = 2**63 - 1
"""The largest whole number that tables hold."""

_WIDTH = 200


def shown(value: Any) -> str:
    """A value in a message: its repr, of a sane length and with nothing that can't be printed."""
    try:
        said = repr(value)
    except ValueError:  # of whole numbers with thousands of digits there is none
        return "a number of more digits than can be shown"
    said = said.encode("utf-8", "backslashreplace").decode()
    return said if len(said) <= _WIDTH else f"{said[: _WIDTH - 3]}..."


def whole(value: Any, name: str, most: int = INT64) -> int:
    """A value as a whole number from 0 on.

    Raises:
        InputError: It is none, or too large.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= most:
        raise InputError(f"The {name} is {shown(value)}, but it must be a whole number from 0 to {most}.")
    return number


def text(value: Any, name: str, most: int) -> str:
    """A value as text that every reader of a store can hold.

    Raises:
        InputError: It is no text, too long, or has characters that files and screens can't hold.
    """
    if not isinstance(value, str):
        raise InputError(f"The {name} is {shown(value)}, but it must be text.")
    if len(value) > most:
        raise InputError(f"The {name} has {len(value)} characters, but it must have at most {most}: shorten it.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"The {name} is {shown(value)}, which is no valid Unicode: give it in plain letters."
        ) from error
    if "\0" in value:
        raise InputError(f"The {name} is {shown(value)}, but it must not hold the character NUL: leave that out.")
    return str(value)


def refused(where: str, error: ValidationError, kind: type[BaseModel]) -> InputError:
    """The first thing that pydantic refused, as one sentence; an error of ours in a validator is given as it is.

    Args:
        where: What was read, at the beginning of the sentence.
        error: As pydantic raised it.
        kind: What was to be read.
    """
    if isinstance(cause := error.errors()[0].get("ctx", {}).get("error"), InputError):
        return cause
    return InputError(f"{where}: {described(error, kind)}.")


def refuse_booleans(values: object, kind: type[BaseModel]) -> object:
    """What YAML makes of yes, no, on and off, where a name or a number is meant: pydantic would take it for 1 or 0.

    Args:
        values: What is to be read; checked if it is a mapping.
        kind: What is to be read of it.

    Returns:
        The same.

    Raises:
        ValueError: Names the field, and how it is to be written.
    """
    if isinstance(values, Mapping):
        for name, field in kind.model_fields.items():
            for key in {name, field.alias} & set(values):
                if not _allows(field.annotation, bool) and (found := _boolean(values[key])) is not None:
                    raise ValueError(
                        f"{name} has {str(found).lower()}, which YAML makes of words such as "
                        f"{'yes and on' if found else 'no and off'}: write numbers as digits, and names in quotes, "
                        f"as in {'yes' if found else 'no'!r}"
                    )
    return values


def _allows(annotation: Any, wanted: type) -> bool:
    """Whether a type may hold such a value somewhere inside."""
    return annotation in (wanted, Any) or any(_allows(part, wanted) for part in get_args(annotation))


def _boolean(value: object) -> bool | None:
    """The first boolean in a value, or in what it holds."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        inside: Iterable[object] = [*value.keys(), *value.values()]
    else:
        inside = value if isinstance(value, list | tuple) else ()
    return next((found for item in inside if (found := _boolean(item)) is not None), None)


def described(error: ValidationError, kind: type[BaseModel]) -> str:
    """The first thing that pydantic refused, as a clause: the field, what was given, and what is allowed."""
    first = error.errors()[0]
    # Parts that begin so are pydantic's own names for how it looked, not of fields.
    field = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("function-", "nullable")))
    if first["type"] == "extra_forbidden":
        return f"{field!r} is not known here, the names are {', '.join(kind.model_fields)}"
    if first["type"] == "missing":
        return f"{field!r} is missing"
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "string_type" and isinstance(first["input"], int | float):
        message += ": put it in quotes"
    return f"{field} is {shown(first['input'])}, but {message[:1].lower()}{message[1:]}" if field else message
