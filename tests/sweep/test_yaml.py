"""Recipes mean what they say, in YAML too."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
import yaml

from ncore._yaml import read_yaml
from ncore.errors import InputError
from ncore.probe.sources.dataset_spec import DatasetSpec
from ncore.sweep import Recipe

PLAIN = "candidates: [lenet-small]\ndatasets: [digits]\n"
WORDS = ("yes", "Yes", "NO", "no", "on", "off", "true", "False")
PLACES = (  # where a name or a number is meant
    "candidates: [{{source: lenet-small, name: {}}}]\ndatasets: [digits]",
    "candidates: [lenet-small]\ndatasets: [{{source: digits, name: {}}}]",
    "candidates: [lenet-small]\ndatasets: [{{source: digits, classes: ['1', {}]}}]",
    "candidates: [lenet-small]\ndatasets: [{{source: digits, classes: {{{}: ['1'], b: ['2']}}}}]",
    "candidates: [lenet-small]\ndatasets: [{{source: digits, classes: {{a: ['1', {}], b: ['2']}}}}]",
    "candidates: [lenet-small]\ndatasets: [{{source: digits, train: {}}}]",
    "candidates: [{{source: lenet-small, input_size: {}}}]\ndatasets: [digits]",
    PLAIN + "seeds: [0, {}]",
    PLAIN + "store: {}",
    PLAIN + "notes: {}",
    PLAIN + "training: {{epochs: {}}}",
    PLAIN + "training: {{learning_rate: {}}}",
    PLAIN + "training: {{unit: {{widths: [8, {}, 8]}}}}",
    PLAIN + "recording: {{neurons: {}}}",
    PLAIN + "recording: {{strengths: [{}]}}",
)


def read(text: str, tmp_path: Path) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return Recipe.read(path)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("word", WORDS[::2])
def test_what_yaml_makes_of_yes_and_no_is_refused_with_its_quoted_form(tmp_path: Path, place: str, word: str) -> None:
    assert isinstance(yaml.safe_load(word), bool)
    with pytest.raises(InputError, match="in quotes") as caught:
        read(place.format(word), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", WORDS)
def test_in_quotes_it_is_a_name(tmp_path: Path, word: str) -> None:
    recipe = read(f"candidates: [{{source: lenet-small, name: '{word}'}}]\ndatasets: [digits]", tmp_path)
    assert recipe.candidates[0].name == word


@pytest.mark.parametrize("value", ["12", "1.5", "-3"])
def test_a_number_where_a_name_is_meant_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(InputError, match="put it in quotes"):
        read(f"candidates: [{{source: lenet-small, name: {value}}}]\ndatasets: [digits]", tmp_path)


def test_what_is_true_or_false_stays_so() -> None:
    recipe = Recipe.parse(
        {"candidates": ["lenet-small"], "datasets": ["digits"], "training": {"augment": True, "mode": "all"}}
    )
    assert recipe.training.augment is True


def test_a_number_is_a_class_where_none_has_it_as_its_name() -> None:
    from ncore.probe._partition import regroup

    assert regroup([1, 0], ["cat", "dog"])[0] == ["dog", "cat"]
    assert regroup([1, 3], ["3", "1", "2", "0"])[0] == ["1", "3"]
    assert DatasetSpec.parse({"source": "digits", "classes": [3, 5]}).classes == [3, 5]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN + "seeds: [0]\nseeds: [1]",
        PLAIN + "training: {epochs: 2, mode: all, epochs: 3}",
        "candidates: [lenet-small]\ndatasets: [{source: digits, name: a, name: b}]",
        "candidates: [lenet-small]\ndatasets: [{source: digits, classes: {a: ['1'], b: ['2'], a: ['3']}}]",
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="stands twice, in lines"):
        read(text, tmp_path)


TEXTS = ("1:30", "12:30:00", "190:20:30.15", "2024-01-01", "2001-12-14t21:59:43.10-05:00", "=", "1.2.3", "0b2", "1e")
UNCLEAR = ("010", "08", "-017", "0o10", "0b11", "1_000", "2024_01_01", "1_0.5", "0x1_0", "-0x10", "01e3", "00")
NUMBERS = {"1e3": 1000, "2E2": 200, "0x10": 16, "+5": 5, "6.": 6, "1.5e3": 1500}
NAMES = ("name: {}", "classes: {{{}: ['1'], b: ['2']}}", "classes: {{a: ['1', {}], b: ['2']}}")


@pytest.mark.parametrize("place", NAMES)
@pytest.mark.parametrize("text", TEXTS)
def test_times_and_dates_are_the_names_that_they_were_written_as(tmp_path: Path, place: str, text: str) -> None:
    entry = f"source: digits, {place.format(text)}"
    found = read(f"candidates: [lenet-small]\ndatasets: [{{{entry}}}]", tmp_path).datasets[0]
    assert repr(text) in repr(found)


@pytest.mark.parametrize("place", [place for place in PLACES if "train: " in place or "neurons" in place])
@pytest.mark.parametrize("text", TEXTS)
def test_a_time_where_a_number_is_meant_is_refused(tmp_path: Path, place: str, text: str) -> None:
    with pytest.raises(InputError, match="is '"):
        read(place.format(text), tmp_path)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", UNCLEAR)
def test_what_is_one_number_to_some_and_another_to_others_is_refused(tmp_path: Path, place: str, text: str) -> None:
    with pytest.raises(InputError, match="in quotes if it is a name") as caught:
        read(place.format(text), tmp_path)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_numbers_in_every_usual_form(tmp_path: Path, text: str) -> None:
    found = read(PLAIN + f"training: {{epochs: {text}}}\nseeds: [{text}]", tmp_path)
    assert (found.training.epochs, *found.seeds) == (NUMBERS[text], NUMBERS[text])


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".NAN", "1e999"])
@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "clip_gradient", "warmup_epochs", "epochs"])
def test_numbers_of_a_recipe_are_finite(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(InputError, match=f"training: {name} is"):
        read(PLAIN + f"training: {{{name}: {text}}}", tmp_path)
    with pytest.raises(InputError, match="std"):
        read(f"candidates: [{{source: lenet-small, std: [{text}]}}]\ndatasets: [digits]", tmp_path)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_read_as_a_number_is_that_number_to_everybody(seed: int) -> None:
    """To YAML 1.1, as PyYAML has it, and to Python; all else is the text that was written, or refused."""
    drawn = random.Random(seed)
    for _ in range(3000):
        text = "".join(drawn.choices("0011279_.:-+eExobf", k=drawn.randint(1, 7)))
        try:
            (found,) = read_yaml(f"[{text}]", "it")
        except InputError:
            continue
        if isinstance(found, bool):
            assert text in ("on", "off", "no")
        elif isinstance(found, int | float):
            old = yaml.safe_load(f"[{text}]")[0]
            assert found == (float(text) if "x" not in text else int(text, 16)), text
            assert old in (found, text), text
        elif not isinstance(found, dict | list | type(None)):  # as of "-" and of "a: b"
            assert found == text


@pytest.mark.parametrize("tag", ["bool", "int", "float", "timestamp", "binary", "map", "set", "seq", "omap", "null"])
@pytest.mark.parametrize("text", ["", "x", "1:30", "[1]", "{a: 1}", "{a}"])
def test_explicit_tags_that_do_not_fit_are_errors_too(tag: str, text: str) -> None:
    with contextlib.suppress(InputError):
        assert read_yaml(f"[!!{tag} {text}]", "it") != [90]


@pytest.mark.parametrize("text", ["{{source}}: 1", "? [a, b]\n: 1", "store: {{home}}", "[{{{a}}}]"])
def test_keys_in_brackets_are_refused_by_their_line(text: str) -> None:
    with pytest.raises(InputError, match=r"a key in line 1 is .*in quotes"):
        read_yaml(text, "it")


def test_anchors_and_merges_go_on(tmp_path: Path) -> None:
    text = "candidates: [lenet-small]\ndatasets: [&d {source: digits, train: 200}, {<<: *d, name: more, train: 300}]"
    first, second = read(text, tmp_path).datasets
    assert (first.train, second.train, second.source) == (200, 300, "digits")


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_seeds_that_no_run_can_have_are_refused_at_the_start(tmp_path: Path, seed: int) -> None:
    with pytest.raises(InputError, match="seeds"):
        read(PLAIN + f"seeds: [{seed}]", tmp_path)
    assert read(PLAIN + f"seeds: [{2**63 - 1}]", tmp_path).seeds == (2**63 - 1,)


def test_home_and_variables_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WHERE", "somewhere")
    assert read(PLAIN + "store: ~/runs", tmp_path).store_place == str(tmp_path / "home" / "runs")
    assert read(PLAIN + "store: '${WHERE}/runs'", tmp_path).store_place == str(tmp_path / "somewhere" / "runs")
    assert read(PLAIN + "store: 's3://${WHERE}/runs'", tmp_path).store_place == "s3://somewhere/runs"
    with pytest.raises(InputError, match="NOWHERE, which is not set"):
        _ = read(PLAIN + "store: '${NOWHERE}/runs'", tmp_path).store_place
