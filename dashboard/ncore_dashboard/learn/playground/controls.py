"""The playground's settings: widgets that are all in the URL, and the link that carries every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

from ncore.network.strengths import Strength
from ncore_dashboard.learn.playground.engine import Data, Setup
from ncore_dashboard.learn.playground.points import DATA_SETS
from ncore_dashboard.learn.playground.tiny import ACTIVATIONS, FEATURES
from ncore_dashboard.state import session

__all__ = [
    "BATCHES",
    "MOST_LAYERS",
    "MOST_START",
    "MOST_WIDE",
    "PENALTIES",
    "PRICES",
    "RATES",
    "SHOWS",
    "SPEEDS",
    "STRENGTHS",
    "Choice",
    "neuron",
    "show",
]

RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
PRICES = (0.0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
BATCHES = (1, 2, 5, 10, 20, 50, 100, 450)
SPEEDS = (1, 5, 20, 100)
PENALTIES = ("none", "L1", "L2")
STRENGTHS = (Strength.ABSOLUTE.value, Strength.SIGNED.value)
MOST_LAYERS, MOST_WIDE, MOST_START = 4, 8, 5000
SHOWS = "play-shows"


@dataclass(frozen=True)
class Choice:
    """Everything that can be set.

    Attributes:
        data: What is learned.
        setups: One network, or two that learn the same.
        speed: Steps a frame.
        start: Step at which a reset begins.
        test, discrete: What the picture of the plane shows.
        follow: Whether the scales of phase plane and line graph shrink as synapses slow down.
        strength: Of beta_eff.
        shows: Whose output the picture of the plane shows, "Output" or "Neuron 1.0" of hidden layer 1.
    """

    data: Data
    setups: tuple[Setup, ...]
    speed: int
    start: int
    test: bool
    discrete: bool
    follow: bool
    strength: str
    shows: str

    @property
    def parameters(self) -> dict[str, str | list[str]]:
        """All of it as parameters of the URL, as the widgets write and read them."""
        data = self.data
        found: dict[str, str | list[str]] = {
            "play-data": DATA_SETS[data.name].label,
            "play-points": str(data.count),
            "play-noise": f"{data.noise:g}",
            "play-share": str(round(100 * data.share)),
            "play-draw": str(data.seed),
            "play-start": str(self.start),
            "play-speed": str(self.speed),
            "play-test": str(self.test).lower(),
            "play-discrete": str(self.discrete).lower(),
            "play-shows": self.shows,
            "play-follow": str(self.follow).lower(),
            "play-strength": self.strength,
            "play-two": str(len(self.setups) > 1).lower(),
        }
        for prefix, setup in zip(("play", "play2"), self.setups, strict=False):
            found |= {
                f"{prefix}-inputs": [FEATURES[name].label for name in setup.features],
                f"{prefix}-layers": str(len(setup.hidden)),
                **{f"{prefix}-width{n}": str(width) for n, width in enumerate(setup.hidden, start=1)},
                f"{prefix}-activation": ACTIVATIONS[setup.activation].label,
                f"{prefix}-rate": f"{setup.rate:g}",
                f"{prefix}-batch": str(setup.batch),
                f"{prefix}-penalty": setup.penalty,
                f"{prefix}-price": f"{setup.penalty_rate:g}",
                f"{prefix}-seed": str(setup.seed),
            }
        return found

    @property
    def words(self) -> str:
        """The most important settings at a glance."""
        data = self.data
        said = [
            f"{DATA_SETS[data.name].label}, {round(data.count * data.share)} of {data.count} points for training, "
            f"noise {data.noise:g}"
        ]
        for name, setup in zip("AB", self.setups, strict=False):
            price = f", {setup.penalty} {setup.penalty_rate:g}" if setup.penalty != "none" else ""
            widths = "-".join(map(str, (len(setup.features), *setup.hidden, 1)))
            said.append(
                f"network {name}: {widths}, {ACTIVATIONS[setup.activation].label}, learning rate {setup.rate:g}, batch "
                f"{setup.batch}{price}, seed {setup.seed}"
            )
        return "; ".join(said) + "."

    def link(self, address: str) -> str:
        """The address of the page with every setting."""
        return f"{address.partition('?')[0]}?{urlencode(self.parameters, doseq=True)}"


def show() -> Choice:
    """Draw the settings, in panels that open."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.popover("Data", icon=":material/scatter_plot:"):
            data = _data()
        with st.popover("Network A", icon=":material/hub:"):
            setups = [_setup("play", Setup())]
        with st.popover("Network B", icon=":material/compare_arrows:"):
            two = st.toggle(
                "Train a second network on the same points", help="Side by side.", **session.setting("play-two")
            )
            if two:
                setups.append(_setup("play2", Setup(hidden=(2, 2))))
        with st.popover("View", icon=":material/visibility:"):
            shows = _shows(setups)
            test = st.toggle("Show test points", **session.setting("play-test"))
            discrete = st.toggle("Only the side, not how far (discrete output)", **session.setting("play-discrete"))
            follow = st.toggle("Let scales shrink (phase plane, line graph)", **session.setting("play-follow"))
            strength = st.segmented_control(
                "Strengths of beta_eff",
                STRENGTHS,
                default=STRENGTHS[0],
                required=True,
                **session.setting("play-strength"),
            )
            start = st.number_input(
                "A reset begins at step",
                0,
                MOST_START,
                0,
                step=10,
                help="For a link to a moment of training: the steps before it are taken at once, always the same ones.",
                **session.setting("play-start"),
            )
            speed = _number("Steps a frame", SPEEDS, 20, "play-speed")
    return Choice(
        data,
        tuple(setups),
        int(speed),
        int(start),
        test,
        discrete,
        follow,
        session.one_of(strength, STRENGTHS, STRENGTHS[0]),
        shows,
    )


