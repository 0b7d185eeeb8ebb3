"""One colour, marker and dash for each candidate, the same on every page and in every session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

__all__ = ["DASHES", "HUES", "Hue", "Style", "style_for", "styles_of"]


class Hue(NamedTuple):
    """A colour for light and one for dark backgrounds, and the marker that always goes with it."""

    light: str
    dark: str
    symbol: str


#: Searched by computer: at least 3:1 (light) and 4:1 (dark) against the background, and as far apart as possible for
#: normal, deuteranopic and protanopic eyes (Machado et al., IEEE TVCG 15, 2009). Markers tell them apart in grey.
HUES = (
    Hue("#2E50B8", "#86A3F9", "circle"),
    Hue("#854407", "#DA570B", "square"),
    Hue("#235C3D", "#4CE673", "diamond"),
    Hue("#7F0DF2", "#9F49F5", "triangle-up"),
    Hue("#1D9AC9", "#3DE6F5", "cross"),
    Hue("#CE7E8B", "#D89B99", "triangle-down"),
    Hue("#9C9916", "#D3DA0B", "pentagon"),
    Hue("#91086F", "#E60C9D", "star"),
)
DASHES = ("solid", "dash", "dot", "dashdot")
_STEP = 3  # has no factor in common with the number of hues, so that a hue meets every marker before one comes again


@dataclass(frozen=True)
class Style:
    """How a candidate is drawn; ``mark`` is the marker, that of the hue if empty."""

    hue: Hue
    dash: str = "solid"
    mark: str = ""

    @property
    def symbol(self) -> str:
        """Plotly's name of the marker."""
        return self.mark or self.hue.symbol

    def colour(self, dark: bool = False) -> str:
        """``#RRGGBB`` for a light or a dark background."""
        return self.hue.dark if dark else self.hue.light

    def faint(self, dark: bool = False, opacity: float = 0.18) -> str:
        """The same colour, see-through, for bands."""
        red, green, blue = (int(self.colour(dark)[start : start + 2], 16) for start in (1, 3, 5))
        return f"rgba({red},{green},{blue},{opacity:g})"


def styles_of(candidates: Iterable[str]) -> dict[str, Style]:
    """Styles of candidates that are told apart.

    A name's hash picks its colour. Where two names meet, the one that comes first keeps it and the other takes
    the next free colour; when all are taken, another round begins with another dash, for lines, and other markers, for
    points: up to 64 candidates have a colour and a marker that no other one has. So give the names in an order that new
    ones don't change, such as that of their first run.

    Args:
        candidates: Names; those that come again are ignored.

    Example:
        >>> first = styles_of(["resnet", "lenet"])
        >>> later = styles_of(["resnet", "lenet", "vit"])
        >>> first == {name: later[name] for name in first}
        True
    """
    styles: dict[str, Style] = {}
    for count, name in enumerate(dict.fromkeys(candidates)):
        lap = count // len(HUES)
        # A round is over when it has used every hue, so its dash and the hues still free follow from the count.
        if count % len(HUES) == 0:
            free = set(range(len(HUES)))
        slot = _slot(name)
        while slot not in free:
            slot = (slot + 1) % len(HUES)
        free.remove(slot)
        mark = HUES[(slot + _STEP * lap) % len(HUES)].symbol
        styles[name] = Style(HUES[slot], DASHES[lap % len(DASHES)], "" if mark == HUES[slot].symbol else mark)
    return styles


def style_for(candidate: str, styles: Mapping[str, Style]) -> Style:
    """The candidate's style; one by its hash alone where it has none, in a notebook say."""
    return styles.get(candidate) or Style(HUES[_slot(candidate)])


def _slot(name: str) -> int:
    return int.from_bytes(sha256(name.encode("utf-8", "surrogatepass")).digest()[:4], "big") % len(HUES)
