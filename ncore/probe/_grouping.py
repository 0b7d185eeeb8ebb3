"""Groups that stay together (patients, users, scenes): which of them to take, so that a set has about its size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ncore.errors import InputError

__all__ = ["apart", "whole_groups"]

_STARTS = 8  # orders in which groups are tried
_LARGE = 2_000_000  # counts beyond which only the first order is tried, and nothing is exchanged
_STEPS = 200
_ADVICE = "add groups, join classes with `classes`, or leave `group` out"


def apart(groups: dict[str, np.ndarray], names: Sequence[str], what: str) -> None:
    """Refuse sets that share a group.

    Args:
        groups: The numbers of the groups in each set.
        names: Of the groups.
        what: The dataset, for messages.
    """
    sets = list(groups)
    for at, one in enumerate(sets):
        for other in sets[at + 1 :]:
            shared = np.intersect1d(groups[one], groups[other])
            if shared.size:
                raise InputError(
                    f"{what}: the group {names[shared[0]]!r} is in {one} and in {other} as these sets are given"
                    f"{f', as are {shared.size - 1} more' if shared.size > 1 else ''}: move its examples to one side, "
                    "or leave `group` out."
                )


def whole_groups(
    groups: np.ndarray,
    labels: np.ndarray,
    size: int,
    after: int,
    rng: np.random.Generator,
    class_names: Sequence[str],
    what: str,
) -> np.ndarray:
    """Choose groups that together have about ``size`` examples, each class in its proportion as well as it can be.

    Groups are added in a random order where that brings the counts of classes nearer to those wanted (by the sum of
    squared differences over the wanted counts), then moved and exchanged as long as that does. The best of several
    orders is taken.

    Args:
        groups: The number of each example's group, int64 (N,).
        labels: Their labels, int64 (N,).
        size: Pictures wanted.
        after: How many further sets the other groups have to provide with every class.
        rng: Of the orders.
        class_names: For messages.
        what: The set, for messages.

    Returns:
        Rows of the examples, ascending.

    Raises:
        InputError: There is no such choice.
    """
    present, inverse = np.unique(groups, return_inverse=True)
    classes, columns = np.unique(labels, return_inverse=True)
    if len(present) == 1:
        raise InputError(
            f"{what}: all {len(groups)} examples are of one group, so no set can be held apart from the others: choose "
            "another `group`, or leave it out."
        )
    if not 1 <= size < len(groups):
        raise InputError(f"{what} was asked to have {size} examples, but {len(groups)} are there for it and the sets "
                         "after it: ask for fewer.")  # fmt: skip
    counts = np.zeros((len(present), len(classes)))
    np.add.at(counts, (inverse, columns), 1)
    for column in np.flatnonzero((counts > 0).sum(0) <= after):
        number = int((counts[:, column] > 0).sum())
        raise InputError(
            f"{what}: the class {class_names[classes[column]]!r} is in {number} group{'s' * (number > 1)} only, but "
            f"{after + 1} sets need one each: {_ADVICE}."
        )
    search = _Search(counts, size / len(groups), after)
    large = counts.size > _LARGE
    chosen = min((search.run(rng.permutation(len(present)), large) for _ in range(1 if large else _STARTS)),
                 key=search.cost)  # fmt: skip
    if search.lacking(chosen):
        raise InputError(f"{what}: no choice of whole groups was found that leaves every class in each of the sets: "
                         f"{_ADVICE}.")  # fmt: skip
    return np.flatnonzero(chosen[inverse])


class _Search:
    """Choices of groups, and what they cost.

    Args:
        counts: Pictures by group and class.
        share: Of all that is wanted.
        after: As above.
    """

    def __init__(self, counts: np.ndarray, share: float, after: int) -> None:
        self.counts, self.has, self.after = counts, (counts > 0).astype(np.float64), after
        self.wanted = counts.sum(0) * share
        self.most = float(counts.sum()) ** 2  # what a class that lacks costs: more than any counts can
        self.spare = self.has.sum(0) - after

    def cost(self, chosen: np.ndarray) -> float:
        """Of one choice."""
        return float(self._cost(self.counts[chosen].sum(0), self.has[chosen].sum(0)))

    def lacking(self, chosen: np.ndarray) -> bool:
        """Whether a class lacks, here or afterwards."""
        has = self.has[chosen].sum(0)
        return bool(np.any(has < 1) or np.any(has > self.spare))

    def _cost(self, sums: np.ndarray, has: np.ndarray) -> np.ndarray:
        fit = ((sums - self.wanted) ** 2 / self.wanted).sum(-1)
        total = (sums.sum(-1) - self.wanted.sum()) ** 2 / self.wanted.sum()
        lacks = np.maximum(1 - has, 0).sum(-1) + np.maximum(has - self.spare, 0).sum(-1)
        return fit + total + self.most * lacks

    def run(self, order: np.ndarray, large: bool) -> np.ndarray:
        """The choice that one order leads to, a mask of groups."""
        chosen = np.zeros(len(self.counts), dtype=bool)
        sums, has = np.zeros_like(self.wanted), np.zeros_like(self.wanted)
        best = float(self._cost(sums, has))
        for group in order:
            with_it = float(self._cost(sums + self.counts[group], has + self.has[group]))
            if with_it < best:
                sums, has, best = sums + self.counts[group], has + self.has[group], with_it
                chosen[group] = True
        for _ in range(0 if large else _STEPS):
            better = self._step(chosen, sums, has, best)
            if better is None:
                break
            chosen[better] ^= True
            sums, has = self.counts[chosen].sum(0), self.has[chosen].sum(0)
            best = float(self._cost(sums, has))
        return chosen

    def _step(self, chosen: np.ndarray, sums: np.ndarray, has: np.ndarray, best: float) -> list[int] | None:
        """The group that is best moved, or the two that are best exchanged; None if that makes nothing better."""
        sign = np.where(chosen, -1.0, 1.0)[:, None]
        moved = self._cost(sums + sign * self.counts, has + sign * self.has)
        at = [int(moved.argmin())]
        least = float(moved.min())
        inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen)
        if inside.size * outside.size * self.wanted.size <= _LARGE // 10:
            for group in inside:
                swapped = self._cost(
                    sums - self.counts[group] + self.counts[outside], has - self.has[group] + self.has[outside]
                )
                if swapped.size and swapped.min() < least:
                    at, least = [int(group), int(outside[swapped.argmin()])], float(swapped.min())
        return at if least < best - 1e-9 else None
