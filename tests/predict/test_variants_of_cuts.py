"""Runs on other data, or another cut of them, are told apart; seeds that each cut the data anew are seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncore.predict import Ranker
from ncore.predict.curves import Curve
from ncore.predict.variants import told_apart


def curve(seed: int, candidate: str = "net", resplit: bool = False, **rest: str) -> Curve:
    settings = {"dataset.source": "folder:pets"} | ({"dataset.resplit": True} if resplit else {})
    return Curve(candidate, seed, np.array([1]), np.array([0.5]), {}, 2, settings=settings, **rest)


@pytest.mark.parametrize("resplit", [True, False])
@pytest.mark.parametrize("digests", [True, False])
def test_a_cut_for_each_seed_is_no_other_data(resplit: bool, digests: bool) -> None:
    def about(seed: int) -> dict[str, str]:
        return {"data": f"cut {seed}"} | ({"content": "same", "cut": f"{seed}{seed}{seed}"} if digests else {})

    found = told_apart([curve(seed, resplit=resplit, **about(seed)) for seed in range(3)])
    assert (len({one.candidate for one in found}) == 1) == resplit
    assert all(("own cut of the data" in one.warnings) == resplit for one in found)
    assert all(("can't be compared" in one.warnings) != resplit for one in found)
    if not resplit:
        told = ["cut 000", "cut 111", "cut 222"] if digests else ["data cut 0", "data cut 1", "data cut 2"]
        assert [one.candidate for one in found] == [f"net ({text})" for text in told]


@pytest.mark.parametrize("resplit", [True, False])
def test_other_pictures_are_other_data_whoever_cuts_them(resplit: bool) -> None:
    curves = [curve(seed, resplit=resplit, content="a" if seed < 2 else "b", cut=f"{seed // 2}") for seed in range(3)]
    first, second, other = told_apart(curves)
    assert first.candidate == second.candidate == "net"
    assert other.candidate == "net (data b)"
    assert "trained on other data than most runs here" in other.warnings
    assert "can't be compared" not in first.warnings


LETTERS = st.sampled_from("abc")


@given(st.lists(st.tuples(st.sampled_from("xy"), LETTERS, LETTERS), min_size=1, max_size=8))
def test_no_row_of_a_ranking_is_of_two_sets_of_data(runs: list[tuple[str, str, str]]) -> None:
    """Whichever candidates were trained on whichever data and cut, and where they differ it stands in the table."""
    curves = [curve(seed, candidate, content=content, cut=cut) for seed, (candidate, content, cut) in enumerate(runs)]
    found = told_apart(curves)
    rows: dict[str, set[tuple[str, str]]] = {}
    for one in found:
        rows.setdefault(one.candidate, set()).add((one.content, one.cut))
    assert all(len(data) == 1 for data in rows.values())
    table = Ranker("last").rank(curves)
    assert set(table["candidate"]) == set(rows)
    several = len({(content, cut) for _, content, cut in runs}) > 1
    assert several == any("can't be compared" in text for text in table["warning"])


@given(st.lists(st.tuples(st.booleans(), LETTERS), min_size=1, max_size=6))
def test_runs_from_before_there_were_digests_are_where_their_description_is(runs: list[tuple[bool, str]]) -> None:
    """A store with runs of both: the same description is the same data, unless that is known to be of several."""
    curves = [
        curve(seed, data=f"described {letter}", **({"content": letter, "cut": letter} if new else {}))
        for seed, (new, letter) in enumerate(runs)
    ]
    names = [one.candidate for one in told_apart(curves)]
    for (_, letter), name in zip(runs, names, strict=True):
        assert {other for (_, own), other in zip(runs, names, strict=True) if own == letter} == {name}


def test_what_is_not_known_is_not_told_apart() -> None:
    curves = [curve(0, content="a", cut="a"), curve(1, content="b", cut="b"), curve(2)]
    assert told_apart(curves)[2].candidate == "net"
    twice = [curve(0, data="d", content="a", cut="a"), curve(1, data="d", content="b", cut="b"), curve(2, data="d")]
    assert told_apart(twice)[2].candidate == "net"
