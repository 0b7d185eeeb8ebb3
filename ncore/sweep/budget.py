"""What a sweep may take: epochs of training, or time on the wall."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ncore._validation import shown
from ncore.errors import InputError

__all__ = ["Budget"]

_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_SECONDS = (86_400, 3600, 60, 1)


@dataclass(frozen=True)
class Budget:
    """One of the two; the other is None.

    Attributes:
        epochs: Of all runs of a dataset together.
        seconds: On the wall, from when the sweep begins.
        text: As it was given.
    """

    epochs: int | None = None
    seconds: float | None = None
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``200`` (epochs), or ``2h``, ``90m``, ``1h30m``, ``45s`` or ``1d12h``.

        Raises:
            InputError: It is neither, or nothing.

        Example:
            >>> Budget.parse("1h30m").seconds, Budget.parse("200").epochs
            (5400.0, 200)
        """
        given = text.strip()
        if given.isdecimal() and int(given) > 0:
            return cls(epochs=int(given), text=given)
        found = _TIME.fullmatch(given)
        parts = found.groups() if found else ()
        seconds = sum(float(part) * unit for part, unit in zip(parts, _SECONDS, strict=False) if part is not None)
        if not seconds > 0:
            raise InputError(
                f"The budget is {shown(text)}, but it must be a number of epochs, such as 200, or a time with units, "
                "such as 2h, 90m or 1h30m."
            )
        return cls(seconds=seconds, text=given)
