"""Numbers of the dynamics of synapses: densities, speeds, the effective state, how sparse interaction is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ncore.network.dynamics.mean_field import weighted_mean
from ncore_dashboard.data import synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.data.synapses import Recorded

__all__ = [
    "CELLS",
    "MOST_COURSES",
    "MOST_POINTS",
    "QUANTILES",
    "SHARES",
    "Density",
    "at_rest",
    "carrying",
    "courses_of",
    "density",
    "effective_at",
    "filled_cells",
    "limits",
    "most_moved",
    "sparseness_at",
    "speeds_at",
    "strongest_of",
]

MOST_POINTS = 2500
"""Synapses that a phase plot draws one by one at most."""
CELLS = (240, 160)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHARES = (0.5, 0.9, 0.99)
MOST_COURSES = 12
_ROWS_AT_ONCE = 10_000_000


@dataclass(frozen=True)
class Density:
    """How many synapses are in each cell of the plane.

    Attributes:
        counts: (rates, weights) int32.
        weights, rates: Edges of the cells.
        outside: Synapses beyond the limits.
        still: Share of the synapses whose rate is exactly 0.
    """

    counts: np.ndarray
    weights: np.ndarray
    rates: np.ndarray
    outside: int
    still: float = 0.0


def limits(values: np.ndarray, share: float = 1.0) -> tuple[float, float]:
    """Where an axis begins and ends so that it holds the middle ``share`` of the values, with a little room.

    Example:
        >>> limits(np.array([0.0, 1.0, 2.0]))
        (-0.04, 2.04)
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return -1.0, 1.0
    if share >= 1:
        low, high = float(finite.min()), float(finite.max())
    else:
        low, high = (float(x) for x in np.quantile(finite, [(1 - share) / 2, (1 + share) / 2]))
        if low == high:  # most are at rest: what is not would be far outside
            return limits(finite)
    room = 0.02 * (high - low) or 0.05 * abs(high) or 1e-12
    return low - room, high + room


def density(weight: np.ndarray, rate: np.ndarray, share: float = 1.0) -> Density:
    """Count synapses in cells of equal size.

    Args:
        weight, rate: Of all synapses, any shape.
        share: That each axis holds.

    Example:
        >>> found = density(np.array([0.0, 1.0, 1.0]), np.array([0.0, 2.0, 2.0]))
        >>> int(found.counts.max()), int(found.counts.sum()), found.outside
        (2, 3, 0)
    """
    weight, rate = weight.ravel(), rate.ravel()
    known = np.isfinite(weight) & np.isfinite(rate)
    if not known.all():
        weight, rate = weight[known], rate[known]
    edges = [np.linspace(*limits(v, share), n + 1) for v, n in zip((weight, rate), CELLS, strict=True)]
    places, inside = [], np.ones(len(weight), bool)
    for values, edge in zip((weight, rate), edges, strict=True):
        # not np.histogram2d: with cells of equal size the place is a product, ten times quicker for a million
        place = (values - edge[0]) * ((len(edge) - 1) / (edge[-1] - edge[0]))
        inside &= (values >= edge[0]) & (values <= edge[-1])
        places.append(place.clip(0, len(edge) - 2).astype(np.int32))
    flat = places[1] * CELLS[0] + places[0]
    counts = np.bincount(flat if inside.all() else flat[inside], minlength=CELLS[0] * CELLS[1])
    shaped = counts.reshape(CELLS[1], CELLS[0]).astype(np.int32)
    return Density(shaped, edges[0], edges[1], int((~inside).sum()), at_rest(rate))


def filled_cells(found: Density) -> pd.DataFrame:
    """The cells that hold a synapse: their limits, the weight and rate in their middle, and how many they hold."""
    row, column = np.nonzero(found.counts)
    table = pd.DataFrame(
        {
            "weight_from": found.weights[column],
            "weight_to": found.weights[column + 1],
            "rate_from": found.rates[row],
            "rate_to": found.rates[row + 1],
        }
    )
    for name in ("weight", "rate"):
        table[name] = (table[f"{name}_from"] + table[f"{name}_to"]) / 2
    return table.assign(synapses=found.counts[row, column])


def at_rest(rate: np.ndarray) -> float:
    """The share of known rates that are exactly 0; 0 if none is known.

    Example:
        >>> at_rest(np.array([0.0, 1.0, np.nan, -2.0, 0.0]))
        0.5
    """
    known = np.isfinite(rate)
    return float((rate[known] == 0).mean()) if known.any() else 0.0


