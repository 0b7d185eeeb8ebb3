"""The synapses of a small network: as edges between neurons, and as vertices of the line graph."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from ncore.network import LineGraph
from ncore.network.strengths import Strength
from ncore_dashboard.figures import base, scales
from ncore_dashboard.learn.figures.playground import at_once, nice
from ncore_dashboard.text.explanations import explanation

__all__ = ["MOST_INTERACTIONS", "layers", "line_graph", "neuron_name"]

MOST_INTERACTIONS = 300
"""Interactions that are drawn, the strongest."""

_SMALL = 20  # cells across the picture of a neuron


def layers(
    weights: Sequence[np.ndarray],
    states: Sequence[np.ndarray],
    features: Sequence[str],
    dark: bool = False,
) -> dict[str, Any]:
    """G_A: a small picture of what each neuron answers over the plane, and synapses coloured by weight.

    Args:
        weights: Of each layer, (targets, sources).
        states: Of each level over a square grid of the plane, (cells^2, neurons), the inputs first.
        features: Names of the inputs.
        dark: For a dark background.
    """
    heights = [_heights(state.shape[1]) for state in states]
    end = nice(scales.limit(np.concatenate([w.ravel() for w in weights]), 1.0))
    size = 1.87 / max(4, *(len(ys) for ys in heights))
    images, across, up, names, numbers = [], [], [], [], []
    for level, (state, ys) in enumerate(zip(states, heights, strict=True)):
        for neuron, y in enumerate(ys.tolist()):
            images.append(
                {
                    "source": _picture(state[:, neuron], dark),
                    "xref": "x",
                    "yref": "y",
                    "x": level,
                    "y": y,
                    "sizex": 0.36,
                    "sizey": size,
                    "xanchor": "center",
                    "yanchor": "middle",
                    "sizing": "stretch",
                    "layer": "above",
                }
            )
            across.append(level)
            up.append(y)
            names.append(neuron_name(level, neuron, len(states), features))
            numbers.append([level, neuron])
    neurons = {
        "type": "scatter",
        "x": across,
        "y": up,
        "mode": "markers",
        "marker": {"size": 18, "symbol": "square", "opacity": 0},
        "hovertext": names,
        "customdata": numbers,
        "hovertemplate": "%{hovertext}<extra></extra>",
        "name": "neurons",
    }
    labels = [
        {"x": -0.22, "y": y, "text": feature, "showarrow": False, "xanchor": "right"}
        for feature, y in zip(features, heights[0].tolist(), strict=True)
    ]
    levels = ["inputs", *(f"hidden {n}" for n in range(1, len(states) - 1)), "output"]
    return at_once(
        [*_edges(weights, heights, end, dark), _marks(weights, heights, end, dark), neurons],
        dark,
        images=images,
        annotations=labels,
        xaxis={
            "tickvals": list(range(len(states))),
            "ticktext": levels,
            "range": [-0.3 - 0.07 * max(map(len, features)), len(states) - 0.6],
            "showgrid": False,
            "showline": False,
        },
        yaxis={"visible": False, "range": [-1.2, 1.2]},
        showlegend=False,
    )


def line_graph(
    graph: LineGraph, weights: Sequence[np.ndarray], reach: float = 0.0, dark: bool = False
) -> tuple[dict[str, Any], str]:
    """G_B: a vertex for each synapse, an edge from each synapse to those that it drives.

    Args:
        graph: The line graph.
        weights: Of each layer, (targets, sources), for the colours of vertices.
        reach: Strength of the thickest lines, so that interactions can be seen to fade; that of the strongest now if
            it is stronger.
        dark: For a dark background.

    Returns:
        The figure, and in a sentence or two what it leaves out and how strong its lines are.
    """
    found = graph.strongest(MOST_INTERACTIONS)
    drawn = found[found["strength"] != 0]
    places = _vertices(graph.widths)
    strength = drawn["strength"].to_numpy()
    end = max(reach, float(np.abs(strength).max()) if len(drawn) else 0.0) or 1.0
    start, stop = (places[drawn[name].to_numpy()] for name in ("driver", "driven"))
    table = graph.synapses
    weight = np.concatenate([w.ravel() for w in weights])
    limit = nice(scales.limit(weight, 1.0))
    vertices = {
        "type": "scatter",
        "x": places[:, 0],
        "y": places[:, 1],
        "mode": "markers",
        "marker": {
            "size": 7 if len(table) > 100 else 11,
            "color": weight.astype(np.float32),
            "colorscale": scales.scale(True, dark),
            "cmin": -limit,
            "cmax": limit,
            "line": {"width": 1, "color": base.ink(dark)},
            "colorbar": {"title": {"text": "weight"}, "thickness": 12, "nticks": 5},
        },
        "customdata": table[["layer", "source", "target"]].to_numpy(np.int32),
        "hovertemplate": "synapse %{customdata[1]} → %{customdata[2]} of layer %{customdata[0]}<br>"
        "weight %{marker.color:.3g}<extra></extra>",
        "name": "synapses",
    }
    depth = len(weights)
    figure = at_once(
        [*_binned(start, stop, strength, end, graph.strength == Strength.SIGNED, dark, faintest=0.15), vertices],
        dark,
        xaxis={
            "tickvals": list(range(1, depth + 1)),
            "ticktext": [f"layer {n}<br>{w.size} synapses" for n, w in enumerate(weights, start=1)],
            "range": [0.6, depth + 0.4],
            "showgrid": False,
            "showline": False,
        },
        yaxis={"visible": False, "range": [-1.08, 1.08]},
        showlegend=False,
    )
    some = f"The strongest {len(drawn):,} of {graph.n_interactions:,} interactions are drawn"
    said = some if len(drawn) < graph.n_interactions else f"All {graph.n_interactions:,} interactions are drawn"
    return figure, f"{said}; the thickest lines stand for {end:.2g} ({explanation('interaction').unit})."


def _heights(count: int) -> np.ndarray:
    """Heights of the neurons of a level, the first on top."""
    room = min(1.0, 0.28 * (count - 1))
    return np.linspace(room, -room, count) if count > 1 else np.zeros(1)


def _vertices(widths: Sequence[int]) -> np.ndarray:
    """Places of synapses, in their order: a column a layer, those with one target together."""
    places = []
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths), start=1):
        rank = np.arange(fan_in * fan_out) + 0.8 * np.repeat(np.arange(fan_out), fan_in)
        middle = rank[-1] / 2
        y = (middle - rank) / max(middle, 1.0) if len(rank) > 1 else np.zeros(1)
        places.append(np.column_stack([np.full(len(y), layer), y]))
    return np.concatenate(places).astype(np.float32)


def _binned(
    start: np.ndarray, stop: np.ndarray, values: np.ndarray, end: float, signed: bool, dark: bool, faintest: float
) -> list[dict[str, Any]]:
    """Straight lines, (n, 2) to (n, 2), by bins of their value, the weak ones below: one trace a bin."""
    bins = scales.bins(values, end)
    traces = []
    for number in sorted(range(-scales.BINS if signed else 0, scales.BINS + 1), key=lambda b: (abs(b), b)):
        rows = bins == number
        share = np.sign(number) * (abs(number) + 0.5) / (scales.BINS + 1) if number else faintest
        lines = np.full((int(rows.sum()), 3, 2), np.nan, np.float32)
        lines[:, 0], lines[:, 1] = start[rows], stop[rows]
        traces.append(
            {
                "type": "scatter",
                "x": lines[:, :, 0].ravel(),
                "y": lines[:, :, 1].ravel(),
                "mode": "lines",
                "line": {
                    "color": scales.colour_at(float(share), signed, dark),
                    "width": 0.6 + 0.7 * abs(number),
                    "dash": "dot" if number < 0 else "solid",
                },
                "opacity": 0.45 + 0.5 * abs(number) / scales.BINS,
                "hoverinfo": "skip",
            }
        )
    return traces


def _ends(weights: Sequence[np.ndarray], heights: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Places of source and target neuron of all synapses, in their order, (n, 2) each."""
    starts, stops = [], []
    for layer, weight in enumerate(weights, start=1):
        target, source = (index.ravel() for index in np.indices(weight.shape))
        starts.append(np.column_stack([np.full(weight.size, layer - 1), heights[layer - 1][source]]))
        stops.append(np.column_stack([np.full(weight.size, layer), heights[layer][target]]))
    return np.concatenate(starts), np.concatenate(stops)


