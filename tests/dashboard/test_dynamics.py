from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from made_up_synapses import record_synapses
from ncore_dashboard.data import edge_dynamics, synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.figures import dynamics
from ncore_dashboard.text.explanations import explanation
from streamlit.testing.v1 import AppTest

from ncore.store import create_store


@pytest.fixture(scope="session")
def recorded_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without line graphs, one without trajectories, and a whole one."""
    place = tmp_path_factory.mktemp("runs") / "dynamics"
    store = create_store(place)
    record_synapses(store, "no line graph", neurons=3, line_graph_every=0)
    record_synapses(store, "no trajectories", trajectories_every=0)
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


def texts(test: AppTest) -> str:
    found = [item.value for item in [*test.markdown, *test.caption, *test.title, *test.header]]
    return "\n".join(map(str, found))


# numbers


@given(some.integers(1, 500), some.sampled_from([1.0, 0.99, 0.5]))
def test_density_agrees_with_numpy(count: int, share: float) -> None:
    weight, rate = np.random.default_rng(count).normal(size=(2, count)).astype(np.float32)
    found = edge_dynamics.density(weight, rate, share)
    wanted, *_ = np.histogram2d(rate, weight, bins=(found.rates, found.weights))
    assert np.abs(found.counts - wanted).sum() <= 2  # one that is exactly on an edge
    assert found.counts.sum() + found.outside == count
    assert share < 1 or found.outside == 0


@given(arrays(np.float32, some.integers(1, 50), elements=some.floats(-8, 8, width=32)))
def test_density_counts_everything_whatever_the_values(values: np.ndarray) -> None:
    for share in (1.0, 0.5):
        found = edge_dynamics.density(values, np.roll(values, 1) ** 2, share)
        assert found.counts.sum() + found.outside == len(values)


def test_density_leaves_out_what_is_missing() -> None:
    found = edge_dynamics.density(np.array([1.0, np.nan, 2.0]), np.array([1.0, 1.0, np.inf]))
    assert found.counts.sum() == 1


def test_a_million_synapses_are_counted_and_drawn_in_half_a_second() -> None:
    rng = np.random.default_rng(0)
    weight, rate = (rng.normal(size=1_000_000).astype(np.float32) for _ in range(2))
    best = math.inf
    for _ in range(3):
        began = time.perf_counter()
        size = len(dynamics.phase_density(edge_dynamics.density(weight, rate)).to_json())
        best = min(best, time.perf_counter() - began)
    assert size < 2e6
    assert best < 0.5


def test_speeds_are_quantiles_of_the_table(library_of: Library, whole: synapses.Recorded) -> None:
    table = library_of.run(whole.key).trajectory(epoch=3)
    found = edge_dynamics.speeds_at(library_of, whole, 3).set_index("layer")
    for layer, rows in table.groupby("layer"):
        wanted = rows["rate"].abs().quantile([0.05, 0.5, 0.95]).to_numpy()
        assert found.loc[layer, ["q05", "q50", "q95"]].to_numpy() == pytest.approx(wanted, rel=1e-5)
        assert found.loc[layer, "zero"] == (rows["rate"] == 0).mean()


def test_the_effective_state_is_the_mean_weighted_by_out_degree(library_of: Library, whole: synapses.Recorded) -> None:
    dense = library_of.run(whole.key).line_graph(2).to_scipy().toarray().astype(float)
    table = library_of.run(whole.key).trajectory(epoch=2)
    out = dense.sum(0)
    found = edge_dynamics.effective_at(library_of, whole, 2).iloc[0]
    assert found["x_eff"] == pytest.approx(out @ table["weight"] / out.sum(), rel=1e-4)
    assert found["rate"] == pytest.approx(out @ table["rate"] / out.sum(), rel=1e-4)


@given(arrays(np.int64, some.integers(1, 60), elements=some.integers(0, 9)))
def test_what_carries_is_the_smallest_set(strengths: np.ndarray) -> None:
    found = edge_dynamics.carrying(strengths)
    if strengths.sum() == 0:
        assert all(math.isnan(share) for share in found)
        return
    ordered = np.sort(strengths)[::-1]
    for share, wanted in zip(found, edge_dynamics.SHARES, strict=True):
        count = round(share * len(strengths))
        assert ordered[:count].sum() >= wanted * strengths.sum() * (1 - 1e-9)
        assert ordered[: count - 1].sum() < wanted * strengths.sum() * (1 + 1e-9)


def test_what_carries_of_equal_strengths_is_that_share() -> None:
    assert edge_dynamics.carrying(np.ones(100)) == [0.5, 0.9, 0.99]


def test_sparseness_has_the_whole_and_every_layer(library_of: Library, whole: synapses.Recorded) -> None:
    found = edge_dynamics.sparseness_at(library_of, whole, 4)
    assert sorted(found["layer"].unique()) == [0, 1, 2, 3, 4]
    assert found["synapses"].between(0, 1).all()


@pytest.mark.parametrize("candidate", ["whole", "no line graph"])
def test_what_moved_most_and_its_course(library_of: Library, candidate: str) -> None:
    of = synapses.recorded(library_of, key_of(library_of, candidate))
    table = library_of.run(of.key).trajectory(layer=2)
    change = (
        table[table["epoch"] == 4].set_index(["source", "target"])["weight"]
        - table[table["epoch"] == 0].set_index(["source", "target"])["weight"]
    ).abs()
    found = edge_dynamics.most_moved(library_of, of, 2, 3)
    assert found == change.sort_values(ascending=False).index[:3].tolist()
    courses, epochs = edge_dynamics.courses_of(library_of, of, 2, found, seconds=60)
    assert epochs == 5
    assert len(courses) == 15
    assert set(zip(courses["source"], courses["target"], strict=True)) == set(found)


# figures


@pytest.mark.parametrize("dark", [False, True])
def test_phase_points_can_be_told_apart(library_of: Library, whole: synapses.Recorded, dark: bool) -> None:
    values = synapses.values(library_of, whole, 2, 2)
    figure = dynamics.phase_points(values.weight, values.rate, whole.neurons[1], whole.neurons[2], dark)
    trace = figure.data[0]
    assert trace.type == "scatter"
    source, target = np.asarray(trace.customdata)[7]
    assert trace.x[7] == values.weight[target, source]
    assert trace.y[7] == values.rate[target, source]
    assert figure.layout.yaxis.title.text == explanation("rate").axis


def test_paths_mark_the_epoch_and_have_a_name_each() -> None:
    table = pd.DataFrame(
        {"epoch": [0, 1, 2] * 2, "source": [1] * 3 + [2] * 3, "target": 4, "weight": 0.1, "rate": np.arange(6.0)}
    )
    figure = dynamics.paths(table, epoch=1)
    assert [trace.name for trace in figure.data if trace.showlegend is None] == ["1 → 4", "2 → 4"]
    path, marks = figure.data[:2]
    assert list(marks.x) == [path.x[1], path.x[2], path.x[1]]
    assert (list(marks.marker.size), list(marks.marker.symbol)[1:]) == ([0, 11, 13], ["arrow", "circle-open"])
    assert len({trace.line.color for trace in figure.data[::2]}) == 2
    at_the_end, unknown = (dynamics.paths(table, epoch).data[1].marker.symbol for epoch in (2, 7))
    assert list(at_the_end) == ["circle", "circle", "circle-open"]
    assert list(unknown) == ["circle", "arrow"]
    single = dynamics.paths(table[table["epoch"] == 0], 0).data[1].marker
    assert list(single.symbol) == ["circle", "circle-open"]
    assert "No synapse" in dynamics.paths(table.head(0), 1).layout.annotations[0].text


def test_speeds_have_a_panel_for_each_layer_and_a_logarithmic_axis() -> None:
    rows = [(e, layer, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 0.0) for e in range(3) for layer in (1, 2)]
    table = pd.DataFrame(rows, columns=["epoch", "layer", "q05", "q25", "q50", "q75", "q95", "zero"])
    figure = dynamics.speeds(table)
    assert {axis.type for axis in figure.select_yaxes()} == {"log"}
    assert [trace.name for trace in figure.data if trace.mode != "lines"] == ["median", "median"]
    assert max(figure.data[0].y) == pytest.approx(0.1)
    quiet = table.assign(**dict.fromkeys(("q05", "q25", "q50", "q75", "q95"), 0.0))
    assert "at rest" in dynamics.speeds(quiet).layout.annotations[0].text


def test_speeds_with_zeros_stay_on_the_axis() -> None:
    table = pd.DataFrame(
        {"epoch": [0, 1], "layer": 1, "q05": 0.0, "q25": 0.0, "q50": 0.5, "q75": 0.7, "q95": 1.0, "zero": 0.3}
    )
    for trace in dynamics.speeds(table).data:
        assert (np.asarray(trace.y) > 0).all()


def test_undefined_effective_states_are_left_out() -> None:
    table = pd.DataFrame({"epoch": [0, 5, 10], "x_eff": [0.1, np.nan, 0.2], "rate": [0.0, np.nan, 0.1]})
    assert list(dynamics.effective(table).data[0].x) == [0, 10]
    assert "undefined" in dynamics.effective(table.iloc[[1]]).layout.annotations[0].text


def test_sparseness_is_in_per_cent() -> None:
    rows = [(e, layer, share, 0.25) for e in (0, 2) for layer in (0, 1) for share in edge_dynamics.SHARES]
    table = pd.DataFrame(rows, columns=["epoch", "layer", "strength", "synapses"])
    figure = dynamics.sparseness(table)
    assert len(figure.data) == 6
    assert list(figure.data[0].y) == [25, 25]
    assert "no interaction" in dynamics.sparseness(table.assign(synapses=np.nan)).layout.annotations[0].text


def test_epochs_beside_are_read_ahead_of_large_runs(
    library_of: Library, whole: synapses.Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert synapses.read_ahead(library_of, whole, 2) is None  # a small one is read at once
    monkeypatch.setattr(synapses, "_QUICK", 0)
    monkeypatch.setattr(synapses, "_AHEAD", 0)
    timer = synapses.read_ahead(library_of, whole, 2)
    assert timer is not None
    timer.join(30)
    assert [library_of.has(("values", epoch), whole.key) for epoch in (0, 1, 2, 3, 4)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert synapses.read_ahead(library_of, whole, 2) is None
    assert synapses.read_ahead(library_of, whole, 99) is None


def test_what_a_page_shows_is_computed_ahead_and_faults_stay_silent(
    library_of: Library, whole: synapses.Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synapses, "_QUICK", 0)
    monkeypatch.setattr(synapses, "_AHEAD", 0)
    seen: list[tuple[str, int]] = []

    def show(of: synapses.Recorded, epoch: int) -> None:
        seen.append((of.key, epoch))
        raise RuntimeError("a fault that nobody has asked for")

    timer = synapses.read_ahead(library_of, whole, 0, ["0~deleted"], show)
    assert timer is not None
    timer.join(30)  # pytest fails the test if its thread ends by an exception
    assert seen == [(whole.key, 0), (whole.key, 1)]


def test_looking_ahead_again_takes_the_place_of_what_has_not_begun(
    library_of: Library, whole: synapses.Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synapses, "_QUICK", 0)
    monkeypatch.setattr(synapses, "_AHEAD", 600)
    first, second = (synapses.read_ahead(library_of, whole, epoch, [], lambda of, epoch: None) for epoch in (1, 2))
    assert first is not None
    assert second is not None
    assert first.finished.is_set()
    assert not second.finished.is_set()
    second.cancel()
    assert not library_of.has(("values", 1), whole.key)


# the page


def test_page(app: Callable[..., AppTest], recorded_store: Path) -> None:
    test = app(recorded_store, page="dynamics")
    assert not test.exception
    said = texts(test)
    assert "Do the synapses come to rest" in said
    assert "failed" not in said
    assert "carry half of the interaction strength" in said
    assert len(test.get("plotly_chart")) == 5
    test.segmented_control(key="dynamics-choice").set_value("fast").run()
    assert not test.exception
    test.segmented_control(key="dynamics-choice").set_value("own").run()
    assert "No synapse is chosen" in texts(test)
    test.multiselect(key="synapses box").set_value(["3 → 1", "99-2", "<b>"]).run()
    assert not test.exception
    assert "2 of them are no recorded synapse" in texts(test)
    assert len(test.get("plotly_chart")) == 5
    assert test.query_params["dynamics-synapses"] == ["3-1", "99-2", "<b>"]


def test_a_link_holds_the_synapses_that_were_chosen(app: Callable[..., AppTest], recorded_store: Path) -> None:
    test = app(recorded_store, page="dynamics")
    test.query_params["dynamics-synapses"] = ["3-1", "0 → 2", "\u202ex" * 90]
    test.segmented_control(key="dynamics-choice").set_value("own").run()
    assert not test.exception
    assert test.multiselect(key="synapses box").value[:2] == ["3-1", "0-2"]
    assert len(test.multiselect(key="synapses box").value[2]) <= 24
    assert "1 of them is no recorded synapse" in texts(test)


def test_page_without_a_line_graph(app: Callable[..., AppTest], recorded_store: Path) -> None:
    test = app(recorded_store, page="dynamics")
    test.selectbox(key="run box").set_value(key_of(Library([str(recorded_store)]), "no line graph")).run()
    said = texts(test)
    assert "x_eff can't be computed" in said
    assert "line_graph_every" in said
    assert len(test.get("plotly_chart")) == 3


def test_page_without_trajectories(app: Callable[..., AppTest], recorded_store: Path) -> None:
    test = app(recorded_store, page="dynamics")
    test.selectbox(key="run box").set_value(key_of(Library([str(recorded_store)]), "no trajectories")).run()
    said = texts(test)
    assert "weights and rates of this run were not recorded" in said
    assert "trajectories_every" in said
    assert len(test.get("plotly_chart")) == 1
    assert not test.exception


def test_page_of_an_empty_store(app: Callable[..., AppTest], tmp_path: Path) -> None:
    create_store(tmp_path / "empty")
    assert "no runs to show" in texts(app(tmp_path / "empty", page="dynamics"))


def test_page_of_a_damaged_run(app: Callable[..., AppTest], tmp_path: Path) -> None:
    store = create_store(tmp_path / "damaged")
    run = record_synapses(store)
    file = tmp_path / "damaged" / run / "line_graph.parquet"
    file.write_bytes(file.read_bytes()[:200])
    test = app(tmp_path / "damaged", page="dynamics")
    assert not test.exception
    assert "truncated" in texts(test)
    assert len(test.get("plotly_chart")) == 3
