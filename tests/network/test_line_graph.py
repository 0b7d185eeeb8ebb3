"""The line graph against the matrix built entry by entry, autograd and closed forms."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import ncore
from ncore.errors import InputError
from ncore.network import LayerFactors
from tests.network.cases import ACTIVATIONS, LOSSES, head, naive_beta, naive_matrix, probe

shapes = st.lists(st.integers(1, 4), min_size=4, max_size=6)
seeds = st.integers(0, 10_000)


@settings(max_examples=60, deadline=None)
@given(
    widths=shapes,
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    loss=st.sampled_from(["mse", "bce", "own_mean"]),
    strength=st.sampled_from(["signed", "absolute"]),
    samples=st.integers(1, 6),
    bias=st.booleans(),
    seed=seeds,
)
def test_matrix_is_the_definition(widths, activation, loss, strength, samples, bias, seed):
    unit, (x, y) = head(widths, activation, bias, seed), probe(samples, widths, loss, seed)
    cost = LOSSES[loss](widths[-1])
    matrix = naive_matrix(unit, x, y, cost, strength)
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=cost, strength=strength)
    np.testing.assert_allclose(graph.to_scipy().toarray(), matrix, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(graph.in_degree, matrix.sum(1), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(graph.out_degree, matrix.sum(0), rtol=1e-9, atol=1e-14)
    assert graph.n_synapses == len(matrix)
    assert graph.n_interactions == graph.to_scipy().nnz
    capacitance = ncore.beta_eff(unit, x, y, loss=cost, strength=strength, spread=True)
    if np.abs(matrix.sum()) > 1e-9 * np.abs(matrix).sum():
        assert graph.beta_eff == pytest.approx(naive_beta(matrix), rel=1e-6)
        assert capacitance.value == pytest.approx(graph.beta_eff, rel=1e-6)
        assert sum(layer.value for layer in capacitance.layers) == pytest.approx(capacitance.value, rel=1e-6)
    for name in ("denominator", "conditioning", "mean_degree", "in_degree_std", "out_degree_std"):
        ours, graphs = getattr(capacitance, name), getattr(graph.capacitance, name)
        assert ours == pytest.approx(graphs, rel=1e-6, abs=1e-9, nan_ok=True), name


@settings(max_examples=25, deadline=None)
@given(
    widths=st.lists(st.integers(2, 4), min_size=5, max_size=6),
    loss=st.sampled_from(["cross_entropy", "smoothed", "weighted", "weighted_smoothed", "functional"]),
    strength=st.sampled_from(["signed", "absolute"]),
    samples=st.integers(1, 6),
    seed=seeds,
)
def test_matrix_is_the_definition_for_cross_entropy(widths, loss, strength, samples, seed):
    unit, (x, y) = head(widths, "gelu", True, seed), probe(samples, widths, loss, seed)
    cost = LOSSES[loss](widths[-1])
    matrix = naive_matrix(unit, x, y, cost, strength)
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=cost, strength=strength)
    np.testing.assert_allclose(graph.to_scipy().toarray(), matrix, rtol=1e-8, atol=1e-14)


def _forward(unit, weights, x, shifts=None):
    """Outputs, and what each dense layer takes in, with other weights and optional shifts of the pre-activations."""
    value, inputs = x, []
    for module in unit:
        if isinstance(module, nn.Linear):
            inputs.append(value)
            value = nn.functional.linear(value, weights[len(inputs) - 1], module.bias.detach())
            value = value if shifts is None else value + shifts[len(inputs) - 1]
        else:
            value = module(value)
    return value, inputs


def _blocks_by_autograd(unit, x, y, cost, explicit_only):
    """d2C / dW^l dW^(l+1) for neighbouring layers, by torch.func; or only its explicit part."""
    weights = [m.weight.detach() for m in unit if isinstance(m, nn.Linear)]

    def errors_at(ws):
        zeros = tuple(torch.zeros(len(x), w.shape[0], dtype=x.dtype) for w in ws)
        return torch.func.grad(lambda shifts: cost(_forward(unit, ws, x, shifts)[0], y))(zeros)

    fixed = [e.detach() for e in errors_at(weights)]
    blocks = []
    for layer in range(len(weights) - 1):

        def gradient(w, layer=layer):
            changed = [*weights[:layer], w, *weights[layer + 1 :]]
            errors = fixed if explicit_only else errors_at(changed)
            return errors[layer + 1].T @ _forward(unit, changed, x)[1][layer + 1]

        # (k, j, j', i): derivative of dC/dW^(l+1)[k, j] by W^l[j', i]
        blocks.append(torch.func.jacrev(gradient)(weights[layer]))
    return blocks


def _as_rows(block):
    """(k, j, j', i) to rows i->j', columns j->k in synapse order."""
    k, j, j2, i = block.shape
    return block.permute(2, 3, 0, 1).reshape(j2 * i, k * j).numpy()


@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus", "relu"])
def test_matrix_is_the_explicit_cross_layer_second_derivative(activation):
    widths = [3, 4, 3, 2, 3]
    unit, (x, y) = head(widths, activation), probe(5, widths, "mse")
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss(), strength="signed")
    for layer, block in enumerate(_blocks_by_autograd(unit, x, y, nn.MSELoss(), explicit_only=True), start=1):
        np.testing.assert_allclose(graph.block(layer).toarray(), _as_rows(block), rtol=1e-9, atol=1e-15)


def test_matrix_is_the_hessian_block_less_gauss_newton():
    widths, samples = [3, 4, 3, 2], 5
    unit, (x, y) = head(widths, "leaky"), probe(samples, widths, "mse")
    cost = nn.MSELoss()
    full = _blocks_by_autograd(unit, x, y, cost, explicit_only=False)
    weights = [m.weight.detach() for m in unit if isinstance(m, nn.Linear)]
    jacobians = torch.func.jacrev(lambda *ws: _forward(unit, ws, x)[0], argnums=(0, 1, 2))(*weights)
    curvature = 2 / (samples * widths[-1])  # d2 of a mean squared error by one output
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=cost, strength="signed")
    for layer, hessian in enumerate(full, start=1):
        a, b = jacobians[layer - 1], jacobians[layer]
        gauss_newton = curvature * torch.einsum("nopq,nors->pqrs", a, b).flatten(2).flatten(0, 1).numpy()
        np.testing.assert_allclose(
            graph.block(layer).toarray(), _as_rows(hessian) - gauss_newton, rtol=1e-8, atol=1e-13
        )


def test_relative_is_the_absolute_over_that_of_an_untrained_classifier():
    widths = [3, 4, 3, 2, 4]
    unit, (x, y) = head(widths), probe(7, widths, "cross_entropy")
    cost = nn.CrossEntropyLoss()
    absolute = ncore.beta_eff(unit, x, y, loss=cost)
    # The reference by hand: the errors 1/K - onehot, back-propagated through the same weights.
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=cost, strength="signed")
    weights = [m.weight.detach().numpy() for m in unit if isinstance(m, nn.Linear)]
    error = 1 / widths[-1] - np.eye(widths[-1])[y.numpy()]
    pairs = []
    for pair, after in zip(reversed(graph.factors), reversed(range(len(graph.factors))), strict=True):
        pairs.insert(0, LayerFactors(pair.inputs, pair.slopes, error))
        error = error @ weights[after + 1] * pair.slopes
    reference = ncore.LineGraph.from_factors("absolute", pairs).beta_eff
    relative = ncore.beta_eff(unit, x, y, loss=cost, strength="relative")
    assert relative.value == pytest.approx(float(absolute) / reference, rel=1e-9)
    rescaled = ncore.LineGraph.from_batch(unit, x, y, loss=cost, strength="relative", chunk_size=3)
    assert rescaled.beta_eff == pytest.approx(relative.value, rel=1e-9)
    assert sum(part.value for part in relative.layers) == pytest.approx(relative.value, rel=1e-9)


@pytest.mark.parametrize("scale", [np.inf, -np.inf, np.nan])
def test_a_scale_that_is_not_finite_gives_nan_with_a_reason(scale):
    """As a damaged file may say; no warning comes from deep inside."""
    widths = [3, 4, 3, 3]
    unit, (x, y) = head(widths), probe(7, widths, "cross_entropy")
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.CrossEntropyLoss())
    found = ncore.LineGraph.from_factors("absolute", graph.factors, scale)
    assert np.isnan(found.beta_eff)
    assert "not finite" in found.capacitance.reason


def test_relative_of_an_untrained_classifier_is_one():
    widths = [3, 4, 3, 3]
    unit, (x, y) = head(widths), probe(9, widths, "cross_entropy")
    nn.init.zeros_(unit[-1].weight), nn.init.zeros_(unit[-1].bias)
    # Zero output weights stop the errors at the last layer: the only interactions left are in its block.
    value = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss(), strength="relative")
    assert np.isnan(value.value) or value.value == pytest.approx(1.0)
    unit[-1].weight.data.fill_(0.3)  # the same weight for all classes: still a uniform prediction
    value = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss(), strength="relative")
    assert value.value == pytest.approx(1.0, rel=1e-12)


def test_relative_for_a_squared_loss_refers_to_the_mean_target():
    widths = [3, 4, 3, 2]
    unit, (x, y) = head(widths), probe(8, widths, "mse")
    nn.init.zeros_(unit[-1].weight)
    unit[-1].bias.data = y.mean(0)  # predicts the mean target: its own reference
    unit[-1].weight.data.fill_(1e-12)
    value = ncore.beta_eff(unit, x, y, loss=nn.MSELoss(), strength="relative", chunk_size=3)
    assert value.value == pytest.approx(1.0, rel=1e-6)


class TestClosedForms:
    def test_chain_of_single_neurons(self):
        """x -> w1 -> w2 -> w3 -> w4, one neuron a layer, linear: P[l, l+1] = z^(l-1) delta^(l+1)."""
        weights = [0.5, -1.5, 2.0, 3.0]
        unit = nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in weights]).double()
        for layer, weight in zip(unit, weights, strict=True):
            layer.weight.data.fill_(weight)
        x, y = torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
        states = 2.0 * np.cumprod([1.0, *weights])
        output_error = 2 * (states[-1] - 1.0)
        errors = output_error * np.cumprod([1.0, *weights[:0:-1]])[::-1]
        p = states[:3] * errors[1:]
        graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss(), strength="signed")
        np.testing.assert_allclose(graph.to_scipy().diagonal(1), p, rtol=1e-12)
        assert graph.beta_eff == pytest.approx((p[0] * p[1] + p[1] * p[2]) / p.sum(), rel=1e-12)

    def test_star(self):
        """m inputs of 1 meet in one neuron and leave by one path: every interaction has the same strength."""
        m = 6
        unit = nn.Sequential(nn.Linear(m, 1, bias=False), nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
        unit = unit.double()
        for layer in unit:
            layer.weight.data.fill_(1.0)
        x = torch.ones(1, m, dtype=torch.float64)
        graph = ncore.LineGraph.from_batch(unit, x, x[:, :1] * (m - 1.0), loss=nn.MSELoss())
        # output m, target m - 1: the error is 2 everywhere; m spokes with strength 2, then one interaction 2 m
        assert graph.n_interactions == m + 1
        assert graph.to_scipy().sum() == pytest.approx(2 * m + 2 * m)
        assert graph.beta_eff == pytest.approx((m * 2) * (2 * m) / (4 * m))
        assert graph.capacitance.mean_degree == pytest.approx(4 * m / (m + 2))

    def test_one_sample_is_an_outer_product(self):
        widths = [3, 4, 2, 3]
        unit, (x, y) = head(widths), probe(1, widths, "mse")
        graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss(), strength="signed")
        pair = graph.factors[0]
        block = graph.block(1).toarray().reshape(4, 3, 2, 4)  # j, i, k, j
        for j in range(4):
            expected = pair.slopes[0, j] * np.outer(pair.inputs[0], pair.errors[0])
            np.testing.assert_allclose(block[j, :, :, j], expected, rtol=1e-12)
            np.testing.assert_array_equal(block[j, :, :, np.arange(4) != j], 0)


@settings(max_examples=30, deadline=None)
@given(widths=shapes, strength=st.sampled_from(["signed", "absolute"]), k=st.integers(1, 60), seed=seeds)
def test_strongest_are_the_largest_entries(widths, strength, k, seed):
    unit, (x, y) = head(widths, seed=seed), probe(4, widths, "mse", seed)
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss(), strength=strength)
    top, matrix = graph.strongest(k), graph.to_scipy().toarray()
    wanted = np.sort(np.abs(graph.to_scipy().data))[::-1][:k]
    np.testing.assert_allclose(np.abs(top["strength"]), wanted, rtol=1e-12)
    np.testing.assert_allclose(matrix[top["driven"], top["driver"]], top["strength"], rtol=1e-12)
    np.testing.assert_array_equal(graph.synapses["layer"].to_numpy()[top["driven"]], top["layer"])


def test_neighbours_are_the_row_and_the_column_of_a_synapse():
    widths = [3, 4, 3, 2]
    unit, (x, y) = head(widths), probe(6, widths, "mse")
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss(), strength="signed")
    matrix = graph.to_scipy().toarray()
    for synapse in range(graph.n_synapses):
        around = graph.neighbours(synapse)
        drives, driven = (around[around["role"] == role] for role in ("drives", "driven"))
        np.testing.assert_allclose(drives["strength"], matrix[synapse, drives["synapse"]], rtol=1e-12)
        np.testing.assert_allclose(driven["strength"], matrix[driven["synapse"], synapse], rtol=1e-12)
        assert len(around) == (matrix[synapse] != 0).sum() + (matrix[:, synapse] != 0).sum()


def test_synapse_numbers_are_row_major_positions_in_the_weights():
    widths = [3, 4, 3, 2]
    unit, (x, y) = head(widths), probe(6, widths, "mse")
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss())
    flat = torch.cat([m.weight.reshape(-1) for m in unit if isinstance(m, nn.Linear)])
    linears = [m for m in unit if isinstance(m, nn.Linear)]
    for number, row in graph.synapses.iterrows():
        assert flat[number] == linears[row["layer"] - 1].weight[row["target"], row["source"]]
        assert graph.synapse(row["layer"], row["source"], row["target"]) == number


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_gradient_flow_below_the_last_layer_is_minus_the_matrix_times_the_weights(loss):
    widths = [3, 4, 3, 4, 2]
    unit, (x, y) = head(widths, "gelu"), probe(6, widths, loss)
    cost = LOSSES[loss](widths[-1])
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=cost, strength="signed")
    linears = [m for m in unit if isinstance(m, nn.Linear)]
    gradients = torch.autograd.grad(cost(unit(x), y), [m.weight for m in linears])
    flat = [torch.cat([w.detach().reshape(-1) for w in ws]).numpy() for ws in ([m.weight for m in linears], gradients)]
    below = slice(0, graph.layer_slices[-1].start)
    np.testing.assert_allclose(-flat[1][below], -(graph.to_scipy() @ flat[0])[below], rtol=1e-9, atol=1e-15)


def test_networkx_edges_go_from_the_driver_to_the_driven():
    widths = [2, 3, 2, 2]
    unit, (x, y) = head(widths), probe(6, widths, "mse")
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss())
    drawn = graph.to_networkx()
    assert isinstance(drawn, nx.DiGraph)
    assert drawn.number_of_nodes() == graph.n_synapses
    assert drawn.number_of_edges() == graph.n_interactions
    for number, degree in drawn.in_degree(weight="weight"):
        assert degree == pytest.approx(graph.in_degree[number])
    for driver, driven in drawn.edges:
        a, b = drawn.nodes[driven], drawn.nodes[driver]
        assert b["layer"] == a["layer"] + 1
        assert b["source"] == a["target"]
    # Structurally it is the line graph of the network, turned round: drivers point at what they drive.
    network = nx.DiGraph(
        ((row["layer"] - 1, row["source"]), (row["layer"], row["target"])) for _, row in graph.synapses.iterrows()
    )
    assert nx.line_graph(network).number_of_edges() == graph.n_interactions


def test_too_large_a_matrix_is_refused_with_its_size():
    widths = [5, 6, 5, 4]
    unit, (x, y) = head(widths), probe(4, widths, "mse")
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss())
    with pytest.raises(InputError, match=r"270 interactions.*limit is 269"):
        graph.to_scipy(limit=269)
    with pytest.raises(InputError, match="networkx"):
        graph.to_networkx(limit=10)


def test_bad_positions_are_named():
    widths = [3, 4, 3, 2]
    unit, (x, y) = head(widths), probe(4, widths, "mse")
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss())
    for call in (
        lambda: graph.block(3),
        lambda: graph.synapse(4, 0, 0),
        lambda: graph.synapse(1, 3, 0),
        lambda: graph.neighbours(graph.n_synapses),
        lambda: graph.strongest(0),
    ):
        with pytest.raises(InputError, match=r"\d"):
            call()


def test_factors_that_do_not_fit_are_refused():
    def pair(a, b, c, samples=4):
        return LayerFactors(np.ones((samples, a)), np.ones((samples, b)), np.ones((samples, c)))

    with pytest.raises(InputError, match="no factors"):
        ncore.LineGraph.from_factors("signed", [])
    with pytest.raises(InputError, match="layers 1 and 2 do not fit"):
        ncore.LineGraph.from_factors("signed", [pair(2, 3, 4), pair(5, 4, 2)])
    with pytest.raises(InputError, match="samples"):
        ncore.LineGraph.from_factors("signed", [LayerFactors(np.ones((3, 2)), np.ones((4, 2)), np.ones((4, 2)))])
