"""What pydantic refuses, in words."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from ncore.errors import InputError

__all__ = ["described", "refused"]


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
    return f"{field} is {first['input']!r}, but {message[:1].lower()}{message[1:]}" if field else message
