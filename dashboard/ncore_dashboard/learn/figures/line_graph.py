"""Pictures of a small network beside its line graph, and of the degrees that beta_eff is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ncore_dashboard.figures import base
from ncore_dashboard.figures.candidate_styles import HUES

__all__ = [
    "CHOSEN",
    "DRIVEN",
    "DRIVER",
    "HEIGHT",
    "OTHER",
    "degrees",
    "fading",
    "roles",
    "synapse_name",
    "two_networks",
]

HEIGHT = 440
CHOSEN, DRIVER, DRIVEN, OTHER = "chosen", "drives it", "driven by it", "neither"
_ROLES = (OTHER, DRIVEN, DRIVER, CHOSEN)  # the last are drawn on top
_SYMBOLS = {OTHER: "circle", DRIVEN: "square", DRIVER: "diamond", CHOSEN: "star"}
_DASHES = {OTHER: "solid", DRIVEN: "dash", DRIVER: "solid", CHOSEN: "solid"}


def roles(synapses: pd.DataFrame, chosen: int) -> list[str]:
    """What each synapse is to a chosen one: driven by those that leave its target, driving those into its source.

    Args:
        synapses: Columns layer, source, target, as of :attr:`ncore.network.LineGraph.synapses`.
        chosen: Row of the chosen one.

    Example:
        >>> chain = pd.DataFrame({"layer": [1, 2, 3], "source": [0, 0, 0], "target": [0, 0, 0]})
        >>> roles(chain, 1)
        ['driven by it', 'chosen', 'drives it']
    """
    layer, source, target = (synapses[name].to_numpy() for name in ("layer", "source", "target"))
    found = np.full(len(synapses), OTHER, dtype=object)
    found[(layer == layer[chosen] + 1) & (source == target[chosen])] = DRIVER
    found[(layer == layer[chosen] - 1) & (target == source[chosen])] = DRIVEN
    found[chosen] = CHOSEN
    return found.tolist()


def two_networks(
    widths: Sequence[int], synapses: pd.DataFrame, interactions: pd.DataFrame, chosen: int, dark: bool = False
) -> go.Figure:
    """G_A on the left and G_B on the right, with what drives a chosen synapse, and what it drives, in both.

    Args:
        widths: Neurons of each level.
        synapses: Columns layer, source, target; a point's ``customdata`` is its row.
        interactions: Columns driven and driver: rows of ``synapses``.
        chosen: Row of the chosen synapse.
        dark: For a dark background.
    """
    titles = ["neurons and synapses, G_A", "the line graph, G_B"]
    figure = base.panels(titles, 2, dark, shared=False, height=HEIGHT)
    named = np.array(roles(synapses, chosen))
    heights = [_spread(count) for count in widths]
    layer, source, target = (synapses[name].to_numpy() for name in ("layer", "source", "target"))
    start = np.column_stack([layer - 1, [heights[at - 1][i] for at, i in zip(layer, source, strict=True)]])
    stop = np.column_stack([layer, [heights[at][i] for at, i in zip(layer, target, strict=True)]])
    part = 0.35 + 0.3 * ((np.arange(len(layer)) * 0.6180339887) % 1)
    middle = start + part[:, None] * (stop - start)
    vertices = np.column_stack([layer, np.concatenate([_spread(int((layer == at).sum())) for at in np.unique(layer)])])

    for role in _ROLES:
        rows = np.flatnonzero(named == role)
        style = {"color": _colour(role, dark), "dash": _DASHES[role], "width": 1.2 if role == OTHER else 3.5}
        _lines(figure, start[rows], stop[rows], style, 1)
        _points(figure, middle[rows], synapses, rows, role, dark, 1, opacity=0.001 if role == OTHER else 1.0)
    driven, driver = (interactions[name].to_numpy() for name in ("driven", "driver"))
    for role, mine in (
        (OTHER, (driven != chosen) & (driver != chosen)),
        (DRIVEN, driver == chosen),
        (DRIVER, driven == chosen),
    ):
        style = {"color": _colour(role, dark), "dash": _DASHES[role], "width": 0.8 if role == OTHER else 3}
        _lines(figure, vertices[driven[mine]], vertices[driver[mine]], style, 2)
    for role in _ROLES:
        _points(figure, vertices[named == role], synapses, np.flatnonzero(named == role), role, dark, 2)
    for level, ys in enumerate(heights):
        figure.add_scatter(
            x=np.full(len(ys), level),
            y=ys,
            mode="markers+text",
            marker={"size": 30, "color": base.paper(dark), "line": {"width": 2, "color": base.ink(dark)}},
            text=[str(i) for i in range(len(ys))],
            hovertemplate=f"neuron %{{text}} of level {level}<extra></extra>",
            showlegend=False,
            row=1,
            col=1,
        )
    depth = len(widths) - 1
    levels = ["inputs", *(f"level {n}" for n in range(1, depth)), "output"]
    plain = {"showgrid": False, "showline": False}
    figure.update_xaxes(tickvals=list(range(depth + 1)), ticktext=levels, range=[-0.3, depth + 0.3], **plain, col=1)
    names = [f"layer {n}" for n in range(1, depth + 1)]
    figure.update_xaxes(tickvals=list(range(1, depth + 1)), ticktext=names, range=[0.7, depth + 0.3], **plain, col=2)
    return figure.update_yaxes(visible=False, range=[-1.2, 1.2])


def fading(before: pd.DataFrame, now: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Interaction strengths of a network, as many bars as there are interactions: at first, and now.

    Args:
        before, now: Column strength, in the same order of interactions.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    order = np.argsort(-before["strength"].to_numpy(), kind="stable")
    across = np.arange(1, len(order) + 1)
    figure.add_scatter(
        x=across,
        y=before["strength"].to_numpy(np.float32)[order],
        mode="lines",
        line={"color": base.grey(dark), "width": 2, "shape": "hvh"},
        name="before training",
        hovertemplate="interaction %{x}<br>%{y:.3g}<extra>before training</extra>",
    )
    figure.add_bar(
        x=across,
        y=now["strength"].to_numpy(np.float32)[order],
        marker={"color": HUES[0].dark if dark else HUES[0].light},
        name="now",
        hovertemplate="interaction %{x}<br>%{y:.3g}<extra>now</extra>",
    )
    figure.update_xaxes(title="interactions, the one that was strongest first", showgrid=False)
    return figure.update_yaxes(title="interaction strength (loss per weight²)", rangemode="tozero")


def degrees(
    into: np.ndarray, out: np.ndarray, beta_eff: float, end: tuple[float, float], dark: bool = False
) -> go.Figure:
    """Synapses by how strongly they are driven and how strongly they drive; beta_eff is a mean of the second.

    Args:
        into, out: in-degree and out-degree of each synapse.
        beta_eff: Drawn as a line.
        end: Of both axes.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    share = into / into.sum() if into.sum() > 0 else np.zeros(len(into))
    figure.add_scatter(
        x=into.astype(np.float32),
        y=out.astype(np.float32),
        mode="markers",
        marker={
            "size": (8 + 60 * np.sqrt(share)).astype(np.float32),
            "color": HUES[0].dark if dark else HUES[0].light,
            "opacity": 0.6,
            "line": {"width": 1, "color": base.ink(dark)},
        },
        customdata=base.percent(share),
        name="a synapse; its area is its share of the mean",
        showlegend=True,
        hovertemplate="driven with %{x:.3g}, drives with %{y:.3g}<br>%{customdata:.0f}% of the mean<extra></extra>",
    )
    figure.add_hline(
        y=beta_eff,
        line={"color": base.ink(dark), "width": 2},
        annotation={"text": f"beta_eff = {beta_eff:.3g}", "font": {"color": base.ink(dark)}, "xanchor": "right"},
    )
    figure.update_xaxes(title="in-degree: how strongly it is driven", range=[-0.06 * end[0], 1.08 * end[0]])
    return figure.update_yaxes(title="out-degree: how strongly it drives", range=[-0.08 * end[1], 1.12 * end[1]])


