"""Running many jobs: what is finished is skipped, what was killed is resumed, a failure stops nothing else."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ncore.errors import InputError, NcoreError, StoreError
from ncore.probe.job import Job
from ncore.store import create_store, default_run_id, open_store

if TYPE_CHECKING:
    from ncore.store import Store

Outcome = Literal["finished", "failed", "skipped", "stopped"]


@dataclass(frozen=True)
class Result:
    """How a job ended; ``reason`` says why it failed, was skipped or was stopped early."""

    job: Job
    run_id: str
    outcome: Outcome
    reason: str = ""


class Engine(Protocol):
    """Executes jobs in any order and yields each with its error, None if it finished."""

    def __call__(self, jobs: Sequence[Job], store: str) -> Iterator[tuple[Job, str | None]]: ...


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
        jobs: in the order they are started.
        store: folder or URL; made if missing.
        engine: :class:`LocalEngine` or :class:`ncore.probe.ray_engine.RayEngine`.
        retry_failed: remove and repeat runs that failed before, instead of skipping them.
        on_result: called with each result as it comes.

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
    for job, name in zip(jobs, ids, strict=True):
        ended = _ended(opened, name)
        if ended == "finished":
            settle(Result(job, name, "skipped", "finished before"))
        elif ended == "failed" and not retry_failed:
            settle(Result(job, name, "skipped", "failed before; repeat it with --retry-failed"))
        else:
            if ended == "failed":
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


class LocalEngine:
    """Several runs at a time on this machine, each in a process of its own, so that none can take others down.

    Args:
        workers: runs at a time; by default one for every core when runs use one thread each.
        threads: of each run, fixed so that results do not depend on how many run at once.
        preload: modules that every run imports, to be imported once for all of them where the system can.
    """

    def __init__(self, workers: int | None = None, threads: int = 1, preload: Sequence[str] = ()) -> None:
        self.threads, self.preload = threads, preload
        self.workers = max(1, workers or _cores() // threads)

    def __call__(self, jobs: Sequence[Job], store: str) -> Iterator[tuple[Job, str | None]]:
        # The threads only wait: each starts one process for one job, and sees it die if it does.
        with ThreadPoolExecutor(self.workers) as waiting:
            futures: dict[Future[str | None], Job] = {waiting.submit(self._one, job, store): job for job in jobs}
            try:
                open_futures = set(futures)
                while open_futures:
                    done, open_futures = wait(open_futures, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield futures[future], future.result()
            except BaseException:
                waiting.shutdown(wait=False, cancel_futures=True)
                raise

    def _one(self, job: Job, store: str) -> str | None:
        if job.training.threads is None:
            job = job.model_copy(update={"training": job.training.model_copy(update={"threads": self.threads})})
        try:
            with ProcessPoolExecutor(1, _context(self.preload), _end_with_parent) as process:
                return process.submit(execute, job, store).result()
        except BrokenProcessPool:
            return (
                "the process that trained it was killed (out of memory is the usual reason); what it recorded is "
                "kept, and the sweep resumes it when run again"
            )


def follow(jobs: Sequence[Job], store: str, changed: Callable[[str, int, int], None], stop: threading.Event) -> None:
    """Watch runs being recorded, whoever records them, and call ``changed(run id, epochs, planned)``.

    Progress is read from the store: an engine on other machines needs no channel back.
    """
    opened = open_store(store)
    watched = [(run_id(job), job.settings.epochs) for job in jobs]
    seen: dict[str, int] = {}
    while True:
        last_look = stop.is_set()
        for name, planned in watched:
            if seen.get(name, -1) >= planned:
                continue
            try:
                epoch = opened.run(name).manifest.last_epoch
            except NcoreError:
                continue  # not begun, or between two manifests
            if epoch > seen.get(name, -1):
                seen[name] = epoch
                changed(name, epoch, planned)
        if last_look:
            return
        stop.wait(0.5)


def _ended(store: Store, name: str) -> str | None:
    try:
        status = store.run(name).manifest.status
    except StoreError:
        return None
    return status if status in ("finished", "failed") else None


def _end_with_parent() -> None:
    """End this process when the one that runs the sweep is gone: nobody would hear of the result, or start the next.

    What was recorded is kept, and another sweep resumes the run.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(parent: multiprocessing.process.BaseProcess = parent) -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _context(preload: Sequence[str]) -> multiprocessing.context.BaseContext:
    """Processes that start with torch, and what its first optimizer imports, already loaded where the system can."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["torch._dynamo", "ncore.probe.training", "ncore.probe.recorder", *preload])
        return context
    return multiprocessing.get_context("spawn")
