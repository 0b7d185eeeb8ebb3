"""What pydantic refuses, in words."""

from __future__ import annotations

import operator
from typing import Any

from pydantic import BaseModel, ValidationError

from ncore.errors import InputError

__all__ = ["INT64", "described", "refused", "shown", "text", "whole"]

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
    return f"{field} is {shown(first['input'])}, but {message[:1].lower()}{message[1:]}" if field else message
