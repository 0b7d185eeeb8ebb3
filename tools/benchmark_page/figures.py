"""The figures of the page: from tables to SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ncore.benchmark.replay import WHOLE
from ncore.predict import BASELINE
from tools.benchmark_page.drawing import COLOURS, Axis, Drawing, legend

__all__ = ["differences", "spending", "taus"]

_WIDTH = 860
_TOP, _PANEL = 34, 240


def taus(average: pd.DataFrame, methods: Sequence[str]) -> str:
    """Kendall's tau over k, a panel for each mode, with chance, whole training and the noise ceiling.

    Args:
        average: Rows of ``evaluate_cases`` that are averages over tasks.
        methods: That are drawn, in the order of their colours.
    """
    tau = average[average["measure"] == "kendall"]
    modes = sorted(tau["mode"].unique())
    labels = tau.drop_duplicates("method").set_index("method")["label"]
    rows = -(-len(methods) // 3)
    drawing = Drawing("Kendall's tau over the epochs seen, by mode", _WIDTH, _TOP + _PANEL + 64 + 18 * rows)
    ks = sorted(tau["k"].unique())
    shown = tau[tau["method"].isin([*methods, "whole", "ceiling"])]["value"]
    low = min(0.0, float(shown.min()))
    y = Axis(np.floor(low * 5) / 5, 1.0, _TOP + _PANEL, _TOP)
    for mode, x in _panels(drawing, modes, Axis(min(ks), max(ks), 0, 0, True)):
        _horizontal(drawing, x, y, ".1f")
        for k in ks:
            drawing.text(x.at(k), y.start + 16, k, "middle", "small")
        drawing.text((x.start + x.end) / 2, y.start + 34, "epochs seen", "middle", "small")
        part = tau[tau["mode"] == mode].pivot_table(index="k", columns="method", values="value")
        for name in ("whole", "ceiling"):
            line = part[name]
            for first, second in zip(line.index[:-1], line.index[1:], strict=True):
                drawing.line(x.at(first), y.at(line[first]), x.at(second), y.at(line[second]), "soft")
            drawing.text(x.end, y.at(line.iloc[-1]) - 9, labels[name].lower(), "end", "small")
        for number, method in enumerate(methods):
            if method in part:
                line = part[method].dropna()
                _series(drawing, x, y, line.index.tolist(), line.tolist(), number, str(labels[method]))
    drawing.text(14, _TOP - 18, "Kendall's tau", kind="small")
    legend(drawing, [str(labels[name]) for name in methods], 40, _TOP + _PANEL + 60, _WIDTH - 50)
    return drawing.svg()


def differences(average: pd.DataFrame, k: int) -> str:
    """Difference in Kendall's tau to the last accuracy with its interval, a row a method and a panel a mode.

    Args:
        average: Rows of ``evaluate_cases`` that are averages over tasks.
        k: Epochs seen.
    """
    tau = average[(average["measure"] == "kendall") & (average["k"] == k) & average["over_last"].notna()]
    tau = tau[tau["method"] != BASELINE]
    order = tau.groupby("method", sort=False)["over_last"].mean().sort_values(ascending=False, kind="stable")
    labels = tau.drop_duplicates("method").set_index("method")["label"]
    modes, step = sorted(tau["mode"].unique()), 20
    height = step * len(order)
    drawing = Drawing(
        f"Difference in Kendall's tau to reading the last accuracy after {k} epochs", _WIDTH, _TOP + height + 44
    )
    low = max(-1.0, float(tau["over_last_lower"].min()))
    high = min(1.0, max(0.2, float(tau["over_last_upper"].max())))
    for row, method in enumerate(order.index):
        drawing.text(196, _TOP + step * (row + 0.5), labels[method], "end")
    for mode, x in _panels(drawing, modes, Axis(low, high, 0, 0), left=206):
        for tick in x.ticks(4):
            drawing.line(x.at(tick), _TOP, x.at(tick), _TOP + height, "axis" if tick == 0 else "grid")
            drawing.text(x.at(tick), _TOP + height + 14, f"{tick:+.1f}" if tick else "0", "middle", "small")
        part = tau[tau["mode"] == mode].set_index("method")
        for row, method in enumerate(order.index):
            if method not in part.index:
                continue
            value, middle = part.loc[method], _TOP + step * (row + 0.5)
            # Blue where the interval is above 0, red where it is below: the place says the same.
            number = 0 if value["over_last_lower"] > 0 else 1 if value["over_last_upper"] < 0 else 6
            bounds = [x.at(value[name]) for name in ("over_last_lower", "over_last_upper")]
            drawing.line(bounds[0], middle, bounds[1], middle, "axis")
            tip = f"{labels[method]}: {value['over_last']:+.3f}"
            drawing.marker(x.at(value["over_last"]), middle, number, tip)
    drawing.text(_WIDTH / 2 + 90, _TOP + height + 34, "difference in Kendall's tau, 95% interval", "middle", "small")
    return drawing.svg()


def spending(played: pd.DataFrame) -> str:
    """Regret of the chosen candidate against the epochs spent, a panel a mode and a line a strategy.

    Args:
        played: As ``ncore.benchmark.replay.summary`` returns it.
    """
    modes = sorted(played["mode"].unique())
    strategies = [name for name in played["strategy"].unique() if name != WHOLE]
    drawing = Drawing(
        "Regret of the chosen candidate against the epochs spent, by mode",
        _WIDTH,
        _TOP + _PANEL + 64 + 18 * (-(-len(strategies) // 2) + 1),
    )
    high = max(1.0, float(np.ceil(played["regret"].quantile(0.98))))
    y = Axis(0, high, _TOP + _PANEL, _TOP)
    for mode, x in _panels(drawing, modes, Axis(0.08, 1.0, 0, 0, True)):
        _horizontal(drawing, x, y, "g")
        for tick in (0.1, 0.2, 0.5, 1.0):
            drawing.text(x.at(tick), y.start + 16, f"{tick:.0%}", "middle", "small")
        drawing.text((x.start + x.end) / 2, y.start + 34, "of all epochs (logarithmic)", "middle", "small")
        part = played[played["mode"] == mode]
        for value in part.loc[part["strategy"] == WHOLE, "regret"]:
            drawing.line(x.start, y.at(value), x.end, y.at(value), "soft")
        for number, strategy in enumerate(strategies):
            line = part[part["strategy"] == strategy].sort_values("share", kind="stable")
            _series(drawing, x, y, line["share"].tolist(), line["regret"].tolist(), number, strategy)
    drawing.text(14, _TOP - 18, "regret, accuracy points", kind="small")
    below = legend(drawing, strategies, 40, _TOP + _PANEL + 60, _WIDTH - 50)
    drawing.line(40, below, 53, below, "soft")
    drawing.text(57, below, WHOLE)
    return drawing.svg()


def _panels(drawing: Drawing, modes: Sequence[str], like: Axis, left: float = 40) -> list[tuple[str, Axis]]:
    """Titles of panels side by side, and their horizontal axes."""
    width, gap = (_WIDTH - left + 20) / max(len(modes), 1), 36
    found = []
    for number, mode in enumerate(modes):
        start = left + number * width
        drawing.text(start + (width - gap) / 2, _TOP - 16, f"mode {mode}", "middle", "head")
        found.append((mode, Axis(like.low, like.high, start, start + width - gap, like.logarithmic)))
    return found


def _horizontal(drawing: Drawing, x: Axis, y: Axis, form: str) -> None:
    """Grid lines of a vertical axis, with their values."""
    for tick in y.ticks():
        drawing.line(x.start, y.at(tick), x.end, y.at(tick), "axis" if tick == 0 else "grid")
        drawing.text(x.start - 5, y.at(tick), format(tick, form), "end", "small")


def _series(
    drawing: Drawing, x: Axis, y: Axis, across: Sequence[float], up: Sequence[float], number: int, name: str
) -> None:
    """A line with its markers."""
    xs, ys = [x.at(value) for value in across], [y.at(value) for value in up]
    if len(xs) > 1:
        drawing.path(xs, ys, COLOURS[number % len(COLOURS)])
    for px, py, value in zip(xs, ys, up, strict=True):
        drawing.marker(px, py, number, f"{name}: {value:.3g}")
