from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_synapses import record_synapses
from ncore_dashboard.data import edge_dynamics, synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.data.synapse_comparison import (
    Moving,
    Tied,
    dynamics_in_words,
    graph_in_words,
    moving,
    nearest,
    recorded_of,
    tied,
    tied_in_words,
)
from streamlit.testing.v1 import AppTest

from ncore.store import create_store

SLOW = Moving("lenet", 0, 20, (0.1, 0.2), before=0.01, now=0.001, still=0.0, half=0.02, graph=20)
LIVE = Moving("vit small", 0, 20, (0.1, 0.5), before=0.01, now=0.005, still=0.3, half=0.1, graph=20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two candidates of different depth, and one without trajectories."""
    found = tmp_path_factory.mktemp("runs") / "pair"
    store = create_store(found)
    record_synapses(store, "one")
    record_synapses(store, "two", widths=(6, 5, 4, 3), epochs=6, trajectories_every=2, seed=1)
    record_synapses(store, "bare", trajectories_every=0, line_graph_every=0)
    return found


def keys_of(books: Library, candidate: str) -> list[str]:
    runs = books.runs()
    return runs.loc[runs["candidate"] == candidate, "key"].tolist()


def test_numbers_agree_with_what_was_recorded(place: Path) -> None:
    books = Library([str(place)])
    of = recorded_of(books, keys_of(books, "one"))
    assert of is not None
    found = moving(books, of, "one", 4)
    rows = books.run(of.key).trajectory()
    now, before = (rows.loc[rows["epoch"] == epoch, "rate"].abs() for epoch in (4, 0))
    assert (found.now, found.before) == pytest.approx((now.median(), before.median()))
    assert found.still == pytest.approx(float((now == 0).mean()))
    weights = rows[(rows["epoch"] == 4) & (rows["layer"] == 2)]["weight"].to_numpy(np.float64)
    assert found.sizes[1] == pytest.approx(math.sqrt((weights**2).mean()))
    into, out = synapses.degrees(books, of, 4)
    assert found.half == edge_dynamics.carrying(into + out, (0.5,))[0]
    assert recorded_of(books, [*keys_of(books, "bare"), "0~gone"]) is None


def test_the_nearest_epoch_is_the_earlier_of_two() -> None:
    assert [nearest([0, 2, 6], epoch) for epoch in (0, 1, 3, 4, 9)] == [0, 0, 2, 2, 6]


def test_the_most_strongly_tied_synapse_is_that_of_the_line_graph(place: Path) -> None:
    books = Library([str(place)])
    of = recorded_of(books, keys_of(books, "one"))
    assert of is not None
    found = tied(books, of, "one", 4, 2)
    assert found is not None
    graph = books.run(of.key).line_graph(found.epoch)
    table = graph.synapses.assign(strength=graph.in_degree + graph.out_degree)
    rows = table[table["layer"] == 2]
    first = rows.loc[rows["strength"].idxmax()]
    places = of.neurons[1][int(first["source"])], of.neurons[2][int(first["target"])]
    assert (found.source, found.target) == places
    assert found.share == pytest.approx(first["strength"] / rows["strength"].sum())
    assert tied(books, of, "one", 4, 99) is None


def test_words_say_whose_layer_hangs_on_one_synapse() -> None:
    one, two = Tied("lenet", 4, 1, 2, 0.25), Tied("vit small", 4, 0, 3, 0.05)
    said = tied_in_words(2, one, two)
    assert "1 → 2 for lenet (25%) and 0 → 3 for “vit small” (5%): lenet depends more on a single one." in said
    assert tied_in_words(2, one, replace(two, share=0.24)).endswith("about alike.")
    assert "layer 2 of “vit small”: its synapses drive nothing" in tied_in_words(2, one, replace(two, share=math.nan))
    assert tied_in_words(2, one, None) == ""


def test_words_name_what_differs() -> None:
    assert "layer 2: those of “vit small” are 2.5 times" in graph_in_words(SLOW, LIVE)
    said = " ".join(dynamics_in_words(SLOW, LIVE))
    assert "fell 10-fold for lenet" in said
    assert "lenet has come closer to rest" in said
    assert "0% of the synapses of lenet stand still, and 30%" in said
    assert "by 2% of the synapses of lenet and by 10%" in said
    assert "in lenet fewer synapses do the work" in said


def test_words_say_when_nothing_differs_or_is_known() -> None:
    assert "about as large" in graph_in_words(SLOW, replace(LIVE, sizes=(0.101, 0.2)))
    assert "layer by layer" in graph_in_words(SLOW, replace(LIVE, sizes=(0.1,)))
    assert "differ most in layer 2" in graph_in_words(replace(SLOW, sizes=(0.0, 0.1)), replace(LIVE, sizes=(0.0, 0.4)))
    alike = dynamics_in_words(SLOW, replace(SLOW, name="other", half=math.nan))
    assert len(alike) == 1
    assert "about alike" in alike[0]
    assert "rose 2-fold" in dynamics_in_words(SLOW, replace(LIVE, now=0.02))[0]
    assert "at rest: their median speed is 0" in dynamics_in_words(SLOW, replace(LIVE, now=0.0))[0]
    assert "began at rest" in dynamics_in_words(SLOW, replace(LIVE, before=0.0))[0]


def test_page_shows_every_view_of_two_candidates(app: Callable[..., AppTest], place: Path) -> None:
    test = app(place, page="compare")
    test.selectbox(key="compare-first").set_value("one").run()
    test.selectbox(key="compare-second").set_value("two").run()
    assert not test.exception
    said = "\n".join(str(item.value) for item in [*test.markdown, *test.header, *test.caption])
    for part in ("Prediction and outcome", "Learning curves", "Capacitance", "Layer graph", "Edge dynamics"):
        assert part in said
    assert "failed" not in said
    assert "layer by layer" in said
    assert "Of layer 1, the synapse with the most of the interaction strength is" in said
    assert said.count("of layer 1") >= 2
    charts = len(test.get("plotly_chart"))
    test.selectbox(key="compare-layer").set_value(4).run()
    assert not test.exception
    assert any("no layer 4" in str(item.value) for item in test.markdown)
    assert len(test.get("plotly_chart")) == charts - 3  # its matrix, its neighbourhood and its phase plane
    test.select_slider(key="compare-graph-epoch").set_value(3).run()
    assert not test.exception
    assert any("epoch 2" in str(item.value) for item in test.markdown)


def test_page_says_whose_synapses_are_missing(app: Callable[..., AppTest], place: Path) -> None:
    test = app(place, page="compare")
    test.selectbox(key="compare-first").set_value("one").run()
    test.selectbox(key="compare-second").set_value("bare").run()
    assert not test.exception
    assert any("No weights and rates were recorded of **bare**" in str(item.value) for item in test.markdown)
