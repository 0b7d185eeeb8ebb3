"""Code that comes with a checkpoint or a dataset: never run here, whatever the keyword arguments say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ncore.errors import InputError

__all__ = ["REMOTE_CODE", "own_code_refused", "without_remote_code"]

REMOTE_CODE = "trust_remote_code"


def without_remote_code(kwargs: Mapping[str, Any], label: str, remedy: str) -> dict[str, Any]:
    """The keyword arguments without the one that would run such code.

    Args:
        kwargs: As the user wrote them.
        label: What is loaded.
        remedy: What to do instead, as an imperative.

    Raises:
        InputError: They ask for it.
    """
    if kwargs.get(REMOTE_CODE):
        raise InputError(
            f"{label} has `{REMOTE_CODE}` in its kwargs, which would run code that came with the download: {remedy}."
        )
    return {name: value for name, value in kwargs.items() if name != REMOTE_CODE}


@contextmanager
def own_code_refused(label: str, remedy: str) -> Iterator[None]:
    """Say what else to do where a library asks to be given the argument that is refused here."""
    try:
        yield
    except ValueError as error:
        if REMOTE_CODE not in str(error):
            raise
        raise InputError(f"{label} needs code that came with the download, which is never run: {remedy}.") from error
