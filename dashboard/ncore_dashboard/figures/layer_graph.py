"""G_A: the network at an epoch, or played over epochs, and the weight matrix of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ncore_dashboard.data.network_detail import View, reduced
from ncore_dashboard.figures import base, scales
from ncore_dashboard.text.explanations import explanation

__all__ = [
    "HEIGHT",
    "MATRIX_CELLS",
    "QUANTITIES",
    "Quantity",
    "Reduced",
    "common_end",
    "level_names",
    "network",
    "reduced_matrix",
    "weight_matrix",
]

HEIGHT = 560
_ROOM = 26  # circles of a level that are large enough for a number
MATRIX_CELLS = (160, 300)
_GOLDEN = 0.6180339887  # steps of this size never meet again, so marks on neighbouring edges are apart


@dataclass(frozen=True)
class Quantity:
    """What edges can be coloured by: its explanation's name, and whether it has a sign."""

    name: str
    signed: bool

    @property
    def title(self) -> str:
        """For a colour bar: label and unit in two lines."""
        found = explanation(self.name)
        return f"{found.label}<br>({found.unit})" if found.unit else found.label


QUANTITIES = {
    "weight": Quantity("weight", signed=True),
    "rate": Quantity("rate", signed=True),
    "interaction": Quantity("interaction", signed=False),
}


def level_names(levels: int) -> list[str]:
    """What levels of neurons are called.

    Example:
        >>> level_names(4)
        ['inputs', 'level 1', 'level 2', 'outputs']
    """
    return ["inputs", *(f"level {number}" for number in range(1, levels - 1)), "outputs"]


def network(
    view: View,
    values: Mapping[int, np.ndarray],
    quantity: Quantity,
    sizes: Sequence[int],
    epoch: int,
    chosen: tuple[int, int, int] | None = None,
    dark: bool = False,
    end: float | None = None,
) -> go.Figure:
    """Levels of neurons from left to right, and the synapses between them coloured by a quantity.

    Args:
        view: What is drawn, from :func:`ncore_dashboard.data.network_detail.view_of`.
        values: By epoch, of each edge; with several epochs the figure has a slider and plays them.
        quantity: What the values are.
        sizes: Recorded neurons of each level.
        epoch: That is shown first, one of ``values``.
        chosen: Layer, source and target of a synapse that is marked; the source is -1 for a neuron.
        dark: For a dark background.
        end: Where the scale of colours ends, for pictures side by side: see :func:`common_end`.

    Raises:
        KeyError: ``epoch`` is not among ``values``.
    """
    grouped = view.detail in ("layers", "groups")
    signed = quantity.signed and not grouped
    end = common_end(list(values.values())) if end is None else end
    figure = base.blank(dark, HEIGHT).update_layout(margin={"r": 104, "b": 46})
    lines = _lines(view, values[epoch], end, signed, dark)
    if len(values) > 1:
        figure.add_traces(lines)
    else:  # what doesn't move need not be traces: the browser draws shapes sooner
        figure.update_layout(shapes=[_shape(line) for line in lines if len(line["x"])])
    figure.add_traces(_marks(view, values[epoch], end, signed, quantity, dark))
    if chosen is not None:
        _mark_chosen(figure, view, chosen, dark)
    _add_nodes(figure, view, dark)
    names = level_names(len(sizes))
    figure.update_xaxes(
        tickvals=list(range(len(sizes))),
        ticktext=[f"{name}<br>{size:,} neurons" for name, size in zip(names, sizes, strict=True)],
        range=[-0.35, len(sizes) - 0.65],
        showgrid=False,
        showline=False,
    )
    figure.update_yaxes(visible=False, range=[-1.12, 1.12])
    figure.update_layout(showlegend=False, hovermode="closest")
    if len(values) > 1:
        _play(figure, view, values, epoch, end, signed, quantity, dark)
    return figure


def common_end(values: Sequence[np.ndarray]) -> float:
    """Where a scale ends that suits all of these edges."""
    return scales.limit(np.concatenate(list(values)))


Reduced = tuple[np.ndarray, int, int]
"""A matrix small enough to be drawn, and how many rows and columns of the whole one make one of its cells."""


def reduced_matrix(matrix: np.ndarray) -> Reduced:
    """What :func:`weight_matrix` draws of a matrix."""
    small, height, width = reduced(np.asarray(matrix, np.float32), MATRIX_CELLS)
    return small.astype(np.float32), height, width


