"""Figures that are checked when somebody looks at them, and not before.

Plotly checks every property of every trace when it is set, which takes most of the time in which a figure is made. A
page only passes its figures on to the browser: there it is enough that the tests have looked at figures of each kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

__all__ = ["Sketch"]

_SPEC = "_sketched"
_OF_SOME = {"selector", "overwrite", "row", "col", "secondary_y"}
_WITH_UNDERSCORE = {"paper_bgcolor", "plot_bgcolor", "error_x", "error_y"}


class Sketch(go.Figure):
    """A figure that keeps what it is given as it is, until anything is asked for that only ``go.Figure`` can answer.

    Example:
        >>> figure = Sketch.of({"height": 300}).add_scatter(y=[1, 2]).update_xaxes(title={"text": "epoch"})
        >>> len(figure.spec["data"]), figure.layout.xaxis.title.text, figure.spec
        (1, 'epoch', None)
    """

    @classmethod
    def of(cls, layout: Mapping[str, Any]) -> Sketch:
        """A figure without traces, of plain dictionaries only; it has the axes x and y."""
        figure = cls.__new__(cls)
        figure.__dict__[_SPEC] = {"data": [], "layout": {"xaxis": {}, "yaxis": {}, **layout}}
        return figure

    @property
    def spec(self) -> dict[str, Any] | None:
        """Traces and layout as they were given; None if they have been checked, and may have been changed since."""
        found: dict[str, Any] | None = self.__dict__.get(_SPEC)
        return found

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there yet: become a whole figure."""
        if (spec := self.__dict__.pop(_SPEC, None)) is None:
            raise AttributeError(name)
        super().__init__(spec["data"], spec["layout"])
        return getattr(self, name)

    def add_traces(self, data: Any, rows: Any = None, cols: Any = None, *rest: Any, **options: Any) -> Any:
        """As in ``go.Figure``."""
        if self.spec is None or rows is not None or cols is not None or rest or options:
            return super().add_traces(data, rows, cols, *rest, **options)
        self.spec["data"].extend(data if isinstance(data, list | tuple) else [data])
        return self

    def add_scatter(self, *args: Any, row: Any = None, col: Any = None, **trace: Any) -> Any:
        """As in ``go.Figure``."""
        if self.spec is None or args or row is not None or _several(trace):
            return super().add_scatter(*args, row=row, col=col, **trace)
        return self.add_traces([{"type": "scatter", **trace}])

    def add_heatmap(self, *args: Any, row: Any = None, col: Any = None, **trace: Any) -> Any:
        """As in ``go.Figure``."""
        if self.spec is None or args or row is not None or _several(trace):
            return super().add_heatmap(*args, row=row, col=col, **trace)
        return self.add_traces([{"type": "heatmap", **trace}])

    def update_layout(self, dict1: Any = None, overwrite: bool = False, **changes: Any) -> Any:
        """As in ``go.Figure``."""
        given = {**(dict1 or {}), **changes}
        if self.spec is None or overwrite or _several(given):
            return super().update_layout(dict1, overwrite, **changes)
        _merge(self.spec["layout"], given)
        return self

    def update_xaxes(self, patch: Any = None, *args: Any, **changes: Any) -> Any:
        """As in ``go.Figure``."""
        return self._update_axis("x", patch, args, changes)

    def update_yaxes(self, patch: Any = None, *args: Any, **changes: Any) -> Any:
        """As in ``go.Figure``."""
        return self._update_axis("y", patch, args, changes)

    def _update_axis(self, letter: str, patch: Any, args: tuple[Any, ...], changes: dict[str, Any]) -> Any:
        given = {**(patch or {}), **changes}
        if self.spec is None or args or _OF_SOME & changes.keys() or _several(given):
            update = go.Figure.update_xaxes if letter == "x" else go.Figure.update_yaxes
            return update(self, patch, *args, **changes)
        _merge(self.spec["layout"][f"{letter}axis"], given)
        return self


def _several(given: Mapping[str, Any]) -> bool:
    """Whether a name stands for a property of a property, as "title_text" does."""
    return any("_" in name and name not in _WITH_UNDERSCORE for name in given)


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change a dictionary, also inside the dictionaries that it has; a title may be given as its text."""
    for name, value in changes.items():
        if name == "title" and isinstance(value, str):
            value = {"text": value}
        if isinstance(value, Mapping):
            inner = into[name] = dict(into.get(name) or {})
            _merge(inner, value)
        else:
            into[name] = value
