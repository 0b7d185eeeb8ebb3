from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from ncore_dashboard.figures.sketch import Sketch

STEPS: dict[str, Callable[[Any], Any]] = {
    "traces": lambda figure: figure.add_scatter(x=np.arange(3), y=[1, 2, 3], name="a").add_heatmap(z=np.eye(2)),
    "trace objects": lambda figure: figure.add_traces([go.Scatter(y=[1]), {"type": "scatter", "y": [2]}]),
    "one trace": lambda figure: figure.add_traces(go.Scatter(y=[1])),
    "layout": lambda figure: figure.update_layout(margin={"t": 50}, legend={"font": {"size": 9}}, title="so"),
    "a dictionary": lambda figure: figure.update_layout({"margin": {"t": 50}}),
    "names of several": lambda figure: figure.update_layout(title_text="so", legend_font_size=9),
    "axes": lambda figure: figure.update_xaxes(title="so", range=[0, 1]).update_yaxes({"nticks": 3}, visible=False),
    "axes of several": lambda figure: figure.update_xaxes(title_text="so"),
    "a selector": lambda figure: figure.update_xaxes(title="so", selector={"nticks": 3}),
    "a line": lambda figure: figure.add_scatter(y=[1], line_width=3).add_hline(y=2),
    "after a look": lambda figure: (figure.layout.height, figure.add_scatter(y=[1]).update_xaxes(title="so"))[1],
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_it_ends_up_as_a_figure_does_that_checks_at_once(step: Callable[[Any], Any]) -> None:
    layout = {"template": {"layout": {"font": {"size": 13}}}, "height": 300, "margin": {"l": 8}, "xaxis": {"nticks": 7}}
    found, wanted = step(Sketch.of(layout)), step(go.Figure(layout={"yaxis": {}, **layout}))
    assert json.loads(found.to_json()) == json.loads(wanted.to_json())


def test_nothing_is_checked_before_anybody_looks() -> None:
    figure = Sketch.of({"height": 300}).add_scatter(y=[1], mode="waltz")
    with pytest.raises(ValueError, match="waltz"):
        _ = figure.data


def test_steps_do_not_change_what_they_were_given() -> None:
    margin = {"l": 8}
    Sketch.of({"margin": margin}).update_layout(margin={"l": 9})
    assert margin == {"l": 8}
