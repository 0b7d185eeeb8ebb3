"""Examples that are in two of the three sets: what is learned must not be what it is judged by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ncore.errors import InputError

__all__ = ["leaks"]

_ORDER = ("test", "validation", "train")  # who keeps an example that several have


def leaks(digests: Mapping[str, np.ndarray], what: str, called: str) -> dict[str, np.ndarray]:
    """Rows of the training and the validation set that the later sets have too, exactly the same.

    Args:
        digests: Of the examples of train, validation and test.
        what: The dataset, for messages.
        called: What its examples are, likewise.

    Returns:
        By name of the set, where there are any, the rows to leave out, ascending. Within one set, an example may stand
        twice.

    Raises:
        InputError: All examples are the same.
    """
    whole = np.concatenate(list(digests.values()))
    if (whole == whole[0]).all():
        raise InputError(
            f"all {len(whole)} {called} of {what} are exactly the same, so there is nothing to learn: look at the "
            "files."
        )
    later, found = np.empty(0, dtype="S16"), {}
    for name in _ORDER:
        if (rows := np.flatnonzero(np.isin(digests[name], later))).size:
            found[name] = rows
        later = np.concatenate([later, digests[name]])
    return found
