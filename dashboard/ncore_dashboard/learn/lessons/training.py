"""Lesson: training as dynamics. A tiny network learns points of the plane, and its synapses move and come to rest."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import streamlit as st

from ncore_dashboard.charts import live
from ncore_dashboard.learn import stage
from ncore_dashboard.learn.lessons.frame import Lesson, Question, Screen
from ncore_dashboard.learn.playground.engine import Data, Setup, Training
from ncore_dashboard.state import session

__all__ = [
    "DATA",
    "LAST",
    "LESSON",
    "RATES",
    "SETUP",
    "TIMES",
    "come_to_rest",
    "descend",
    "fall",
    "kept",
    "moment",
    "no_proof",
]

DATA = Data("circle", 200, 0.0, 0.5, 1)
SETUP = Setup(hidden=(4, 4), rate=0.3, batch=20, seed=1)
LAST = 600
"""Steps until the screens with a slider end."""
TIMES = (0, 5, 10, 20, 50, 100, 150, 200, 300, 400, 500, LAST)
RATES = {"tiny (0.0003)": 0.0003, "good (0.3)": 0.3, "huge (10)": 10.0}
_OWN = "lesson training"


def descend() -> Question:
    """Train by hand; everything moves together."""
    live.begin()
    training: Training = st.session_state.setdefault(_OWN, Training(DATA, SETUP))

    def reset() -> None:
        st.session_state[_OWN] = Training(DATA, SETUP)

    with st.container(horizontal=True):
        for steps in (1, 10, 100):
            st.button(
                f"{steps} step{'s' * (steps > 1)}",
                key=f"lesson-training-{steps}",
                type="primary" if steps == 10 else "secondary",
                on_click=training.advance,
                args=(steps,),
            )
        st.button("Reset", key="lesson-training-reset", icon=":material/replay:", on_click=reset)
        st.metric("Step", f"{training.steps:,}", width=120)
    _four(training, "lesson-training")
    return Question(
        "The boundary closes around the diamonds. What does the training loss do meanwhile?",
        ("It falls.", "It stays as it was.", "It rises."),
        0,
        "The upper curve falls: a [[learning rate|training step]] moves each weight downhill on the "
        "[[loss]], and the network is wrong about fewer and fewer points.",
    )


def come_to_rest() -> Question:
    """Synapses in the phase plane at a time that is chosen."""
    live.begin()
    at = _time("rest")
    training = moment(at)
    left, right = st.columns(2)
    with left:
        st.markdown("**Phase plane**")
        live.chart(stage.phase(training, "lesson-rest", moment(LAST).reach), at)
    with right:
        st.markdown("**Decision boundary**")
        live.chart(stage.boundary(training, "lesson-rest"), at)
    fastest = max(TIMES, key=lambda step: _speed(moment(step)))
    slower = _speed(moment(fastest)) / _speed(moment(LAST))
    return Question(
        f"Compare step {fastest} with step {LAST}. Where have the synapses gone?",
        (
            "To the middle: all weights became 0.",
            "To the horizontal line, at weights of all sizes.",
            "To the top: all weights grow faster and faster.",
        ),
        1,
        f"On the line $dw/dt = 0$ a [[synapse]] is at rest, whatever its weight. The largest [[rate]] fell "
        f"{slower:.0f}-fold from step {fastest} to step {LAST}; the markers are near the line, and not all near "
        "weight 0.",
    )


def fall() -> Question:
    """beta_eff beside the loss."""
    live.begin()
    at = _time("fall")
    training = moment(at)
    left, right = st.columns(2)
    with left:
        st.markdown("**Loss and beta_eff**")
        live.chart(stage.curves({"A": training}, "lesson-fall"), at)
    with right:
        st.markdown("**Line graph**")
        graph = stage.line_graph(training, "lesson-fall")
        assert graph is not None
        live.chart(graph, at)
    values = {step: moment(step).now().beta_eff for step in TIMES}
    highest = max(values, key=values.__getitem__)
    left_over = values[LAST] / values[highest]
    options = ("about all of it", "about a half", "less than a quarter")
    return Question(
        f"How much of its highest value has beta_eff kept at step {LAST}?",
        options,
        0 if left_over > 0.75 else 1 if left_over >= 0.25 else 2,
        f"It kept {100 * left_over:.0f}%. Every [[interaction strength]] contains the error $\\delta$ of the points, "
        "and errors vanish as the network learns: synapses stop driving each other, so [[beta_eff]] falls with "
        "the loss.",
    )


def no_proof() -> Question:
    """The learning rate, and a beta_eff that falls though nothing is learned."""
    live.begin()
    label = st.segmented_control(
        "Learning rate", list(RATES), default="good (0.3)", required=True, **session.setting("learn-training-rate")
    )
    rate = RATES[session.one_of(label, list(RATES), "good (0.3)")]
    training = moment(LAST, rate)
    left, right = st.columns(2)
    with left:
        st.markdown("**Loss and beta_eff**")
        live.chart(stage.curves({"A": training}, f"lesson-rate-{rate:g}"), LAST)
    with right:
        st.markdown("**Decision boundary**")
        live.chart(stage.boundary(training, f"lesson-rate-{rate:g}"), LAST)
    found = {text: moment(LAST, each) for text, each in RATES.items()}
    misleading = [text for text, each in found.items() if kept(each) < 0.1 and each.accuracy()[0] < 0.75]
    return Question(
        "With one of these learning rates beta_eff fell to almost 0, and yet the network has learned nothing. Which?",
        tuple(RATES),
        list(RATES).index(misleading[0]),
        f"With the huge one: the loss ended at {found[misleading[0]].now().train_loss:.2g}, above its start, and the "
        "boundary is nowhere near the circle, but beta_eff is almost 0. Its steps made the weights so large that the "
        "neurons are saturated: their slope $\\sigma'$ is 0, and with it every [[interaction strength]]. So a low "
        "[[beta_eff]] says that synapses no longer drive each other, and not that the network has learned. The tiny "
        "rate is the other way round: nothing moved, and beta_eff is as high as before.",
    )


@lru_cache(maxsize=64)
def moment(step: int, rate: float = SETUP.rate) -> Training:
    """The lesson's network after some steps, always the same; not to be trained on."""
    training = Training(DATA, Setup(**{**SETUP.__dict__, "rate": rate}))
    training.advance(step)
    return training


