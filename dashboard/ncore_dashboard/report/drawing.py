"""Pictures of a report as inline SVG: no script, no file beside the page, crisp on paper.

Plotly's own library would add five megabytes to each report. Colours come from the style sheet of the page: a mark
of a candidate carries one for light and one for dark backgrounds.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
import pandas as pd

from ncore.scores.metrics import ACCURACY, Metric, get_metric
from ncore_dashboard.figures import base
from ncore_dashboard.figures.candidate_styles import Style, style_for
from ncore_dashboard.text.plaintext import plain

__all__ = ["MOST", "WIDTH", "Canvas", "Scale", "forecast", "learning_curves", "ranks"]

WIDTH = 760
MOST = 20
"""Candidates that are drawn at most, the best first."""
_LETTER = 7.1  # pixels of an average letter at 13 px
_NAME = 30
_DASHES = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3"}


@dataclass
class Canvas:
    """An SVG under construction.

    Attributes:
        title, text: What the picture shows, for those who don't see it.
        height: In pixels; the width is always the same.
    """

    title: str
    text: str
    height: float
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line of a class of the style sheet."""
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def write(self, x: float, y: float, text: object, kind: str = "", anchor: str = "start") -> None:
        """A text whose vertical middle is at y."""
        classes = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text{classes} x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="{anchor}">{_safe(text)}</text>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """A rectangle."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"/>'
        )

    def path(self, x: np.ndarray, y: np.ndarray, style: Style) -> None:
        """A line through points, in a candidate's colour and dash."""
        dash = f' stroke-dasharray="{_DASHES[style.dash]}"' if _DASHES[style.dash] else ""
        self.parts.append(f'<polyline class="mark path"{_ink(style)}{dash} points="{_points(x, y)}"/>')

    def area(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, style: Style) -> None:
        """The band between two lines."""
        around = _points(np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]]))
        self.parts.append(f'<polygon class="mark area"{_ink(style)} points="{around}"/>')

    def marker(self, x: float, y: float, style: Style, size: float = 6.0) -> None:
        """A candidate's marker."""
        self.parts.append(f'<path class="mark dot"{_ink(style)} d="{_shape(style.symbol, x, y, size)}"/>')

    def svg(self) -> str:
        """The whole picture."""
        label = escape(plain(f"{self.title}. {self.text}"))
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height:.0f}" role="img" aria-label="{label}">{"".join(self.parts)}</svg>'
        )


