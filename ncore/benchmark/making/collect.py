"""From the runs of a store to the rows of the benchmark's table."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ncore.benchmark.making.recipe import BenchRecipe, Target
from ncore.benchmark.making.scoring import read_scores
from ncore.benchmark.table import about, load_table, merge, write_table
from ncore.errors import InputError, StoreError
from ncore.predict.curves import PROBE_LOGME
from ncore.probe.job import Job
from ncore.scores.transfer import TRANSFER_SCORES
from ncore.store import create_store
from ncore.sweep.running import run_id

if TYPE_CHECKING:
    from ncore.store import Run

__all__ = ["check_table", "collect", "made_by", "recorded", "rows"]

_SCORES = (*TRANSFER_SCORES, PROBE_LOGME)
_ENDED = ("finished", "failed")
_METRICS = {
    ("train", "accuracy"): "train_accuracy",
    ("validation", "accuracy"): "validation_accuracy",
    ("train", "loss"): "train_loss",
    ("validation", "loss"): "validation_loss",
    ("train", "gradient_norm"): "gradient_norm",
    ("train", "learning_rate"): "learning_rate",
}


def recorded(path: Path) -> pd.DataFrame:
    """The table that is there already; empty if none is."""
    return load_table(path) if path.exists() else pd.DataFrame()


def collect(recipe: BenchRecipe, store: str, scores: Path, path: Path) -> pd.DataFrame:
    """Add the ended runs of a store to the table at ``path``; returns all of it.

    Args:
        recipe: Whose runs are looked for; others in the store are left alone.
        store: Folder or URL.
        scores: Folder of the transferability scores.
        path: Of the table; runs that it has and the store hasn't stay.
    """
    opened, old = create_store(store), recorded(path)
    versions = list(about(path).get("versions", [])) if path.exists() else []
    listed = opened.runs()
    known = {} if listed.empty else dict(zip(listed["run"], listed["status"], strict=True))
    frames = []
    for target, job in recipe.jobs():
        name = run_id(job)
        if known.get(name) not in _ENDED:
            continue
        try:
            run = opened.run(name)
            frames.append(rows(run, target, job, scores))
        except StoreError:
            continue  # damaged: `ncore verify` says how; the others are not held up
        if run.manifest.versions not in versions:
            versions.append(run.manifest.versions)
    new = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    table = merge(old, new)
    if not table.empty:
        write_table(table, path, made_by(recipe, versions))
    return table


def made_by(recipe: BenchRecipe, versions: Iterable[Any]) -> dict[str, Any]:
    """What goes with the table."""
    return {
        "recipe": recipe.text,
        "reduced": recipe.reduced,
        "versions": list(versions),
        "machine": {"cores": os.cpu_count(), "threads of a run": 1},
        "date": datetime.now(UTC).date().isoformat(),
    }


def rows(run: Run, target: Target, job: Job, scores: Path) -> pd.DataFrame:
    """The rows of one run, as ``ncore.benchmark.table`` describes them."""
    manifest = run.manifest
    metrics, capacitance = run.metrics(), run.capacitance()
    epochs = sorted(set(metrics.loc[metrics["epoch"] >= 1, "epoch"])) or [0]
    frame = pd.DataFrame({"epoch": epochs})

    def add(name: str, values: pd.Series) -> None:
        frame[name] = frame["epoch"].map(values).astype(float)

    for (split, metric), name in _METRICS.items():
        found = metrics[(metrics["split"] == split) & (metrics["name"] == metric)]
        add(name, found.groupby("epoch")["value"].last())
    whole = capacitance[capacitance["layer"] == 0]
    for strength in job.recording.strengths:
        own = whole[whole["strength"] == strength].set_index("epoch")
        add(f"beta_eff_{strength}", own["beta_eff"])
        add(f"conditioning_{strength}", own["conditioning"])
    add("seconds", metrics.groupby("epoch")["seconds"].max())
    tested = metrics[(metrics["split"] == "test") & (metrics["name"] == "accuracy")]["value"]
    accuracy = float(tested.iloc[-1]) if len(tested) else math.nan
    images = manifest.info.get("images", {})
    count = images.get("test", math.nan)
    kept = read_scores(job, scores)
    ends = {
        "run": run.id,
        "task": target.name,
        "dataset": target.dataset,
        "mode": manifest.mode,
        "candidate": manifest.candidate,
        "seed": manifest.seed,
        "horizon": job.settings.epochs,
        "status": manifest.status,
        "reason": manifest.reason or "",
        "parameters": manifest.info.get("parameters", math.nan),
        "pixels": manifest.info.get("input", {}).get("size", math.nan),
        "train_images": images.get("train", math.nan),
        "test_images": count,
        "test_accuracy": accuracy,
        "test_error": math.sqrt(accuracy * (1 - accuracy) / count) if len(tested) else math.nan,
        **{f"score_{name}": kept["scores"].get(name, math.nan) for name in _SCORES},
        **{f"score_seconds_{name}": kept["seconds"].get(name, math.nan) for name in _SCORES},
    }
    return frame.assign(**ends)


def check_table(path: Path) -> None:
    """Refuse a path that can't hold the table, before hours are spent."""
    if path.suffix != ".parquet":
        raise InputError(f"The table is to be written to {str(path)!r}, but a name that ends in .parquet is needed.")
    recorded(path)
