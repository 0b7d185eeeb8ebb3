"""What pages read of single synapses: weights, rates and interaction strengths, layer by layer, as matrices.

A matrix of a layer has a row for each recorded target and a column for each recorded source, as ``Linear.weight`` has.
What is read is kept by epoch, so a run that grows is never read again from its start. Nothing here needs Streamlit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from ncore.errors import NcoreError, StoreError
from ncore.network import LayerFactors, LineGraph
from ncore.network.strengths import Strength
from ncore_dashboard.data.library import Library

__all__ = [
    "HOW_TO_RECORD",
    "Recorded",
    "Values",
    "courses",
    "degrees",
    "gathered",
    "interactions",
    "line_graph",
    "read_ahead",
    "recorded",
    "spread",
    "values",
]

T = TypeVar("T")
HOW_TO_RECORD = (
    "Record it with `recording: {trajectories_every: 1, line_graph_every: 5}`, and with `neurons: null` to keep every "
    "neuron instead of a sample of each layer."
)
_QUICK = 50_000  # synapses that are read at once
_AHEAD = 0.5  # seconds that the page and the browser have for themselves before the next epochs are read
_waiting: WeakKeyDictionary[Library, threading.Timer] = WeakKeyDictionary()
_log = logging.getLogger("ncore.dashboard")


@dataclass(frozen=True)
class Recorded:
    """Which synapses of a run were recorded, and when.

    Attributes:
        key: Of the run.
        neurons: For each level, the inputs first, the numbers of the recorded neurons.
        widths: Of all levels, recorded or not.
        trajectories, line_graphs: Epochs at which weights and rates, and the line graph, are there.
        all_epochs: Every finished epoch.
    """

    key: str
    neurons: tuple[np.ndarray, ...]
    widths: tuple[int, ...]
    trajectories: tuple[int, ...]
    line_graphs: tuple[int, ...]
    all_epochs: tuple[int, ...]

    @property
    def layers(self) -> range:
        """Numbers of the layers of synapses, from 1."""
        return range(1, len(self.neurons))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(targets, sources) recorded of each layer."""
        return [(len(b), len(a)) for a, b in pairwise(self.neurons)]

    @property
    def n_synapses(self) -> int:
        """Recorded ones."""
        return sum(rows * columns for rows, columns in self.shapes)

    @property
    def n_all(self) -> int:
        """Synapses of the whole unit."""
        return sum(a * b for a, b in pairwise(self.widths))

    @property
    def complete(self) -> bool:
        """Whether every synapse was recorded."""
        return self.n_synapses == self.n_all

    @property
    def left_out(self) -> str:
        """What was recorded of what there is, in a sentence."""
        if self.complete:
            return f"All {self.n_all:,} synapses of the unit were recorded."
        parts = ", ".join(f"{len(n):,} of {w:,}" for n, w in zip(self.neurons, self.widths, strict=True))
        return (
            f"**A sample:** {self.n_synapses:,} of {self.n_all:,} synapses were recorded, those between {parts} "
            "neurons (inputs first). The others are left out here; beta_eff is of all of them."
        )

    def nearest_line_graph(self, epoch: int) -> int | None:
        """The epoch with a line graph nearest to ``epoch``, the earlier one of two; None if there is none."""
        return min(self.line_graphs, key=lambda e: (abs(e - epoch), e), default=None)

    def offset(self, layer: int) -> int:
        """The number, among recorded synapses, of the first one of a layer."""
        return sum(rows * columns for rows, columns in self.shapes[: layer - 1])

    def layer_of(self, numbers: np.ndarray, layer: int) -> np.ndarray:
        """The part of a layer, as (targets, sources), of what there is of every recorded synapse in their order."""
        rows, columns = self.shapes[layer - 1]
        start = self.offset(layer)
        return numbers[start : start + rows * columns].reshape(rows, columns)

    def local(self, layer: int, source: int, target: int) -> int:
        """The number among recorded synapses of source -> target, which are numbers of the whole unit.

        Raises:
            StoreError: It was not recorded.
        """
        if layer in self.layers:
            before, after = self.neurons[layer - 1 : layer + 1]
            column, row = np.flatnonzero(before == source), np.flatnonzero(after == target)
            if column.size and row.size:
                return self.offset(layer) + int(row[0]) * len(before) + int(column[0])
        raise StoreError(f"The synapse {source} → {target} of layer {layer} was not recorded.")


