"""From the name of a candidate to the run that is repeated, and to the job that repeats it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from ncore._validation import shown
from ncore.errors import InputError, NcoreError
from ncore.predict.curves import read_curve
from ncore.predict.ranking import rank
from ncore.predict.variants import told_apart
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec
from ncore.probe.job import Job
from ncore.probe.settings import RecordingSettings, TrainingSettings, read_settings
from ncore.probe.training import choose_device

if TYPE_CHECKING:
    from ncore.store import Store
    from ncore.store.manifest import Manifest

__all__ = ["Choice", "choose", "job_of"]

_MOST_NAMED = 8


@dataclass(frozen=True)
class Choice:
    """A run of the chosen candidate.

    Attributes:
        row: Of ``Store.runs()``.
        manifest: Of the run.
        name: What the ranking calls the candidate.
        of: How many runs of it there are.
    """

    row: dict[str, Any]
    manifest: Manifest
    name: str
    of: int

    @property
    def finished(self) -> bool:
        """Whether the run reached its end."""
        return self.row["status"] == "finished"


def choose(
    store: Store, candidate: str, dataset: str | None = None, mode: str | None = None, seed: int | None = None
) -> Choice:
    """The run of a candidate that is repeated: of those that have ended the one that validated best, else the furthest.

    Args:
        store: Where the runs are.
        candidate: As rankings name it.
        dataset: Needed if it has runs on several.
        mode: Needed if it has runs in several.
        seed: Of the run; None to choose.

    Raises:
        InputError: There is no such candidate or run, it must be said which, or no run can be repeated.
    """
    runs = store.runs()
    runs = runs[runs["candidate"].notna()]
    for column, wanted in (("dataset", dataset), ("mode", mode)):
        if wanted is not None:
            there = sorted(set(runs[column].dropna()))
            runs = runs[runs[column] == wanted]
            if runs.empty:
                raise InputError(f"The {column} {wanted!r} is not in {store.url}, which has {_listed(there)}.")
    named = [(name, row) for row, name in _as_ranked(store, runs, candidate) if candidate in (name, row["candidate"])]
    if not named:
        known = sorted(set(runs["candidate"]))
        raise InputError(f"There is no candidate {candidate!r} in {store.url}, which has {_listed(known)}.")
    for column in ("dataset", "mode"):
        found = sorted({str(row[column]) for _, row in named})
        if len(found) > 1:
            raise InputError(
                f"{candidate} has runs with several values of {column}, {_listed(found)}: say which with --{column}."
            )
    variants = sorted({name for name, _ in named})
    name = candidate if candidate in variants else variants[0]
    if len(variants) > 1 and candidate not in variants:
        name = _best_variant(store, candidate, named[0][1])
        if name not in variants:
            raise InputError(f"{candidate} has runs that are ranked apart, as {_listed(variants)}: name one of these.")
    rows = [row for own, row in named if own == name]
    if seed is not None:
        seeds = sorted({int(row["seed"]) for row in rows})
        rows = [row for row in rows if row["seed"] == seed]
        if not rows:
            raise InputError(f"{candidate} has no run with seed {seed}, but with {', '.join(map(str, seeds))}.")
    able = [row for row in rows if row["status"] in ("finished", "running", "interrupted")]
    if not able:
        raise InputError(
            f"Every run of {candidate} failed ({str(rows[0]['reason']).rstrip('.')}): repeat them with "
            "`ncore sweep RECIPE --retry-failed` before one is finished."
        )
    best = min(able, key=_order)
    return Choice(best, store.run(best["run"]).manifest, name, len(rows))


def _best_variant(store: Store, candidate: str, row: dict[str, Any]) -> str:
    """The variant that the ranking judges a candidate by; empty if it doesn't."""
    try:
        ranking = rank(store, dataset=str(row["dataset"]), mode=str(row["mode"]))
    except InputError:
        return ""
    chosen = ranking.attrs.get("variants", {}).get(candidate)
    return "" if chosen is None else str(chosen.variant)


def _as_ranked(store: Store, runs: pd.DataFrame, candidate: str) -> list[tuple[dict[str, Any], str]]:
    """Runs of each dataset and mode that can have this candidate, with the names that a ranking gives theirs."""
    found = []
    for _, group in runs.groupby(["dataset", "mode"]):
        if not any(candidate.startswith(str(name)) for name in group["candidate"]):
            continue
        members: list[dict[str, Any]] = [{str(key): row[key] for key in row} for row in group.to_dict("records")]
        curves = told_apart([read_curve(row, partial(store.run, row["run"])) for row in members])
        found += [(row, curve.candidate) for row, curve in zip(members, curves, strict=True)]
    return found


def _order(row: dict[str, Any]) -> tuple[bool, float, float, int]:
    """What comes first is repeated."""
    accuracy = row["validation_accuracy"]
    unknown = pd.isna(accuracy)
    furthest = 0.0 if row["status"] == "finished" else -float(row["epochs"])
    return row["status"] != "finished", furthest, 0.0 if unknown else -float(accuracy), int(row["seed"])


def job_of(
    choice: Choice,
    *,
    epochs: int | None = None,
    with_validation: bool = False,
    device: str | None = None,
    base: str = ".",
) -> Job:
    """The job that trains what a run has trained, to its end.

    Args:
        choice: The run.
        epochs: Instead of its own.
        with_validation: Train on the validation set, too.
        device: Instead of the one that it was trained on; by default that, where this machine has it.
        base: The folder that relative paths are read from.

    Raises:
        InputError: The run has recorded no settings, or some that this version does not take.
    """
    manifest = choice.manifest
    resolved = manifest.resolved
    if not {"candidate", "dataset", "training"} <= set(resolved):
        own = "candidate" not in manifest.config
        raise InputError(
            f"Run {manifest.run} of {choice.name} was "
            + (
                "recorded from a training loop of your own, which ncore cannot repeat: save the model in that loop."
                if own
                else "recorded by a version of ncore that kept no settings, so it cannot be repeated: train it again "
                "with `ncore sweep RECIPE --store NEW` and finish it from there."
            )
        )
    where = f"Run {manifest.run}"
    training = {**resolved["training"], "device": device or _device(resolved["training"].get("device", "auto"))}
    if epochs is not None:
        training["epochs"] = epochs
    recording = {**resolved.get("recording", {}), "trajectories_every": 0, "line_graph_every": 0}
    try:
        return Job(
            candidate=CandidateSpec.parse(resolved["candidate"]),
            dataset=DatasetSpec.parse(_given(resolved["dataset"])),
            seed=manifest.seed,
            training=read_settings(TrainingSettings, training, where),
            recording=read_settings(RecordingSettings, recording, where),
            base=base,
            with_validation=with_validation,
        )
    except NcoreError as error:
        raise InputError(f"{where} has settings that this ncore does not take: {error}") from error


def _given(dataset: dict[str, Any]) -> dict[str, Any]:
    """What of a recorded dataset is no default: a field of another kind of source is refused, whatever its value."""
    defaults = {name: field.default for name, field in DatasetSpec.model_fields.items()}
    return {name: value for name, value in dataset.items() if name not in defaults or value != defaults[name]}


def _device(recorded: str) -> str:
    """The device that a run was trained on, or whichever there is."""
    try:
        return str(choose_device(recorded))
    except InputError:
        return "auto"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(shown(name) for name in names[:_MOST_NAMED]) + more if names else "none"
