"""Variants of a sweep: the settings of training that a recipe lists several values of, as a grid."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ncore._validation import shown
from ncore.errors import InputError
from ncore.probe.agreement import HOW_IT_RUNS
from ncore.probe.settings import TrainingSettings, UnitSettings

__all__ = ["grid", "label_of", "overridden"]

_UNIT = "unit"
# What would not be told apart, or not be compared: runs of several modes are ranked apart.
_NOT_VARIED = {"mode": "write a recipe for each", **dict.fromkeys(HOW_IT_RUNS, "it changes no more than last digits")}


def grid(vary: Any, where: str) -> list[dict[str, Any]]:
    """Every combination of the values, each a mapping from dotted names of settings; a single empty one of nothing.

    Args:
        vary: Lists of values by name of a setting, those of the unit as ``unit.widths`` or in a mapping ``unit``.
        where: It stands, for errors.

    Raises:
        InputError: A name is no setting that can be varied, or its values are no list of different ones.

    Example:
        >>> grid({"learning_rate": [0.1, 0.01], "unit": {"dropout": [0.5]}}, "vary")
        [{'learning_rate': 0.1, 'unit.dropout': 0.5}, {'learning_rate': 0.01, 'unit.dropout': 0.5}]
    """
    if not isinstance(vary, Mapping):
        raise InputError(f"{where} is {shown(vary)}, but a mapping of settings to lists of values is needed.")
    lists: dict[str, list[Any]] = {}
    for name, values in vary.items():
        inside = values.items() if name == _UNIT and isinstance(values, Mapping) else None
        for key, found in [(str(name), values)] if inside is None else [(f"{_UNIT}.{k}", v) for k, v in inside]:
            if key in lists:
                raise InputError(f"{where} names {key!r} twice: remove one of them.")
            lists[key] = _checked(key, found, where)
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def _checked(name: str, values: Any, where: str) -> list[Any]:
    known = [*(one for one in TrainingSettings.model_fields if one not in (_UNIT, *_NOT_VARIED))]
    known += [f"{_UNIT}.{one}" for one in UnitSettings.model_fields]
    if name in _NOT_VARIED:
        raise InputError(f"{where} names {name!r}, which is not varied: {_NOT_VARIED[name]}.")
    if name not in known:
        raise InputError(f"{where}: {name!r} is no setting that can be varied: these are {', '.join(known)}.")
    if not isinstance(values, list | tuple) or not values:
        raise InputError(
            f"{where}, {name} is {shown(values)}, but a list of values is needed, as in [{_example(values)}]."
        )
    doubles = [value for index, value in enumerate(values) if value in values[:index]]
    if doubles:
        raise InputError(f"{where}, {name} has {shown(doubles[0])} twice: remove one of them.")
    return list(values)


def _example(value: Any) -> str:
    return shown(value) if isinstance(value, int | float | str) else "1, 2"


def overridden(base: TrainingSettings, own: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    """What a candidate overrides of the training in this variant; what it fixes itself is not varied.

    Args:
        base: The training of the recipe.
        own: What the candidate overrides anyway.
        variant: One of :func:`grid`.
    """
    found = {name: value for name, value in variant.items() if "." not in name} | dict(own)
    inner = {name.partition(".")[2]: value for name, value in variant.items() if "." in name}
    if inner:
        fixed = own.get(_UNIT)
        found[_UNIT] = base.unit.model_dump() | inner | (dict(fixed) if isinstance(fixed, Mapping) else {})
    return found


def label_of(variant: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """What a variant of a candidate is called: the settings that are varied for it, as rankings name them."""
    fixed = own.get(_UNIT)
    inner = set(fixed) if isinstance(fixed, Mapping) else set()
    return ", ".join(
        f"{name.rpartition('.')[2]} {value}"
        for name, value in variant.items()
        if name not in own and not (name.startswith(f"{_UNIT}.") and name.partition(".")[2] in inner)
    )
