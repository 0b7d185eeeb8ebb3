"""Lesson: networks that collapse, and the one number that says when."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import streamlit as st

from ncore.network.dynamics import (
    GENERATORS,
    as_matrix,
    bifurcation,
    compare,
    mutualistic,
    perturbation_path,
    sis,
    watts_strogatz,
)
from ncore_dashboard.learn.figures import collapse as figures
from ncore_dashboard.learn.lessons.frame import Lesson, Question, Screen
from ncore_dashboard.parts import ui
from ncore_dashboard.state import session

__all__ = [
    "CURED",
    "DAMAGES",
    "LESSON",
    "LOSSES",
    "PEOPLE",
    "PLANTS",
    "POLLINATORS",
    "RECOVERY",
    "WINTER",
    "damaged",
    "meadow",
    "town",
]

PLANTS, POLLINATORS, PEOPLE = 30, 50, 200
WINTER = 0.1  # what a bad winter leaves of every species
LOSSES = tuple(range(0, 91, 10))  # per cent
CURED = tuple(range(0, 91, 5))
RECOVERY = 1.0  # B of the epidemic, per week
DAMAGES = {"nodes": "species are lost", "links": "links are lost", "weights": "links grow weak"}


@st.cache_data(max_entries=1)
def meadow() -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """States of rest of a meadow, the meadow after each loss of pollinators and a bad winter, and the tipping point."""
    plants = nx.bipartite.random_graph(PLANTS, POLLINATORS, 0.25, seed=3)
    matrix = as_matrix(plants)
    order = PLANTS + np.random.default_rng(0).permutation(POLLINATORS)
    left = [np.sort(np.r_[np.arange(PLANTS), order[round(loss / 100 * POLLINATORS) :]]) for loss in LOSSES]
    curve = bifurcation(mutualistic(), 0, 12)
    points = compare(mutualistic(), [matrix[stay][:, stay] for stay in left], start=WINTER)
    points = points[["beta_eff", "x_eff"]].assign(group="whole meadow, after a bad winter")
    points["label"] = [f"{loss}% of the pollinators lost" for loss in LOSSES]
    return curve.branches, points, float(curve.tipping["beta"].iloc[-1])


@st.cache_data(max_entries=20)
def town(infection: float) -> pd.DataFrame:
    """Columns share, beta_eff, x_eff and x_reduced of a town in which ever more people are vaccinated."""
    people = watts_strogatz(PEOPLE, 8, seed=1, rewired=0.2)
    return perturbation_path(
        sis(B=RECOVERY, R=infection), people, "nodes", start=0.5, shares=[each / 100 for each in CURED]
    )


@st.cache_data(max_entries=3)
def damaged(kind: str) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Networks of four kinds, damaged step by step: states of rest, points, tipping point."""
    system, parts = mutualistic(), []
    for recipe, name in (
        ("erdos_renyi", "links at random"),
        ("watts_strogatz", "small world"),
        ("random_regular", "all alike"),
        ("barabasi_albert", "with hubs"),
    ):
        network = GENERATORS[recipe](nodes=120, degree=8, seed=1)
        path = perturbation_path(system, network, kind, start=8.0, shares=np.linspace(0, 0.8, 7).tolist())
        parts.append(
            path[["beta_eff", "x_eff"]].assign(
                group=name, label=[f"{name}, {100 * share:.0f}% lost" for share in path["share"]]
            )
        )
    curve = bifurcation(system, 0, 18)
    return curve.branches, pd.concat(parts, ignore_index=True), float(curve.tipping["beta"].iloc[-1])


def _meadow() -> Question:
    lost = st.slider("Pollinators lost (%)", LOSSES[0], LOSSES[-1], 0, 10, **session.setting("collapse-lost"))
    branches, points, tipping = meadow()
    chosen = LOSSES.index(session.one_of(lost, LOSSES, 0))
    beta, state = points.loc[chosen, ["beta_eff", "x_eff"]].astype(float)
    recovers = state > 1
    ui.chart(
        figures.universal_curve(
            branches, points.loc[:chosen], chosen, tipping, "abundance at rest, x_eff (multiples of C)", ui.is_dark()
        ),
        "lesson-meadow",
        f"Abundance of a meadow at rest against beta_eff. With {LOSSES[chosen]} per cent of the pollinators lost "
        f"beta_eff is {beta:.1f} and the meadow {'recovers' if recovers else 'stays collapsed'}.",
        points.loc[:chosen],
    )
    st.markdown(
        f"With **{LOSSES[chosen]}%** of the pollinators lost, $\\beta_\\text{{eff}} = {beta:.2f}$ and the meadow "
        f"**{'recovers from' if recovers else 'does not recover from'}** a bad winter."
    )
    return Question(
        "Below which beta_eff does the meadow no longer recover?",
        (f"about {tipping / 3:.0f}", f"about {tipping:.0f}", f"about {1.5 * tipping:.0f}"),
        1,
        f"Left of $\\beta_\\text{{eff}} \\approx {tipping:.1f}$ there is a second, low state of rest; a bad winter "
        "leaves the meadow below the dotted line, and it falls to that state. Right of it only the high one exists. "
        "The meadow itself, with its uneven species, holds out a little longer than the one equation.",
    )


