"""The difference between two candidates, and whether their seeds can tell it from chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ncore.predict import LEVEL

if TYPE_CHECKING:
    from ncore.predict.curves import FloatArray

__all__ = ["Gap", "gap"]


@dataclass(frozen=True)
class Gap:
    """The difference between two candidates' final accuracies, over their seeds.

    Attributes:
        size: Mean of the first less mean of the second, a fraction.
        half_width: Of its 90% interval (Welch's), NaN where either has fewer than two seeds.
        seeds: That each would need about for ``half_width`` to be as small as ``size``, as far as these seeds tell;
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
        >>> import numpy as np
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
