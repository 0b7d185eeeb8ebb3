"""The engine for one machine: a process for each run."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from ncore.probe.job import Job
from ncore.sweep.running import execute

__all__ = ["LocalEngine"]


class LocalEngine:
    """Several runs at a time on this machine, each in a process of its own, so that none can take others down.

    Args:
        workers: Runs at a time; by default one for every core when runs use one thread each.
        threads: Of each run, fixed so that results do not depend on how many run at once.
        preload: Modules that every run imports, to be imported once for all of them where the system can.
    """

    def __init__(self, workers: int | None = None, threads: int = 1, preload: Sequence[str] = ()) -> None:
        self.threads, self.preload = threads, preload
        self.workers = max(1, workers or _cores() // threads)

    def __call__(self, jobs: Sequence[Job], store: str) -> Iterator[tuple[Job, str | None]]:
        """Execute the jobs, in any order; see :class:`~ncore.sweep.running.Engine`."""
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
