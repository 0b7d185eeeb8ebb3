"""The figure of the evidence view: methods against reading the last accuracy, on the benchmark."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ncore.predict import BASELINE
from ncore_dashboard.figures import base

__all__ = ["differences"]

_ROW = 26
_KINDS = (
    ("shown to be better", "circle", {False: "#0072B2", True: "#56B4E9"}),
    ("not shown to be better or worse", "diamond", {False: "#5B6670", True: "#A9B4BE"}),
    ("shown to be worse", "x", {False: "#B34700", True: "#E8894A"}),
)


def differences(table: pd.DataFrame, chosen: str, dark: bool = False) -> go.Figure:
    """Difference in Kendall's tau to the last accuracy with its 95% interval, a row a method, the best on top.

    Args:
        table: Of ``ncore_dashboard.data.track_record.differences``.
        chosen: The method that the page uses, marked.
        dark: For a dark background.
    """
    shown = table[table["difference"].notna() & (table["method"] != BASELINE) & (table["kind"] != "reference")]
    if shown.empty:
        return base.nothing("There is nothing to compare after so few epochs.", dark)
    shown = shown.sort_values("difference", ascending=False, kind="stable").reset_index(drop=True)
    shown["place"] = -shown.index
    group = pd.Series(1, shown.index).mask(shown["lower"] > 0, 0).mask(shown["upper"] < 0, 2)
    figure = base.blank(dark, height=120 + _ROW * len(shown))
    for number, (name, symbol, colours) in enumerate(_KINDS):
        rows = shown[group == number]
        if rows.empty:
            continue
        figure.add_scatter(
            x=rows["difference"],
            y=rows["place"],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": rows["upper"] - rows["difference"],
                "arrayminus": rows["difference"] - rows["lower"],
                "color": colours[dark],
                "thickness": 2,
                "width": 4,
            },
            mode="markers",
            marker={"symbol": symbol, "size": 10, "color": colours[dark]},
            name=name,
            customdata=rows[["label", "kendall", "regret", "lower", "upper"]].to_numpy(),
            hovertemplate=(
                "<b>%{customdata[0]}</b><br>Kendall's tau: %{customdata[1]:.2f}<br>difference: %{x:+.2f}<br>"
                "95% interval: %{customdata[3]:+.2f} to %{customdata[4]:+.2f}<br>"
                "regret: %{customdata[2]:.1f} points<extra></extra>"
            ),
        )
    figure.add_vline(x=0, line={"color": base.ink(dark), "width": 1})
    labels = [
        f"<b>▶ {base.name(row.label)}</b>" if row.method == chosen else base.name(row.label)
        for row in shown.itertuples()
    ]
    figure.update_yaxes(
        tickvals=shown["place"].tolist(),
        ticktext=labels,
        range=[-len(shown) + 0.4, 0.6],
        fixedrange=True,
        showgrid=True,
    )
    return figure.update_xaxes(title="Kendall's tau less that of the last accuracy", tickformat="+.1f", showgrid=True)
