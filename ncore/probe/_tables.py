"""What a run keeps of its unit after an epoch, from one look at the probe: beta_eff, trajectories, the line graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor, nn

from ncore.errors import NcoreError, UnsupportedError
from ncore.network.backprop import BackPropagation, Pass
from ncore.network.chain import DenseChain, dense_chain
from ncore.network.degrees import CapacitanceSums, check_strengths, propagation
from ncore.network.line_graph import LayerFactors, factors_of
from ncore.network.losses import Loss
from ncore.network.strengths import DENSE, Strength
from ncore.probe._hessian import HessianRecorder
from ncore.probe._observing import Inputs, Observed, undisturbed
from ncore.probe.settings import RecordingSettings

__all__ = ["SUITABILITY_SAMPLES", "EpochTables", "Look", "sample_neurons"]

SUITABILITY_SAMPLES = 512
"""Of the probe, what LogME is read on before training; more would cost seconds."""


@dataclass(frozen=True)
class Look:
    """What one look at the probe gave.

    Attributes:
        rows: Of the table ``capacitance``.
        trajectories: Columns of the table, None where they are not due.
        line_graph: Factors, None where they are not due.
        line_graph_scale: One over the beta_eff of an untrained classifier, where that was taken.
    """

    rows: list[dict[str, Any]]
    trajectories: dict[str, np.ndarray] | None
    line_graph: Sequence[LayerFactors] | None
    line_graph_scale: float | None

    @property
    def tables(self) -> dict[str, Any]:
        """As :meth:`ncore.store.RunWriter.write_epoch` takes them."""
        return {
            "capacitance": {name: [row[name] for row in self.rows] for name in self.rows[0]},
            "trajectories": self.trajectories,
            "line_graph": self.line_graph,
            "line_graph_scale": self.line_graph_scale,
        }


class EpochTables:
    """Looks at a unit on a probe that stays the same.

    Args:
        model: The whole model, None if the inputs are the unit's own.
        unit: The dense head inside it.
        inputs: Of the probe.
        targets: The same.
        loss: The training loss.
        settings: What is kept.
        planned: The last epoch, whose line graph is kept.

    Raises:
        InputError: The probe does not fit the unit.
        UnsupportedError: The unit or the loss is not covered.
    """

    def __init__(
        self,
        model: nn.Module | None,
        unit: nn.Sequential,
        inputs: Inputs,
        targets: Tensor,
        loss: Loss,
        settings: RecordingSettings,
        planned: int | None,
    ) -> None:
        self.observed = Observed(model, unit, inputs)
        self.settings, self._targets, self.planned = settings, targets, planned
        self.chain = dense_chain(unit)
        self._unit = unit
        self._hessian = HessianRecorder(model, unit, loss, settings.strengths, (inputs, targets))
        self._strengths, self._left_out = _dense_strengths(self.chain, loss, settings.strengths, self._hessian)
        # Of these batches only the targets are read, for the mean of them.
        self._run: BackPropagation = propagation(unit, [(targets, targets)], loss, self._strengths)
        self._neurons = sample_neurons(self.chain.widths, settings.neurons)
        self._columns = _trajectory_columns(self.chain.widths, self._neurons)

    @property
    def of_classes(self) -> bool:
        """Whether the targets are classes, so that there is an accuracy."""
        return self._targets.ndim == 1 and not self._targets.is_floating_point()

    @property
    def recorded(self) -> dict[str, Any]:
        """What is kept of what, as the manifest says it."""
        return {
            "neurons": [list(map(int, n)) for n in self._neurons],
            "of": list(self.chain.widths),
            "trajectories_every": self.settings.trajectories_every,
            "line_graph_every": self.settings.line_graph_every,
            "probe_samples": len(self._targets),
            "strengths": [*self._strengths, *self._hessian.strengths],
            **({"hessian_layers": self._hessian.layers} if self._hessian.strengths else {}),
            "left_out": self._left_out,
        }

    def look(self, epoch: int, features: Tensor | None = None) -> Look:
        """Everything that is due after an epoch.

        Args:
            epoch: Its number.
            features: What the unit takes in on the probe, if it is known; by default the model is run.
        """
        features = self.observed.features() if features is None else features
        chunk = self._run(features, self._targets)
        sums = CapacitanceSums(self.chain.widths, self._strengths, self.settings.spread)
        sums.add(chunk)
        rows = [row for c in sums.results().values() for row in c.rows()]
        if self._hessian.strengths:
            with undisturbed(self.observed.model or self._unit):
                rows += self._hessian.rows(self.observed.inputs, features, self._targets)
        graph = _every(self.settings.line_graph_every, epoch, also=epoch == self.planned)
        return Look(
            rows,
            self._trajectories(chunk) if _every(self.settings.trajectories_every, epoch) else None,
            factors_of([chunk], self._neurons) if graph else None,
            sums.scale() if graph and Strength.RELATIVE in self._strengths else None,
        )

    def suitability(self, features: Tensor) -> dict[str, dict[str, float]]:
        """LogME of what the unit is given before training: how well the candidate suits the task as it comes.

        Nothing where the targets are no classes, or are all of one. Read on at most ``SUITABILITY_SAMPLES`` of the
        probe, for whose features the pass of beta_eff has paid already.
        """
        from ncore.scores.transfer import logme

        if not self.of_classes:
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


def _every(n: int, epoch: int, also: bool = False) -> bool:
    return n > 0 and (epoch % n == 0 or also)


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
