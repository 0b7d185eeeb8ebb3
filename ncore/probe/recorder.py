"""Recording a run from any training loop: metrics, beta_eff, trajectories and line graphs, once an epoch."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ncore.errors import InputError, NcoreError, UnsupportedError
from ncore.network.backprop import BackPropagation, Pass
from ncore.network.chain import DenseChain, dense_chain
from ncore.network.degrees import CapacitanceSums, check_strengths, propagation
from ncore.network.derivatives import evaluation
from ncore.network.line_graph import factors_of
from ncore.network.losses import Loss
from ncore.network.strengths import DENSE, Strength
from ncore.probe._course import Moment
from ncore.probe._hessian import HessianRecorder
from ncore.probe._memory import by_parts
from ncore.probe._predictions import KeptPredictions
from ncore.probe.settings import RecordingSettings, identity_of, read_settings
from ncore.store import create_store

if TYPE_CHECKING:
    from ncore.store import Store

__all__ = ["SUITABILITY_SAMPLES", "Recorder", "sample_neurons"]

SUITABILITY_SAMPLES = 512
"""Of the probe, what LogME is read on before training; more would cost seconds."""
_CHUNK = 256  # probe samples that go through the whole model at once


class Recorder:
    """Writes one run to a store, while any loop trains the model.

    Epoch 0, the state before training, is recorded at once; then call :meth:`record` after each epoch. As a
    context manager it finishes the run at the end of the block; an exception makes it failed, with its reason.

    Args:
        store: Folder, URL or an open store; made if it does not exist.
        model: The whole model, called on the probe inputs; None if the probe holds the unit's own inputs.
        unit: The dense head inside ``model`` whose synapses are recorded: a ``torch.nn.Sequential`` of ``Linear``
            and elementwise activations, or an :class:`ncore.NCPUnit`.
        probe: (inputs, targets), fixed over the run; 512 samples or more are advised.
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
        resume: Go on with an unfinished run of the same identity.
        take_over: Of a run in a bucket, where there are no locks, whose writer is known to be gone.
        clock: What seconds are read from; with ``time.process_time`` they are of this process's work, whatever else
            the machine does meanwhile.

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
        probe: tuple[Tensor, Tensor],
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
        resume: bool = False,
        take_over: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = read_settings(RecordingSettings, recording or {}, "recording")
        self._model, self._unit = model, unit
        self._loss = loss
        samples = self.settings.probe_samples
        self._inputs, self._targets = probe[0][:samples], probe[1][:samples]
        self._clock, self._started = clock, clock()
        self._elapsed = 0.0
        self._step = 0
        self._planned = epochs

        chain = dense_chain(unit)
        wanted = self.settings.strengths
        self._hessian = HessianRecorder(model, unit, loss, wanted, (self._inputs, self._targets))
        self._strengths, left_out = _dense_strengths(chain, loss, wanted, self._hessian)
        self._run: BackPropagation = propagation(unit, [(self._inputs, self._targets)], loss, self._strengths)
        self._neurons = sample_neurons(chain.widths, self.settings.neurons)
        self._columns = _trajectory_columns(chain.widths, self._neurons)
        opened = store if not isinstance(store, (str, os.PathLike)) else create_store(store)
        self.writer = opened.new_run(
            candidate=candidate,
            dataset=dataset,
            seed=seed,
            mode=mode,
            planned_epochs=epochs,
            config={**(config or {}), "recording": identity_of(self.settings)},
            unit={"widths": list(chain.widths), "activations": list(chain.activation_names)},
            recorded={
                "neurons": [list(map(int, n)) for n in self._neurons],
                "of": list(chain.widths),
                "trajectories_every": self.settings.trajectories_every,
                "line_graph_every": self.settings.line_graph_every,
                "probe_samples": len(self._inputs),
                "strengths": [*self._strengths, *self._hessian.strengths],
                **({"hessian_layers": self._hessian.layers} if self._hessian.strengths else {}),
                "left_out": left_out,
            },
            notes=notes,
            info=info,
            warnings=warnings,
            asynchronous=True,
            resume=resume,
            take_over=take_over,
        )
        self.run_id: str = self.writer.run_id
        self._predictions = KeptPredictions(self.settings.prediction_rows, epochs)
        try:
            if self.writer.last_epoch < 0:
                features = self._features()
                self._write(0, self._suitability(features), features)
            else:
                run = opened.run(self.run_id)
                self._elapsed = run.manifest.summary.get("seconds", 0.0)
                self._predictions = KeptPredictions.of(run, self.settings.prediction_rows, epochs)
        except BaseException:
            self.writer.close()
            raise

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
        predictions: Mapping[str, Mapping[str, Any]] | None = None,
        **splits: Mapping[str, float],
    ) -> None:
        """Record an epoch that has just ended.

        Args:
            epoch: Its number, from 1; by default the one after the last.
            step: Optimizer steps so far.
            features: What the unit takes in on the probe, (N, features), where the loop has computed it already in
                evaluation mode; by default the recorder runs the model on the probe.
            course: What was measured of training in between, in order; each ``at`` in (epoch - 1, epoch].
            predictions: What was predicted of single examples, by split: the columns ``label`` and ``predicted``, and
                where they are known ``probability``, ``label_probability`` and ``example``, the row within the split.
            splits: Metrics by split, such as ``validation={"accuracy": 0.9, "loss": 0.3}`` and, where it was
                measured, ``test={"accuracy": 0.88}``; accuracies are fractions in [0, 1].

        Raises:
            InputError: A metric is not a number, or an accuracy is outside [0, 1].
            StoreError: The epoch is recorded already, or cannot be written.
        """
        epoch = self.last_epoch + 1 if epoch is None else epoch
        self._step = self._step if step is None else step
        self._write(epoch, splits, features, course, predictions or {})

    def finish(self) -> None:
        """Complete the run."""
        self.writer.finish()

    def fail(self, reason: str) -> None:
        """End the run as failed; everything recorded so far stays."""
        self.writer.fail(reason)

    @property
    def seconds(self) -> float:
        """Time since the run's start, by the recorder's clock, sessions before a resume included."""
        return self._elapsed + self._clock() - self._started

    @seconds.setter
    def seconds(self, value: float) -> None:
        self._elapsed, self._started = value, self._clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.__exit__(kind, error, trace)

    def _write(
        self,
        epoch: int,
        splits: Mapping[str, Mapping[str, float]],
        features: Tensor | None = None,
        course: Sequence[Moment] = (),
        predictions: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        due = self._due(epoch)
        features = self._features() if features is None else features
        chunk = self._run(features, self._targets)
        sums = CapacitanceSums(self._run.chain.widths, self._strengths, self.settings.spread)
        sums.add(chunk)
        rows = [row for c in sums.results().values() for row in c.rows()]
        rows += self._hessian.rows(self._inputs, features, self._targets)
        kept, dropped = self._predictions.take(epoch, predictions or {})
        self.writer.write_epoch(
            epoch,
            metrics=self._metric_columns(splits, course),
            capacitance={name: [row[name] for row in rows] for name in rows[0]},
            trajectories=self._trajectories(chunk) if due["trajectories"] else None,
            line_graph=factors_of([chunk], self._neurons) if due["line_graph"] else None,
            line_graph_scale=sums.scale() if due["line_graph"] and Strength.RELATIVE in self._strengths else None,
            predictions=kept,
            drop_predictions=dropped,
        )

    def _due(self, epoch: int) -> dict[str, bool]:
        def every(n: int, also: bool) -> bool:
            return n > 0 and (epoch % n == 0 or also)

        return {
            "trajectories": every(self.settings.trajectories_every, False),
            "line_graph": every(self.settings.line_graph_every, epoch == self._planned),
        }

    def _features(self) -> Tensor:
        """What the unit takes in on the probe: the inputs themselves, or caught on their way through the model."""
        if self._model is None:
            return self._inputs
        device = next(self._unit.parameters()).device
        caught: list[Tensor] = []
        model = self._model

        def part(rows: slice) -> list[Tensor]:
            caught.clear()
            model(self._inputs[rows].to(device))
            return list(caught)

        handle = self._unit.register_forward_pre_hook(lambda _, args: caught.append(args[0].detach()))
        try:
            with evaluation(self._model), torch.no_grad():
                parts, _ = by_parts(part, len(self._inputs), _CHUNK)
        finally:
            handle.remove()
        if calls := [len(features) for features in parts if len(features) != 1]:
            raise UnsupportedError(
                f"The model called its unit {calls[0]} times on a batch of probe inputs, but once is needed: pass the "
                "unit that every forward pass goes through once."
            )
        return torch.cat([features[0] for features in parts])

    def _suitability(self, features: Tensor) -> dict[str, dict[str, float]]:
        """LogME of what the unit is given before training: how well the candidate suits the task as it comes.

        Nothing where the targets are no classes, or are all of one. Read on at most ``SUITABILITY_SAMPLES`` of the
        probe, for whose features the pass of beta_eff has paid already.
        """
        from ncore.scores.transfer import logme

        if self._targets.ndim != 1 or self._targets.is_floating_point():
            return {}
        features, labels = (part[:SUITABILITY_SAMPLES].cpu() for part in (features.detach(), self._targets))
        try:
            score = logme(features.double().flatten(1).numpy(), labels.numpy())
        except NcoreError:
            return {}
        return {"probe": {"logme": score}} if math.isfinite(score) else {}

    def _trajectories(self, chunk: Pass) -> dict[str, np.ndarray]:
        """Weights, and their rates dw/dt = -dC/dw on the probe, of the synapses between recorded neurons."""
        weights, rates = [], []
        errors = (self._run.first_error(chunk), *chunk.errors)
        for layer, (z, error) in enumerate(zip(chunk.inputs, errors, strict=True)):
            sources, targets = self._neurons[layer], self._neurons[layer + 1]
            part = self._run.chain.layers[layer].linear.weight.detach()[targets][:, sources]
            rate = error[:, targets].T @ z[:, sources] / -chunk.weight
            weights.append(part.float().cpu().numpy().reshape(-1))
            rates.append(rate.float().cpu().numpy().reshape(-1))
        return {**self._columns, "weight": np.concatenate(weights), "rate": np.concatenate(rates)}

    def _metric_columns(self, splits: Mapping[str, Mapping[str, float]], course: Sequence[Moment]) -> dict[str, Any]:
        # Those in between come first: the last row of an epoch is of its end.
        rows: list[tuple[int, float | None, str, str, float, float]] = [
            (moment.step, moment.at, "train", name, value, moment.seconds)
            for moment in course
            for name, value in moment.metrics.items()
        ]
        now = self.seconds
        for split, metrics in splits.items():
            if not isinstance(metrics, Mapping):
                raise InputError(
                    f'The metrics of {split!r} are {metrics!r}, but a mapping is needed: {split}={{"accuracy": 0.9}}.'
                )
            for name, value in metrics.items():
                try:
                    number = float(value)
                except (TypeError, ValueError) as error:
                    raise InputError(f"The metric {split} {name} is {value!r}, but a number is needed.") from error
                if name == "accuracy" and not 0 <= number <= 1:
                    raise InputError(
                        f"The {split} accuracy is {number}, but a fraction in [0, 1] is needed: divide per cent by 100."
                    )
                rows.append((self._step, None, split, name, number, now))
        names = ("step", "at", "split", "name", "value", "seconds")
        return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _dense_strengths(
    chain: DenseChain, loss: Loss, wanted: Sequence[str], hessian: HessianRecorder
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which strengths from back-propagation are taken, and why any other is left out.

    Raises:
        UnsupportedError: No strength of any kind is left.
    """
    dense = [strength for strength in wanted if strength in DENSE]
    if not dense and hessian.left_out and not hessian.strengths:
        raise UnsupportedError(next(iter(hessian.left_out.values())))
    try:
        taken, shallow = check_strengths(chain, loss, dense)
    except UnsupportedError as error:
        if not hessian.strengths:
            raise
        taken, shallow = (), dict.fromkeys(dense, str(error))
    return taken, hessian.left_out | shallow


def sample_neurons(widths: tuple[int, ...], most: int | None) -> list[np.ndarray]:
    """For each level, inputs first, the sorted neurons that are recorded: all, or ``most`` drawn with a fixed seed.

    The draw depends on the widths only, so candidates with the same unit are recorded alike.
    """
    chosen = []
    for level, width in enumerate(widths):
        if most is None or width <= most:
            chosen.append(np.arange(width))
        else:
            chosen.append(np.sort(np.random.default_rng([level, width]).choice(width, most, replace=False)))
    return chosen


def _trajectory_columns(widths: tuple[int, ...], neurons: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The columns that stay from epoch to epoch: where each recorded synapse is."""
    start, parts = 0, []
    for layer, (sources, targets) in enumerate(pairwise(neurons), start=1):
        target, source = (grid.reshape(-1) for grid in np.meshgrid(targets, sources, indexing="ij"))
        synapse = start + target.astype(np.int64) * widths[layer - 1] + source
        parts.append(
            (np.full(len(synapse), layer, np.int32), synapse, source.astype(np.int32), target.astype(np.int32))
        )
        start += widths[layer - 1] * widths[layer]
    names = ("layer", "synapse", "source", "target")
    return {name: np.concatenate(columns) for name, columns in zip(names, zip(*parts, strict=True), strict=True)}
