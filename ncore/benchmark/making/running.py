"""Making the runs of the benchmark: by the machinery of sweeps, past what the table has already."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ncore.benchmark.making.collect import check_table, collect, recorded
from ncore.benchmark.making.pretraining import pretrain
from ncore.benchmark.making.recipe import WEIGHTS, BenchRecipe, Pretraining
from ncore.benchmark.making.scoring import write_scores
from ncore.errors import InputError, NcoreError
from ncore.probe.job import Job
from ncore.store import create_store
from ncore.sweep.local import LocalEngine
from ncore.sweep.running import Engine, Result, run_id, sweep

if TYPE_CHECKING:
    import pandas as pd

    from ncore.store import Store

__all__ = ["BenchJob", "Progress", "bench"]

_EVERY = 900.0  # seconds between two writings of the table
# Where one of these is not installed, the candidates that need it fail with that as their reason.
_PRELOAD = ("timm", "torchvision", "sklearn.linear_model", "sklearn.mixture", "ncore.benchmark.making.scoring")


class BenchJob(Job):
    """A run, and before it what it needs: weights that the benchmark pretrains, and the candidate's scores."""

    pretraining: Pretraining | None
    weights: str
    scores: str

    def run(self, store: Store, *, take_over: bool = False) -> str:
        """As :meth:`Job.run`; what keeps the scores from being had fails that too, and is kept there as its reason."""
        if self.pretraining is not None:
            pretrain(self.pretraining, Path(self.weights), self.base)
        with contextlib.suppress(NcoreError):
            write_scores(self, Path(self.scores))
        return super().run(store, take_over=take_over)


def bench(
    recipe: BenchRecipe,
    folder: str | os.PathLike[str],
    table: str | os.PathLike[str],
    *,
    workers: int | None = None,
    modes: Sequence[str] = (),
    limit: int | None = None,
    retry_failed: bool = False,
    collect_only: bool = False,
    engine: Engine | None = None,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Make what is missing of the benchmark, and the table.

    Args:
        recipe: What to run.
        folder: For the weights of the first stage, the scores and the store of runs; it can be lost once the table
            has them.
        table: Parquet file; runs that it has are not made again.
        workers: Runs at a time, by default one for every core.
        modes: Only these training modes.
        limit: At most so many runs, the first ones.
        retry_failed: Remove and repeat runs that failed before, instead of keeping them as failed.
        collect_only: Make no run, only write what is finished to the table.
        engine: Executes the runs; by default processes of this machine.
        say: Called with each line of progress.

    Returns:
        The table.

    Raises:
        InputError: An unknown mode, a table that can't be written or is none, or data that can't be read.
    """
    if unknown := [mode for mode in modes if mode not in recipe.modes]:
        raise InputError(f"The mode is {unknown[0]!r}, but the recipe has {', '.join(recipe.modes)}.")
    folder, table = Path(folder).resolve(), Path(table).resolve()
    check_table(table)
    store, weights, scores = str(folder / "runs"), folder / "weights", folder / "scores"
    os.environ[WEIGHTS] = str(weights)  # processes that are started from here read it
    opened = create_store(store)
    known = recorded(table)
    kept = ["finished"] if retry_failed else ["finished", "failed"]
    made = {run for runs in (known, opened.runs()) if len(runs) for run in runs.loc[runs["status"].isin(kept), "run"]}
    jobs = [job for _, job in recipe.jobs(tuple(modes) or None)]
    todo = [job for job in jobs if run_id(job) not in made][:limit]
    say(f"{len(jobs)} runs, of which {len(jobs) - len(todo)} are made or left for later and {len(todo)} to be made")
    if todo and not collect_only:
        engine = engine or LocalEngine(workers, threads=1, preload=_PRELOAD)
        progress = Progress(todo, opened, say)
        saved = time.monotonic()

        def settled(result: Result) -> None:
            nonlocal saved
            progress(result)
            if time.monotonic() - saved > _EVERY:
                collect(recipe, store, scores, table)
                saved = time.monotonic()

        stage = {entry.name: entry for entry in recipe.pretraining}
        own = [
            BenchJob(
                **{name: getattr(job, name) for name in Job.model_fields},
                pretraining=stage.get(job.candidate.name),
                weights=str(weights),
                scores=str(scores),
            )
            for job in todo
        ]
        try:
            sweep(own, store, engine=engine, retry_failed=retry_failed, on_result=settled)
        finally:
            collect(recipe, store, scores, table)
    return collect(recipe, store, scores, table)


class Progress:
    """A line for each run that ended, with the time that all others will take.

    A run is expected to take as long as the ones of its candidate and mode took, by training image and epoch; or of
    its mode, or of all, while there is none.
    """

    def __init__(self, jobs: Sequence[Job], store: Store, say: Callable[[str], None]) -> None:
        self._open = {run_id(job): job for job in jobs}
        self._total, self._store, self._say = len(jobs), store, say
        self._rates: dict[tuple[str, ...], list[float]] = defaultdict(list)
        self._started = time.monotonic()
        self._worked = 0.0

    def __call__(self, result: Result) -> None:
        """Say how a run ended."""
        self._open.pop(result.run_id)
        job, note = result.job, result.reason
        if result.outcome == "finished":
            manifest = self._store.run(result.run_id).manifest
            seconds = float(manifest.summary.get("seconds") or 0.0)
            self._worked += seconds
            for key in self._keys(job):
                self._rates[key].append(seconds / _size(job))
            note = f"{manifest.summary.get('test_accuracy', float('nan')):.1%}, {seconds:.0f} s"
        done = self._total - len(self._open)
        where = f"{job.dataset.name} · {job.settings.mode} · seed {job.seed} · {job.candidate.name}"
        self._say(f"[{done}/{self._total}] {result.outcome} {where}: {note}; {self._left()} left")

    def _left(self) -> str:
        """Time left: the processor time that open runs should take, by how fast the wall clock went per such second."""
        if not self._worked:
            return "unknown time"
        pace = (time.monotonic() - self._started) / self._worked
        work = sum(_size(job) * self._rate(job) for job in self._open.values())
        hours, minutes = divmod(round(work * pace / 60), 60)
        return f"{hours} h {minutes} min"

    def _rate(self, job: Job) -> float:
        found = next(self._rates[key] for key in self._keys(job) if key in self._rates)
        return sum(found) / len(found)

    @staticmethod
    def _keys(job: Job) -> list[tuple[str, ...]]:
        return [(job.settings.mode, job.candidate.name), (job.settings.mode,), ()]


def _size(job: Job) -> float:
    """What the cost of a run is about proportional to."""
    return (job.dataset.train or 1000) * job.settings.epochs
