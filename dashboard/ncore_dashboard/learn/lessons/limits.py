"""Lesson for the curious: what of the Hessian beta_eff sees, and where one number is too little."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from ncore.network.dynamics import (
    Network,
    barabasi_albert,
    compare,
    coupling,
    erdos_renyi,
    mix_by_degree,
    random_regular,
    sis,
    star,
)
from ncore.network.strengths import Strength
from ncore_dashboard.learn.figures import limits as figures
from ncore_dashboard.learn.lessons.frame import Lesson, Question, Screen
from ncore_dashboard.learn.playground.engine import Data, Setup, Training
from ncore_dashboard.parts import ui
from ncore_dashboard.state import session

__all__ = [
    "DATA",
    "LESSON",
    "NETWORKS",
    "NODES",
    "POOR",
    "RATIOS",
    "SETUP",
    "STEPS",
    "cancelling",
    "curvatures",
    "epidemics",
    "hessian",
]

DATA = Data("circle", count=200, noise=0.0)
SETUP = Setup(hidden=(3, 2), activation="tanh", rate=0.3, seed=6)
STEPS = (0, 50, 100, 200, 500, 1000, 2000, 4000)
POOR = 0.05  # conditioning below which values are flagged, as everywhere
NODES = 100
RATIOS = np.linspace(0.25, 4, 16)
NETWORKS: dict[str, Callable[[], Network]] = {
    "all alike": lambda: random_regular(NODES, 8, seed=1),
    "links at random": lambda: erdos_renyi(NODES, 8, seed=1),
    "with hubs": lambda: barabasi_albert(NODES, 8, seed=1),
    "hubs linked to leaves": lambda: mix_by_degree(barabasi_albert(NODES, 8, seed=1), alike=False),
    "a star": lambda: star(NODES),
}


def hessian(training: Training) -> np.ndarray:
    """All second derivatives of the loss by weights, (n, n), by central differences of the gradient."""
    network, kept = training.network, training.network.weights
    ends = np.cumsum([w.size for w in kept])

    def gradient(weights: np.ndarray) -> np.ndarray:
        parts = np.split(weights, ends[:-1])
        network.weights = [part.reshape(w.shape) for part, w in zip(parts, kept, strict=True)]
        by_weight, _ = network.gradients(training.passed())
        return np.concatenate([g.ravel() for g in by_weight])

    here = np.concatenate([w.ravel() for w in kept])
    step = 1e-5
    try:
        rows = [(gradient(here + push) - gradient(here - push)) / (2 * step) for push in step * np.eye(here.size)]
    finally:
        network.weights = kept
    matrix = np.array(rows)
    return (matrix + matrix.T) / 2


@st.cache_data(max_entries=1)
def curvatures() -> tuple[list[int], dict[int, tuple[np.ndarray, np.ndarray, float]]]:
    """Synapses of each layer; and for each number of steps the Hessian, P + P^T, and the loss."""
    training = Training(DATA, SETUP)
    found = {}
    for steps in STEPS:
        training.advance(steps - training.steps)
        interactions = training.network.line_graph(training.passed(), Strength.SIGNED).to_scipy().toarray()
        found[steps] = hessian(training), interactions + interactions.T, training.now().train_loss
    return [w.size for w in training.network.weights], found


@st.cache_data(max_entries=len(NETWORKS))
def epidemics(name: str) -> pd.DataFrame:
    """Columns ratio (beta_eff R / B), x_eff and x_reduced of an epidemic on a network whose links grow stronger."""
    matrix = NETWORKS[name]().matrix
    beta = coupling(matrix).beta_eff
    table = compare(sis(B=1, R=1), [matrix * (ratio / beta) for ratio in RATIOS.tolist()], start=0.5)
    return table[["x_eff", "x_reduced"]].clip(lower=0).assign(ratio=RATIOS)


@st.cache_data(max_entries=10)
def cancelling(seed: int) -> pd.DataFrame:
    """Columns step, signed, conditioning and absolute of beta_eff while a network trains."""
    training = Training(Data("circle", count=200, noise=0.1), Setup(hidden=(4, 4, 4), rate=0.1, seed=seed))
    rows = []
    for step in np.unique(np.geomspace(1, 3000, 40).astype(int)).tolist():
        training.advance(step - training.steps)
        passed = training.passed()
        signed, absolute = (
            training.network.line_graph(passed, kind).capacitance for kind in (Strength.SIGNED, Strength.ABSOLUTE)
        )
        rows.append((step, signed.value, signed.conditioning, absolute.value))
    return pd.DataFrame(rows, columns=["step", Strength.SIGNED, "conditioning", Strength.ABSOLUTE])


def _hessian() -> Question:
    sizes, found = curvatures()
    steps = st.select_slider("Training steps", STEPS, value=0, **session.setting("limits-steps"))
    steps = session.one_of(steps, STEPS, 0)
    whole, part, loss = found[steps]
    end = float(np.quantile(np.abs(whole), 0.99))
    share = float(np.abs(part).sum() / np.abs(whole).sum())
    ui.chart(
        figures.curvature(whole, part, sizes, end, ui.is_dark()),
        "lesson-hessian",
        f"The Hessian of a network of {sum(sizes)} synapses after {steps} steps beside the interactions of its line "
        f"graph, whose sizes add up to {100 * share:.0f} per cent of those of the Hessian.",
        pd.DataFrame(whole).add_prefix("synapse_"),
    )
    st.markdown(
        f"After **{steps:,}** steps the loss is **{loss:.3g}**. The sizes of all interactions add up to "
        f"**{100 * share:.1f}%** of those of all second derivatives."
    )
    return Question(
        "Training goes on until the loss is tiny. What is left of the two pictures?",
        ("Both fade alike.", "The left one keeps its pattern, the right one is gone.", "Only the right one is left."),
        1,
        "The right one has an error $\\delta$ in each entry, and errors vanish. Most of the left one does not need "
        "errors: how outputs depend on weights still curves the loss. So $\\beta_\\text{eff} \\to 0$ says that "
        "errors vanish on the [[probe]], not that the loss is flat, nor that the network is good on other data.",
    )


def _mean_field() -> Question:
    name = st.segmented_control(
        "Network", list(NETWORKS), default="all alike", required=True, **session.setting("limits-network")
    )
    name = session.one_of(name, list(NETWORKS), "all alike")
    table = epidemics(name)
    worst = float((table["x_eff"] - table["x_reduced"]).abs().max())
    ui.chart(
        figures.mean_field(
            table["ratio"].tolist(), table["x_eff"].tolist(), table["x_reduced"].tolist(), name, ui.is_dark()
        ),
        "lesson-mean-field",
        f"Infected share against beta_eff R / B, network: {name}. The one equation is off by at most "
        f"{100 * worst:.0f} points.",
        table,
    )
    st.markdown(f"The one equation is off by up to **{100 * worst:.0f} points**.")
    return Question(
        "For which of these networks must one not trust the one equation?",
        ("all alike", "links at random", "a star"),
        2,
        "In a star all of $\\beta_\\text{eff}$ comes from one node. The infection needs to come and go through it and "
        "dies out, while the equation sees a well-linked average node. The more even the network, the better the "
        "[[mean field]]; and what is true of beta_eff here is true of the synapses of a network, too.",
    )


def _signs() -> Question:
    seed = st.slider("Seed of the first weights", 0, 9, 1, **session.setting("limits-seed"))
    table = cancelling(session.one_of(seed, range(10), 1))
    poor = int((table["conditioning"] < POOR).sum())
    ui.chart(
        figures.signs(
            table["step"].tolist(),
            table[Strength.SIGNED].to_numpy(),
            table["conditioning"].to_numpy(),
            table[Strength.ABSOLUTE].to_numpy(),
            POOR,
            ui.is_dark(),
        ),
        "lesson-signs",
        f"beta_eff over training by signed and absolute strengths; at {poor} of {len(table)} moments the signs cancel.",
        table,
    )
    return Question(
        "What distinguishes the hollow points?",
        (
            "They come early in training.",
            "The value can jump far, and change its sign, from one to the next.",
            "They are the most exact ones.",
        ),
        1,
        "Interactions of both signs nearly cancel in the denominator $\\mathbf{1}^\\top P\\,\\mathbf{1}$: a "
        f"quotient by almost zero. The [[conditioning]] says so; the page Capacitance marks values below {POOR:g}. The "
        "strength *absolute* can't cancel.",
    )


LESSON = Lesson(
    title="For the curious: what it leaves out",
    question="What of the Hessian does beta_eff see, and when is one number too little?",
    minutes=7,
    screens=(
        Screen(
            "What of the Hessian is P?",
            "The [[Hessian]] holds, for each two synapses, how the slope of the loss by one changes with the other. "
            "$P$ is one part of it: how the [[rate]] of a synapse changes with one that drives it while all states and "
            "errors are held fixed. Train the network further.",
            _hessian,
        ),
        Screen(
            "The mean field and its limits",
            "One equation stands for a whole network: each node is taken for an average one, the [[mean field]]. An "
            "infection on five networks tells how good that is. Choose the network.",
            _mean_field,
        ),
        Screen(
            "When signs cancel",
            "With *signed* strengths some synapses push, others pull. Choose other first weights, and watch the hollow "
            f"points: there the [[conditioning]] is below {POOR:g}.",
            _signs,
        ),
    ),
)
