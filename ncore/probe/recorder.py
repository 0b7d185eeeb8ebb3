"""Recording a run from any training loop: metrics, beta_eff, trajectories and line graphs, once an epoch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from torch import Tensor, nn

from ncore.errors import InputError, NcoreError, StoreError
from ncore.network.losses import Loss
from ncore.probe import _loops
from ncore.probe._course import Moment
from ncore.probe._metric_rows import OF_TRAINING, Measured, Row, columns_of, measured, moments, not_finite, unnamed
from ncore.probe._observing import bare, read_probe
from ncore.probe._predictions import KeptPredictions
from ncore.probe._resuming import Policy, Standing, check_policy
from ncore.probe._tables import SUITABILITY_SAMPLES, EpochTables, Look, sample_neurons
from ncore.probe.settings import RecordingSettings, identity_of, read_settings
from ncore.store import create_store, default_run_id
from ncore.store.layout import check_run_id
from ncore.store.manifest import plain

if TYPE_CHECKING:
    from ncore.store import Store

__all__ = ["SUITABILITY_SAMPLES", "Predictions", "Recorder", "sample_neurons"]

Predictions: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Columns of the table ``predictions``, by split."""


class Recorder:
    """Writes one run to a store, while any loop trains the model.

    Epoch 0, the state before training, is recorded at once; then call :meth:`record` after each epoch. As a
    context manager it finishes the run at the end of the block; an exception makes it failed, with its reason. Without
    a block the run is failed once the recorder is dropped before the last of the planned epochs, or an exception ends
    the process or a notebook's cell that uses it; a new recorder with ``resume=True`` takes over from it.

    Args:
        store: Folder, URL or an open store; made if it does not exist.
        model: The whole model, called on the probe inputs; None if the probe holds the unit's own inputs.
        unit: The dense head inside ``model`` whose synapses are recorded: a ``torch.nn.Sequential`` of ``Linear``
            and elementwise activations, or an :class:`ncore.NCPUnit`.
        probe: (inputs, targets), fixed over the run; 512 samples or more are advised. Inputs are a tensor or an array,
            or a mapping or tuple of such, which the model is called with as ``model(**inputs)`` or ``model(*inputs)``.
        loss: The training loss, a torch loss that is a mean or a sum over samples.
        candidate, dataset: Names, as the ranking will show them.
        seed: Of this run.
        epochs: How many are planned, which is where a prediction points to.
        mode: "backbone", "unit" or "all": what is trained.
        recording: What is kept, as :class:`ncore.probe.settings.RecordingSettings` or a mapping.
        config: Anything JSON can hold that says how the model is trained; part of what identifies the run.
        notes: Free text for whoever looks at the run.
        info: What else a reader may want to know, as JSON; not part of the identity.
        warnings: What to know before trusting the run, a sentence each.
        run_id: Name of the run; by default made from what identifies it, the same every time.
        resume: Go on with an unfinished run of the same identity. Training goes on from what the model is when the
            recorder is made, so load its checkpoint before; :meth:`continues` says so where that is not possible.
        when_recorded: What becomes of epochs that are recorded already: "refuse" them; "skip" them, if what is
            measured says that it is the same training again; or "replace" them and all after them.
        on_error: After the start, trouble in recording (a full disk, a metric that is no number) is raised, or, with
            "warn", warned of once: recording ends there, training goes on, and what is recorded stays.
        take_over: Of a run in a bucket, where there are no locks, whose writer is known to be gone.
        clock: What seconds are read from; with ``time.process_time`` they are of this process's work, whatever else
            the machine does meanwhile.

    Attributes:
        lost: What ended recording, where ``on_error`` is "warn"; None as long as it goes on.

    Raises:
        UnsupportedError: The unit or the loss is not covered; strengths that this head is too shallow for are
            left out with a note in the run instead, unless none is left.
        StoreError: The run exists already, or the store cannot be written.

    Example:
        >>> import tempfile, torch, ncore
        >>> unit = ncore.NCPUnit(4, classes=2, widths=(8, 8, 8))
        >>> x, y = torch.randn(64, 4), torch.randint(2, (64,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ncore.Recorder(folder, None, unit=unit, probe=(x, y), loss=torch.nn.CrossEntropyLoss(),
        ...                         candidate="unit", dataset="noise", epochs=1) as recorder:
        ...         recorder.record(validation={"accuracy": 0.5})
        ...     ncore.open_store(folder).runs()["status"].tolist()
        ['finished']
    """

    def __init__(
        self,
        store: Store | str | os.PathLike[str],
        model: nn.Module | None,
        *,
        unit: nn.Sequential,
        probe: tuple[Any, Any],
        loss: Loss,
        candidate: str,
        dataset: str,
        seed: int = 0,
        epochs: int | None = None,
        mode: str = "all",
        recording: RecordingSettings | Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        notes: str = "",
        info: Mapping[str, Any] | None = None,
        warnings: Sequence[str] = (),
        run_id: str | None = None,
        resume: bool = False,
        when_recorded: Policy = "refuse",
        on_error: Literal["raise", "warn"] = "raise",
        take_over: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_policy(when_recorded)
        if on_error not in ("raise", "warn"):
            raise InputError(f"on_error is {on_error!r}, but it must be raise or warn.")
        self.settings = read_settings(RecordingSettings, recording or {}, "recording")
        self._on_error, self._clock, self._started = on_error, clock, clock()
        self._elapsed, self._step, self._planned = 0.0, 0, epochs
        self._between: list[Row] = []
        self._named = bool((config or {}).get("with_validation"))  # nothing is validated then
        self.lost: Exception | None = None
        inputs, targets = read_probe(probe, self.settings.probe_samples)
        self._tables = EpochTables(bare(model), bare(unit), inputs, targets, loss, self.settings, epochs)
        opened = store if not isinstance(store, (str, os.PathLike)) else create_store(store)
        identity: dict[str, Any] = {
            "candidate": candidate,
            "dataset": dataset,
            "seed": seed,
            "mode": mode,
            "config": plain({**(config or {}), "recording": identity_of(self.settings)}, "config"),
        }
        chain = self._tables.chain
        self.run_id = default_run_id(**identity) if run_id is None else check_run_id(run_id)
        _loops.take_over(opened.url, self.run_id, resume)
        planned = _planned(opened, self.run_id)
        self.writer = opened.new_run(
            **identity,
            run_id=run_id,
            planned_epochs=epochs,
            unit={"widths": list(chain.widths), "activations": list(chain.activation_names)},
            recorded=self._tables.recorded,
            notes=notes,
            info=info,
            warnings=warnings,
            asynchronous=True,
            resume=resume,
            take_over=take_over,
        )
        self._predictions = KeptPredictions(self.settings.prediction_rows, epochs)
        try:
            features = self._tables.observed.features()
            suits = columns_of(measured(self._tables.suitability(features), 0, self.seconds))
            self._standing = Standing(
                self.writer, opened, when_recorded, self._tables.look(0, features), {"metrics": suits}
            )
            if self.last_epoch > 0:
                run = opened.run(self.run_id)
                self._elapsed = run.manifest.summary.get("seconds", 0.0)
                self._predictions.go_on(run)
            if planned is not None and epochs is not None and planned != epochs:
                self.writer.describe(info={"planned_before": planned})
                self.writer.warn(f"The run was begun with {planned} planned epochs, and went on with {epochs}.")
        except BaseException:
            self.writer.close()
            raise
        self._use = _loops.Use(self, self.writer, opened.url, epochs)

    @property
    def last_epoch(self) -> int:
        """The last recorded epoch; 0 at the start."""
        return self.writer.last_epoch

    def record(
        self,
        epoch: int | None = None,
        *,
        step: int | None = None,
        features: Tensor | None = None,
        course: Sequence[Moment] = (),
        predictions: Predictions | None = None,
        **splits: Mapping[str, float] | float,
    ) -> None:
        """Record an epoch that has just ended.

        Args:
            epoch: Its number, from 1; by default the one after the last.
            step: Optimizer steps so far.
            features: What the unit takes in on the probe, (N, features), where the loop has computed it already in
                evaluation mode; by default the recorder runs the model on the probe.
            course: What was measured of training in between, in order; each ``at`` in (epoch - 1, epoch].
            predictions: What was predicted of single examples, by split: the columns ``label`` and ``predicted``, and
                where they are known ``probabilities``, a row of all classes an example, from which ``probability``,
                ``label_probability`` and ``label_rank`` follow, and ``example``, the row within the split. How many of
                them are kept is said by ``recording``.
            splits: Metrics by split, such as ``validation={"accuracy": 0.9, "loss": 0.3}`` and, where it was
                measured, ``test={"accuracy": 0.88}``, or by names that hold it, such as ``val_acc=0.9``; accuracies
                are fractions in [0, 1].

        Raises:
            InputError: A metric is not a number, or an accuracy is outside [0, 1].
            StoreError: The epoch is recorded already, or cannot be written.
        """
        self._record(epoch, step, features, course, splits, predictions or {})

    def _record(
        self,
        given: int | None,
        step: int | None,
        features: Tensor | None,
        course: Sequence[Moment],
        splits: Measured,
        predictions: Predictions,
        others: Iterable[str] = (),
        how: str = "",
    ) -> None:
        """As :meth:`record`; ``others`` are names of metrics that have no place, and ``how`` says how they get one."""
        with self._guarded() as going:
            if not going:
                return
            standing = self._standing
            epoch = standing.next if given is None else given
            if standing.starts_over(epoch):
                self._elapsed = 0.0
            self._step = self._step if step is None else step
            rows = measured(splits, self._step, self.seconds)
            look = self._tables.look(epoch, features)
            between = [row for row in self._between if row.at is not None and row.at <= epoch]
            if standing.admits(epoch, rows, look):
                self._write(epoch, [*moments(course), *between, *rows], look, predictions)
            self._between = [row for row in self._between if row not in between]
            others = list(others)
            if not self._named and (others or any(row.split not in OF_TRAINING for row in rows)):
                self._named = True
                if self._tables.of_classes and (said := unnamed(rows, others, how)):
                    self._tell(said)

    def log(self, *, at: float, step: int | None = None, **splits: Mapping[str, float] | float) -> None:
        """Keep what was measured in the course of an epoch; it is recorded with the epoch.

        Args:
            at: Epochs of training done, in fractions: 2.5 in the middle of the third.
            step: Optimizer steps so far.
            splits: As for :meth:`record`.

        Raises:
            InputError: A metric is not a number, or the moment is in an epoch that is recorded.
        """
        with self._guarded() as going:
            if going:
                last = self._standing.next - 1
                if not last <= at < float("inf"):
                    raise InputError(
                        f"The moment at={at} is not after epoch {last}, which is recorded: give the epochs of training "
                        "done, in fractions."
                    )
                self._between += measured(splits, step, self.seconds, float(at))

    def continues(self) -> None:
        """Say that training goes on from what is recorded, whatever the model was when the recorder was made."""
        self._standing.continues()

    def ends_at(self, epoch: int, why: str) -> None:
        """Say that training ends earlier than planned, before its last epoch is recorded.

        Args:
            epoch: That is the last.
            why: A sentence, which is kept with the run.
        """
        self._tables.planned = epoch
        self.writer.describe(info={"ended_at": epoch})
        self.writer.warn(why)

    def finish(self) -> None:
        """Complete the run."""
        with self._guarded() as going:
            if going:
                self.writer.finish()

    def fail(self, reason: str) -> None:
        """End the run as failed; everything recorded so far stays."""
        with self._guarded() as going:
            if going:
                self.writer.fail(reason)

    def _close(self) -> None:
        with self._guarded() as going:
            if going:
                self.writer.close()

    @property
    def seconds(self) -> float:
        """Time since the run's start, by the recorder's clock, sessions before a resume included."""
        return self._elapsed + self._clock() - self._started

    @seconds.setter
    def seconds(self, value: float) -> None:
        self._elapsed, self._started = value, self._clock()

    def __enter__(self) -> Self:
        self._use.in_block = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guarded() as going:
            self._use.told()
            if going:
                self.writer.__exit__(kind, error, trace)

    def _write(self, epoch: int, rows: list[Row], look: Look, predictions: Predictions) -> None:
        due = self._predictions.of_epoch(epoch, predictions)
        tables = {**look.tables, "predictions": due.table, "drop_predictions": due.gone}
        self.writer.write_epoch(epoch, metrics=columns_of(rows), **tables)
        self._predictions.written(due)
        for said in dict.fromkeys(not_finite(rows)):
            self.writer.warn(said)
        if self._planned is not None and epoch > self._planned:
            self.writer.describe(info={"longer_than_planned": self._planned})
            self.writer.warn(f"Training went on after the {self._planned} epochs that were planned.")
            self._planned = None  # said once

    def _tell(self, text: str) -> None:
        """What to know before trusting the run: it stands there, too."""
        self.writer.warn(text)
        _loops.warn(text)

    @contextmanager
    def _guarded(self) -> Iterator[bool]:
        """Around all that is recorded after the start: False once recording has ended by trouble that was told."""
        with self._use.turn:
            if self.lost is not None:
                yield False
                return
            try:
                if ended := self._use.ended:
                    raise StoreError(f"Run {self.run_id} was closed, as {ended}: make the recorder again, resume=True.")
                yield True
            except Exception as error:
                if self._on_error == "raise":
                    raise
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.lost = error
        why = str(error) if isinstance(error, NcoreError) else f"{type(error).__name__}: {error}"
        with suppress(Exception):  # the store may not let it be said there
            self.writer.close(f"recording ended: {why}")
        _loops.warn(
            f"Recording of run {self.run_id} ended, and training goes on; what comes after epoch "
            f"{max(self.writer.committed, 0)} is lost: {why}"
        )


def _planned(store: Store, run_id: str) -> int | None:
    """The epochs that a run was begun with; None if there is none."""
    try:
        return store.run(run_id).manifest.planned_epochs
    except StoreError:
        return None
