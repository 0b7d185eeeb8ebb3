"""Layer graph: what does the network look like at an epoch, and which synapses drive which?"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import edge_dynamics, neighbourhood, one_run, session, sidebar, synapses, ui
from dashboard.figures import layer_graph as figures
from dashboard.figures import neighbourhood as close
from dashboard.network_view import DETAILS, View, details_for, values_of, view_of
from dashboard.queries import Library
from dashboard.synapses import HOW_TO_RECORD, Recorded

LAYER, SOURCE, TARGET, KIND = "network-layer", "network-source", "network-target", "network-look"
COLOUR, DETAIL = "network-colour", "network-detail"
MATRIX_LAYER, MATRIX_COLOUR = "network-matrix-layer", "network-matrix-colour"
MOST_FRAMES = 60
LARGE, FRAMES_OF_LARGE = 300_000, 11  # of more synapses fewer epochs are played: each is a look into all of them
_DETAIL_NAMES = {"layers": "Layers", "groups": "Groups", "strongest": "Strongest", "all": "All synapses"}
_QUANTITY_NAMES = {"weight": "Weight", "rate": "Rate dw/dt", "interaction": "Interaction strength"}


def page() -> None:
    """Lay out the page."""
    one_run.follow_click(whole=True)
    ui.head(
        "Layer graph",
        "What does the network look like at an epoch, and which synapses drive which?",
    )
    of = one_run.choose()
    if of is None:
        return
    st.caption(of.left_out)
    _at_an_epoch(of)


@st.fragment
def _at_an_epoch(of: Recorded) -> None:
    """All that depends on the epoch: when it changes, nothing else is drawn again."""
    one_run.follow_click(whole=False)
    epoch = one_run.epoch_of(of.trajectories or of.line_graphs)
    _network(of, epoch)
    _matrix(of, epoch)
    _neighbourhood(of, epoch)
    synapses.read_ahead(sidebar.current(), of, epoch, one_run.others(of.key), _same_of_others())


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
        st.markdown(_other_epoch(of, epoch, shown))
    books = sidebar.current()
    view, what, one = _edges(books, of, shown, quantity, detail)
    values, planned = {shown: books.once((what, shown), of.key, lambda: one(shown))}, [shown]
    if playing and len(epochs) > 1:
        most = FRAMES_OF_LARGE if of.n_synapses > LARGE else MOST_FRAMES
        planned = sorted({*_evenly(epochs, most), shown})
        found, _ = synapses.gathered(books, of, what, planned, one, one_run.deadline())
        values = dict(sorted({**found, **values}.items()))
    ui.chart(
        figures.network(
            view,
            values,
            figures.QUANTITIES[quantity],
            [len(level) for level in of.neurons],
            shown,
            _chosen(of),
            ui.is_dark(),
        ),
        f"network-{quantity}-{detail}-{'play' if len(values) > 1 else 'still'}",
        f"The network at epoch {shown}, its synapses coloured by {_QUANTITY_NAMES[quantity].lower()}. {view.note}",
        lambda: _edge_table(view, values, quantity),
        f"network-{quantity}",
        on_click=_clicked,
        place="network-graph",
    )
    st.caption(
        f"{view.note} The strongest colours stand for the strongest 1% of what is drawn."
        + (f" Played over {len(planned)} of {len(epochs)} epochs." if playing and len(planned) < len(epochs) else "")
    )
    if len(values) < len(planned):
        one_run.go_on(len(values), len(planned))


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
    synapse = None if state.get(KIND) == "neuron" else _chosen_synapse()

    def show(of: Recorded, epoch: int) -> None:
        if quantity in ("weight", "rate") and detail in details_for(of.neurons):
            _, what, one = _edges(books, of, epoch, quantity, detail)
            books.once((what, epoch), of.key, lambda: one(epoch))
        if isinstance(layer, int) and layer in of.layers and colour in ("weight", "rate"):
            _small_matrix(books, of, epoch, layer, colour)
        shown = of.nearest_line_graph(epoch)
        if synapse is not None and shown is not None:
            _neighbours(books, of, shown, synapse)

    return show


@st.fragment
@ui.guarded
def _matrix(of: Recorded, epoch: int) -> None:
    """The matrix of a layer."""
    ui.section("Matrix of a layer", "A row for each target neuron, a column for each source.", ("weight", "rate"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = _layer(of, "Layer", MATRIX_LAYER)
        quantity = _quantity(of, MATRIX_COLOUR)
    shown = epoch if quantity != "interaction" else of.nearest_line_graph(epoch)
    if shown is None:
        ui.empty("There is no line graph.", HOW_TO_RECORD)
        return
    if shown != epoch:
        st.markdown(_other_epoch(of, epoch, shown))
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


@st.fragment
def _neighbourhood(of: Recorded, epoch: int) -> None:
    """What drives a synapse, and what it drives; or what passes through a neuron."""
    one_run.follow_click(whole=False)
    _around(of, epoch)


@ui.guarded
def _around(of: Recorded, epoch: int) -> None:
    """The choice of a synapse or a neuron, and its neighbourhood."""
    ui.section(
        "Neighbourhood in the line graph G_B",
        "Its vertices are the synapses. A synapse is driven by those that leave its target neuron, and drives those "
        "that end in its source neuron.",
        ("neighbour", "interaction"),
    )
    shown = of.nearest_line_graph(epoch)
    if shown is None:
        ui.empty(
            "The line graph of this run was not recorded.",
            f"Its synapses' neighbourhoods need it. {HOW_TO_RECORD}",
        )
        return
    if shown != epoch:
        st.markdown(_other_epoch(of, epoch, shown))
    _begin_with_the_strongest(of, shown)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Look at",
            ("synapse", "neuron"),
            default="synapse",
            format_func=str.capitalize,
            required=True,
            **session.setting(KIND),
        )
        if kind == "neuron":
            level = _level(of)
            number = _neuron(of, level, "Neuron", TARGET)
        else:
            layer = _layer(of, "Layer", LAYER)
            source = _neuron(of, layer - 1, "From neuron", SOURCE)
            target = _neuron(of, layer, "To neuron", TARGET)
        st.button("Mark it in the network", on_click=one_run.chosen_by_click)
    if kind == "neuron":
        _around_neuron(of, shown, level, number)
    else:
        _around_synapse(of, shown, (layer, source, target))


def _begin_with_the_strongest(of: Recorded, epoch: int) -> None:
    """Choose the synapse of the second layer that is tied in most strongly, unless anything is chosen."""
    names = (LAYER, SOURCE, TARGET)
    kept = st.session_state.get("settings", {})
    if any(name in st.session_state or name in st.query_params or name in kept for name in names):
        return
    layer = min(2, of.layers[-1])
    strengths = synapses.interactions(sidebar.current(), of, epoch, layer)
    source, target = edge_dynamics.strongest_of(of, layer, strengths, 1)[0]
    st.session_state.update({LAYER: layer, SOURCE: source, TARGET: target})


def _around_synapse(of: Recorded, epoch: int, synapse: tuple[int, int, int]) -> None:
    books = sidebar.current()
    layer, source, target = synapse
    local = of.local(*synapse)
    table = _neighbours(books, of, epoch, synapse)
    weight = rate = np.nan
    if epoch in of.trajectories:
        row, column = divmod(local - of.offset(layer), len(of.neurons[layer - 1]))
        weight, rate = (float(matrix[row, column]) for matrix in synapses.values(books, of, epoch, layer))
    st.markdown(f"**Synapse {source} → {target} of layer {layer}, epoch {epoch}.** ")
    st.markdown("\n".join(f"- {s}" for s in neighbourhood.synapse_in_words(table, of, synapse, weight, rate)))
    figure, left_out = close.around_synapse(table, synapse, ui.is_dark())
    ui.chart(
        figure,
        "around-synapse",
        f"Synapse {source} → {target} of layer {layer} with the synapses that drive it and those that it drives.",
        table,
        f"neighbours-layer-{layer}-{source}-{target}",
        on_click=_clicked,
    )
    st.caption(
        f"Percentages are shares of the strength on each side. Click a neighbour to go there. {left_out}".strip()
    )
    with st.expander(f"All {len(table):,} neighbours as a table"):
        st.dataframe(table, hide_index=True, column_config={"share": st.column_config.NumberColumn(format="percent")})


def _neighbours(books: Library, of: Recorded, epoch: int, synapse: tuple[int, int, int]) -> pd.DataFrame:
    """The neighbours of a synapse at an epoch with a line graph."""
    local, layer = of.local(*synapse), synapse[0]

    def compute() -> pd.DataFrame:
        absolute, signed = (synapses.line_graph(books, of, epoch, strength) for strength in ("absolute", "signed"))
        known = epoch in of.trajectories and layer < of.layers[-1]
        after = synapses.values(books, of, epoch, layer + 1) if known else None
        return neighbourhood.of_synapse(absolute, signed, of, local, after)

    return books.once(("neighbours", epoch, local), of.key, compute)


def _around_neuron(of: Recorded, epoch: int, level: int, number: int) -> None:
    graph = synapses.line_graph(sidebar.current(), of, epoch)
    position = int(np.searchsorted(of.neurons[level], number))
    st.markdown(neighbourhood.neuron_in_words(graph, of, level, number, position))
    if level in (0, len(of.neurons) - 1):
        return
    block = neighbourhood.through_neuron(graph, level, position)
    sources, targets = of.neurons[level - 1], of.neurons[level + 1]
    figure, left_out = close.through_neuron(block, sources, targets, number, False, ui.is_dark())
    heat = figure.data[0]
    driving, driven = np.meshgrid(heat.y, heat.x, indexing="ij")
    ui.chart(
        figure,
        "through-neuron",
        f"Heatmap of the interactions between incoming and outgoing synapses of neuron {number} of level {level}.",
        pd.DataFrame({"driving": driving.ravel(), "driven": driven.ravel(), "strength": np.asarray(heat.z).ravel()}),
        f"through-neuron-{level}-{number}",
    )
    if left_out:
        st.caption(left_out)


def _keep_in_url() -> None:
    """Write all parts of the choice to the URL when one of them changes: what the page itself chose isn't there yet."""
    names = (KIND, LAYER, SOURCE, TARGET)
    st.session_state.update({name: st.session_state[name] for name in names if name in st.session_state})