def weight_matrix(
    matrix: np.ndarray | Reduced,
    sources: np.ndarray,
    targets: np.ndarray,
    quantity: Quantity,
    layer: int,
    dark: bool = False,
) -> tuple[go.Figure, str]:
    """Heatmap of a layer: a row for each target, a column for each source neuron.

    Args:
        matrix: (targets, sources), or what is left of it as :func:`reduced_matrix` makes it.
        sources, targets: Numbers of the neurons.
        quantity: What the matrix holds.
        layer: Its number, for the axes.
        dark: For a dark background.

    Returns:
        The figure, and what it leaves out, in a sentence; empty if nothing.
    """
    small, height, width = reduced_matrix(matrix) if isinstance(matrix, np.ndarray) else matrix
    end = scales.limit(small)
    rows, columns = targets[::height], sources[::width]
    figure = base.blank(dark, 420).update_layout(margin={"l": 60, "r": 104, "t": 20, "b": 52})
    figure.add_heatmap(
        z=small,
        x=[str(number) for number in columns],
        y=[str(number) for number in rows],
        colorscale=scales.scale(quantity.signed, dark),
        zmin=-end if quantity.signed else 0,
        zmax=end,
        colorbar={"title": {"text": quantity.title}, "thickness": 12, "exponentformat": "e"},
        hovertemplate=f"%{{x}} → %{{y}}<br>{explanation(quantity.name).label}: %{{z:.4g}}<extra></extra>",
    )
    axis = {"type": "category", "showgrid": False, "nticks": 12}  # of neurons: not all of them may be recorded
    figure.update_xaxes(title={"text": f"source neuron, level {layer - 1}"}, tickangle=0, **axis)
    first_on_top = {"range": [len(rows) - 0.5, -0.5], "autorange": False}
    figure.update_yaxes(title={"text": f"target neuron, level {layer}"}, **first_on_top, **axis)
    if height == width == 1:
        return figure, ""
    return figure, (
        f"Each cell stands for {height} × {width} synapses and shows the one of largest magnitude; the others are left "
        "out. It is named by its first target and source."
    )


def _lines(view: View, values: np.ndarray, end: float, signed: bool, dark: bool) -> list[dict[str, Any]]:
    """Edges by bin, the weak ones below: always the same number of traces, so that frames can replace them."""
    found = scales.bins(values, end)
    wanted = sorted(range(-scales.BINS if signed else 0, scales.BINS + 1), key=lambda b: (abs(b), b))
    layer, y0, y1 = (view.edges[name].to_numpy(np.float32) for name in ("layer", "y0", "y1"))
    traces = []
    for number in wanted:
        rows = found == number
        gap = np.full(rows.sum(), np.nan, np.float32)
        share = np.sign(number) * (abs(number) + 0.5) / (scales.BINS + 1) if number else 0.05
        traces.append(
            {
                "type": "scatter",
                "x": np.stack([layer[rows] - 1, layer[rows], gap], axis=1).ravel(),
                "y": np.stack([y0[rows], y1[rows], gap], axis=1).ravel(),
                "mode": "lines",
                "line": {"color": scales.colour_at(float(share), signed, dark), "width": 0.6 + 0.75 * abs(number)},
                "opacity": 0.45 + 0.5 * abs(number) / scales.BINS,
                "hoverinfo": "skip",
            }
        )
    return traces


def _shape(line: dict[str, Any]) -> dict[str, Any]:
    """A trace of single lines, each followed by a gap, as a shape."""
    x, y = (line[axis].reshape(-1, 3)[:, :2].tolist() for axis in "xy")
    path = "".join(f"M{x0:g},{y0:.5g}L{x1:g},{y1:.5g}" for (x0, x1), (y0, y1) in zip(x, y, strict=True))
    return {
        "type": "path",
        "layer": "below",
        "path": path,
        "line": line["line"],
        "opacity": line["opacity"],
        "fillcolor": "rgba(0,0,0,0)",
    }


def _marks(view: View, values: np.ndarray, end: float, signed: bool, quantity: Quantity, dark: bool) -> dict[str, Any]:
    """A point on each edge: lines have no hover label and can't be clicked."""
    edges = view.edges
    part = 0.25 + 0.4 * ((np.arange(len(edges)) * _GOLDEN) % 1)
    layer, y0, y1 = (edges[name].to_numpy(np.float64) for name in ("layer", "y0", "y1"))
    single = view.detail not in ("layers", "groups")
    custom = np.column_stack([edges["layer"], edges["source"], edges["target"]]).astype(np.int32)
    ends = edges[["source", "source_last", "target", "target_last"]].to_numpy()
    names = [f"{a} → {c}" if single else f"{_span(a, b)} → {_span(c, d)}" for a, b, c, d in ends.tolist()]
    label = explanation(quantity.name).label
    if not single:
        label += ", sum" if quantity.name == "interaction" else ", root mean square"
    return {
        "type": "scatter",
        "x": (layer - 1 + part).astype(np.float32),
        "y": (y0 + part * (y1 - y0)).astype(np.float32),
        "mode": "markers",
        "marker": {
            "size": 3.5 if len(edges) > 600 else 6,
            "color": np.asarray(values, np.float32),
            "colorscale": scales.scale(signed, dark),
            "cmin": -end if signed else 0,
            "cmax": end,
            "line": {"width": 0},
            "colorbar": {"title": {"text": quantity.title}, "thickness": 12, "exponentformat": "e"},
        },
        "customdata": custom,
        "text": names,
        "hovertemplate": f"layer %{{customdata[0]}}: %{{text}}<br>{label}: %{{marker.color:.4g}}<extra></extra>",
        "unselected": {"marker": {"opacity": 1}},
        "name": "synapses",
    }


