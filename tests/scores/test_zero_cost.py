"""Zero-cost scores against closed forms, finite differences and loops; and that they leave no trace."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ncore.errors import InputError, UnsupportedError
from ncore.scores.zero_cost import ZERO_COST_SCORES, grad_norm, jacob_cov, naswot, parameter_count, snip, synflow

loss = nn.CrossEntropyLoss()


def convolutional(seed=0, batch_norm=True, dropout=0.0):
    """Convolutions, batch normalisation, dropout, a frozen layer, and modes that differ between modules."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d if batch_norm else (lambda width: nn.Identity())
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        norm(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 5, 3, stride=2),
        norm(5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(20, 6),
    )
    model[3].requires_grad_(False)
    model[5].eval()
    return model


def dense(seed=0, widths=(6, 8, 5, 3), dtype=torch.float64):
    torch.manual_seed(seed)
    layers = [layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).to(dtype)


def batch(shape=(7, 3, 8, 8), classes=6, seed=1, dtype=torch.float32):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random, dtype=dtype), torch.randint(classes, shape[:1], generator=random)


def weights(model):
    return [module.weight for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), widths=st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_synflow_is_conserved_from_layer_to_layer(seed, widths):
    torch.manual_seed(seed)
    model = nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths)))
    inputs, targets = batch((3, widths[0]), widths[-1])
    flow = torch.ones(widths[0], dtype=torch.float64)
    for layer in model:
        flow = layer.weight.detach().double().abs() @ flow
    assert synflow(model, inputs, targets, loss) == pytest.approx(float(flow.sum()) * len(model))


def test_synflow_of_convolutions_skips_batch_normalisation_and_sees_no_data():
    model, plain = convolutional(), convolutional(batch_norm=False)
    inputs, targets = batch()
    expected = synflow(plain, inputs, targets, loss)
    model(inputs)  # its running statistics are no longer those of a new network
    nn.init.constant_(model[1].weight, 3.0)
    assert synflow(model, inputs, targets, loss) == pytest.approx(expected, rel=1e-12)
    assert synflow(model, 9 * inputs[:1], None, None) == synflow(model, inputs, targets, loss)
    # By hand: the derivative of the summed output with every weight of a layer scaled at once, layer by layer.
    absolute = copy.deepcopy(plain).double().eval()
    with torch.no_grad():
        for parameter in absolute.parameters():
            parameter.abs_()
        ones, total = torch.ones(1, 3, 8, 8, dtype=torch.float64), 0.0
        for weight in weights(absolute):
            outputs = []
            for factor in (1.5, 0.5):  # all is positive, so the output is linear in the factor
                weight.mul_(factor)
                outputs.append(float(absolute(ones).sum()))
                weight.div_(factor)
            total += outputs[0] - outputs[1]
    assert expected == pytest.approx(total)


def test_synflow_keeps_the_activation_inside_a_batch_normalisation():
    class Fused(nn.BatchNorm1d):
        def forward(self, x):
            return torch.nn.functional.silu(super().forward(x))

    torch.manual_seed(0)
    first, second = nn.Linear(4, 4), nn.Linear(4, 2)
    inputs, _ = batch((3, 4))
    fused = synflow(nn.Sequential(first, Fused(4), second), inputs, None, None)
    assert fused == pytest.approx(synflow(nn.Sequential(first, nn.SiLU(), second), inputs, None, None), rel=1e-12)
    with pytest.raises(UnsupportedError, match="'1' has no running statistics"):
        synflow(nn.Sequential(first, nn.BatchNorm1d(4, track_running_stats=False)), inputs, None, None)


def test_synflow_of_a_deep_network_does_not_overflow():
    model = nn.Sequential(*(nn.Linear(300, 300, bias=False) for _ in range(60)))
    for layer in model:
        nn.init.constant_(layer.weight, 1.0)
    value = synflow(model, torch.ones(1, 300), None, None)
    assert math.log10(value) == pytest.approx(61 * math.log10(300) + math.log10(60))


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_snip_is_the_effect_of_masks(seed):
    model = dense(seed)
    inputs, targets = batch((9, 6), 3, seed, torch.float64)
    expected, step = 0.0, 1e-6
    with torch.no_grad():
        for weight in weights(model):
            for index in np.ndindex(*weight.shape):
                value = float(weight[index])
                ends = []
                for mask in (1 + step, 1 - step):
                    weight[index] = mask * value
                    ends.append(float(loss(model(inputs), targets)))
                weight[index] = value
                expected += abs(ends[0] - ends[1]) / (2 * step)
    assert snip(model, inputs, targets, loss) == pytest.approx(expected, rel=1e-5)


