"""Lesson: how a ranking is judged: noise, order, regret."""

from __future__ import annotations

import math
from statistics import NormalDist

import pandas as pd
import streamlit as st

from ncore.predict import BASELINE, get_predictor, kendall
from ncore_dashboard.learn.figures import ranking as figures
from ncore_dashboard.learn.lessons.frame import Lesson, Question, Screen
from ncore_dashboard.learn.lessons.real_runs import ABOUT, forecasts, real_curves
from ncore_dashboard.parts import ui
from ncore_dashboard.state import session

__all__ = [
    "IMAGES",
    "LESSON",
    "METHODS",
    "NAMES",
    "ORDERS",
    "STOPS",
    "A",
    "B",
    "chance_of_right_order",
    "crossings",
    "regrets",
]

A, B = 0.90, 0.91
IMAGES = (100, 200, 500, 1000, 2000, 5000, 10_000, 50_000)
NAMES = ("ash", "beech", "cedar", "elm", "fir")
ORDERS = {
    "as observed": (1, 2, 3, 4, 5),
    "one pair swapped": (2, 1, 3, 4, 5),
    "the best one last": (5, 1, 2, 3, 4),
    "turned round": (5, 4, 3, 2, 1),
}
STOPS = (1, 2, 3, 5, 8, 10)
METHODS = (BASELINE, "mean", "capacitance-relative")


def chance_of_right_order(images: int) -> float:
    """That a test of so many examples puts candidates of accuracies A and B in their order (normal, independent)."""
    error = math.sqrt((A * (1 - A) + B * (1 - B)) / images)
    return NormalDist().cdf((B - A) / error)


def _noise() -> Question:
    images = st.select_slider("Test examples", IMAGES, value=500, **session.setting("judging-images"))
    images = session.one_of(images, IMAGES, 500)
    error = math.sqrt(A * (1 - A) / images)
    chance = chance_of_right_order(images)
    ui.chart(
        figures.two_measurements(A, B, images, (0.82, 0.98), ui.is_dark()),
        "lesson-noise",
        f"What tests of {images} examples would say of two candidates of true accuracies {100 * A:.0f} and "
        f"{100 * B:.0f} per cent: bells with a standard error of {100 * error:.1f} points.",
        pd.DataFrame({"candidate": ["A", "B"], "accuracy": [A, B], "images": images}),
    )
    st.markdown(
        f"With **{images:,}** examples the standard error is $\\sqrt{{p(1-p)/n}}$ = **{100 * error:.2f} points**, and "
        f"B is measured as better in **{100 * chance:.0f}%** of all tests."
    )
    needed = next(count for count in IMAGES if chance_of_right_order(count) >= 0.95)
    options = tuple(sorted({500, needed, IMAGES[-1]}))
    return Question(
        "How many test examples does it take to see a difference of 1 point in 95% of all tests?",
        tuple(f"about {count:,}" for count in options),
        options.index(needed),
        f"The bells part slowly: four times the examples halve their width. With {needed:,} examples B is ahead in "
        f"{100 * chance_of_right_order(needed):.0f}% of tests. No ranking can be better than what it is compared with: "
        "that is the ceiling by [[noise]].",
    )


def _order() -> Question:
    name = st.segmented_control(
        "Predicted order", list(ORDERS), default="one pair swapped", required=True, **session.setting("judging-order")
    )
    name = session.one_of(name, list(ORDERS), "one pair swapped")
    predicted, observed = ORDERS[name], ORDERS["as observed"]
    crossed = crossings(predicted)
    pairs = len(NAMES) * (len(NAMES) - 1) // 2
    tau = float(kendall([-place for place in predicted], [-place for place in observed]))
    ui.chart(
        figures.slopes(NAMES, predicted, observed, ui.is_dark()),
        "lesson-order",
        f"Predicted and observed places of five candidates, {name}: {crossed} of {pairs} pairs cross.",
        pd.DataFrame({"candidate": NAMES, "predicted": predicted, "observed": observed}),
    )
    options = tuple(sorted({0, 1, 4, 10} | {crossed}))
    return Question(
        f"How many of the {pairs} pairs of lines cross?",
        tuple(map(str, options)),
        options.index(crossed),
        f"[[Kendall's tau]] is the share of pairs in the right order less that in the wrong order: "
        f"$\\tau = ({pairs - crossed} - {crossed}) / {pairs} = {tau:.2f}$. It is 1 for the right order, 0 for a throw "
        "of dice, -1 for the reverse. It counts all pairs alike, though only the first place is chosen.",
    )


def crossings(places: tuple[int, ...]) -> int:
    """Pairs in the wrong order.

    Example:
        >>> crossings((2, 1, 3))
        1
    """
    return sum(left > right for i, left in enumerate(places) for right in places[i + 1 :])


@st.cache_data(max_entries=1)
def regrets() -> dict[str, list[float]]:
    """Points of accuracy lost by choosing the first of a ranking after each of ``STOPS``, by method."""
    found: dict[str, list[float]] = {}
    for method in METHODS:
        found[method] = []
        for stop in STOPS:
            table = forecasts(method, stop)
            chosen = table["observed"][table["predicted"].idxmax()]
            found[method].append(100 * float(table["observed"].max() - chosen))
    return found


def _regret() -> Question:
    stop = st.select_slider("Stop all after epoch", STOPS, value=1, **session.setting("judging-stop"))
    stop = session.one_of(stop, STOPS, 1)
    lost = regrets()
    labels = [get_predictor(method).label for method in METHODS]
    horizon = max(curve.horizon for curve in real_curves())
    ui.chart(
        figures.regret_over_epochs(STOPS, list(lost.values()), labels, stop, ui.is_dark()),
        "lesson-regret",
        "Points of accuracy that are lost by choosing early, over the epochs that every candidate was given, by "
        "method.",
        pd.DataFrame({"epoch": STOPS, **lost}),
    )
    now = lost[BASELINE][STOPS.index(stop)]
    share = stop / horizon
    st.markdown(
        f"Choosing by the last accuracy after epoch **{stop}** costs **{100 * share:.0f}%** of training all to the "
        f"end, and loses **{now:.1f} points** against the best of {len(real_curves())} candidates."
    )
    options = ("less than 1 point", "1 to 3 points", "more than 3 points")
    right = 0 if now < 1 else 1 if now <= 3 else 2
    return Question(
        f"What does it lose to choose by the last accuracy after epoch {stop}?",
        options,
        right,
        f"[[regret|Regret]] is what the best one has more than the chosen one: {now:.1f} points here. A ranking can be "
        "wrong about most candidates and still have no regret, because only its first place is used; and a good order "
        "of all does not exclude a regret.",
    )


LESSON = Lesson(
    title="How a ranking is judged",
    question="When is a prediction of the best candidate good enough, and how would one know?",
    minutes=6,
    screens=(
        Screen(
            "What is compared with is noisy, too",
            f"Candidate B is truly better: {100 * B:.0f}% against {100 * A:.0f}%. Both are tested on the same "
            "number of examples, drawn anew for each test. Change the number.",
            _noise,
        ),
        Screen(
            "Order: count the crossings",
            "Five candidates, their predicted places on the left and the observed ones on the right. A pair in the "
            "wrong order is a crossing. Choose a prediction.",
            _order,
        ),
        Screen(
            "Regret: what the choice costs",
            f"Real runs ({ABOUT}). Every candidate is trained for a few epochs; the first of the ranking is chosen, "
            "the others are stopped. Choose when.",
            _regret,
        ),
    ),
)
