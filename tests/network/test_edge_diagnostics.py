"""Speed, turning, curvature and ranks against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.errors import InputError
from ncore.network.edge_dynamics import (
    convergence,
    curvature,
    effective_rank,
    layer_paths,
    speed,
    stable_rank,
    turning,
)

SEEDS = st.integers(0, 2**32 - 1)


def plane(dimension: int, seed: int) -> np.ndarray:
    """Two orthonormal directions, (2, dimension)."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, 2)))[0].T


@settings(deadline=None)
@given(seed=SEEDS, dimension=st.integers(2, 40), radius=st.floats(1e-3, 1e3))
def test_states_on_any_circle_have_the_curvature_of_that_circle(seed: int, dimension: int, radius: float) -> None:
    random = np.random.default_rng(seed)
    angle = np.cumsum(random.uniform(0.05, 1.0, size=7))
    circle = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1) @ plane(dimension, seed)
    np.testing.assert_allclose(curvature(circle), 1 / radius, rtol=1e-8)
    # Each chord leaves the tangent by half its angle, so the turn is the mean of two angles.
    np.testing.assert_allclose(turning(circle), (np.diff(angle)[1:] + np.diff(angle)[:-1]) / 2, rtol=1e-8)


@settings(deadline=None)
@given(seed=SEEDS, dimension=st.integers(2, 40))
def test_a_straight_line_has_no_curvature_at_any_speed(seed: int, dimension: int) -> None:
    random = np.random.default_rng(seed)
    times = np.cumsum(random.uniform(0.1, 2.0, size=6))
    direction = random.normal(size=dimension)
    line = times[:, None] ** 2 * direction + random.normal(size=dimension)
    np.testing.assert_allclose(curvature(line), 0, atol=1e-6 / np.linalg.norm(direction))
    np.testing.assert_allclose(turning(line), 0, atol=1e-6)
    # d(t^2) over the time between is the sum of the two times
    np.testing.assert_allclose(speed(line, times), (times[1:] + times[:-1]) * np.linalg.norm(direction), rtol=1e-9)


def test_going_back_and_standing_still() -> None:
    back = [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    assert turning(back).tolist() == pytest.approx([np.pi])
    assert np.isinf(curvature(back)).all()
    still = [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [2.0, 0.0]]
    assert np.isnan(turning(still)).all()
    assert np.isnan(curvature(still)).all()
    assert len(turning([[0.0, 1.0]] * 2)) == 0


@settings(deadline=None)
@given(seed=SEEDS, rank=st.integers(1, 4), rows=st.integers(4, 9), columns=st.integers(4, 9))
def test_ranks_are_bounded_by_the_rank(seed: int, rank: int, rows: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, rank)) @ random.normal(size=(rank, columns))
    for found in (effective_rank(matrix), stable_rank(matrix)):
        assert 1 - 1e-9 <= found <= rank + 1e-6
    assert stable_rank(matrix) <= effective_rank(matrix) ** 2 + 1e-6
    assert effective_rank(3 * matrix.T) == pytest.approx(effective_rank(matrix), rel=1e-6)


def test_ranks_of_known_matrices() -> None:
    sizes = np.array([4.0, 2.0, 2.0])
    share = sizes / 8
    assert effective_rank(np.diag(sizes)) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert stable_rank(np.diag(sizes)) == pytest.approx(24 / 16)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    assert effective_rank(rotation) == pytest.approx(6)
    assert stable_rank(rotation) == pytest.approx(6)
    for undefined in (np.zeros((3, 2)), np.full((2, 2), np.nan)):
        assert np.isnan(effective_rank(undefined))
        assert np.isnan(stable_rank(undefined))


def test_all_of_one_layer() -> None:
    """A matrix that turns on a circle between two rank-one directions."""
    first, second = np.outer([1.0, 0.0], [1.0, 0.0, 0.0]), np.outer([0.0, 1.0], [0.0, 1.0, 0.0])
    angle = np.linspace(0, np.pi / 2, 5)
    path = np.cos(angle)[:, None, None] * first + np.sin(angle)[:, None, None] * second
    table = convergence(path, angle)
    assert table["speed"].isna().tolist() == [True, False, False, False, False]
    np.testing.assert_allclose(table["curvature"][2:], 1)
    np.testing.assert_allclose(table["turning"][2:], np.pi / 8)
    np.testing.assert_allclose(table["effective_rank"][[0, 2, 4]], [1, 2, 1])
    assert np.isnan(table["update_stable_rank"][0])
    assert table["update_stable_rank"][4] == pytest.approx(2)
    assert len(convergence(path[:1], [0.0])) == 1


def test_a_table_of_trajectories_as_matrices() -> None:
    grid = [
        (e, layer, s, t) for e in (2, 5) for layer, a, b in ((1, 3, 2), (2, 2, 4)) for s in range(a) for t in range(b)
    ]
    table = pd.DataFrame(grid, columns=["epoch", "layer", "source", "target"]).sample(frac=1, random_state=0)
    table["weight"] = 1000 * table["epoch"] + 100 * table["layer"] + 10 * table["target"] + table["source"]
    epochs, paths = layer_paths(table)
    assert epochs.tolist() == [2, 5]
    assert {layer: path.shape for layer, path in paths.items()} == {1: (2, 2, 3), 2: (2, 4, 2)}
    assert paths[2][1, 3, 1] == 5231
    with pytest.raises(InputError, match="Layer 1 has 11 rows"):
        layer_paths(table[~((table["layer"] == 1) & (table["weight"] == 2100))])


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="increasing times"):
        speed(np.zeros((3, 2)), [0, 1, 1])
    with pytest.raises(InputError, match="states of several weights"):
        turning([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="targets, sources"):
        convergence(np.zeros((3, 2)), [0, 1, 2])
    with pytest.raises(InputError, match="rank is that of a matrix"):
        effective_rank([1.0])
