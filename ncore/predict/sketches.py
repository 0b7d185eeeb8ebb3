"""Data that share pictures, told by sketches: the smallest digests of the pictures of each, a fair sample of them.

Below the smaller of two sketches' last digests, both list every picture that they have, so that the share of one set
that is in the other can be counted there, however much larger that is. The benchmark's datasets come with 4,096 digests
each. Of sets drawn at random from 60,000 pictures, those of 200 and more were always recognised, of 64 in 97% of draws,
of 20 in 45%; of sets of 5,000 with a fifth of their pictures from there 97%, with a tenth 49%, with a twentieth 2%.
With 64 digests of both, half of the pictures are recognised always, a tenth in 99%, a twentieth in 80%.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

__all__ = ["FEWEST", "LEAST_SHARE", "SKETCHES", "Sketch", "alike", "groups", "recognised", "shared", "sketch_of"]

SKETCHES = Path(__file__).resolve().parents[1] / "benchmark" / "results" / "sketches.parquet"
"""Those of the benchmark's datasets; ``python -m tools.benchmark_sketches`` makes them."""

LEAST_SHARE, FEWEST = 0.1, 2
"""From this share of the smaller set on, and so many pictures that were seen in both, past results say too much."""

Sketch = tuple[int, ...]


def sketch_of(digests: object) -> Sketch:
    """A sketch as a run has it, in numbers; empty where it has none, or something else."""
    try:
        return tuple(sorted({int(text, 16) for text in digests}))  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return ()


def shared(one: Sequence[int], other: Sequence[int]) -> tuple[float, int]:
    """About which share of the smaller of two sets of pictures is in the other, and how many were seen in both.

    Args:
        one: A sketch.
        other: Another one.

    Example:
        >>> shared(range(0, 640, 10), range(0, 6400, 100))  # a tenth of the first one's pictures, or of its digests
        (1.0, 7)
    """
    if not one or not other:
        return 0.0, 0
    first, second = np.array(one, dtype=np.uint64), np.array(other, dtype=np.uint64)
    end = min(first.max(), second.max())
    first, second = first[first <= end], second[second <= end]
    both = int(np.isin(first, second).sum())
    return (both / min(len(first), len(second)) if both else 0.0), both


def alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether past results on one of two sets of pictures say too much of the other."""
    share, both = shared(one, other)
    return share >= LEAST_SHARE and both >= FEWEST


def groups(sets: Mapping[str, Iterable[Sequence[int]]]) -> dict[str, str]:
    """A name for those that share pictures with each other, or with one that does: the first of theirs.

    Args:
        sets: Sketches of each dataset, by its name.

    Example:
        >>> groups({"pets": [range(64)], "cats": [range(0, 64, 2)], "digits": [range(99, 999)]})
        {'cats': 'cats', 'digits': 'digits', 'pets': 'cats'}
    """
    known = {name: set(map(tuple, own)) - {()} for name, own in sorted(sets.items())}
    found = {name: name for name in known}
    for one, other in itertools.combinations(known, 2):
        if found[one] != found[other] and any(alike(*pair) for pair in itertools.product(known[one], known[other])):
            first, second = sorted((found[one], found[other]))
            found = {name: first if group == second else group for name, group in found.items()}
    return found


def recognised(sketches: Iterable[Sequence[int]]) -> tuple[str, ...]:
    """The datasets of the benchmark, by name, that one of these sets shares pictures with."""
    sketches = list(sketches)
    return tuple(name for name, own in _of_benchmark().items() if any(alike(sketch, own) for sketch in sketches))


@lru_cache(maxsize=1)
def _of_benchmark() -> Mapping[str, Sketch]:
    """None if the package was installed without them."""
    if not SKETCHES.is_file():
        return {}
    import pyarrow.parquet as pq

    table = pq.read_table(SKETCHES)
    names = np.array(table.column("dataset").to_pylist())
    digests = table.column("digest").to_numpy()
    return {name: tuple(digests[names == name].tolist()) for name in dict.fromkeys(names.tolist())}