def _add_nodes(figure: go.Figure, view: View, dark: bool) -> None:
    """Circles, with numbers inside where there is room; groups have theirs above, as text: annotations draw slowly."""
    nodes = view.nodes
    grouped = view.detail in ("layers", "groups")
    crowd = nodes.groupby("level")["level"].transform("size").to_numpy()
    roomy = (crowd <= _ROOM) & ~np.array(grouped)
    names = [_span(a, b) for a, b in nodes[["first", "last"]].to_numpy().tolist()]
    text = grouped or bool(roomy.any())
    sizes = np.where(roomy, 17, np.clip(480 // crowd, 4, 13))
    figure.add_scatter(
        x=nodes["level"],
        y=nodes["y"].to_numpy(np.float32),
        mode="markers+text" if text else "markers",
        text=[name if grouped or shown else "" for name, shown in zip(names, roomy, strict=True)] if text else None,
        hovertext=names,
        textposition="top center" if grouped else "middle center",
        textfont={"size": 11 if grouped else 9, "color": base.ink(dark)},
        marker={
            "size": int(sizes[0]) if (sizes == sizes[0]).all() else sizes,
            "color": base.paper(dark),
            "line": {"width": 1.2, "color": base.ink(dark)},
            "opacity": 1,
        },
        customdata=np.column_stack([np.full(len(nodes), -1), nodes["level"], nodes["first"]]).astype(np.int32),
        hovertemplate="level %{customdata[1]}, neuron %{hovertext}<extra></extra>",
        unselected={"marker": {"opacity": 1}, "textfont": {"color": base.ink(dark)}},
        name="neurons",
    )


def _mark_chosen(figure: go.Figure, view: View, chosen: tuple[int, int, int], dark: bool) -> None:
    """Draw a synapse's line, and the rings of its neurons, if they are in the picture."""
    layer, source, target = chosen
    places = []
    for level, number in ((layer - 1, source), (layer, target)):
        nodes = view.nodes[view.nodes["level"] == level]
        hit = nodes[(nodes["first"] <= number) & (nodes["last"] >= number)]
        places += [(level, float(y)) for y in hit["y"].head(1)]
    if not places:
        return
    figure.add_scatter(
        x=[x for x, _ in places],
        y=[y for _, y in places],
        mode="lines+markers",
        line={"color": base.ink(dark), "width": 2.5, "dash": "dot"},
        marker={"size": 26, "symbol": "circle-open", "color": base.ink(dark), "line": {"width": 3}},
        hoverinfo="skip",
        name="chosen",
    )


def _play(
    figure: go.Figure,
    view: View,
    values: Mapping[int, np.ndarray],
    epoch: int,
    end: float,
    signed: bool,
    quantity: Quantity,
    dark: bool,
) -> None:
    """A frame for each epoch, a slider and buttons."""
    lines = 2 * scales.BINS + 1 if signed else scales.BINS + 1
    frames = []
    for number, edge_values in values.items():
        traces: list[Any] = [{"x": t["x"], "y": t["y"]} for t in _lines(view, edge_values, end, signed, dark)]
        traces.append({"marker": {"color": np.asarray(edge_values, np.float32)}})
        traces = [{"type": "scatter", **trace} for trace in traces]
        frames.append(go.Frame(name=str(number), data=traces, traces=list(range(lines + 1))))
    figure.frames = frames
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    run = {
        "mode": "immediate",
        "fromcurrent": True,
        "frame": {"duration": 500, "redraw": False},
        "transition": {"duration": 0},
    }
    steps = [{"method": "animate", "label": str(e), "args": [[str(e)], at_once]} for e in values]
    control = {"bgcolor": base.paper(dark), "bordercolor": base.grey(dark), "font": {"color": base.ink(dark)}}
    figure.update_layout(
        height=HEIGHT + 130,
        margin={"b": 136},
        sliders=[
            {
                **control,
                "active": list(values).index(epoch),
                "steps": steps,
                "currentvalue": {"prefix": "epoch ", "xanchor": "right"},
                "x": 0,
                "len": 1,
                "y": -0.06,
                "pad": {"t": 36, "b": 0},
            }
        ],
        updatemenus=[
            {
                **control,
                "type": "buttons",
                "direction": "left",
                "showactive": False,
                "x": 0,
                "xanchor": "left",
                "y": -0.06,
                "yanchor": "top",
                "pad": {"t": 26},
                "buttons": [
                    {"label": "▶ Play", "method": "animate", "args": [None, run]},
                    {"label": "Pause", "method": "animate", "args": [[None], at_once]},
                ],
            }
        ],
    )


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"
