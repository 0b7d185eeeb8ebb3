"""beta_eff over epochs, of the whole graph and by layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ncore.network.capacitance import ILL_CONDITIONED_BELOW
from ncore_dashboard.figures import base
from ncore_dashboard.figures.candidate_styles import Style, style_for
from ncore_dashboard.text.explanations import explanation

__all__ = ["MOST_MARKED", "by_layer", "over_epochs"]

MOST_MARKED = 12
"""Candidates whose lines have many markers."""


def over_epochs(
    table: pd.DataFrame, styles: Mapping[str, Style], strength: str, log: bool = False, dark: bool = False
) -> go.Figure:
    """beta_eff of the whole graph over epochs, mean and band over seeds; ill-conditioned points are crossed out.

    Args:
        table: Rows of ``Run.capacitance()`` with the columns candidate and seed, of one strength.
        styles: Of the candidates.
        strength: "relative", "absolute" or "signed", for the axis.
        log: Logarithmic; values that are not positive are left out, which the page says.
        dark: For a dark background.
    """
    whole = _whole(table)
    if log:
        whole = whole[whole["beta_eff"] > 0]
    if whole.empty:
        return base.nothing("There is no beta_eff of this kind to show.", dark)
    means = base.over_seeds(whole, ["candidate", "epoch"], "beta_eff")
    candidates = base.ordered(means["candidate"])
    top = 18 + base.legend_height(map(base.name, candidates))
    figure = base.blank(dark, height=372 + top).update_layout(margin={"l": 64, "t": top, "b": 50})
    for candidate in candidates:
        base.add_band(
            figure,
            means[means["candidate"] == candidate],
            "epoch",
            candidate,
            style_for(candidate, styles),
            dark=dark,
            hover="epoch %{x}: beta_eff %{y:.4g}",
            markers=base.MOST_MARKERS if len(candidates) <= MOST_MARKED else base.FEW_MARKERS,
        )
    bad = whole[~(whole["conditioning"] >= ILL_CONDITIONED_BELOW)]
    if len(bad):
        bad = bad.merge(means, on=["candidate", "epoch"])
        figure.add_scatter(
            x=bad["epoch"],
            y=bad["mean"].to_numpy(np.float32),
            mode="markers",
            marker={"symbol": "x-thin", "size": 11, "line": {"width": 2, "color": base.ink(dark)}},
            name=f"ill-conditioned (below {ILL_CONDITIONED_BELOW:g})",
            customdata=np.stack(
                [
                    [base.name(text) for text in bad["candidate"]],
                    bad["seed"].astype(str),
                    [f"{c:.3g}" for c in bad["conditioning"]],
                ],
                axis=1,
            ),
            hovertemplate="<b>%{customdata[0]}</b>, seed %{customdata[1]}<br>conditioning: %{customdata[2]}"
            "<br>size and sign are accidental<extra></extra>",
        )
    figure.update_xaxes(title="Epoch (0: before training)", **base.whole_steps(whole["epoch"].max()))
    _beta_axis(figure, strength, log)
    return figure


def by_layer(
    table: pd.DataFrame, styles: Mapping[str, Style], strength: str, log: bool = False, dark: bool = False
) -> go.Figure:
    """The part of beta_eff that passes through each layer, a panel a layer; arguments as in :func:`over_epochs`."""
    parts = table[(table["layer"] > 0) & np.isfinite(table["beta_eff"])]
    # The first layer drives none and nothing drives the last one: their parts are zero by construction. With signs and
    # cross-entropy that of the layer before the last one is zero too, but for rounding.
    largest = parts["beta_eff"].abs().max()
    used = [layer for layer, rows in parts.groupby("layer") if rows["beta_eff"].abs().max() > 1e-6 * largest]
    parts = parts[parts["layer"].isin(used) & ((parts["beta_eff"] > 0) | (not log))]
    if parts.empty:
        return base.nothing("There is no part of a layer to show.", dark)
    columns = min(len(used), base.PANEL_COLUMNS)
    figure = base.panels([f"Layer {layer}" for layer in used], columns, dark, shared=True, height=320)
    means = base.over_seeds(parts, ["candidate", "layer", "epoch"], "beta_eff")
    for candidate in base.ordered(means["candidate"]):
        legend = True
        for position, layer in enumerate(used):
            rows = means[(means["candidate"] == candidate) & (means["layer"] == layer)]
            if rows.empty:
                continue
            base.add_band(
                figure,
                rows,
                "epoch",
                candidate,
                style_for(candidate, styles),
                dark=dark,
                hover=f"layer {layer}, epoch %{{x}}: %{{y:.4g}}",
                row=position // columns + 1,
                col=position % columns + 1,
                legend=legend,
            )
            legend = False
    figure.update_xaxes(title="Epoch", **base.whole_steps(parts["epoch"].max()))
    figure.update_yaxes(type="log" if log else "linear", exponentformat="power", showgrid=True)
    return figure.update_yaxes(title=f"Part of {explanation(f'beta_eff {strength}').axis}", col=1)


def _beta_axis(figure: go.Figure, strength: str, log: bool) -> None:
    figure.update_yaxes(
        title=explanation(f"beta_eff {strength}").axis,
        type="log" if log else "linear",
        exponentformat="power",
        showgrid=True,
        rangemode="normal" if log else "tozero",
    )


def _whole(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the whole graph with a finite beta_eff."""
    return table[(table["layer"] == 0) & np.isfinite(table["beta_eff"])] if len(table) else table
