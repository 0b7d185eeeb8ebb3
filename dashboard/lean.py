"""Figures as the browser draws them soonest: the same picture, said in another way.

Streamlit's chart is drawn twice when it is put in: the second time it has been given equal content in other objects.
Plotly.js then only compares, if it can tell that nothing changed. It can't with a template, which it compares by
identity, nor with arrays of bytes, which are decoded anew each time. So here colours and fonts are in the layout
itself, short arrays are lists, and ``datarevision`` says whether the data are the same.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

_LONGEST = 5000
"""Numbers of an array that is sent as a list: more are sooner read as bytes."""
_AXIS = re.compile(r"[xy]axis[0-9]*")
_SMALLER = {"size": 12}
_LOOK: dict[str, Any] = {  # what Streamlit's own theme says beyond the template of our figures
    "legend": {"font": _SMALLER},
    "xaxis": {"showgrid": False, "tickfont": _SMALLER, "title": {"font": {"size": 14}}},
    "yaxis": {"tickfont": _SMALLER, "title": {"font": {"size": 14}}},
}


class Specified(go.Figure):
    """A figure that is a specification already: it is neither checked nor copied again."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        self._spec = spec

    def to_dict(self) -> dict[str, Any]:
        """The specification, as JSON has it."""
        return self._spec


def lean(figure: go.Figure) -> dict[str, Any]:
    """The specification of a figure without a template, and with lists in place of short arrays of bytes.

    A figure whose template says something of traces keeps it.

    Example:
        >>> spec = lean(go.Figure(go.Scatter(x=np.array([0.1, np.nan], np.float32)), {"template": {}}))
        >>> spec["data"][0]["x"]
        [0.1, None]
    """
    spec: dict[str, Any] = figure.to_dict()
    spec["data"] = [_listed(trace) for trace in spec["data"]]
    layout = spec["layout"]
    if not layout.get("template", {}).get("data"):
        spec["layout"] = _flat(layout, spec["data"])
    return spec


def _flat(layout: dict[str, Any], traces: list[dict[str, Any]]) -> dict[str, Any]:
    """The layout, and beneath it what its template says."""
    look = _over(_LOOK, layout.pop("template", {}).get("layout", {}))
    axes = {letter: look.pop(f"{letter}axis") for letter in "xy"}
    found = _over(look, layout)
    for trace in traces:
        for letter in "xy":
            if letter in trace or "z" in trace:
                found.setdefault(f"{letter}axis{trace.get(f'{letter}axis', letter)[1:]}", {})
    for name in found:
        if _AXIS.fullmatch(name):
            found[name] = _over(axes[name[0]], found[name])
    return found


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both together; where they disagree, what is above."""
    found = dict(below)
    for name, value in above.items():
        under = found.get(name)
        found[name] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return found


def _listed(part: Any) -> Any:
    """The same with lists in place of one-dimensional arrays of bytes."""
    if isinstance(part, dict):
        if "bdata" in part:
            return part if "shape" in part else _numbers(part)
        return {name: _listed(value) for name, value in part.items()}
    return part


def _numbers(array: dict[str, str]) -> Any:
    """The numbers of an array, those of single precision with the digits that they have; None where there is none."""
    numbers = np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])
    if numbers.size > _LONGEST:
        return array
    if numbers.dtype.kind != "f":
        return numbers.tolist()
    values = [float(f"{value:.7g}") for value in numbers.tolist()] if numbers.itemsize == 4 else numbers.tolist()
    return [value if known else None for value, known in zip(values, np.isfinite(numbers), strict=True)]
