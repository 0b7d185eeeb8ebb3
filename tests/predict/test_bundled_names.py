"""The benchmark's datasets by their usual names, in any spelling."""

from __future__ import annotations

import itertools

import pytest

from ncore.predict.bundled import _names

WORDS = {
    "cifar10": [("cifar", "10"), ("uoft-cs/cifar", "10"), ("torchvision:CIFAR", "10")],
    "fashion-mnist": [("fashion", "mnist"), ("hf:zalando-datasets/fashion", "mnist")],
    "digits": [("sklearn", "digits"), ("scikit-learn", "digits"), ("digits", "200"), ("opt", "digits")],
}
SPELLINGS = {
    (group, case(mark.join(words)))
    for group, several in WORDS.items()
    for words, mark, case in itertools.product(several, ("", "-", "_", " "), (str.lower, str.upper, str.title))
    if not (mark and words[0] == "opt") and not (not mark and words[0] == "scikit-learn")
}


@pytest.mark.parametrize(("group", "name"), sorted(SPELLINGS))
def test_any_spelling_is_recognised(group: str, name: str) -> None:
    assert _names(name, group)
    assert not any(_names(name, other) for other in WORDS if other != group)


@pytest.mark.parametrize(
    "name", ["digits-of-pi", "my-cifar100", "cifar-100", "mnist", "fashion", "house digits", "", "10"]
)
def test_names_that_merely_contain_one_are_not(name: str) -> None:
    assert not any(_names(name, group) for group in WORDS)
