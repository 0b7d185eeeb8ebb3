"""beta_eff: chunks, number types, decomposition, degenerate cases, and what it refuses."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import ncore
from ncore.errors import InputError, UnsupportedError
from ncore.network import capacitances
from tests.network.cases import LOSSES, head, probe

WIDTHS = [5, 6, 4, 5, 3]


@settings(max_examples=40, deadline=None)
@given(
    loss=st.sampled_from(sorted(LOSSES)),
    strength=st.sampled_from(["signed", "absolute", "relative"]),
    samples=st.integers(2, 30),
    chunk=st.integers(1, 30),
    seed=st.integers(0, 1000),
)
def test_chunks_give_the_result_of_one_piece(loss, strength, samples, chunk, seed):
    unit, (x, y) = head(WIDTHS, seed=seed), probe(samples, WIDTHS, loss, seed)
    cost = LOSSES[loss](WIDTHS[-1])
    if strength == "relative" and loss in ("bce", "own_mean"):
        with pytest.raises(UnsupportedError, match="cross-entropy and squared"):
            ncore.beta_eff(unit, x, y, loss=cost, strength=strength)
        return
    whole = ncore.beta_eff(unit, x, y, loss=cost, strength=strength, spread=True)
    parts = ncore.beta_eff(unit, x, y, loss=cost, strength=strength, chunk_size=chunk, spread=True)
    batches = [(x[i : i + chunk], y[i : i + chunk]) for i in range(0, samples, chunk)]
    streamed = ncore.beta_eff(unit, batches, loss=cost, strength=strength, spread=True)
    for other in (parts, streamed):
        np.testing.assert_allclose(
            other.to_frame().drop(columns=["strength", "reason"]).to_numpy(float),
            whole.to_frame().drop(columns=["strength", "reason"]).to_numpy(float),
            rtol=1e-8 / max(whole.conditioning, 1e-9),
            atol=1e-12,
        )
    assert other.samples == samples


def test_a_sum_over_samples_is_read_as_n_times_the_mean():
    unit, (x, y) = head(WIDTHS), probe(12, WIDTHS, "cross_entropy")
    mean = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss())
    total = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss(reduction="sum"))
    own = ncore.beta_eff(unit, x, y, loss=lambda o, t: nn.functional.cross_entropy(o, t, reduction="sum"))
    assert float(mean) == pytest.approx(float(total), rel=1e-12)
    assert float(mean) == pytest.approx(float(own), rel=1e-12)


def test_ignored_targets_leave_the_probe_as_in_torch():
    unit, (x, y) = head(WIDTHS), probe(12, WIDTHS, "cross_entropy")
    hidden = torch.where(torch.arange(12) % 3 == 0, -100, y)
    kept = hidden != -100
    with_ignored = ncore.LineGraph.from_batch(unit, x, hidden, loss=nn.CrossEntropyLoss())
    without = ncore.LineGraph.from_batch(unit, x[kept], y[kept], loss=nn.CrossEntropyLoss())
    np.testing.assert_allclose(with_ignored.in_degree, without.in_degree, rtol=1e-12)


def test_a_partial_of_a_torch_function_is_its_module():
    unit, (x, y) = head(WIDTHS), probe(12, WIDTHS, "cross_entropy")
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    partial = functools.partial(nn.functional.cross_entropy, weight=weight, label_smoothing=0.1)
    module = nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1)
    for strength in ("absolute", "relative"):
        a, b = (float(ncore.beta_eff(unit, x, y, loss=cost, strength=strength)) for cost in (partial, module))
        assert a == pytest.approx(b, rel=1e-12)


@pytest.mark.parametrize("strength", ["signed", "absolute", "relative"])
def test_mean_degree_and_symmetry_times_heterogeneity_give_beta_eff(strength):
    unit, (x, y) = head(WIDTHS), probe(40, WIDTHS, "mse")
    c = ncore.beta_eff(unit, x, y, loss=nn.MSELoss(), strength=strength, spread=True)
    assert c.mean_degree + c.symmetry * c.heterogeneity == pytest.approx(c.value, rel=1e-9)
    assert c.mean_degree + c.coupling == pytest.approx(c.value, rel=1e-12)
    assert -1 <= c.symmetry <= 1
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.MSELoss(), strength=strength)
    assert np.corrcoef(graph.in_degree, graph.out_degree)[0, 1] == pytest.approx(c.symmetry, rel=1e-9)
    lean = ncore.beta_eff(unit, x, y, loss=nn.MSELoss(), strength=strength)
    assert lean.value == pytest.approx(c.value, rel=1e-12)
    assert math.isnan(lean.symmetry)


def test_conditioning_is_one_for_absolute_strengths_and_less_for_signed():
    unit, (x, y) = head(WIDTHS), probe(64, WIDTHS, "cross_entropy")
    both = capacitances(unit, [(x, y)], loss=nn.CrossEntropyLoss(), strengths=("signed", "absolute"))
    assert both["absolute"].conditioning == 1.0
    assert both["signed"].conditioning == pytest.approx(
        abs(both["signed"].denominator) / both["absolute"].denominator, rel=1e-12
    )
    assert both["signed"].conditioning < 1
    assert both["signed"].ill_conditioned == (both["signed"].conditioning < 0.05)


class TestNumberTypes:
    def test_float32_agrees_with_float64(self):
        unit, (x, y) = head(WIDTHS), probe(64, WIDTHS, "cross_entropy")
        exact = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss())
        single = ncore.beta_eff(unit.float(), x.float(), y, loss=nn.CrossEntropyLoss())
        assert float(single) == pytest.approx(float(exact), rel=1e-5)

    @pytest.mark.parametrize("strength", ["signed", "absolute", "relative"])
    def test_autocast_around_it_changes_nothing(self, strength):
        unit, (x, y) = head(WIDTHS).float(), probe(64, WIDTHS, "cross_entropy")
        x = x.float()
        outside = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss(), strength=strength)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert unit(x).dtype == torch.bfloat16
            inside = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss(), strength=strength)
        assert float(inside) == float(outside)

    def test_bfloat16_weights_are_computed_in_float32(self):
        unit, (x, y) = head(WIDTHS).bfloat16(), probe(64, WIDTHS, "cross_entropy")
        low = ncore.beta_eff(unit, x.bfloat16(), y, loss=nn.CrossEntropyLoss())
        same = ncore.beta_eff(unit.float(), x.bfloat16().float(), y, loss=nn.CrossEntropyLoss())
        assert float(low) == float(same)

    def test_inference_mode_and_no_grad_are_no_obstacle(self):
        unit, (x, y) = head(WIDTHS), probe(16, WIDTHS, "cross_entropy")
        plain = float(ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss()))
        with torch.no_grad():
            assert float(ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss())) == plain
        with torch.inference_mode():
            assert float(ncore.beta_eff(unit, x * 1, y, loss=nn.CrossEntropyLoss())) == plain

    def test_nothing_of_the_callers_is_changed(self):
        unit, (x, y) = head(WIDTHS, "relu_inplace"), probe(16, WIDTHS, "cross_entropy")
        cost = nn.CrossEntropyLoss(weight=torch.ones(3, dtype=torch.float64))
        before, state = x.clone(), torch.random.get_rng_state()
        ncore.beta_eff(unit, x, y, loss=cost)
        assert cost.reduction == "mean"
        assert torch.equal(x, before)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert all(p.grad is None for p in unit.parameters())
        assert unit.training

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
    def test_gpu_agrees_with_cpu(self):
        unit, (x, y) = head(WIDTHS), probe(64, WIDTHS, "cross_entropy")
        cpu = float(ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss()))
        gpu = float(ncore.beta_eff(unit.cuda(), x.cuda(), y.cuda(), loss=nn.CrossEntropyLoss()))
        assert gpu == pytest.approx(cpu, rel=1e-9)


def test_one_activation_module_may_be_used_many_times():
    unit, (x, y) = head(WIDTHS), probe(16, WIDTHS, "cross_entropy")
    tanh = nn.Tanh()
    shared = nn.Sequential(*[tanh if isinstance(m, nn.Tanh) else m for m in unit])
    a, b = (float(ncore.beta_eff(u, x, y, loss=nn.CrossEntropyLoss())) for u in (unit, shared))
    assert a == b


class TestDropout:
    def test_is_inactive_on_the_probe(self):
        unit, (x, y) = head(WIDTHS), probe(16, WIDTHS, "cross_entropy")
        with_dropout = nn.Sequential(*[m for layer in unit for m in (layer, nn.Dropout(0.9))][:-1]).double()
        a, b = (float(ncore.beta_eff(u, x, y, loss=nn.CrossEntropyLoss())) for u in (unit, with_dropout))
        assert a == b


class TestUndefined:
    def test_dead_units_give_nan_with_a_reason(self):
        unit, (x, y) = head(WIDTHS, "relu"), probe(16, WIDTHS, "cross_entropy")
        unit[2].bias.data.fill_(-1e3)
        unit[0].bias.data.fill_(-1e3)
        for strength in ("absolute", "relative"):
            c = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss(), strength=strength)
            assert math.isnan(float(c))
            assert "zero" in c.reason
            assert c.ill_conditioned

    def test_a_perfect_fit_gives_nan_with_a_reason(self):
        unit, (x, _) = head(WIDTHS), probe(16, WIDTHS, "mse")
        c = ncore.beta_eff(unit, x, unit(x).detach(), loss=nn.MSELoss())
        assert math.isnan(c.value)
        assert "errors that are exactly zero" in c.reason

    def test_infinite_activations_give_nan_with_a_reason(self):
        unit, (x, y) = head(WIDTHS, "identity"), probe(16, WIDTHS, "cross_entropy")
        x[3, 0] = math.inf
        c = ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss())
        assert math.isnan(c.value)
        assert "not finite" in c.reason

    def test_a_signed_last_block_has_no_row_sums_under_softmax(self):
        unit, (x, y) = head(WIDTHS), probe(16, WIDTHS, "cross_entropy")
        graph = ncore.LineGraph.from_batch(unit, x, y, loss=nn.CrossEntropyLoss(), strength="signed")
        row_sums = graph.block(3).toarray().sum(1)
        assert np.abs(row_sums).max() < 1e-15 < np.abs(graph.block(3).toarray()).max()


class TestRefused:
    @pytest.mark.parametrize(
        ("module", "name"),
        [
            (nn.BatchNorm1d(6), "BatchNorm1d"),
            (nn.Softmax(dim=1), "Softmax"),
            (nn.LayerNorm(6), "LayerNorm"),
            (nn.PReLU(), "PReLU"),
            (nn.Conv1d(1, 1, 1), "Conv1d"),
            (nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)), "ParametrizedLinear"),
        ],
    )
    def test_modules_are_named(self, module, name):
        unit = nn.Sequential(nn.Linear(5, 6), module, nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
        x, y = torch.randn(4, 5), torch.zeros(4, dtype=torch.long)
        with pytest.raises(UnsupportedError, match=f"'1'.*{name}"):
            ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss())

    def test_anything_but_a_sequence(self):
        x, y = torch.randn(4, 5), torch.zeros(4, dtype=torch.long)
        with pytest.raises(UnsupportedError, match="Linear, but the line graph needs"):
            ncore.beta_eff(nn.Linear(5, 3), x, y, loss=nn.CrossEntropyLoss())
        with pytest.raises(UnsupportedError, match="no Linear"):
            ncore.beta_eff(nn.Sequential(nn.ReLU()), x, y, loss=nn.CrossEntropyLoss())

    def test_shared_weights_and_widths_that_do_not_meet(self):
        x, y = torch.randn(4, 5), torch.zeros(4, dtype=torch.long)
        layer = nn.Linear(5, 5)
        with pytest.raises(UnsupportedError, match="shares its weights"):
            ncore.beta_eff(nn.Sequential(layer, nn.ReLU(), layer), x, y, loss=nn.CrossEntropyLoss())
        with pytest.raises(UnsupportedError, match=r"takes 6 inputs.*gives 5"):
            ncore.beta_eff(nn.Sequential(nn.Linear(5, 5), nn.Linear(6, 3)), x, y, loss=nn.CrossEntropyLoss())

    @pytest.mark.parametrize(
        ("strength", "loss", "layers", "needed"),
        [
            ("signed", "cross_entropy", 3, 4),
            ("signed", "weighted_smoothed", 3, 4),
            ("signed", "mse", 2, 3),
            ("absolute", "cross_entropy", 2, 3),
            ("relative", "cross_entropy", 2, 3),
        ],
    )
    def test_too_few_layers(self, strength, loss, layers, needed):
        widths = [4, *[3] * layers]
        x, y = probe(6, widths, loss)
        cost = LOSSES[loss](3)
        with pytest.raises(UnsupportedError, match=f"has {layers} dense layers.*at least {needed}"):
            ncore.beta_eff(head(widths), x, y, loss=cost, strength=strength)
        widths = [4, *[3] * needed]
        assert math.isfinite(float(ncore.beta_eff(head(widths), x, y, loss=cost, strength=strength)))

    def test_losses_that_are_no_mean_or_sum(self):
        unit, (x, y) = head(WIDTHS), probe(8, WIDTHS, "mse")
        with pytest.raises(UnsupportedError, match="neither a mean nor a sum"):
            ncore.beta_eff(unit, x, y, loss=lambda o, t: ((o - t) ** 2).sum().sqrt())
        with pytest.raises(UnsupportedError, match="reduction='none'"):
            ncore.beta_eff(unit, x, y, loss=nn.MSELoss(reduction="none"))
        with pytest.raises(UnsupportedError, match="one number a batch"):
            ncore.beta_eff(unit, x, y, loss=lambda o, t: (o - t) ** 2)
        with pytest.raises(InputError, match="callable"):
            ncore.beta_eff(unit, x, y, loss="cross_entropy")
        with pytest.raises(UnsupportedError, match="differentiably"):
            ncore.beta_eff(unit, x, y, loss=lambda o, t: t.mean() + 1)

    def test_relative_needs_a_linear_output(self):
        unit, (x, y) = head(WIDTHS).append(nn.Sigmoid()), probe(8, WIDTHS, "mse")
        with pytest.raises(UnsupportedError, match="followed by Sigmoid"):
            ncore.beta_eff(unit, x, y, loss=nn.MSELoss(), strength="relative")
        assert math.isfinite(float(ncore.beta_eff(unit, x, y, loss=nn.MSELoss())))

    def test_shapes_and_names(self):
        unit, (x, y) = head(WIDTHS), probe(8, WIDTHS, "cross_entropy")
        cost = nn.CrossEntropyLoss()
        for inputs, targets, match in (
            (x[:, :4], y, r"shape \(8, 4\).*\(N, 5\)"),
            (x[:0], y[:0], "at least 1"),
            (x.long(), y, "floating-point"),
            (x, y[:7], "7 targets for 8 inputs"),
            (x, None, "targets are missing"),
            (x, y + 50, "cannot be computed"),
            ([], None, "no batch"),
        ):
            with pytest.raises(InputError, match=match):
                ncore.beta_eff(unit, inputs, targets, loss=cost)
        with pytest.raises(InputError, match=r"'total'.*signed, absolute, relative"):
            ncore.beta_eff(unit, x, y, loss=cost, strength="total")
        with pytest.raises(InputError, match="chunk size is 0"):
            ncore.beta_eff(unit, x, y, loss=cost, chunk_size=0)
        with pytest.raises(InputError, match="make the shapes equal"):
            ncore.beta_eff(unit, x, torch.zeros(8), loss=nn.MSELoss())
        with pytest.raises(InputError, match="one-shot"):
            ncore.beta_eff(unit, iter([(x, torch.zeros(8, 3))]), loss=nn.MSELoss(), strength="relative")


class Adapted(nn.Module):
    """A Linear with a low-rank adapter beside it, as peft and loralib make them."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(5, 4)
        self.lora_A, self.lora_B = nn.Linear(5, 2, bias=False), nn.Linear(2, 4, bias=False)

    def forward(self, x):
        return self.base_layer(x) + self.lora_B(self.lora_A(x))


def test_adapters_in_the_unit_are_named_with_what_to_do():
    x, y = torch.randn(8, 5), torch.arange(8) % 3
    with pytest.raises(UnsupportedError, match=r"Module '0' .* Adapted with a low-rank adapter.*merge the adapter"):
        ncore.beta_eff(nn.Sequential(Adapted(), nn.ReLU(), nn.Linear(4, 3)), x, y, loss=nn.CrossEntropyLoss())
