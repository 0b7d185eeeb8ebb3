from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ncore_dashboard.figures.base import paper
from ncore_dashboard.figures.candidate_styles import DASHES, HUES, style_for, styles_of

# Simulation of full deuteranopia and protanopia in linear RGB: Machado et al., IEEE TVCG 15 (2009), table 1.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def lab(light: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ light / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(("dark", "least"), [(False, 3.0), (True, 4.0)])
def test_colours_stand_out_from_the_background(dark: bool, least: float) -> None:
    behind = luminance(paper(dark))
    for hue in HUES:
        low, high = sorted([behind, luminance(hue.dark if dark else hue.light)])
        assert (high + 0.05) / (low + 0.05) >= least, hue


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("vision", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["normal", "deuteranopic", "protanopic"])
def test_colours_are_told_apart_by_all_eyes(dark: bool, vision: np.ndarray) -> None:
    seen = [lab(np.clip(vision @ linear(hue.dark if dark else hue.light), 0, 1)) for hue in HUES]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 20


def test_markers_tell_them_apart_without_colours() -> None:
    assert len({hue.symbol for hue in HUES}) == len(HUES)


@given(st.lists(st.text(max_size=8), unique=True, max_size=len(HUES) * len(DASHES)))
def test_no_two_candidates_look_alike(names: list[str]) -> None:
    assert len(set(styles_of(names).values())) == len(names)


def test_a_colour_and_a_marker_tell_64_candidates_apart_where_there_are_no_lines() -> None:
    styles = styles_of(f"candidate {number}" for number in range(64))
    assert len({(style.hue, style.symbol) for style in styles.values()}) == 64


@given(st.lists(st.text(max_size=8), unique=True, max_size=40))
def test_new_candidates_change_no_colour(names: list[str]) -> None:
    for few, more in pairwise(range(len(names) + 1)):
        before, after = styles_of(names[:few]), styles_of(names[:more])
        assert before == {name: after[name] for name in before}


def test_a_candidate_without_a_style_gets_the_one_of_its_hash() -> None:
    assert style_for("lenet", {}) == styles_of(["lenet"])["lenet"]
