"""Exercises for a class: numbers are drawn from a seed, and answers are computed from them, never typed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ncore.network import LayerFactors, LineGraph
from ncore.network.dynamics import coupling, reduced_end, sis, star
from ncore.network.strengths import Strength
from ncore.predict import kendall
from ncore_dashboard.learn.lessons.judging import chance_of_right_order

__all__ = ["EXERCISES", "Exercise", "chain", "counting", "epidemic", "exercises", "noise", "order", "star_coupling"]


@dataclass(frozen=True)
class Exercise:
    """An exercise as a class gets it, and its solution.

    Attributes:
        title: A few words.
        lesson: Name of the lesson that it belongs to.
        task: Markdown with formulas.
        answer: The number, or numbers, that are asked for.
        solution: How one gets there; Markdown with formulas.
    """

    title: str
    lesson: str
    task: str
    answer: tuple[float, ...]
    solution: str


def star_coupling(rng: np.random.Generator) -> Exercise:
    """beta_eff of a star, by its degrees."""
    leaves = int(rng.integers(3, 12))
    beta = coupling(star(leaves + 1)).beta_eff
    return Exercise(
        "A star",
        "collapse",
        f"A hub is linked with {leaves} leaves, both ways, each link of strength 1. What are the degrees, and what is "
        "$\\beta_\\text{eff} = \\sum_i d_i^2 / \\sum_i d_i$? Is it the mean degree?",
        (beta,),
        f"The hub has degree {leaves}, each leaf 1: $\\beta_\\text{{eff}} = ({leaves}^2 + {leaves} \\cdot 1) / "
        f"({leaves} + {leaves}) = "
        f"{beta:g}$. The mean degree is only "
        f"{2 * leaves / (leaves + 1):.3g}: well-linked nodes count more, because one meets them more often.",
    )


def epidemic(rng: np.random.Generator) -> Exercise:
    """Where an infection dies out, and what is left of it before."""
    beta, recovery = int(rng.integers(4, 13)), int(rng.integers(1, 4))
    threshold = recovery / beta
    rate = round(float(rng.uniform(1.5, 3)) * threshold, 2)
    left = reduced_end(sis(B=recovery, R=rate), beta, 0.5)
    return Exercise(
        "An infection",
        "collapse",
        f"A town has $\\beta_\\text{{eff}} = {beta}$, and people recover at the rate $B = {recovery}$ per week. At "
        f"which infection rate $R$ of a contact does an infection begin to spread? What share is infected at rest for "
        f"$R = {rate}$, by $\\dot x = -Bx + \\beta_\\text{{eff}} R\\,(1-x)\\,x$?",
        (threshold, left),
        f"It spreads where $\\beta_\\text{{eff}} R > B$, so from $R = {recovery}/{beta} = {threshold:.3g}$. At rest, "
        f"for $x \\neq 0$: $B = \\beta_\\text{{eff}} R (1 - x)$, so $x = 1 - {recovery} / ({beta} \\cdot {rate}) = "
        f"{left:.3f}$.",
    )


def counting(rng: np.random.Generator) -> Exercise:
    """Synapses and interactions of a network."""
    widths = tuple(int(n) for n in rng.integers(2, 6, size=4))
    graph = LineGraph.from_factors(
        Strength.ABSOLUTE,
        [
            LayerFactors(np.ones((1, a)), np.ones((1, b)), np.ones((1, c)))
            for a, b, c in zip(widths, widths[1:], widths[2:], strict=False)
        ],
    )
    shown = "-".join(map(str, widths))
    sums = " + ".join(f"{a} \\cdot {b}" for a, b in itertools.pairwise(widths))
    pairs = " + ".join(f"{a} \\cdot {b} \\cdot {c}" for a, b, c in zip(widths, widths[1:], widths[2:], strict=False))
    return Exercise(
        "Counting",
        "synapses",
        f"A network has {shown} neurons. How many vertices has its line graph, and how many edges?",
        (graph.n_synapses, graph.n_interactions),
        f"Each synapse is a vertex: ${sums} = {graph.n_synapses}$. An edge joins a synapse that ends at a neuron with "
        f"one that begins there: ${pairs} = {graph.n_interactions}$.",
    )


def chain(rng: np.random.Generator) -> Exercise:
    """beta_eff of three synapses in a row, by hand."""
    z0, z1 = (int(n) for n in rng.integers(1, 6, size=2))
    d2, d3 = (int(n) for n in rng.integers(1, 6, size=2))
    graph = LineGraph.from_factors(
        Strength.ABSOLUTE,
        [
            LayerFactors(np.array([[z]], float), np.ones((1, 1)), np.array([[d]], float))
            for z, d in ((z0, d2), (z1, d3))
        ],
    )
    first, second = z0 * d2, z1 * d3
    beta = graph.beta_eff
    return Exercise(
        "Three synapses in a row",
        "synapses",
        "A chain of four linear neurons has three synapses, $e_1, e_2, e_3$. On one example the first two neurons "
        f"have the states $z_0 = {z0}$ and $z_1 = {z1}$, the last two the errors $\\delta_2 = {d2}$ and "
        f"$\\delta_3 = {d3}$; slopes are 1. Write down $P$, its row and column sums, and $\\beta_\\text{{eff}}$.",
        (beta,),
        f"$P_{{12}} = z_0 \\delta_2 = {first}$ and $P_{{23}} = z_1 \\delta_3 = {second}$; all else is 0. In-degrees "
        f"are $({first}, {second}, 0)$, out-degrees $(0, {first}, {second})$, so "
        f"$\\beta_\\text{{eff}} = {second} \\cdot {first} / ({first} + {second}) = {beta:.4g}$.",
    )


def noise(rng: np.random.Generator) -> Exercise:
    """The standard error of an accuracy."""
    images = int(rng.choice([250, 500, 1000, 2000, 4000]))
    share = int(rng.integers(60, 96)) / 100
    error = 100 * math.sqrt(share * (1 - share) / images)
    return Exercise(
        "How exact is a test?",
        "judging",
        f"A candidate is right on {100 * share:.0f}% of {images:,} test examples. What is the standard error, in "
        "points? Another one has one point more: is it better? (Candidates of 90% and 91%: how often does such a test "
        "put them in the right order?)",
        (error, chance_of_right_order(images)),
        f"$\\sqrt{{p(1-p)/n}} = {error:.2f}$ points. The difference of two has $\\sqrt 2$ times that, so one point is "
        f"{1 / (math.sqrt(2) * error):.1f} standard errors. For 90% and 91% the order is right in "
        f"{100 * chance_of_right_order(images):.0f}% of all tests.",
    )


def order(rng: np.random.Generator) -> Exercise:
    """Kendall's tau of a predicted order."""
    places = rng.permutation(5) + 1
    tau = float(kendall((-places).tolist(), [-1, -2, -3, -4, -5]))
    wrong = round((1 - tau) / 2 * 10)
    return Exercise(
        "Kendall's tau",
        "judging",
        f"The candidates that end on places 1, 2, 3, 4, 5 were predicted on places {', '.join(map(str, places))}. How "
        "many of the ten pairs are in the wrong order, and what is Kendall's tau?",
        (wrong, tau),
        f"{wrong} pairs are in the wrong order: $\\tau = ({10 - wrong} - {wrong}) / 10 = {tau:g}$.",
    )


EXERCISES: tuple[Callable[[np.random.Generator], Exercise], ...] = (
    star_coupling,
    epidemic,
    counting,
    chain,
    noise,
    order,
)


def exercises(seed: int) -> list[Exercise]:
    """All of them with the numbers of a seed: each class its own."""
    return [make(np.random.default_rng([seed, number])) for number, make in enumerate(EXERCISES)]
