"""Playground: train a small network by hand and watch its synapses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard import ui
from dashboard.lessons import controls, live, stage
from dashboard.lessons.controls import Choice
from dashboard.lessons.engine import MOST_STEPS, Data, Setup, Training

_BUDGET = 0.05  # seconds of a frame for training steps
_PLAY = "playground"
_NAMES = ("A", "B")
# Two pictures do not fit beside each other on a narrow screen.
_STYLE = (
    "<style>@media (max-width: 900px) {.st-key-play-pictures [data-testid='stHorizontalBlock'] {flex-wrap: wrap}"
    ".st-key-play-pictures [data-testid='stColumn'] {min-width: 100%}}</style>"
)


@dataclass
class Play:
    """What a session plays: networks on their way."""

    data: Data
    setups: tuple[Setup, ...]
    start: int
    strength: str
    trainings: dict[str, Training]
    running: bool = False
    frame: int = 0


def page() -> None:
    """Lay out the page."""
    live.begin()
    st.html(_STYLE)
    ui.head("Playground", "What do the synapses do while a network learns?")
    choice = controls.show()
    if not all(setup.features for setup in choice.setups):
        ui.empty("A network needs something to see.", "Choose at least one input.")
        return
    _area(_play(choice), choice)


def _play(choice: Choice) -> Play:
    """Networks as the settings want them: new ones if something changed that can't be changed while they train."""
    play: Play | None = st.session_state.get(_PLAY)
    fixed = tuple(setup.fixed for setup in choice.setups)
    if (
        play is None
        or (play.data, play.start, play.strength) != (choice.data, choice.start, choice.strength)
        or tuple(setup.fixed for setup in play.setups) != fixed
        or (play.setups != choice.setups and all(t.steps == play.start for t in play.trainings.values()))
    ):
        play = Play(choice.data, choice.setups, choice.start, choice.strength, {})
        _reset(play)
        st.session_state[_PLAY] = play
    for training, setup in zip(play.trainings.values(), choice.setups, strict=True):
        training.change(setup)
    play.setups = choice.setups
    return play


def _reset(play: Play) -> None:
    """Back to the start that the seeds give."""
    play.running = False
    play.trainings = {
        name: Training(play.data, setup, play.strength) for name, setup in zip(_NAMES, play.setups, strict=False)
    }
    for training in play.trainings.values():
        training.advance(play.start)


@st.fragment
@ui.guarded
def _area(play: Play, choice: Choice) -> None:
    """What changes from frame to frame."""

    def following() -> None:
        if play.running:
            for training in play.trainings.values():
                training.advance(choice.speed, _BUDGET / len(play.trainings))
            play.running = not _over(play)

    play.frame += 1
    _buttons(play, choice)
    _numbers(play)
    with st.container(key="play-pictures"):
        if len(play.trainings) == 1:
            _one(play.trainings, play.frame, choice)
        else:
            _two(play.trainings, play.frame, choice)
    live.pacer(play.running, play.frame, following)


def _buttons(play: Play, choice: Choice) -> None:
    """Run or pause, step, reset; and the link."""

    def run(wanted: bool) -> None:
        play.running = wanted

    def step() -> None:
        for training in play.trainings.values():
            training.advance(1)

    over = _over(play)
    with st.container(horizontal=True, vertical_alignment="center"):
        if play.running:
            st.button("Pause", key="play-pause", type="primary", icon=":material/pause:", on_click=run, args=(False,))
        else:
            st.button(
                "Run",
                key="play-run",
                type="primary",
                icon=":material/play_arrow:",
                on_click=run,
                args=(True,),
                disabled=over,
            )
        st.button("Step", key="play-step", icon=":material/skip_next:", disabled=play.running or over, on_click=step)
        st.button("Reset", key="play-reset", icon=":material/replay:", on_click=_reset, args=(play,))
        with st.popover("Link", icon=":material/link:"):
            st.markdown(
                "This link opens the playground with every setting as it is now, for a class say. The same seeds "
                "give the same training."
            )
            st.code(choice.link(st.context.url or "/playground"), language=None, wrap_lines=True)


