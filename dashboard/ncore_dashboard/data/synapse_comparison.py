"""What differs between the synapses of two candidates, in numbers and in words. Nothing here needs Streamlit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ncore.errors import NcoreError
from ncore_dashboard.data import edge_dynamics, synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.data.synapses import Recorded
from ncore_dashboard.text.phrases import called

__all__ = [
    "Moving",
    "Tied",
    "dynamics_in_words",
    "graph_in_words",
    "moving",
    "nearest",
    "recorded_of",
    "tied",
    "tied_in_words",
]

_LIKE = 0.15  # a ratio that is nearer to 1 than that is said to be the same


@dataclass(frozen=True)
class Moving:
    """The synapses of a run at an epoch.

    Attributes:
        name: Of the candidate.
        first, epoch: The first recorded epoch, and the one that is looked at.
        sizes: Root mean square weight of each layer.
        before, now: Median |dw/dt| of all synapses at the two epochs.
        still: Share of the synapses whose rate is exactly 0.
        half: The smallest share of synapses that carries half of the interaction strength, NaN where unknown.
        graph: The epoch of the line graph that ``half`` is of, None where there is none.
    """

    name: str
    first: int
    epoch: int
    sizes: tuple[float, ...]
    before: float
    now: float
    still: float
    half: float
    graph: int | None

    @property
    def fell(self) -> float:
        """How many times slower the synapses have become; NaN where that can't be said."""
        return self.before / self.now if self.now > 0 and self.before > 0 else math.nan


@dataclass(frozen=True)
class Tied:
    """The synapse of a layer with the largest interaction strength, at an epoch with a line graph.

    Attributes:
        name: Of the candidate.
        epoch: Of the line graph.
        source, target: Its neurons, by their number in the whole unit.
        share: Of the interaction strength of the layer; NaN where there is none.
    """

    name: str
    epoch: int
    source: int
    target: int
    share: float


def recorded_of(books: Library, keys: Iterable[str]) -> Recorded | None:
    """What the first of these runs with weights and rates has of its synapses; None if none has any."""
    for key in keys:
        try:
            found = synapses.recorded(books, key)
        except NcoreError:  # the page says elsewhere what can't be read
            continue
        if found.trajectories:
            return found
    return None


def nearest(epochs: Iterable[int], epoch: int) -> int:
    """The one nearest to ``epoch``, the earlier of two."""
    return min(epochs, key=lambda e: (abs(e - epoch), e))


def moving(books: Library, of: Recorded, name: str, epoch: int) -> Moving:
    """The synapses of a run at a recorded epoch; errors as in reading them."""

    def compute() -> Moving:
        layers = [synapses.values(books, of, epoch, layer) for layer in of.layers]
        rates = np.abs(np.concatenate([layer.rate.ravel() for layer in layers]))
        start = np.concatenate([synapses.values(books, of, of.trajectories[0], n).rate.ravel() for n in of.layers])
        graph = of.nearest_line_graph(epoch)
        half = math.nan
        if graph is not None:
            into, out = synapses.degrees(books, of, graph)
            half = edge_dynamics.carrying(into + out, (0.5,))[0]
        return Moving(
            name,
            of.trajectories[0],
            epoch,
            tuple(float(np.sqrt(np.nanmean(np.square(layer.weight, dtype=np.float64)))) for layer in layers),
            float(np.nanmedian(np.abs(start))),
            float(np.nanmedian(rates)),
            edge_dynamics.at_rest(rates),
            half,
            graph,
        )

    return books.once(("moving", name, epoch), of.key, compute)


