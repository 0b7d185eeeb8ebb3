"""Training as an ODE: closed forms, torch's own optimizers, and the order in which steps come to the flow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from torch import nn

import ncore
from ncore.errors import InputError, TrainingFailedError
from ncore.network.edge_dynamics import (
    Landscape,
    descend,
    flow_time,
    gradient_flow,
    heavy_ball,
    heavy_ball_mass,
    layer_paths,
    momentum_flow,
    part_ways,
)
from ncore.network.edge_dynamics.flow import METHODS
from tests.network.cases import head, probe


@pytest.fixture(scope="module")
def small() -> Landscape:
    """A curved landscape: two hidden layers, cross-entropy, weight decay."""
    x, y = probe(20, [3, 5, 4, 2], "cross_entropy")
    return Landscape(head([3, 5, 4, 2]), x, y, loss=nn.CrossEntropyLoss(), weight_decay=0.01)


def regression(curvatures: list[float]) -> tuple[Landscape, np.ndarray]:
    """C = sum_i c_i (w_i - 1)^2 / 2, a parabola with known curvatures, and a start."""
    x = torch.diag(torch.tensor(curvatures).double().sqrt()) * (len(curvatures) / 2) ** 0.5
    model = nn.Linear(len(curvatures), 1, bias=False)
    return Landscape(model, x, x.sum(1, keepdim=True), loss=nn.MSELoss()), np.linspace(-1, 2, len(curvatures))


def test_a_landscape_is_the_loss_with_its_derivatives(small: Landscape) -> None:
    w = small.start + 0.1
    model = small.at(w)
    parameters = list(model.parameters())
    cost = nn.functional.cross_entropy(model(small.inputs), small.targets)
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(cost, parameters)]).numpy()
    assert small.cost(w) == pytest.approx(cost.item())
    np.testing.assert_allclose(small.rate(w), -gradient - 0.01 * w * small.synapses, atol=1e-14)
    step = 1e-5
    numeric = [(small.rate(w + step * e) - small.rate(w - step * e)) / (2 * step) for e in np.eye(small.size)]
    np.testing.assert_allclose(small.jacobian(w), np.array(numeric).T, atol=1e-8)
    along = np.linspace(-1, 1, small.size)
    np.testing.assert_allclose(small.rate_change(w, along), small.jacobian(w) @ along, atol=1e-12)
    assert [part.stop - part.start for part in small.layers] == [15, 20, 8]
    assert small.synapses.sum() == 43
    np.testing.assert_allclose(small.rate(w, [1, 4]).shape, w.shape)


@pytest.mark.parametrize("method", METHODS)
def test_gradient_flow_on_a_parabola_is_exponential(method: str) -> None:
    parabola, start = regression([0.1, 1.0, 5.0])
    times = [0.0, 0.5, 4.0]
    flow = gradient_flow(parabola, times, start=start, method=method)
    for time, w in zip(times, flow.weights, strict=True):
        np.testing.assert_allclose(w, 1 + np.exp(-np.array([0.1, 1.0, 5.0]) * time) * (start - 1), atol=2e-6)
    np.testing.assert_allclose(flow.costs, [parabola.cost(w) for w in flow.weights])
    np.testing.assert_allclose(-parabola.jacobian(start), np.diag([0.1, 1.0, 5.0]), atol=1e-12)


def test_stiff_methods_need_far_fewer_gradients_on_a_stiff_landscape() -> None:
    parabola, start = regression([0.1, 1.0, 300.0])
    explicit, implicit = (gradient_flow(parabola, [0, 5], start=start, method=m, rtol=1e-4) for m in ("RK45", "BDF"))
    assert explicit.evaluations > 8 * implicit.evaluations
    np.testing.assert_allclose(implicit.weights[-1], 1 + np.exp([-0.5, -5, -1500]) * (start - 1), atol=1e-3)


def test_all_methods_agree_on_a_network(small: Landscape) -> None:
    ends = [gradient_flow(small, [0, 3], method=m).weights[-1] for m in ("RK45", "LSODA", "BDF", "Radau")]
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], atol=1e-6)


@pytest.mark.parametrize("method", ["RK45", "Radau"])
def test_a_heavy_ball_on_a_parabola_is_a_damped_oscillator(method: str) -> None:
    parabola, start = regression([3.0])
    mass, friction, time = 0.5, 0.4, 2.0
    end = heavy_ball(parabola, [0, time], mass, friction=friction, start=start, velocity=[0.7], method=method).weights
    state = expm(time * np.array([[0, 1], [-3.0 / mass, -friction / mass]])) @ [start[0] - 1, 0.7]
    assert end[-1, 0] - 1 == pytest.approx(state[0], abs=1e-6)


def test_weight_decay_is_exponential_where_the_loss_is_flat() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        model[0].bias.fill_(-100.0)  # dead: only the last bias has a gradient
    x = torch.rand(4, 2)
    for biases in (False, True):
        flat = Landscape(model, x, torch.ones(4, 1), loss=nn.MSELoss(), weight_decay=0.5, decay_biases=biases)
        moved = np.flatnonzero(flat.synapses) if not biases else np.arange(flat.size - 1)
        end = gradient_flow(flat, [0, 1]).weights[-1]
        np.testing.assert_allclose(end[moved], flat.start[moved] * np.exp(-0.5), rtol=1e-6)


def observed_order(errors: list[float]) -> float:
    """The mean slope of log(error) over log(step) where the step is halved each time."""
    return float(np.mean(np.log2(np.array(errors[:-1]) / np.array(errors[1:]))))


def test_gradient_descent_comes_to_the_flow_linearly_in_the_step_and_to_the_next_order_squarely(
    small: Landscape,
) -> None:
    end = gradient_flow(small, [0, 2]).weights[-1]
    first, second = [], []
    for steps in (16, 32, 64):
        stepped = descend(small, 2 / steps, steps, every=steps)[-1]
        first.append(float(np.linalg.norm(stepped - end)))
        modified = gradient_flow(small, [0, 2], finite_step=2 / steps).weights[-1]
        second.append(float(np.linalg.norm(stepped - modified)))
    assert observed_order(first) == pytest.approx(1, abs=0.05)
    assert observed_order(second) == pytest.approx(2, abs=0.1)


def test_momentum_comes_to_the_flow_linearly_at_its_own_time_scale(small: Landscape) -> None:
    end = gradient_flow(small, [0, 2]).weights[-1]
    errors, ball = [], []
    for lr in (0.005, 0.0025, 0.00125):
        steps = round(2 * 0.1 / lr)
        assert flow_time([lr] * steps, 0.9)[-1] == pytest.approx(2)
        stepped = descend(small, lr, steps, momentum=0.9, every=steps)[-1]
        errors.append(float(np.linalg.norm(stepped - end)))
        ball.append(float(np.linalg.norm(stepped - momentum_flow(small, lr, 0.9, [0, steps]).weights[-1])))
    assert observed_order(errors) == pytest.approx(1, abs=0.1)
    assert max(ball) < 0.02 * min(errors)  # the second-order system explains nearly all of it


def test_at_a_fixed_friction_the_mass_here_is_of_first_order_and_the_classical_one_of_half(small: Landscape) -> None:
    ours, classical = [], []
    for lr in (0.01, 0.005, 0.0025):
        momentum = 1 - 2 * lr**0.5
        steps = round(1 / lr**0.5)
        stepped = descend(small, lr, steps, momentum=momentum, every=steps)[-1]
        ball = momentum_flow(small, lr, momentum, [0, steps])
        ours.append(float(np.linalg.norm(stepped - ball.weights[-1])))
        plain = heavy_ball(small, ball.times, lr / (1 - momentum) ** 2).weights[-1]
        classical.append(float(np.linalg.norm(stepped - plain)))
    assert observed_order(ours) == pytest.approx(1, abs=0.15)
    assert observed_order(classical) == pytest.approx(0.5, abs=0.15)
    assert heavy_ball_mass(0.1, 0) == pytest.approx(0.05)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("batch", [None, 6])
def test_descent_is_that_of_torch(small: Landscape, momentum: float, batch: int | None) -> None:
    model = head([3, 5, 4, 2])
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=momentum)
    random = np.random.default_rng(3)
    for _ in range(2):
        order = np.arange(20) if batch is None else random.permutation(20)
        for at in range(0, 20, batch or 20):
            picked = order[at : at + (batch or 20)]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(small.inputs[picked]), small.targets[picked]).backward()
            optimizer.step()
    steps = 2 if batch is None else 8
    ours = descend(small, 0.1, steps, momentum=momentum, batch_size=batch, every=steps, seed=3)
    theirs = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).numpy()
    np.testing.assert_allclose(ours[-1], theirs, atol=1e-12)


def test_where_training_parts_from_the_flow(small: Landscape) -> None:
    """Finite steps: an error that halves with the step. Minibatch noise: on top, and larger for smaller batches."""
    epochs, parts = 3, {}
    for lr, steps in ((0.1, 5), (0.05, 10)):
        flow = gradient_flow(small, np.arange(epochs + 1) * lr * steps).weights
        full = descend(small, lr, epochs * steps, every=steps)
        for batch in (2, 10):
            noisy = descend(small, lr, epochs * steps, every=steps, batch_size=batch, seed=1)
            parts[lr, batch] = part_ways(flow, full, noisy)
    coarse, fine = (parts[lr, 10]["finite_steps"].to_numpy() for lr in (0.1, 0.05))
    np.testing.assert_allclose(coarse / fine, 2, rtol=0.05)
    for table in parts.values():
        assert (table["apart"] <= table["finite_steps"] + table["noise"] + 1e-12).all()
        np.testing.assert_allclose(table["noise_share"] * table["travelled"], table["noise"])
    assert (parts[0.1, 2]["noise"] > parts[0.1, 10]["noise"]).all()
    assert (parts[0.1, 2]["noise"] > 3 * parts[0.1, 2]["finite_steps"]).all()


def test_a_recorded_run_keeps_to_the_flow(tmp_path) -> None:
    """Weights from a store, trained by torch in float32, against the ODE from the same start."""
    unit = ncore.NCPUnit(4, 2, widths=(5, 4, 3), activation="tanh")
    x, y = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    landscape = Landscape(unit, x, y, loss=nn.CrossEntropyLoss())
    optimizer = torch.optim.SGD(unit.parameters(), lr=0.02)
    about = {"candidate": "unit", "dataset": "noise", "epochs": 4, "recording": {"neurons": None}}
    with ncore.Recorder(tmp_path, None, unit=unit, probe=(x, y), loss=nn.CrossEntropyLoss(), **about) as recorder:
        for _ in range(4):
            for _ in range(10):
                optimizer.zero_grad()
                nn.functional.cross_entropy(unit(x), y).backward()
                optimizer.step()
            recorder.record()
    table = ncore.open_store(tmp_path).run(recorder.run_id).trajectory()
    epochs, paths = layer_paths(table)
    recorded = np.concatenate([path.reshape(len(epochs), -1) for path in paths.values()], axis=1)
    flow = gradient_flow(landscape, epochs * 10 * 0.02).weights[:, landscape.synapses]
    apart = part_ways(flow, recorded)
    assert (apart["finite_steps_share"] < 0.02).all()
    steps = descend(landscape, 0.02, 40, every=10)[:, landscape.synapses]
    np.testing.assert_allclose(recorded, steps, atol=1e-5)


def test_what_is_refused(small: Landscape) -> None:
    with pytest.raises(InputError, match=r"'Euler'.*RK45"):
        gradient_flow(small, [0, 1], method="Euler")
    with pytest.raises(InputError, match="increasing"):
        gradient_flow(small, [1, 0])
    with pytest.raises(InputError, match=r"momentum is 1\.0"):
        flow_time([0.1], 1.0)
    with pytest.raises(InputError, match="learning rate is 0"):
        heavy_ball_mass(0.0, 0.5)
    with pytest.raises(InputError, match="m > 0"):
        heavy_ball(small, [0, 1], mass=0)
    with pytest.raises(InputError, match=r"shape \(2,\)"):
        small.cost([0.0, 1.0])
    with pytest.raises(InputError, match="finite step is -1"):
        gradient_flow(small, [0, 1], finite_step=-1)
    with pytest.raises(InputError, match="same for all"):
        part_ways(np.zeros((3, 2)), np.zeros((2, 2)))
    wide = Landscape(nn.Linear(80, 80), torch.zeros(1, 80), torch.zeros(1, 80), loss=nn.MSELoss())
    with pytest.raises(InputError, match="6480 parameters"):
        gradient_flow(wide, [0, 1], method="Radau")
    parabola, start = regression([1.0])
    with pytest.raises(TrainingFailedError, match="lower the learning rate"), np.errstate(over="ignore"):
        descend(parabola, 1e200, 3, start=start)
    with pytest.raises(InputError, match="weight decay is -1"):
        Landscape(nn.Linear(1, 1), torch.zeros(1, 1), torch.zeros(1, 1), loss=nn.MSELoss(), weight_decay=-1)
