"""What a dataset's own columns say of its cut, read from what its source has, and checked against what was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ncore.errors import InputError
from ncore.probe._partition import SHARE, SPLITS, Part
from ncore.probe.sources.pools import Raw
from ncore.probe.sources.split_rules import ROLES, TimeCut, groups_told, sets_by_time, sets_told

__all__ = ["Rules"]

_FAR = 0.1  # of the size wanted: from here on, what whole groups made of it is said
_UNEVEN = 2.0  # times the share that a class has of all


@dataclass(frozen=True)
class Rules:
    """What else than chance cuts a dataset.

    Args:
        columns: Names of columns by what they are for, as messages call them.
        time: Where it is cut by time.
        resplit: Whether each seed of a run cuts it anew.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    time: TimeCut | None = None
    resplit: bool = False

    def read(
        self, raw: Raw, labels: Mapping[str, np.ndarray], what: str
    ) -> tuple[np.ndarray | None, tuple[dict[str, np.ndarray], list[str]] | None, list[str]]:
        """What the columns say, of the examples whose labels are not negative.

        Returns:
            The set of each example of the source's only one, groups and their names, both as ``partition`` takes them,
            and what is to be said.

        Raises:
            InputError: The source has sets of its own, or a value that can't be used.
        """
        said: list[str] = []
        kept = {pool: np.flatnonzero(own >= 0) for pool, own in labels.items()}
        told = None
        for role in {"split", "time"} & set(self.columns):
            if len(raw.pools) > 1:
                raise InputError(
                    f"{what} has the sets {', '.join(raw.pools)} of its own, which `{ROLES[role]}` contradicts: leave "
                    "it out, or give one set only."
                )
            values, told = raw.pools["train"].columns[role][kept["train"]], np.full(len(labels["train"]), None, object)
            if role == "time" and self.time is not None:
                told[kept["train"]], said = sets_by_time(values, self.time, what)
            else:
                told[kept["train"]] = sets_told(values, self.columns[role], what)
        if "group" not in self.columns:
            return told, None, said
        found = {pool: own.columns["group"][kept[pool]] for pool, own in raw.pools.items()}
        numbers, names = groups_told(found, self.columns["group"], what)
        groups = {pool: np.full(len(own), -1, np.int64) for pool, own in labels.items()}
        for pool, own in numbers.items():
            groups[pool][kept[pool]] = own
        if len(names) == sum(map(len, kept.values())):
            said.append(f"Every example is a group of its own in {self.columns['group']}, so that it changes nothing.")
        return told, (groups, names), said

    def check(
        self,
        labels: Mapping[str, np.ndarray],
        sizes: Mapping[str, int | None],
        parts: Mapping[str, Part],
        all_told: bool,
        class_names: Sequence[str],
        what: str,
    ) -> list[str]:
        """What is to be said of the cut that was made.

        Raises:
            InputError: Each seed was to cut anew, but nothing is left to chance.
        """
        given = {split for split in SPLITS if parts[split][0] == split != "train"}
        own = len(np.flatnonzero(labels["train"] >= 0))
        if self.resplit and (all_told or len(given) == 2) and not any(sizes.get(split) for split in SPLITS):
            raise InputError(f"{what} has its three sets, so `resplit` has nothing to cut anew: leave it out.")
        if "group" not in self.columns or all_told:
            return []
        said = []
        for split in ("validation", "test"):
            if split in given:
                continue
            pool, rows = parts[split]
            asked = sizes.get(split)
            wanted = asked or round(SHARE * own)
            if abs(len(rows) - wanted) > (0 if asked else _FAR * wanted):
                said.append(f"Whole groups make {split} {len(rows)} examples, where {wanted} were wanted.")
            whole = np.bincount(labels[pool][labels[pool] >= 0], minlength=len(class_names)) / own
            share = np.bincount(labels[pool][rows], minlength=len(class_names)) / len(rows)
            uneven = np.flatnonzero((share > _UNEVEN * whole) | (share < whole / _UNEVEN))
            if uneven.size:
                first = uneven[0]
                more = f", and so for {uneven.size - 1} more classes" if uneven.size > 1 else ""
                said.append(
                    f"Whole groups give the class {class_names[first]!r} {share[first]:.0%} of {split}, where it has "
                    f"{whole[first]:.0%} of all{more}."
                )
        return said
