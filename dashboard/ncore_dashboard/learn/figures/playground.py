"""Training in the plane: the answer at every point of it, and curves over steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ncore.network.strengths import Strength
from ncore_dashboard.figures import base, scales
from ncore_dashboard.figures.candidate_styles import HUES
from ncore_dashboard.learn.playground.engine import Moment
from ncore_dashboard.learn.playground.points import REACH, Points

__all__ = ["CELLS", "HEIGHT", "at_once", "boundary", "curves", "hue", "nice", "places"]

CELLS = 44
"""The answer is shown at this number of places across and down."""
HEIGHT = 380
_NICE = (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15)


def at_once(traces: Sequence[dict[str, Any]], dark: bool, **layout: Any) -> dict[str, Any]:
    """A figure as Plotly.js reads it. ``go.Figure`` checks each property, which takes most of the time of a frame."""
    font = {"family": '"Source Sans", "Source Sans Pro", Helvetica, Arial, sans-serif'}
    return {"data": list(traces), "layout": {**_blank(dark), "font": font, **layout}}


@lru_cache(maxsize=2)
def _blank(dark: bool) -> dict[str, Any]:
    found: dict[str, Any] = base.blank(dark, HEIGHT).layout.to_plotly_json()
    return found


def places(reach: float = REACH, cells: int = CELLS) -> np.ndarray:
    """Points of a grid over the plane, (cells^2, 2), row by row from the bottom left."""
    along = np.linspace(-reach, reach, cells)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def nice(value: float) -> float:
    """The least of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten that is at least the value: axes seldom jump.

    Example:
        >>> [nice(value) for value in (0.3, 1.0, 7.0, 120.0)]
        [0.3, 1.0, 8.0, 150.0]
    """
    if not (math.isfinite(value) and value > 0):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    least = next(factor for factor in _NICE if factor * power >= value * (1 - 1e-9))
    return float(f"{least * power:.12g}")


def boundary(
    field: np.ndarray,
    points: Points,
    *,
    test: bool = False,
    discrete: bool = False,
    neuron: str = "",
    dark: bool = False,
) -> dict[str, Any]:
    """The answer of the network over the plane, with the points that it learns from.

    Args:
        field: The answer at :func:`places`, (cells^2,): a probability of class 1, or a value; or a neuron's output.
        points: The data.
        test: Show test points too, with open markers.
        discrete: Show which side of the boundary a place is on, and not how far.
        neuron: Its name, if the field is a neuron's output.
        dark: For a dark background.
    """
    cells = math.isqrt(len(field))
    along = np.linspace(-REACH, REACH, cells)
    z = np.asarray(field, np.float32).reshape(cells, cells)
    classes = points.classes and not neuron
    middle, end = (0.5, 0.5) if classes else (0.0, 1.0)
    if neuron:
        end = nice(float(np.abs(z).max()))
    title = f"output of<br>{neuron}" if neuron else "probability<br>of class 1" if classes else "value"
    along = along.astype(np.float32)
    traces: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "z": np.where(z > middle, middle + end, middle - end).astype(np.float32) if discrete else z,
            "x": along,
            "y": along,
            "colorscale": scales.scale(True, dark),
            "zmin": middle - end,
            "zmax": middle + end,
            "zsmooth": False if discrete else "fast",
            "opacity": 0.8,
            "colorbar": {"title": {"text": title}, "thickness": 12, "nticks": 5},
            "hovertemplate": "x₁ %{x:.2f}, x₂ %{y:.2f}<br>%{z:.3f}<extra></extra>",
            "name": "answer",
        }
    ]
    if z.min() < middle < z.max():
        traces.append(
            {
                "type": "contour",
                "z": z,
                "x": along,
                "y": along,
                "contours": {"start": middle, "end": middle, "size": 1, "coloring": "none"},
                "line": {"color": base.ink(dark), "width": 2},
                "showscale": False,
                "showlegend": False,
                "hoverinfo": "skip",
                "name": "boundary",
            }
        )
    axis = {"range": [-REACH, REACH], "showgrid": False, "constrain": "domain"}
    return at_once(
        [*traces, *_points(points, test, dark)],
        dark,
        xaxis={"title": {"text": "x₁"}, **axis},
        yaxis={"title": {"text": "x₂", "standoff": 2}, "scaleanchor": "x", **axis},
    )


def curves(
    histories: Mapping[str, Sequence[Moment]],
    undefined: str = "",
    strength: str = Strength.ABSOLUTE,
    dark: bool = False,
) -> dict[str, Any]:
    """Losses and beta_eff over steps, one above the other; a hue for each network.

    Args:
        histories: Recorded moments of each network, by its name.
        undefined: Why there is no beta_eff, if there is none.
        strength: Of beta_eff, for the axis.
        dark: For a dark background.
    """
    traces: list[dict[str, Any]] = []
    most = {"loss": 0.0, "beta": 0.0, "step": 1.0}
    for number, (name, moments) in enumerate(histories.items()):
        steps = np.array([m.step for m in moments], np.int32)
        train, test, beta = (
            np.array([getattr(m, column) for m in moments], np.float32)
            for column in ("train_loss", "test_loss", "beta_eff")
        )
        colour = hue(number, dark)
        before = f"{name}: " if len(histories) > 1 else ""
        for values, kind, dash, axis in (
            (train, "training loss", "solid", "y"),
            (test, "test loss", "dot", "y"),
            (beta, "beta_eff", "dash", "y2"),
        ):
            if axis == "y2" and not np.isfinite(values).any():
                continue
            traces.append(
                {
                    "type": "scatter",
                    "x": steps,
                    "y": values,
                    "yaxis": axis,
                    "mode": "lines+markers",
                    # Only the last point is marked: where the network is now.
                    "marker": {
                        "symbol": HUES[number].symbol,
                        "size": np.where(steps == steps[-1], 8, 0),
                        "color": colour,
                    },
                    "line": {"color": colour, "width": 2, "dash": dash},
                    "name": f"{before}{kind}",
                    "hovertemplate": f"step %{{x}}<br>{before}{kind} %{{y:.4g}}<extra></extra>",
                }
            )
        most["step"] = max(most["step"], float(steps[-1]))
        for key, values in (("loss", train), ("loss", test), ("beta", np.abs(beta))):
            finite = values[np.isfinite(values)]
            most[key] = max(most[key], float(finite.max()) if finite.size else 0.0)
    low = -nice(most["beta"]) if Strength(strength).cancels else 0.0
    note = {
        "text": undefined,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.2,
        "showarrow": False,
        "font": {"color": base.grey(dark), "size": 13},
    }
    return at_once(
        traces,
        dark,
        xaxis={"title": {"text": "step"}, "range": [0, nice(most["step"] * 1.02)], "anchor": "y2"},
        yaxis={"title": {"text": "loss"}, "domain": [0.55, 1], "range": [0, nice(most["loss"])]},
        yaxis2={
            "title": {"text": "beta_eff" if strength == Strength.ABSOLUTE else f"beta_eff, {strength}"},
            "domain": [0, 0.45],
            "range": [low, nice(most["beta"])],
            "zeroline": Strength(strength).cancels,
            "exponentformat": "power",
            "visible": not undefined,
        },
        annotations=[note] if undefined else [],
        showlegend=True,
    )


def _points(points: Points, test: bool, dark: bool) -> list[dict[str, Any]]:
    """Circles and diamonds for the classes; for values, circles of their colour."""
    scale = scales.scale(True, dark)
    groups = [("training", points.train, points.train_targets, False)]
    groups += [("test", points.test, points.test_targets, True)] if test else []
    traces = []
    for part, at, targets, opened in groups:
        if points.classes:
            for label, symbol, colour in ((0, "circle", scale[0][1]), (1, "diamond", scale[-1][1])):
                rows = targets == label
                traces.append(_group(at[rows], f"class {label}, {part}", symbol, colour, opened, dark))
        else:
            trace = _group(at, part, "circle", targets.astype(np.float32), opened, dark)
            trace["marker"] |= {"colorscale": scale, "cmin": -1, "cmax": 1}
            traces.append(trace)
    return traces


def _group(
    at: np.ndarray, name: str, symbol: str, colour: str | np.ndarray, opened: bool, dark: bool
) -> dict[str, Any]:
    line = {"width": 1.6} if opened else {"width": 0.8, "color": base.paper(dark)}
    return {
        "type": "scatter",
        "x": at[:, 0].astype(np.float32),
        "y": at[:, 1].astype(np.float32),
        "mode": "markers",
        "marker": {"size": 6, "symbol": f"{symbol}-open" if opened else symbol, "color": colour, "line": line},
        "name": name,
        "hovertemplate": f"{name}<br>x₁ %{{x:.2f}}, x₂ %{{y:.2f}}<extra></extra>",
    }


def hue(number: int, dark: bool) -> str:
    """The colour of a network, or of a layer."""
    found = HUES[number % len(HUES)]
    return found.dark if dark else found.light