def _town() -> Question:
    infection = st.slider(
        "Infection rate of a contact, R (per week)", 0.15, 0.6, 0.3, 0.05, **session.setting("collapse-infection")
    )
    path = town(round(float(infection), 2))
    alive = path["beta_eff"].to_numpy() * infection > RECOVERY
    ends = float(path["share"].to_numpy()[~alive][0]) if not alive.all() else None
    full = np.clip(path["x_eff"].to_numpy(), 0, 1)
    ui.chart(
        figures.outbreak(path["share"].tolist(), full.tolist(), path["x_reduced"].tolist(), ends, ui.is_dark()),
        "lesson-town",
        f"Infected share of a town at rest against the vaccinated share, for the infection rate {infection:.2f}: "
        + ("it reaches zero at all that are shown." if ends == 0 else f"by the equation it ends at {_share(ends)}."),
        path,
    )
    st.markdown(
        f"Without vaccination $\\beta_\\text{{eff}} R = {path['beta_eff'].iloc[0]:.2f} \\times {infection:.2f} = "
        f"{path['beta_eff'].iloc[0] * infection:.2f}$ infections per week and person who is infected, against "
        f"$B = {RECOVERY:.0f}$ recovery: by the equation the infection dies out at **{_share(ends)}** vaccinated."
    )
    return Question(
        "What is true of every town in which the infection dies out?",
        (
            "Nobody in it has more than one contact.",
            "More than half of its people are vaccinated.",
            "$\\beta_\\text{eff} R$ is below $B$, or very close to it.",
        ),
        2,
        "Change the rate $R$: the share that has to be vaccinated moves, but the dashed line, where "
        "$\\beta_\\text{eff} R = B$, moves with it. The points reach zero a little later than the curve: neighbours "
        "share neighbours, which one number can't see.",
    )


def _share(ends: float | None) -> str:
    return f"more than {CURED[-1]}%" if ends is None else f"{100 * ends:.0f}%"


def _one_curve() -> Question:
    kind = st.segmented_control(
        "What happens to the network",
        list(DAMAGES),
        default="nodes",
        required=True,
        format_func=DAMAGES.__getitem__,
        **session.setting("collapse-damage"),
    )
    kind = session.one_of(kind, list(DAMAGES), "nodes")
    branches, points, tipping = damaged(kind)
    ui.chart(
        figures.universal_curve(
            branches, points, None, tipping, "abundance at rest, x_eff (multiples of C)", ui.is_dark()
        ),
        "lesson-one-curve",
        f"Abundance at rest against beta_eff of four kinds of networks of which ever more {DAMAGES[kind]}: "
        "all points lie near one curve.",
        points,
    )
    return Question(
        "Two networks, one with hubs and one without, have the same beta_eff. What do you expect of their states?",
        (
            "They are about the same.",
            "The one with hubs is far higher.",
            "Nothing: beta_eff says little about them.",
        ),
        0,
        "Whatever is lost, the points slide along one curve: how a network was damaged matters only through "
        "$\\beta_\\text{eff}$. Those with hubs lie a little off the curve: the more uneven a network, the worse the "
        "one number describes it.",
    )


LESSON = Lesson(
    title="Networks that collapse",
    question="How can one number tell when a whole network fails?",
    minutes=6,
    screens=(
        Screen(
            "A meadow loses its pollinators",
            "Plants and pollinators help each other. After a bad winter few of each are left "
            f"(an abundance of {WINTER:g}; below 1 a species shrinks without help). Remove "
            "pollinators, and watch whether the rest recovers. Each point is the whole "
            "[[meadow network|network]] of species, the curve is **one** equation: "
            "$\\dot x = f(x) + \\beta_\\text{eff}\\, g(x, x)$ with the [[effective coupling]] $\\beta_\\text{eff}$.",
            _meadow,
        ),
        Screen(
            "An infection in a town",
            "People recover at the rate $B$ and infect each contact at the rate $R$. Whoever is vaccinated is out of "
            "the network: from left to right ever more people are, chosen at random. The points are simulated person "
            "by person; the curve knows only the [[effective coupling]] $\\beta_\\text{eff}$ of what is left. Change "
            "the rate $R$, and see where the infection ends.",
            _town,
        ),
        Screen(
            "One curve for all of them",
            "Four kinds of networks, each damaged in steps: 120 species, and as many equations. Choose how they are "
            "damaged. Their [[effective state]] moves along the curve; where the low branch ends is the "
            "[[tipping point]].",
            _one_curve,
        ),
    ),
)
