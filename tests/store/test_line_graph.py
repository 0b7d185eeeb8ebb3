"""P rebuilt from a store equals P as it was."""

import numpy as np
import pytest

from ncore.errors import InputError, StoreError
from ncore.network import LayerFactors, LineGraph
from ncore.store import Store
from tests.store.data import WHO, factors

WIDTHS = (6, 5, 4, 3)


@pytest.fixture
def layers() -> list[LayerFactors]:
    return [LayerFactors(f.inputs, f.slopes, f.errors) for f in factors(1, WIDTHS, samples=7)]


@pytest.mark.parametrize("strength", ["signed", "absolute", "relative"])
@pytest.mark.parametrize("finish", [False, True])
def test_every_strength_is_rebuilt_exactly(
    store: Store, layers: list[LayerFactors], strength: str, finish: bool
) -> None:
    writer = store.new_run(**WHO, run_id="run")
    for epoch in range(3):
        writer.write_epoch(epoch, line_graph=factors(epoch, WIDTHS, samples=7), line_graph_scale=1 / 3)
    if finish:
        writer.finish()
    found = store.run("run").line_graph(1, strength)
    writer.close()
    live = LineGraph.from_factors(strength, layers, 1 / 3 if strength == "relative" else 1.0)
    assert found.strength == strength
    np.testing.assert_array_equal(found.to_scipy().toarray(), live.to_scipy().toarray())
    assert found.beta_eff == live.beta_eff


def test_float64_is_kept_to_float32(store: Store, layers: list[LayerFactors]) -> None:
    precise = [f.map(lambda a: a.astype(np.float64) * (1 + 1e-12)) for f in layers]
    with store.new_run(**WHO, run_id="run") as writer:
        writer.write_epoch(0, line_graph=precise)
    found = store.run("run").line_graph(0, "signed").to_scipy().toarray()
    wanted = LineGraph.from_factors("signed", precise).to_scipy().toarray()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_nan_and_infinity_survive(store: Store, layers: list[LayerFactors]) -> None:
    layers[0].inputs[2, 3], layers[0].errors[0, 0] = np.nan, -np.inf
    with store.new_run(**WHO, run_id="run") as writer:
        writer.write_epoch(0, line_graph=layers)
    found, scale = store.run("run").line_graph_factors(0)
    assert scale is None
    np.testing.assert_array_equal(found[0].inputs, layers[0].inputs)
    np.testing.assert_array_equal(found[0].errors, layers[0].errors)


def test_what_was_not_recorded_is_said(store: Store, layers: list[LayerFactors]) -> None:
    with store.new_run(**WHO, run_id="run") as writer:
        writer.write_epoch(0, line_graph=layers)
        writer.write_epoch(1)
    run = store.run("run")
    with pytest.raises(StoreError, match="no line_graph at epoch 1: it has them at epochs 0"):
        run.line_graph(1)
    with pytest.raises(StoreError, match="without the strength relative"):
        run.line_graph(0, "relative")
    with pytest.raises(InputError, match="strength is 'loud'"):
        run.line_graph(0, "loud")
    with store.new_run(**WHO, run_id="none") as writer:
        writer.write_epoch(0)
    with pytest.raises(StoreError, match="they were not recorded"):
        store.run("none").line_graph(0)


def test_more_samples_than_a_row_group_holds(store: Store) -> None:
    many = factors(0, WIDTHS, samples=1300)
    with store.new_run(**WHO, run_id="run") as writer:
        writer.write_epoch(0, line_graph=many)
        writer.write_epoch(1, line_graph=factors(1, WIDTHS, samples=3))
    found, _ = store.run("run").line_graph_factors(0)
    np.testing.assert_array_equal(found[1].errors, many[1].errors)
