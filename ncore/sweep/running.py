"""Running many jobs: what is finished is skipped, what was killed is resumed, a failure stops nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ncore.errors import InputError, NcoreError, StoreError
from ncore.probe.job import Job
from ncore.store import create_store, default_run_id, open_store
from ncore.sweep.deciding import Action, Decider

if TYPE_CHECKING:
    from ncore.store import Store

__all__ = ["Engine", "Outcome", "Result", "execute", "result_of", "run_id", "sweep"]

_TOO_LATE = "the time was over before it began"

Outcome = Literal["finished", "failed", "refused", "skipped", "stopped"]


@dataclass(frozen=True)
class Result:
    """How a job ended; ``reason`` says why it failed, was refused or skipped, or was stopped early."""

    job: Job
    run_id: str
    outcome: Outcome
    reason: str = ""


class Engine(Protocol):
    """Executes jobs in any order and yields each with its error, None if it finished."""

    def __call__(self, jobs: Sequence[Job], store: str) -> Iterator[tuple[Job, str | None]]:
        """Execute the jobs into a store, a folder or URL; yields each with its error, None if it finished."""
        ...


def sweep(
    jobs: Sequence[Job],
    store: str,
    *,
    engine: Engine,
    retry_failed: bool = False,
    on_result: Callable[[Result], None] = lambda result: None,
    deadline: float | None = None,
) -> list[Result]:
    """Run jobs into a store.

    Args:
        jobs: In the order they are started.
        store: Folder or URL; made if missing.
        engine: :class:`~ncore.sweep.local.LocalEngine` or :class:`~ncore.sweep.ray.RayEngine`.
        retry_failed: Remove and repeat runs that failed before, instead of skipping them.
        on_result: Called with each result as it comes.
        deadline: When to end, in seconds since 1970: what is not done by then is left interrupted, or not begun.

    Returns:
        A result for each job, in their order.
    """
    opened = create_store(store)
    results: dict[str, Result] = {}

    def settle(result: Result) -> None:
        results[result.run_id] = result
        on_result(result)

    ids = [run_id(job) for job in jobs]
    doubles = {i for i in ids if ids.count(i) > 1}
    if doubles:
        raise InputError(f"Two jobs would be recorded as the same run {min(doubles)}: give the candidates other names.")
    todo = []
    decider = Decider(opened, retry_failed)
    for job, name in zip(jobs, ids, strict=True):
        decision = decider.decide(job, name)
        if decision.action is Action.SKIP:
            settle(Result(job, name, "skipped", decision.reason))
        elif decision.action is Action.REFUSE:
            settle(Result(job, name, "refused", decision.reason))
        else:
            if decision.action is Action.REPEAT:
                opened.delete(name)
            todo.append(job)
    todo = [job.model_copy(update={"deadline": deadline}) for job in todo] if deadline is not None else todo
    for job, error in engine(todo, store) if todo else ():
        settle(result_of(job, opened, error))
    return [results[name] for name in ids]


def run_id(job: Job) -> str:
    """The id under which a store keeps a job's run; the same every time."""
    return default_run_id(**job.identity)


def result_of(job: Job, store: Store, error: str | None) -> Result:
    """How a job that was executed has ended, by its run.

    Args:
        job: As it was executed.
        store: With its run.
        error: What the engine says.
    """
    name = run_id(job)
    if error is not None:
        return Result(job, name, "failed", error)
    try:
        manifest = store.run(name).manifest
    except StoreError:
        return Result(job, name, "stopped", _TOO_LATE) if job.deadline is not None else Result(job, name, "finished")
    if manifest.status == "interrupted" and (over := job.under.over(manifest.costs)):
        return Result(job, name, "skipped", f"left out: {'; '.join(over)}")
    if manifest.status == "interrupted":
        return Result(job, name, "stopped", manifest.reason or _TOO_LATE)
    return Result(job, name, "finished")


def execute(job: Job, store: str, take_over: bool = False) -> str | None:
    """Run one job in this process, unless its time is over; returns None, or in one sentence why it failed."""
    if job.late():
        return None
    try:
        job.run(open_store(store), take_over=take_over)
    except NcoreError as error:
        return str(error)
    except Exception as error:  # whatever a model raises while it trains; the run has it as its reason
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None
