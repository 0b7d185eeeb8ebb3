"""The directed line graph of a dense head: synapses as vertices, interactions between them as edges."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ncore.errors import InputError
from ncore.network.capacitance import Capacitance, LayerSums
from ncore.network.strengths import Strength

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_array
    from torch import Tensor, nn

    from ncore.network.degrees import Batches
    from ncore.network.losses import Loss

__all__ = ["LayerFactors", "LineGraph", "factors_of"]

_BLOCK = 1 << 24  # interactions that are worked on at once, and values of a chunk of factors


@dataclass(frozen=True)
class LayerFactors:
    """What P between layer l and layer l+1 is made of: P = mean over samples of z_i sigma'_j delta_k.

    Attributes:
        inputs: z^(l-1), shape (N, width l-1).
        slopes: sigma'(a^l), shape (N, width l).
        errors: delta^(l+1) of a loss that is the mean over the N samples, times N; shape (N, width l+1).
    """

    inputs: np.ndarray
    slopes: np.ndarray
    errors: np.ndarray

    def map(self, function: Any) -> LayerFactors:
        """The same with ``function`` applied to each array."""
        return LayerFactors(function(self.inputs), function(self.slopes), function(self.errors))


class LineGraph:
    """G_B of a dense head: P[(i->j)@l, (j->k)@l+1] is how strongly synapse j->k drives synapse i->j.

    Synapses are numbered layer by layer, within a layer in the row-major order of ``Linear.weight``
    (target-major). P is kept as its factors, exact and compact, and only built where it is asked for.
    A row of P is the driven synapse, so the in-degree is a row sum. Below the last layer gradient flow is
    dw_e/dt = -sum_f P[e, f] w_f with the signed P.

    Attributes:
        strength: "signed", "absolute" or "relative".
        factors: One :class:`LayerFactors` for each pair of layers (l, l+1), l = 1..L-1.
        scale: What P is multiplied by: 1, or for "relative" one over the beta_eff of an untrained classifier.
    """

    def __init__(self, strength: str, factors: Sequence[LayerFactors], scale: float = 1.0) -> None:
        self.strength = strength
        self.factors = tuple(factors)
        self.scale = scale
        _check_factors(self.factors)
        first = self.factors[0]
        self.widths: tuple[int, ...] = (
            first.inputs.shape[1],
            first.slopes.shape[1],
            *(pair.errors.shape[1] for pair in self.factors),
        )

    @classmethod
    def from_factors(cls, strength: str, factors: Sequence[LayerFactors], scale: float = 1.0) -> LineGraph:
        """Rebuild a line graph from signed factors, as a store keeps them; magnitudes are taken where needed."""
        wanted = factors if strength == Strength.SIGNED else [pair.map(np.abs) for pair in factors]
        return cls(strength, wanted, scale)

    @classmethod
    def from_batch(
        cls,
        unit: nn.Module,
        inputs: Tensor | Batches,
        targets: Tensor | None = None,
        *,
        loss: Loss,
        strength: str = Strength.ABSOLUTE,
        chunk_size: int | None = None,
    ) -> LineGraph:
        """The line graph of ``unit`` on a probe; arguments and errors as in :func:`ncore.beta_eff`.

        Example:
            >>> import torch, ncore
            >>> unit = torch.nn.Sequential(*[torch.nn.Linear(1, 1, bias=False) for _ in range(3)])
            >>> for layer, weight in zip(unit, (2.0, 3.0, 5.0)):
            ...     torch.nn.init.constant_(layer.weight, weight).requires_grad
            True
            True
            True
            >>> one = torch.ones(1, 1)
            >>> graph = ncore.LineGraph.from_batch(unit, one, 29 * one, loss=torch.nn.MSELoss())
            >>> graph.n_synapses, graph.n_interactions
            (3, 2)
            >>> graph.to_scipy().toarray().tolist()  # the output error is 2 (30 - 29) = 2
            [[0.0, 10.0, 0.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0]]
        """
        from ncore.network.degrees import CapacitanceSums, as_batches, propagation

        batches = as_batches(inputs, targets, chunk_size)
        run = propagation(unit, batches, loss, (strength,))
        passes = []
        sums = (
            CapacitanceSums(run.chain.widths, (Strength.RELATIVE,), spread=())
            if strength == Strength.RELATIVE
            else None
        )
        for x, y in batches:
            passes.append(run(x, y))
            if sums is not None:
                sums.add(passes[-1])
        if not passes:
            raise InputError("The probe holds no batch, but at least one sample is needed.")
        scale = 1.0 if sums is None else sums.scale()
        return cls.from_factors(strength, factors_of(passes), scale)

    @property
    def n_synapses(self) -> int:
        """Vertices: weights of the head, biases not counted."""
        return sum(self._layer_sizes)

    @property
    def n_interactions(self) -> int:
        """Edges, counted structurally: pairs (i->j, j->k) of synapses that share the neuron j."""
        return sum(i * j * k for i, j, k in zip(self.widths, self.widths[1:], self.widths[2:], strict=False))

    @property
    def samples(self) -> int:
        """Probe samples N that P is the mean over."""
        return len(self.factors[0].inputs)

    @cached_property
    def in_degree(self) -> np.ndarray:
        """(n_synapses,) float64 row sums of P: how strongly each synapse is driven."""
        parts = [_mean_product(p.slopes * _sum(p.errors), p.inputs) for p in self.factors]
        return self._scaled([*parts, np.zeros(self._layer_sizes[-1])])

    @cached_property
    def out_degree(self) -> np.ndarray:
        """(n_synapses,) float64 column sums of P: how strongly each synapse drives others."""
        parts = [_mean_product(p.errors, p.slopes * _sum(p.inputs)) for p in self.factors]
        return self._scaled([np.zeros(self._layer_sizes[0]), *parts])

    def _scaled(self, parts: list[np.ndarray]) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # what a file says may be infinite, and that times 0 is not defined
            return np.concatenate(parts) * self.scale

    @property
    def beta_eff(self) -> float:
        """1^T P P 1 / 1^T P 1; NaN where undefined (see ``capacitance.reason``)."""
        return self.capacitance.value

    @cached_property
    def capacitance(self) -> Capacitance:
        """beta_eff with its decomposition by layer, conditioning, and <s> + S H."""
        sums = []
        for layer, span in enumerate(self.layer_slices):
            into, out = self.in_degree[span], self.out_degree[span]
            absolute = 0.0
            if layer < len(self.factors):
                z, slope, error = (
                    _sum(np.abs(f))
                    for f in (
                        self.factors[layer].inputs,
                        self.factors[layer].slopes,
                        self.factors[layer].errors,
                    )
                )
                absolute = float((z * slope * error).mean()) * abs(self.scale)
            sums.append(LayerSums(len(into), into.sum(), out.sum(), into @ out, into @ into, out @ out, absolute))
        return Capacitance.from_sums(sums, self.strength, self.samples)

    @property
    def layer_slices(self) -> list[slice]:
        """Where the synapses of layers 1..L are in the numbering."""
        ends = np.cumsum(self._layer_sizes).tolist()
        return [slice(end - size, end) for end, size in zip(ends, self._layer_sizes, strict=True)]

    @property
    def synapses(self) -> pd.DataFrame:
        """One row a synapse, in their order: layer (from 1), source and target neuron."""
        layer, source, target = self._locate(np.arange(self.n_synapses))
        return pd.DataFrame({"layer": layer, "source": source, "target": target})

    def synapse(self, layer: int, source: int, target: int) -> int:
        """The number of the synapse source -> target of a layer (from 1)."""
        if not 1 <= layer < len(self.widths):
            raise InputError(f"The layer is {layer}, but this line graph has layers 1 to {len(self.widths) - 1}.")
        fan_in, fan_out = self.widths[layer - 1 : layer + 1]
        if not (0 <= source < fan_in and 0 <= target < fan_out):
            raise InputError(
                f"There is no synapse {source}->{target} in layer {layer}: sources go from 0 to {fan_in - 1}, "
                f"targets from 0 to {fan_out - 1}."
            )
        return self.layer_slices[layer - 1].start + target * fan_in + source

    def block(self, layer: int) -> csr_array:
        """P between ``layer`` (rows) and ``layer + 1`` (columns), every structural entry stored, zeros too."""
        from scipy.sparse import csr_array

        if not 1 <= layer < len(self.widths) - 1:
            raise InputError(f"The layer is {layer}, but P has blocks for layers 1 to {len(self.widths) - 2}.")
        fan_in, shared, fan_out = self.widths[layer - 1 : layer + 2]
        values = np.concatenate([v for _, v in self._blocks(layer)]).reshape(-1)
        shape = (fan_in * shared, shared * fan_out)
        kind = np.int32 if max(values.size, *shape) < 2**31 else np.int64
        columns = np.add.outer(np.arange(shared, dtype=kind), np.arange(fan_out, dtype=kind) * shared)
        indices = np.repeat(columns, fan_in, axis=0).reshape(-1)
        starts = np.arange(shape[0] + 1, dtype=kind) * fan_out
        return csr_array((values, indices, starts), shape=shape)

    def to_scipy(self, limit: int = 50_000_000) -> csr_array:
        """All of P, (n_synapses, n_synapses).

        Raises:
            InputError: P has more than ``limit`` interactions.
        """
        from scipy.sparse import block_array, csr_array

        self._refuse_past(limit, "a sparse matrix", bytes_each=self.factors[0].inputs.itemsize + 4)
        depth = len(self._layer_sizes)
        grid: list[list[Any]] = [[None] * depth for _ in range(depth)]
        for layer in range(1, depth):
            grid[layer - 1][layer] = self.block(layer)
        for i, size in enumerate(self._layer_sizes):  # empty corners give the shape
            grid[i][i] = csr_array((size, size), dtype=self.factors[0].inputs.dtype)
        return csr_array(block_array(grid, format="csr"))

    def to_networkx(self, limit: int = 200_000) -> nx.DiGraph:
        """A DiGraph with an edge f -> e, weight P[e, f], for every interaction: from the driver to the driven.

        Nodes are synapse numbers with ``layer``, ``source`` and ``target``.

        Raises:
            InputError: P has more than ``limit`` interactions.
        """
        import networkx as nx

        self._refuse_past(limit, "a networkx graph", bytes_each=300)
        graph = nx.DiGraph()
        graph.add_nodes_from((n, row) for n, row in enumerate(self.synapses.to_dict("records")))
        entries = self.to_scipy(limit).tocoo()
        rows, columns = entries.coords
        graph.add_weighted_edges_from(zip(columns.tolist(), rows.tolist(), entries.data.tolist(), strict=True))
        return graph

    def strongest(self, k: int) -> pd.DataFrame:
        """The ``k`` interactions of largest |strength|, strongest first, found without building P.

        Returns:
            Columns ``driven`` and ``driver`` (synapse numbers), ``layer`` (of the driven) and ``strength``.
        """
        if k < 1:
            raise InputError(f"The number of interactions is {k}, but it must be at least 1.")
        best: dict[str, np.ndarray] = {}
        for layer in range(1, len(self.widths) - 1):
            fan_in, shared, _fan_out = self.widths[layer - 1 : layer + 2]
            row_start, column_start = (self.layer_slices[i].start for i in (layer - 1, layer))
            for start, values in self._blocks(layer):
                flat = values.reshape(-1)
                top = _largest(flat, k)
                j, i, o = np.unravel_index(top, values.shape)
                found = {
                    "driven": row_start + (start + j) * fan_in + i,
                    "driver": column_start + o * shared + start + j,
                    "layer": np.full(len(top), layer),
                    "strength": flat[top],
                }
                if best:
                    found = {name: np.concatenate([best[name], found[name]]) for name in found}
                keep = _largest(found["strength"], k)
                best = {name: column[keep] for name, column in found.items()}
        return pd.DataFrame(best)

    def neighbours(self, synapse: int) -> pd.DataFrame:
        """Who drives a synapse and whom it drives, strongest first.

        Returns:
            Columns ``synapse``, ``layer``, ``source``, ``target``, ``role`` ("drives" it, or is "driven" by it)
            and ``strength``.
        """
        if not 0 <= synapse < self.n_synapses:
            raise InputError(f"The synapse is {synapse}, but they are numbered from 0 to {self.n_synapses - 1}.")
        layer, source, target = (int(x[0]) for x in self._locate(np.array([synapse])))
        parts = []
        if layer < len(self._layer_sizes):  # j->k of the next layer drive i->j
            pair = self.factors[layer - 1]
            strength = (pair.inputs[:, source] * pair.slopes[:, target]) @ pair.errors / self.samples * self.scale
            numbers = self.layer_slices[layer].start + np.arange(len(strength)) * self.widths[layer] + target
            parts.append((numbers, "drives", strength))
        if layer > 1:  # j->k drives every i->j of the layer before
            pair = self.factors[layer - 2]
            strength = (pair.slopes[:, source] * pair.errors[:, target]) @ pair.inputs / self.samples * self.scale
            numbers = self.layer_slices[layer - 2].start + source * self.widths[layer - 2] + np.arange(len(strength))
            parts.append((numbers, "driven", strength))
        frames = []
        for numbers, role, strength in parts:
            where = dict(zip(("layer", "source", "target"), self._locate(numbers), strict=True))
            frames.append(pd.DataFrame({"synapse": numbers, **where, "role": role, "strength": strength}))
        return pd.concat(frames).sort_values("strength", key=np.abs, ascending=False, ignore_index=True)

    @property
    def _layer_sizes(self) -> list[int]:
        return [a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]

    def _locate(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        starts = np.array([span.start for span in self.layer_slices])
        layer = np.searchsorted(starts, numbers, side="right")
        target, source = np.divmod(numbers - starts[layer - 1], np.array(self.widths)[layer - 1])
        return layer, source, target

    def _blocks(self, layer: int) -> Iterator[tuple[int, np.ndarray]]:
        """P of a layer in pieces of bounded size: the first shared neuron j, and values (j, i, k)."""
        pair = self.factors[layer - 1]
        fan_in, shared, fan_out = self.widths[layer - 1 : layer + 2]
        step = max(1, _BLOCK // max(fan_in * fan_out, fan_in * self.samples))
        for start in range(0, shared, step):
            # (j, i, N) @ (N, k)
            left = pair.slopes.T[start : start + step, None, :] * pair.inputs.T[None, :, :]
            yield start, np.matmul(left, pair.errors) * np.asarray(self.scale / self.samples, left.dtype)

    def _refuse_past(self, limit: int, what: str, bytes_each: int) -> None:
        if self.n_interactions > limit:
            size = self.n_interactions * bytes_each / 1e9
            raise InputError(
                f"P has {self.n_interactions:,} interactions, about {size:,.1f} GB as {what}, but the limit is "
                f"{limit:,}: use degrees, block(layer) or strongest(k), or raise `limit`."
            )


def factors_of(passes: Sequence[Any], neurons: Sequence[np.ndarray | None] | None = None) -> list[LayerFactors]:
    """Chunks of a back-propagation as NumPy factors whose mean over samples is signed P.

    Args:
        passes: :class:`ncore.network.backprop.Pass` objects, in order.
        neurons: For each level, inputs first, the neurons to keep (None: all).
    """
    weight, samples = sum(p.weight for p in passes), sum(p.samples for p in passes)
    # Errors belong to a summed loss; the probe's mean divides by its weight, P's mean by the samples.
    by = samples / weight if weight > 0 else float("nan")
    levels = len(passes[0].inputs) + 1  # of neurons: inputs, then layers 1..L
    kept: Sequence[np.ndarray | None] = neurons if neurons is not None else [None] * levels

    def array(name: str, index: int, level: int) -> np.ndarray:
        parts = [getattr(p, name)[index] for p in passes]
        parts = parts if kept[level] is None else [t[:, kept[level]] for t in parts]
        return np.concatenate([t.cpu().numpy() for t in parts])

    return [
        LayerFactors(
            array("inputs", layer, layer),
            array("slopes", layer, layer + 1),
            array("errors", layer, layer + 2)
            * np.asarray(by, np.float32 if passes[0].inputs[0].element_size() == 4 else np.float64),
        )
        for layer in range(levels - 2)
    ]


def _check_factors(factors: Sequence[LayerFactors]) -> None:
    if not factors:
        raise InputError("There are no factors, but a line graph needs at least two dense layers.")
    for layer, pair in enumerate(factors, start=1):
        if not len(pair.inputs) == len(pair.slopes) == len(pair.errors) >= 1:
            raise InputError(f"The factors of layer {layer} have different numbers of samples, or none.")
    for layer, (a, b) in enumerate(itertools.pairwise(factors), start=1):
        if a.slopes.shape != b.inputs.shape or a.errors.shape != b.slopes.shape:
            raise InputError(
                f"The factors of layers {layer} and {layer + 1} do not fit: {a.slopes.shape} and {a.errors.shape} "
                f"against {b.inputs.shape} and {b.slopes.shape}."
            )


def _sum(factor: np.ndarray) -> np.ndarray:
    """(N, 1) sums over neurons in float64; (N, 1) so that it scales the rows of another factor."""
    return factor.sum(axis=1, dtype=np.float64, keepdims=True)


def _mean_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """mean_b left_b right_b^T in target-major order, accumulated in float64."""
    rows = max(1, _BLOCK // max(left.shape[1] + right.shape[1], 1))
    total = np.zeros((left.shape[1], right.shape[1]))
    for start in range(0, len(left), rows):
        total += left[start : start + rows].T @ right[start : start + rows].astype(left.dtype, copy=False)
    return (total / len(left)).reshape(-1)


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k values of largest magnitude, largest first; ties by position."""
    size = np.abs(values)
    top = np.argpartition(-size, k - 1)[:k] if k < len(size) else np.arange(len(size))
    return top[np.lexsort((top, -size[top]))]
