"""Pictures of where the one number ends: the rest of the Hessian, uneven networks, and cancelling signs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ncore.network.strengths import Strength
from ncore_dashboard.figures import base, scales
from ncore_dashboard.figures.candidate_styles import HUES

__all__ = ["HEIGHT", "curvature", "mean_field", "signs"]

HEIGHT = 430


def curvature(whole: np.ndarray, part: np.ndarray, borders: Sequence[int], end: float, dark: bool = False) -> go.Figure:
    """Two symmetric matrices over synapses, side by side on one colour scale.

    Args:
        whole: The Hessian, (n, n).
        part: What P holds of it, (n, n).
        borders: Number of synapses in each layer.
        end: Of the colour scale, on both sides of 0.
        dark: For a dark background.
    """
    titles = ["the Hessian: all second derivatives", "of these, the interactions of the line graph"]
    figure = base.panels(titles, 2, dark, shared=False, height=HEIGHT)
    number = np.arange(1, len(whole) + 1)
    for col, matrix in ((1, whole), (2, part)):
        figure.add_heatmap(
            z=matrix.astype(np.float32),
            x=number,
            y=number,
            zmin=-end,
            zmax=end,
            colorscale=scales.scale(True, dark),
            showscale=col == 2,
            colorbar={"title": {"text": "loss per weight²"}, "thickness": 12, "nticks": 5},
            hovertemplate="synapses %{y} and %{x}<br>%{z:.3g}<extra></extra>",
            row=1,
            col=col,
        )
        for edge in np.cumsum(borders)[:-1].tolist():
            for line in (figure.add_vline, figure.add_hline):
                line(edge + 0.5, line={"color": base.grey(dark), "width": 1}, row=1, col=col)
    figure.update_xaxes(title="synapse", showgrid=False, constrain="domain")
    return figure.update_yaxes(title="synapse", showgrid=False, autorange="reversed").update_yaxes(title=None, col=2)


def mean_field(
    coupling: Sequence[float], full: Sequence[float], reduced: Sequence[float], name: str, dark: bool = False
) -> go.Figure:
    """Infected share at rest: the whole network against the one equation.

    Args:
        coupling: beta_eff R / B.
        full, reduced: Infected shares, in [0, 1].
        name: Of the network.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    figure.add_scatter(
        x=np.asarray(coupling, np.float32),
        y=base.percent(reduced),
        mode="lines",
        line={"color": base.ink(dark), "width": 2},
        name="one equation, from beta_eff alone",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=np.asarray(coupling, np.float32),
        y=base.percent(full),
        mode="markers",
        marker={"color": HUES[0].dark if dark else HUES[0].light, "size": 9},
        name=f"the whole network: {name}",
        hovertemplate="beta_eff R / B = %{x:.2f}<br>%{y:.1f}% infected<extra></extra>",
    )
    figure.update_xaxes(title="beta_eff R / B (infections per recovery)", rangemode="tozero")
    return figure.update_yaxes(title="infected at rest, x_eff (%)", range=[-3, 100])


def signs(
    steps: Sequence[int],
    signed: np.ndarray,
    conditioning: np.ndarray,
    absolute: np.ndarray,
    limit: float,
    dark: bool = False,
) -> go.Figure:
    """beta_eff by signed and by absolute strengths over training, hollow where the signs cancel.

    Args:
        steps: Training steps.
        signed, absolute: beta_eff at each.
        conditioning: Of the signed one.
        limit: Conditioning below which a value is not to be trusted.
        dark: For a dark background.
    """
    figure = base.blank(dark, HEIGHT)
    across = np.asarray(steps)
    figure.add_scatter(
        x=across,
        y=absolute.astype(np.float32),
        mode="lines",
        line={"color": HUES[1].dark if dark else HUES[1].light, "width": 2},
        name=Strength.ABSOLUTE.label,
        hovertemplate="after %{x} steps %{y:.3g}<extra>absolute</extra>",
    )
    figure.add_scatter(
        x=across,
        y=signed.astype(np.float32),
        mode="lines",
        line={"color": HUES[0].dark if dark else HUES[0].light, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    poor = conditioning < limit
    for rows, symbol, name in (
        (~poor, "circle", Strength.SIGNED.label),
        (poor, "circle-open", "signed, but the signs cancel"),
    ):
        figure.add_scatter(
            x=across[rows],
            y=signed[rows].astype(np.float32),
            mode="markers",
            marker={"color": HUES[0].dark if dark else HUES[0].light, "symbol": symbol, "size": 9},
            customdata=base.percent(conditioning[rows]),
            name=name,
            hovertemplate="after %{x} steps %{y:.3g}<br>conditioning %{customdata:.1f}%<extra>signed</extra>",
        )
    figure.update_xaxes(title="training steps", type="log")
    return figure.update_yaxes(title="beta_eff (loss per weight²)", zeroline=True, zerolinecolor=base.grey(dark))
