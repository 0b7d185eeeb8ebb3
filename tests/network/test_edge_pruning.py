"""Sparse sub-networks: what scores keep, what is left, and its accuracy on real digits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn

import ncore
from ncore.errors import InputError
from ncore.network.edge_dynamics import (
    Landscape,
    descend,
    interaction_scores,
    kept,
    magnitude_scores,
    prune,
    random_scores,
    what_is_left,
)
from ncore.network.line_graph import LineGraph


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 60), level=st.floats(0, 0.999))
def test_the_highest_scores_are_kept(seed: int, count: int, level: float) -> None:
    scores = np.random.default_rng(seed).normal(size=count)
    mask = kept(scores, level)
    assert mask.sum() == max(1, round((1 - level) * count))
    if 0 < mask.sum() < count:
        assert scores[mask].min() >= scores[~mask].max()
    halves = [slice(0, count // 2 or 1), slice(count // 2 or 1, count)]
    parts = kept(scores, level, [part for part in halves if part.stop > part.start])
    for part in halves:
        if part.stop > part.start:
            np.testing.assert_array_equal(parts[part], kept(scores[part], level))


def test_scores() -> None:
    unit = ncore.NCPUnit(3, 2, widths=(4, 4, 3), activation="tanh")
    x, y = torch.randn(20, 3), torch.arange(20) % 2
    graph = LineGraph.from_batch(unit, x, y, loss=nn.CrossEntropyLoss())
    w = np.concatenate([m.weight.detach().numpy().ravel() for m in unit if isinstance(m, nn.Linear)])
    dense = graph.to_scipy().toarray()
    np.testing.assert_allclose(interaction_scores(graph, w), np.abs(w) * (dense.sum(1) + dense.sum(0)), rtol=1e-4)
    np.testing.assert_array_equal(magnitude_scores(w), np.abs(w))
    np.testing.assert_array_equal(random_scores(w, 3), random_scores(w, 3))
    assert not (random_scores(w, 3) == random_scores(w, 4)).any()


def test_what_is_left_of_a_star() -> None:
    """All inputs to one hidden neuron and on to one output: every synapse is on a way, and the rank is one."""
    into, out = np.zeros((5, 4), bool), np.zeros((3, 5), bool)
    into[2], out[1, 2] = True, True
    table = what_is_left([into, out], [np.full((5, 4), 2.0), np.ones((3, 5))])
    assert table["synapses"].tolist() == [4, 1]
    np.testing.assert_allclose(table["share"], [1 / 5, 1 / 15])
    np.testing.assert_allclose(table["norm"], table["share"])
    np.testing.assert_allclose(table["useful"], 1)
    assert table["neurons"].tolist() == [1, 1]
    np.testing.assert_allclose(table["effective_rank"], 1)
    out[1] = False
    out[1, 3] = True  # from a neuron that nothing reaches
    broken = what_is_left([into, out], [np.ones((5, 4)), np.ones((3, 5))])
    np.testing.assert_allclose(broken["useful"], 0)
    assert broken["neurons"].tolist() == [0, 0]
    empty = what_is_left([np.zeros((2, 2), bool)], [np.zeros((2, 2))])
    assert empty[["norm", "useful", "effective_rank"]].isna().all().all()


@pytest.fixture(scope="module")
def digits() -> tuple[Landscape, np.ndarray, dict[str, np.ndarray], tuple[torch.Tensor, torch.Tensor]]:
    """A dense network trained on real digits, 600 for training and 400 for testing."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.from_numpy(images / 16).float(), torch.from_numpy(labels)
    unit = ncore.NCPUnit(64, 10, widths=(24, 16, 12))
    landscape = Landscape(unit, x[:600], y[:600], loss=nn.CrossEntropyLoss())
    weights = descend(landscape, 0.1, 700, momentum=0.9, batch_size=50, every=700)[-1]
    graph = LineGraph.from_batch(landscape.at(weights), x[:600].double(), y[:600], loss=nn.CrossEntropyLoss())
    synapses = weights[landscape.synapses]
    scores = {
        "magnitude": magnitude_scores(synapses),
        "interaction": interaction_scores(graph, synapses),
        "random": random_scores(synapses),
    }
    return landscape, weights, scores, (x[600:1000], y[600:1000])


def test_pruned_networks_on_digits(digits) -> None:
    landscape, weights, scores, test = digits
    table = prune(landscape, weights, scores, test, levels=(0.0, 0.5, 0.8), steps=60, batch_size=50)
    assert isinstance(table, pd.DataFrame)
    found = table.set_index(["score", "level"])
    whole = found.loc[("magnitude", 0.0)]
    assert whole["accuracy"] > 0.88
    assert whole["synapses"] == landscape.synapses.sum()
    assert found["accuracy"].xs(0.0, level="level").nunique() == 1
    # A half of the synapses hardly matters, if chosen by either score, and matters much if not.
    for score in ("magnitude", "interaction"):
        assert found.loc[(score, 0.5), "accuracy"] > whole["accuracy"] - 0.15
        assert found.loc[(score, 0.5), "accuracy"] > found.loc[("random", 0.5), "accuracy"]
        assert found.loc[(score, 0.8), "trained_on"] > found.loc[(score, 0.8), "accuracy"]
        assert found.loc[(score, 0.8), "trained_on"] > 0.8
    assert (found["cost_trained_on"] < found["cost"] + 1e-6).all()


def test_what_was_pruned_stays_pruned(digits) -> None:
    landscape, weights, scores, _ = digits
    mask = np.ones(landscape.size, dtype=bool)
    mask[landscape.synapses] = kept(scores["magnitude"], 0.9)
    path = descend(landscape, 0.1, 3, momentum=0.9, batch_size=100, start=weights, mask=mask)
    assert (path[:, ~mask] == 0).all()
    assert (path[-1][mask] != path[0][mask]).mean() > 0.5  # others lead to dead neurons
    np.testing.assert_array_equal(path[0][mask], weights[mask])


def test_by_layer_every_layer_keeps_its_share(digits) -> None:
    landscape, weights, scores, test = digits
    table = prune(landscape, weights, {"one": scores["magnitude"]}, test, levels=(0.99,), by_layer=True, steps=1)
    assert table["synapses"].item() == sum(round(0.01 * (s.stop - s.start)) or 1 for s in landscape.layers)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"level is 1\.0"):
        kept([1.0, 2.0], 1.0)
    with pytest.raises(InputError, match="one finite number"):
        kept([np.nan], 0.5)
    with pytest.raises(InputError, match="layer upon layer"):
        what_is_left([np.ones((2, 2)), np.ones((2, 3))], [np.ones((2, 2)), np.ones((2, 3))])
