"""One run, described by plain settings: what a sweep hands to whatever executes it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import Field, PositiveInt

from ncore.errors import InputError, NcoreError, StoreError, TrainingFailedError
from ncore.probe._untrained import former_of, leave_out, record_failure
from ncore.probe.agreement import HOW_IT_RUNS
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec
from ncore.probe.rates import with_rates
from ncore.probe.rows_on_disk import beside, default
from ncore.probe.session import About, Ready, Session
from ncore.probe.settings import RecordingSettings, Settings, TrainingSettings, identity_of, read_settings
from ncore.probe.sources.pools import digest
from ncore.store.limits import Limits

if TYPE_CHECKING:
    from ncore.probe.candidates import Backbone
    from ncore.store import Store
    from ncore.store.manifest import Manifest

__all__ = ["Job", "expand", "filled_in"]

_Spec = TypeVar("_Spec", CandidateSpec, DatasetSpec)


class Job(Settings):
    """A candidate, a dataset, a seed, and how to train and record.

    ``base`` is the folder that relative paths are read from, and ``clock`` says whether the seconds of the run are on
    the wall or of the processor's work, which other load does not stretch; neither is part of what identifies it.
    With ``until`` the run is left there, interrupted, to be resumed by a job with a later one, or none; and so it is
    before the moment ``deadline``, in seconds since 1970. ``with_validation`` trains on the validation set, too, for a
    model that is to be used: nothing is validated then. A candidate that costs more to use than ``under`` allows is not
    trained. ``variant`` says in words which settings of the training are this job's of several that a sweep tries.
    """

    candidate: CandidateSpec
    dataset: DatasetSpec
    seed: int = 0
    training: TrainingSettings = TrainingSettings()
    recording: RecordingSettings = RecordingSettings()
    notes: str = ""
    metric: str = ""
    base: str = Field(default_factory=os.getcwd)
    clock: Literal["wall", "processor"] = "wall"
    until: PositiveInt | None = None
    with_validation: bool = False
    deadline: float | None = None
    under: Limits = Limits()
    variant: str = ""

    @property
    def name(self) -> str:
        """The candidate's, with the variant."""
        return f"{self.candidate.name} ({self.variant})" if self.variant else self.candidate.name

    def late(self, needs: float = 0.0) -> bool:
        """Whether what takes so many seconds would not be done by the deadline."""
        return self.deadline is not None and time.time() + needs >= self.deadline

    @property
    def now(self) -> Callable[[], float]:
        """Reads the clock, in seconds."""
        return time.monotonic if self.clock == "wall" else time.process_time

    @property
    def settings(self) -> TrainingSettings:
        """The training settings with what this candidate overrides, and with a learning rate."""
        if not self.candidate.training:
            return with_rates(self.training, self.candidate)
        merged = self.training.model_dump() | dict(self.candidate.training)
        read = read_settings(TrainingSettings, merged, f"training of candidate {self.candidate.name}")
        return with_rates(read, self.candidate)

    @property
    def config(self) -> dict[str, Any]:
        """What identifies the run, as JSON; what computes it, and how, changes the last digits but not what is run."""
        return {
            "candidate": identity_of(self.candidate, {"training"}),
            "dataset": identity_of(self.dataset),
            "training": identity_of(self.settings, HOW_IT_RUNS),
        } | ({"with_validation": True} if self.with_validation else {})

    @property
    def resolved(self) -> dict[str, Any]:
        """All settings with their values, as JSON: what a run records beside what identifies it."""
        return {
            "candidate": self.candidate.model_dump(mode="json", exclude={"training"}),
            "dataset": self.dataset.model_dump(mode="json"),
            "training": self.settings.model_dump(mode="json"),
            "recording": self.recording.model_dump(mode="json"),
        }

    @property
    def identity(self) -> dict[str, Any]:
        """The arguments of :meth:`ncore.store.Store.new_run` that make up the run's id."""
        recording = {"recording": identity_of(self.recording)}
        return {
            "candidate": self.candidate.name,
            "dataset": self.dataset.name,
            "seed": self.seed,
            "mode": self.settings.mode,
            "config": self.config | recording,
        }

    @property
    def new_run(self) -> dict[str, Any]:
        """All arguments of that method which don't depend on what the run finds."""
        return {**self.identity, "planned_epochs": self.settings.epochs, "notes": self.notes}

    def run(self, store: Store, *, take_over: bool = False) -> str:
        """Train and record, resuming what an earlier, killed process left; returns the run's id.

        ``take_over`` goes on with a run in a bucket whose process is known to be gone (see ``Store.new_run``).

        A candidate or a dataset that cannot be loaded is recorded as a failed run with its reason.

        Raises:
            NcoreError: Why the run failed.
        """
        with self._loaded(store) as ready:
            return ready.train(store, take_over)

    @contextlib.contextmanager
    def prepared(self) -> Iterator[Session]:
        """Load everything, and hand over what trains a network, and that; meanwhile in the folder ``base``.

        Raises:
            NcoreError: A candidate or a dataset cannot be loaded, or the candidate is no network.
        """
        with self._loaded(None) as ready:
            if not isinstance(ready, Session):
                raise InputError(f"{self.candidate.name} is a baseline, which is no network: choose another candidate.")
            yield ready

    @contextlib.contextmanager
    def _loaded(self, store: Store | None) -> Iterator[Ready]:
        """Load everything; a store gets a failed run if something cannot be loaded."""
        if self.base not in sys.path:
            sys.path.append(self.base)  # `python:` candidates of a module beside the recipe
        with contextlib.chdir(self.base):
            try:
                place = default() if store is None else beside(store)
                session = _prepare(self, expand(self.candidate), expand(self.dataset), place)
            except NcoreError as error:
                record_failure(store, self.new_run, str(error))
                raise
            except Exception as error:  # a model library may raise anything
                reason = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
                record_failure(store, self.new_run, reason)
                raise TrainingFailedError(f"Candidate {self.candidate.name} cannot be prepared: {reason}") from error
            yield session


