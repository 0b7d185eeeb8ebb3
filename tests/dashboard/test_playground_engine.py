"""The engine of the playground against autograd and against ncore itself."""

from __future__ import annotations

import doctest
from types import ModuleType

import numpy as np
import pytest
import torch
from ncore_dashboard.learn import glossary
from ncore_dashboard.learn.figures import playground as plane
from ncore_dashboard.learn.playground import controls
from ncore_dashboard.learn.playground import points as points_module
from ncore_dashboard.learn.playground.engine import MOST_STEPS, Data, Setup, Training, together
from ncore_dashboard.learn.playground.points import DATA_SETS, REACH, points
from ncore_dashboard.learn.playground.tiny import ACTIVATIONS, FEATURES, Network, features
from torch import nn

import ncore
from ncore.errors import InputError

MODULES = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "linear": nn.Identity}
SMALL = Data(count=60)


def as_torch(network: Network) -> tuple[nn.Sequential, nn.Module]:
    """The same network and loss in torch, float64."""
    kind = next(name for name, found in ACTIVATIONS.items() if found is network.activation)
    modules: list[nn.Module] = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0]).double()
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, MODULES[kind]()]
    return nn.Sequential(*modules[:-1]), nn.BCEWithLogitsLoss() if network.classes else nn.MSELoss()


def probe_of(training: Training) -> tuple[torch.Tensor, torch.Tensor]:
    seen = features(training.points.train, training.setup.features)
    return torch.from_numpy(seen), torch.from_numpy(training.points.train_targets)[:, None]


@pytest.mark.parametrize("data", ["circle", "bumps"])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("strength", ["absolute", "signed"])
def test_beta_eff_is_that_of_ncore(data: str, activation: str, strength: str) -> None:
    training = Training(Data(data, 80), Setup(("x1", "x2", "sin1"), (5, 3, 4), activation, seed=3, rate=0.05), strength)
    training.advance(7)
    unit, loss = as_torch(training.network)
    expected = ncore.beta_eff(unit, *probe_of(training), loss=loss, strength=strength)
    found = training.capacitance()
    assert found.value == pytest.approx(float(expected), rel=1e-9)
    assert found.conditioning == pytest.approx(expected.conditioning, rel=1e-9)
    assert training.now().beta_eff == found.value


