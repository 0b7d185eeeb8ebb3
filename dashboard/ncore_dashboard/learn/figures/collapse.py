"""Pictures of networks that collapse: states of rest against the one number that decides them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ncore_dashboard.figures import base
from ncore_dashboard.figures.candidate_styles import HUES

__all__ = ["HEIGHT", "SYMBOLS", "outbreak", "universal_curve"]

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
HEIGHT = 430


def universal_curve(
    branches: pd.DataFrame,
    points: pd.DataFrame,
    chosen: int | None,
    tipping: float,
    state: str,
    dark: bool = False,
) -> go.Figure:
    """States of rest of the reduced equation as a curve, and whole networks as points.

    Args:
        branches: Of :class:`ncore.network.dynamics.Bifurcation`: branch, beta, x, stable.
        points: Columns beta_eff, x_eff, group, label; drawn in this order.
        chosen: Row of ``points`` that is marked.
        tipping: beta_eff at which the state of rest jumps or vanishes.
        state: Title of the vertical axis.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    for number, (_, branch) in enumerate(branches.groupby("branch", sort=False)):
        stable = bool(branch["stable"].iloc[0])
        figure.add_scatter(
            x=branch["beta"].to_numpy(np.float32),
            y=branch["x"].to_numpy(np.float32),
            mode="lines",
            line={"color": base.ink(dark), "width": 2, "dash": "solid" if stable else "dot"},
            name="one equation: at rest" if stable else "one equation: at rest, but unstable",
            legendgroup=str(stable),
            showlegend=not any(
                bool(other["stable"].iloc[0]) == stable
                for _, other in list(branches.groupby("branch", sort=False))[:number]
            ),
            hoverinfo="skip",
        )
    for number, (group, rows) in enumerate(points.groupby("group", sort=False)):
        figure.add_scatter(
            x=rows["beta_eff"].to_numpy(np.float32),
            y=rows["x_eff"].to_numpy(np.float32),
            mode="markers",
            marker={
                "color": HUES[number % len(HUES)].dark if dark else HUES[number % len(HUES)].light,
                "symbol": SYMBOLS[number % len(SYMBOLS)],
                "size": 9,
            },
            name=base.name(group),
            text=[base.name(label) for label in rows["label"]],
            hovertemplate="%{text}<br>beta_eff %{x:.2f}<br>x_eff %{y:.3g}<extra></extra>",
        )
    figure.add_vline(
        x=tipping,
        line={"color": base.grey(dark), "dash": "dash", "width": 1},
        annotation={"text": "tipping point", "font": {"color": base.grey(dark)}, "yanchor": "top"},
    )
    if chosen is not None:
        _mark(figure, points["beta_eff"].iloc[chosen], points["x_eff"].iloc[chosen], "your network", dark)
    figure.update_xaxes(title="effective coupling beta_eff (link weight)", rangemode="tozero")
    return figure.update_yaxes(title=state, rangemode="tozero")


def outbreak(
    shares: Sequence[float],
    full: Sequence[float],
    reduced: Sequence[float],
    ends: float | None,
    dark: bool = False,
) -> go.Figure:
    """Infected share of a town against the share that is vaccinated.

    Args:
        shares: Vaccinated, in [0, 1].
        full: Infected share at rest of the whole network, in [0, 1].
        reduced: The same by the one equation.
        ends: Vaccinated share at which beta_eff R = B; None if it is not reached.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    across = base.percent(shares)
    figure.add_scatter(
        x=across,
        y=base.percent(reduced),
        mode="lines",
        line={"color": base.ink(dark), "width": 2},
        name="one equation, from beta_eff alone",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=across,
        y=base.percent(full),
        mode="markers",
        marker={"color": HUES[0].dark if dark else HUES[0].light, "size": 9},
        name="the whole town, person by person",
        hovertemplate="%{x:.0f}% vaccinated<br>%{y:.1f}% infected<extra></extra>",
    )
    if ends is not None:
        figure.add_vline(
            x=100 * ends,
            line={"color": base.grey(dark), "dash": "dash", "width": 1},
            annotation={"text": "beta_eff R = B", "font": {"color": base.grey(dark)}, "yanchor": "top"},
        )
    figure.update_xaxes(title="vaccinated (% of people)", range=[-2, 92])
    return figure.update_yaxes(title="infected at rest (% of the others)", range=[-3, 100])


def _mark(figure: go.Figure, x: float, y: float, text: str, dark: bool) -> None:
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers+text",
        marker={"size": 18, "color": "rgba(0,0,0,0)", "line": {"width": 3, "color": base.ink(dark)}},
        text=[text],
        textposition="top left",
        showlegend=False,
        hoverinfo="skip",
    )
