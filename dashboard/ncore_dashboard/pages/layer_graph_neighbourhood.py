"""The part of the page Layer graph about one synapse or neuron: its choice, and its neighbourhood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from ncore.network.strengths import Strength
from ncore_dashboard.data import edge_dynamics, neighbourhood, synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.data.synapses import HOW_TO_RECORD, Recorded
from ncore_dashboard.figures import neighbourhood as figures
from ncore_dashboard.figures.layer_graph import level_names
from ncore_dashboard.parts import run_choice, sidebar, ui
from ncore_dashboard.state import session

KIND, LAYER, SOURCE, TARGET = "network-look", "network-layer", "network-source", "network-target"
_LEVEL = "network-level"


@st.fragment
def section(of: Recorded, epoch: int) -> None:
    """What drives a synapse, and what it drives; or what passes through a neuron."""
    run_choice.follow_click(whole=False)
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
        st.markdown(other_epoch(of, epoch, shown))
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
            layer = layer_box(of, "Layer", LAYER)
            source = _neuron(of, layer - 1, "From neuron", SOURCE)
            target = _neuron(of, layer, "To neuron", TARGET)
        st.button("Mark it in the network", on_click=run_choice.chosen_by_click)
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
    table = neighbours(books, of, epoch, synapse)
    weight = rate = np.nan
    if epoch in of.trajectories:
        row, column = divmod(local - of.offset(layer), len(of.neurons[layer - 1]))
        weight, rate = (float(matrix[row, column]) for matrix in synapses.values(books, of, epoch, layer))
    st.markdown(f"**Synapse {source} → {target} of layer {layer}, epoch {epoch}.** ")
    st.markdown("\n".join(f"- {s}" for s in neighbourhood.synapse_in_words(table, of, synapse, weight, rate)))
    figure, left_out = figures.around_synapse(table, synapse, ui.is_dark())
    ui.chart(
        figure,
        "around-synapse",
        f"Synapse {source} → {target} of layer {layer} with the synapses that drive it and those that it drives.",
        table,
        f"neighbours-layer-{layer}-{source}-{target}",
        on_click=clicked,
    )
    st.caption(
        f"Percentages are shares of the strength on each side. Click a neighbour to go there. {left_out}".strip()
    )
    with st.expander(f"All {len(table):,} neighbours as a table"):
        st.dataframe(table, hide_index=True, column_config={"share": st.column_config.NumberColumn(format="percent")})


def neighbours(books: Library, of: Recorded, epoch: int, synapse: tuple[int, int, int]) -> pd.DataFrame:
    """The neighbours of a synapse at an epoch with a line graph."""
    local, layer = of.local(*synapse), synapse[0]

    def compute() -> pd.DataFrame:
        absolute, signed = (
            synapses.line_graph(books, of, epoch, strength) for strength in (Strength.ABSOLUTE, Strength.SIGNED)
        )
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
    figure, left_out = figures.through_neuron(block, sources, targets, number, False, ui.is_dark())
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


def clicked(point: list[Any]) -> None:
    """Take what was clicked, (layer, source, target) or (-1, level, neuron), into the widgets below."""
    if len(point) != 3 or not all(isinstance(value, int | float) for value in point):
        return
    first, second, third = map(int, point)
    given: dict[str, Any] = {KIND: "synapse", LAYER: first, SOURCE: second, TARGET: third}
    if first == -1:
        given = {KIND: "neuron", _LEVEL: second, TARGET: third}
    st.session_state.update(given)
    run_choice.chosen_by_click()


def chosen(of: Recorded) -> tuple[int, int, int] | None:
    """What is chosen below, for the picture above; nothing before anything was."""
    state = st.session_state
    numbers = [state.get(name) for name in (LAYER, SOURCE, TARGET)]
    if state.get(KIND) == "neuron":
        numbers = [state.get(_LEVEL), -1, state.get(TARGET)]
    if any(not isinstance(number, int) for number in numbers):
        return None
    layer, source, target = (int(number) for number in numbers if number is not None)
    return (layer, source, target) if 0 <= layer < len(of.neurons) else None


def chosen_synapse() -> tuple[int, int, int] | None:
    """Layer, source and target of the synapse that is looked at; None if it is a neuron."""
    if st.session_state.get(KIND) == "neuron":
        return None
    found = [st.session_state.get(name) for name in (LAYER, SOURCE, TARGET)]
    layer, source, target = (number if isinstance(number, int) else -1 for number in found)
    return (layer, source, target) if layer > 0 else None


def layer_box(of: Recorded, label: str, key: str) -> int:
    """Let the user choose a layer, by its number and shape."""
    return _one_of(label, list(of.layers), key, lambda n: f"{n} ({' × '.join(map(str, of.shapes[n - 1][::-1]))})")


def _level(of: Recorded) -> int:
    names = level_names(len(of.neurons))
    return _one_of("Level", list(range(len(of.neurons))), _LEVEL, lambda n: names[n], 1)


def _neuron(of: Recorded, level: int, label: str, key: str) -> int:
    return _one_of(label, of.neurons[level].tolist(), key, str)


def _one_of(label: str, options: list[int], key: str, text: Any, index: int = 0) -> int:
    """A box of numbers; one that the session or the URL has but that is no option becomes the first."""
    arguments = session.setting(key)
    if key in st.session_state and st.session_state[key] not in options:
        st.session_state[key] = options[0]
    found = st.selectbox(label, options, index, text, width=170, on_change=_keep_in_url, **arguments)
    return session.one_of(found, options, options[0])


def other_epoch(of: Recorded, epoch: int, shown: int) -> str:
    """That the line graph shown is of another epoch than the page, as Markdown."""
    listed = ", ".join(map(str, of.line_graphs[:12])) + (", …" if len(of.line_graphs) > 12 else "")
    return (
        f":material/info: The line graph was recorded at epochs {listed}, not at {epoch}: this shows epoch **{shown}**."
    )
