"""The neighbourhood of a synapse or a neuron in the line graph G_B, as tables and in words."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ncore.network import LineGraph
from ncore_dashboard.data.synapses import Recorded, Values

__all__ = ["neuron_in_words", "of_synapse", "synapse_in_words", "through_neuron"]


def of_synapse(
    absolute: LineGraph, signed: LineGraph, of: Recorded, local: int, next_layer: Values | None
) -> pd.DataFrame:
    """Who drives a synapse and whom it drives, strongest first.

    Args:
        absolute, signed: The line graph of one epoch by both strengths.
        of: What was recorded.
        local: The synapse's number among the recorded ones.
        next_layer: Weights of the layer after the synapse's; None for the last layer, or if they are not known.

    Returns:
        Columns ``role`` ("drives" it, or is "driven" by it), ``layer``, ``source`` and ``target`` (numbers of the whole
        unit), ``strength`` (absolute), ``share`` (of its role), ``signed``, and of drivers ``weight`` and ``push``,
        what they add to the synapse's dw/dt: NaN where it isn't known.
    """
    table = absolute.neighbours(local)
    signs = signed.neighbours(local).set_index(["role", "synapse"])["strength"]
    table["signed"] = signs.reindex(pd.MultiIndex.from_frame(table[["role", "synapse"]])).to_numpy()
    totals = table.groupby("role")["strength"].transform("sum")
    table["share"] = np.divide(table["strength"], totals, out=np.zeros(len(table)), where=totals.to_numpy() > 0)
    table["weight"] = np.nan
    drives = (table["role"] == "drives").to_numpy()
    if next_layer is not None and drives.any():
        rows, columns = (table.loc[drives, name].to_numpy() for name in ("target", "source"))
        table.loc[drives, "weight"] = next_layer.weight[rows, columns].astype(np.float64)
    table["push"] = -table["signed"] * table["weight"]
    for name, shift in (("source", 1), ("target", 0)):
        table[name] = _whole(of, table["layer"].to_numpy() - shift, table[name].to_numpy())
    return table[["role", "layer", "source", "target", "strength", "share", "signed", "weight", "push"]]


def through_neuron(graph: LineGraph, level: int, position: int) -> np.ndarray:
    """The interactions that pass through a neuron: P of (its outgoing, its incoming) synapses.

    Args:
        graph: Of any strength.
        level: From 1; inputs and outputs have none.
        position: Of the neuron among the recorded ones of its level.
    """
    pair = graph.factors[level - 1]
    return (pair.errors * pair.slopes[:, [position]]).T @ pair.inputs * (graph.scale / graph.samples)


def synapse_in_words(
    table: pd.DataFrame, of: Recorded, synapse: tuple[int, int, int], weight: float, rate: float
) -> list[str]:
    """What the neighbourhood of a synapse says, in sentences.

    Args:
        table: From :func:`of_synapse`.
        of: What was recorded.
        synapse: Layer, source and target.
        weight, rate: Of the synapse; NaN if they are not known.
    """
    layer, source, target = synapse
    said = []
    if np.isfinite(weight):
        said.append(f"Its weight is {weight:.4g}, and gradient flow would move it at dw/dt = {rate + 0.0:.3g}.")
    drivers, driven = (table[table["role"] == role] for role in ("drives", "driven"))
    if layer == of.layers[-1]:
        said.append("**Nothing in the network drives it:** it is in the last layer, where errors come from the loss.")
    else:
        said.append(f"**Driven by** {_counted(drivers, f'that leave neuron {target}')}")
        push = float(drivers["push"].sum())
        if drivers["strength"].any() and np.isfinite(rate) and drivers["push"].notna().all():
            whole = abs(push - rate) <= 1e-3 * abs(rate) + 1e-9
            said.append(
                f"Their pushes, −P · w, add up to {push:.3g}: "
                + ("exactly its rate." if whole else "the recorded part of its rate; the rest was not recorded.")
            )
    if layer == 1:
        said.append("**It drives none:** it begins at an input, where no synapse ends.")
    else:
        said.append(f"**It drives** {_counted(driven, f'that end in neuron {source}')}")
    return said


def neuron_in_words(graph: LineGraph, of: Recorded, level: int, number: int, position: int) -> str:
    """How much of all interaction passes through a neuron, in a sentence."""
    if level in (0, len(of.neurons) - 1):
        return (
            f"Neuron {number} is an {'input' if level == 0 else 'output'}: synapses only "
            f"{'leave' if level == 0 else 'reach'} it, so no interaction passes through it."
        )
    into, total = graph.in_degree, float(graph.in_degree.sum())
    rows, columns = of.shapes[level - 1]
    parts = of.layer_of(into, level).sum(axis=1)
    if total <= 0 or parts[position] <= 0:
        return f"No interaction passes through neuron {number}: on the probe it is dead, or nothing is left to learn."
    rank = int((parts > parts[position]).sum()) + 1
    return (
        f"Neuron {number} joins {columns:,} incoming to {of.shapes[level][0]:,} outgoing synapses. "
        f"{100 * parts[position] / total:.2g}% of all interaction strength passes through it: number {rank} of the "
        f"{rows:,} neurons of its level, {parts[position] / parts.mean():.2g} times their mean."
    )


def _counted(table: pd.DataFrame, which: str) -> str:
    count, total = len(table), float(table["strength"].sum())
    if not total > 0:
        return f"{count:,} synapses, those {which}, but with no strength: a neuron there is dead on the probe."
    first = table.iloc[0]
    enough = int(np.searchsorted(table["share"].cumsum().to_numpy(), 0.8)) + 1
    return (
        f"{count:,} synapses, those {which}. The strongest, {first['source']} → {first['target']}, has "
        f"{100 * first['share']:.0f}% of their strength, and {min(enough, count)} of them have 80%."
    )


def _whole(of: Recorded, levels: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Numbers of the whole unit of neurons at these positions of these levels."""
    found = np.empty(len(levels), np.int64)
    for level in np.unique(levels):
        rows = levels == level
        found[rows] = of.neurons[level][positions[rows]]
    return found
