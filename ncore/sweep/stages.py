"""A sweep that stops candidates early: all are trained to a look, compared, and only the promising ones go on.

A stopped run is left interrupted, with "stopped early" and the probability as its reason and with a checkpoint, so an
ordinary sweep of the same recipe resumes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from ncore.sweep.running import Engine, Outcome, Result, run_id

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
) -> list[Result]:
    """Run jobs into a store, dataset by dataset, each candidate only as long as it may still be the best.

    Candidates are stopped with all their seeds. What an earlier sweep stopped stays stopped, and is compared with as
    far as it got.

    Args:
        jobs: As for :func:`ncore.sweep.running.sweep`.
        store: Folder or URL; made if missing.
        engine: The same.
        rule: Who goes on, and until when; a budget holds for each dataset and mode by itself.
        method: Predictor of the final accuracy, taught as ``ncore.rank`` is.
        metric: What is compared by instead of the accuracy; regrets are in points of its scale then.
        retry_failed: Remove and repeat runs that failed before, instead of skipping them.
        on_result: Called with each result once it is settled.

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
    for (dataset, mode), members in groups.items():
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

    def run(self, retry_failed: bool) -> None:
        """From the first look to the end."""
        decider = Decider(self.opened, retry_failed, keep_stopped=True)
        for job in self.jobs:
            if not self._settled_before(job, decider):
                self.going.setdefault(job.candidate.name, []).append(job)
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
            if error is None and look < job.settings.epochs:
                continue
            self.settle(Result(job, run_id(job), "finished" if error is None else "failed", error or ""))
            self._drop(job)

    def _compare(self, epochs: Sequence[int]) -> None:
        """Stop those that the rule gives up, or that the budget doesn't reach for.

        Args:
            epochs: This one, those of the later looks, and the last.
        """
        look = epochs[0]
        now = self._standing(look)
        kept = self.rule.keep(now, self.going)
        runs = [len(self.going[name]) for name in kept]
        reach = self.rule.affordable(self._spent(), runs, epochs)
        for name, jobs in list(self.going.items()):
            if name in kept[: max(reach, 1)]:
                continue
            chance = f"{now.probability(name):.1%}"
            metric = self.ranker.past.metric
            by = "" if metric == ACCURACY else f" by {get_metric(metric).label}"
            reason = f"{Ending.STOPPED_EARLY}: after epoch {look} it is the best{by} with probability {chance}"
            if name in kept:
                reason += f", and the budget of {self.rule.budget} epochs does not last for all that may be"
            for job in list(jobs):
                self._stop(job, reason)

    def _standing(self, look: int) -> Standing:
        """Of all candidates, the stopped and the finished ones included, by what was known at the same epoch.

        A forecast that is too low everywhere is no disadvantage then to those that are behind.
        """
        ours = _Chosen(self.opened, {run_id(job) for job in self.jobs})
        first = self.jobs[0]
        metric = self.ranker.past.metric
        curves = curves_from_store(ours, first.dataset.name, first.settings.mode, epochs=look, metric=metric)
        return self.ranker.standing(curves)

    def _stop(self, job: Job, reason: str) -> None:
        name = run_id(job)
        writer = self.opened.new_run(**job.identity, planned_epochs=job.settings.epochs, notes=job.notes, resume=True)
        writer.close(reason)
        self.settle(Result(job, name, "stopped", reason.removeprefix(f"{Ending.STOPPED_EARLY}: ")))
        self._drop(job)

    def _drop(self, job: Job) -> None:
        """No longer going."""
        name = job.candidate.name
        self.going[name] = [other for other in self.going[name] if run_id(other) != run_id(job)]
        if not self.going[name]:
            del self.going[name]

    def _epoch(self, job: Job) -> int:
        try:
            return max(self.opened.run(run_id(job)).manifest.last_epoch, 0)
        except StoreError:
            return 0

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
