"""The dynamics of synapses: the phase plane, paths through it, speeds, the effective state, sparseness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ncore_dashboard.data.edge_dynamics import Density
from ncore_dashboard.figures import base, scales
from ncore_dashboard.figures.candidate_styles import DASHES, HUES, Style
from ncore_dashboard.text.explanations import explanation

__all__ = ["effective", "paths", "phase_density", "phase_points", "sparseness", "speeds"]

_FEW_STEPS = {"tickformat": "d", "nticks": 5}  # of an axis of epochs, in a narrow panel
_CARRIED = ((0.99, "dot", "square"), (0.9, "dash", "diamond"), (0.5, "solid", "circle"))


def phase_points(
    weight: np.ndarray, rate: np.ndarray, sources: np.ndarray, targets: np.ndarray, dark: bool = False
) -> go.Figure:
    """Weight against dw/dt, a point for each synapse of a layer.

    Args:
        weight, rate: (targets, sources).
        sources, targets: Numbers of the neurons.
        dark: For a dark background.
    """
    ends = np.stack(np.broadcast_arrays(sources[None, :], targets[:, None]), axis=-1).reshape(-1, 2)
    figure = _plane(dark)
    figure.add_scatter(  # not WebGL: a page may have few such charts
        x=weight.ravel().astype(np.float32),
        y=rate.ravel().astype(np.float32),
        mode="markers",
        marker={"size": 5, "color": scales.colour_at(0.75, False, dark), "opacity": 0.55},
        customdata=ends.astype(np.int32),
        hovertemplate="%{customdata[0]} → %{customdata[1]}<br>weight %{x:.4g}, dw/dt %{y:.3g}<extra></extra>",
        unselected={"marker": {"opacity": 0.55}},
        name="synapses",
    )
    return figure


def phase_density(found: Density, dark: bool = False) -> go.Figure:
    """Weight against dw/dt as the number of synapses in each cell, by its logarithm."""
    filled = found.counts > 0
    logs = np.full(found.counts.shape, np.nan, np.float32)
    logs[filled] = np.log10(found.counts[filled])
    top = float(np.nanmax(logs)) if filled.any() else 1.0
    ticks = np.arange(0, int(top) + 1)
    figure = _plane(dark).update_layout(margin={"r": 110})
    figure.add_heatmap(
        z=logs,
        x=((found.weights[1:] + found.weights[:-1]) / 2).astype(np.float32),
        y=((found.rates[1:] + found.rates[:-1]) / 2).astype(np.float32),
        colorscale=_from_faint(dark),
        zmin=0,
        zmax=max(top, 1e-6),
        colorbar={
            "title": {"text": "synapses<br>in a cell"},
            "thickness": 12,
            "tickvals": ticks,
            "ticktext": [f"{10 ** int(tick):,}" for tick in ticks],
        },
        hovertemplate="weight about %{x:.3g}<br>dw/dt about %{y:.3g}<br>10^%{z:.2f} synapses<extra></extra>",
        hoverongaps=False,
    )
    return figure


def paths(table: pd.DataFrame, epoch: int, dark: bool = False) -> go.Figure:
    """Synapses as paths through the plane of weight and dw/dt; a ring at an epoch, an arrow head at the end.

    Args:
        table: Columns epoch, source, target, weight and rate.
        epoch: That is marked.
        dark: For a dark background.
    """
    if table.empty:
        return base.nothing("No synapse is chosen.", dark)
    pairs = table[["source", "target"]].drop_duplicates().to_numpy().tolist()
    top = 18 + base.legend_height(f"{source} → {target}" for source, target in pairs)
    figure, traces = _plane(dark, 460).update_layout(margin={"t": top}), []
    for number, ((source, target), rows) in enumerate(table.groupby(["source", "target"], sort=True)):
        style = Style(HUES[number % len(HUES)], DASHES[(number // len(HUES)) % len(DASHES)])
        rows = rows.sort_values("epoch")
        weight, rate = (rows[name].to_numpy(np.float32) for name in ("weight", "rate"))
        both = {"type": "scatter", "name": f"{source} → {target}", "legendgroup": f"{source} → {target}"}
        traces.append(
            {
                **both,
                "x": weight,
                "y": rate,
                "mode": "lines+markers",
                "line": {"color": style.colour(dark), "width": 1.5, "dash": style.dash},
                "marker": {"size": 5, "symbol": style.symbol, "maxdisplayed": base.MOST_MARKERS},
                "customdata": rows["epoch"].to_numpy(np.int32),
                "hovertemplate": f"<b>{source} → {target}</b>, epoch %{{customdata}}<br>weight %{{x:.4g}}, "
                "dw/dt %{y:.3g}<extra></extra>",
            }
        )
        # The last two points, for the direction of the arrow, and the chosen one.
        marked = [*range(max(len(rows) - 2, 0), len(rows)), *np.flatnonzero(rows["epoch"].to_numpy() == epoch)]
        sizes, symbols = [0] * len(marked), [style.symbol] * len(marked)
        if rows["epoch"].iloc[-1] != epoch:
            sizes[min(1, len(rows) - 1)], symbols[min(1, len(rows) - 1)] = 11, "arrow"
        if len(marked) > min(2, len(rows)):
            sizes[-1], symbols[-1] = 13, f"{style.symbol}-open"
        look = {"size": sizes, "symbol": symbols, "angleref": "previous", "color": style.colour(dark)}
        traces.append(
            {
                **both,
                "x": weight[marked],
                "y": rate[marked],
                "mode": "markers",
                "marker": {**look, "line": {"width": 2}},
                "showlegend": False,
                "hoverinfo": "skip",
            }
        )
    return figure.add_traces(traces).update_layout(showlegend=True)


def speeds(table: pd.DataFrame, dark: bool = False, columns: int = base.PANEL_COLUMNS) -> go.Figure:
    """|dw/dt| over epochs, a panel for each layer: the median, and bands with the middle 50 and 90%.

    Args:
        table: Columns epoch, layer, q05, q25, q50, q75 and q95.
        dark: For a dark background.
        columns: Of panels at most.
    """
    if table.empty or not (table[["q05", "q25", "q50", "q75", "q95"]] > 0).any(axis=None):
        return base.nothing("All recorded synapses are at rest: every dw/dt is 0.", dark)
    layers = sorted(table["layer"].unique())
    columns = min(len(layers), 4 if (len(layers), columns) == (4, base.PANEL_COLUMNS) else columns)
    figure = base.panels([f"Layer {layer}" for layer in layers], columns, dark, shared=True, height=330)
    figure.update_layout(margin={"t": 66})
    colour, style = scales.colour_at(0.8, False, dark), Style(HUES[4])
    for number, layer in enumerate(layers):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        rows = table[table["layer"] == layer].sort_values("epoch")
        first = number == 0
        for low, high, text, opacity in (("q05", "q95", "middle 90%", 0.16), ("q25", "q75", "middle 50%", 0.3)):
            part = rows[rows[high] > 0]
            across = part["epoch"].to_numpy(np.float32)
            floor = _floor(table)
            lower = np.maximum(part[low].to_numpy(np.float64), floor)
            figure.add_scatter(
                x=np.concatenate([across, across[::-1]]),
                y=np.concatenate([part[high].to_numpy(np.float64), lower[::-1]]),
                fill="toself",
                fillcolor=style.faint(dark, opacity),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                name=text,
                legendgroup=text,
                showlegend=first,
                **place,
            )
        part = rows[rows["q50"] > 0]
        figure.add_scatter(
            x=part["epoch"],
            y=part["q50"].to_numpy(np.float64),
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 5},
            name="median",
            legendgroup="median",
            showlegend=first,
            customdata=part[["q05", "q25", "q75", "q95", "zero"]].to_numpy(np.float32),
            hovertemplate="epoch %{x}<br>median %{y:.3g}<br>middle 50%: %{customdata[1]:.2g} to %{customdata[2]:.2g}"
            "<br>middle 90%: %{customdata[0]:.2g} to %{customdata[3]:.2g}<br>exactly 0: %{customdata[4]:.0%}"
            "<extra></extra>",
            **place,
        )
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    figure.update_yaxes(title={"text": explanation("speed").axis}, col=1)
    return figure.update_xaxes(title={"text": "epoch"}, **_FEW_STEPS)


def effective(table: pd.DataFrame, dark: bool = False) -> go.Figure:
    """x_eff over epochs, its rate over epochs, and the path of both through their plane.

    Args:
        table: Columns epoch, x_eff and rate.
        dark: For a dark background.
    """
    rows = table[np.isfinite(table["x_eff"].to_numpy(np.float64))].sort_values("epoch")
    if rows.empty:
        return base.nothing("x_eff is undefined: at no recorded epoch does any synapse drive another one.", dark)
    titles = ["x_eff over epochs", "dx_eff/dt over epochs", "dx_eff/dt against x_eff"]
    figure = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.1)
    single = base.blank(dark, 340)
    figure.update_layout(template=single.layout.template, height=340, margin={"l": 58, "r": 8, "t": 40, "b": 44})
    colour = scales.colour_at(0.8, False, dark)
    epochs, state, rate = (rows[name].to_numpy() for name in ("epoch", "x_eff", "rate"))
    for column, (x, y) in enumerate(((epochs, state), (epochs, rate), (state, rate)), start=1):
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines+markers" + ("+text" if column == 3 else ""),
            text=[str(e) for e in epochs],
            textposition="top center",
            line={"color": colour, "width": 2},
            marker={"size": 8},
            customdata=np.column_stack([epochs, state, rate]),
            hovertemplate="epoch %{customdata[0]}<br>x_eff %{customdata[1]:.4g}<br>rate %{customdata[2]:.3g}"
            "<extra></extra>",
            showlegend=False,
            row=1,
            col=column,
        )
    for column in (2, 3):
        figure.add_hline(y=0, line={"color": base.grey(dark), "width": 1}, row=1, col=column)
    figure.update_annotations(font={"size": 13})
    figure.update_xaxes(title={"text": "epoch"}, **_FEW_STEPS, col=1)
    figure.update_xaxes(title={"text": "epoch"}, **_FEW_STEPS, col=2)
    figure.update_xaxes(title={"text": "x_eff (weight)"}, nticks=3, tickangle=0, col=3)
    figure.update_yaxes(title={"text": "x_eff (weight)"}, col=1)
    return figure.update_yaxes(title={"text": "loss per weight", "standoff": 0}, exponentformat="e", col=2)


def sparseness(table: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Share of synapses that carries 50, 90 and 99% of the interaction strength, of all and of each layer.

    Args:
        table: Columns epoch, layer (0: all), strength (a share) and synapses (a share).
        dark: For a dark background.
    """
    table = table[np.isfinite(table["synapses"].to_numpy(np.float64))]
    if table.empty:
        return base.nothing("There is no interaction left to share at any recorded epoch.", dark)
    layers = sorted(table["layer"].unique())
    titles = ["All layers" if layer == 0 else f"Layer {layer}" for layer in layers]
    figure = base.panels(titles, base.PANEL_COLUMNS, dark, shared=True, height=270)
    figure.update_layout(margin={"t": 68})
    for number, layer in enumerate(layers):
        place = {"row": number // base.PANEL_COLUMNS + 1, "col": number % base.PANEL_COLUMNS + 1}
        for index, (share, dash, symbol) in enumerate(_CARRIED):
            rows = table[(table["layer"] == layer) & np.isclose(table["strength"], share)].sort_values("epoch")
            figure.add_scatter(
                x=rows["epoch"],
                y=base.percent(rows["synapses"]),
                mode="lines+markers",
                line={"color": scales.colour_at(0.5 + 0.25 * index, False, dark), "width": 2, "dash": dash},
                marker={"symbol": symbol, "size": 7},
                name=f"carry {100 * share:.0f}% of the strength",
                legendgroup=str(share),
                showlegend=number == 0,
                hovertemplate=f"epoch %{{x}}<br>%{{y:.3g}}% of the synapses carry {100 * share:.0f}%<extra></extra>",
                **place,
            )
    figure.update_yaxes(range=[0, 102], ticksuffix="%")
    figure.update_yaxes(title={"text": "share of synapses (%)"}, col=1)
    return figure.update_xaxes(title={"text": "epoch"}, **_FEW_STEPS)


def _plane(dark: bool, height: int = 440) -> go.Figure:
    figure = base.blank(dark, height).update_layout(margin={"l": 72, "b": 52})
    line = {"zeroline": True, "zerolinecolor": base.grey(dark), "zerolinewidth": 1}
    figure.update_xaxes(title={"text": explanation("weight").axis}, **line)
    return figure.update_yaxes(title={"text": explanation("rate").axis}, exponentformat="e", **line)


def _floor(table: pd.DataFrame) -> float:
    """The least value that a logarithmic axis shows in place of 0: a third of the smallest quantile above it."""
    found = table[["q05", "q25", "q50"]].to_numpy(np.float64)
    found = found[found > 0]
    return float(found.min()) / 3 if found.size else 1e-12


def _from_faint(dark: bool) -> list[Sequence[float | str]]:
    """The scale of sizes without its faintest end, so that a single synapse is seen."""
    return [(share, scales.colour_at(0.25 + 0.75 * share, False, dark)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
