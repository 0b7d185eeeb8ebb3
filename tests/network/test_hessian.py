"""The Hessian's row sums and beta_eff against the dense Hessian, entry by entry from autograd, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import ncore
from ncore.errors import InputError, UnsupportedError
from ncore.network.derivatives import twice_differentiable
from ncore.network.hessian import HESSIAN_STRENGTHS, HessianSums
from ncore.network.losses import Loss
from tests.network import cases


class Attention(nn.Module):
    """Embedding, self-attention, layer normalisation, a residual and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        return self.head(self.norm(h + self.attention(h, h, h)[0]).mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(3, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0][:, -1]


def trained_statistics(model: nn.Module, x: Tensor) -> nn.Module:
    """Batch statistics that differ from 0 and 1, as after training."""
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(x)
    return model


def conv() -> tuple[nn.Module, Tensor]:
    parts = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.MaxPool2d(2), nn.Dropout(0.5)]
    x = torch.randn(5, 1, 6, 6, dtype=torch.float64)
    return trained_statistics(nn.Sequential(*parts, nn.Flatten(), nn.Linear(8, 3)).double(), x), x


def residual() -> tuple[nn.Module, Tensor]:
    parts = [nn.Conv2d(2, 2, 3, padding=1, groups=2, bias=False), nn.GroupNorm(1, 2), nn.SiLU(inplace=True)]
    parts += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)]
    return nn.Sequential(*parts), torch.randn(5, 2, 4, 4)


MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "mlp": lambda: (cases.head([4, 5, 3, 3]), torch.randn(7, 4)),
    "relu": lambda: (cases.head([4, 5, 3, 3], "relu_inplace"), torch.randn(7, 4)),
    "linear": lambda: (nn.Linear(3, 3), torch.randn(4, 3)),
    "conv, batch norm": conv,
    "grouped conv, group norm": residual,
    "attention, layer norm": lambda: (Attention(), torch.randn(5, 4, 3)),
    "transformer": lambda: (
        nn.Sequential(nn.TransformerEncoderLayer(3, 1, 4, batch_first=True), nn.Flatten(), nn.Linear(6, 3)),
        torch.randn(5, 2, 3),
    ),
    "hard sigmoid": lambda: (
        nn.Sequential(nn.Linear(3, 4), nn.Hardsigmoid(), nn.Linear(4, 4), nn.Hardswish(inplace=True), nn.Linear(4, 3)),
        torch.randn(5, 3),
    ),
    "recurrent": lambda: (Recurrent(), torch.randn(5, 3, 3)),
    "embedding": lambda: (nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Linear(4, 3)), torch.randint(5, (6, 2))),
}


def made(name: str, loss: str = "cross_entropy") -> tuple[nn.Module, Tensor, Tensor, Loss]:
    torch.manual_seed(0)
    model, x = MODELS[name]()
    targets = torch.randint(3, (len(x),)) if loss in cases.TAKES_CLASSES else torch.rand(len(x), 3).double()
    return model.double(), x.double() if x.is_floating_point() else x, targets, cases.LOSSES[loss](3)


def dense(model: nn.Module, x: Tensor, y: Tensor, loss: Loss) -> tuple[np.ndarray, list[int]]:
    """H by the parameters with two or more dimensions, row by row, and the layer of each."""
    named = [(name, p) for name, p in model.named_parameters() if p.ndim >= 2]
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name, _ in named))
    layer = [modules.index(name.rpartition(".")[0]) for name, p in named for _ in range(p.numel())]
    weights = [p.requires_grad_() for _, p in named]
    with twice_differentiable(model):
        gradient = torch.autograd.grad(loss(model(x), y), weights, create_graph=True)
        rows = []
        for entry in torch.cat([g.reshape(-1) for g in gradient]):
            found = torch.autograd.grad(entry, weights, retain_graph=True, materialize_grads=True)
            rows.append(torch.cat([r.reshape(-1) for r in found]))
    return torch.stack(rows).detach().numpy(), layer