class Values(NamedTuple):
    """Weights and rates dw/dt of a layer, (targets, sources) float32; NaN where they were not recorded."""

    weight: np.ndarray
    rate: np.ndarray


def recorded(books: Library, key: str) -> Recorded:
    """What a run has of its synapses; all is empty if it has none. Raises StoreError if it can't be read."""
    run = books.run(key)
    manifest = run.manifest
    trajectories, graphs = (tuple(sorted(manifest.tables.get(name, ()))) for name in ("trajectories", "line_graph"))
    neurons = _numbers(manifest.recorded.get("neurons"))
    if not neurons and trajectories:
        neurons = books.once("neurons", key, lambda: _seen_neurons(run.trajectory(epoch=trajectories[0])))
    widths = manifest.recorded.get("of")
    if not (isinstance(widths, list) and len(widths) == len(neurons) and all(isinstance(w, int) for w in widths)):
        widths = [len(level) for level in neurons]
    if len(neurons) < 2:
        trajectories, graphs = (), ()
    return Recorded(key, neurons, tuple(widths), trajectories, graphs, tuple(run.epochs))


def values(books: Library, of: Recorded, epoch: int, layer: int) -> Values:
    """Weights and rates of a layer at an epoch that has them. Raises StoreError if they can't be read."""

    def read() -> list[Values]:  # all layers at once: opening a long run's file takes as long as reading an epoch
        run = books.run(of.key)
        table = run.trajectory(epoch=epoch, columns=["weight", "rate"])
        if len(table) == of.n_synapses:  # the whole grid, in order of synapse
            columns = [_single(table[name]) for name in ("weight", "rate")]
            return [Values(*(of.layer_of(column, number) for column in columns)) for number in of.layers]
        table = run.trajectory(epoch=epoch)
        return [_placed(of, number, table[table["layer"] == number]) for number in of.layers]

    return books.once(("values", epoch), of.key, read, large=True)[layer - 1]


def read_ahead(
    books: Library,
    of: Recorded,
    epoch: int,
    others: Sequence[str] = (),
    show: Callable[[Recorded, int], object] | None = None,
) -> threading.Timer | None:
    """Read what is likely to be looked at next, in a while: the epochs before and after, and this one of other runs.

    Args:
        books: Where runs are.
        of: What is looked at.
        epoch: That is looked at.
        others: Keys of runs that are one click away.
        show: Computes what a page shows of a run at an epoch; it is called in another thread.

    Returns:
        The timer, which has been started; None where reading is so quick, or so near done, that none is needed. A later
        call takes its place, unless it has begun.
    """
    place = of.trajectories.index(epoch) if epoch in of.trajectories else None
    if place is None or of.n_synapses < _QUICK:
        return None
    near = [(of.key, at) for at in of.trajectories[max(place - 1, 0) : place + 2]]
    wanted = [*near, *((key, epoch) for key in others)]
    if show is None and all(_has(books, key, at) for key, at in wanted):
        return None

    def read() -> None:
        for key, at in wanted:
            try:
                run = of if key == of.key else recorded(books, key)
                if at in run.trajectories:
                    values(books, run, at, run.layers[0])
                    if show is not None:
                        show(run, at)
            except NcoreError:
                continue  # the page says so when it is looked at
            except Exception:  # nobody has asked for it yet: whoever does is told
                _log.debug("Reading ahead failed", exc_info=True)

    timer = threading.Timer(_AHEAD, read)
    timer.daemon = True
    if (before := _waiting.get(books)) is not None:
        before.cancel()
    _waiting[books] = timer
    timer.start()
    return timer


def _has(books: Library, key: str, epoch: int) -> bool:
    """Whether weights and rates are there; also of a run that has been deleted, of which there is nothing to read."""
    try:
        return books.has(("values", epoch), key)
    except NcoreError:
        return True


def line_graph(books: Library, of: Recorded, epoch: int, strength: str = Strength.ABSOLUTE) -> LineGraph:
    """G_B of the recorded neurons at an epoch that has one; errors as ``Run.line_graph``."""
    if strength == Strength.RELATIVE:
        return books.run(of.key).line_graph(epoch, strength)

    def read() -> list[tuple[np.ndarray, ...]]:
        layers, _ = books.run(of.key).line_graph_factors(epoch)
        return [(layer.inputs, layer.slopes, layer.errors) for layer in layers]

    factors = books.once(("factors", epoch), of.key, read, large=True)
    graph = LineGraph.from_factors(strength, [LayerFactors(*layer) for layer in factors])
    if graph.widths != tuple(map(len, of.neurons)):
        raise StoreError(f"The line graph of epoch {epoch} has widths {graph.widths}, but other neurons were recorded.")
    return graph


