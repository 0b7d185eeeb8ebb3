"""Playground: train a small network by hand and watch its synapses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from ncore_dashboard.charts import film, live
from ncore_dashboard.learn import glossary, stage
from ncore_dashboard.learn.playground import controls
from ncore_dashboard.learn.playground.controls import Choice
from ncore_dashboard.learn.playground.engine import MOST_STEPS, Data, Setup, Training, together
from ncore_dashboard.parts import ui

_BUDGET = 0.05  # seconds of a frame for training steps
_TOGETHER = 4  # frames of an answer
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
    """What a session plays: networks on their way, and whether the browser asked for their next frames."""

    data: Data
    setups: tuple[Setup, ...]
    start: int
    strength: str
    trainings: dict[str, Training]
    running: bool = False
    asked: bool = False
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
    """What a button changes."""
    if st.session_state.get(controls.SHOWS, choice.shows) != choice.shows:  # a neuron was clicked
        st.rerun()
    play.frame += 1
    play.asked = False  # the charts below are the newest state
    _buttons(play, choice)
    _moving(play, choice, play.running, play.frame)
    with st.container(key=stage.PICTURES):
        if len(play.trainings) == 1:
            _one(play, choice)
        else:
            _two(play, choice)


@st.fragment
@ui.guarded
def _moving(play: Play, choice: Choice, running: bool, drawn: int) -> None:
    """What changes from frame to frame: numbers, and what the pictures below show, which ``_area`` drew once."""

    def asked() -> None:
        play.asked = play.running

    frames: list[dict[str, Any]] = []
    while play.asked and play.running and len(frames) < _TOGETHER:
        together(play.trainings.values(), choice.speed, _BUDGET)
        play.running = not _over(play)
        play.frame += 1
        pictures = [picture for picture in _pictures(play.trainings, choice).values() if picture]
        frames.append(film.Frame(play.frame, pictures, _numbers(play)).sent())
    play.asked = False
    if running and not play.running:  # it came to an end, and buttons have to say so
        st.rerun()
    # First, so that no frame of a film that is over comes after the numbers and charts below.
    film.show(frames, play.running, play.frame, asked)
    for (key, values), (name, training) in zip(_numbers(play).items(), play.trainings.items(), strict=True):
        with st.container(horizontal=True):
            if len(play.trainings) > 1:
                st.markdown(f"**Network {name}**", width=90)
            live.numbers(values, key, drawn)
        _notes(training)


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


def _pictures(trainings: dict[str, Training], choice: Choice) -> dict[tuple[str, str], live.Picture | None]:
    """All pictures, by what they show and of which network; of both networks in the picture of curves."""
    key = "play-a" if len(trainings) == 1 else "play-both"
    found: dict[tuple[str, str], live.Picture | None] = {("curves", ""): stage.curves(trainings, key)}
    for which, training in trainings.items():
        own = key if len(trainings) == 1 else f"{key}-{which.lower()}"
        neuron = controls.neuron(choice.shows, training.setup.hidden)
        found |= {
            ("boundary", which): stage.boundary(training, own, choice.test, choice.discrete, neuron),
            ("layers", which): stage.layers(training, own, _show_neuron),
            ("phase", which): stage.phase(training, own, None if choice.follow else training.reach),
            ("line", which): stage.line_graph(training, own, not choice.follow),
        }
    return found


def _one(play: Play, choice: Choice) -> None:
    pictures = {name: picture for (name, _), picture in _pictures(play.trainings, choice).items()}
    for pair in (("boundary", "layers"), ("curves", "phase"), ("line",)):
        for column, name in zip(st.columns(len(pair)), pair, strict=True):
            with column:
                _head(name, play.trainings)
                _picture(pictures[name], play.frame)


def _two(play: Play, choice: Choice) -> None:
    pictures = _pictures(play.trainings, choice)
    _head("curves", play.trainings)
    _picture(pictures["curves", ""], play.frame)
    for name in ("boundary", "layers", "phase", "line"):
        _head(name, play.trainings)
        for column, which in zip(st.columns(2), play.trainings, strict=True):
            with column:
                st.markdown(f"**Network {which}**")
                _picture(pictures[name, which], play.frame)


def _head(name: str, trainings: dict[str, Training]) -> None:
    title, text = _HEADS[name]
    if name == "boundary" and not trainings["A"].points.classes:
        title = "Answer"
    st.header(title, anchor=False)
    glossary.text(text)


def _picture(picture: live.Picture | None, frame: int) -> None:
    if picture is None:
        st.markdown(stage.NO_GRAPH)
    else:
        live.chart(picture, frame)


def _show_neuron(level: int, number: int) -> None:
    """Show in the plane what a clicked neuron answers; a click on what is shown, or on an input, shows the output."""
    name = f"Neuron {level}.{number}"
    known = controls.neuron(name, [8] * controls.MOST_LAYERS) is not None
    st.session_state[controls.SHOWS] = name if known and name != st.session_state.get(controls.SHOWS) else "Output"


def _numbers(play: Play) -> dict[str, dict[str, str]]:
    """Where each network is, in numbers, by their key on the page."""
    found = {}
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
        found[f"play-numbers-{name.lower()}"] = shown
    return found


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
