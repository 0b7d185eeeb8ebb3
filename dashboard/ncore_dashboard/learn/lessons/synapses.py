"""Lesson: a network of neurons and its line graph, why its interactions fade, and what beta_eff makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from ncore_dashboard.learn.figures import line_graph as figures
from ncore_dashboard.learn.lessons.frame import Lesson, Question, Screen
from ncore_dashboard.learn.playground.engine import Data, Setup, Training
from ncore_dashboard.parts import ui
from ncore_dashboard.state import session

__all__ = ["DATA", "FACTORS", "LESSON", "SETUP", "STEPS", "first_degrees", "interactions"]

DATA = Data("circle", count=200, noise=0.0)
SETUP = Setup(hidden=(3, 2), activation="tanh", rate=0.3, seed=6)
STEPS = (0, 50, 100, 200, 500, 1000, 2000, 4000)
FACTORS = (0.125, 0.25, 0.5, 1.0)


@st.cache_data(max_entries=1)
def interactions() -> tuple[tuple[int, ...], pd.DataFrame, dict[int, pd.DataFrame], dict[int, tuple[float, float]]]:
    """The lesson's network as it trains.

    Returns:
        Widths; synapses; for each number of steps the interactions (driven, driver, strength); and loss and beta_eff.
    """
    training = Training(DATA, SETUP)
    found: dict[int, pd.DataFrame] = {}
    numbers: dict[int, tuple[float, float]] = {}
    for steps in STEPS:
        training.advance(steps - training.steps)
        graph, now = training.network.line_graph(training.passed()), training.now()
        # In the same order at every step: strengths change, who drives whom does not.
        found[steps] = graph.strongest(graph.n_interactions).sort_values(["driven", "driver"], ignore_index=True)
        numbers[steps] = now.train_loss, now.beta_eff
    return graph.widths, graph.synapses, found, numbers


@st.cache_data(max_entries=1)
def first_degrees() -> tuple[np.ndarray, np.ndarray]:
    """In-degree and out-degree of each synapse before training."""
    training = Training(DATA, SETUP)
    graph = training.network.line_graph(training.passed())
    return graph.in_degree, graph.out_degree


def _choose() -> Question:
    widths, synapses, found, _ = interactions()
    names = [figures.synapse_name(*row) for row in synapses[["layer", "source", "target"]].itertuples(index=False)]
    key = "synapses-chosen"

    def clicked(data: list[object]) -> None:
        if data and isinstance(data[0], int) and 0 <= data[0] < len(names):
            st.session_state[key] = names[data[0]]

    name = st.selectbox("Synapse", names, index=6, width=240, **session.setting(key))
    chosen = names.index(session.one_of(name, names, names[6]))
    named = figures.roles(synapses, chosen)
    drivers, driven = named.count(figures.DRIVER), named.count(figures.DRIVEN)
    ui.chart(
        figures.two_networks(widths, synapses, found[0], chosen, ui.is_dark()),
        "lesson-synapses",
        f"A network of {sum(widths)} neurons beside its line graph of {len(synapses)} synapses. Chosen is the synapse "
        f"{names[chosen]}: number of synapses that drive it {drivers}, that it drives {driven}.",
        synapses.assign(role=named),
        on_click=clicked,
    )
    numbers = sorted({drivers, driven, len(synapses) - 1, widths[0]})
    return Question(
        f"How many synapses drive {names[chosen]}?",
        tuple(map(str, numbers)),
        numbers.index(drivers),
        "It is driven by those that leave the neuron where it ends: an error comes back to it through each of them. "
        + ("Nothing leaves the output, so nothing drives a synapse of the last layer. " if not drivers else "")
        + "Inputs and outputs aside, who drives whom depends on the wiring alone, not on the weights.",
    )


def _fade() -> Question:
    _, _, found, numbers = interactions()
    steps = st.select_slider("Training steps", STEPS, value=0, **session.setting("synapses-steps"))
    steps = session.one_of(steps, STEPS, 0)
    loss, beta = numbers[steps]
    ui.chart(
        figures.fading(found[0], found[steps], ui.is_dark()),
        "lesson-fading",
        f"Strength of each interaction before training and after {steps} steps, when the loss is {loss:.3f} and "
        f"beta_eff {beta:.3g}.",
        found[steps],
    )
    st.markdown(
        f"After **{steps:,}** steps the loss is **{loss:.3f}** (at first {numbers[0][0]:.3f}) and "
        f"$\\beta_\\text{{eff}}$ is **{beta:.3g}** (at first {numbers[0][1]:.3g})."
    )
    return Question(
        "What becomes of the interactions when the network has learned its points?",
        ("They fade, nearly all of them.", "They grow with the weights.", "They stay as they are."),
        0,
        "Every interaction has an error $\\delta_k$ as a factor. What is learned leaves small errors, so all of $P$ "
        "fades, and $\\beta_\\text{eff}$ with it. On the way some of them can grow: weights grow before errors vanish.",
    )


def _degrees() -> Question:
    into, out = first_degrees()
    factor = st.select_slider("All errors are multiplied by", FACTORS, value=1.0, **session.setting("synapses-errors"))
    factor = session.one_of(factor, FACTORS, 1.0)
    beta = float(factor * (into @ out) / into.sum())
    end = max(FACTORS) * float(into.max()), max(FACTORS) * float(out.max())
    ui.chart(
        figures.degrees(factor * into, factor * out, beta, end, ui.is_dark()),
        "lesson-degrees",
        f"Synapses by in-degree and out-degree, with all errors multiplied by {factor:g}; their mean out-degree, "
        f"weighted by in-degree, is beta_eff = {beta:.3g}.",
        pd.DataFrame({"in_degree": factor * into, "out_degree": factor * out}),
    )
    return Question(
        "All errors become half as large. What becomes of beta_eff?",
        ("It falls to a quarter.", "It falls to one half.", "It stays: a mean has no scale."),
        1,
        "Both degrees are sums of interaction strengths, so both halve: the points move to the lower left, and their "
        "weighted mean of out-degrees halves. That is why raw values can't be compared between networks whose "
        "activations differ in scale, and why the strength called *relative* divides by what an untrained classifier "
        "would have.",
    )


LESSON = Lesson(
    title="Synapses as a network",
    question="What is a line graph, who drives whom in it, and why does its one number fall?",
    minutes=6,
    screens=(
        Screen(
            "Click a synapse",
            "Left, the [[layer graph]]: circles are neurons, lines are synapses. Right, its [[line graph]]: each "
            "[[synapse]] is now a point, and a line joins two of which one ends where the other begins. Choose a "
            "synapse in the list, or click on a point, and see who drives it.",
            _choose,
        ),
        Screen(
            "Why interactions fade",
            "Now the [[interaction strength]] of each line, while this network learns to tell the inside of a circle "
            "from the outside. Train it further, and compare with the grey line, which is how it began.",
            _fade,
        ),
        Screen(
            "From all of them to one number",
            "Each point is a synapse: how strongly it is driven (the sum of its row of $P$, its [[degree|in-degree]]) "
            "and how strongly it drives (the sum of its column, its [[degree|out-degree]]). "
            "$\\beta_\\text{eff} = \\sum_e d_\\text{out}(e)\\, d_\\text{in}(e) \\,/ \\sum_e d_\\text{in}(e)$ is "
            "the mean of the second, in which each synapse counts by the first. Change the size of the errors.",
            _degrees,
        ),
    ),
)
