"""The page: its settings, its buttons, its link."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from ncore_dashboard.learn.playground import controls
from ncore_dashboard.learn.playground.controls import Choice
from ncore_dashboard.learn.playground.engine import Data, Setup
from streamlit.testing.v1 import AppTest

from ncore.store import create_store

App = Callable[..., AppTest]


@pytest.fixture
def play(app: App, tmp_path: Any) -> Callable[..., AppTest]:
    """Open the playground with settings in the URL."""
    create_store(tmp_path)

    def opened(**settings: str | list[str]) -> AppTest:
        test = app(tmp_path, page="runs")
        test.switch_page("../pages/playground.py")
        for name, value in settings.items():
            test.query_params[name.replace("_", "-")] = value
        return test.run()

    return opened


def words(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.header, test.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def numbers(test: AppTest) -> dict[str, str]:
    """What is said of the first network in numbers."""
    values: dict[str, str] = sent(test, "ncore_live_numbers")[0]["values"]
    return values


def sent(test: AppTest, component: str) -> list[dict[str, Any]]:
    """What components of a kind were given."""
    protos = [element.proto for element in test.get("bidi_component")]
    return [json.loads(proto.json or proto.mixed.json) for proto in protos if proto.component_name == component]


def press(test: AppTest, label: str) -> AppTest:
    return next(button for button in test.button if button.label == label).click().run()


def check(test: AppTest) -> None:
    assert not test.exception
    assert "Something in this view failed" not in words(test)


def test_it_opens_at_the_start_and_steps_one_by_one(play: Callable[..., AppTest]) -> None:
    test = play()
    check(test)
    start = numbers(test)
    assert start["Step"] == "0"
    assert {"Training loss", "Test loss", "Test accuracy", "beta_eff"} <= set(start)
    for step in ("1", "2"):
        test = press(test, "Step")
        check(test)
        assert numbers(test)["Step"] == step
    assert numbers(test)["Training loss"] != start["Training loss"]
    test = press(test, "Reset")
    assert numbers(test) == start


def test_run_and_pause(play: Callable[..., AppTest]) -> None:
    test = press(play(), "Run")
    check(test)
    labels = {button.label: button for button in test.button}
    assert "Pause" in labels
    assert labels["Step"].disabled
    held = numbers(press(test, "Pause"))["Step"]
    assert "Run" in {button.label for button in test.button}
    assert numbers(test.run())["Step"] == held


def test_every_chart_says_what_it_shows_and_gives_its_data(play: Callable[..., AppTest]) -> None:
    test = play()
    assert [header.value for header in test.header] == [
        "Decision boundary",
        "Layer graph",
        "Loss and beta_eff",
        "Phase plane",
        "Line graph",
        "Words on this page",
    ]
    drawn = sent(test, "ncore_live_chart")
    assert len(drawn) == 5
    assert all(len(chart["alt"]) > 40 for chart in drawn)
    assert len([button for button in test.download_button if button.label == "Data as CSV"]) == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"play_layers": "0"}, "There is no line graph yet"),
        ({"play_layers": "1"}, "beta_eff needs two hidden layers"),
        ({"play_inputs": ["x₁²", "x₂²"]}, "2-4-4-1"),
        ({"play_data": "Bumps (values)"}, "Answer"),
        ({"play_data": "Spiral", "play_test": "true", "play_discrete": "true"}, "Spiral, 250 of 500"),
        ({"play_strength": "signed", "play_layers": "3"}, "beta_eff"),
        (
            {"play_data": "Plane (values)", "play_activation": "ReLU", "play_rate": "10", "play_start": "300"},
            "grew without",
        ),
        ({"play_shows": "Neuron 2.3"}, "neuron 2.3"),
        ({"play_shows": "Neuron 4.7"}, "The output of the network"),
        ({"play_two": "true"}, "Network B"),
        ({"play_data": "<script>", "play_rate": "7", "play_layers": "99", "play_speed": "-4"}, "learning rate 0.1"),
    ],
    ids=["none", "one", "features", "values", "spiral", "signed", "broken", "neuron", "no-neuron", "two", "nonsense"],
)
def test_settings_of_the_link_are_followed(
    play: Callable[..., AppTest], settings: dict[str, str | list[str]], said: str
) -> None:
    test = play(**settings)
    check(test)
    everything = words(test) + json.dumps(sent(test, "ncore_live_chart"), ensure_ascii=False)
    assert said in everything
    check(test if "grew" in said else press(test, "Step"))


def test_no_input_is_said(play: Callable[..., AppTest]) -> None:
    test = play()
    pills = next(group for group in test.button_group if group.label == "Inputs")
    test = pills.set_value([]).run()
    check(test)
    assert "Choose at least one input." in words(test)


def test_a_change_of_the_network_starts_anew_and_one_of_the_learning_rate_does_not(
    play: Callable[..., AppTest],
) -> None:
    test = press(press(play(), "Step"), "Step")
    test = next(box for box in test.selectbox if box.label == "Learning rate").set_value(1.0).run()
    assert numbers(test)["Step"] == "2"
    test = next(slider for slider in test.slider if slider.label == "Hidden layers").set_value(3).run()
    assert numbers(test)["Step"] == "0"
    assert "2-4-4-4-1" in words(test)


def test_every_setting_changes_the_link() -> None:
    first = Choice(Data(), (Setup(),), 20, 0, False, False, False, "absolute", "Output")
    others: list[Choice] = [
        replace(first, setups=(Setup(), Setup())),
        *(replace(first, **{name: value}) for name, value in {"speed": 5, "start": 7, "strength": "signed"}.items()),
        *(replace(first, **{name: True}) for name in ("test", "discrete", "follow")),
        replace(first, shows="Neuron 1.0"),
    ]
    data = {"name": "xor", "count": 50, "noise": 0.3, "share": 0.2, "seed": 8}
    network = {
        "features": ("x1",),
        "hidden": (4, 5),
        "activation": "relu",
        "seed": 3,
        "rate": 1.0,
        "batch": 1,
        "penalty": "L1",
        "penalty_rate": 0.1,
    }
    assert set(data) == {field.name for field in fields(Data)}
    assert set(network) == {field.name for field in fields(Setup)}
    others += [replace(first, data=replace(Data(), **{name: value})) for name, value in data.items()]
    others += [replace(first, setups=(replace(Setup(), **{name: value}),)) for name, value in network.items()]
    address = "http://127.0.0.1:1/playground?old=1"
    links = [choice.link(address) for choice in (first, *others)]
    assert len(set(links)) == len(links)
    assert all(link.startswith("http://127.0.0.1:1/playground?play-data=") for link in links)


def test_a_link_opens_what_it_was_made_from(play: Callable[..., AppTest]) -> None:
    settings: dict[str, str | list[str]] = {
        "play_data": "Moons",
        "play_points": "300",
        "play_noise": "0.25",
        "play_share": "70",
        "play_draw": "12",
        "play_start": "15",
        "play_speed": "100",
        "play_test": "true",
        "play_discrete": "true",
        "play_follow": "true",
        "play_strength": "signed",
        "play_shows": "Neuron 2.1",
        "play_two": "true",
        "play_inputs": ["x₁", "x₂²", "sin πx₂"],
        "play_layers": "3",
        "play_width1": "8",
        "play_width2": "3",
        "play_width3": "5",
        "play_activation": "ReLU",
        "play_rate": "0.03",
        "play_batch": "20",
        "play_penalty": "L1",
        "play_price": "0.003",
        "play_seed": "4",
        "play2_inputs": ["x₂"],
        "play2_layers": "1",
        "play2_width1": "2",
        "play2_activation": "sigmoid",
        "play2_rate": "1",
        "play2_batch": "5",
        "play2_penalty": "L2",
        "play2_price": "0.1",
        "play2_seed": "9",
    }
    test = play(**settings)
    check(test)
    link = next(code.value for code in test.code)
    assert parse_qs(urlparse(link).query) == {
        name.replace("_", "-"): value if isinstance(value, list) else [value] for name, value in settings.items()
    }
    assert numbers(test)["Step"] == "15"


def test_neurons_have_names() -> None:
    assert controls.neuron("Neuron 1.3", (4,)) == (1, 3)
    assert controls.neuron("Neuron 1.4", (4,)) is None
    assert controls.neuron("Output", (4,)) is None
    assert controls.neuron("Neuron x", (4,)) is None
