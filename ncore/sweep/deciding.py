"""What a sweep does with each of its jobs, by what the store has of it: for sweeps, stages and plans alike."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ncore.errors import NcoreError, StoreError
from ncore.probe.agreement import REMEDY, lacking, other_data, other_settings
from ncore.probe.contents import DataNow, data_now, has_weights_here, trained_from_other_weights, weights_on_disk
from ncore.probe.job import Job, expand

if TYPE_CHECKING:
    from ncore.store import Store
    from ncore.store.manifest import Manifest

__all__ = ["Action", "Decider", "Decision"]

_DOWNLOADED = ("torchvision", "hf")  # sources of data that a look at them may fetch


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
    """Decides job by job, and looks at each dataset and at the files of each candidate's weights once.

    A finished run stands for a job if it was on the data, from the weights and with the settings that the job has now,
    and has recorded what is asked for; one that was interrupted is gone on with on the first three. Everything else is
    refused, and said: what was learned from other data is no beginning, and no end, of this.

    Args:
        store: Where the runs are; None if there is none yet.
        retry_failed: Repeat runs that failed before, instead of skipping them.
        keep_stopped: Leave alone what an earlier sweep stopped, instead of going on with it.
    """

    def __init__(self, store: Store | None, retry_failed: bool = False, keep_stopped: bool = False) -> None:
        self._store, self._retry, self._keep_stopped = store, retry_failed, keep_stopped
        self._data: dict[str, DataNow | NcoreError] = {}
        self._weights: dict[str, str] = {}
        self._files: dict[str, str | None] = {}

    def decide(self, job: Job, run_id: str) -> Decision:
        """What is done with a job whose run has this id."""
        if self._store is None:
            return Decision(Action.RUN)
        try:
            manifest = self._store.run(run_id).manifest
        except StoreError:
            return Decision(Action.RUN)
        if manifest.status == "failed":
            if self._retry:
                return Decision(Action.REPEAT)
            return Decision(Action.SKIP, "failed before; repeat it with --retry-failed")
        finished = manifest.status == "finished"
        data = self.data_of(job) if finished or manifest.last_epoch >= 0 else None
        if why := self._differs(job, manifest, data):
            return Decision(Action.REFUSE, f"{'finished' if finished else 'begun'} {why}: {REMEDY}")
        if finished:
            images = data.images if isinstance(data, DataNow) else {}
            baseline = job.candidate.kind == "baseline"  # which has no synapses
            if not baseline and (less := lacking(manifest, job.recording, images.get("validation"))):
                return Decision(Action.REFUSE, f"finished {less}: ask for less in `recording`, {REMEDY}")
            unseen = [_unseen(data)] if isinstance(data, NcoreError) and _knows_its_data(manifest) else []
            unseen.append(self._unseen_weights(job, manifest))
            said = "; ".join(filter(None, unseen))
            return Decision(Action.SKIP, f"finished before ({said})" if said else "finished before")
        if over := job.under.over(manifest.costs):
            return Decision(Action.SKIP, f"left out: {'; '.join(over)}")
        if self._keep_stopped and manifest.stopped_early:
            return Decision(Action.SKIP, f"{manifest.reason} before")
        return Decision(Action.RESUME, epoch=max(manifest.last_epoch, 0))

    def data_of(self, job: Job) -> DataNow | NcoreError:
        """A job's data as they are now, or why they can't be looked at."""
        seed, key = job.dataset.cut_seed(job.seed), _key_of_data(job)
        if key not in self._data:
            with contextlib.chdir(job.base):
                try:
                    self._data[key] = data_now(expand(job.dataset), seed)
                except NcoreError as error:
                    self._data[key] = error
        return self._data[key]

    def data_here(self, job: Job) -> DataNow | None:
        """The same where nothing is downloaded for it, and they can be looked at."""
        if job.dataset.source.partition(":")[0] in _DOWNLOADED and _key_of_data(job) not in self._data:
            return None
        data = self.data_of(job)
        return data if isinstance(data, DataNow) else None

    def _differs(self, job: Job, manifest: Manifest, data: DataNow | NcoreError | None) -> str:
        """Why a run can be neither taken for this job nor gone on with."""
        why = ""
        if isinstance(data, DataNow):
            why = other_data(manifest, data.digests, data.fingerprint, job.dataset.name)
        why = why or other_settings(manifest, job.resolved)
        return why or self._other_weights(job, manifest, data)

    def _other_weights(self, job: Job, manifest: Manifest, data: DataNow | NcoreError | None) -> str:
        """How they differ; those of a download are loaded only if its files do, which need not be other weights."""
        then, files = (str(manifest.digests.get(name) or "") for name in ("weights", "weight_files"))
        image = data.shape if isinstance(data, DataNow) else None
        seed = "" if job.candidate.pretrained else job.seed  # weights that are loaded are the same for all
        key = f"{job.base} {job.candidate.model_dump_json()} {seed} {image} {then} {files}"
        if not then or data is None or key in self._weights:
            return self._weights.get(key, "")
        why, now = "", self._files_of(job) if files else None
        if now and now != files:
            why = (
                f"with other files of weights than {job.candidate.name!r} has now (digest {files[:12]}, not {now[:12]})"
            )
        # A factory of the user's own may raise anything; the run then says it better than this.
        with contextlib.chdir(job.base), contextlib.suppress(Exception):
            candidate = expand(job.candidate)
            if image is not None and (why or has_weights_here(candidate)):
                why = trained_from_other_weights(manifest, candidate, job.seed, image)
        self._weights[key] = why
        return why

    def _unseen_weights(self, job: Job, manifest: Manifest) -> str:
        """Why those of a download could not be compared without loading them; empty if they were, or are none."""
        if not manifest.digests.get("weights") or (now := self._files_of(job)) is None:
            return ""
        if not manifest.digests.get("weight_files"):
            return "its weights are not compared, as it has no digest of their files"
        return "" if now else "its weights are not compared, as their files were not found on this disk"

    def _files_of(self, job: Job) -> str | None:
        """What is on this disk of a job's downloaded weights; see :func:`ncore.probe.contents.weights_on_disk`."""
        key = f"{job.base} {job.candidate.model_dump_json()}"
        if key not in self._files:
            self._files[key] = None
            with contextlib.chdir(job.base), contextlib.suppress(NcoreError):  # of a variable that is not set
                self._files[key] = weights_on_disk(expand(job.candidate))
        return self._files[key]


def _key_of_data(job: Job) -> str:
    return f"{job.base} {job.dataset.model_dump_json()} {job.dataset.cut_seed(job.seed)}"


def _knows_its_data(manifest: Manifest) -> bool:
    return bool(manifest.digests.get("data") or manifest.info.get("dataset_fingerprint"))


def _unseen(error: NcoreError) -> str:
    return f"its data can't be looked at now: {str(error).rstrip('.')}"