def check(model: nn.Module, x: Tensor, y: Tensor, loss: Loss, chunk: int | None = None) -> None:
    whole, layer = dense(model, x, y, loss)
    between = whole * (np.array(layer)[:, None] != np.array(layer)[None, :])
    for matrix, diagonal in ((whole, True), (between, False)):
        found = ncore.hessian_capacitance(model, x, y, loss=loss, diagonal=diagonal, chunk_size=chunk)
        ones = np.ones(len(matrix))
        numerator, denominator = ones @ matrix @ matrix @ ones, ones @ matrix @ ones
        scale = np.abs(whole).sum() + 1e-9
        assert found.denominator == pytest.approx(denominator, abs=1e-10 * scale)
        assert found.numerator == pytest.approx(numerator, rel=1e-8, abs=1e-10 * scale**2)
        rows = np.abs(matrix @ ones).sum()
        if rows < 1e-12 * scale:
            assert found.reason == "every row of the Hessian sums to zero"
        elif abs(denominator) > 1e-6 * scale:
            assert float(found) == pytest.approx(numerator / denominator, rel=1e-6)
            assert found.conditioning == pytest.approx(abs(denominator) / rows, rel=1e-6)
            # What a symmetric P gives: S = 1, so <s> + S H is <s> + H, and the layers add up.
            assert found.mean_degree + found.heterogeneity == pytest.approx(float(found), rel=1e-6)
            assert sum(part.value for part in found.layers) == pytest.approx(float(found), rel=1e-6)
            assert found.conditioning >= abs(denominator) / np.abs(matrix).sum() - 1e-12
        assert [part.synapses for part in found.layers] == np.bincount(layer).tolist()
        for number, part in enumerate(found.layers):
            mine = np.array(layer) == number
            assert part.denominator == pytest.approx((matrix @ ones)[mine].sum(), abs=1e-10 * scale)


@pytest.mark.parametrize("name", MODELS)
def test_any_architecture_is_as_its_dense_hessian(name: str) -> None:
    check(*made(name))


@pytest.mark.parametrize("loss", cases.LOSSES)
@pytest.mark.parametrize("name", ["mlp", "conv, batch norm"])
def test_any_loss_is_as_its_dense_hessian_also_in_chunks(name: str, loss: str) -> None:
    check(*made(name, loss), chunk=2)


@settings(max_examples=15, deadline=None)
@given(
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    samples=st.integers(1, 5),
    activation=st.sampled_from(["tanh", "softplus", "relu", "identity"]),
    loss=st.sampled_from(["cross_entropy", "mse", "weighted"]),
    chunk=st.none() | st.integers(1, 3),
)
def test_shapes(widths: list[int], samples: int, activation: str, loss: str, chunk: int | None) -> None:
    x, y = cases.probe(samples, widths, loss)
    check(cases.head(widths, activation), x, y, cases.LOSSES[loss](widths[-1]), chunk)


@pytest.mark.parametrize("name", ["mlp", "attention, layer norm", "grouped conv, group norm"])
def test_chunks_give_the_result_of_one_piece(name: str) -> None:
    model, x, y, loss = made(name, "weighted")
    for diagonal in (True, False):
        whole = ncore.hessian_capacitance(model, x, y, loss=loss, diagonal=diagonal)
        if name == "grouped conv, group norm" and not diagonal:
            assert whole.reason  # two layers below a softmax
            continue
        batches = [(x[:1], y[:1]), (x[1:4], y[1:4]), (x[4:], y[4:])]
        parts = ncore.hessian_capacitance(model, batches, loss=loss, diagonal=diagonal)
        assert float(parts) == pytest.approx(float(whole), rel=1e-9)
        assert parts.conditioning == pytest.approx(whole.conditioning, rel=1e-9)
        assert parts.samples == len(x)


