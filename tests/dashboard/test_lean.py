from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from ncore_dashboard.charts.compact import Specified, lean
from ncore_dashboard.figures import base


def figure(dark: bool = False) -> go.Figure:
    found = base.panels(["a", "b"], 2, dark, shared=False, height=300)
    found.add_scatter(x=np.array([0.1, 1 / 3], np.float32), y=np.array([1, 2]), row=1, col=1)
    found.add_heatmap(z=np.eye(3, dtype=np.float32), row=1, col=2)
    return found.update_yaxes(gridcolor="red", col=2)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_a_template_says_is_in_the_layout_below_what_the_figure_says(dark: bool) -> None:
    template = figure(dark).layout.template.layout
    layout = lean(figure(dark), "ink")["layout"]
    assert "template" not in layout
    assert layout["paper_bgcolor"] == template.paper_bgcolor
    assert layout["yaxis"]["gridcolor"] == layout["xaxis2"]["gridcolor"] == template.yaxis.gridcolor
    assert layout["yaxis2"]["gridcolor"] == "red"
    assert layout["yaxis"]["domain"] == list(figure(dark).layout.yaxis.domain)


def test_only_what_is_short_and_flat_is_a_list() -> None:
    many = go.Scatter(y=np.zeros(5001, np.float32))
    line, heat, long = lean(figure().add_trace(many), "ink")["data"]
    assert line["x"] == [0.1, 0.3333333]
    assert line["y"] == [1, 2]
    assert set(heat["z"]) == {"dtype", "bdata", "shape"}
    assert set(long["y"]) == {"dtype", "bdata"}


def test_a_template_of_traces_is_kept() -> None:
    spec = lean(go.Figure(go.Scatter(y=[1]), {"template": "plotly"}), "ink")
    assert spec["layout"]["template"]["data"]["scatter"]


def test_what_is_specified_is_what_is_sent() -> None:
    spec = lean(figure(), "ink")
    assert json.loads(pio.to_json(Specified(spec), validate=False)) == json.loads(json.dumps(spec))
