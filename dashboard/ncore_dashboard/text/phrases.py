"""Numbers and names as words, for the sentences of reports and comparisons. All of it is plain text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from ncore.scores.metrics import Metric
from ncore_dashboard.text.plaintext import plain

__all__ = ["NAME_LENGTH", "called", "chance", "counted", "difference", "duration", "listed", "percent", "points"]

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


def difference(metric: Metric, value: float) -> str:
    """A difference of two values of a metric, without its sign.

    Example:
        >>> from ncore.scores.metrics import get_metric
        >>> difference(get_metric("auroc"), -0.012), difference(get_metric("log_loss"), -0.012)
        ('1.2 points', '0.012')
    """
    return points(value) if metric.unit else f"{abs(value):.3f}"


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