def test_row_sums_are_those_of_a_quadratic() -> None:
    """Linear regression: H = 2 mean(x x^T) for each output, so every row sum is known."""
    x = torch.randn(6, 4, dtype=torch.float64)
    model = nn.Linear(4, 2, bias=False).double()
    sums = HessianSums(model, nn.MSELoss())
    sums.add(x, torch.zeros(6, 2).double())
    block = x.T @ x / 6  # a mean over samples and both outputs
    torch.testing.assert_close(sums.row_sums()["weight"], block.sum(1).expand(2, 4))
    found = sums.results()["hessian"]
    largest = float(torch.linalg.eigvalsh(block)[-1])
    assert 0 < found.mean_degree <= float(found) <= largest + 1e-12  # a weighted mean of eigenvalues


def test_a_last_layer_below_a_softmax_has_rows_that_cancel() -> None:
    model, x, y, loss = made("conv, batch norm")
    whole = ncore.hessian_capacitance(model, x, y, loss=loss)
    assert whole.layers[-1].denominator == pytest.approx(0, abs=1e-12)
    assert whole.layers[-1].numerator > 1e-3
    cross = ncore.hessian_capacitance(model, x, y, loss=loss, diagonal=False)
    assert math.isnan(cross.value)
    assert cross.reason == "the row sums of the Hessian cancel to a denominator of zero"
    assert all(math.isnan(part.value) for part in cross.layers)
    single = ncore.hessian_capacitance(model[-1], model.eval()[:-1](x), y, loss=loss, diagonal=False)
    assert single.reason == "every row of the Hessian sums to zero"


def test_which_parameters_are_synapses() -> None:
    model, x, y, loss = made("conv, batch norm")
    assert ncore.hessian_capacitance(model, x, y, loss=loss).names == ("0", "6")
    for parameter in model.parameters():
        parameter.requires_grad_(False)  # a frozen network has the same line graph
    every = ncore.hessian_capacitance(model, x, y, loss=loss, parameters=lambda name, tensor: True)
    assert every.names == ("0", "1", "6")
    assert sum(part.synapses for part in every.layers) == sum(p.numel() for p in model.parameters())
    loss, y = nn.MSELoss(), torch.rand(len(x), 3).double()
    head = ncore.hessian_capacitance(model, x, y, loss=loss, parameters=["6.weight"])
    features = model.eval()[:-1](x)
    assert float(head) == pytest.approx(float(ncore.hessian_capacitance(model[-1], features, y, loss=loss)), rel=1e-9)
    with pytest.raises(InputError, match=r"no parameter '7.weight'.*6.weight"):
        ncore.hessian_capacitance(model, x, y, loss=loss, parameters=["7.weight"])
    with pytest.raises(UnsupportedError, match="No synapse"):
        ncore.hessian_capacitance(nn.Flatten(), x, y, loss=loss)


def test_a_weight_used_twice_is_one_synapse() -> None:
    shared = nn.Linear(3, 3, bias=False)
    model = nn.Sequential(shared, nn.Tanh(), shared).double()
    x, y = cases.probe(5, [3, 3], "mse")
    check(model, x, y, nn.MSELoss())


def test_the_model_is_left_as_it_was() -> None:
    model, x, y, loss = made("conv, batch norm")
    model.train()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fast = torch.backends.mha.get_fastpath_enabled()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        inside = float(ncore.hessian_capacitance(model, x, y, loss=loss))
    assert inside == pytest.approx(float(ncore.hessian_capacitance(model, x, y, loss=loss)), rel=1e-12)
    assert model.training
    assert not model[1].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_half_precision_weights_are_taken_in_float32() -> None:
    model, x, y, loss = made("mlp")
    half = model.bfloat16()
    found = ncore.hessian_capacitance(half, x.bfloat16(), y, loss=loss)
    exact = ncore.hessian_capacitance(half.double(), x.bfloat16().double(), y, loss=loss)
    assert float(found) == pytest.approx(float(exact), rel=1e-4)