def _edges(
    weights: Sequence[np.ndarray], heights: Sequence[np.ndarray], end: float, dark: bool
) -> list[dict[str, Any]]:
    start, stop = _ends(weights, heights)
    values = np.concatenate([w.ravel() for w in weights])
    beside = np.array([0.18, 0.0])
    return _binned(start + beside, stop - beside, values, end, True, dark, faintest=0.1)


def _marks(weights: Sequence[np.ndarray], heights: Sequence[np.ndarray], end: float, dark: bool) -> dict[str, Any]:
    """An invisible point on each synapse, for its label and the colour bar."""
    start, stop = _ends(weights, heights)
    part = (0.3 + 0.4 * ((np.arange(len(start)) * 0.6180339887) % 1))[:, None]
    places = start + part * (stop - start)
    return {
        "type": "scatter",
        "x": places[:, 0].astype(np.float32),
        "y": places[:, 1].astype(np.float32),
        "mode": "markers",
        "marker": {
            "size": 8,
            "opacity": 0,
            "color": np.concatenate([w.ravel() for w in weights]).astype(np.float32),
            "colorscale": scales.scale(True, dark),
            "cmin": -end,
            "cmax": end,
            "colorbar": {"title": {"text": "weight"}, "thickness": 12, "nticks": 5},
        },
        "hovertext": [
            f"layer {layer}: {source} → {target}"
            for layer, weight in enumerate(weights, start=1)
            for target, source in np.ndindex(weight.shape)
        ],
        "hovertemplate": "%{hovertext}<br>weight %{marker.color:.3g}<extra></extra>",
        "name": "synapses",
    }


def neuron_name(level: int, neuron: int, levels: int, features: Sequence[str]) -> str:
    """What a neuron is called, level 0 being the inputs."""
    if level == 0:
        return f"input {features[neuron]}"
    return "output" if level == levels - 1 else f"neuron {level}.{neuron} (hidden layer {level})"


def _picture(values: np.ndarray, dark: bool) -> str:
    """What a neuron answers over the plane, as a small image; the largest magnitude has the strongest colour."""
    cells = round(len(values) ** 0.5)
    picked = np.linspace(0, cells - 1, _SMALL).round().astype(int)
    small = values.reshape(cells, cells)[np.ix_(picked[::-1], picked)]
    end = float(np.abs(small).max())
    shades = np.nan_to_num(127.5 * (1 + small / end) if end > 0 else np.full(small.shape, 127.5))
    image = Image.fromarray(shades.astype(np.uint8))
    image.putpalette(_palette(dark))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


@lru_cache(maxsize=2)
def _palette(dark: bool) -> bytes:
    """Red, green and blue of 256 shades from the lowest to the highest value."""
    colours = [scales.colour_at(2 * shade / 255 - 1, True, dark) for shade in range(256)]
    return bytes(int(colour[at : at + 2], 16) for colour in colours for at in (1, 3, 5))
