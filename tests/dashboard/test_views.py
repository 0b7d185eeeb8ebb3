from __future__ import annotations

from typing import Any

import pytest
from ncore_dashboard.charts.zoom import apply_view, checked


def chart() -> dict[str, Any]:
    return {"data": [{"name": "a"}, {"name": "b"}], "layout": {"xaxis": {}, "yaxis": {"range": [0, 1]}}}


def test_a_view_sets_ranges_and_hides_traces() -> None:
    view = {"axes": {"xaxis": [2.0, 3.0], "xaxis7": [0.0, 1.0]}, "hidden": ["b"]}
    seen = apply_view(chart(), view)
    assert seen["layout"] == {
        "xaxis": {"range": [2.0, 3.0], "autorange": False},
        "yaxis": {"range": [0, 1]},
        "meta": {"view": view},
    }
    assert [trace.get("visible") for trace in seen["data"]] == [None, "legendonly"]


def test_no_view_changes_nothing() -> None:
    assert apply_view(chart(), {}) == chart()


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