def test_undefined_values_have_a_reason() -> None:
    x, y = cases.probe(4, [3, 2], "mse")
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight.zero_()
            layer.bias.fill_(-1.0)
    dead = ncore.hessian_capacitance(model, x, y, loss=nn.MSELoss())
    assert math.isnan(dead.value)
    assert dead.reason == "every row of the Hessian sums to zero"
    assert dead.ill_conditioned
    broken = ncore.hessian_capacitance(model, x * math.inf, y, loss=nn.MSELoss())
    assert broken.reason == "the second derivatives of the loss are not finite"


def test_what_cannot_be_derived_twice_is_named() -> None:
    class Model(nn.Module):
        def __init__(self, function: Callable[[Tensor], object]) -> None:
            super().__init__()
            self.layer, self.function = nn.Linear(2, 2), function

        def forward(self, x: Tensor) -> object:
            return self.function(self.layer(x))

    x, y = torch.randn(3, 2), torch.randint(2, (3,))
    with pytest.raises(UnsupportedError, match=r"Model needs an operation that torch cannot derive twice"):
        ncore.hessian_capacitance(Model(torch.ops.aten.hardsigmoid), x, y, loss=nn.CrossEntropyLoss())
    with pytest.raises(UnsupportedError, match=r"Model gives a dict"):
        ncore.hessian_capacitance(Model(lambda h: {"logits": h}), x, y, loss=nn.CrossEntropyLoss())
    with pytest.raises(InputError, match="2 targets for 3 inputs"):
        HessianSums(nn.Linear(2, 2), nn.CrossEntropyLoss()).add(x, y[:2])
    with pytest.raises(InputError, match="no batch"):
        HessianSums(nn.Linear(2, 2), nn.CrossEntropyLoss()).results()
    with pytest.raises(InputError, match="'signed'"):
        HessianSums(nn.Linear(2, 2), nn.CrossEntropyLoss(), strengths=("signed",))


def convolutions(depth: int = 6) -> tuple[nn.Module, Tensor]:
    parts = [m for _ in range(depth) for m in (nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(4 * 64, 3)), torch.randn(8, 4, 8, 8)


COSTS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "mlp": lambda: (cases.head([16, 16, 16, 16, 3]), torch.randn(8, 16)),
    "conv": convolutions,
    "attention": lambda: (Attention(), torch.randn(8, 4, 3)),
}


@pytest.mark.parametrize("name", COSTS)
def test_cost_in_gradient_evaluations(name: str) -> None:
    """At most four for H 1, plus one a layer without the diagonal blocks, counted in floating-point operations."""
    model, x = COSTS[name]()
    model, x = model.float().eval(), x.float()
    y, loss = torch.randint(3, (len(x),)), nn.CrossEntropyLoss()
    weights = [p for p in model.parameters() if p.ndim >= 2]
    with FlopCounterMode(display=False) as one, sdpa_kernel(SDPBackend.MATH):
        torch.autograd.grad(loss(model(x), y), weights)
    flops = {}
    for strength in HESSIAN_STRENGTHS:
        sums = HessianSums(model, loss, strengths=(strength,))
        with FlopCounterMode(display=False) as counter:
            sums.add(x, y)
        flops[strength] = counter.get_total_flops() / one.get_total_flops()
    assert 2 < flops["hessian"] <= 4
    assert flops["hessian"] < flops["hessian-cross"] <= 4 + len(sums.names)


@pytest.mark.parametrize(("strengths", "passes"), [(("hessian",), 1), (HESSIAN_STRENGTHS, 2)])
def test_a_chunk_goes_through_the_model_once_and_once_more_for_all_diagonal_blocks(
    strengths: tuple[str, ...], passes: int
) -> None:
    model, x, y, loss = made("mlp")
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    sums = HessianSums(model, loss, strengths=strengths)
    sums.add(x, y)
    assert len(calls) == passes
    sums.add(x, y)
    assert len(calls) == 2 * passes
