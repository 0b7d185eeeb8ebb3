"""What a candidate may cost to use: limits on the measured ``costs`` of a run, as people have them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ncore._validation import refuse_booleans, refused, shown
from ncore.errors import InputError

__all__ = ["Limits"]

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)([kKMGB]?)")
_TIMES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9}


def _amount(value: Any) -> Any:
    """A number, also one written with k, M, or G (B for a billion parameters)."""
    if not isinstance(value, str):
        return value
    if (found := _AMOUNT.fullmatch(value.strip())) is None:
        raise ValueError("it must be a number, perhaps with k, M, G or B after it, as in 10M")
    return float(found[1]) * _TIMES[found[2]]


_Limit = Annotated[float, BeforeValidator(_amount), Field(gt=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """The most that a candidate may cost, unit included; None for any amount.

    Attributes:
        ms: Milliseconds an example, one at a time, on the machine that measured it.
        mb: Megabytes of parameters and buffers.
        memory_mb: Megabytes of all tensors at once while one example goes through.
        params: Parameters.
        multiply_adds: Of one example.

    Example:
        >>> limits = Limits.parse(["ms=20", "params=10M"], "--under")
        >>> limits.over({"seconds_per_example": 0.031, "parameters": 2e6})
        ['31 ms an example, and 20 are allowed']
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: The cost that each is of, how much of it makes one unit, and what to call it.
    OF: ClassVar[Mapping[str, tuple[str, float, str]]] = {
        "ms": ("seconds_per_example", 1e-3, "ms an example"),
        "mb": ("bytes", 1e6, "MB"),
        "memory_mb": ("peak_bytes", 1e6, "MB of memory"),
        "params": ("parameters", 1.0, "parameters"),
        "multiply_adds": ("multiply_adds", 1.0, "multiply-adds"),
    }

    ms: _Limit | None = None
    mb: _Limit | None = None
    memory_mb: _Limit | None = None
    params: _Limit | None = None
    multiply_adds: _Limit | None = None

    @model_validator(mode="before")
    @classmethod
    def _means_what_it_says(cls, values: Any) -> Any:
        return refuse_booleans(values, cls)

    @classmethod
    def parse(cls, given: Mapping[str, Any] | Iterable[str], where: str = "under") -> Self:
        """Limits from a mapping, or from texts as commands have them: ``ms=20``, several in one with commas between.

        Raises:
            InputError: Says what is not understood.
        """
        if not isinstance(given, Mapping):
            pairs: dict[str, str] = {}
            for text in (part for one in given for part in one.split(",")):
                name, equals, value = (part.strip() for part in text.partition("="))
                if not equals or name in pairs:
                    problem = "stands twice" if equals else "is no limit"
                    raise InputError(
                        f"{where}: {shown(text)} {problem}: write each once, as ms=20; there are {', '.join(cls.OF)}."
                    )
                pairs[name] = value
            given = pairs
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise refused(where, error, cls) from error

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in self.OF)

    def __str__(self) -> str:
        return " and ".join(
            f"{_number(limit)} {self.OF[name][2]}" for name in self.OF if (limit := getattr(self, name)) is not None
        )

    def over(self, costs: Mapping[str, Any]) -> list[str]:
        """Which limits are exceeded, each in words; those of costs that are not known are not.

        Args:
            costs: As a run records them.
        """
        return [
            f"{_number(cost)} {self.OF[name][2]}, and {_number(limit)} are allowed"
            for name, limit, cost in self._compared(costs)
            if cost is not None and cost > limit
        ]

    def unknown(self, costs: Mapping[str, Any]) -> list[str]:
        """Names of the limits whose costs are not known."""
        return [name for name, _, cost in self._compared(costs) if cost is None]

    def _compared(self, costs: Mapping[str, Any]) -> list[tuple[str, float, float | None]]:
        found = []
        for name, (cost, unit, _) in self.OF.items():
            value, limit = costs.get(cost), getattr(self, name)
            known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if limit is not None:
                found.append((name, limit, float(value) / unit if known and value is not None else None))
        return found


def _number(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
