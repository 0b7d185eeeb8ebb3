"""Reading what a recipe names: words for names that do not exist, and for fields that pydantic refuses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ncore.errors import InputError

_Spec = TypeVar("_Spec", bound=BaseModel)


def read_spec(kind: type[_Spec], spec: str | Mapping[str, Any] | _Spec, what: str) -> _Spec:
    """A spec of ``kind`` from a string (its source), a mapping, or one that was read before.

    Raises:
        InputError: says in one sentence what is wrong with it.
    """
    if isinstance(spec, kind):
        return spec
    if not isinstance(spec, str | Mapping):
        raise InputError(f"a {what} is {spec!r}, but a string or a mapping with `source` was expected.")
    entry = {"source": spec} if isinstance(spec, str) else dict(spec)
    try:
        return kind.model_validate(entry)
    except ValidationError as error:
        raise refused(f"the {what} {entry.get('source', entry)!r}", error) from error


def unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    """An error for a name outside ``known``: with the close ones, or with all where they are few.

    Example:
        >>> print(unknown("a built-in network", "resnte", ["lenet", "resnet"]))
        'resnte' is not a built-in network: did you mean resnet?
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return InputError(f"{name!r} is not {what}: did you mean {' or '.join(close)}?")
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return InputError(f"{name!r} is not {what}: choose from {shown}.")


def refused(what: str, error: ValidationError) -> InputError:
    """The first field that pydantic refused, as one sentence."""
    first = error.errors()[0]
    if isinstance(cause := first.get("ctx", {}).get("error"), InputError):
        return cause
    field = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("function-", "nullable")))
    if first["type"] == "extra_forbidden":
        return InputError(f"{what} has the unknown field {field!r}: remove it or correct its name.")
    if first["type"] == "missing":
        return InputError(f"{what} lacks the field {field!r}.")
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if not field:
        return InputError(f"{what} is not valid: {message}.")
    return InputError(f"{what} has {field} = {first['input']!r}: {message[:1].lower()}{message[1:]}.")