@dataclass(frozen=True)
class Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """One value."""
        return self.start + (value - self.low) / ((self.high - self.low) or 1.0) * (self.end - self.start)

    def all(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Many values."""
        return np.array([self.at(float(value)) for value in values])


def forecast(ranking: pd.DataFrame, styles: Mapping[str, Style]) -> str:
    """Predicted final accuracy with its interval, and the observed one; a row a candidate.

    Args:
        ranking: Rows of ``ncore.rank`` that have a prediction.
        styles: Of the candidates.
    """
    table, metric = ranking.head(MOST), get_metric(ranking.attrs.get("metric", ACCURACY))
    factor, most = (100.0, 102.0) if metric.unit else (1.0, math.inf)
    step, top = 30, 58
    left = 44 + _LETTER * max(_width(_short(name)) for name in table["candidate"])
    canvas = Canvas(
        "Ranking",
        f"Predicted final {metric.label} of {len(table)} candidates with 90% intervals, and the observed one.",
        top + step * len(table) + 44,
    )
    values = metric.shown(table[["lower", "predicted", "upper", "observed"]].to_numpy(np.float64))
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.06 * (high - low or 0.1 * factor)
    scale = Scale(max(low - room, -0.02 * factor), min(high + room, most), left + 12, WIDTH - 176)
    bottom = top + step * len(table)
    _vertical_grid(
        canvas,
        scale,
        _ticks(max(scale.low, 0), min(scale.high, factor if metric.unit else most), 6),
        top,
        bottom,
        metric.unit,
    )
    better = "" if metric.higher_is_better else ", lower is better"
    canvas.write((scale.start + scale.end) / 2, bottom + 34, f"Final {metric.label}{better}", "muted", "middle")
    columns = (WIDTH - 56, WIDTH - 4)
    kinds = set(table["kind"])
    head = "predicted" if "measured" not in kinds else "accuracy" if "forecast" in kinds else "measured"
    canvas.write(columns[0], top - 14, head, "muted", "end")
    canvas.write(columns[1], top - 14, "is best", "muted", "end")
    known = bool(table["observed"].notna().any())
    _key(canvas, min(left + 12, WIDTH - 410.0), known, head)
    for place, row in enumerate(table.to_dict("records")):
        y, style = top + step * (place + 0.5), style_for(row["candidate"], styles)
        canvas.write(30, y, f"{row['rank']}.", "muted", "end")
        canvas.write(left, y, _short(row["candidate"]), anchor="end")
        if not math.isnan(row["lower"]):
            x1, x2 = sorted(scale.at(float(metric.shown(row[name]))) for name in ("lower", "upper"))
            canvas.parts.append(
                f'<path class="mark path"{_ink(style)} '
                f'd="M{x1:.1f} {y:.1f}H{x2:.1f}M{x1:.1f} {y - 4:.1f}v8M{x2:.1f} {y - 4:.1f}v8"/>'
            )
        canvas.marker(scale.at(float(metric.shown(row["predicted"]))), y, style)
        if not math.isnan(row["observed"]):
            x = scale.at(float(metric.shown(row["observed"])))
            canvas.line(x, y - 11, x, y + 11, "observed")
        canvas.write(columns[0], y, metric.in_words(row["predicted"]), anchor="end")
        canvas.write(columns[1], y, f"{100 * row['p_best']:.0f}%", anchor="end")
    return canvas.svg()


def learning_curves(
    table: pd.DataFrame,
    kept: Sequence[str],
    styles: Mapping[str, Style],
    k: int,
    end: int,
    metric: Metric | None = None,
) -> str:
    """Validation accuracy over epochs, mean and range over seeds; what was not seen is shaded.

    Args:
        table: Columns candidate, seed, epoch and accuracy (fractions).
        kept: Candidates to draw.
        styles: Of the candidates.
        k: The last epoch that was seen.
        end: The epoch at which training ends.
        metric: Of what the column accuracy is, on its scale; the accuracy by default.
    """
    metric = metric or get_metric(ACCURACY)
    table = table[table["candidate"].isin(list(kept)[:MOST])]
    factor = 100.0 if metric.unit else 1.0
    if not metric.higher_is_better:
        table = table.assign(accuracy=metric.off_scale(table["accuracy"]))
    means = base.over_seeds(table, ["candidate", "epoch"], "accuracy")
    height = max(360.0, 70 + 17.0 * means["candidate"].nunique())
    right = WIDTH - 34 - _LETTER * max(_width(_short(name)) for name in means["candidate"])
    canvas = Canvas(
        "Learning curves",
        f"Validation {metric.label} of {means['candidate'].nunique()} candidates over {int(table['epoch'].max())} "
        "epochs.",
        height,
    )
    low, high = factor * float(means["low"].min()), factor * float(means["high"].max())
    room = 0.04 * (high - low or 0.1 * factor)
    across = Scale(min(1, k), max(float(table["epoch"].max()), k + 0.5, min(end, 2)), 52, right)
    up = Scale(max(low - room, 0), min(high + room, 100) if metric.unit else high + room, height - 48, 22)
    ends: dict[str, float] = {}
    if k < across.high:
        canvas.box(across.at(k), up.end, across.end - across.at(k), up.start - up.end, "unseen")
    _horizontal_grid(canvas, up, _ticks(up.low, up.high, 6), across.start, across.end, metric.unit)
    for tick in _whole_ticks(across.low, across.high, 10):
        canvas.write(across.at(tick), up.start + 14, f"{tick}", "muted", "middle")
    canvas.write((across.start + across.end) / 2, height - 12, "Epoch", "muted", "middle")
    canvas.write(4, 8, f"Validation {metric.label}", "muted")
    for name in base.ordered(means["candidate"]):
        rows, style = means[means["candidate"] == name], style_for(name, styles)
        x = across.all(rows["epoch"].to_numpy())
        low_, mid, high_ = (up.all(factor * rows[column].to_numpy()) for column in ("low", "mean", "high"))
        if (rows["n"] > 1).any():
            canvas.area(x, low_, high_, style)
        canvas.path(x, mid, style)
        every = max(1, math.ceil(len(x) / 12))
        for px, py in list(zip(x, mid, strict=True))[::-every]:
            canvas.marker(px, py, style, 3.5)
        ends[name] = float(mid[-1])
    canvas.line(across.at(k), up.end, across.at(k), up.start, "cut")
    at_right = across.at(k) > (across.start + across.end) / 2
    shift = -6 if at_right else 6
    canvas.write(
        across.at(k) + shift,
        up.start - 12,
        f"seen up to epoch {k}" if at_right else "not seen →",
        "muted",
        "end" if at_right else "start",
    )
    _labels_at_end(canvas, ends, right + 6, up, styles)
    return canvas.svg()


def ranks(ranked: pd.DataFrame, kept: Sequence[str], styles: Mapping[str, Style], k: int) -> str:
    """Rank of each candidate as of every epoch, and by the final accuracy at the right end where it is known.

    Args:
        ranked: Rankings below each other, with the column ``k``.
        kept: Candidates to draw; ranks count all candidates.
        styles: Of the candidates.
        k: The epoch of the report, marked.
    """
    ranked = ranked[ranked["predicted"].notna()]
    latest = ranked[ranked["k"] == ranked["k"].max()].set_index("candidate")
    truth = latest["observed"].dropna().rank(ascending=False, method="min")
    ranked = ranked[ranked["candidate"].isin(list(kept)[:MOST])]
    epochs, lowest = sorted(ranked["k"].unique()), int(ranked["rank"].max())
    lowest = max([lowest, *(int(truth[name]) for name in kept if name in truth)])
    height = 84 + 27.0 * lowest
    right = WIDTH - 34 - _LETTER * max(_width(_short(name)) for name in ranked["candidate"])
    final = len(truth) > 1
    canvas = Canvas(
        "The ranking as epochs pass",
        f"Rank of each candidate as of epochs {epochs[0]} to {epochs[-1]}{', and by final accuracy' if final else ''}.",
        height,
    )
    across = Scale(float(epochs[0]), max(float(epochs[-1]), epochs[0] + 1.0), 46, right - (74 if final else 0))
    up = Scale(1, max(lowest, 2), 34, height - 62)
    for place in range(1, lowest + 1):
        canvas.write(30, up.at(place), f"{place}", "muted", "end")
        canvas.line(across.start, up.at(place), right, up.at(place), "grid")
    for tick in _whole_ticks(across.low, across.high, 10):
        canvas.write(across.at(tick), height - 34, f"{tick}", "muted", "middle")
    canvas.write((across.start + across.end) / 2, height - 12, "Ranked as of epoch", "muted", "middle")
    canvas.write(4, 8, "Rank", "muted")
    if final:
        canvas.write(right, height - 34, "observed", "muted", "middle" if right < WIDTH - 40 else "end")
    canvas.line(across.at(k), 20, across.at(k), height - 46, "cut")
    ends: dict[str, float] = {}
    for name, rows in ranked.groupby("candidate"):
        rows, style = rows.sort_values("k"), style_for(str(name), styles)
        x, y = across.all(rows["k"].to_numpy()), up.all(rows["rank"].to_numpy())
        if final and name in truth:
            x, y = np.append(x, right), np.append(y, up.at(truth[name]))
        canvas.path(x, y, style)
        for px, py in zip(x, y, strict=True):
            canvas.marker(px, py, style, 4.5)
        ends[str(name)] = float(y[-1])
    _labels_at_end(canvas, ends, right - 5, up, styles)
    return canvas.svg()


def _labels_at_end(
    canvas: Canvas, ends: Mapping[str, float], x: float, scale: Scale, styles: Mapping[str, Style]
) -> None:
    """Names beside the ends of their lines, moved apart where they would overlap.

    A marker says which line is meant: as letters, many of the colours would be too pale to read.
    """
    gap, order = 16.0, sorted(ends, key=lambda name: ends[name])
    low, high = sorted((scale.start, scale.end))
    places: list[float] = []
    for name in order:
        places.append(max(ends[name], places[-1] + gap if places else low))
    limit = max(high, low + gap * (len(order) - 1))
    for index in range(len(places) - 1, -1, -1):
        places[index] = min(places[index], limit)
        limit = places[index] - gap
    for name, y in zip(order, places, strict=True):
        canvas.marker(x + 5, y, style_for(name, styles), 4.5)
        canvas.write(x + 15, y, _short(name))


def _vertical_grid(canvas: Canvas, scale: Scale, ticks: Sequence[float], top: float, bottom: float, unit: str) -> None:
    for tick in ticks:
        canvas.line(scale.at(tick), top, scale.at(tick), bottom, "grid")
        canvas.write(scale.at(tick), bottom + 14, f"{tick:g}{unit}", "muted", "middle")


def _horizontal_grid(
    canvas: Canvas, scale: Scale, ticks: Sequence[float], left: float, right: float, unit: str
) -> None:
    for tick in ticks:
        canvas.line(left, scale.at(tick), right, scale.at(tick), "grid")
        canvas.write(left - 8, scale.at(tick), f"{tick:g}{unit}", "muted", "end")


def _key(canvas: Canvas, x: float, known: bool, head: str) -> None:
    y = 12.0
    canvas.parts.append(f'<path class="keymark" d="M{x:.1f} {y}h30m-30 -4v8m30 -8v8"/>')
    canvas.parts.append(f'<circle class="keydot" cx="{x + 15:.1f}" cy="{y}" r="5"/>')
    canvas.write(x + 38, y, f"{head}, with 90% interval", "muted")
    if known:
        canvas.line(x + 250, y - 9, x + 250, y + 9, "observed")
        canvas.write(x + 260, y, "observed at the end", "muted")


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round values from ``low`` to ``high``.

    Example:
        >>> _ticks(13, 99, 5)
        [20, 40, 60, 80]
    """
    raw = (high - low or 1) / about
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    found = [round(step * count, 9) for count in range(first, math.floor(high / step + 1e-9) + 1)]
    return [int(value) if value == int(value) else value for value in found]


def _whole_ticks(low: float, high: float, about: int) -> list[int]:
    return (
        [int(tick) for tick in _ticks(low, high, about) if tick == int(tick)]
        if high - low > about
        else list(range(math.ceil(low), math.floor(high) + 1))
    )


def _shape(symbol: str, x: float, y: float, r: float) -> str:
    """Outline of a marker, by Plotly's name."""
    if symbol == "circle":
        return f"M{x - r:.1f} {y:.1f}a{r:.1f} {r:.1f} 0 1 0 {2 * r:.1f} 0a{r:.1f} {r:.1f} 0 1 0 {-2 * r:.1f} 0Z"
    if symbol == "cross":
        a = r / 3
        return (
            f"M{x - a:.1f} {y - r:.1f}h{2 * a:.1f}v{r - a:.1f}h{r - a:.1f}v{2 * a:.1f}h{a - r:.1f}v{r - a:.1f}"
            f"h{-2 * a:.1f}v{a - r:.1f}h{a - r:.1f}v{-2 * a:.1f}h{r - a:.1f}Z"
        )
    corners = {"square": 4, "diamond": 4, "triangle-up": 3, "triangle-down": 3, "pentagon": 5, "star": 10}[symbol]
    turn = {"square": 45, "triangle-down": 60}.get(symbol, 0) - 90
    angles = np.radians(turn + 360 / corners * np.arange(corners))
    radii = np.where(np.arange(corners) % 2, 0.45, 1.25) * r if symbol == "star" else np.full(corners, 1.2 * r)
    return f"M{_points(x + radii * np.cos(angles), y + radii * np.sin(angles), 'L')}Z"


def _points(x: np.ndarray, y: np.ndarray, between: str = " ") -> str:
    return between.join(f"{px:.1f} {py:.1f}" for px, py in zip(x, y, strict=True))


def _ink(style: Style) -> str:
    return f' style="--l:{style.colour()};--d:{style.colour(dark=True)}"'


def _safe(text: object) -> str:
    return escape(plain(text))


def _short(name: object) -> str:
    """A name of at most so many columns.

    Example:
        >>> _short("resnet"), len(_short("x" * 99)), _width(_short("\u6f22" * 99)) <= _NAME
        ('resnet', 30, True)
    """
    shown = plain(name, _NAME)
    while _width(shown) > _NAME:
        shown = shown[:-2] + "…"
    return shown


def _width(text: str) -> int:
    """Letters, those of East Asian scripts twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
