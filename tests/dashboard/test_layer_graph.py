from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_up_synapses import WIDTHS, record_synapses
from ncore_dashboard.data import neighbourhood, synapses
from ncore_dashboard.data.library import Library, library
from ncore_dashboard.data.network_detail import details_for, grouped, reduced, values_of, view_of
from ncore_dashboard.figures import layer_graph, scales
from ncore_dashboard.figures import neighbourhood as close
from streamlit.testing.v1 import AppTest

from ncore.errors import StoreError
from ncore.store import create_store


@pytest.fixture(scope="session")
def recorded_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all of its synapses, one with a sample and no line graph, and one without any; the first is first."""
    place = tmp_path_factory.mktemp("runs") / "synapses"
    store = create_store(place)
    record_synapses(store, "nothing", trajectories_every=0, line_graph_every=0)
    record_synapses(store, "sample", neurons=3, line_graph_every=0)
    record_synapses(store, "whole")
    return place


@pytest.fixture
def library_of(recorded_store: Path) -> Library:
    return Library([str(recorded_store)])


def key_of(books: Library, candidate: str) -> str:
    runs = books.runs()
    return str(runs.loc[runs["candidate"] == candidate, "key"].iloc[0])


@pytest.fixture
def whole(library_of: Library) -> synapses.Recorded:
    return synapses.recorded(library_of, key_of(library_of, "whole"))


def matrices(books: Library, of: synapses.Recorded, epoch: int) -> list[np.ndarray]:
    return [synapses.values(books, of, epoch, layer).weight for layer in of.layers]


def lines_of(path: str) -> list[str]:
    """The single lines, each "Mx,yLx,y", of a shape."""
    return re.findall("M[^M]+", path)


def texts(test: AppTest) -> str:
    found = [item.value for item in [*test.markdown, *test.caption, *test.title, *test.header]]
    return "\n".join(map(str, found))


# what is read


def test_recorded_says_what_is_there_and_what_is_left_out(library_of: Library, whole: synapses.Recorded) -> None:
    assert whole.complete
    assert whole.n_synapses == 6 * 5 + 5 * 4 + 4 * 3 + 3 * 3
    assert whole.trajectories == (0, 1, 2, 3, 4)
    assert whole.line_graphs == (0, 2, 4)
    sample = synapses.recorded(library_of, key_of(library_of, "sample"))
    assert sample.widths == WIDTHS
    assert sample.n_synapses == 36
    assert "36 of 71" in sample.left_out
    assert not synapses.recorded(library_of, key_of(library_of, "nothing")).trajectories


@pytest.mark.parametrize("candidate", ["whole", "sample"])
def test_matrices_hold_what_the_table_has(library_of: Library, candidate: str) -> None:
    of = synapses.recorded(library_of, key_of(library_of, candidate))
    table = library_of.run(of.key).trajectory(epoch=2, layer=2)
    found = synapses.values(library_of, of, 2, 2)
    for row in table.to_dict("records"):
        at = list(of.neurons[2]).index(row["target"]), list(of.neurons[1]).index(row["source"])
        assert found.weight[at] == row["weight"]
        assert found.rate[at] == row["rate"]


def test_the_sum_of_interactions_is_that_of_the_matrix(library_of: Library, whole: synapses.Recorded) -> None:
    dense = synapses.line_graph(library_of, whole, 2).to_scipy().toarray().astype(float)
    for layer in whole.layers:
        start, (rows, columns) = whole.offset(layer), whole.shapes[layer - 1]
        span = slice(start, start + rows * columns)
        wanted = dense[span].sum(1) + dense[:, span].sum(0)
        assert synapses.interactions(library_of, whole, 2, layer).ravel() == pytest.approx(wanted, rel=1e-4, abs=1e-7)


def test_a_synapse_that_was_not_recorded_is_refused(library_of: Library) -> None:
    sample = synapses.recorded(library_of, key_of(library_of, "sample"))
    absent = next(n for n in range(6) if n not in sample.neurons[0])
    with pytest.raises(StoreError, match=f"{absent} → "):
        sample.local(1, absent, int(sample.neurons[1][0]))


def test_gathered_goes_on_where_it_stopped(library_of: Library, whole: synapses.Recorded) -> None:
    made: list[int] = []

    def one(epoch: int) -> int:
        made.append(epoch)
        return epoch * epoch

    past, later = time.monotonic() - 1, time.monotonic() + 60
    assert synapses.gathered(library_of, whole, "squares", [0, 1, 2], one, past) == ({}, False)
    assert synapses.gathered(library_of, whole, "squares", [0, 1, 2], one, later) == ({0: 0, 1: 1, 2: 4}, True)
    assert synapses.gathered(library_of, whole, "squares", [0, 1, 2, 3], one, past) == ({0: 0, 1: 1, 2: 4}, False)
    assert made == [0, 2, 1]


@given(some.integers(0, 40))
def test_spread_is_a_permutation(count: int) -> None:
    assert sorted(synapses.spread(range(count))) == list(range(count))


# level of detail


def test_all_synapses_of_a_small_network_are_drawn(library_of: Library, whole: synapses.Recorded) -> None:
    values = matrices(library_of, whole, 0)
    assert details_for(whole.neurons) == ["layers", "all"]
    view = view_of(whole.neurons, values, "all")
    assert len(view.edges) == whole.n_synapses
    assert len(view.nodes) == sum(WIDTHS)
    assert values_of(view, whole.neurons, values, False) == pytest.approx(np.concatenate([v.ravel() for v in values]))
    assert "All 71" in view.note


def test_of_a_large_network_the_strongest_are_drawn_and_the_rest_is_counted() -> None:
    neurons = [np.arange(400), np.arange(50), np.arange(4)]
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(50, 400)).astype(np.float32), rng.normal(size=(4, 50)).astype(np.float32)]
    assert details_for(neurons) == ["layers", "groups", "strongest"]
    view = view_of(neurons, values, "strongest")
    assert len(view.edges) == 160
    drawn = np.abs(values_of(view, neurons, values, False)[:80])
    assert drawn.min() >= np.sort(np.abs(values[0]).ravel())[-80]
    assert "160 strongest of 20,200" in view.note
    assert "20,040 weaker" in view.note
    assert (view.nodes["level"] == 0).sum() <= 80


def test_groups_hold_every_neuron_once() -> None:
    neurons = [np.arange(100, 133), np.arange(5)]
    values = [np.ones((5, 33), np.float32)]
    view = view_of(neurons, values, "groups")
    assert view.nodes.groupby("level")["neurons"].sum().tolist() == [33, 5]
    assert values_of(view, neurons, values, True).sum() == 165
    assert values_of(view, neurons, values, False) == pytest.approx(1)


def test_groups_do_not_count_what_is_missing() -> None:
    matrix = np.array([[3.0, np.nan], [np.nan, np.nan]])
    first = np.array([0])
    assert grouped(matrix, first, first, total=False).tolist() == [[3.0]]


@given(some.integers(1, 30), some.integers(1, 30), some.integers(1, 7), some.integers(1, 7))
def test_a_reduced_matrix_keeps_the_extremes(rows: int, columns: int, high: int, wide: int) -> None:
    matrix = np.random.default_rng(rows * columns).normal(size=(rows, columns))
    small, height, width = reduced(matrix, (high, wide))
    assert small.shape[0] <= high
    assert small.shape[1] <= wide
    assert height * small.shape[0] >= rows
    assert width * small.shape[1] >= columns
    assert np.abs(small).max() == np.abs(matrix).max()


# figures


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("detail", ["layers", "groups", "strongest", "all"])
def test_the_network_is_drawn_at_every_detail(
    library_of: Library, whole: synapses.Recorded, detail: str, dark: bool
) -> None:
    values = matrices(library_of, whole, 1)
    view = view_of(whole.neurons, values, detail)
    edges = values_of(view, whole.neurons, values, False)
    figure = layer_graph.network(view, {1: edges}, layer_graph.QUANTITIES["weight"], WIDTHS, 1, (2, 0, 1), dark)
    marks = next(trace for trace in figure.data if trace.name == "synapses")
    assert len(marks.x) == len(view.edges)
    assert sum(shape.path.count("M") for shape in figure.layout.shapes) == len(view.edges)
    drawn = {tuple(map(float, re.split("[ML,]", line)[1:])) for s in figure.layout.shapes for line in lines_of(s.path)}
    row = view.edges.iloc[-1]
    assert (row["layer"] - 1, pytest.approx(row["y0"], abs=1e-4), row["layer"], pytest.approx(row["y1"], abs=1e-4)) in [
        *drawn
    ]
    assert figure.layout.xaxis.ticktext[0] == "inputs<br>6 neurons"
    assert any(trace.name == "chosen" for trace in figure.data)
    assert not figure.frames


def test_playing_has_a_frame_for_each_epoch(library_of: Library, whole: synapses.Recorded) -> None:
    view = view_of(whole.neurons, matrices(library_of, whole, 4), "all")
    values = {e: values_of(view, whole.neurons, matrices(library_of, whole, e), False) for e in whole.trajectories}
    figure = layer_graph.network(view, values, layer_graph.QUANTITIES["weight"], WIDTHS, 3)
    assert [frame.name for frame in figure.frames] == ["0", "1", "2", "3", "4"]
    assert figure.layout.sliders[0].active == 3
    still = [trace for trace in figure.data if trace.mode == "lines"]
    for trace, same in zip(still, figure.frames[3].data, strict=False):
        np.testing.assert_array_equal(trace.x, same.x)
    assert list(figure.frames[0].data[-1].marker.color) == pytest.approx(list(values[0]))
    assert len(figure.to_json()) < 2e6


def test_a_large_matrix_is_reduced_and_says_so() -> None:
    matrix = np.zeros((400, 900), np.float32)
    matrix[399, 899] = -5
    quantity = layer_graph.QUANTITIES["weight"]
    figure, left_out = layer_graph.weight_matrix(matrix, np.arange(900), np.arange(400), quantity, 1)
    assert np.asarray(figure.data[0].z).shape == (134, 300)
    assert np.asarray(figure.data[0].z)[-1, -1] == -5
    assert "3 × 3 synapses" in left_out
    assert len(figure.to_json()) < 2e6
    assert layer_graph.weight_matrix(matrix[:9, :9], np.arange(9), np.arange(9), quantity, 1)[1] == ""


@pytest.mark.parametrize("dark", [False, True])
def test_signs_have_different_colours_of_like_lightness(dark: bool) -> None:
    low, high = scales.colour_at(-1, True, dark), scales.colour_at(1, True, dark)
    assert low != high
    light = [sum(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (low, high)]
    assert abs(light[0] - light[1]) < 200
    assert scales.limit(np.zeros(3)) == 1


# the line graph


def test_pushes_of_the_drivers_add_up_to_the_rate(library_of: Library, whole: synapses.Recorded) -> None:
    graphs = [synapses.line_graph(library_of, whole, 2, strength) for strength in ("absolute", "signed")]
    for layer, source, target in ((1, 3, 2), (2, 1, 1), (3, 0, 2)):
        local = whole.local(layer, source, target)
        after = synapses.values(library_of, whole, 2, layer + 1)
        table = neighbourhood.of_synapse(graphs[0], graphs[1], whole, local, after)
        rate = float(synapses.values(library_of, whole, 2, layer).rate[target, source])
        assert table["push"].sum() == pytest.approx(rate, rel=1e-3, abs=1e-8)
        drivers = table[table["role"] == "drives"]
        assert (drivers["source"] == target).all()
        assert table.groupby("role")["share"].sum().tolist() == pytest.approx([1.0] * table["role"].nunique())
        said = " ".join(neighbourhood.synapse_in_words(table, whole, (layer, source, target), 0.1, rate))
        assert "exactly its rate" in said
        assert ("It drives none" in said) == (layer == 1)


def test_the_block_through_a_neuron_is_that_of_the_matrix(library_of: Library, whole: synapses.Recorded) -> None:
    graph = synapses.line_graph(library_of, whole, 2)
    block = neighbourhood.through_neuron(graph, 1, 3)
    dense = graph.to_scipy().toarray()
    for out in range(4):
        for into in range(6):
            wanted = dense[graph.synapse(1, into, 3), graph.synapse(2, 3, out)]
            assert block[out, into] == pytest.approx(wanted, rel=1e-4, abs=1e-8)


def test_words_on_a_neuron(library_of: Library, whole: synapses.Recorded) -> None:
    graph = synapses.line_graph(library_of, whole, 2)
    assert "is an input" in neighbourhood.neuron_in_words(graph, whole, 0, 2, 2)
    said = neighbourhood.neuron_in_words(graph, whole, 1, 2, 2)
    assert "passes through" in said
    assert "6 incoming to 4 outgoing" in said or "No interaction" in said


def test_the_neighbourhood_draws_at_most_a_dozen_on_a_side() -> None:
    import pandas as pd

    count = 30
    table = pd.DataFrame(
        {
            "role": ["drives"] * count,
            "layer": 2,
            "source": 1,
            "target": np.arange(count),
            "strength": np.linspace(1, 0.1, count),
            "share": 1 / count,
            "signed": 0.1,
            "weight": 0.1,
            "push": np.nan,
        }
    )
    figure, left_out = close.around_synapse(table, (1, 0, 1))
    assert len(figure.layout.shapes) == 12
    assert "18 that drive it" in left_out
    blank, _ = close.around_synapse(table.assign(strength=0.0), (1, 0, 1))
    assert "No interaction" in blank.layout.annotations[0].text


def test_through_a_wide_neuron_the_strongest_are_drawn() -> None:
    block = np.ones((10, 500))
    block[:, 7] = 9
    figure, left_out = close.through_neuron(block, np.arange(500), np.arange(10), 3, signed=False)
    assert "7 → 3" in figure.data[0].x
    assert "40 of 500" in left_out


# the page


def test_page(app: Callable[..., AppTest], recorded_store: Path) -> None:
    test = app(recorded_store, page="layer_graph")
    assert not test.exception
    said = texts(test)
    assert "All 71 synapses of the unit were recorded" in said
    assert "Driven by" in said
    assert "failed" not in said
    assert len(test.get("plotly_chart")) == 3
    test.segmented_control(key="network-look").set_value("neuron").run()
    assert "joins 6 incoming" in texts(test) or "No interaction passes" in texts(test)
    test.segmented_control(key="network-colour").set_value("interaction").run()
    test.toggle(key="network-play").set_value(True).run()
    assert not test.exception
    assert json.loads(test.get("plotly_chart")[0].proto.spec)["frames"]


def test_page_says_which_epoch_of_the_line_graph_it_shows(app: Callable[..., AppTest], recorded_store: Path) -> None:
    test = app(recorded_store, page="layer_graph", network_epoch="3")
    test.select_slider(key="network-epoch").set_value(3).run()
    assert "not at 3: this shows epoch **2**" in texts(test)


def test_page_computes_ahead_what_it_shows_of_other_epochs(
    app: Callable[..., AppTest], recorded_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synapses, "_QUICK", 0)
    monkeypatch.setattr(synapses, "_AHEAD", 0)
    app(recorded_store, page="layer_graph", network_epoch="1")
    books = library((str(recorded_store),))
    key = key_of(books, "whole")
    wanted: list[tuple[object, ...]] = [(("edges", "weight", "all", None), 2), ("matrix", "weight", 2, 1)]
    end = time.monotonic() + 60
    while not all(books.has(what, key) for what in wanted):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_page_of_a_sample_says_what_is_missing(app: Callable[..., AppTest], recorded_store: Path) -> None:
    test = app(recorded_store, page="layer_graph")
    box = test.selectbox(key="run box")
    box.set_value(key_of(Library([str(recorded_store)]), "sample")).run()
    said = texts(test)
    assert "A sample" in said
    assert "line graph of this run was not recorded" in said
    assert "line_graph_every" in said
    test.selectbox(key="run box").set_value(key_of(Library([str(recorded_store)]), "nothing")).run()
    assert "Nothing was recorded" in texts(test)
    assert not test.exception


def test_page_of_an_empty_store(app: Callable[..., AppTest], tmp_path: Path) -> None:
    create_store(tmp_path / "empty")
    assert "no runs to show" in texts(app(tmp_path / "empty", page="layer_graph"))


def test_page_of_a_damaged_run(app: Callable[..., AppTest], tmp_path: Path) -> None:
    store = create_store(tmp_path / "damaged")
    run = record_synapses(store)
    file = tmp_path / "damaged" / run / "trajectories.parquet"
    file.write_bytes(file.read_bytes()[:200])
    test = app(tmp_path / "damaged", page="layer_graph")
    assert not test.exception
    assert "can't be shown" in texts(test)
    assert "truncated" in texts(test)
