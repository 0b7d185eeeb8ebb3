"""The pictures of a network in training, as the playground and lessons show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ncore_dashboard.charts.live import Picture
from ncore_dashboard.learn.figures import playground as plane
from ncore_dashboard.learn.figures import playground_graph as graphs
from ncore_dashboard.learn.figures import playground_phase as phases
from ncore_dashboard.learn.playground.engine import Moment, Training
from ncore_dashboard.learn.playground.tiny import FEATURES
from ncore_dashboard.parts import ui

__all__ = [
    "NARROW",
    "NO_BETA",
    "NO_GRAPH",
    "PICTURES",
    "boundary",
    "curves",
    "layers",
    "line_graph",
    "phase",
    "synapses",
    "with_now",
]

PICTURES = "pictures"
"""Key of a container with pictures in columns."""
#: Two pictures do not fit beside each other on a narrow screen; to be shown with ``st.html``.
NARROW = (
    f"<style>@media (max-width: 900px) {{.st-key-{PICTURES} [data-testid='stHorizontalBlock'] {{flex-wrap: wrap}}"
    f".st-key-{PICTURES} [data-testid='stColumn'] {{min-width: 100%}}}}</style>"
)
NO_GRAPH = (
    "**There is no line graph yet.** An interaction needs two synapses in a row, one ending at the neuron where the "
    "other begins: add a hidden layer."
)
NO_BETA = "beta_eff needs two hidden layers or more:<br>it counts chains of three synapses"


def boundary(
    training: Training,
    key: str,
    test: bool = False,
    discrete: bool = False,
    neuron: tuple[int, int] | None = None,
) -> Picture:
    """The answer over the plane, or the output of a neuron (its level and number), and the points."""
    level, number = neuron or (-1, 0)

    def field() -> np.ndarray:
        return training.outputs(plane.places())[level][:, number]

    name = f"neuron {level}.{number}" if neuron else ""
    figure = plane.boundary(field(), training.points, test=test, discrete=discrete, neuron=name, dark=ui.is_dark())
    alt = (
        f"The output of {name or 'the network'} over the plane at step {training.steps}, with the "
        f"{len(training.points.train)} training points{' and the test points' if test else ''}."
    )

    def table() -> pd.DataFrame:
        return pd.DataFrame(plane.places(), columns=["x1", "x2"]).assign(answer=field())

    return Picture(f"{key}-boundary", figure, alt, table, "decision-boundary")


def layers(training: Training, key: str, on_neuron: Callable[[int, int], None] | None = None) -> Picture:
    """G_A with a picture of what each neuron answers; ``on_neuron`` is called when one is clicked."""
    states = training.outputs(plane.places())
    weights = training.network.weights
    labels = [FEATURES[name].label for name in training.setup.features]
    alt = (
        f"Layer graph at step {training.steps}: neurons in {len(states)} columns, each with a small picture of its "
        f"output over the plane, and {sum(w.size for w in weights)} synapses coloured by weight."
    )

    def clicked(custom: Any) -> None:
        if on_neuron and isinstance(custom, list) and len(custom) == 2 and all(isinstance(n, int) for n in custom):
            on_neuron(*custom)

    figure = graphs.layers(weights, states, labels, ui.is_dark())
    return Picture(
        f"{key}-layers", figure, alt, lambda: synapses(training.network.weights), "layer-graph", on_click=clicked
    )


def line_graph(training: Training, key: str, fading: bool = True) -> Picture | None:
    """G_B, None where there is none; ``fading`` draws lines beside the strongest one at the start, and not of now."""
    graph = training.line_graph()
    if graph is None:
        return None
    weights = training.network.weights
    figure, said = graphs.line_graph(graph, weights, training.first_strength if fading else 0.0, ui.is_dark())
    alt = (
        f"Line graph at step {training.steps}: a vertex for each of the {graph.n_synapses} synapses, and lines from "
        f"driving to driven synapses. {said}"
    )

    def table() -> pd.DataFrame:
        now = training.line_graph()
        assert now is not None
        return now.strongest(now.n_interactions).drop(columns="layer")

    return Picture(f"{key}-line", figure, alt, table, "line-graph", said)


def phase(training: Training, key: str, reach: tuple[float, float] | None = None) -> Picture:
    """Weight against dw/dt; ``reach`` is what the axes have to hold."""
    weights, rates = training.network.weights, training.rates()
    figure = phases.phase(weights, rates, list(training.trail), reach, ui.is_dark())
    alt = f"Weight against dw/dt of {sum(w.size for w in weights)} synapses at step {training.steps}, with trails."
    return Picture(
        f"{key}-phase", figure, alt, lambda: synapses(training.network.weights, training.rates()), "phase-plane"
    )


def curves(trainings: Mapping[str, Training], key: str) -> Picture:
    """Losses and beta_eff over steps, of one or two networks."""
    histories = {name: with_now(training) for name, training in trainings.items()}
    defined = any(training.defined for training in trainings.values())
    strength = next(iter(trainings.values())).strength
    figure = plane.curves(histories, "" if defined else NO_BETA, strength, ui.is_dark())
    steps = " and ".join(f"{training.steps}" for training in trainings.values())
    alt = f"Training loss, test loss and beta_eff over steps, up to step {steps}."

    def table() -> pd.DataFrame:
        parts = [pd.DataFrame(with_now(training)).assign(network=name) for name, training in trainings.items()]
        return pd.concat(parts, ignore_index=True)

    return Picture(f"{key}-curves", figure, alt, table, "loss-and-beta-eff")


def with_now(training: Training) -> list[Moment]:
    """Recorded moments and the present one."""
    if training.history[-1].step == training.steps:
        return list(training.history)
    return [*training.history, training.now()]


def synapses(weights: list[np.ndarray], rates: list[np.ndarray] | None = None) -> pd.DataFrame:
    """One row a synapse: layer, source, target, weight and, where given, dw/dt."""
    rows = []
    for layer, weight in enumerate(weights, start=1):
        target, source = (index.ravel() for index in np.indices(weight.shape))
        table = pd.DataFrame({"layer": layer, "source": source, "target": target, "weight": weight.ravel()})
        rows.append(table if rates is None else table.assign(rate=rates[layer - 1].ravel()))
    return pd.concat(rows, ignore_index=True)
