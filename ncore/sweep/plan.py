"""What a sweep would do, before it does it: what runs, goes on and is skipped, about how long, and on how much disk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ncore.errors import StoreError
from ncore.store import open_store
from ncore.sweep.deciding import Action, Decider, Decision
from ncore.sweep.running import run_id

if TYPE_CHECKING:
    from ncore.probe.job import Job

__all__ = ["COLUMNS", "plan"]

COLUMNS = ("run", "candidate", "dataset", "seed", "mode", "action", "reason", "epochs", "seconds", "bytes")
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
        similar runs of the store; NaN where it has none like it.
    """
    try:
        opened = open_store(store)
        known, decider = opened.runs(), Decider(opened, retry_failed, keep_stopped)
    except StoreError:  # not there yet
        known, decider = pd.DataFrame(columns=["candidate", "dataset", "mode", "epochs", "seconds", "bytes"]), None
    measured = known[(known["epochs"].fillna(0) > 0) & known["seconds"].notna()]
    rows = []
    for job in jobs:
        name = run_id(job)
        decision = Decision(Action.RUN) if decider is None else decider.decide(job, name)
        done = decision.action in (Action.SKIP, Action.REFUSE)
        epochs = 0 if done else job.settings.epochs - decision.epoch
        about = {"candidate": job.candidate.name, "dataset": job.dataset.name, "mode": job.settings.mode}
        seconds, size = (_each_epoch(measured, about, column) for column in ("seconds", "bytes"))
        rows.append(
            {"run": name, **about, "seed": job.seed, "action": str(decision.action), "reason": decision.reason}
            | {
                "epochs": epochs,
                "seconds": epochs * seconds if epochs else 0.0,
                "bytes": epochs * size if epochs else 0.0,
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
