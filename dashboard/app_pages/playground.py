"""Playground: train a small network by hand and watch its synapses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard import ui
from dashboard.lessons import controls, glossary, live, stage
from dashboard.lessons.controls import Choice
from dashboard.lessons.engine import MOST_STEPS, Data, Setup, Training

_BUDGET = 0.05  # seconds of a frame for training steps
_PLAY = "playground"
_NAMES = ("A", "B")
_HEADS = {
    "boundary": (
        "Decision boundary",
        "What the network answers at every point of the plane, and its [[decision boundary]].",
    ),
    "layers": ("Layer graph", "The [[layer graph]]: neurons, each with what it answers, and [[synapse|synapses]]."),
    "curves": ("Loss and beta_eff", "The [[loss]] of training and [[test point|test points]], and [[beta_eff]] below."),
    "phase": (
        "Phase plane",
        "The [[phase plane]]: each synapse by its weight and its [[rate]]. On the line 0 it is at rest.",
    ),
    "line": (
        "Line graph",
        "The [[line graph]]: every point is a synapse, lines go to those that it drives; the stronger a line, "
        "the higher the [[interaction strength]].",
    ),
}


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
    st.html(stage.NARROW)
    ui.head("Playground", "What do the synapses do while a network learns?")
    choice = controls.show()
    st.caption(choice.words)
    if not all(setup.features for setup in choice.setups):
        ui.empty("A network needs something to see.", "Choose at least one input.")
        return
    _area(_play(choice), choice)
    st.divider()
    st.header("Words on this page", anchor=False)
    settings = "[[learning rate]] [[regularisation]] [[epoch]] [[overfitting]]"
    glossary.words(glossary.terms_of(" ".join(text for _, text in _HEADS.values()) + settings))


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

    if st.session_state.get(controls.SHOWS, choice.shows) != choice.shows:  # a neuron was clicked
        st.rerun()
    play.frame += 1
    _buttons(play, choice)
    _numbers(play)
    with st.container(key=stage.PICTURES):
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
        # One button, so that the keyboard's focus stays on it.
        st.button(
            "Pause" if play.running else "Run",
            key="play-run",
            type="primary",
            icon=":material/pause:" if play.running else ":material/play_arrow:",
            disabled=over,
            on_click=run,
            args=(not play.running,),
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
    for pair in (("boundary", "layers"), ("curves", "phase"), ("line",)):
        for column, name in zip(st.columns(len(pair)), pair, strict=True):
            with column:
                _head(name, trainings)
                _picture(name, trainings["A"], "play-a", frame, choice)


def _two(trainings: dict[str, Training], frame: int, choice: Choice) -> None:
    _head("curves", trainings)
    stage.curves(trainings, "play-both", frame)
    for name in ("boundary", "layers", "phase", "line"):
        _head(name, trainings)
        for column, (which, training) in zip(st.columns(2), trainings.items(), strict=True):
            with column:
                st.markdown(f"**Network {which}**")
                _picture(name, training, f"play-both-{which.lower()}", frame, choice)


def _head(name: str, trainings: dict[str, Training]) -> None:
    title, text = _HEADS[name]
    if name == "boundary" and not trainings["A"].points.classes:
        title = "Answer"
    st.header(title, anchor=False)
    glossary.text(text)


def _picture(name: str, training: Training, key: str, frame: int, choice: Choice) -> None:
    if name == "boundary":
        neuron = controls.neuron(choice.shows, training.setup.hidden)
        stage.boundary(training, key, frame, choice.test, choice.discrete, neuron)
    elif name == "layers":
        stage.layers(training, key, frame, _show_neuron)
    elif name == "curves":
        stage.curves({"A": training}, key, frame)
    elif name == "phase":
        stage.phase(training, key, frame, None if choice.follow else training.reach)
    else:
        stage.line_graph(training, key, frame, not choice.follow)


def _show_neuron(level: int, number: int) -> None:
    """Show in the plane what a clicked neuron answers; a click on what is shown, or on an input, shows the output."""
    name = f"Neuron {level}.{number}"
    known = controls.neuron(name, [8] * controls.MOST_LAYERS) is not None
    st.session_state[controls.SHOWS] = name if known and name != st.session_state.get(controls.SHOWS) else "Output"


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
