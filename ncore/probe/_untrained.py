"""Runs that are not trained: one that an earlier process has left, one that costs too much, one that can't begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ncore.errors import StoreError

if TYPE_CHECKING:
    from ncore.store import Store
    from ncore.store.manifest import Manifest

__all__ = ["former_of", "leave_out", "record_failure"]


def former_of(store: Store, identity: Mapping[str, Any]) -> Manifest | None:
    """What an earlier process has recorded of the same run."""
    from ncore.store import default_run_id

    try:
        return store.run(default_run_id(**identity)).manifest
    except StoreError:
        return None


def leave_out(
    store: Store, take_over: bool, *, run: Mapping[str, Any], costs: Mapping[str, Any], over: Sequence[str]
) -> str:
    """Record that a candidate costs too much to be trained, and what it costs, so that a sweep need not ask again.

    Args:
        store: For the run.
        take_over: As for :meth:`ncore.store.Store.new_run`.
        run: Its other arguments.
        costs: As they were measured.
        over: Which are too high, in words.

    Returns:
        The run's id.
    """
    writer = store.new_run(**run, resume=True, take_over=take_over)
    writer.describe(costs=costs)
    writer.close(f"left out: {'; '.join(over)}")
    return writer.run_id


def record_failure(store: Store | None, run: Mapping[str, Any], reason: str) -> None:
    """A run that never started is a run too: the ranking has to show it."""
    if store is None:
        return
    with suppress(StoreError):  # it may have an end, or no store; the caller sees the first error either way
        store.new_run(**run, resume=True).fail(reason)
