"""What a score of a candidate without training is: its function, direction, range and source."""

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Score"]


@dataclass(frozen=True)
class Score:
    """A score with all that tables and figures need to know of it.

    Attributes:
        name: Key in its registry.
        label: Name in tables.
        function: The score itself, a pure function; what its arguments are is said by the registry.
        reads: What it looks at, for instance "features" or "probabilities".
        source: Publication that the formula is from, empty if it needs none.
        description: How to read it, in a sentence.
        lower_bound: No value is smaller, whatever the data; minus infinity if there is no such bound.
        upper_bound: No value is larger, whatever the data; infinity if there is no such bound.
        unit: Unit, empty for a pure number.
        higher_is_better: Direction.
    """

    name: str
    label: str
    function: Callable[..., float]
    reads: str
    source: str
    description: str
    lower_bound: float = -math.inf
    upper_bound: float = math.inf
    unit: str = ""
    higher_is_better: bool = True
