"""What a sweep does with each of its jobs, by what the store has of it: for sweeps, stages and plans alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ncore.errors import StoreError
from ncore.probe.job import Job, data_digest

if TYPE_CHECKING:
    from ncore.store import Store
    from ncore.store.manifest import Manifest

__all__ = ["Action", "Decider", "Decision"]


class Action(StrEnum):
    """What is done with a job."""

    RUN = "run"
    RESUME = "resume"
    REPEAT = "repeat"
    SKIP = "skip"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Decision:
    """What is done with a job, and why.

    Attributes:
        action: What.
        reason: Why it is skipped or refused, empty otherwise.
        epoch: The last one that is recorded and kept, 0 if training starts from the beginning.
    """

    action: Action
    reason: str = ""
    epoch: int = 0


class Decider:
    """Decides job by job, and looks at each dataset once.

    Args:
        store: Where the runs are.
        retry_failed: Repeat runs that failed before, instead of skipping them.
        keep_stopped: Leave alone what an earlier sweep stopped, instead of going on with it.
    """

    def __init__(self, store: Store, retry_failed: bool = False, keep_stopped: bool = False) -> None:
        self._store, self._retry, self._keep_stopped = store, retry_failed, keep_stopped
        self._digests: dict[str, str | None] = {}

    def decide(self, job: Job, run_id: str) -> Decision:
        """What is done with a job whose run has this id."""
        try:
            manifest = self._store.run(run_id).manifest
        except StoreError:
            return Decision(Action.RUN)
        if manifest.status == "failed":
            if self._retry:
                return Decision(Action.REPEAT)
            return Decision(Action.SKIP, "failed before; repeat it with --retry-failed")
        if why := self._on_other_data(job, manifest):
            return Decision(Action.REFUSE, why)
        if manifest.status == "finished":
            return Decision(Action.SKIP, "finished before")
        if self._keep_stopped and manifest.stopped_early:
            return Decision(Action.SKIP, f"{manifest.reason} before")
        return Decision(Action.RESUME, epoch=max(manifest.last_epoch, 0))

    def _on_other_data(self, job: Job, manifest: Manifest) -> str:
        """Why a run can be neither taken for this job nor gone on with: its data had the same name, but were others."""
        recorded = manifest.info.get("dataset_fingerprint")
        if not recorded:
            return ""
        key = f"{job.dataset.model_dump_json()} {job.dataset.cut_seed(job.seed)}"
        if key not in self._digests:
            self._digests[key] = data_digest(job)
        now = self._digests[key]
        if now is None or now == recorded:
            return ""
        return (
            f"the run {manifest.run} was recorded on other data than {job.dataset.name!r} has now (digest {recorded}, "
            f"not {now}): give the dataset another `name`, or delete the run with `ncore delete`"
        )
