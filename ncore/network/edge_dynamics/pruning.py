"""Sparse sub-networks: which synapses a score keeps, what is left of the network, and how accurate that is.

Scores are arrays of one number a synapse, numbered as in a line graph, so any other can stand beside these three. By
interaction strength a synapse counts as |w_e| (d_in(e) + d_out(e)) with the absolute P: how far it is from nothing,
times how strongly it is driven and drives others. The first layer drives none and nothing drives the last one, so
layers are not on a par, and the cut can be made in each layer for itself instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ncore.errors import InputError
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.edge_dynamics.descent import descend
from ncore.network.edge_dynamics.diagnostics import effective_rank

if TYPE_CHECKING:
    from ncore.network.edge_dynamics.landscape import Landscape
    from ncore.network.line_graph import LineGraph

__all__ = ["LEVELS", "Mask", "interaction_scores", "kept", "magnitude_scores", "prune", "random_scores", "what_is_left"]

Mask = NDArray[np.bool_]

LEVELS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


def magnitude_scores(weights: ArrayLike) -> FloatArray:
    """|w|."""
    return np.abs(np.asarray(weights, dtype=np.float64))


def interaction_scores(graph: LineGraph, weights: ArrayLike) -> FloatArray:
    """|w| (d_in + d_out), with the degrees of the given line graph; meant for absolute strengths."""
    return magnitude_scores(weights) * np.abs(graph.in_degree + graph.out_degree)


def random_scores(weights: ArrayLike, seed: int = 0) -> FloatArray:
    """What any score has to beat."""
    return np.random.default_rng(seed).random(np.shape(weights))


def kept(scores: ArrayLike, level: float, layers: Sequence[slice] | None = None) -> Mask:
    """The synapses of the highest scores, all but a share ``level`` of them.

    Args:
        scores: (n,), finite.
        level: The share that is pruned, in [0, 1); at least one synapse stays. Ties go to the lower number.
        layers: Cut each of these parts at the level for itself.

    Example:
        >>> kept([3.0, 1.0, 2.0, 4.0], level=0.5).tolist()
        [True, False, False, True]
        >>> kept([3.0, 1.0, 2.0, 4.0], level=0.5, layers=[slice(0, 2), slice(2, 4)]).tolist()
        [True, False, False, True]
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError(f"The scores have the shape {values.shape}, but one finite number a synapse is needed.")
    if not 0 <= level < 1:
        raise InputError(f"The level is {level}, but it must be at least 0 and below 1: the share that is pruned.")
    mask = np.zeros(len(values), dtype=bool)
    for part in layers or [slice(0, len(values))]:
        inside = values[part]
        count = max(1, round((1 - level) * len(inside)))
        mask[part][np.argsort(-inside, kind="stable")[:count]] = True
    return mask


def what_is_left(masks: Sequence[ArrayLike], weights: Sequence[ArrayLike]) -> pd.DataFrame:
    """What a mask leaves of a dense network.

    Args:
        masks: By layer, (targets, sources) bool.
        weights: By layer, the same shapes.

    Returns:
        A row a layer, from 1: ``synapses`` kept, ``share`` of the layer, ``norm`` (share of the sum of squares),
        ``useful`` (the share of those kept that lie on a way from an input to an output; the others do nothing),
        ``neurons`` of the layer with such a synapse, ``effective_rank`` of what is left.

    Example:
        The lower of two chains is cut, so what is left of it is useless:

        >>> both = np.eye(2, dtype=bool)
        >>> upper = np.array([[True, False], [False, False]])
        >>> what_is_left([both, upper], [np.eye(2), np.eye(2)])["useful"].tolist()
        [0.5, 1.0]
    """
    there = [np.asarray(mask, dtype=bool) for mask in masks]
    full = [np.asarray(w, dtype=np.float64) for w in weights]
    if [m.shape for m in there] != [w.shape for w in full] or any(
        b.shape[1] != a.shape[0] for a, b in itertools.pairwise(there)
    ):
        raise InputError("The masks and weights must be matrices (targets, sources), layer upon layer.")
    reached: list[Mask] = [np.ones(there[0].shape[1], dtype=bool)]
    for mask in there:
        reached.append(np.any(mask & reached[-1], axis=1))
    needed: list[Mask] = [np.ones(there[-1].shape[0], dtype=bool)]
    for mask in there[::-1]:
        needed.insert(0, np.any(mask & needed[0][:, None], axis=0))
    rows = []
    for layer, (mask, w) in enumerate(zip(there, full, strict=True), start=1):
        useful = mask & reached[layer - 1] & needed[layer][:, None]
        total, square = int(mask.sum()), float((w**2).sum())
        rows.append(
            {"layer": layer, "synapses": total, "share": total / mask.size}
            | {"norm": float((w[mask] ** 2).sum()) / square if square > 0 else np.nan}
            | {"useful": useful.sum() / total if total else np.nan, "neurons": int(useful.any(axis=1).sum())}
            | {"effective_rank": effective_rank(w * mask)}
        )
    return pd.DataFrame(rows)


def prune(
    landscape: Landscape,
    weights: ArrayLike,
    scores: Mapping[str, ArrayLike],
    test: tuple[Tensor, Tensor],
    *,
    levels: Sequence[float] = LEVELS,
    by_layer: bool = False,
    learning_rate: float = 0.05,
    momentum: float = 0.9,
    batch_size: int | None = 32,
    steps: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """The accuracy of sparse sub-networks, at once and trained on.

    Args:
        landscape: The loss on the training set; biases and normalisation are not pruned.
        weights: (n,) all parameters of the trained network.
        scores: By name, one number a synapse, (n_synapses,).
        test: Inputs and class labels that neither trained nor chose anything.
        levels: Shares that are pruned; 0 is the whole network, trained on for as long.
        by_layer: Cut every layer at the level, instead of all synapses together.
        learning_rate, momentum, batch_size, steps, seed: Of the training that follows, see :func:`descend`.

    Returns:
        A row for each score and level: ``score``, ``level``, ``synapses`` kept, ``accuracy`` right after the cut and
        ``trained_on``, both fractions of the test set, and the training ``cost`` of both, ``cost_trained_on``.
    """
    inputs = test[0].double() if test[0].is_floating_point() else test[0]
    full = np.asarray(weights, dtype=np.float64)

    def accuracy(w: FloatArray) -> float:
        with torch.no_grad():
            return float((landscape.at(w)(inputs).argmax(1) == test[1]).double().mean())

    rows = []
    for name, values in scores.items():
        for level in levels:
            mask = np.ones(landscape.size, dtype=bool)
            mask[landscape.synapses] = kept(values, level, landscape.layers if by_layer else None)
            cut = full * mask
            after = descend(
                landscape,
                learning_rate,
                steps,
                momentum=momentum,
                batch_size=batch_size,
                every=steps,
                seed=seed,
                start=cut,
                mask=mask,
            )[-1]
            row = {"score": name, "level": level, "synapses": int(mask[landscape.synapses].sum())}
            row |= {"accuracy": accuracy(cut), "trained_on": accuracy(after)}
            rows.append(row | {"cost": landscape.cost(cut), "cost_trained_on": landscape.cost(after)})
    return pd.DataFrame(rows)