@pytest.mark.parametrize("data", ["circle", "bumps"])
@pytest.mark.parametrize("hidden", [(), (3,), (4, 2), (2, 2, 2, 2)], ids=lambda widths: f"{len(widths)}-hidden")
def test_loss_gradients_and_rates_are_those_of_autograd(data: str, hidden: tuple[int, ...]) -> None:
    training = Training(Data(data, 50), Setup(hidden=hidden, seed=5))
    unit, loss = as_torch(training.network)
    inputs, targets = probe_of(training)
    value = loss(unit(inputs), targets)
    value.backward()
    assert training.now().train_loss == pytest.approx(value.item(), rel=1e-12)
    by_weight, by_bias = training.network.gradients(training.passed())
    linears = [module for module in unit if isinstance(module, nn.Linear)]
    for linear, weight, bias, rate in zip(linears, by_weight, by_bias, training.rates(), strict=True):
        assert linear.weight.grad is not None
        assert linear.bias.grad is not None
        np.testing.assert_allclose(weight, linear.weight.grad.numpy(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(bias, linear.bias.grad.numpy(), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(rate, -weight)


@pytest.mark.parametrize("penalty", ["L1", "L2"])
def test_rates_contain_the_penalty(penalty: str) -> None:
    training = Training(SMALL, Setup(hidden=(3, 3), penalty=penalty, penalty_rate=0.01))
    plain = Training(SMALL, Setup(hidden=(3, 3)))

    def cost(weights: list[np.ndarray]) -> float:
        plain.network.weights = weights
        parts = [np.abs(w).sum() if penalty == "L1" else 0.5 * (w**2).sum() for w in weights]
        return plain.now().train_loss + 0.01 * float(sum(parts))

    weights = [w.copy() for w in training.network.weights]
    for layer, place in ((0, (2, 1)), (1, (0, 2)), (2, (0, 0))):
        step = 1e-6
        ends = []
        for sign in (1, -1):
            moved = [w.copy() for w in weights]
            moved[layer][place] += sign * step
            ends.append(cost(moved))
        assert training.rates()[layer][place] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8)


def test_l1_makes_weights_exactly_zero_and_holds_them_there() -> None:
    training = Training(SMALL, Setup(hidden=(4, 4), rate=0.1, penalty="L1", penalty_rate=0.03))
    training.advance(400)
    weights = np.concatenate([w.ravel() for w in training.network.weights])
    rates = np.concatenate([rate.ravel() for rate in training.rates()])
    assert (weights == 0).mean() > 0.3
    still = rates[weights == 0]
    assert (still == 0).mean() > 0.8


def test_a_full_batch_step_follows_the_rates() -> None:
    training = Training(SMALL, Setup(hidden=(3, 2), rate=0.1, batch=450))
    before, rates = training.network.weights, training.rates()
    training.advance(1)
    for old, rate, new in zip(before, rates, training.network.weights, strict=True):
        np.testing.assert_allclose(new, old + 0.1 * rate, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("data", list(DATA_SETS))
def test_the_same_seeds_give_the_same_training_however_it_is_watched(data: str) -> None:
    settings = Data(data, 80, 0.1, 0.7, 4), Setup(hidden=(4, 3), seed=9)
    first, second = Training(*settings), Training(*settings)
    first.advance(137)
    for steps in (1, 1, 5, 100, 30):
        second.advance(steps)
    assert first.now() == second.now()
    assert first.history == second.history
    assert first.steps == 137
    assert first.epochs == pytest.approx(137 / 6, abs=0.1)  # 56 points are five batches of ten and one of six
    assert Training(settings[0], Setup(hidden=(4, 3), seed=10)).now() != second.history[0]


def test_history_has_the_steps_of_two_digits() -> None:
    training = Training(SMALL, Setup(hidden=(2, 2)))
    training.advance(1250)
    steps = [moment.step for moment in training.history]
    assert steps == [*range(100), *range(100, 1000, 10), 1000, 1100, 1200]


def test_it_learns() -> None:
    for data in ("circle", "xor", "gaussians", "moons"):
        training = Training(Data(data, 300, 0.05), Setup(hidden=(6, 6), rate=0.3))
        training.advance(1500)
        assert training.accuracy()[1] > 0.93, data
        assert training.now().beta_eff < 0.5 * training.history[0].beta_eff, data
    values = Training(Data("plane", 300, 0.0), Setup(hidden=(), rate=0.1))
    values.advance(500)
    assert values.now().test_loss < 1e-3
    assert np.isnan(values.accuracy()).all()


def test_weights_that_grow_without_bound_stop_training() -> None:
    training = Training(Data("plane", 100), Setup(hidden=(4,), activation="relu", rate=10.0))
    training.advance(300)
    assert training.broken
    assert training.ended
    assert training.steps < 300
    assert np.isfinite(training.now().train_loss)


def test_no_more_steps_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(SMALL, Setup(hidden=()))
    training.steps = MOST_STEPS - 2
    training.advance(10)
    assert training.steps == MOST_STEPS
    assert training.ended


def test_time_bounds_the_steps_of_a_frame_and_networks_stay_side_by_side() -> None:
    large, small = Training(SMALL, Setup(hidden=(8, 8, 8))), Training(SMALL, Setup(hidden=()))
    together([large, small], MOST_STEPS, seconds=0.02)
    assert 0 < large.steps == small.steps < MOST_STEPS
    small.broken = True
    before = large.steps
    together([large, small], 3, seconds=60)
    assert (large.steps, small.steps) == (before + 3, before)


def test_rate_and_penalty_change_on_the_way() -> None:
    training = Training(SMALL, Setup())
    training.change(Setup(rate=0.5, batch=3, penalty="L2", penalty_rate=0.1, seed=77))
    assert (training.setup.rate, training.setup.batch, training.setup.penalty) == (0.5, 3, "L2")
    assert training.setup.seed == Setup().seed


@pytest.mark.parametrize(
    ("hidden", "defined", "graph"), [((), False, False), ((4,), False, True), ((4, 4), True, True)]
)
def test_beta_eff_is_undefined_for_shallow_networks(hidden: tuple[int, ...], defined: bool, graph: bool) -> None:
    training = Training(SMALL, Setup(hidden=hidden))
    assert training.defined is defined
    assert np.isfinite(training.now().beta_eff) == defined
    assert (training.line_graph() is not None) == graph


@pytest.mark.parametrize("data", list(DATA_SETS))
def test_points_are_in_the_picture_and_split_as_asked(data: str) -> None:
    found = points(data, 200, 0.0, 0.6, seed=2)
    again = points(data, 200, 0.0, 0.6, seed=2)
    assert np.array_equal(found.train, again.train)
    assert (len(found.train), len(found.test)) == (120, 80)
    assert np.abs(np.concatenate([found.train, found.test])).max() <= REACH
    targets = np.concatenate([found.train_targets, found.test_targets])
    if found.classes:
        assert set(targets) == {0.0, 1.0}
        assert 0.35 < targets.mean() < 0.65
    else:
        assert np.abs(targets).max() <= 1.05
    assert not np.array_equal(points(data, 200, 0.3, 0.6, seed=2).train, found.train)
    assert not np.array_equal(points(data, 200, 0.0, 0.6, seed=3).train, found.train)


def test_features_are_what_they_are_called() -> None:
    at = np.array([[0.5, -2.0]])
    found = dict(zip(FEATURES, features(at, list(FEATURES))[0], strict=True))
    assert found == pytest.approx(
        {"x1": 0.5, "x2": -2, "x1^2": 0.25, "x2^2": 4, "x1x2": -1, "sin1": 1, "sin2": np.sin(-2 * np.pi)}
    )


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="'cube'"):
        points("cube", 100, 0.0, 0.5, 1)
    with pytest.raises(InputError, match="training share of 1"):
        points("xor", 100, 0.0, 1.0, 1)
    with pytest.raises(InputError, match="'swish'"):
        Network((2, 1), "swish", True, 1)
    with pytest.raises(InputError, match="one output"):
        Network((2, 3), "tanh", True, 1)


@pytest.mark.parametrize("module", [points_module, glossary, controls, plane], ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
