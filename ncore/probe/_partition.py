"""Which example belongs to which set: class subsets and groups, then train, validation and test, stratified and seeded.

A set that the source has itself is used under its own name. A missing one is carved out of the source's train set:
20% of it, or exactly the size asked for. So a source of one set is cut 60/20/20, one with its own test set 80/20.
Train takes what is left, or a subsample of it. Test and validation don't depend on how many train examples are wanted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ncore.errors import InputError
from ncore.probe._choices import unknown
from ncore.probe._grouping import apart, whole_groups
from ncore.probe.sources.split_names import nfc

__all__ = [
    "SHARE",
    "SPLITS",
    "Classes",
    "Part",
    "check_counts",
    "list_of",
    "number",
    "partition",
    "probe_rows",
    "regroup",
    "stratified",
]

SPLITS = ("train", "validation", "test")
SHARE = 0.2

_NUMERAL = re.compile(r"[-+]?\d+(\.\d*)?")

Classes = Sequence[str | int | Sequence[str | int]] | Mapping[str, str | int | Sequence[str | int]]
Part = tuple[str, np.ndarray]  # the source's set it comes from, and indices within that


def regroup(classes: Classes, class_names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """New class names, and the table from old labels to new ones (-1: left out).

    Args:
        classes: Old classes to keep; or lists of old classes to join; or new names with their old classes. An old
            class is given by its name or its number.
        class_names: The old names.

    Raises:
        InputError: An unknown class, one used twice, or fewer than two new ones.

    Example:
        >>> names, table = regroup({"pet": ["cat", "dog"], "car": ["car"]}, ["car", "cat", "cow", "dog"])
        >>> names, table.tolist()
        (['pet', 'car'], [1, 0, -1, 0])
    """
    if isinstance(classes, Mapping):
        groups = {str(name): list_of(members) for name, members in classes.items()}
    else:
        listed = [list_of(members) for members in classes]
        groups = {"+".join(class_names[number(old, class_names)] for old in members): members for members in listed}
        if len(groups) < len(listed):
            raise InputError("`classes` names the same class twice: each class may be used once.")
    table = np.full(len(class_names), -1, dtype=np.int64)
    for new, members in enumerate(groups.values()):
        for old in (number(member, class_names) for member in members):
            if table[old] >= 0:
                raise InputError(f"`classes` uses the class {class_names[old]!r} twice: each class may be used once.")
            table[old] = new
    if len(groups) < 2 or not all(groups.values()):
        raise InputError(f"`classes` makes {len(groups)} classes, but two or more that aren't empty were expected.")
    return list(groups), table


def list_of(members: object) -> list[str | int]:
    """One class or a list of them, as a list."""
    return list(members) if isinstance(members, list | tuple) else [members]  # type: ignore[list-item]


def number(old: str | int, class_names: Sequence[str]) -> int:
    """Number of a class given by name or number."""
    known, wanted = [nfc(name) for name in class_names], nfc(str(old))
    if isinstance(old, int) and wanted not in known:
        if numerals := [name for name in known if _NUMERAL.fullmatch(name)]:  # 01 was written, and YAML made 1 of it
            raise InputError(
                f"`classes` uses the number {old}, which is no class's name, but others are numbers, as "
                f"{numerals[0]!r}: write names, in quotes."
            )
        if not 0 <= old < len(known):
            raise InputError(f"`classes` uses the class number {old}, but there are {len(known)} classes.")
        return old
    if wanted not in known:
        raise unknown("a class of the dataset", wanted, known)
    return known.index(wanted)


def partition(
    labels: Mapping[str, np.ndarray],
    sizes: Mapping[str, int | None],
    seed: int,
    class_names: Sequence[str],
    what: str,
    told: np.ndarray | None = None,
    groups: tuple[Mapping[str, np.ndarray], Sequence[str]] | None = None,
) -> dict[str, Part]:
    """Choose the examples of train, validation and test; no example is in two of them.

    Args:
        labels: int64 labels of each set that the source has, ``train`` at least; negative ones are left out.
        sizes: Examples wanted in each of ``SPLITS``; None for all there are, or 20% of train for a set to be carved
            out.
        seed: Of the choice.
        class_names: For messages.
        what: The dataset's name, for messages.
        told: The set that each example of the source's only one is for, by name.
        groups: The number of each example's group, by the source's sets, and the groups' names: those of one group
            are in one set.

    Returns:
        For each of ``SPLITS`` the source's set it is taken from and ascending indices within that.

    Raises:
        InputError: Too few examples, in all or of a class.
    """
    left = {name: np.flatnonzero(values >= 0) for name, values in labels.items()}
    pools = {name: name for name in labels}
    if told is not None:
        left, pools = {name: left["train"][told[left["train"]] == name] for name in SPLITS if name in told}, {}
    if groups is not None:
        apart({name: groups[0][pools.get(name, "train")][rows] for name, rows in left.items()}, groups[1], what)
    total = len(left["train"])
    carved = [split for split in ("test", "validation") if split not in left]
    check_counts(labels["train"], left["train"], 1 + len(carved), class_names, what)
    parts: dict[str, Part] = {}
    for order, split in enumerate(("test", "validation", "train")):
        given = split if split in left else "train"
        pool = pools.get(given, "train")
        size = sizes.get(split)
        if size is None:
            size = max(round(SHARE * total), len(class_names)) if given != split else len(left[given])
        rng = np.random.default_rng([seed, order])
        rows = left[given]
        if groups is not None and split in carved:
            after = len(carved) - carved.index(split)
            chosen = rows[
                whole_groups(
                    groups[0][pool][rows], labels[pool][rows], size, after, rng, class_names, f"{what}: {split}"
                )
            ]
        else:
            chosen = stratified(labels[pool], rows, size, rng, f"{what}: {split}")
        left[given] = np.setdiff1d(rows, chosen, assume_unique=True)
        parts[split] = (pool, chosen)
    for split in ("train", *carved):
        pool, chosen = parts[split]
        check_counts(labels[pool], chosen, 1, class_names, f"{what}: {split}")
    return parts


def check_counts(labels: np.ndarray, chosen: np.ndarray, least: int, class_names: Sequence[str], what: str) -> None:
    """Refuse a choice in which a class has fewer than ``least`` examples."""
    counts = np.bincount(labels[chosen], minlength=len(class_names))
    poor = [f"{class_names[label]!r} has {counts[label]}" for label in np.flatnonzero(counts < least).tolist()]
    if poor:
        shown = ", ".join(poor[:5]) + (f" and {len(poor) - 5} more classes" if len(poor) > 5 else "")
        raise InputError(
            f"{what} has too few examples per class ({shown}, where {least} or more are needed): "
            "add examples, ask for smaller validation and test sets, or choose `classes`."
        )


def stratified(labels: np.ndarray, indices: np.ndarray, size: int, rng: np.random.Generator, what: str) -> np.ndarray:
    """Draw ``size`` of ``indices``, each class in its proportion (largest remainders) and at least once; ascending.

    Raises:
        InputError: Fewer indices than asked for, or fewer asked for than classes.
    """
    present, inverse, counts = np.unique(labels[indices], return_inverse=True, return_counts=True)
    if size < 1:
        raise InputError(f"{what} was asked to have {size} examples, but it must have at least 1.")
    if size > len(indices):
        raise InputError(f"{what} was asked to have {size} examples, but only {len(indices)} are left: ask for fewer.")
    if size < len(present):
        raise InputError(f"{what} was asked to have {size} examples, but {len(present)} classes need one each.")
    quota = size * counts / len(indices)
    take = np.floor(quota).astype(np.int64)
    take[np.argsort(take - quota, kind="stable")[: size - take.sum()]] += 1
    for label in np.flatnonzero(take == 0):
        take[np.argmax(take)] -= 1
        take[label] = 1
    shuffled = rng.permutation(len(indices))
    by_class = shuffled[np.argsort(inverse[shuffled], kind="stable")]
    starts = np.cumsum(counts) - counts
    drawn = [by_class[start : start + count] for start, count in zip(starts, take, strict=True)]
    return np.sort(indices[np.concatenate(drawn)]) if drawn else indices[:0]


def probe_rows(labels: np.ndarray, count: int) -> np.ndarray:
    """Which training examples make the probe, ascending: the same for every candidate and every seed of it.

    Drawn once with a fixed seed, each class in its proportion, as data are often sorted by class.

    Args:
        labels: int64 (N,).
        count: How many; all if there are no more.

    Example:
        >>> np.bincount(np.repeat([0, 1], [900, 300])[probe_rows(np.repeat([0, 1], [900, 300]), 200)]).tolist()
        [150, 50]
    """
    rng, rows = np.random.default_rng(0), np.arange(len(labels))
    if count >= len(rows):
        return rows
    if count < len(np.unique(labels)):  # fewer than classes: any of them
        return np.sort(rng.choice(rows, count, replace=False))
    return stratified(labels, rows, count, rng, "the probe")