def degrees(books: Library, of: Recorded, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """In- and out-degree of every recorded synapse by absolute strengths, each (synapses,) float32."""

    def compute() -> tuple[np.ndarray, np.ndarray]:
        graph = line_graph(books, of, epoch)
        return graph.in_degree.astype(np.float32), graph.out_degree.astype(np.float32)

    return books.once(("degrees", epoch), of.key, compute, large=True)


def interactions(books: Library, of: Recorded, epoch: int, layer: int) -> np.ndarray:
    """Interaction strength, in-degree plus out-degree, of a layer's synapses as (targets, sources)."""
    into, out = (of.layer_of(degree, layer) for degree in degrees(books, of, epoch))
    return into + out


def courses(books: Library, of: Recorded, layer: int, numbers: Sequence[int], epochs: Sequence[int]) -> pd.DataFrame:
    """Weights and rates of some synapses, by their number in the whole unit, at some epochs."""
    what = ("courses", layer, tuple(numbers), tuple(epochs))
    columns = ["epoch", "synapse", "source", "target", "weight", "rate"]
    return books.once(
        what, of.key, lambda: books.run(of.key).trajectory(list(epochs), layer, list(numbers), columns=columns)
    )


def gathered(
    books: Library, of: Recorded, what: Hashable, items: Sequence[T], one: Callable[[T], Any], until: float
) -> tuple[dict[T, Any], bool]:
    """``one(item)`` of as many items as there is time for, first and last and then ever finer between, and if all.

    Args:
        books: The stores.
        of: What was recorded of the run.
        what: Names the results, with the item.
        items: Epochs, say.
        one: From an item to its result.
        until: On the monotonic clock; what was made before is there at once.
    """
    found: dict[T, Any] = {}
    for item in spread(items):
        name = (what, item)
        if time.monotonic() < until or books.has(name, of.key):
            found[item] = books.once(name, of.key, lambda: one(item))  # noqa: B023 - called at once
    return {item: found[item] for item in items if item in found}, len(found) == len(set(items))


def spread(items: Sequence[T]) -> list[T]:
    """The items in an order in which any beginning covers them all evenly.

    Example:
        >>> spread([0, 1, 2, 3, 4])
        [0, 4, 2, 1, 3]
    """
    order: list[int] = [0, len(items) - 1] if len(items) > 1 else list(range(len(items)))
    gaps = [(0, len(items) - 1)]
    while gaps:
        narrower = []
        for low, high in gaps:
            if high - low > 1:
                middle = (low + high) // 2
                order.append(middle)
                narrower += [(low, middle), (middle, high)]
        gaps = narrower
    return [items[index] for index in order]


def _numbers(given: Any) -> tuple[np.ndarray, ...]:
    """Sorted neuron numbers by level, as a manifest has them; empty if that is not what it has."""
    if not isinstance(given, list) or not all(isinstance(level, list) and level for level in given):
        return ()
    if not all(isinstance(number, int) for level in given for number in level):
        return ()
    return tuple(np.unique(np.array(level, np.int64)) for level in given)


def _seen_neurons(table: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Recorded neurons by level, of a run that does not say which: those that synapses have."""
    last = int(table["layer"].max()) if len(table) else 0
    levels = []
    for level in range(last + 1):
        ends = [table.loc[table["layer"] == level, "target"], table.loc[table["layer"] == level + 1, "source"]]
        levels.append(np.unique(np.concatenate(ends)).astype(np.int64))
    return tuple(levels)


def _placed(of: Recorded, layer: int, table: pd.DataFrame) -> Values:
    """Rows of a layer, some of which may be missing, as matrices."""
    rows, row_known = _find(of.neurons[layer], table["target"])
    columns, column_known = _find(of.neurons[layer - 1], table["source"])
    known = row_known & column_known
    found = Values(*(np.full(of.shapes[layer - 1], np.nan, np.float32) for _ in range(2)))
    for name, matrix in zip(("weight", "rate"), found, strict=True):
        matrix[rows[known], columns[known]] = _single(table[name])[known]
    return found


def _find(numbers: np.ndarray, wanted: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    places = np.searchsorted(numbers, wanted.to_numpy()).clip(max=len(numbers) - 1)
    return places, numbers[places] == wanted.to_numpy()


def _single(column: pd.Series) -> np.ndarray:
    return column.to_numpy(np.float32)
