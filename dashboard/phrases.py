"""Numbers and names as words, for the sentences of reports and comparisons. All of it is plain text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.analysis import LEVEL, Clock
from dashboard.plaintext import plain

if TYPE_CHECKING:
    from ncore.predict.curves import FloatArray

NAME_LENGTH = 60
_ONE_WORD = re.compile(r"[\w./\-]+")


def called(name: object) -> str:
    """A name inside a sentence: in quotation marks where it could be taken for a part of the sentence.

    Example:
        >>> called("resnet18"), called("lenet, rate too low")
        ('resnet18', '“lenet, rate too low”')
    """
    shown = plain(name, NAME_LENGTH)
    return shown if _ONE_WORD.fullmatch(shown) else f"“{shown}”"


def listed(names: Sequence[str], most: int = 4, joint: str = "and") -> str:
    """Names in a row; those beyond ``most`` as a number.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1), listed(["a", "b"], joint="or")
        ('a, b and c', 'a and 2 others', 'a or b')
    """
    shown = [called(name) for name in names]
    if len(shown) > most:
        rest = len(shown) - most
        shown = [*shown[:most], f"{rest} other{'s' if rest > 1 else ''}"]
    return f" {joint} ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "seed"), counted(1200, "run")
        ('1 seed', '1,200 runs')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(value: Any, digits: int = 1) -> str:
    """A fraction as per cent, a dash where it is missing.

    Example:
        >>> percent(0.5), percent(float("nan"))
        ('50.0%', '–')
    """
    return "–" if value is None or value != value else f"{100 * value:.{digits}f}%"


def chance(probability: float) -> str:
    """A probability that was estimated from draws: never quite 0 or 100%.

    Example:
        >>> chance(0.354), chance(0.9999), chance(0.001)
        ('35%', 'over 99%', 'under 1%')
    """
    if probability > 0.99:
        return "over 99%"
    return "under 1%" if probability < 0.01 else f"{100 * probability:.0f}%"


def points(fraction: float) -> str:
    """A difference of accuracies, without its sign.

    Example:
        >>> points(-0.01), points(0.0253)
        ('1.0 point', '2.5 points')
    """
    shown = f"{abs(100 * fraction):.1f}"
    return f"{shown} point{'' if shown == '1.0' else 's'}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    Example:
        >>> duration(0.42), duration(75), duration(5400), duration(400_000), duration(float("nan"))
        ('0.4 s', '75 s', '1.5 h', '4.6 days', 'an unknown time')
    """
    if not math.isfinite(seconds):
        return "an unknown time"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    for unit, size in (("min", 60), ("h", 3600)):
        if seconds < {"min": 5400, "h": 172_800}[unit]:
            return f"{seconds / size:.{0 if unit == 'min' else 1}f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def pace(clocks: Sequence[Clock]) -> float:
    """Seconds that an epoch takes, the median over runs; NaN if none has a time."""
    found = []
    for clock in clocks:
        if clock.epochs.size and clock.epochs[-1] > 0:
            begin = clock.seconds[0] if clock.epochs[0] == 0 else 0.0
            found.append((clock.seconds[-1] - begin) / clock.epochs[-1])
    return float(np.median(found)) if found else math.nan


@dataclass(frozen=True)
class Gap:
    """The difference between two candidates' final accuracies, over their seeds.

    Attributes:
        size: mean of the first less mean of the second, a fraction.
        half_width: of its 90% interval (Welch's), NaN where either has fewer than two seeds.
        seeds: that each would need about for ``half_width`` to be as small as ``size``, as far as these seeds tell;
            NaN where unknown.
    """

    size: float
    half_width: float
    seeds: float

    @property
    def known(self) -> bool:
        """Whether there are seeds enough to say something."""
        return math.isfinite(self.half_width)

    @property
    def clear(self) -> bool:
        """Whether the two can be told apart."""
        return self.known and abs(self.size) > self.half_width


def gap(first: FloatArray, second: FloatArray) -> Gap:
    """Compare final accuracies of the seeds of two candidates, shapes (n,) and (m,), by Welch's interval.

    Example:
        >>> far = gap(np.array([0.9, 0.91, 0.92]), np.array([0.5, 0.51, 0.52]))
        >>> far.clear, round(far.size, 2)
        (True, 0.4)
        >>> gap(np.array([0.9]), np.array([0.5])).clear
        False
    """
    size = float(first.mean() - second.mean())
    if first.size < 2 or second.size < 2:
        return Gap(size, math.nan, math.nan)
    parts = [float(values.var(ddof=1)) / values.size for values in (first, second)]
    if sum(parts) == 0:
        return Gap(size, 0.0, 2.0 if size else math.nan)
    from scipy.stats import norm, t

    freedom = sum(parts) ** 2 / sum(
        part**2 / (values.size - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    half = float(t.ppf(0.5 + LEVEL / 2, freedom)) * math.sqrt(sum(parts))
    spread = float(first.var(ddof=1) + second.var(ddof=1))
    seeds = math.ceil(float(norm.ppf(0.5 + LEVEL / 2)) ** 2 * spread / size**2) if size else math.nan
    return Gap(size, half, float(seeds))
