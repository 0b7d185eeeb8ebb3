"""Layer graph: what does the network look like at an epoch, and which synapses drive which?"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ncore_dashboard.data import synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.data.network_detail import DETAILS, View, details_for, values_of, view_of
from ncore_dashboard.data.synapses import HOW_TO_RECORD, Recorded
from ncore_dashboard.figures import layer_graph as figures
from ncore_dashboard.pages import layer_graph_neighbourhood
from ncore_dashboard.parts import run_choice, sidebar, ui
from ncore_dashboard.state import session

COLOUR, DETAIL = "network-colour", "network-detail"
MATRIX_LAYER, MATRIX_COLOUR = "network-matrix-layer", "network-matrix-colour"
MOST_FRAMES = 60
LARGE, FRAMES_OF_LARGE = 300_000, 11  # of more synapses fewer epochs are played: each is a look into all of them
_DETAIL_NAMES = {"layers": "Layers", "groups": "Groups", "strongest": "Strongest", "all": "All synapses"}
_QUANTITY_NAMES = {"weight": "Weight", "rate": "Rate dw/dt", "interaction": "Interaction strength"}


def page() -> None:
    """Lay out the page."""
    run_choice.follow_click(whole=True)
    ui.head(
        "Layer graph",
        "What does the network look like at an epoch, and which synapses drive which?",
    )
    of = run_choice.choose()
    if of is None:
        return
    st.caption(of.left_out)
    _at_an_epoch(of)


@st.fragment
def _at_an_epoch(of: Recorded) -> None:
    """All that depends on the epoch: when it changes, nothing else is drawn again."""
    run_choice.follow_click(whole=False)
    epoch = run_choice.epoch_of(of.trajectories or of.line_graphs)
    _network(of, epoch)
    _matrix(of, epoch)
    layer_graph_neighbourhood.section(of, epoch)
    synapses.read_ahead(sidebar.current(), of, epoch, run_choice.others(of.key), _same_of_others())


@ui.guarded
def _network(of: Recorded, epoch: int) -> None:
    """The picture of G_A."""
    ui.section(
        "The network G_A",
        "Neurons in columns, inputs on the left; lines are synapses. Click a neuron or the mark on a synapse to see "
        "its neighbourhood in the line graph below.",
        ("weight", "rate", "interaction"),
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        quantity = _quantity(of)
        detail = _detail(of)
        playing = st.toggle("Play over epochs", **session.setting("network-play"))
    epochs = of.line_graphs if quantity == "interaction" else of.trajectories
    shown = epoch if epoch in epochs else of.nearest_line_graph(epoch)
    if shown is None:
        ui.empty("There is no line graph.", HOW_TO_RECORD)
        return
    if shown != epoch:
        st.markdown(layer_graph_neighbourhood.other_epoch(of, epoch, shown))
    books = sidebar.current()
    view, what, one = _edges(books, of, shown, quantity, detail)
    values, planned = {shown: books.once((what, shown), of.key, lambda: one(shown))}, [shown]
    if playing and len(epochs) > 1:
        most = FRAMES_OF_LARGE if of.n_synapses > LARGE else MOST_FRAMES
        planned = sorted({*_evenly(epochs, most), shown})
        found, _ = synapses.gathered(books, of, what, planned, one, run_choice.deadline())
        values = dict(sorted({**found, **values}.items()))
    ui.chart(
        figures.network(
            view,
            values,
            figures.QUANTITIES[quantity],
            [len(level) for level in of.neurons],
            shown,
            layer_graph_neighbourhood.chosen(of),
            ui.is_dark(),
        ),
        f"network-{quantity}-{detail}-{'play' if len(values) > 1 else 'still'}",
        f"The network at epoch {shown}, its synapses coloured by {_QUANTITY_NAMES[quantity].lower()}. {view.note}",
        lambda: _edge_table(view, values, quantity),
        f"network-{quantity}",
        on_click=layer_graph_neighbourhood.clicked,
        place="network-graph",
    )
    st.caption(
        f"{view.note} The strongest colours stand for the strongest 1% of what is drawn."
        + (f" Played over {len(planned)} of {len(epochs)} epochs." if playing and len(planned) < len(epochs) else "")
    )
    if len(values) < len(planned):
        run_choice.go_on(len(values), len(planned))


def _edges(
    books: Library, of: Recorded, shown: int, quantity: str, detail: str
) -> tuple[View, Hashable, Callable[[int], np.ndarray]]:
    """What is drawn of the network, and a name and a function for its edges' values at an epoch."""
    ranked = (quantity, shown) if detail == "strongest" else None  # by what synapses are chosen
    view = books.once(
        ("view", detail, ranked),
        of.key,
        lambda: view_of(of.neurons, _matrices(books, of, shown, quantity) if ranked else (), detail),
    )

    def one(at: int) -> np.ndarray:
        return values_of(view, of.neurons, _matrices(books, of, at, quantity), quantity == "interaction")

    return view, ("edges", quantity, detail, ranked), one


