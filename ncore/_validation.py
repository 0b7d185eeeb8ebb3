"""What pydantic refuses, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ncore.errors import InputError

__all__ = ["described", "refuse_booleans", "refused"]


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
    return f"{field} is {first['input']!r}, but {message[:1].lower()}{message[1:]}" if field else message
