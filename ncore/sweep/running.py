"""Running many jobs: what is finished is skipped, what was killed is resumed, a failure stops nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ncore.errors import InputError, NcoreError
from ncore.probe.job import Job
from ncore.store import create_store, default_run_id, open_store
from ncore.sweep.deciding import Action, Decider

__all__ = ["Engine", "Outcome", "Result", "execute", "run_id", "sweep"]

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
) -> list[Result]:
    """Run jobs into a store.

    Args:
        jobs: In the order they are started.
        store: Folder or URL; made if missing.
        engine: :class:`~ncore.sweep.local.LocalEngine` or :class:`~ncore.sweep.ray.RayEngine`.
        retry_failed: Remove and repeat runs that failed before, instead of skipping them.
        on_result: Called with each result as it comes.

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
    for job, error in engine(todo, store) if todo else ():
        name = run_id(job)
        settle(Result(job, name, "finished" if error is None else "failed", error or ""))
    return [results[name] for name in ids]


def run_id(job: Job) -> str:
    """The id under which a store keeps a job's run; the same every time."""
    return default_run_id(**job.identity)


def execute(job: Job, store: str, take_over: bool = False) -> str | None:
    """Run one job in this process; returns None, or in one sentence why it failed."""
    try:
        job.run(open_store(store), take_over=take_over)
    except NcoreError as error:
        return str(error)
    except Exception as error:  # whatever a model raises while it trains; the run has it as its reason
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None