def expand(spec: _Spec) -> _Spec:
    """The spec with ``${NAME}`` replaced by environment variables, so that a recipe can travel between machines.

    A run keeps the unexpanded text: it is the same run wherever the files lie.

    Raises:
        InputError: A variable is not set.
    """

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return filled_in(value, spec.name)
        if isinstance(value, Mapping):
            return {key: walk(item) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list | tuple) else value

    return type(spec).parse(walk(spec.model_dump(exclude_unset=True) | {"name": spec.name}))


def filled_in(text: str, of: str) -> str:
    """A text of a recipe with ``${NAME}`` replaced by environment variables.

    Args:
        text: Any.
        of: What it belongs to, for the error.

    Raises:
        InputError: A variable is not set, or the text has a ``$`` that names none.
    """
    try:
        return Template(text).substitute(os.environ) if "${" in text else text
    except KeyError as error:
        raise InputError(
            f"{text!r} of {of!r} uses the environment variable {error.args[0]}, which is not set."
        ) from error
    except ValueError as error:
        raise InputError(f"{text!r} of {of!r} has a $ that names no variable: write it as $$.") from error


def _prepare(job: Job, candidate: CandidateSpec, dataset: DatasetSpec, place: Path) -> Ready:
    """Load everything; in ``place`` is what memory is too small for."""
    import torch

    from ncore.probe._baseline_run import baseline_session
    from ncore.probe._content import digests_of
    from ncore.probe._costs import costs_of
    from ncore.probe._weights import weights_digest
    from ncore.probe.candidates import load_candidate
    from ncore.probe.contents import trained_from_other_weights, weights_on_disk
    from ncore.probe.datasets import load_dataset
    from ncore.probe.rows_on_disk import fits_in_memory, on_disk
    from ncore.probe.training import MEMORY_FORMATS, ProbedModel, Trainer, choose_device, frozen_features
    from ncore.probe.unit import NCPUnit

    started = job.now()
    if candidate.kind == "baseline":
        data = load_dataset(dataset, seed=dataset.cut_seed(job.seed), place=place)
        return Ready(baseline_session(job, data, started), data)
    settings = job.settings
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    device = choose_device(settings.device)
    # Cut alike for all seeds, so that they are runs on the same data, unless it is asked to be cut anew for each.
    data = load_dataset(dataset, seed=dataset.cut_seed(job.seed), place=place)
    backbone = load_candidate(candidate, seed=job.seed, shape=data.shape, device=device)
    weights = weights_digest(backbone.module, backbone.input.content())
    digests = digests_of(data) | {"weights": weights, "weight_files": weights_on_disk(candidate) or None}
    if settings.augment and data.modality.examples != "pictures":
        raise InputError(f"augment is true, but {dataset.name} holds {data.modality.examples}: it is for pictures.")
    examples = {name: _examples(split, backbone.input) for name, split in data.splits.items()}
    unit = NCPUnit(
        backbone.feature_dim,
        len(data.class_names),
        widths=settings.unit.widths,
        activation=settings.unit.activation,
        dropout=settings.unit.dropout,
        seed=settings.unit.seed,
    ).to(device)
    module = backbone.module.to(memory_format=MEMORY_FORMATS[settings.memory_format])
    usual = examples["train"].usual()
    whole = torch.nn.Sequential(module, unit)
    costs = cache(partial(costs_of, whole, usual.prepare(usual.inputs.to(device))))
    if job.under and (over := job.under.over(costs())):
        return Ready(partial(leave_out, run=job.new_run, costs=costs(), over=over), data)
    if settings.mode == "unit":
        test = examples["test"]
        kind = f"features {weights} {_made_by(candidate, backbone, device)}"
        keep = {
            name: None
            if fits_in_memory(len(split), (backbone.feature_dim,), "f4")
            else partial(on_disk, place, kind, split.content["digest"], (backbone.feature_dim,), "f4")
            for name, split in data.splits.items()
        }
        examples = {
            name: frozen_features(module, examples[name], device, keep[name]) for name in ("train", "validation")
        }
        # Those of the test set only when it is their turn: a run that is stopped before never pays for them.
        prepare = partial(_frozen, module, test.prepare, device.type)
        examples["test"] = replace(test, prepare=prepare)
        module = torch.nn.Identity()
    if job.with_validation:
        examples["train"] = examples["train"].joined(examples.pop("validation"))
    model = ProbedModel(module, unit, settings.mode, settings.fine_tuning_depth)
    trainer = Trainer(model, examples["train"], settings, job.seed)
    info = {
        "parameters": backbone.parameters + sum(p.numel() for p in unit.parameters()),
        "feature_dim": backbone.feature_dim,
        "output": backbone.output,
        "input": backbone.input.summary,
        "images": {name: len(split) for name, split in examples.items()},
        "left_out": data.left_out,
        "classes": [str(name) for name in data.class_names],
        "dataset_fingerprint": data.fingerprint,
    }
    resolved = job.resolved | {
        "training": job.resolved["training"] | {"device": str(device), "threads": torch.get_num_threads()},
        "input": backbone.input.summary,
        "cut": {"seed": dataset.cut_seed(job.seed)} | {name: len(split) for name, split in data.splits.items()},
    }
    about = About(resolved, digests, data.fingerprint, costs)

    def others(manifest: Manifest) -> str:
        return trained_from_other_weights(manifest, candidate, job.seed, data.shape, digests["weights"])

    train = partial(
        _train,
        job=job,
        about=about,
        others=others,
        trainer=trainer,
        examples=examples,
        info=info,
        warnings=[*_found(data), *backbone.warnings],
        started=started,
    )
    return Session(train, data, whole, backbone, about, others)


