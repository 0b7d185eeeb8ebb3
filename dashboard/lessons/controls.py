"""The playground's settings: widgets that are all in the URL, and the link that carries every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

from dashboard import session
from dashboard.lessons.engine import Data, Setup
from dashboard.lessons.points import DATA_SETS
from dashboard.lessons.tiny import ACTIVATIONS, FEATURES

RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
PRICES = (0.0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
BATCHES = (1, 2, 5, 10, 20, 50, 100, 450)
SPEEDS = (1, 5, 20, 100)
PENALTIES = ("none", "L1", "L2")
STRENGTHS = ("absolute", "signed")
MOST_LAYERS, MOST_WIDE, MOST_START = 4, 8, 5000


@dataclass(frozen=True)
class Choice:
    """Everything that can be set.

    Attributes:
        data: what is learned.
        setups: one network, or two that learn the same.
        speed: steps a frame.
        start: step at which a reset begins.
        test, discrete: what the picture of the plane shows.
        follow: whether the axes of the phase plane shrink as synapses slow down.
        strength: of beta_eff.
    """

    data: Data
    setups: tuple[Setup, ...]
    speed: int
    start: int
    test: bool
    discrete: bool
    follow: bool
    strength: str

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

    def link(self, address: str) -> str:
        """The address of the page with every setting."""
        return f"{address.partition('?')[0]}?{urlencode(self.parameters, doseq=True)}"


def show() -> Choice:
    """Draw the settings, in panels that open."""
    two = bool(st.session_state.get("play-two", False))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.popover("Data", icon=":material/scatter_plot:"):
            data = _data()
        with st.popover("Network A" if two else "Network", icon=":material/hub:"):
            setups = [_setup("play", Setup())]
        with st.popover("Second network", icon=":material/compare_arrows:"):
            two = st.toggle(
                "Train a second network on the same points", help="Side by side.", **session.setting("play-two")
            )
            second = _setup("play2", Setup(hidden=(2, 2), seed=2), disabled=not two)
            if two:
                setups.append(second)
        with st.popover("View", icon=":material/visibility:"):
            test = st.toggle("Show test points", **session.setting("play-test"))
            discrete = st.toggle("Only the side, not how far (discrete output)", **session.setting("play-discrete"))
            follow = st.toggle("Let the axes of the phase plane shrink", **session.setting("play-follow"))
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
                _first("play-start", 0),
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
    )


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
        _decimal("Noise (in units of the plane)", 0.0, 0.5, first.noise, 0.05, "play-noise"),
        _slider("For training (%)", 10, 90, round(100 * first.share), 10, "play-share") / 100,
        _slider("Seed of the points", 1, 99, first.seed, 1, "play-draw"),
    )


def _setup(prefix: str, first: Setup, disabled: bool = False) -> Setup:
    """Settings of a network; ``prefix`` is that of its keys."""
    names = list(FEATURES)
    inputs = st.pills(
        "Inputs",
        names,
        selection_mode="multi",
        default=list(first.features),
        format_func=lambda name: FEATURES[name].label,
        disabled=disabled,
        **session.setting(f"{prefix}-inputs"),
    )
    count = _slider("Hidden layers", 0, MOST_LAYERS, len(first.hidden), 1, f"{prefix}-layers", disabled)
    widths = [
        _slider(
            f"Neurons of hidden layer {n}",
            1,
            MOST_WIDE,
            first.hidden[n - 1] if n <= len(first.hidden) else 4,
            1,
            f"{prefix}-width{n}",
            disabled,
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
        disabled=disabled,
        **session.setting(f"{prefix}-activation"),
    )
    rate = _number("Learning rate", RATES, first.rate, f"{prefix}-rate", disabled)
    batch = _number("Points of a step (batch)", BATCHES, first.batch, f"{prefix}-batch", disabled)
    penalty = st.segmented_control(
        "Regularisation",
        PENALTIES,
        default=first.penalty,
        required=True,
        disabled=disabled,
        **session.setting(f"{prefix}-penalty"),
    )
    price = _number("Regularisation rate", PRICES, 0.0, f"{prefix}-price", disabled)
    seed = _slider("Seed of the network", 1, 99, first.seed, 1, f"{prefix}-seed", disabled)
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


def _first(key: str, value: int) -> int | None:
    """The default of a widget, unless it has a value: Streamlit wants only one of them."""
    return value if key not in st.session_state else None


def _slider(label: str, low: int, high: int, first: int, step: int, key: str, disabled: bool = False) -> int:
    arguments = session.setting(key)
    return int(st.slider(label, low, high, _first(key, first), step, disabled=disabled, **arguments))


def _decimal(label: str, low: float, high: float, first: float, step: float, key: str) -> float:
    arguments = session.setting(key)
    default = first if key not in st.session_state else None
    return float(st.slider(label, low, high, default, step, **arguments))


def _number(label: str, options: Sequence[float], first: float, key: str, disabled: bool = False) -> float:
    """One of some numbers."""
    found = st.selectbox(
        label,
        options,
        list(options).index(first),
        lambda value: f"{value:g}",
        disabled=disabled,
        **session.setting(key),
    )
    return session.one_of(found, list(options), first)
