"""A sweep that stops candidates early: all are trained to a look, compared, and only the promising ones go on.

A stopped run is left interrupted, with "stopped early" and the probability as its reason and with a checkpoint, so an
ordinary sweep of the same recipe resumes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from ncore.errors import InputError, StoreError
from ncore.predict import Ranker, curves_from_store, get_predictor
from ncore.predict.stopping import Standing, StoppingRule
from ncore.probe.job import Job
from ncore.scores.metrics import ACCURACY, get_metric
from ncore.store import create_store
from ncore.store.manifest import Ending
from ncore.sweep.deciding import Action, Decider
from ncore.sweep.running import Engine, Outcome, Result, result_of, run_id

if TYPE_CHECKING:
    from ncore.predict.curves import RunLike
    from ncore.store import Store

__all__ = ["sweep_and_stop"]


def sweep_and_stop(
    jobs: Sequence[Job],
    store: str,
    *,
    engine: Engine,
    rule: StoppingRule,
    method: str,
    metric: str = ACCURACY,
    retry_failed: bool = False,
    on_result: Callable[[Result], None] = lambda result: None,
    deadline: float | None = None,
) -> list[Result]:
    """Run jobs into a store, dataset by dataset, each candidate only as long as it may still be the best.

    Candidates are stopped with all their seeds, and variants of a candidate as candidates of their own. What an earlier
    sweep stopped stays stopped, and is compared with as far as it got.

    Args:
        jobs: As for :func:`ncore.sweep.running.sweep`.
        store: Folder or URL; made if missing.
        engine: The same.
        rule: Who goes on, and until when; a budget holds for each dataset and mode by itself.
        method: Predictor of the final accuracy, taught as ``ncore.rank`` is.
        metric: What is compared by instead of the accuracy; regrets are in points of its scale then.
        retry_failed: Remove and repeat runs that failed before, instead of skipping them.
        on_result: Called with each result once it is settled.
        deadline: When to end, in seconds since 1970; datasets and modes that are left share the time till then. No more
            candidates go on than it lasts for, by the time that their epochs took.

    Returns:
        A result for each job, in their order.

    Raises:
        InputError: Two jobs would be the same run, or the budget doesn't last for one look at every candidate.
    """
    opened = create_store(store)
    ids = [run_id(job) for job in jobs]
    if doubles := {name for name in ids if ids.count(name) > 1}:
        raise InputError(f"Two jobs would be recorded as the same run {min(doubles)}: give the candidates other names.")
    get_predictor(method)  # an unknown one is refused before anything runs
    results: dict[str, Result] = {}

    def settle(result: Result) -> None:
        results[result.run_id] = result
        on_result(result)

    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.dataset.name, job.settings.mode), []).append(job)
    for number, ((dataset, mode), members) in enumerate(groups.items()):
        if deadline is not None:
            share = time.time() + max(deadline - time.time(), 0) / (len(groups) - number)
            members = [job.model_copy(update={"deadline": share}) for job in members]
        ranker = Ranker.of(opened, dataset, mode, method, metric)
        _Stages(opened, store, members, engine, rule, ranker, settle).run(retry_failed)
    return [results[name] for name in ids]


class _Stages:
    """The candidates of one dataset and mode, look by look."""

    def __init__(
        self,
        opened: Store,
        place: str,
        jobs: Sequence[Job],
        engine: Engine,
        rule: StoppingRule,
        ranker: Ranker,
        settle: Callable[[Result], None],
    ) -> None:
        self.opened, self.place, self.engine, self.rule = opened, place, engine, rule
        self.ranker, self.settle, self.jobs = ranker, settle, list(jobs)
        self.horizon = max(job.settings.epochs for job in jobs)
        self.going: dict[str, list[Job]] = {}
        self.begun = time.time()
        self.before = sum(self._seconds(job) for job in jobs)

    def run(self, retry_failed: bool) -> None:
        """From the first look to the end."""
        decider = Decider(self.opened, retry_failed, keep_stopped=True)
        for job in self.jobs:
            if not self._settled_before(job, decider):
                self.going.setdefault(job.name, []).append(job)
        looks = [*self.rule.looks_until(self.horizon, self.ranker.predictor), self.horizon]
        self._check_budget(looks[0])
        for number, look in enumerate(looks):
            self._advance(look)
            if look < self.horizon and self.going:
                self._compare(looks[number:])

    def _settled_before(self, job: Job, decider: Decider) -> bool:
        name = run_id(job)
        decision = decider.decide(job, name)
        if decision.action is Action.REPEAT:
            self.opened.delete(name)
        outcomes: dict[Action, Outcome] = {Action.SKIP: "skipped", Action.REFUSE: "refused"}
        if outcome := outcomes.get(decision.action):
            self.settle(Result(job, name, outcome, decision.reason))
        return outcome is not None

    def _check_budget(self, first: int) -> None:
        runs = [len(jobs) for jobs in self.going.values()]
        needed = self._spent() + sum(runs) * first + max(runs, default=0) * (self.horizon - first)
        if self.rule.budget is not None and self.rule.budget < needed:
            raise InputError(
                f"The budget of {self.rule.budget} epochs is too small for {sum(runs)} runs of {self.horizon}: a look "
                f"at each, and the end of one candidate, take {needed}; give at least that."
            )

    def _advance(self, look: int) -> None:
        """Train every candidate that is still going to the end of epoch ``look``."""
        todo = []
        for jobs in self.going.values():
            for job in jobs:
                if self._epoch(job) < min(look, job.settings.epochs) or look >= job.settings.epochs:
                    todo.append(job.model_copy(update={"until": look}))
        for job, error in self.engine(todo, self.place) if todo else ():
            result = result_of(job, self.opened, error)
            if result.outcome == "stopped" and self._epoch(job) >= look:
                continue  # it waits for the others
            self.settle(result)
            self._drop(job)

    def _compare(self, epochs: Sequence[int]) -> None:
        """Stop those that the rule gives up, or that the budget doesn't reach for.

        Args:
            epochs: This one, those of the later looks, and the last.
        """
        look = epochs[0]
        now = self._standing(look)
        kept = self.rule.keep(now, self.going)
        by_epochs, by_time = self._reach(kept, epochs)
        for name, jobs in list(self.going.items()):
            if name in kept[: max(min(by_epochs, by_time), 1)]:
                continue
            chance = f"{now.probability(name):.1%}"
            metric = self.ranker.past.metric
            by = "" if metric == ACCURACY else f" by {get_metric(metric).label}"
            reason = f"{Ending.STOPPED_EARLY}: after epoch {look} it is the best{by} with probability {chance}"
            if name in kept:
                what = "time" if by_time < by_epochs else f"budget of {self.rule.budget} epochs"
                reason += f", and the {what} does not last for all that may be"
            for job in list(jobs):
                self._stop(job, reason)

    def _standing(self, look: int) -> Standing:
        """Of all candidates, the stopped and the finished ones included, by what was known at the same epoch.

        A forecast that is too low everywhere is no disadvantage then to those that are behind.
        """
        jobs = {run_id(job): job for job in self.jobs}
        ours = _Chosen(self.opened, set(jobs))
        first = self.jobs[0]
        metric = self.ranker.past.metric
        curves = curves_from_store(ours, first.dataset.name, first.settings.mode, epochs=look, metric=metric)
        of = [jobs[name] for name in ours.runs()["run"]]
        named = [
            replace(curve, candidate=job.name, model=job.candidate.name if job.variant else "")
            for curve, job in zip(curves, of, strict=True)
        ]
        return self.ranker.standing(named)

    def _reach(self, kept: Sequence[str], epochs: Sequence[int]) -> tuple[int, int]:
        """With how many of these candidates the epochs last to the end, and with how many the time.

        Time goes by what their epochs took so far, of as many runs at once as there were on average.
        """
        by_epochs = self.rule.affordable(self._spent(), [len(self.going[name]) for name in kept], epochs)
        if (deadline := self.jobs[0].deadline) is None:
            return by_epochs, len(kept)
        elapsed = time.time() - self.begun
        work = sum(self._seconds(job) for job in self.jobs) - self.before
        at_once = max(work / elapsed, 1.0) if elapsed > 0 else 1.0
        costs = [
            sum(self._seconds(job) / max(self._epoch(job), 1) for job in self.going[name]) / at_once for name in kept
        ]
        return by_epochs, self.rule.affordable(elapsed, costs, epochs, budget=deadline - self.begun)

    def _stop(self, job: Job, reason: str) -> None:
        name = run_id(job)
        writer = self.opened.new_run(**job.new_run, resume=True)
        writer.close(reason)
        self.settle(Result(job, name, "stopped", reason.removeprefix(f"{Ending.STOPPED_EARLY}: ")))
        self._drop(job)

    def _drop(self, job: Job) -> None:
        """No longer going."""
        name = job.name
        self.going[name] = [other for other in self.going[name] if run_id(other) != run_id(job)]
        if not self.going[name]:
            del self.going[name]

    def _epoch(self, job: Job) -> int:
        try:
            return max(self.opened.run(run_id(job)).manifest.last_epoch, 0)
        except StoreError:
            return 0

    def _seconds(self, job: Job) -> float:
        try:
            return float(self.opened.run(run_id(job)).manifest.summary.get("seconds", 0.0))
        except StoreError:
            return 0.0

    def _spent(self) -> int:
        return sum(self._epoch(job) for job in self.jobs)


class _Chosen:
    """Some runs of a store."""

    def __init__(self, store: Store, ids: set[str]) -> None:
        self.store, self.ids = store, ids

    def runs(self) -> pd.DataFrame:
        """The rows of these runs."""
        table = self.store.runs()
        return table[table["run"].isin(self.ids)]

    def run(self, run_id: str, /) -> RunLike:
        """The run of that name."""
        return self.store.run(run_id)