def neuron(shows: str, hidden: Sequence[int]) -> tuple[int, int] | None:
    """Level and number of the neuron that is shown, None for the output, also where a network has no such neuron.

    Example:
        >>> neuron("Neuron 2.3", (4, 4)), neuron("Neuron 2.3", (4,)), neuron("Output", (4, 4))
        ((2, 3), None, None)
    """
    if shows not in _neurons(hidden):
        return None
    level, number = shows.removeprefix("Neuron ").split(".")
    return int(level), int(number)


def _neurons(hidden: Sequence[int]) -> list[str]:
    return [f"Neuron {level}.{number}" for level, width in enumerate(hidden, start=1) for number in range(width)]


def _shows(setups: Sequence[Setup]) -> str:
    options = ["Output", *dict.fromkeys(name for setup in setups for name in _neurons(setup.hidden))]
    arguments = session.setting(SHOWS)
    if st.session_state.get(SHOWS, "Output") not in options:
        st.session_state[SHOWS] = "Output"  # the network became smaller
    found = st.selectbox("The plane shows", options, 0, help="Or click a neuron of the layer graph.", **arguments)
    return session.one_of(found, options, "Output")


def _data() -> Data:
    first = Data()
    names = list(DATA_SETS)
    name = st.selectbox(
        "Data set",
        names,
        names.index(first.name),
        lambda each: DATA_SETS[each].label,
        help="Two classes to tell apart, or values to predict.",
        **session.setting("play-data"),
    )
    return Data(
        session.one_of(name, names, first.name),
        _slider("Points", 50, 500, first.count, 50, "play-points"),
        float(st.slider("Noise (in units of the plane)", 0.0, 0.5, first.noise, 0.05, **session.setting("play-noise"))),
        _slider("For training (%)", 10, 90, round(100 * first.share), 10, "play-share") / 100,
        _slider("Seed of the points", 1, 99, first.seed, 1, "play-draw"),
    )


def _setup(prefix: str, first: Setup) -> Setup:
    """Settings of a network; ``prefix`` is that of its keys."""
    names = list(FEATURES)
    inputs = st.pills(
        "Inputs",
        names,
        selection_mode="multi",
        default=list(first.features),
        format_func=lambda name: FEATURES[name].label,
        **session.setting(f"{prefix}-inputs"),
    )
    count = _slider("Hidden layers", 0, MOST_LAYERS, len(first.hidden), 1, f"{prefix}-layers")
    widths = [
        _slider(
            f"Neurons of hidden layer {n}",
            1,
            MOST_WIDE,
            first.hidden[n - 1] if n <= len(first.hidden) else 4,
            1,
            f"{prefix}-width{n}",
        )
        for n in range(1, count + 1)
    ]
    kinds = list(ACTIVATIONS)
    activation = st.segmented_control(
        "Activation",
        kinds,
        default=first.activation,
        format_func=lambda name: ACTIVATIONS[name].label,
        required=True,
        **session.setting(f"{prefix}-activation"),
    )
    rate = _number("Learning rate", RATES, first.rate, f"{prefix}-rate")
    batch = _number("Points of a step (batch)", BATCHES, first.batch, f"{prefix}-batch")
    penalty = st.segmented_control(
        "Regularisation",
        PENALTIES,
        default=first.penalty,
        required=True,
        **session.setting(f"{prefix}-penalty"),
    )
    price = _number("Regularisation rate", PRICES, 0.0, f"{prefix}-price")
    seed = _slider("Seed of the network", 1, 99, first.seed, 1, f"{prefix}-seed")
    return Setup(
        tuple(name for name in names if name in session.some_of(inputs, names)),
        tuple(widths),
        session.one_of(activation, kinds, first.activation),
        seed,
        float(rate),
        int(batch),
        session.one_of(penalty, PENALTIES, first.penalty),
        float(price),
    )


def _slider(label: str, low: int, high: int, first: int, step: int, key: str) -> int:
    return int(st.slider(label, low, high, first, step, **session.setting(key)))


def _number(label: str, options: Sequence[float], first: float, key: str) -> float:
    """One of some numbers."""
    found = st.selectbox(
        label,
        options,
        list(options).index(first),
        lambda value: f"{value:g}",
        **session.setting(key),
    )
    return session.one_of(found, list(options), first)