def speeds_at(books: Library, of: Recorded, epoch: int) -> pd.DataFrame:
    """Quantiles of |dw/dt| at an epoch, a row for each layer, and the share of exact zeros."""
    rates = books.run(of.key).trajectory(epoch=epoch, columns=["rate"])["rate"].to_numpy(np.float32)
    whole = len(rates) == of.n_synapses  # in order of synapse
    rows = []
    for layer in of.layers:
        part = of.layer_of(rates, layer) if whole else synapses.values(books, of, epoch, layer).rate
        part = np.abs(part[np.isfinite(part)])
        found = np.quantile(part, QUANTILES) if part.size else np.full(len(QUANTILES), np.nan)
        zero = float((part == 0).mean()) if part.size else np.nan
        rows.append((epoch, layer, *found.tolist(), zero, len(part)))
    names = [f"q{round(100 * q):02d}" for q in QUANTILES]
    return pd.DataFrame(rows, columns=["epoch", "layer", *names, "zero", "synapses"])


def effective_at(books: Library, of: Recorded, epoch: int) -> pd.DataFrame:
    """x_eff and its rate at an epoch with a line graph and with weights; NaN where nothing drives anything."""
    out = synapses.degrees(books, of, epoch)[1].astype(np.float64)
    states = [synapses.values(books, of, epoch, layer) for layer in of.layers]
    row: dict[str, float] = {"epoch": epoch}
    for name, parts in (("x_eff", [s.weight for s in states]), ("rate", [s.rate for s in states])):
        found = np.concatenate([part.ravel() for part in parts]).astype(np.float64)
        row[name] = float(weighted_mean(out, found))
    return pd.DataFrame([row]).astype({"epoch": int})


def sparseness_at(books: Library, of: Recorded, epoch: int) -> pd.DataFrame:
    """The smallest shares of synapses that carry SHARES of the interaction strength: of all (layer 0), and by layer."""
    into, out = synapses.degrees(books, of, epoch)
    whole = into + out
    rows = []
    for layer in (0, *of.layers):
        part = whole if layer == 0 else of.layer_of(whole, layer).ravel()
        rows += [(epoch, layer, share, value) for share, value in zip(SHARES, carrying(part), strict=True)]
    return pd.DataFrame(rows, columns=["epoch", "layer", "strength", "synapses"])


def carrying(strengths: np.ndarray, shares: Sequence[float] = SHARES) -> list[float]:
    """The smallest share of the synapses that carries each of these shares of their strength; NaN if there is none.

    Example:
        >>> carrying(np.array([8.0, 1.0, 0.5, 0.5]), shares=(0.5, 0.9))
        [0.25, 0.5]
    """
    ordered = np.sort(strengths.astype(np.float64))[::-1]
    sums = ordered.cumsum()
    if not sums.size or not sums[-1] > 0:
        return [np.nan] * len(shares)
    places = np.searchsorted(sums, np.asarray(shares) * sums[-1] * (1 - 1e-12)) + 1
    return (np.minimum(places, len(ordered)) / len(ordered)).tolist()


def most_moved(books: Library, of: Recorded, layer: int, count: int) -> list[tuple[int, int]]:
    """Source and target of the synapses of a layer whose weights changed most from the first to the last epoch."""
    first, last = of.trajectories[0], of.trajectories[-1]

    def compute() -> list[tuple[int, int]]:
        change = synapses.values(books, of, last, layer).weight - synapses.values(books, of, first, layer).weight
        return strongest_of(of, layer, change, count)

    return books.once(("moved", first, last, layer, count), of.key, compute)


def strongest_of(of: Recorded, layer: int, matrix: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Source and target of the largest magnitudes of a layer's matrix, the largest first."""
    sizes = np.nan_to_num(np.abs(matrix.ravel()), nan=-1.0)
    count = min(count, len(sizes))
    top = np.argpartition(sizes, -count)[-count:]
    rows, columns = np.divmod(top[np.argsort(-sizes[top], kind="stable")], matrix.shape[1])
    sources, targets = of.neurons[layer - 1], of.neurons[layer]
    return [(int(sources[column]), int(targets[row])) for row, column in zip(rows, columns, strict=True)]


def courses_of(
    books: Library, of: Recorded, layer: int, chosen: Sequence[tuple[int, int]], seconds: float
) -> tuple[pd.DataFrame, int]:
    """Weights and rates over epochs of synapses, given by source and target, and of how many epochs there was time.

    Returns:
        Columns ``epoch``, ``synapse``, ``source``, ``target``, ``weight`` and ``rate``.
    """
    start = sum(a * b for a, b in zip(of.widths[: layer - 1], of.widths[1:layer], strict=True))
    numbers = [start + target * of.widths[layer - 1] + source for source, target in chosen]
    size = max(1, _ROWS_AT_ONCE // max(of.n_synapses, 1))
    epochs = of.trajectories
    blocks = [epochs[at : at + size] for at in range(0, len(epochs), size)]
    found, _ = synapses.gathered(
        books,
        of,
        ("courses of", layer, tuple(numbers)),
        blocks,
        lambda block: synapses.courses(books, of, layer, numbers, block),
        time.monotonic() + seconds,
    )
    frames = list(found.values())
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["epoch", "weight", "rate"])
    return table, sum(map(len, found))