def _same_of_others() -> Callable[[Recorded, int], None]:
    """What computes, of other epochs and runs, what this session now sees of one; it needs no session."""
    books, state = sidebar.current(), st.session_state
    quantity, detail = str(state.get(COLOUR)), str(state.get(DETAIL))
    layer, colour = state.get(MATRIX_LAYER), str(state.get(MATRIX_COLOUR))
    synapse = layer_graph_neighbourhood.chosen_synapse()

    def show(of: Recorded, epoch: int) -> None:
        if quantity in ("weight", "rate") and detail in details_for(of.neurons):
            _, what, one = _edges(books, of, epoch, quantity, detail)
            books.once((what, epoch), of.key, lambda: one(epoch))
        if isinstance(layer, int) and layer in of.layers and colour in ("weight", "rate"):
            _small_matrix(books, of, epoch, layer, colour)
        shown = of.nearest_line_graph(epoch)
        if synapse is not None and shown is not None:
            layer_graph_neighbourhood.neighbours(books, of, shown, synapse)

    return show


@st.fragment
@ui.guarded
def _matrix(of: Recorded, epoch: int) -> None:
    """The matrix of a layer."""
    ui.section("Matrix of a layer", "A row for each target neuron, a column for each source.", ("weight", "rate"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = layer_graph_neighbourhood.layer_box(of, "Layer", MATRIX_LAYER)
        quantity = _quantity(of, MATRIX_COLOUR)
    shown = epoch if quantity != "interaction" else of.nearest_line_graph(epoch)
    if shown is None:
        ui.empty("There is no line graph.", HOW_TO_RECORD)
        return
    if shown != epoch:
        st.markdown(layer_graph_neighbourhood.other_epoch(of, epoch, shown))
    matrix = _small_matrix(sidebar.current(), of, shown, layer, quantity)
    sources, targets = of.neurons[layer - 1], of.neurons[layer]
    figure, left_out = figures.weight_matrix(
        matrix, sources, targets, figures.QUANTITIES[quantity], layer, ui.is_dark()
    )
    ui.chart(
        figure,
        f"matrix-{quantity}-{layer}",
        f"Heatmap of the {_QUANTITY_NAMES[quantity].lower()} of layer {layer} at epoch {shown}. {left_out}",
        lambda: _cells(figure, quantity),
        f"matrix-{quantity}-layer-{layer}",
        place="matrix",
    )
    if left_out:
        st.caption(left_out)


def _small_matrix(books: Library, of: Recorded, epoch: int, layer: int, quantity: str) -> figures.Reduced:
    """What is drawn of the matrix of a layer."""
    return books.once(
        ("matrix", quantity, epoch, layer),
        of.key,
        lambda: figures.reduced_matrix(_matrix_of(books, of, epoch, layer, quantity)),
    )


def _quantity(of: Recorded, key: str = COLOUR) -> str:
    options = ["weight", "rate"] if of.trajectories else []
    options += ["interaction"] if of.line_graphs else []
    found = st.segmented_control(
        "Colour by",
        options,
        default=options[0],
        format_func=_QUANTITY_NAMES.__getitem__,
        required=True,
        **session.setting(key),
    )
    return session.one_of(found, options, options[0])


def _detail(of: Recorded) -> str:
    options = details_for(of.neurons)
    best = "strongest" if "strongest" in options and (of.n_synapses > 800) else options[-1]
    if best == "strongest" and of.n_synapses > LARGE:
        best = "groups"
    found = st.segmented_control(
        "Detail",
        options,
        default=best,
        format_func=_DETAIL_NAMES.__getitem__,
        required=True,
        **session.setting(DETAIL),
    )
    return session.one_of(found, [name for name in DETAILS if name in options], best)


def _matrices(books: Library, of: Recorded, epoch: int, quantity: str) -> list[np.ndarray]:
    return [_matrix_of(books, of, epoch, layer, quantity) for layer in of.layers]


def _matrix_of(books: Library, of: Recorded, epoch: int, layer: int, quantity: str) -> np.ndarray:
    if quantity == "interaction":
        return synapses.interactions(books, of, epoch, layer)
    found = synapses.values(books, of, epoch, layer)
    return found.weight if quantity == "weight" else found.rate


def _evenly(epochs: tuple[int, ...], most: int) -> list[int]:
    places = np.unique(np.linspace(0, len(epochs) - 1, min(most, len(epochs))).round().astype(int))
    return [epochs[place] for place in places]


def _cells(figure: go.Figure, quantity: str) -> pd.DataFrame:
    """The cells of a heatmap, a row each."""
    heat = figure.data[0]
    targets, sources = np.meshgrid(heat.y, heat.x, indexing="ij")
    return pd.DataFrame({"source": sources.ravel(), "target": targets.ravel(), quantity: np.asarray(heat.z).ravel()})


def _edge_table(view: View, values: dict[int, np.ndarray], quantity: str) -> pd.DataFrame:
    """What is drawn, a row for each edge and epoch."""
    names = ["layer", "source", "target"]
    if view.detail in ("layers", "groups"):
        names += ["source_last", "target_last"]
    return pd.concat(view.edges[names].assign(epoch=epoch, **{quantity: edge}) for epoch, edge in values.items())


page()
