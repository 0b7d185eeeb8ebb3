"""Where metrics belong whose names do not say it, as a user says."""

from __future__ import annotations

from collections.abc import Mapping

from ncore.errors import InputError
from ncore.store.metric_names import SPLITS, Place, canonical_name, canonical_split

__all__ = ["read_places"]


def read_places(metrics: Mapping[str, str]) -> dict[str, Place]:
    """What a user says: ``{"my_score": "validation/accuracy"}``.

    Raises:
        InputError: A place is not a split and a name.
    """
    places = {}
    for key, place in metrics.items():
        split, _, name = str(place).partition("/")
        split = canonical_split(split)
        if split not in SPLITS or not name:
            raise InputError(
                f"The metric {key!r} is to be recorded as {place!r}, but a split ({', '.join(SPLITS)}) and a name "
                'are needed, such as "validation/accuracy".'
            )
        places[key] = (split, canonical_name(name))
    return places
