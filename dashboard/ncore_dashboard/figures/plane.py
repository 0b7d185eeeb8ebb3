"""The picture that carries the method: accuracy against beta_eff, read where beta_eff has vanished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ncore.network.strengths import Strength
from ncore.predict.predictors.capacitance import RidgeLine
from ncore_dashboard.figures import base
from ncore_dashboard.figures.candidate_styles import Style, style_for
from ncore_dashboard.text.explanations import explanation

__all__ = ["MOST_BANDS", "MOST_PANELS", "accuracy_against_beta"]

MOST_PANELS = 12
MOST_BANDS = 12
"""Runs in one panel that have a band: those of more would hide each other, and what is below."""
_GAP = (None, None, "circle", 0, 0, "#000000", "")  # between points that no line joins


def accuracy_against_beta(
    points: pd.DataFrame,
    lines: Mapping[str, RidgeLine],
    finals: Mapping[str, float],
    styles: Mapping[str, Style],
    strength: str,
    seen: int,
    together: bool = True,
    dark: bool = False,
) -> go.Figure:
    """Each run's path through the plane of beta_eff and accuracy, with the line that is read at beta_eff = 0.

    Args:
        points: One row a run and epoch: key, candidate, seed, epoch, beta_eff, accuracy (a fraction).
        lines: Bayesian ridge lines by run (``key``), fitted to the epochs up to ``seen``.
        finals: True final accuracies (fractions) by run, where known.
        styles: Of the candidates.
        strength: Of beta_eff, for the axis.
        seen: The last epoch that was fitted; later points are hollow.
        together: All in one panel, with bands if they are few; else a panel a candidate, the first twelve by name.
        dark: For a dark background.
    """
    points = points[np.isfinite(points["beta_eff"]) & np.isfinite(points["accuracy"])].sort_values(
        "epoch", kind="stable"
    )
    if points.empty:
        return base.nothing("No epoch has both an accuracy and a finite beta_eff of this kind.", dark)
    candidates = base.ordered(points["candidate"])[: None if together else MOST_PANELS]
    columns = 1 if together else min(len(candidates), base.PANEL_COLUMNS)
    titles = [""] if together else [base.name(candidate) for candidate in candidates]
    figure = base.blank(dark) if together else base.panels(titles, columns, dark, shared=False, height=300)
    spans: dict[tuple[int, int], pd.Series] = {}
    crowded = together and points["key"].nunique() > MOST_BANDS
    traces: list[dict[str, Any]] = []
    by_candidate = dict(iter(points.groupby("candidate", sort=False)))
    for position, candidate in enumerate(candidates):
        place = (1, 1) if together else (position // columns + 1, position % columns + 1)
        rows = by_candidate[candidate]
        # Raw values of different candidates can't be compared, relative ones can: those share their range.
        spans[place] = points["beta_eff"] if together or Strength(strength).comparable else rows["beta_eff"]
        pen = _Pen(
            traces, candidate, style_for(candidate, styles), dark, 0 if together else position, crowded, together
        )
        for key, run in rows.groupby("key"):
            pen.draw(run, seen, lines.get(str(key)), finals.get(str(key), np.nan))
    traces += _key(dark, bool(lines), bool(finals))
    figure.add_traces(traces)  # at once: it takes half as long as one by one
    listed = [trace["name"] for trace in traces if trace.get("showlegend", True)]
    top = 28 + base.legend_height(listed)
    figure.update_layout(
        margin={"l": 60, "t": top, "b": 50}, shapes=[_zero(number, dark) for number in range(len(spans))]
    )
    if together:
        figure.update_layout(height=452 + top)
    for (row, column), values in spans.items():
        figure.update_xaxes(range=_around_zero(values), **({} if together else {"row": row, "col": column}))
    figure.update_xaxes(exponentformat="power", nticks=12 if together else 5)
    values = np.concatenate([points["accuracy"], [value for value in finals.values() if np.isfinite(value)]])
    room = 0.12 * (float(np.ptp(values)) or 0.1)
    # The band of a short fit can be wider than all accuracies: the points set the range, so that they can be read.
    low, high = max(values.min() - room, -0.03), min(values.max() + room, 1.04)
    figure.update_yaxes(range=[100 * low, 100 * high], showgrid=True)
    if together:
        figure.update_yaxes(title="Accuracy (%)")
        return figure.update_xaxes(title=explanation(f"beta_eff {strength}").axis)
    figure.update_yaxes(title="Accuracy (%)", col=1)
    for position in range(max(len(spans) - columns, 0), len(spans)):
        figure.update_xaxes(title=f"beta_eff, {strength}", row=position // columns + 1, col=position % columns + 1)
    return figure


@dataclass
class _Pen:
    """Draws the runs of one candidate into the panel of this number, as traces of a figure."""

    traces: list[dict[str, Any]]
    candidate: str
    style: Style
    dark: bool
    panel: int
    crowded: bool
    legend: bool

    def draw(self, run: pd.DataFrame, seen: int, line: RidgeLine | None, final: float) -> None:
        """Band, path, line, prediction and truth of one run."""
        if line is not None and not self.crowded:
            self._band(line)
        self._path(run, seen)
        self._readings(line, final)

    def _add(self, kind: str, **trace: Any) -> None:
        shown = base.name(self.candidate)
        number = self.panel + 1 if self.panel else ""
        common: dict[str, Any] = {"type": "scatter", "xaxis": f"x{number}", "yaxis": f"y{number}"}
        common |= {"name": f"{shown} ({kind})" if kind else shown, "legendgroup": shown, "showlegend": False}
        self.traces.append({**common, **trace})

    def _path(self, run: pd.DataFrame, seen: int) -> None:
        colour = self.style.colour(self.dark)
        fitted = (run["epoch"] <= seen).to_numpy()
        self._add(
            "",
            x=run["beta_eff"].to_numpy(np.float32),
            y=base.percent(run["accuracy"]),
            mode="lines+markers",
            line={"color": colour, "width": 1.5},
            marker={
                "symbol": self.style.symbol,
                "size": 9,
                "color": np.where(fitted, colour, base.paper(self.dark)).tolist(),
                "line": {"color": colour, "width": 1.5},
                "maxdisplayed": base.FEW_MARKERS if self.crowded else base.MOST_MARKERS,
            },
            showlegend=self.legend,
            customdata=run["epoch"].to_numpy(),
            hovertemplate=f"<b>{base.name(self.candidate)}</b>, seed {run['seed'].iloc[0]}<br>epoch %{{customdata}}: "
            "beta_eff %{x:.4g}, validation accuracy %{y:.1f}%<extra></extra>",
        )
        self.legend = False  # one entry a candidate

    def _band(self, line: RidgeLine) -> None:
        self._add(
            "band",
            x=np.concatenate([line.beta, line.beta[::-1]]).astype(np.float32),
            y=base.percent(np.concatenate([line.upper, line.lower[::-1]])),
            fill="toself",
            fillcolor=self.style.faint(self.dark, 0.1),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
        )

    def _readings(self, line: RidgeLine | None, final: float) -> None:
        """The fitted line, what is read from it at 0, and the truth: one trace, as each takes long to begin."""
        colour, shown = self.style.colour(self.dark), base.name(self.candidate)
        points: list[tuple[float | None, float | None, str, float, float, str, str]] = []
        if line is not None:
            zero = int(np.argmin(np.abs(line.beta)))
            low, mid, high = (float(100 * values[zero]) for values in (line.lower, line.mean, line.upper))
            cut = "" if 0 <= mid <= 100 else ", cut off at what an accuracy can be"
            said = f"h(0) = {mid:.1f}%{cut}<br>90% interval: {low:.1f} – {high:.1f}%"
            ends = [(float(line.beta[end]), float(100 * line.mean[end])) for end in (0, -1)]
            points += [(*end, "circle", 0, 0, colour, f"the fitted line<br>{said}" if end[0] else said) for end in ends]
            points += [_GAP, (0, min(max(mid, 0.0), 100.0), "circle-open", 14, 2.5, colour, said), _GAP]
        if np.isfinite(final):
            said = f"true final accuracy: {100 * final:.1f}%"
            points.append((0, 100 * final, "star", 14, 1, base.ink(self.dark), said))
        if not points:
            return
        x, y, symbols, sizes, widths, edges, texts = map(list, zip(*points, strict=True))
        self._add(
            "h(0)",
            x=x,
            y=y,
            mode="lines+markers",
            line={"color": colour, "width": 1.5, "dash": "dash"},
            marker={
                "symbol": symbols,
                "size": sizes,
                "color": colour,
                "opacity": 1,
                "line": {"width": widths, "color": edges},
            },
            cliponaxis=False,
            hovertemplate=[f"<b>{shown}</b><br>{text}<extra></extra>" for text in texts],
        )


def _key(dark: bool, lines: bool, finals: bool) -> list[dict[str, Any]]:
    """What the marks mean, in grey, as the candidates have the colours."""
    marks = [("epoch, fitted", "circle", 9), ("epoch, not seen", "circle-open", 9)]
    marks += [("prediction h(0)", "circle-open", 14)] if lines else []
    marks += [("true final accuracy", "star", 13)] if finals else []
    return [
        {
            "type": "scatter",
            "x": [None],
            "y": [None],
            "mode": "markers",
            "marker": {"symbol": symbol, "size": size, "color": base.grey(dark), "line": {"width": 1.5}},
            "name": text,
            "legendgroup": text,  # groups stand side by side
            "hoverinfo": "skip",
        }
        for text, symbol, size in marks
    ]


def _zero(panel: int, dark: bool) -> dict[str, Any]:
    """The line beta_eff = 0 in the panel of this number."""
    number = panel + 1 if panel else ""
    ends = {"x0": 0, "x1": 0, "xref": f"x{number}", "y0": 0, "y1": 1, "yref": f"y{number} domain"}
    return {"type": "line", **ends, "line": {"color": base.grey(dark), "width": 1}}


def _around_zero(values: pd.Series) -> list[float]:
    """A range that has these values and 0, with some room."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = 0.05 * (high - low or 1.0)
    return [low - room, high + room]
