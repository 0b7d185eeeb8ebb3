"""What every source of datasets shares: examples by number, labels as numbers, sets by their names."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ncore.errors import InputError
from ncore.probe.modalities.base import Items
from ncore.probe.sources.split_names import nfc, split_of

__all__ = [
    "SETTLED",
    "Pool",
    "Raw",
    "by_split",
    "digest",
    "numbered",
    "refuse_other_tasks",
    "stamp_of",
]

SETTLED = 2.0  # seconds: a file written since might be written again without a new time


@dataclass
class Pool:
    """One set of a source.

    Args:
        labels: As found: integers or strings.
        items: As many examples.
        columns: What is known of each beside, as objects, by what it is for (see ``split_rules.ROLES``).
    """

    labels: np.ndarray
    items: Items
    columns: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Raw:
    """A source's sets by name, ``train`` among them, with labels numbered 0..K-1.

    Args:
        pools: Keys are of train, validation, test.
        class_names: By label.
        identity: What the data are, wherever they lie.
        warnings: What to know before trusting runs on it, a sentence each.
    """

    pools: dict[str, Pool]
    class_names: list[str]
    identity: str
    warnings: tuple[str, ...] = ()


def stamp_of(path: Path) -> bytes:
    """Sixteen bytes that change when a file does; none where it was just written, or can't be looked at."""
    try:
        status = path.stat()
    except OSError:
        return b""
    if time.time() - max(status.st_mtime, status.st_ctime) < SETTLED:
        return b""
    seen = f"\0{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_dev}"
    return hashlib.blake2b(os.fsencode(path) + seen.encode(), digest_size=16).digest()


def numbered(
    pools: Mapping[str, Pool], class_names: Sequence[str] | None, what: str
) -> tuple[dict[str, Pool], list[str]]:
    """Turn labels as found into numbers 0..K-1, the same in all sets.

    Args:
        pools: With integer or string labels.
        class_names: Names of integer labels that are numbers already; None to number the distinct values in order.
        what: The dataset, for messages.

    Raises:
        InputError: Labels that are neither, missing or beyond the names; an empty set; fewer than two classes.
    """
    pools = {split: replace(pool, labels=_plain(pool.labels, f"{what}: {split}")) for split, pool in pools.items()}
    for split, pool in pools.items():
        kind = pool.labels.dtype.kind
        refuse_other_tasks(pool.labels, f"{what}: the labels of {split}")
        if pool.labels.ndim != 1 or kind not in "iubUTS":
            raise InputError(
                f"{what}: the labels of {split} are {pool.labels.dtype} of shape {pool.labels.shape}, but one whole "
                "number or one name per example was expected."
            )
        if len(pool.labels) == 0:
            raise InputError(f"{what}: {split} holds no examples.")
        if kind == "i" and pool.labels.min() < 0:
            raise InputError(
                f"{what}: {int((pool.labels < 0).sum())} of the {len(pool.labels)} examples of {split} have no label "
                "(a negative one): choose other sets with `splits` or `files`."
            )
    if class_names is None:
        values = np.unique(np.concatenate([np.unique(pool.labels) for pool in pools.values()]))
        names = [str(value) for value in values.tolist()]
        codes = {split: np.searchsorted(values, pool.labels) for split, pool in pools.items()}
    else:
        names = [str(name) for name in class_names]
        codes = {split: pool.labels for split, pool in pools.items()}
        highest = max(int(code.max()) for code in codes.values())
        if highest >= len(names):
            raise InputError(f"{what}: a label is {highest}, but only {len(names)} class names are given.")
    if twice := [name for name, count in Counter(map(nfc, names)).items() if count > 1]:
        raise InputError(f"{what}: two classes are called {twice[0]!r}: give each a name of its own.")
    if len(names) < 2:
        raise InputError(f"{what}: there is only {len(names)} class, but two or more were expected.")
    return {split: replace(pool, labels=codes[split].astype(np.int64)) for split, pool in pools.items()}, names


def _plain(labels: np.ndarray, what: str) -> np.ndarray:
    """Labels that are text, in whatever array they came, in one Unicode form and without blanks around them.

    Raises:
        InputError: One is masked, empty, or no text where others are.
    """
    if np.ma.is_masked(labels):
        missing = int(np.ma.getmaskarray(labels).sum())
        raise InputError(f"{what} has {missing} examples whose label is masked: leave them out.")
    labels = np.asarray(labels)
    if labels.dtype.kind == "O" and labels.ndim == 1 and labels.size:
        kinds = set(map(type, labels.tolist()))
        if kinds <= {str, bytes} or kinds == {int}:
            labels = np.array(labels.tolist())
        elif kinds & {str, bytes, int, type(None), float}:
            named = ", ".join(sorted("nothing" if kind is type(None) else kind.__name__ for kind in kinds))
            raise InputError(f"{what} has labels of several types ({named}): give one name or one whole number each.")
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind in "UT" and labels.ndim == 1:
        values, which = np.unique(labels, return_inverse=True)
        values = np.array([nfc(str(value).strip()) for value in values.tolist()])
        labels = values[which]
        if empty := int((labels == "").sum()):
            raise InputError(f"{what} has {empty} examples whose label is empty: name their class, or leave them out.")
    return labels


def refuse_other_tasks(labels: np.ndarray, what: str) -> None:
    """Refuse what is to be learned if it is no class of each example.

    Args:
        labels: In whatever array they came.
        what: They are called in the message.

    Raises:
        InputError: Several labels an example, objects within it, or numbers to be predicted.
    """
    first = labels.reshape(-1)[0] if labels.size else None
    if isinstance(first, dict):
        raise InputError(f"{what} hold objects, as detection has them, which is not supported: one class an example "
                         "was expected.")  # fmt: skip
    if (labels.ndim > 1 and labels.shape[1] > 1) or isinstance(first, list | tuple | np.ndarray):
        raise InputError(f"{what} are several an example, but multi-label tasks are not supported: one class an "
                         "example was expected.")  # fmt: skip
    if labels.dtype.kind == "f" and labels.size and not (labels == np.floor(labels)).all():
        raise InputError(f"{what} are numbers such as {first:g}, but regression is not supported: one class an example "
                         "was expected.")  # fmt: skip


def by_split(names: Sequence[str], what: str) -> dict[str, str]:
    """Which set each of a source's own names stands for; a single name of any kind is train.

    Raises:
        InputError: Several sets of which none is called train, or two for the same.

    Example:
        >>> by_split(["train", "val"], "pets")
        {'train': 'train', 'validation': 'val'}
    """
    if len(names) == 1:
        return {"train": names[0]}
    found: dict[str, str] = {}
    for name in names:
        split = split_of(name)
        if split in found:
            raise InputError(f"{what} has both {found[split]!r} and {name!r} for {split}: choose with `splits`.")
        if split:
            found[split] = name
    if "train" not in found:
        raise InputError(f"{what} has the sets {', '.join(names)}, but none called train: choose with `splits`.")
    return found


def digest(*parts: str | bytes | memoryview) -> str:
    """Sixteen hexadecimal digits that depend on every part."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()[:16]
