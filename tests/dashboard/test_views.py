from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import pytest

from dashboard.views import apply_view, checked


def figure() -> go.Figure:
    return go.Figure([go.Scatter(name="a"), go.Scatter(name="b")], layout={"xaxis": {}, "yaxis": {"range": [0, 1]}})


def test_a_view_sets_ranges_and_hides_traces() -> None:
    seen = apply_view(figure(), {"axes": {"xaxis": [2.0, 3.0]}, "hidden": ["b"]})
    assert list(seen.layout.xaxis.range) == [2.0, 3.0]
    assert list(seen.layout.yaxis.range) == [0, 1]
    assert [trace.visible for trace in seen.data] == [None, "legendonly"]
    assert seen.layout.meta == {"view": {"axes": {"xaxis": [2.0, 3.0]}, "hidden": ["b"]}}


def test_no_view_changes_nothing() -> None:
    assert apply_view(figure(), {}).to_json() == figure().to_json()


@pytest.mark.parametrize(
    "reported",
    [
        None,
        [],
        "x",
        {"a": None},
        {1: {"axes": {}}},
        {"a": {"axes": {"xaxis": "01"}}},
        {"a": {"axes": {"xaxis": [1]}}},
        {"a": {"axes": {"xaxis": [1, 1]}}},
        {"a": {"axes": {"xaxis": [0, float("inf")]}}},
        {"a": {"axes": {"title": [0, 1]}}},
        {"a": {"axes": {"xaxis.title": [0, 1]}}},
        {"a": {"hidden": "all", "axes": 3, "redraw": "1"}},
    ],
)
def test_what_makes_no_sense_is_dropped(reported: Any) -> None:
    for view in checked(reported).values():
        assert view == {"axes": {}, "hidden": [], "redraw": 0}


def test_a_report_that_makes_sense_is_kept() -> None:
    view = {"axes": {"xaxis2": [0.5, 3.0]}, "hidden": ["vit"], "redraw": 2}
    assert checked({"beta": view}) == {"beta": view}
