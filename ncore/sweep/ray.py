"""The same jobs on a Ray cluster; results go to the store's folder or URL, which every node must reach."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any

from ncore.errors import MissingExtraError, NcoreError, OfflineError
from ncore.probe.job import Job
from ncore.sweep.running import execute

__all__ = ["RayEngine"]


class RayEngine:
    """Runs each job as a Ray task. A worker that dies is replaced by Ray, and the job resumes from the store.

    Args:
        address: Of a running cluster; None starts a local one for this sweep.
        threads: CPUs a job asks for, and torch threads it uses.
        gpus: GPUs a job asks for; fractions share one.
        retries: How often Ray starts a job again whose worker died.
        **options: For ``ray.init``, such as ``num_cpus`` of a local cluster.
    """

    def __init__(
        self, address: str | None = None, threads: int = 1, gpus: float = 0, retries: int = 3, **options: Any
    ) -> None:
        self.address, self.threads, self.gpus, self.retries, self.options = address, threads, gpus, retries, options

    def __call__(self, jobs: Sequence[Job], store: str) -> Iterator[tuple[Job, str | None]]:
        """Execute the jobs, in any order; see :class:`~ncore.sweep.running.Engine`."""
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray", "The engine 'ray'") from error
        ours = not ray.is_initialized()
        if ours:
            try:
                _knock(self.address)
                ray.init(address=self.address, include_dashboard=False, log_to_driver=False, **self.options)
            except Exception as error:
                raise OfflineError(
                    f"The Ray cluster {self.address or '(local)'} cannot be reached "
                    f"({' '.join(str(error).split())[:200]}): check the address, or leave it out to start a local one."
                ) from error
        try:
            # An application error is a result: only a worker that dies is tried again, and then resumes.
            task = ray.remote(num_cpus=self.threads, num_gpus=self.gpus, max_retries=self.retries)(_take_over)
            pending = {task.remote(_with_threads(job, self.threads), store): job for job in jobs}
            while pending:
                done, _ = ray.wait(list(pending), num_returns=1)
                for reference in done:
                    job = pending.pop(reference)
                    try:
                        yield job, ray.get(reference)
                    except (ray.exceptions.RayError, NcoreError) as error:
                        yield job, f"its Ray worker died {self.retries + 1} times: {str(error).splitlines()[0]}"
        finally:
            if ours:
                ray.shutdown()


def _take_over(job: Job, store: str) -> str | None:
    """Run a job, going on with a run that in a bucket still looks alive: Ray runs a task in one place at a time."""
    return execute(job, store, take_over=True)


def _knock(address: str | None) -> None:
    """Fail at once where nothing listens: Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _with_threads(job: Job, threads: int) -> Job:
    if job.training.threads is not None:
        return job
    return job.model_copy(update={"training": job.training.model_copy(update={"threads": threads})})
