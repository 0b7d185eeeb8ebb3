"""One thread that does jobs in order while the caller goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

__all__ = ["Background", "Job"]

Job = Callable[[], None]


class Background:
    """Does jobs one after the other in one thread; at most ``depth`` of them wait.

    The first exception ends the work: jobs after it are dropped, and it is raised by the next call.

    Args:
        depth: Jobs that may wait; submitting one more waits.
        idle: Done whenever no job has come for ``period`` seconds.
    """

    def __init__(self, depth: int, idle: Job, period: float) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue(depth)
        self._idle, self._period = idle, period
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="ncore-store", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Have a job done after all others."""
        self._raise()
        self._jobs.put(job)

    def wait(self) -> None:
        """Return when every job is done."""
        self._jobs.join()
        self._raise()

    def stop(self) -> None:
        """Do what is left, end the thread, and raise nothing."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._period)
            except queue.Empty:
                self._try(self._idle)
                continue
            try:
                if job is None:
                    return
                self._try(job)
            finally:
                self._jobs.task_done()

    def _try(self, job: Job) -> None:
        if self._error is not None:
            return
        try:
            job()
        except BaseException as error:
            self._error = error