def test_snip_and_grad_norm_of_one_linear_layer_in_closed_form():
    model = nn.Linear(2, 1, bias=False).double()
    inputs, targets = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[3.0]]).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.5, -1.0]]))
    error = 2 * (0.5 - 2 - 3)
    assert snip(model, inputs, targets, nn.MSELoss()) == pytest.approx(abs(error) * (0.5 + 2))
    assert grad_norm(model, inputs, targets, nn.MSELoss()) == pytest.approx(abs(error) * math.sqrt(5))


def test_snip_and_grad_norm_by_a_plain_backward_pass():
    model = convolutional()
    inputs, targets = batch()
    twin = copy.deepcopy(model).train().requires_grad_()
    loss(twin(inputs), targets).backward()
    expected = sum(float(weight.grad.norm()) for weight in weights(twin))
    assert grad_norm(model, inputs, targets, loss) == pytest.approx(expected, rel=1e-5)
    expected = sum(float((weight.detach() * weight.grad).abs().sum()) for weight in weights(twin))
    assert snip(model, inputs, targets, loss) == pytest.approx(expected, rel=1e-5)


def test_jacob_cov_sample_by_sample():
    model = dense(2, (6, 40, 20, 3))  # wide enough that no sample switches every unit off
    inputs, targets = batch((6, 6), 3, dtype=torch.float64)
    rows = []
    for sample in inputs:
        image = sample.clone().requires_grad_()
        model(image[None]).sum().backward()
        rows.append(image.grad.numpy())
    eigenvalues = np.linalg.eigvals(np.corrcoef(rows)).real + 1e-5
    expected = -np.sum(np.log(eigenvalues) + 1 / eigenvalues)
    assert jacob_cov(model, inputs, targets, loss) == pytest.approx(expected, rel=1e-6)


def test_jacob_cov_of_a_linear_network_is_the_worst():
    model = nn.Linear(5, 3)  # every sample has the same gradient
    inputs, targets = batch((4, 5), 3)
    k = 1e-5
    worst = -(math.log(4 + k) + 1 / (4 + k) + 3 * (math.log(k) + 1 / k))
    assert jacob_cov(model, inputs, targets, loss) == pytest.approx(worst, rel=1e-6)


def test_jacob_cov_of_uncorrelated_gradients_is_the_best():
    class Square(nn.Module):
        def forward(self, images):
            return (images**2).sum(dim=1, keepdim=True)

    inputs = torch.tensor([[1.0, -1, 0, 0], [0, 0, 1, -1], [1, 1, -1, -1]])
    value = jacob_cov(Square(), inputs, None, None)
    assert value == pytest.approx(-3 * (math.log(1 + 1e-5) + 1 / (1 + 1e-5)))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), samples=st.integers(2, 6))
def test_naswot_by_loops(seed, samples):
    model = dense(seed, (6, 9, 7, 3))
    inputs, targets = batch((samples, 6), 3, seed, torch.float64)
    with torch.no_grad():
        first = model[0](inputs) > 0
        second = model[2](model[1](model[0](inputs))) > 0
    codes = torch.cat([first, second], dim=1)
    kernel = [[16 - int((a != b).sum()) for b in codes] for a in codes]  # units less Hamming distance
    sign, expected = np.linalg.slogdet(kernel)
    value = naswot(model, inputs, targets, loss)
    assert (value < -20) if sign == 0 or expected < -20 else value == pytest.approx(expected)


def test_naswot_sees_inplace_relus_and_each_call_of_a_shared_one():
    class Shared(nn.Module):
        def __init__(self, inplace):
            super().__init__()
            self.linear, self.relu = nn.Linear(6, 6), nn.ReLU(inplace)

        def forward(self, x):
            return self.relu(self.linear(self.relu(self.linear(x))))

    torch.manual_seed(0)
    model, twin = Shared(False), Shared(True)
    twin.load_state_dict(model.state_dict())
    inputs, _ = batch((4, 6))
    once = nn.Sequential(model.linear, nn.ReLU())
    assert naswot(model, inputs, None, None) == naswot(twin, inputs, None, None) != naswot(once, inputs, None, None)


def test_naswot_of_two_equal_samples():
    inputs, _ = batch((4, 6))
    inputs[1] = inputs[0]
    assert naswot(dense(dtype=torch.float32), inputs, None, None) < -20


def test_parameter_count_with_shared_and_frozen_parameters():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    model[0].bias.requires_grad_(False)
    assert parameter_count(model, None, None, None) == 16 + 4 + 4