def _made_by(candidate: CandidateSpec, backbone: Backbone, device: Any) -> str:
    """What decides, with its weights, which features a candidate gives: its settings, its code and its library.

    Code is told by what it makes of two examples of noise; where that differs in the last digits, features are made
    again.
    """
    import torch

    with torch.no_grad():
        tried = backbone.module(backbone.input.trial().to(device)).float().cpu()
    settings = candidate.model_dump_json(exclude={"name", "training"})
    return f"{settings} {device.type} {digest(tried.numpy().round(3).tobytes())}"


def _examples(split: Any, takes: Any) -> Any:
    """A set as the trainer has it."""
    import torch

    from ncore.probe.training import Examples

    inputs = split.tensor(takes)
    return Examples(inputs, torch.from_numpy(split.labels), takes.prepare, takes.lengths(inputs))


def _found(data: Any) -> list[str]:
    """What was found when the data were looked for, and when they were decoded."""
    return [*data.warnings, *(warning for split in data.splits.values() for warning in split.warnings)]


def _frozen(backbone: Any, prepare: Callable[[Any], Any], device: str, batch: Any) -> Any:
    """What a frozen backbone gives for a batch, in full precision."""
    import torch

    with torch.no_grad(), torch.autocast(device, enabled=False):
        return backbone(prepare(batch)).float()


