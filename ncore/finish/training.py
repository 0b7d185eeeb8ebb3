"""The last training: recorded beside the folder that it is for, so that it goes on after a kill.

It is no run of the store that the choice was made in: there it would be one more run of the candidate in every ranking,
on data that others have not seen where it is trained on the validation set, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ncore.errors import InputError, NcoreError, TrainingFailedError
from ncore.finish.architecture import state_of
from ncore.probe.agreement import other_data, other_settings
from ncore.store import create_store, default_run_id

if TYPE_CHECKING:
    from ncore.finish.choosing import Choice
    from ncore.probe.job import Job
    from ncore.probe.session import Session
    from ncore.store import Store
    from ncore.store.reader import Run

__all__ = ["RECORD", "Watch", "check_same", "train"]

RECORD, _WEIGHTS = "record", "trained.safetensors"

Watch = Callable[["Job", str], AbstractContextManager[None]]
"""Shows how a job gets on in a store, as long as it is entered."""


def check_same(choice: Choice, job: Job, session: Session) -> None:
    """Whether data, weights and settings are still those that the choice rests on.

    Raises:
        InputError: They aren't; says in what.
    """
    about, manifest = session.about, choice.manifest
    then = manifest.resolved["training"].get("epochs", job.settings.epochs)
    settings = {**about.resolved, "training": {**about.resolved["training"], "epochs": then}}
    why = (
        other_data(manifest, about.digests, about.fingerprint, job.dataset.name)
        or session.others(manifest)
        or other_settings(manifest, settings)
    )
    if why:
        raise InputError(
            f"{choice.name} was chosen by runs {why}, so a model of it would be another one than was judged: put back "
            "what the runs had, or sweep again into another store and finish from that."
        )


def train(job: Job, session: Session, place: Path, watch: Watch) -> Run:
    """Train to the end, or go on where a killed process left off; the weights are in ``session.model`` then.

    Args:
        job: That is trained.
        session: With everything loaded.
        place: Where the training is recorded, and its weights are kept until the folder is there.
        watch: Entered while it trains.

    Raises:
        NcoreError: Training failed.
    """
    where = str(place / RECORD)
    store, name, weights = create_store(where), default_run_id(**job.identity), place / _WEIGHTS
    _clear(store, name)
    if name in store.run_ids() and store.run(name).status == "finished":
        if _run_of(weights) == name:
            session.model.load_state_dict(load_file(weights))
            return store.run(name)
        store.delete(name)
    with watch(job, where):
        try:
            session.train(store, False)
        except NcoreError:
            raise
        except Exception as error:  # whatever a model raises while it trains
            reason = " ".join(str(error).split()) or "no message"
            raise TrainingFailedError(
                f"{job.candidate.name} cannot be trained: {type(error).__name__}: {reason}"
            ) from error
    aside = weights.with_suffix(".part")
    save_file(dict(state_of(session.model)), aside, metadata={"run": name})
    os.replace(aside, weights)
    return store.run(name)


def _clear(store: Store, name: str) -> None:
    """Delete what was begun here with other settings, and what failed."""
    for other in store.run_ids():
        if other != name or store.run(other).status == "failed":
            store.delete(other)


def _run_of(weights: Path) -> str:
    """The run whose weights a file holds; empty if there is none."""
    if not weights.exists():
        return ""
    with safe_open(weights, "pt") as opened:
        return (opened.metadata() or {}).get("run", "")
