"""The synapses of two candidates side by side: their networks, their phase planes, their speeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ncore_dashboard.data import edge_dynamics, synapse_comparison, synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.data.network_detail import View, details_for, values_of, view_of
from ncore_dashboard.data.synapse_comparison import Moving, dynamics_in_words, graph_in_words
from ncore_dashboard.data.synapses import HOW_TO_RECORD, Recorded
from ncore_dashboard.figures import dynamics as figures
from ncore_dashboard.figures import layer_graph
from ncore_dashboard.pages import compare_layer
from ncore_dashboard.pages.compare_layer import no_layer, two
from ncore_dashboard.parts import run_choice, sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import markdown, plain

_EPOCH, _LAYER = "compare-graph-epoch", "compare-layer"
_FEW = 800  # synapses that are drawn one by one


@st.fragment
@ui.guarded
def show(names: Sequence[str], keys: Sequence[Sequence[str]]) -> None:
    """Layer graphs and edge dynamics of two candidates at an epoch.

    Args:
        names: Of the candidates.
        keys: Of their runs; the first of each that has recorded its synapses is shown.
    """
    books = sidebar.current()
    found = [synapse_comparison.recorded_of(books, group) for group in keys]
    missing = [name for name, of in zip(names, found, strict=True) if of is None]
    if missing:
        ui.section("Layer graph and edge dynamics", "")
        whose = " and ".join(f"**{markdown(name, 60)}**" for name in missing)
        ui.empty("Their synapses can't be compared.", f"No weights and rates were recorded of {whose}. {HOW_TO_RECORD}")
        return
    both = [of for of in found if of is not None]
    ui.section(
        "Layer graph",
        "Neurons in columns, inputs on the left; synapses by their weight, on the same scale left and right.",
        ("weight",),
    )
    epoch = _epoch(both)
    sides = [
        synapse_comparison.moving(books, of, name, synapse_comparison.nearest(of.trajectories, epoch))
        for name, of in zip(names, both, strict=True)
    ]
    st.markdown(f"- {markdown(graph_in_words(*sides))}")
    _networks(books, both, sides)
    ui.section(
        "A layer and its line graph",
        "The weights of a layer, on the same scale left and right. Below, its synapse with the largest interaction "
        "strength: those that drive it on the left, those that it drives on the right.",
        ("weight", "neighbour", "interaction"),
    )
    layer = _layer(both)
    compare_layer.matrices(books, both, sides, _heads(books, both, sides), layer)
    compare_layer.neighbourhoods(books, both, sides, layer)
    ui.section(
        "Edge dynamics",
        f"Weight against dw/dt of the synapses of layer {layer}, on the same axes left and right; at rest on the line.",
        ("rate", "speed", "sparse"),
    )
    st.markdown("\n".join(f"- {markdown(text)}" for text in dynamics_in_words(*sides)))
    _planes(books, both, sides, layer)
    _speeds(books, both, sides)


def _epoch(both: Sequence[Recorded]) -> int:
    """One epoch for the two: each then shows its nearest recorded one."""
    options = sorted({epoch for of in both for epoch in of.trajectories})
    if len(options) == 1:
        return options[0]
    arguments = session.setting(_EPOCH)
    if st.session_state.get(_EPOCH, options[0]) not in options:
        st.session_state[_EPOCH] = options[-1]  # of other runs
    if _EPOCH not in st.session_state and _EPOCH not in st.query_params:
        st.session_state[_EPOCH] = options[-1]
    found: int = st.select_slider("Epoch of both", options, width=420, **arguments)
    return session.one_of(found, options, options[-1])


def _layer(both: Sequence[Recorded]) -> int:
    """One layer for the two; one that only one of them has can be chosen, too."""
    options = sorted({layer for of in both for layer in of.layers})
    arguments = session.setting(_LAYER)
    if _LAYER in st.session_state and st.session_state[_LAYER] not in options:
        st.session_state[_LAYER] = options[0]
    return session.one_of(st.selectbox("Layer of both", options, width=170, **arguments), options, options[0])


def _heads(books: Library, both: Sequence[Recorded], sides: Sequence[Moving]) -> list[str]:
    return [
        f"**{markdown(side.name, 60)}**, seed {books.row(of.key)['seed']}, epoch {side.epoch}"
        for of, side in zip(both, sides, strict=True)
    ]


def _networks(books: Library, both: Sequence[Recorded], sides: Sequence[Moving]) -> None:
    drawn = [_edges(books, of, side.epoch) for of, side in zip(both, sides, strict=True)]
    end = layer_graph.common_end([edges for _, edges in drawn])
    heads = _heads(books, both, sides)
    for place, column in enumerate(two()):
        of, side, (view, edges) = both[place], sides[place], drawn[place]
        with column:
            st.markdown(heads[place])
            ui.chart(
                layer_graph.network(
                    view,
                    {side.epoch: edges},
                    layer_graph.QUANTITIES["weight"],
                    [len(level) for level in of.neurons],
                    side.epoch,
                    dark=ui.is_dark(),
                    end=end,
                ),
                f"compare-network-{place + 1}",
                f"The network of {plain(side.name, 60)} at epoch {side.epoch}, its synapses coloured by weight.",
                view.edges[["layer", "source", "target", "source_last", "target_last"]].assign(weight=edges),
            )
            st.caption(f"{of.left_out} {view.note}")


def _edges(books: Library, of: Recorded, epoch: int) -> tuple[View, np.ndarray]:
    """What is drawn of a network, and the weights of its edges."""
    options = details_for(of.neurons)
    detail = "all" if of.n_synapses <= _FEW else "groups" if "groups" in options else options[-1]
    view = view_of(of.neurons, (), detail)

    def weights() -> np.ndarray:
        return values_of(view, of.neurons, [synapses.values(books, of, epoch, n).weight for n in of.layers], False)

    return view, books.once((("edges", "weight", detail, None), epoch), of.key, weights)


def _planes(books: Library, both: Sequence[Recorded], sides: Sequence[Moving], layer: int) -> None:
    drawn: list[tuple[go.Figure, pd.DataFrame] | None] = []
    for of, side in zip(both, sides, strict=True):
        if layer not in of.layers:
            drawn.append(None)
            continue
        drawn.append(_plane(books, of, side.epoch, layer))
    known = [pair[1] for pair in drawn if pair is not None]
    for name, axis in (("weight", "xaxis"), ("rate", "yaxis")):
        low, high = edge_dynamics.limits(pd.concat([table[name] for table in known]).to_numpy())
        for pair in drawn:
            if pair is not None:
                pair[0].layout[axis].update(range=[low, high])
    heads = _heads(books, both, sides)
    for place, column in enumerate(two()):
        with column:
            st.markdown(heads[place])
            pair = drawn[place]
            if pair is None:
                no_layer(layer)
                continue
            ui.chart(
                pair[0],
                f"compare-phase-{place + 1}-{layer}",
                f"Weight against dw/dt of layer {layer} of {plain(sides[place].name, 60)} at epoch "
                f"{sides[place].epoch}.",
                pair[1],
            )


def _plane(books: Library, of: Recorded, epoch: int, layer: int) -> tuple[go.Figure, pd.DataFrame]:
    """The phase plane of a layer, as points or as a density, and what is drawn."""
    sources, targets = of.neurons[layer - 1], of.neurons[layer]
    if len(sources) * len(targets) <= edge_dynamics.MOST_POINTS:
        found = synapses.values(books, of, epoch, layer)
        table = pd.DataFrame({"weight": found.weight.ravel(), "rate": found.rate.ravel()})
        return figures.phase_points(found.weight, found.rate, sources, targets, ui.is_dark()), table
    cells = books.once(
        ("density", epoch, layer, 1.0),
        of.key,
        lambda: edge_dynamics.density(*synapses.values(books, of, epoch, layer), 1.0),
    )
    return figures.phase_density(cells, ui.is_dark()), edge_dynamics.filled_cells(cells)


def _speeds(books: Library, both: Sequence[Recorded], sides: Sequence[Moving]) -> None:
    """Quantiles of speed over epochs, as far as there is time."""
    counts = []
    heads = [markdown(side.name, 60) for side in sides]
    for place, column in enumerate(two()):
        of, side = both[place], sides[place]
        found, _ = synapses.gathered(
            books,
            of,
            "speeds",
            of.trajectories,
            lambda at: edge_dynamics.speeds_at(books, of, at),  # noqa: B023 - called at once
            run_choice.deadline(),
        )
        counts.append((len(found), len(of.trajectories)))
        if not found:
            continue
        with column:
            st.markdown(f"**{heads[place]}**, speeds over epochs")
            table = pd.concat(found.values(), ignore_index=True)
            ui.chart(
                figures.speeds(table, ui.is_dark(), columns=2),
                f"compare-speeds-{place + 1}",
                f"Quantiles of |dw/dt| of each layer of {plain(side.name, 60)} over epochs.",
                table,
            )
    if missing := [count for count in counts if count[0] < count[1]]:
        run_choice.go_on(*missing[0])
