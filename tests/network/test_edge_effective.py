"""The effective state of synapses: what is exact in its equation, and what the mean field leaves out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import ncore
from ncore.errors import InputError
from ncore.network.edge_dynamics import driven_rate, effective_path, effective_row
from ncore.network.line_graph import LineGraph
from tests.network.cases import LOSSES, head, probe


def moment(strength: str = "signed", loss: str = "mse", seed: int = 0) -> tuple[LineGraph, np.ndarray, np.ndarray]:
    """A line graph, all weights and their rates on the same probe."""
    widths = [4, 5, 4, 3, 3]
    unit, (x, y) = head(widths, seed=seed), probe(30, widths, loss)
    graph = LineGraph.from_batch(unit, x, y, loss=LOSSES[loss](3), strength=strength)
    linears = [m.weight for m in unit if isinstance(m, nn.Linear)]
    gradients = torch.autograd.grad(LOSSES[loss](3)(unit(x), y), linears)
    weights = torch.cat([w.detach().reshape(-1) for w in linears]).numpy()
    return graph, weights, -torch.cat([g.reshape(-1) for g in gradients]).numpy()


@pytest.mark.parametrize("strength", ["signed", "absolute", "relative"])
def test_the_push_of_all_drivers_is_p_times_w(strength: str) -> None:
    graph, weights, _ = moment(strength)
    np.testing.assert_allclose(driven_rate(graph, weights), graph.to_scipy() @ weights, atol=1e-13)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_gradient_flow_is_the_networked_system_but_for_the_last_layer(loss: str) -> None:
    """Exact: every synapse below the last layer, and so the rate of x_eff once its other parts are added."""
    graph, weights, rates = moment(loss=loss)
    driven = slice(0, graph.layer_slices[-1].start)
    np.testing.assert_allclose(-driven_rate(graph, weights)[driven], rates[driven], atol=1e-13)
    if loss == "mse":
        row = effective_row(graph, weights, rates, weight_decay=0.1)
        assert row["rate"] == pytest.approx(row["pull"] + row["undriven"] + row["decay"], rel=1e-9)
        assert row["x_eff"] == pytest.approx(graph.out_degree @ weights / graph.out_degree.sum())
        assert row["decay"] == pytest.approx(-0.1 * row["x_eff"])
        assert row["mean"] == pytest.approx(weights.mean())


def test_the_reduction_is_exact_where_all_weights_are_alike() -> None:
    """L_P(P 1) = beta_eff: the mean field has nothing to average away."""
    for strength in ("signed", "absolute"):
        graph, weights, rates = moment(strength)
        row = effective_row(graph, np.full(len(weights), 0.3), rates)
        assert row["x_eff"] == pytest.approx(0.3)
        assert row["pull"] == pytest.approx(row["reduced"], rel=1e-9)
        assert row["reduced"] == pytest.approx(-0.3 * graph.beta_eff)
        spread = effective_row(graph, weights, rates)
        assert abs(spread["pull"] - spread["reduced"]) > 0.05 * abs(spread["pull"])  # and elsewhere it isn't


def test_the_solution_is_that_of_the_equation_with_the_recorded_coupling() -> None:
    graph, weights, rates = moment("absolute")
    scaled = [LineGraph(graph.strength, graph.factors, scale) for scale in (1.0, 0.5, 0.25)]
    times, decay = np.array([0.0, 1.0, 3.0]), 0.2
    path = effective_path(scaled, [weights] * 3, [rates] * 3, times, weight_decay=decay)
    beta = graph.beta_eff
    np.testing.assert_allclose(path["beta_eff"], beta * np.array([1, 0.5, 0.25]))
    expected = path["x_eff"][0] * np.exp(-decay * times - beta * np.array([0, 0.75, 0.75 + 0.75]))
    np.testing.assert_allclose(path["x_reduced"], expected)


def test_drift_is_what_the_change_of_the_network_adds() -> None:
    graph, weights, rates = moment()
    other = moment(seed=1)[0]
    moved = weights + 2.0 * rates
    still = effective_path([graph, graph], [weights, moved], [rates, rates], [0.0, 2.0])
    assert np.isnan(still["drift"][0])
    assert still["drift"][1] == pytest.approx(0, abs=1e-12)
    turned = effective_path([graph, other], [weights, weights], 0 * np.array([rates, rates]), [0.0, 2.0])
    expected = other.out_degree @ weights / other.out_degree.sum() - turned["x_eff"][0]
    assert turned["drift"][1] == pytest.approx(expected)
    assert abs(expected) > 1e-3


def test_a_stored_run_has_what_it_takes(tmp_path) -> None:
    unit = ncore.NCPUnit(4, 3, widths=(6, 5, 4))
    x, y = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 3
    optimizer = torch.optim.SGD(unit.parameters(), lr=0.1)
    about = {"candidate": "unit", "dataset": "noise", "recording": {"neurons": None, "line_graph_every": 1}}
    with ncore.Recorder(tmp_path, None, unit=unit, probe=(x, y), loss=nn.CrossEntropyLoss(), **about) as recorder:
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(unit(x), y).backward()
            optimizer.step()
            recorder.record()
    run = ncore.open_store(tmp_path).run(recorder.run_id)
    rows = [run.trajectory(epoch=epoch).sort_values("synapse") for epoch in range(4)]
    weights, rates = (np.stack([r[name].to_numpy() for r in rows]) for name in ("weight", "rate"))
    graphs = [run.line_graph(epoch) for epoch in range(4)]
    path = effective_path(graphs, weights, rates, 0.1 * np.arange(4))
    assert np.isfinite(path.drop(columns="drift")).all().all()
    np.testing.assert_allclose(
        path["beta_eff"], run.capacitance().query("strength == 'absolute' and layer == 0")["beta_eff"], rtol=1e-4
    )


def test_what_is_refused() -> None:
    graph, weights, rates = moment()
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        driven_rate(graph, weights[:3])
    with pytest.raises(InputError, match="increasing times"):
        effective_path([graph, graph], [weights] * 2, [rates] * 2, [0.0, 0.0])
    with pytest.raises(InputError, match="1 graphs"):
        effective_path([graph], [weights] * 2, [rates] * 2, [0.0, 1.0])