def _over(play: Play) -> bool:
    """Whether no network can go on."""
    return all(training.ended for training in play.trainings.values())


def _one(trainings: dict[str, Training], frame: int, choice: Choice) -> None:
    training = trainings["A"]
    left, right = st.columns(2)
    with left:
        ui.section("Decision boundary", "What the network answers at every point of the plane.")
        stage.boundary(training, "play-a", frame, choice.test, choice.discrete)
    with right:
        ui.section("Layer graph", "Neurons with what each one answers; lines are synapses.", ("weight",))
        stage.layers(training, "play-a", frame)
    left, right = st.columns(2)
    with left:
        ui.section(
            "Loss and beta_eff", "Both fall while there is something to learn.", (f"beta_eff {choice.strength}",)
        )
        stage.curves(trainings, "play", frame)
    with right:
        ui.section("Phase plane", "Each synapse by its weight and its rate: at rest on the line 0.", ("rate",))
        stage.phase(training, "play-a", frame, None if choice.follow else training.reach)
    ui.section("Line graph", "Every point is a synapse; lines go to the synapses that it drives.", ("interaction",))
    stage.line_graph(training, "play-a", frame)


def _two(trainings: dict[str, Training], frame: int, choice: Choice) -> None:
    ui.section("Loss and beta_eff", "Both networks, on the same points.", (f"beta_eff {choice.strength}",))
    stage.curves(trainings, "play-both", frame)
    for title, text in (
        ("Decision boundary", "What the network answers at every point of the plane."),
        ("Layer graph", "Neurons with what each one answers; lines are synapses."),
        ("Phase plane", "Each synapse by its weight and its rate: at rest on the line 0."),
        ("Line graph", "Every point is a synapse; lines go to the synapses that it drives."),
    ):
        ui.section(title, text)
        for column, (name, training) in zip(st.columns(2), trainings.items(), strict=True):
            with column:
                st.markdown(f"**Network {name}**")
                key = f"play-both-{name.lower()}"
                if title == "Decision boundary":
                    stage.boundary(training, key, frame, choice.test, choice.discrete)
                elif title == "Layer graph":
                    stage.layers(training, key, frame)
                elif title == "Phase plane":
                    stage.phase(training, key, frame, None if choice.follow else training.reach)
                else:
                    stage.line_graph(training, key, frame)


def _numbers(play: Play) -> None:
    """Where each network is, in numbers."""
    for name, training in play.trainings.items():
        now = training.history[-1] if training.history[-1].step == training.steps else training.now()
        _, test = training.accuracy()
        shown = {
            "Step": f"{training.steps:,}",
            "Epoch": f"{training.epochs:.1f}",
            "Training loss": f"{now.train_loss:.4f}",
            "Test loss": f"{now.test_loss:.4f}",
            "Test accuracy": ui.percent(test),
            "beta_eff": f"{now.beta_eff:.3g}" if np.isfinite(now.beta_eff) else "–",
        }
        if not training.points.classes:
            shown.pop("Test accuracy")
        with st.container(horizontal=True, key=f"play-numbers-{name.lower()}"):
            if len(play.trainings) > 1:
                st.markdown(f"**Network {name}**", width=90)
            for label, value in shown.items():
                st.metric(label, value, width=120)
        _notes(training)


def _notes(training: Training) -> None:
    """What makes a number unreliable or undefined."""
    if training.broken:
        st.markdown(
            ":material/warning: **The weights grew without bound**, so training stopped: lower the learning rate, then "
            "reset."
        )
    elif training.steps >= MOST_STEPS:
        st.markdown(f":material/info: That is the end: {MOST_STEPS:,} steps.")
    if not training.defined:
        return
    found = training.capacitance()
    if found.reason:
        st.markdown(f":material/info: beta_eff is undefined: {found.reason}.")
    elif found.ill_conditioned:
        st.markdown(
            f":material/info: The conditioning of beta_eff is {found.conditioning:.2g}, below 0.05: signs cancel, so "
            "its size and sign are accidental."
        )


page()
