"""What a sweep would do, before it does it: what runs, goes on and is skipped, and what it takes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ncore.errors import StoreError
from ncore.probe.job import expand
from ncore.store import Store, open_store
from ncore.sweep.deciding import Action, Decider
from ncore.sweep.running import run_id

if TYPE_CHECKING:
    from ncore.probe.job import Job

__all__ = ["COLUMNS", "plan"]

COLUMNS = (
    "run", "candidate", "variant", "dataset", "seed", "mode", "action", "reason", "epochs", "seconds", "bytes",
    "memory", "memory_from",
)  # fmt: skip
_NO_RUNS = pd.DataFrame(columns=["run", "candidate", "dataset", "mode", "epochs", "seconds", "bytes"])
_LIKE = (("candidate", "dataset", "mode"), ("candidate", "mode"), ("dataset", "mode"), ("mode",))


def plan(jobs: Sequence[Job], store: str, retry_failed: bool = False, keep_stopped: bool = False) -> pd.DataFrame:
    """What a sweep of these jobs would do now; nothing is written.

    Args:
        jobs: As for :func:`ncore.sweep.sweep`.
        store: Folder or URL, which need not be there.
        retry_failed: As for a sweep.
        keep_stopped: As for one that stops candidates early.

    Returns:
        A row a job: what its run is, ``action`` ("run", "resume", "repeat", "skip" or "refuse") and ``reason``, the
        ``epochs`` that are left to train, and about how many ``seconds`` and ``bytes`` these take, going by the most
        similar runs of the store; NaN where it has none like it. ``memory`` is about how many bytes all tensors of the
        training take at once: with ``memory_from`` "estimate" as its operations say without data, and with "use", where
        they can't be followed, what using the candidate took in an earlier run, which is less; NaN where there is none,
        and where nothing is trained.
    """
    opened: Store | None = None
    with contextlib.suppress(StoreError):  # it is not there yet
        opened = open_store(store)
    known = _NO_RUNS if opened is None else opened.runs()
    decider = Decider(opened, retry_failed, keep_stopped)
    memory = _Memory(decider, opened, known)
    measured = known[(known["epochs"].fillna(0) > 0) & known["seconds"].notna()]
    rows = []
    for job in jobs:
        name = run_id(job)
        decision = decider.decide(job, name)
        done = decision.action in (Action.SKIP, Action.REFUSE)
        epochs = 0 if done else job.settings.epochs - decision.epoch
        about = {"candidate": job.candidate.name, "dataset": job.dataset.name, "mode": job.settings.mode}
        seconds, size = (_each_epoch(measured, about, column) for column in ("seconds", "bytes"))
        takes, source = memory.of(job) if epochs else (math.nan, "")
        rows.append(
            {
                "run": name,
                **about,
                "variant": job.variant,
                "seed": job.seed,
                "action": str(decision.action),
                "reason": decision.reason,
            }
            | {
                "epochs": epochs,
                "seconds": epochs * seconds if epochs else 0.0,
                "bytes": epochs * size if epochs else 0.0,
                "memory": takes,
                "memory_from": source,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _each_epoch(known: pd.DataFrame, about: dict[str, str], column: str) -> float:
    """The median of what runs like this one took for an epoch."""
    for names in _LIKE:
        alike = known
        for name in names:
            alike = alike[alike[name] == about[name]]
        if len(alike):
            return float(np.median(alike[column].astype(float) / alike["epochs"].astype(float)))
    return math.nan


class _Memory:
    """Estimates each candidate on each dataset once, whatever the seed."""

    def __init__(self, decider: Decider, store: Store | None, known: pd.DataFrame) -> None:
        self._decider, self._store, self._known = decider, store, known
        self._found: dict[str, tuple[float, str]] = {}

    def of(self, job: Job) -> tuple[float, str]:
        """Bytes, NaN where nothing is known, and what they are from."""
        settings = job.settings
        key = f"{job.candidate.model_dump_json()} {job.dataset.model_dump_json()} {settings.model_dump_json()}"
        if key not in self._found:
            estimated = self._estimated(job)
            self._found[key] = self._recorded(job) if estimated is None else (estimated, "estimate")
        return self._found[key]

    def _estimated(self, job: Job) -> float | None:
        from ncore.probe.estimates import training_bytes

        if (data := self._decider.data_here(job)) is None:
            return None
        # A model library, or a factory of the user's own, may raise anything without its weights.
        with contextlib.chdir(job.base), contextlib.suppress(Exception):
            candidate = expand(job.candidate)
            return training_bytes(candidate, job.settings, job.recording, data.shape, data.classes, data.images)
        return None

    def _recorded(self, job: Job) -> tuple[float, str]:
        """What using the candidate took, by its newest run that says so."""
        if self._store is not None:
            alike = self._known.loc[self._known["candidate"] == job.candidate.name, "run"]
            for name in reversed(alike.tolist()):
                with contextlib.suppress(StoreError):
                    if peak := self._store.run(name).manifest.costs.get("peak_bytes"):
                        return float(peak), "use"
        return math.nan, ""