def _clicked(point: list[Any]) -> None:
    """Take what was clicked, (layer, source, target) or (-1, level, neuron), into the widgets below."""
    if len(point) != 3 or not all(isinstance(value, int | float) for value in point):
        return
    first, second, third = map(int, point)
    given: dict[str, Any] = {KIND: "synapse", LAYER: first, SOURCE: second, TARGET: third}
    if first == -1:
        given = {KIND: "neuron", "network-level": second, TARGET: third}
    st.session_state.update(given)
    one_run.chosen_by_click()


def _chosen(of: Recorded) -> tuple[int, int, int] | None:
    """What is chosen below, for the picture above; nothing before anything was."""
    state = st.session_state
    numbers = [state.get(name) for name in (LAYER, SOURCE, TARGET)]
    if state.get(KIND) == "neuron":
        numbers = [state.get("network-level"), -1, state.get(TARGET)]
    if any(not isinstance(number, int) for number in numbers):
        return None
    layer, source, target = (int(number) for number in numbers if number is not None)
    return (layer, source, target) if 0 <= layer < len(of.neurons) else None


def _chosen_synapse() -> tuple[int, int, int] | None:
    """Layer, source and target of the synapse that is looked at."""
    found = [st.session_state.get(name) for name in (LAYER, SOURCE, TARGET)]
    layer, source, target = (number if isinstance(number, int) else -1 for number in found)
    return (layer, source, target) if layer > 0 else None


