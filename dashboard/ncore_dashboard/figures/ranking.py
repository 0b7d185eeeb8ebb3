"""Figures of the Ranking page: from tables of ``ncore.rank`` to who is best, how sure, and at what price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ncore.scores.metrics import ACCURACY, Metric, get_metric
from ncore_dashboard.figures import base
from ncore_dashboard.figures.candidate_styles import Style, style_for

__all__ = ["bump", "forecast", "learning_curves", "price"]

_ROW = 34  # pixels a candidate


def forecast(ranking: pd.DataFrame, styles: Mapping[str, Style], dark: bool = False) -> go.Figure:
    """Predicted against observed final accuracy, one row a candidate, the best on top.

    Args:
        ranking: A table of ``ncore.rank``: candidate, predicted, lower, upper, rank, p_best, observed (fractions).
        styles: Of the candidates.
        dark: For a dark background.
    """
    table = ranking[ranking["predicted"].notna()]
    if table.empty:
        return base.nothing("No candidate can be predicted yet.", dark)
    metric = get_metric(ranking.attrs.get("metric", ACCURACY))
    figure = base.blank(dark, height=110 + _ROW * len(table))
    places = -np.arange(len(table))
    for place, row in zip(places, table.to_dict("records"), strict=True):
        style = style_for(row["candidate"], styles)
        low, mid, high = (float(one) for one in _shown([row["lower"], row["predicted"], row["upper"]], metric))
        low, high = (low, high) if metric.higher_is_better else (high, low)
        interval = metric.interval_in_words(row["lower"], row["upper"]).replace("% –", " –")
        told = f"90% interval: {'not known' if np.isnan(low) else interval}"
        low, high = np.nan_to_num([low, high], nan=mid).tolist()
        kind = row.get("kind", "predicted").replace("forecast", "predicted")
        figure.add_scatter(
            x=[mid],
            y=[place],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - mid],
                "arrayminus": [mid - low],
                "color": style.colour(dark),
                "thickness": 2.5,
                "width": 6,
            },
            mode="markers",
            marker={"color": style.colour(dark), "symbol": style.symbol, "size": 12},
            name="predicted, with 90% interval",
            showlegend=False,
            hovertemplate=(
                f"<b>{base.name(row['candidate'])}</b><br>{kind}: {metric.in_words(row['predicted'])}<br>{told}<br>"
                f"probability of being best: {100 * row['p_best']:.0f}%<extra></extra>"
            ),
        )
    known = table["observed"].notna().to_numpy()
    figure.add_scatter(
        x=_shown(table["observed"], metric)[known],
        y=places[known],
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 20, "line": {"width": 3}, "color": base.ink(dark)},
        name=f"observed final {metric.label}",
        showlegend=bool(known.any()),
        customdata=[base.name(candidate) for candidate in table["candidate"][known]],
        hovertemplate="<b>%{customdata}</b><br>observed: " + _form("x", metric) + "<extra></extra>",
    )
    figure.add_scatter(  # only for the legend: the predictions themselves have a colour each
        x=[None],
        y=[None],
        mode="markers",
        marker={"color": base.grey(dark), "size": 11},
        error_x={"type": "constant", "value": 1},
        name=_legend(table),
    )
    figure.update_yaxes(
        tickvals=places.tolist(),
        ticktext=[f"{row.rank}.  {base.name(row.candidate)}" for row in table.itertuples()],
        range=[places[-1] - 0.6, 0.6],
        fixedrange=True,
        showgrid=True,
    )
    better = "" if metric.higher_is_better else ", lower is better"
    unit = f" ({metric.unit}{better})" if metric.unit else f" ({better.removeprefix(', ')})"
    return figure.update_xaxes(title=f"Final {metric.label}{unit}", showgrid=True)


def _shown(values: Any, metric: Metric) -> np.ndarray:
    """As tables show them, float32 as in ``base.percent``."""
    return metric.shown(values).astype(np.float32)


def _form(axis: str, metric: Metric) -> str:
    """A value along an axis, in a hover label."""
    return f"%{{{axis}:.{1 if metric.unit else 3}f}}{metric.unit}"


def _legend(table: pd.DataFrame) -> str:
    """What the marks are."""
    kinds = set(table.get("kind", ["forecast"]))
    said = [word for kind, word in (("forecast", "predicted"), ("measured", "measured")) if kind in kinds]
    return f"{' or '.join(said)}, with 90% interval"


def bump(
    ranked: pd.DataFrame, styles: Mapping[str, Style], chosen: int, dark: bool = False, best_first: int = 20
) -> go.Figure:
    """How the ranking changes with the epoch as of which it is made, and the true order at the right end.

    Args:
        ranked: Tables of ``ncore.rank`` below each other, with the column ``k``.
        styles: Of the candidates.
        chosen: The epoch that the page shows, marked.
        dark: For a dark background.
        best_first: How many candidates are drawn, those that come out best.
    """
    ranked = ranked[ranked["predicted"].notna()] if len(ranked) else ranked
    if ranked.empty:
        return base.nothing("No epoch can be ranked yet.", dark)
    latest = ranked[ranked["k"] == ranked["k"].max()].set_index("candidate")
    truth = latest["observed"].dropna().rank(ascending=False, method="min")
    order = latest["observed"].fillna(-1).rank(ascending=False, method="first")
    kept = set(order.nsmallest(best_first).index)
    epochs = sorted(ranked["k"].unique())
    last, end = epochs[-1], epochs[-1] + max(1.0, 0.08 * (epochs[-1] - epochs[0]))
    figure = base.blank(dark, height=120 + 30 * len(kept))
    labelled: list[int] = []
    for candidate, rows in ranked[ranked["candidate"].isin(kept)].groupby("candidate"):
        style = style_for(str(candidate), styles)
        rows = rows.sort_values("k")
        x, y = rows["k"].tolist(), (-rows["rank"]).tolist()
        if candidate in truth:
            x, y = [*x, end], [*y, -truth[candidate]]
        shown = base.name(candidate)
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            line={"color": style.colour(dark), "dash": style.dash, "width": 2.5},
            marker={"symbol": style.symbol, "size": 9},
            name=shown,
            customdata=[f"as of epoch {k:g}: rank {-place:g}" for k, place in zip(x, y, strict=True)][: len(rows)]
            + [f"observed: rank {-place:g}" for place in y[len(rows) :]],
            hovertemplate=f"<b>{shown}</b><br>%{{customdata}}<extra></extra>",
            showlegend=False,
        )
        place = round(y[-1])
        figure.add_annotation(
            x=end if len(truth) else last,
            y=y[-1],
            text=shown,
            showarrow=False,
            xanchor="left",
            xshift=12,
            yshift=-13 * labelled.count(place),  # one without an observed rank can meet one that has it
            font={"color": style.colour(dark)},
        )
        labelled.append(place)
    longest = max(len(base.name(str(candidate))) for candidate in kept)
    figure.update_layout(margin_r=min(24 + 6 * longest, 260))  # the names stand outside the axes, whatever their width
    figure.add_vline(x=chosen, line={"color": base.grey(dark), "dash": "dot", "width": 1.5})
    ticks = [k for k in epochs if len(epochs) <= 12 or k in epochs[:: max(1, len(epochs) // 8)]]
    labels = [f"{k}" for k in ticks]
    if len(truth):
        ticks, labels = [*ticks, end], [*labels, "<br>observed"]  # below the epochs, however narrow the figure is
    figure.update_xaxes(
        title="As of epoch",
        tickvals=ticks,
        ticktext=labels,
        tickangle=0,
        range=[epochs[0] - 0.03 * last - 0.1, end + 0.02 * (end - epochs[0]) + 0.05],
    )
    lowest = int(ranked["rank"].max())
    return figure.update_yaxes(
        title="Rank",
        tickvals=[-place for place in range(1, lowest + 1)],
        ticktext=[f"{place}" for place in range(1, lowest + 1)],
        showgrid=True,
    )


def price(prices: pd.DataFrame, chosen: int, dark: bool = False) -> go.Figure:
    """Regret of the first choice and compute saved, had one stopped at each epoch.

    Args:
        prices: Columns k, label (of the method), choice, regret (accuracy points) and saved (per cent).
        chosen: The epoch that the page shows, marked.
        dark: For a dark background.
    """
    if prices.empty or prices[["regret", "saved"]].isna().all().all():
        return base.nothing("Neither a final accuracy nor a time is known yet.", dark)
    figure = base.blank(dark, height=420)
    panels = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1)
    figure = go.Figure(panels).update_layout(figure.layout.to_plotly_json() | _axes_of(panels))
    looks = ((base.ink(dark), "solid", "circle"), (base.grey(dark), "dot", "x"))
    for (label, rows), (colour, dash, symbol) in zip(prices.groupby("label", sort=False), looks, strict=False):
        choices = [base.name(choice) for choice in rows["choice"]]
        for row, column, unit in ((1, "regret", "points"), (2, "saved", "%")):
            figure.add_scatter(
                x=rows["k"],
                y=rows[column],
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                marker={"symbol": symbol, "size": 7},
                name=str(label),
                legendgroup=str(label),
                showlegend=row == 1,
                cliponaxis=False,
                customdata=choices,
                hovertemplate=f"<b>{label}</b><br>as of epoch %{{x}}: %{{y:.2f}} {unit}<br>"
                "first choice: %{customdata}<extra></extra>",
                row=row,
                col=1,
            )
    figure.add_vline(x=chosen, line={"color": base.grey(dark), "dash": "dot", "width": 1.5})
    figure.update_yaxes(title="Regret (points)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="Compute saved (%)", row=2, col=1)
    return figure.update_xaxes(title="As of epoch", row=2, col=1, **base.whole_steps(prices["k"].max()))


def learning_curves(
    table: pd.DataFrame,
    styles: Mapping[str, Style],
    chosen: int | None = None,
    dark: bool = False,
    metric: Metric | None = None,
) -> go.Figure:
    """Validation accuracy over epochs, mean and band over seeds.

    Args:
        table: Columns candidate, seed, epoch and accuracy (fractions), one row a run and epoch.
        styles: Of the candidates.
        chosen: The epoch up to which a prediction sees, marked; what is later is shaded.
        dark: For a dark background.
        metric: Of what the column accuracy is, on its scale; the accuracy by default.
    """
    if table.empty:
        return base.nothing("No epoch is finished yet.", dark)
    metric = metric or get_metric(ACCURACY)
    if not metric.higher_is_better:
        table = table.assign(accuracy=metric.off_scale(table["accuracy"]))
    figure = base.blank(dark, height=400)
    means = base.over_seeds(table, ["candidate", "epoch"], "accuracy")
    for candidate in base.ordered(means["candidate"]):
        base.add_band(
            figure,
            means[means["candidate"] == candidate],
            "epoch",
            candidate,
            style_for(candidate, styles),
            dark=dark,
            hover=f"epoch %{{x}}: {_form('y', metric)}",
            scale=100 if metric.unit else 1,
        )
    last = float(table["epoch"].max())
    if chosen is not None and chosen < last:
        figure.add_vrect(x0=chosen, x1=last, fillcolor=base.grey(dark), opacity=0.1, line_width=0, layer="below")
        figure.add_annotation(
            x=chosen,
            y=0,
            yref="paper",
            text="not seen →",
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            xshift=4,
            font={"color": base.grey(dark)},
        )
    figure.update_xaxes(title="Epoch", **base.whole_steps(last))
    unit = f" ({metric.unit})" if metric.unit else ""
    return figure.update_yaxes(title=f"Validation {metric.label}{unit}", showgrid=True)


def _axes_of(panels: go.Figure) -> dict[str, object]:
    return {key: value for key, value in panels.layout.to_plotly_json().items() if key.startswith(("xaxis", "yaxis"))}
