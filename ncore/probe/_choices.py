"""Reading what a recipe names, and words for what goes wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ncore._validation import refused
from ncore.errors import InputError

__all__ = ["first_line", "read_spec", "unknown"]

_Spec = TypeVar("_Spec", bound=BaseModel)


def read_spec(kind: type[_Spec], spec: str | Mapping[str, Any] | _Spec, what: str) -> _Spec:
    """A spec of ``kind`` from a string (its source), a mapping, or one that was read before.

    Raises:
        InputError: Says in one sentence what is wrong with it.
    """
    if isinstance(spec, kind):
        return spec
    if not isinstance(spec, str | Mapping):
        raise InputError(f"a {what} is {spec!r}, but a string or a mapping with `source` was expected.")
    entry = {"source": spec} if isinstance(spec, str) else dict(spec)
    try:
        return kind.model_validate(entry)
    except ValidationError as error:
        raise refused(f"the {what} {entry.get('source', entry)!r}", error, kind) from error


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


def first_line(error: BaseException, limit: int = 200) -> str:
    """The first line of an error's message, without its final stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:limit].rstrip(". ")
