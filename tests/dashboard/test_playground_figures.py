"""The pictures of the playground."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from ncore_dashboard.charts import live
from ncore_dashboard.learn.figures import playground as plane
from ncore_dashboard.learn.figures import playground_graph as graphs
from ncore_dashboard.learn.figures import playground_phase as phases
from ncore_dashboard.learn.playground.engine import Data, Setup, Training
from PIL import Image


@pytest.fixture(scope="module")
def training() -> Training:
    """The network that frames are measured with, a few steps on its way."""
    found = Training(Data(count=500, share=0.9), Setup(hidden=(8, 8, 8)))
    found.advance(40)
    return found


def drawn(training: Training, dark: bool) -> dict[str, Any]:
    states = training.outputs(plane.places())
    weights = training.network.weights
    graph = training.line_graph()
    assert graph is not None
    return {
        "boundary": go.Figure(plane.boundary(states[-1][:, 0], training.points, test=True, dark=dark)),
        "curves": go.Figure(plane.curves({"A": training.history}, dark=dark)),
        "layers": go.Figure(graphs.layers(weights, states, ["x₁", "x₂"], dark)),
        "line": go.Figure(graphs.line_graph(graph, weights, dark=dark)[0]),
        "phase": go.Figure(phases.phase(weights, training.rates(), list(training.trail), training.reach, dark)),
    }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_figures_are_small_and_have_labelled_axes(training: Training, dark: bool) -> None:
    total = 0
    for name, figure in drawn(training, dark).items():
        spec = figure.to_json(validate=False)
        total += len(spec)
        assert figure.layout.height, name
        axes = [figure.layout[a] for a in ("xaxis", "yaxis") if figure.layout[a].visible is not False]
        assert all(axis.title.text or axis.ticktext for axis in axes), name
    assert total < 250_000


def test_the_boundary_is_drawn_where_the_answer_changes(training: Training) -> None:
    places = plane.places()
    field = (places[:, 0] > 0).astype(float)
    figure = go.Figure(plane.boundary(field, training.points))
    assert [trace.type for trace in figure.data] == ["heatmap", "contour", "scatter", "scatter"]
    assert {trace.marker.symbol for trace in figure.data[2:]} == {"circle", "diamond"}
    one_sided = go.Figure(plane.boundary(np.full(len(places), 0.9), training.points))
    assert "contour" not in [trace.type for trace in one_sided.data]
    soft = go.Figure(plane.boundary(0.5 + 0.1 * places[:, 0], training.points, discrete=True))
    assert set(np.unique(soft.data[0].z)) == {0.0, 1.0}
    with_test = go.Figure(plane.boundary(field, training.points, test=True))
    assert sum("open" in str(trace.marker.symbol) for trace in with_test.data[2:]) == 2


def test_values_are_coloured_and_a_neuron_has_a_scale_of_its_own() -> None:
    training = Training(Data("plane", 50), Setup())
    states = training.outputs(plane.places())
    figure = go.Figure(plane.boundary(states[-1][:, 0], training.points))
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-1, 1)
    assert figure.data[-1].marker.cmin == -1
    neuron = go.Figure(plane.boundary(5 * states[1][:, 2], training.points, neuron="neuron 1.2"))
    assert neuron.data[0].zmax == plane.nice(np.abs(5 * states[1][:, 2]).max())
    assert "neuron 1.2" in neuron.data[0].colorbar.title.text


def test_curves_of_two_networks_differ_by_more_than_hue(training: Training) -> None:
    other = Training(Data(count=500, share=0.9), Setup(hidden=(3,)))
    figure = go.Figure(plane.curves({"A": training.history, "B": other.history}))
    assert [trace.name for trace in figure.data] == [
        "A: training loss",
        "A: test loss",
        "A: beta_eff",
        "B: training loss",
        "B: test loss",
    ]
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 5
    alone = go.Figure(plane.curves({"B": other.history}, undefined="beta_eff needs two hidden layers"))
    assert alone.layout.annotations[0].text == "beta_eff needs two hidden layers"
    assert alone.layout.yaxis2.visible is False


def test_axes_reach_to_round_numbers_so_that_they_seldom_jump(training: Training) -> None:
    figure = go.Figure(plane.curves({"A": training.history}))
    assert figure.layout.xaxis.range == (0, 50)
    assert figure.layout.yaxis.range == (0, 0.8)
    values = np.abs(np.concatenate([w.ravel() for w in training.network.weights])).max()
    rest = phases.phase(training.network.weights, training.rates())
    assert values <= rest["layout"]["xaxis"]["range"][1] <= 1.6 * values


@pytest.mark.parametrize(
    ("value", "end"), [(0.0, 1.0), (np.nan, 1.0), (1.0, 1.0), (1.01, 1.5), (2.2e-7, 3e-7), (81, 100)]
)
def test_nice_numbers(value: float, end: float) -> None:
    assert plane.nice(value) == end


def test_the_line_graph_has_every_synapse_and_its_strongest_interactions(training: Training) -> None:
    graph = training.line_graph()
    assert graph is not None
    spec, left_out = graphs.line_graph(graph, training.network.weights)
    figure = go.Figure(spec)
    assert len(figure.data[-1].x) == graph.n_synapses == 152
    lines = sum(int(np.isfinite(trace.x).sum()) // 2 for trace in figure.data[:-1])
    assert lines == graphs.MOST_INTERACTIONS
    assert left_out.startswith(f"The strongest 300 of {2 * 8 * 8 + 8 * 8 * 8 + 8 * 8:,} interactions are drawn;")
    spec, said = graphs.line_graph(graph, training.network.weights, reach=1e9)
    faded = go.Figure(spec)
    assert "1e+09 (loss per squared weight)" in said
    assert sum(int(np.isfinite(trace.x).sum()) // 2 for trace in faded.data[1:-1]) == 0  # all in the faintest bin
    small = Training(Data(count=50), Setup(hidden=(2, 2))).line_graph()
    assert small is not None
    weights = Training(Data(count=50), Setup(hidden=(2, 2))).network.weights
    _, nothing = graphs.line_graph(small, weights)
    assert nothing.startswith("All 12 interactions are drawn; the thickest lines stand for ")
    places = {tuple(place) for place in np.column_stack([figure.data[-1].x, figure.data[-1].y]).tolist()}
    assert len(places) == 152  # no vertex hides another


def test_a_line_joins_the_synapses_that_interact() -> None:
    training = Training(Data(count=50), Setup(hidden=(2, 2)))
    graph = training.line_graph()
    assert graph is not None
    figure = go.Figure(graphs.line_graph(graph, training.network.weights)[0])
    at = np.column_stack([figure.data[-1].x, figure.data[-1].y])
    ends = np.concatenate([np.column_stack([trace.x, trace.y]).reshape(-1, 3, 2)[:, :2] for trace in figure.data[:-1]])
    number = {tuple(place): index for index, place in enumerate(at.tolist())}
    found = {(number[tuple(a)], number[tuple(b)]) for a, b in ends.tolist()}
    expected = graph.to_scipy().tocoo()
    assert found == {(int(c), int(r)) for r, c in zip(*expected.coords, strict=True)}


def test_the_pictures_of_neurons_are_what_they_answer() -> None:
    training = Training(Data(count=50), Setup())
    states = training.outputs(plane.places())
    figure = go.Figure(graphs.layers(training.network.weights, states, ["x₁", "x₂"]))
    assert len(figure.layout.images) == sum(state.shape[1] for state in states)
    image = Image.open(io.BytesIO(base64.b64decode(figure.layout.images[0].source.partition(",")[2]))).convert("RGB")
    left, right = image.getpixel((0, 5)), image.getpixel((image.width - 1, 5))
    assert left[2] > left[0]  # x₁ is negative on the left: blue
    assert right[0] > right[2]  # and positive on the right: orange
    names = list(figure.data[-1].hovertext)
    assert names[0] == "input x₁"
    assert names[-1] == "output"
    assert "neuron 1.0 (hidden layer 1)" in names


def test_phase_plane_keeps_the_axes_that_it_is_given(training: Training) -> None:
    figure = go.Figure(phases.phase(training.network.weights, training.rates(), reach=(1.0, 0.3)))
    assert figure.layout.xaxis.range == (-1.5, 1.5)
    assert figure.layout.yaxis.range == (-0.4, 0.4)
    markers = [trace for trace in figure.data if trace.mode == "markers"]
    assert len({trace.marker.symbol for trace in markers}) == 4
    assert sum(len(trace.x) for trace in markers) == 152
    assert json.loads(figure.to_json(validate=False))["layout"]["showlegend"] is True


def test_the_browser_gets_every_array_as_its_bytes(training: Training) -> None:
    figure = plane.boundary(training.outputs(plane.places())[-1][:, 0], training.points)
    picture = live.Picture("key", figure, "alt\ntext", pd.DataFrame, "file", "note")
    sent = picture.sent()
    assert {name: sent[name] for name in ("key", "alt", "note")} == {"key": "key", "alt": "alt text", "note": "note"}
    read = go.Figure(json.loads(sent["figure"]))
    assert read.layout.uirevision == "key"
    for trace, given in zip(json.loads(sent["figure"])["data"], figure["data"], strict=True):
        assert trace["x"]["dtype"] == "f4"
        assert np.array_equal(np.frombuffer(base64.b64decode(trace["x"]["bdata"]), np.float32), given["x"])
    assert json.loads(sent["figure"])["data"][0]["z"]["shape"] == f"{plane.CELLS}, {plane.CELLS}"
    with pytest.raises(TypeError, match="can't be sent"):
        live.Picture("key", {"data": [object()], "layout": {}}, "", pd.DataFrame, "file").sent()
