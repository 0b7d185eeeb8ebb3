"""Recipes mean what they say, in YAML too."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

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
