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
import pandas as pd
import plotly.graph_objects as go
from plotly.basedatatypes import BasePlotlyType

from ncore_dashboard.figures.sketch import Sketch

__all__ = ["Specified", "lean"]

_LONGEST = 5000
"""Numbers of an array that is sent as a list: more are sooner read as bytes."""
_AXIS = re.compile(r"[xy]axis[0-9]*")
_SMALLER = {"size": 12}
_BAR = {"tickfont": _SMALLER, "title": {"font": {"size": 14}}}
_LOOK: dict[str, Any] = {  # what Streamlit's own theme says beyond the template of our figures
    "legend": {"font": _SMALLER},
    "xaxis": {"showgrid": False, **_BAR},
    "yaxis": _BAR,
}


class Specified(go.Figure):
    """A figure that is a specification already: it is neither checked nor copied again."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        self._spec = spec

    def to_dict(self) -> dict[str, Any]:
        """The specification, as JSON has it."""
        return self._spec


def lean(figure: go.Figure, ink: str) -> dict[str, Any]:
    """The specification of a figure without a template, and with lists in place of short arrays of bytes.

    A figure whose template says something of traces keeps it.

    Args:
        figure: Any; a :class:`~ncore_dashboard.figures.sketch.Sketch` stays one.
        ink: Colour of all words.

    Example:
        >>> spec = lean(go.Figure(go.Scatter(x=np.array([0.1, np.nan], np.float32)), {"template": {}}), "black")
        >>> spec["data"][0]["x"]
        [0.1, None]
    """
    given = figure.spec if isinstance(figure, Sketch) else None
    spec: dict[str, Any] = dict(given or figure.to_dict())
    traces = [trace.to_plotly_json() if isinstance(trace, BasePlotlyType) else trace for trace in spec["data"]]
    spec["data"] = [_inked(_listed(trace), ink) for trace in traces]
    layout = dict(spec["layout"])
    if not layout.get("template", {}).get("data"):
        layout = _flat(layout, spec["data"])
    words = _words(ink)
    for name in layout:
        if _AXIS.fullmatch(name):
            layout[name] = _over(layout[name], words)
    layout["annotations"] = [_over({"font": {"color": ink}}, note) for note in layout.get("annotations", ())]
    spec["layout"] = layout
    return spec


def _inked(trace: dict[str, Any], ink: str) -> dict[str, Any]:
    """The trace with the words of its colour bar in this colour."""
    if "marker" in trace:
        trace["marker"] = _inked(trace["marker"], ink)
    if "colorbar" in trace:
        trace["colorbar"] = _over(_over(_BAR, trace["colorbar"]), _words(ink))
    return trace


def _words(colour: str) -> dict[str, Any]:
    """The colour of what is written at an axis or a colour bar."""
    return {"tickfont": {"color": colour}, "title": {"font": {"color": colour}}}


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
        if "bdata" not in part:
            return {name: _listed(value) for name, value in part.items()}
        return part if "shape" in part else _numbers(np.frombuffer(base64.b64decode(part["bdata"]), part["dtype"]))
    if isinstance(part, pd.Series):
        part = part.to_numpy()
    return _numbers(part) if isinstance(part, np.ndarray) else part


def _numbers(numbers: np.ndarray) -> Any:
    """An array as a list, numbers of single precision with the digits that they have; as bytes if there are many."""
    kind = numbers.dtype.kind
    if kind in "iuf" and (numbers.ndim > 1 or numbers.size > _LONGEST):
        numbers = numbers.astype(np.int32) if kind in "iu" and numbers.itemsize == 8 else numbers
        shape = {"shape": ", ".join(map(str, numbers.shape))} if numbers.ndim > 1 else {}
        data = base64.b64encode(numbers.tobytes()).decode()
        return {"dtype": numbers.dtype.str[1:], "bdata": data, **shape}
    if kind != "f" or numbers.ndim > 1:
        return numbers.tolist()
    values = [float(f"{value:.7g}") for value in numbers.tolist()] if numbers.itemsize == 4 else numbers.tolist()
    return [value if known else None for value, known in zip(values, np.isfinite(numbers), strict=True)]