def graph_in_words(first: Moving, second: Moving) -> str:
    """How large the weights are, layer by layer, and where they differ most. Plain text."""
    if len(first.sizes) != len(second.sizes):
        return (
            f"Their units can’t be compared layer by layer: that of {called(first.name)} has {len(first.sizes)} "
            f"layers, that of {called(second.name)} {len(second.sizes)}."
        )
    ratios = [one / two if two > 0 else math.nan for one, two in zip(first.sizes, second.sizes, strict=True)]
    apart = [abs(math.log(ratio)) if ratio > 0 else -1.0 for ratio in ratios]  # NaN compares as False
    layer = int(np.argmax(apart))
    if apart[layer] < math.log(1 + _LIKE):
        return "Weights are about as large in one as in the other, in every layer."
    large, small = (first, second) if ratios[layer] > 1 else (second, first)
    return (
        f"Weights differ most in layer {layer + 1}: those of {called(large.name)} are "
        f"{large.sizes[layer] / small.sizes[layer]:.2g} times as large as those of {called(small.name)} (root mean "
        f"square {large.sizes[layer]:.2g} and {small.sizes[layer]:.2g})."
    )


def tied(books: Library, of: Recorded, name: str, epoch: int, layer: int) -> Tied | None:
    """The most strongly tied synapse at the nearest line graph; None where there is no such graph or layer."""
    graph = of.nearest_line_graph(epoch)
    if graph is None or layer not in of.layers:
        return None
    strengths = synapses.interactions(books, of, graph, layer)
    source, target = edge_dynamics.strongest_of(of, layer, strengths, 1)[0]
    total = float(np.nansum(strengths, dtype=np.float64))
    return Tied(name, graph, source, target, float(np.nanmax(strengths)) / total if total > 0 else math.nan)


def tied_in_words(layer: int, first: Tied | None, second: Tied | None) -> str:
    """Whose interaction hangs more on a single synapse of a layer. Plain text, empty where one has no line graph."""
    if first is None or second is None:
        return ""
    silent = [side for side in (first, second) if not math.isfinite(side.share)]
    if silent:
        return f"No interaction passes through layer {layer} of {called(silent[0].name)}: its synapses drive nothing."
    shares = [
        f"{side.source} → {side.target} for {called(side.name)} ({_percent(side.share)})" for side in (first, second)
    ]
    text = f"Of layer {layer}, the synapse with the most of the interaction strength is {shares[0]} and {shares[1]}"
    if abs(first.share / second.share - 1) < _LIKE:
        return f"{text}: about alike."
    more = first if first.share > second.share else second
    return f"{text}: {called(more.name)} depends more on a single one."


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%"


def dynamics_in_words(first: Moving, second: Moving) -> list[str]:
    """Which of the two has come closer to rest, and how unevenly; sentences of plain text."""
    said = [_rest(first, second)]
    if max(first.still, second.still) > 0.005:
        said.append(
            f"{100 * first.still:.0f}% of the synapses of {called(first.name)} stand still, and "
            f"{100 * second.still:.0f}% of those of {called(second.name)}: nothing on the probe passes through them, "
            "or their errors have vanished."
        )
    if math.isfinite(first.half) and math.isfinite(second.half):
        text = (
            f"Half of the interaction strength is carried by {100 * first.half:.2g}% of the synapses of "
            f"{called(first.name)} and by {100 * second.half:.2g}% of those of {called(second.name)}"
        )
        if min(first.half, second.half) > 0 and abs(first.half / second.half - 1) >= _LIKE:
            few = first if first.half < second.half else second
            text += f": in {called(few.name)} fewer synapses do the work"
        said.append(f"{text}.")
    return said


def _rest(first: Moving, second: Moving) -> str:
    if not (math.isfinite(first.fell) and math.isfinite(second.fell)):
        resting = [side for side in (first, second) if not side.now > 0]
        if resting:
            return f"At least half of the synapses of {called(resting[0].name)} are at rest: their median speed is 0."
        return "How speeds have fallen can’t be compared: one of the two began at rest."
    text = (
        f"The median speed {_change(first)} for {called(first.name)} (epochs {first.first} to {first.epoch}) and "
        f"{_change(second)} for {called(second.name)} (epochs {second.first} to {second.epoch})"
    )
    if abs(first.fell / second.fell - 1) < _LIKE:
        return f"{text}: about alike."
    closer = first if first.fell > second.fell else second
    return f"{text}: measured by where it began, {called(closer.name)} has come closer to rest."


def _change(side: Moving) -> str:
    return f"fell {side.fell:.2g}-fold" if side.fell >= 1 else f"rose {1 / side.fell:.2g}-fold"