def _train(
    store: Store,
    take_over: bool,
    *,
    job: Job,
    about: About,
    others: Callable[[Manifest], str],
    trainer: Any,
    examples: dict[str, Any],
    info: dict[str, Any],
    warnings: Sequence[str],
    started: float,
) -> str:
    import torch

    from ncore.probe._memory import said_of_parts
    from ncore.probe._pace import Pace
    from ncore.probe._partition import probe_rows
    from ncore.probe._plateau import Plateau
    from ncore.probe.agreement import REMEDY, other_data, other_settings
    from ncore.probe.recorder import Recorder
    from ncore.probe.training import CheckpointClock

    settings = job.settings
    model = trainer.model
    rows = probe_rows(examples["train"].labels.numpy(), job.recording.probe_samples)
    probe = examples["train"].drawn(rows)
    counts = torch.bincount(probe.labels, minlength=len(info["classes"]))
    info |= {"metric": job.metric} if job.metric else {}
    info |= {"probe_rows": rows.tolist(), "probe_classes": counts.tolist()}
    identity, prepared = job.identity, job.now() - started
    former = former_of(store, identity)
    if former is not None and former.status != "finished" and former.last_epoch >= 0:
        if why := (
            other_data(former, about.digests, about.fingerprint, job.dataset.name)
            or others(former)
            or other_settings(former, about.resolved)
        ):
            raise StoreError(f"Run {former.run} was begun {why}, so it is not gone on with: {REMEDY}.")
        if micro_batch := former.info.get("micro_batch"):  # memory was too small before
            trainer.micro_batch = micro_batch
            info |= {"micro_batch": micro_batch}
    costs = about.costs() if former is None or not former.costs else {}
    recorder = Recorder(
        store,
        None if settings.mode == "unit" else model,
        unit=model.unit,
        probe=(probe.prepare(probe.inputs), probe.labels),
        loss=trainer.loss,
        epochs=settings.epochs,
        recording=job.recording,
        notes=job.notes,
        info=info | {"device": str(trainer.device), "threads": torch.get_num_threads()},
        warnings=warnings,
        resume=True,
        when_recorded="skip",
        take_over=take_over,
        clock=job.now,
        **{**identity, "config": job.config},
    )
    with recorder, torch.random.fork_rng():
        recorder.writer.describe(resolved=about.resolved, digests=about.digests, costs=costs)
        recorder.seconds += prepared
        first, clock = 1, CheckpointClock()
        saved = recorder.writer.load_checkpoint() if recorder.last_epoch > 0 else None
        if saved is not None:
            try:
                first = trainer.load(saved, recorder.last_epoch) + 1
            except StoreError as error:
                recorder.writer.warn(f"The checkpoint could not be used, because {error}: training started over.")
        plateau = Plateau(settings.patience)
        pace = Pace(trainer.settings, examples["train"].labels, trainer.steps_per_epoch)
        for watching in (plateau, pace) if recorder.last_epoch > 0 else ():
            watching.go_on(store.run(recorder.run_id).metrics())
        recorder.continues()  # from a checkpoint, or from the start: then epochs are repeated, and not recorded again
        last, begun = min(settings.epochs, job.until or settings.epochs), time.monotonic()
        for epoch in range(first, last + 1):
            if plateau.reached:
                break
            took, begun = time.monotonic() - begun, time.monotonic()
            if job.late(took):  # as the next one takes about as long as the last
                last = epoch - 1
                break
            before = trainer.micro_batch
            measured = {"train": trainer.epoch(epoch, lambda: recorder.seconds)}
            if trainer.micro_batch < before:
                recorder.writer.describe(info={"micro_batch": trainer.micro_batch})
                recorder.writer.warn(said_of_parts(settings.batch_size, trainer.micro_batch, epoch))
            if epoch <= recorder.last_epoch:
                continue  # repeated since the last checkpoint: recorded already, and the same again
            if said := pace.add(epoch, measured["train"], trainer.moments):
                recorder.writer.warn(said)
            predicted: dict[str, Any] = {}
            if "validation" in examples:
                measured["validation"], predicted["validation"] = trainer.evaluate_each(examples["validation"])
                if plateau.add(measured["validation"]) and epoch < settings.epochs:
                    recorder.ends_at(epoch, plateau.said(epoch, settings.epochs))
            if plateau.reached or epoch == settings.epochs:
                measured["test"], predicted["test"] = trainer.evaluate_each(examples["test"])
            measured["probe"], features = trainer.evaluate_probe(probe)
            recorder.record(
                epoch,
                step=trainer.step,
                features=features,
                course=trainer.moments,
                predictions=predicted,
                **measured,
            )
            if epoch < settings.epochs and not plateau.reached and clock.due():
                with clock.timed():
                    recorder.writer.save_checkpoint(trainer.save(epoch))
        if last < settings.epochs and not plateau.reached:
            recorder.writer.save_checkpoint(trainer.save(max(last, first - 1)))
            why = "as the time was over" if last < (job.until or settings.epochs) else "until others are there"
            recorder.writer.close(f"paused at epoch {recorder.last_epoch} of {settings.epochs} {why}")
    return recorder.run_id
