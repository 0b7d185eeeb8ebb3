"""What all figures share: layout, axes, bands, and how names become labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ncore_dashboard.figures.candidate_styles import Style
from ncore_dashboard.figures.sketch import Sketch
from ncore_dashboard.text.plaintext import figure as label_text
from ncore_dashboard.text.plaintext import plain

__all__ = [
    "FEW_MARKERS",
    "MOST_MARKERS",
    "NAME_LENGTH",
    "PANEL_COLUMNS",
    "add_band",
    "blank",
    "grey",
    "ink",
    "legend_height",
    "name",
    "nothing",
    "ordered",
    "over_seeds",
    "panels",
    "paper",
    "percent",
    "whole_steps",
]

NAME_LENGTH = 32
PANEL_COLUMNS = 3
MOST_MARKERS = 24
"""Markers of a line at most: each takes the browser as long as the line does; hover labels are at all points."""
FEW_MARKERS = 8
"""The same where lines are many, and told apart by single markers; who zooms in sees more of them."""
_LEGEND_WIDTH = 1000  # pixels
_GREY = {False: "#5B6670", True: "#A9B4BE"}
_PAPER = {False: ("#FFFFFF", "#0A0F16", "#E3E8ED"), True: ("#11161D", "#E8EDF2", "#2D3844")}


def grey(dark: bool) -> str:
    """For what belongs to no candidate: reference lines, observed values, notes."""
    return _GREY[dark]


def ink(dark: bool) -> str:
    """The colour of text and of outlines."""
    return _PAPER[dark][1]


def paper(dark: bool) -> str:
    """The background."""
    return _PAPER[dark][0]


def name(candidate: object) -> str:
    """A name as a label of a figure: escaped, and shortened in its middle, as names often differ at their ends.

    Example:
        >>> name("timm:convnextv2_base.fcmae_ft_in22k_in1k_384")
        'timm:convnextv2_bas…22k_in1k_384'
    """
    shown = plain(candidate)
    if len(shown) > NAME_LENGTH:
        shown = f"{shown[: NAME_LENGTH - 13]}…{shown[-12:]}"
    return label_text(shown)


def blank(dark: bool, height: int = 380) -> go.Figure:
    """An empty figure. Its colours are in the template, so that whoever takes it over can put others before them."""
    background, text, lines = _PAPER[dark]
    axis = {"gridcolor": lines, "zeroline": False, "linecolor": lines, "automargin": True}
    family = '"Source Sans", "Source Sans 3", Helvetica, Arial, sans-serif'
    look = {
        "paper_bgcolor": background,
        "plot_bgcolor": background,
        "font": {"color": text, "family": family, "size": 13},
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": {"bgcolor": background, "font": {"color": text}, "align": "left", "namelength": -1},
    }
    return Sketch.of(
        {
            "template": {"layout": look},
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "hovermode": "closest",
            "dragmode": "zoom",
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0, "itemwidth": 30},
        }
    )


def panels(titles: Sequence[str], columns: int, dark: bool, shared: bool, height: int) -> go.Figure:
    """Panels in rows, ``height`` pixels each."""
    rows = -(-len(titles) // columns)
    grid = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=list(titles),
        shared_yaxes="all" if shared else False,
        horizontal_spacing=0.06,
        vertical_spacing=min(0.3, 95 / (height * rows)),
    )
    single = blank(dark, height=height * rows + 60)
    grid.update_layout(
        template=single.layout.template,
        height=single.layout.height,
        hovermode="closest",
        dragmode="zoom",
        legend=single.layout.legend,
    )
    return grid.update_layout(margin={"l": 58, "r": 8, "t": 40, "b": 44}, legend={"y": 1 + 34 / (height * rows + 60)})


def legend_height(names: Iterable[str]) -> int:
    """About how many pixels a legend of these names takes above a chart of a usual width.

    Plotly draws a chart again if its margins turn out too small, so figures ask for the room that they will need.
    """
    rows, used = 0, math.inf
    for text in names:
        width = 42 + 6.4 * len(text)
        if used + width > _LEGEND_WIDTH:
            rows, used = rows + 1, 0.0
        used += width
    return 30 * rows


def nothing(text: str, dark: bool, height: int = 200) -> go.Figure:
    """A figure that only says why it is empty."""
    figure = blank(dark, height)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    return figure.add_annotation(
        text=label_text(text), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"color": grey(dark)}
    )


def percent(values: Any) -> np.ndarray:
    """Fractions as per cent, float32 because so it is sent as bytes and is exact enough to draw."""
    return (100 * np.asarray(values, dtype=np.float64)).astype(np.float32)


def whole_steps(last: float) -> dict[str, Any]:
    """Ticks of an axis of epochs: whole numbers only."""
    return {"dtick": 1} if last <= 12 else {"tickformat": "d", "nticks": 12}


def over_seeds(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Mean, lowest and highest ``value`` over the rows that agree in ``by``, and how many they are.

    Returns:
        Columns ``by``, mean, low, high and n; groups without a finite value are left out.
    """
    groups = table[np.isfinite(table[value].to_numpy(np.float64))].groupby(list(by), sort=True)[value]
    return groups.agg(mean="mean", low="min", high="max", n="count").reset_index()


def add_band(
    figure: go.Figure,
    table: pd.DataFrame,
    x: str,
    candidate: str,
    style: Style,
    *,
    dark: bool,
    hover: str,
    scale: float = 1.0,
    row: int | None = None,
    col: int | None = None,
    legend: bool = True,
    markers: int = MOST_MARKERS,
) -> None:
    """Draw what :func:`over_seeds` returned for one candidate: the mean as a line, from lowest to highest as a band.

    Args:
        figure: That is drawn into.
        table: Columns ``x``, mean, low, high and n, as :func:`over_seeds` returns them.
        x: Name of the column along the axis.
        candidate: Whose band it is.
        style: How it is drawn.
        dark: For a dark background.
        hover: Template of the hover label after the candidate's name; has ``%{x}`` and ``%{y}``.
        scale: By which values are multiplied.
        row: Of the panel, where there are several.
        col: Of the panel.
        legend: Whether the candidate is named in it.
        markers: At most.
    """
    across = table[x].to_numpy()
    low, mean, high = (
        (scale * table[column].to_numpy(np.float64)).astype(np.float32) for column in ("low", "mean", "high")
    )
    shown, counts = name(candidate), table["n"].to_numpy()
    same = len(set(counts.tolist())) == 1
    if counts.max() > 1:
        figure.add_scatter(
            x=np.concatenate([across, across[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=style.faint(dark),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            name=f"{shown} (seeds)",
            legendgroup=shown,
            showlegend=False,
            row=row,
            col=col,
        )
    figure.add_scatter(
        x=across,
        y=mean,
        mode="lines+markers",
        line={"color": style.colour(dark), "dash": style.dash, "width": 2},
        marker={"symbol": style.symbol, "size": 7, "maxdisplayed": markers},
        name=shown,
        legendgroup=shown,
        showlegend=legend,
        customdata=None if same else counts,
        hovertemplate=f"<b>{shown}</b><br>{hover}<br>seeds: {counts[0] if same else '%{customdata}'}<extra></extra>",
        row=row,
        col=col,
    )


def ordered(candidates: Iterable[str]) -> list[str]:
    """Names once each, in the order in which legends list them."""
    return sorted(dict.fromkeys(candidates), key=str.casefold)