def test_a_shared_weight_is_scored_once():
    torch.manual_seed(0)
    layer = nn.Linear(4, 4, bias=False)
    twin = nn.Linear(4, 4, bias=False)
    twin.weight = layer.weight
    inputs, targets = batch((3, 4), 4)
    assert snip(nn.Sequential(layer, twin), inputs, targets, loss) == pytest.approx(
        snip(nn.Sequential(layer, layer), inputs, targets, loss)
    )


def picture(model):
    """All of a model that a score could leave changed."""
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "identity": [id(parameter) for parameter in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "flags": [(p.requires_grad, p.dtype) for p in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "hooks": [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()],
        "random": torch.get_rng_state(),
    }


@pytest.mark.parametrize("name", ZERO_COST_SCORES)
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_the_random_state_stay_as_they_were(name, fails):
    model = convolutional(dropout=0.5)
    inputs, targets = batch()
    loss(model(inputs), targets).backward()
    before, images = picture(model), inputs.clone()
    if fails:  # of the wrong width: the last layer, or the first, raises
        images = images[:, :2] if name != "parameter_count" else images
    try:
        ZERO_COST_SCORES[name].function(model, images, targets, loss)
    except RuntimeError:
        assert fails
    else:
        assert torch.equal(images, inputs)
        assert not images.requires_grad
    after = picture(model)
    assert all(torch.equal(after["state"][key], value) for key, value in before["state"].items())
    for old, new in zip(before["gradients"], after["gradients"], strict=True):
        assert (old is None and new is None) or torch.equal(old, new)
    for key in ("identity", "flags", "modes", "hooks"):
        assert after[key] == before[key]
    assert torch.equal(after["random"], before["random"])


@pytest.mark.parametrize("name", ZERO_COST_SCORES)
def test_modes_autograd_autocast_and_dropout_do_not_matter(name):
    function = ZERO_COST_SCORES[name].function
    inputs, targets = batch()
    expected = function(convolutional(), inputs, targets, loss)
    model = convolutional(dropout=0.9).eval().requires_grad_(False)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert function(model, inputs, targets, loss) == expected
    assert type(expected) is float
    score = ZERO_COST_SCORES[name]
    assert score.name == name
    assert score.higher_is_better
    assert score.lower_bound <= expected <= score.upper_bound


def test_a_cell_that_lets_nothing_through():
    class Nothing(nn.Module):
        def forward(self, x):
            return 0 * x

    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Nothing(), nn.Linear(4, 3))
    inputs, targets = batch((5, 4), 3)
    for function in (snip, grad_norm):
        assert function(model, inputs, targets, loss) == 0
    nn.init.zeros_(model[3].bias)
    nn.init.zeros_(model[0].bias)
    assert synflow(model, inputs, targets, loss) == 0
    assert math.isnan(jacob_cov(model, inputs, targets, loss))

    class Detached(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), 3)

    cut = nn.Sequential(nn.Linear(4, 4), Detached())
    assert snip(cut, inputs, targets, loss) == grad_norm(cut, inputs, targets, loss) == 0
    assert math.isnan(jacob_cov(cut, inputs, targets, loss))


def test_a_loss_that_is_not_finite_gives_nan():
    inputs, targets = batch((5, 6), 3, dtype=torch.float64)
    model = dense()
    with torch.no_grad():
        model[0].weight.fill_(math.nan)
    for function in (snip, grad_norm, jacob_cov):
        assert math.isnan(function(model, inputs, targets, loss))


def test_models_and_batches_that_cannot_be_scored():
    inputs, targets = batch((5, 6), 3)

    class Named(nn.Linear):
        def forward(self, x):
            return {"logits": super().forward(x)}

    for function in (synflow, snip, grad_norm):
        with pytest.raises(UnsupportedError, match="Sequential has no linear or convolution layer"):
            function(nn.Sequential(nn.ReLU()), inputs, targets, loss)
        with pytest.raises(UnsupportedError, match="'0' is computed from other parameters"):
            function(nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 3))), inputs, targets, loss)
    for function in (synflow, snip, grad_norm, jacob_cov, naswot):
        with pytest.raises(UnsupportedError, match="Named returns dict"):
            function(Named(6, 3), inputs, targets, loss)
    with pytest.raises(UnsupportedError, match="Linear ran no ReLU module"):
        naswot(nn.Linear(6, 3), inputs, targets, loss)
    with pytest.raises(InputError, match="holds 1 sample"):
        jacob_cov(nn.Linear(6, 3), inputs[:1], targets, loss)
