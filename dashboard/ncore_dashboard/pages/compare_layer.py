"""A layer of two candidates side by side: its weights as a matrix, and what drives its most strongly tied synapse."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ncore.network.strengths import Strength
from ncore_dashboard.data import neighbourhood, synapse_comparison, synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.data.synapse_comparison import Moving, Tied
from ncore_dashboard.data.synapses import HOW_TO_RECORD, Recorded
from ncore_dashboard.figures import layer_graph
from ncore_dashboard.figures import neighbourhood as close
from ncore_dashboard.parts import ui
from ncore_dashboard.text.plaintext import markdown, plain

_WIDTH = 470  # pixels of a picture; where there is no room for two, the second is below


def two() -> list[DeltaGenerator]:
    """A place for each of the two."""
    row = st.container(horizontal=True)
    return [row.container(width=_WIDTH) for _ in range(2)]


def no_layer(layer: int) -> None:
    """Say that a unit is not as deep as the other one."""
    ui.empty(f"It has no layer {layer}.", "Its unit has fewer layers: choose another one.")


@ui.guarded
def matrices(
    books: Library, both: Sequence[Recorded], sides: Sequence[Moving], heads: Sequence[str], layer: int
) -> None:
    """Heatmaps of the weights of a layer, on the same scale."""
    small = [_matrix(books, of, side.epoch, layer) for of, side in zip(both, sides, strict=True)]
    end = layer_graph.common_end([matrix[0].ravel() for matrix in small if matrix is not None])
    for place, column in enumerate(two()):
        of, side, matrix = both[place], sides[place], small[place]
        with column:
            st.markdown(f"{heads[place]}, layer {layer}")
            if matrix is None:
                no_layer(layer)
                continue
            figure, left_out = layer_graph.weight_matrix(
                matrix,
                of.neurons[layer - 1],
                of.neurons[layer],
                layer_graph.QUANTITIES["weight"],
                layer,
                ui.is_dark(),
            )
            figure.update_traces(zmin=-end, zmax=end)
            ui.chart(
                figure,
                f"compare-matrix-{place + 1}-{layer}",
                f"Heatmap of the weights of layer {layer} of {plain(side.name, 60)} at epoch {side.epoch}. {left_out}",
                partial(_cells, of, matrix, layer),
            )
            if left_out:
                st.caption(left_out)


def _matrix(books: Library, of: Recorded, epoch: int, layer: int) -> layer_graph.Reduced | None:
    """The weights of a layer, as far as they can be drawn; None if there is no such layer."""

    def compute() -> layer_graph.Reduced:
        return layer_graph.reduced_matrix(synapses.values(books, of, epoch, layer).weight)

    return books.once(("matrix", "weight", epoch, layer), of.key, compute) if layer in of.layers else None


def _cells(of: Recorded, matrix: layer_graph.Reduced, layer: int) -> pd.DataFrame:
    """The cells of a heatmap, a row each."""
    small, height, width = matrix
    targets, sources = np.meshgrid(of.neurons[layer][::height], of.neurons[layer - 1][::width], indexing="ij")
    return pd.DataFrame({"source": sources.ravel(), "target": targets.ravel(), "weight": small.ravel()})


@ui.guarded
def neighbourhoods(books: Library, both: Sequence[Recorded], sides: Sequence[Moving], layer: int) -> None:
    """The most strongly tied synapse of a layer of each, with what drives it and what it drives."""
    tied = [
        synapse_comparison.tied(books, of, side.name, side.epoch, layer) for of, side in zip(both, sides, strict=True)
    ]
    said = synapse_comparison.tied_in_words(layer, *tied)
    if said:
        st.markdown(f"- {markdown(said)}")
    for place, column in enumerate(two()):
        of, side, found = both[place], sides[place], tied[place]
        with column:
            if found is None:
                if layer in of.layers:
                    ui.empty(f"No line graph was recorded of {markdown(side.name, 60)}.", HOW_TO_RECORD)
                else:
                    no_layer(layer)
                continue
            _around(books, of, found, layer, place)


def _around(books: Library, of: Recorded, found: Tied, layer: int, place: int) -> None:
    synapse = (layer, found.source, found.target)
    local = of.local(*synapse)
    known = found.epoch in of.trajectories and layer < of.layers[-1]

    def table() -> pd.DataFrame:
        graphs = [
            synapses.line_graph(books, of, found.epoch, strength) for strength in (Strength.ABSOLUTE, Strength.SIGNED)
        ]
        after = synapses.values(books, of, found.epoch, layer + 1) if known else None
        return neighbourhood.of_synapse(graphs[0], graphs[1], of, local, after)

    around = books.once(("neighbours", found.epoch, local), of.key, table)
    figure, left_out = close.around_synapse(around, synapse, ui.is_dark())
    st.markdown(
        f"**{markdown(found.name, 60)}**, epoch {found.epoch}, synapse {found.source} → {found.target} of layer {layer}"
    )
    ui.chart(
        figure,
        f"compare-around-{place + 1}",
        f"Synapse {found.source} → {found.target} of layer {layer} of {plain(found.name, 60)} with the synapses that "
        "drive it and those that it drives.",
        around,
    )
    if left_out:
        st.caption(left_out)
