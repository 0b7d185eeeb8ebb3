"""Which of a model's outputs its features are: by the name that it has, never by its place in silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ncore.errors import InputError

__all__ = ["HEADS", "choose", "described", "named"]

HEADS = ("logits", "pooler_output", "last_hidden_state")
"""What libraries call the output that features are read from; of several that are there, the first."""


def named(output: Any) -> dict[str, Any] | None:
    """The parts of an output that have names, those that are None left out; None where parts have none."""
    if isinstance(output, Mapping):
        found = dict(output)
    elif isinstance(output, tuple) and hasattr(output, "_asdict"):
        found = output._asdict()
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        found = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    else:
        return None
    return {str(name): part for name, part in found.items() if part is not None}


def choose(output: Any, wanted: str | int | None, of: str) -> tuple[Any, str]:
    """The part of an output that features are read from, and what it is called ("" where there is only one tensor).

    Args:
        output: What a model returned.
        wanted: Its name, or its place from 0; both joined by dots where it lies deeper.
        of: What the model is called in messages.

    Raises:
        InputError: Nothing says which part is meant, or there is none of that name.

    Example:
        >>> choose({"logits": torch.ones(2), "aux": torch.zeros(2)}, None, "net")
        (tensor([1., 1.]), 'logits')
    """
    if wanted is None:
        return _known(output, of)
    for step in str(wanted).split("."):
        parts = _parts(output)
        if step not in parts:
            raise InputError(
                f"`output` is {wanted!r}, but {of} gives {described(output)}: "
                + (f"use one of {', '.join(parts)}." if parts else "leave `output` out.")
            )
        output = parts[step]
    return output, str(wanted)


def _known(output: Any, of: str) -> tuple[Any, str]:
    """The only tensor, or the one with a known name."""
    if isinstance(output, torch.Tensor):
        return output, ""
    parts = named(output)
    if parts is not None:
        for name in HEADS:
            if isinstance(parts.get(name), torch.Tensor):
                return parts[name], name
    elif isinstance(output, tuple | list) and len(output) == 1 and isinstance(output[0], torch.Tensor):
        return output[0], "0"
    parts = _parts(output)
    if not parts:
        raise InputError(f"{of} gives {described(output)}, but features, a tensor, were expected: use a `python:` "
                         "factory that returns them.")  # fmt: skip
    known = "" if named(output) is None else f", none of which is called {', '.join(HEADS[:-1])} or {HEADS[-1]}"
    raise InputError(
        f"{of} gives {described(output)}{known}: say which holds the features, as in `output: {next(iter(parts))}`."
    )


def _parts(output: Any) -> dict[str, Any]:
    """By name, or by place."""
    parts = named(output)
    if parts is None and isinstance(output, Sequence) and not isinstance(output, str | bytes):
        return {str(place): part for place, part in enumerate(output)}
    return parts or {}


def described(output: Any, most: int = 8) -> str:
    """An output in a message: kind, names or places, and shapes.

    Example:
        >>> described((torch.ones(2, 3), [None]))
        'a tuple of 0 (2, 3), 1 (a list of 0 (NoneType))'
    """
    if isinstance(output, torch.Tensor):
        return f"a tensor {tuple(output.shape)}"
    parts = _parts(output)
    if not parts:
        return f"a {type(output).__name__}"

    def short(part: Any) -> str:
        if isinstance(part, torch.Tensor):
            return str(tuple(part.shape))
        return f"({described(part, most)})" if _parts(part) else f"({type(part).__name__})"

    said = [f"{name} {short(part)}" for name, part in parts.items()]
    more = f" and {len(said) - most} more" if len(said) > most else ""
    return f"a {type(output).__name__} of {', '.join(said[:most])}{more}"
