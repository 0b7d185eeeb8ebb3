"""Pictures of how forecasts and rankings are judged: against what came, with the noise of what came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ncore_dashboard.figures import base
from ncore_dashboard.figures.candidate_styles import HUES

__all__ = ["HEIGHT", "predicted_against_observed", "regret_over_epochs", "slopes", "two_measurements"]

HEIGHT = 430


def predicted_against_observed(table: pd.DataFrame, method: str, dark: bool = False) -> go.Figure:
    """Each candidate by what was predicted of it and what came.

    Args:
        table: Columns candidate, predicted, observed (fractions).
        method: For the axis.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    low = 100 * float(np.nanmin(table[["predicted", "observed"]].to_numpy())) - 3
    high = 100 * float(np.nanmax(table[["predicted", "observed"]].to_numpy())) + 3
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": base.grey(dark), "dash": "dash", "width": 1},
        name="predicted = observed",
        hoverinfo="skip",
    )
    best = int(table["observed"].to_numpy().argmax())
    chosen = int(table["predicted"].to_numpy().argmax())
    colour = HUES[0].dark if dark else HUES[0].light
    for rows, symbol, size, name in (
        (np.setdiff1d(np.arange(len(table)), [best, chosen]), "circle", 9, "a candidate"),
        (np.array([best]), "star", 15, "the best"),
        (np.array([chosen]), "square-open", 17, "the one that would be chosen"),
    ):
        figure.add_scatter(
            x=base.percent(table["predicted"].to_numpy()[rows]),
            y=base.percent(table["observed"].to_numpy()[rows]),
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": size, "line": {"width": 2, "color": colour}},
            text=[base.name(table["candidate"].iloc[row]) for row in rows],
            name=name,
            hovertemplate="<b>%{text}</b><br>predicted %{x:.1f}%, observed %{y:.1f}%<extra></extra>",
        )
    figure.update_xaxes(title=f"predicted final accuracy (%), by {method}", range=[low, high])
    return figure.update_yaxes(title="observed final accuracy (%)", range=[low, high])


def two_measurements(
    first: float, second: float, images: int, spread: tuple[float, float], dark: bool = False
) -> go.Figure:
    """What a test of so many examples would say of two candidates: two bells.

    Args:
        first, second: True accuracies, fractions.
        images: In the test set.
        spread: Range of the axis, fractions.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    grid = np.linspace(*spread, 400)
    for number, (name, truth) in enumerate((("candidate A", first), ("candidate B", second))):
        error = np.sqrt(truth * (1 - truth) / images)
        density = np.exp(-0.5 * ((grid - truth) / error) ** 2) / (error * np.sqrt(2 * np.pi)) / 100
        hue = HUES[number]
        figure.add_scatter(
            x=base.percent(grid),
            y=density.astype(np.float32),
            mode="lines",
            fill="tozeroy",
            line={
                "color": hue.dark if dark else hue.light,
                "width": 2,
                "dash": "solid" if number == 0 else "dash",
            },
            name=f"{name}: truly {100 * truth:.1f}%",
            hovertemplate="measured %{x:.1f}%<extra>" + name + "</extra>",
        )
        figure.add_vline(x=100 * truth, line={"color": base.grey(dark), "dash": "dot", "width": 1})
    figure.update_xaxes(title="measured accuracy (%)")
    return figure.update_yaxes(title="how often (per point of accuracy)", rangemode="tozero")


def slopes(
    candidates: Sequence[str], predicted: Sequence[int], observed: Sequence[int], dark: bool = False
) -> go.Figure:
    """Predicted places on the left, observed places on the right; lines that cross are pairs in the wrong order.

    Args:
        candidates: Names.
        predicted, observed: Places, 1 is the best.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    for number, (name, left, right) in enumerate(zip(candidates, predicted, observed, strict=True)):
        hue = HUES[number % len(HUES)]
        colour = hue.dark if dark else hue.light
        figure.add_scatter(
            x=["predicted", "observed"],
            y=[left, right],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"symbol": hue.symbol, "size": 12, "color": colour},
            name=base.name(name),
            hovertemplate=f"<b>{base.name(name)}</b><br>%{{x}}: place %{{y}}<extra></extra>",
        )
    figure.update_xaxes(title="", type="category", range=[-0.2, 1.2])
    return figure.update_yaxes(
        title="place (1 is the best)", autorange="reversed", tickvals=list(range(1, len(candidates) + 1))
    )


def regret_over_epochs(
    epochs: Sequence[int], regrets: Sequence[Sequence[float]], names: Sequence[str], chosen: int, dark: bool = False
) -> go.Figure:
    """Points of accuracy lost by choosing after an epoch, for some methods.

    Args:
        epochs: At which one could stop.
        regrets: For each method, per epoch, points of accuracy.
        names: Of the methods.
        chosen: The epoch that is marked.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    for number, (values, name) in enumerate(zip(regrets, names, strict=True)):
        hue = HUES[number % len(HUES)]
        colour = hue.dark if dark else hue.light
        figure.add_scatter(
            x=np.asarray(epochs),
            y=np.asarray(values, np.float32),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": ("solid", "dash", "dot")[number % 3]},
            marker={"symbol": hue.symbol, "size": 8},
            name=base.name(name),
            hovertemplate=f"{base.name(name)}, epoch %{{x}}<br>%{{y:.1f}} points lost<extra></extra>",
        )
    figure.add_vline(x=chosen, line={"color": base.grey(dark), "dash": "dash", "width": 1})
    figure.update_xaxes(title="epochs that every candidate was given", **base.whole_steps(max(epochs)))
    return figure.update_yaxes(title="regret (points of accuracy)", rangemode="tozero")