def _layer(of: Recorded, label: str, key: str) -> int:
    return _one_of(label, list(of.layers), key, lambda n: f"{n} ({' × '.join(map(str, of.shapes[n - 1][::-1]))})")


def _level(of: Recorded) -> int:
    names = figures.level_names(len(of.neurons))
    return _one_of("Level", list(range(len(of.neurons))), "network-level", lambda n: names[n], 1)


def _neuron(of: Recorded, level: int, label: str, key: str) -> int:
    return _one_of(label, of.neurons[level].tolist(), key, str)


def _one_of(label: str, options: list[int], key: str, text: Any, index: int = 0) -> int:
    """A box of numbers; one that the session or the URL has but that is no option becomes the first."""
    arguments = session.setting(key)
    if key in st.session_state and st.session_state[key] not in options:
        st.session_state[key] = options[0]
    found = st.selectbox(label, options, index, text, width=170, on_change=_keep_in_url, **arguments)
    return session.one_of(found, options, options[0])


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


def _other_epoch(of: Recorded, epoch: int, shown: int) -> str:
    listed = ", ".join(map(str, of.line_graphs[:12])) + (", …" if len(of.line_graphs) > 12 else "")
    return (
        f":material/info: The line graph was recorded at epochs {listed}, not at {epoch}: this shows epoch **{shown}**."
    )


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
