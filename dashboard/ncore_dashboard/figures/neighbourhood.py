"""A small part of the line graph G_B: the synapses around one synapse, and the interactions through one neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ncore_dashboard.figures import base, scales

__all__ = ["MOST", "MOST_THROUGH", "around_synapse", "through_neuron"]

MOST = 12
"""Neighbours that are drawn on either side."""
MOST_THROUGH = 40
"""Synapses on either side of a neuron that are drawn."""


def around_synapse(table: pd.DataFrame, synapse: tuple[int, int, int], dark: bool = False) -> tuple[go.Figure, str]:
    """The chosen synapse in the middle, those that drive it on the left, those that it drives on the right.

    Args:
        table: From :func:`ncore_dashboard.data.neighbourhood.of_synapse`.
        synapse: Layer, source and target of the one in the middle.
        dark: For a dark background.

    Returns:
        The figure, and what it leaves out, in a sentence; empty if nothing.
    """
    sides = {role: table[(table["role"] == role) & (table["strength"] > 0)] for role in ("drives", "driven")}
    if not any(map(len, sides.values())):
        return base.nothing("No interaction with this synapse has any strength at this epoch.", dark), ""
    drawn = {role: side.head(MOST) for role, side in sides.items()}
    count = max(1, *(len(side) for side in drawn.values()))
    figure = base.blank(dark, 120 + 30 * count)
    end = float(max((side["strength"].max() for side in drawn.values() if len(side)), default=1.0))
    shapes: list[dict[str, Any]] = []
    for role, x in (("drives", -1.0), ("driven", 1.0)):
        side = drawn[role]
        heights = np.linspace(1, -1, len(side)) if len(side) > 1 else np.zeros(len(side))
        shapes += [  # not traces: the browser draws a shape in a quarter of the time
            {
                "type": "line",
                "layer": "below",
                "x0": x,
                "y0": float(height),
                "x1": 0,
                "y1": 0,
                "line": {"color": scales.colour_at(0.25 + 0.75 * share, False, dark), "width": 1 + 7 * share},
            }
            for height, share in zip(heights, side["strength"] / end, strict=True)
        ]
        if len(side):
            _add_side(figure, side, x, heights, end, dark)
    layer, source, target = synapse
    figure.add_scatter(
        x=[0],
        y=[0],
        mode="markers",
        marker={"size": 20, "color": base.paper(dark), "line": {"width": 3, "color": base.ink(dark)}},
        hovertemplate="the chosen synapse<extra></extra>",
    )
    figure.add_annotation(
        x=0,
        y=0,
        yshift=34,
        text=f"<b>{source} → {target}</b><br>layer {layer}",
        showarrow=False,
        font={"color": base.ink(dark), "size": 13},
        bgcolor=base.paper(dark),
        opacity=0.9,
    )
    for x, text in ((-1, "drive it"), (1, "are driven by it")):
        figure.add_annotation(
            x=x, y=1.13, yanchor="bottom", text=text, showarrow=False, font={"color": base.grey(dark)}
        )
    figure.update_xaxes(visible=False, range=[-1.75, 1.75]).update_yaxes(visible=False, range=[-1.2, 1.35])
    figure.update_layout(showlegend=False, shapes=shapes)
    hidden = [
        f"{len(sides[role]) - MOST} that {text}"
        for role, text in (("drives", "drive it"), ("driven", "it drives"))
        if len(sides[role]) > MOST
    ]
    return figure, f"Left out of the picture: {' and '.join(hidden)}, all weaker." if hidden else ""


def through_neuron(
    block: np.ndarray, sources: np.ndarray, targets: np.ndarray, neuron: int, signed: bool, dark: bool = False
) -> tuple[go.Figure, str]:
    """Heatmap of the interactions through a neuron: incoming synapses across, outgoing ones, which drive them, down.

    Args:
        block: From :func:`ncore_dashboard.data.neighbourhood.through_neuron`, (outgoing, incoming).
        sources, targets: Numbers of the neurons at their other ends.
        neuron: Its number.
        signed: Whether the block has signs.
        dark: For a dark background.

    Returns:
        The figure, and what it leaves out, in a sentence; empty if nothing.
    """
    rows, columns = (_strongest(np.abs(block).sum(axis=axis)) for axis in (1, 0))
    part = block[np.ix_(rows, columns)]
    end = scales.limit(part, 1.0)
    figure = base.blank(dark, max(260, 130 + 14 * len(rows)))
    figure.add_heatmap(
        z=part.astype(np.float32),
        x=[f"{source} → {neuron}" for source in sources[columns]],
        y=[f"{neuron} → {target}" for target in targets[rows]],
        colorscale=scales.scale(signed, dark),
        zmin=-end if signed else 0,
        zmax=end,
        colorbar={
            "title": {"text": "Strength<br>(loss per<br>squared weight)"},
            "thickness": 12,
            "exponentformat": "e",
        },
        hovertemplate="%{y} drives %{x}<br>strength %{z:.4g}<extra></extra>",
    )
    figure.update_xaxes(title={"text": "driven synapse"}, type="category", showgrid=False)
    figure.update_yaxes(title={"text": "driving synapse"}, type="category", autorange="reversed", showgrid=False)
    if part.shape == block.shape:
        return figure, ""
    share = np.abs(part).sum() / np.abs(block).sum()
    return figure, (
        f"The strongest {part.shape[1]} of {block.shape[1]:,} incoming and {part.shape[0]} of {block.shape[0]:,} "
        f"outgoing synapses are drawn, with {100 * share:.0f}% of the strength."
    )


def _add_side(figure: go.Figure, side: pd.DataFrame, x: float, heights: np.ndarray, end: float, dark: bool) -> None:
    figure.add_scatter(
        x=np.full(len(side), x),
        y=heights,
        mode="markers+text",
        text=[
            f"{source} → {target}  {100 * share:.0f}%"
            for source, target, share in zip(side["source"], side["target"], side["share"], strict=True)
        ],
        textposition="middle left" if x < 0 else "middle right",
        textfont={"color": base.ink(dark), "size": 12},
        marker={
            "size": 12,
            "color": (side["strength"] / end).to_numpy(np.float32),
            "colorscale": scales.scale(False, dark),
            "cmin": 0,
            "cmax": 1,
            "line": {"width": 1, "color": base.ink(dark)},
        },
        customdata=side[["layer", "source", "target"]].to_numpy(np.int32),
        meta=[f"{value:.3g}" for value in side["strength"]],
        hovertext=[
            f"layer {layer}: {source} → {target}<br>strength {strength:.3g}, signed {signed:.3g}"
            + (f"<br>pushes dw/dt by {push:.3g}" if np.isfinite(push) else "")
            for layer, source, target, strength, signed, push in zip(
                *(side[n] for n in ("layer", "source", "target", "strength", "signed", "push")), strict=True
            )
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        unselected={"marker": {"opacity": 1}, "textfont": {"color": base.ink(dark)}},
    )


def _strongest(sums: np.ndarray) -> np.ndarray:
    if len(sums) <= MOST_THROUGH:
        return np.arange(len(sums))
    return np.sort(np.argpartition(sums, -MOST_THROUGH)[-MOST_THROUGH:])