def _spread(count: int) -> np.ndarray:
    return np.linspace(1, -1, count) if count > 1 else np.zeros(1)


def _colour(role: str, dark: bool) -> str:
    if role in (OTHER, CHOSEN):
        return base.grey(dark) if role == OTHER else base.ink(dark)
    hue = HUES[0] if role == DRIVER else HUES[1]
    return hue.dark if dark else hue.light


def _lines(figure: go.Figure, start: np.ndarray, stop: np.ndarray, style: dict[str, object], col: int) -> None:
    """Straight lines, one trace."""
    gaps = np.full((len(start), 3, 2), np.nan, np.float32)
    gaps[:, 0], gaps[:, 1] = start, stop
    figure.add_scatter(
        x=gaps[:, :, 0].ravel(),
        y=gaps[:, :, 1].ravel(),
        mode="lines",
        line=style,
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=col,
    )


def _points(
    figure: go.Figure,
    places: np.ndarray,
    synapses: pd.DataFrame,
    rows: np.ndarray,
    role: str,
    dark: bool,
    col: int,
    opacity: float = 1.0,
) -> None:
    """A mark for each synapse, to click on."""
    figure.add_scatter(
        x=places[:, 0].astype(np.float32),
        y=places[:, 1].astype(np.float32),
        mode="markers",
        marker={
            "size": 17 if role == CHOSEN else 13,
            "symbol": _SYMBOLS[role],
            "color": _colour(role, dark),
            "opacity": opacity,
            "line": {"width": 1, "color": base.paper(dark)},
        },
        customdata=[[int(row)] for row in rows],
        text=[synapse_name(*synapses.loc[row, ["layer", "source", "target"]]) for row in rows],
        hovertemplate=f"%{{text}}<br>{role}<extra></extra>",
        name=role,
        legendgroup=role,
        showlegend=col == 2,
        row=1,
        col=col,
    )


def synapse_name(layer: int, source: int, target: int) -> str:
    """What a synapse is called.

    Example:
        >>> synapse_name(2, 0, 1)
        'layer 2: 0 → 1'
    """
    return f"layer {layer}: {source} → {target}"
