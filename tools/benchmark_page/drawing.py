"""Plain SVG for the page: the same bytes from the same numbers, for light and dark backgrounds.

Colours are those of Okabe and Ito, which people who see fewer colours can tell apart; markers differ as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

__all__ = ["COLOURS", "MARKERS", "Axis", "Drawing", "legend"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31")
MARKERS = ("circle", "square", "triangle", "diamond", "down", "cross", "bar")
_STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;font-size:12px;fill:#24292f}.small{font-size:11px;fill:#57606a}"
    ".head{font-weight:bold}.grid{stroke:#d8dee4}.axis{stroke:#57606a}"
    ".soft{fill:none;stroke:#57606a;stroke-dasharray:5 4}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9da7b3}.grid{stroke:#30363d}"
    ".axis,.soft{stroke:#9da7b3}}"
)


@dataclass
class Drawing:
    """An SVG under construction.

    Attributes:
        title: What it shows, for those who don't see it.
        width, height: In pixels.
    """

    title: str
    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: object, anchor: str = "start", kind: str = "") -> None:
        """Words whose vertical middle is at y."""
        named = f' class="{kind}"' if kind else ""
        self.parts.append(
            f'<text{named} x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(str(words))}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "", colour: str = "") -> None:
        """A straight line of a class, or of a colour."""
        how = f'class="{kind}"' if kind else f'stroke="{colour}" stroke-width="2"'
        self.parts.append(f'<line {how} x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def path(self, xs: Sequence[float], ys: Sequence[float], colour: str) -> None:
        """A line through points."""
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        self.parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')

    def marker(self, x: float, y: float, number: int, tip: str = "") -> None:
        """The marker of a series, with words that appear when it is pointed at."""
        colour, r = COLOURS[number % len(COLOURS)], 4.5
        shapes = {
            "circle": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"',
            "square": f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"',
            "triangle": f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z"',
            "diamond": f'<path d="M{x:.1f} {y - 6:.1f}l5 6l-5 6l-5-6z"',
            "down": f'<path d="M{x:.1f} {y + 5:.1f}l5-9h-10z"',
            "cross": f'<path d="M{x - 1.5:.1f} {y - 5:.1f}h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z"',
            "bar": f'<rect x="{x - 2:.1f}" y="{y - 5.5:.1f}" width="4" height="11"',
        }
        note = f"><title>{escape(tip)}</title>" if tip else ">"
        shape = shapes[MARKERS[number % len(MARKERS)]]
        self.parts.append(f'{shape} fill="{colour}"{note}</{shape[1 : shape.index(" ")]}>')

    def svg(self) -> str:
        """The whole picture, ending with a line feed."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'width="{self.width}" height="{self.height}"><title>{escape(self.title)}</title>'
            f"<style>{_STYLE}</style>\n" + "\n".join(self.parts) + "\n</svg>\n"
        )


@dataclass(frozen=True)
class Axis:
    """From values to pixels, with ticks."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Where a value is; outside of the range, at its end."""
        low, high, value = (np.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        part = (value - low) / ((high - low) or 1.0)
        return float(self.start + min(max(part, 0.0), 1.0) * (self.end - self.start))

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers inside the range."""
        rough = (self.high - self.low) / max(about, 1)
        power = 10.0 ** np.floor(np.log10(rough))
        step = float(next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999))
        first = np.ceil(self.low / step - 1e-9)
        return [
            float(round(number * step, 10)) + 0.0 for number in np.arange(first, np.floor(self.high / step + 1e-9) + 1)
        ]


def legend(drawing: Drawing, names: Sequence[str], x: float, y: float, width: float) -> float:
    """Markers and names of series, in rows; returns where the next row would be."""
    across, row = x, 0
    for number, name in enumerate(names):
        needed = 26 + 6.6 * len(name)
        if across + needed > x + width and across > x:
            across, row = x, row + 1
        drawing.marker(across + 6, y + 18 * row, number)
        drawing.text(across + 17, y + 18 * row, name)
        across += needed
    return y + 18 * (row + 1)