def _time(screen: str) -> int:
    found = st.select_slider("Training steps", TIMES, TIMES[0], key=f"lesson-training-time-{screen}")
    return session.one_of(found, TIMES, TIMES[0])


def _four(training: Training, key: str) -> None:
    left, right = st.columns(2)
    with left:
        st.markdown("**Decision boundary**")
        live.chart(stage.boundary(training, key), training.steps)
        st.markdown("**Phase plane**")
        live.chart(stage.phase(training, key), training.steps)
    with right:
        st.markdown("**Loss and beta_eff**")
        live.chart(stage.curves({"A": training}, key), training.steps)
        st.markdown("**Layer graph**")
        live.chart(stage.layers(training, key), training.steps)


def _speed(training: Training) -> float:
    return max(float(np.abs(rate).max()) for rate in training.rates())


def kept(training: Training) -> float:
    """Share of its first beta_eff that a network still has."""
    return training.now().beta_eff / training.history[0].beta_eff


LESSON = Lesson(
    "Training as dynamics",
    "Where do the synapses move while a network learns, and why does beta_eff fall?",
    8,
    (
        Screen(
            "Step by step",
            "A network of two inputs, two [[hidden layer|hidden layers]] and one output learns to tell diamonds from "
            "circles. **Press the buttons** to train it, and watch four pictures of the same moment: the "
            "[[decision boundary]], the [[loss]] and [[beta_eff]], the [[phase plane]] and the [[layer graph]].",
            descend,
        ),
        Screen(
            "Synapses come to rest",
            "Training is a dynamical system: each weight moves at the [[rate]] "
            "$\\dfrac{dw}{dt} = -\\dfrac{\\partial C}{\\partial w}$. **Move the time**, and follow the markers in the "
            "[[phase plane]]; the thin lines are where they came from.",
            come_to_rest,
        ),
        Screen(
            "beta_eff falls with the errors",
            "In the [[line graph]] every [[synapse]] is a point, and lines join synapses that drive each other. "
            "[[beta_eff]] says in one number how strongly they do; the stronger, the thicker the "
            "lines. **Move the time** and compare it with the loss.",
            fall,
        ),
        Screen(
            "A low beta_eff is no proof",
            "The [[learning rate]] is the length of a step. **Choose one**: each picture shows the same network after "
            f"{LAST} steps.",
            no_proof,
        ),
    ),
)
