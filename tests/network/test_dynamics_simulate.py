"""Rates, Jacobians and integration in time, against loops and closed forms, up to 100,000 nodes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import diags_array

from ncore.errors import InputError, NcoreError
from ncore.network.dynamics import (
    METHODS,
    Dynamics,
    System,
    barabasi_albert,
    effective_state,
    erdos_renyi,
    gene_regulation,
    mutualistic,
    random_regular,
    reduced_end,
    settle,
    simulate,
    sis,
    watts_strogatz,
)

SYSTEMS = {s.name: s for s in (mutualistic(), sis(B=1, R=0.7), gene_regulation())}
DIFFUSION = System("diffusion", f=lambda x: 1 - x, g=lambda x, y: y - x, domain=(-np.inf, np.inf))


def weighted(nodes, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 2, (nodes, nodes)) * (rng.random((nodes, nodes)) < 0.4)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SYSTEMS)), st.integers(1, 9), st.integers(0, 1000))
def test_rates_and_jacobian_are_those_of_the_formula(name, nodes, seed):
    system, P = SYSTEMS[name], weighted(nodes, seed)
    dynamics, x = Dynamics(system, P), np.random.default_rng(seed).uniform(0.05, 0.95, nodes)
    rate = [
        float(system.f(x[i])) + sum(P[i, j] * float(system.g(x[i], x[j])) for j in range(nodes)) for i in range(nodes)
    ]
    np.testing.assert_allclose(dynamics.rate(x), rate, rtol=1e-12, atol=1e-13)
    step = 1e-6
    columns = [(dynamics.rate(x + step * e) - dynamics.rate(x - step * e)) / (2 * step) for e in np.eye(nodes)]
    np.testing.assert_allclose(dynamics.jacobian(x).toarray(), np.transpose(columns), atol=1e-7)
    own, _ = dynamics.slopes(x)
    own_numerical = np.diag(np.transpose(columns)) - np.diag(P) * system.pull_slopes(x, x)[1]
    np.testing.assert_allclose(own, own_numerical, atol=1e-7)


def logistic(t, x0, rate, capacity):
    return capacity / (1 + (capacity / x0 - 1) * np.exp(-rate * t))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("jacobian", ["diagonal", "full"])
def test_an_epidemic_on_a_regular_network_is_logistic(method, jacobian):
    B, R, degree = 0.5, 0.4, 6
    run = simulate(
        Dynamics(sis(B, R), random_regular(30, degree, seed=1)),
        0.01,
        12,
        method=method,
        jacobian=jacobian,
        rtol=1e-8,
        atol=1e-11,
    )
    growth = R * degree - B
    expected = logistic(run.times, 0.01, growth, growth / (R * degree))
    np.testing.assert_allclose(run.effective, expected, rtol=2e-6)
    np.testing.assert_allclose(run.states, np.broadcast_to(expected[:, None], run.states.shape), rtol=2e-6)


def test_a_network_of_one_node_is_the_reduction():
    beta = 7.5
    run = simulate(Dynamics(mutualistic(), np.array([[beta]])), 0.1, 60)
    assert run.effective[-1] == pytest.approx(reduced_end(mutualistic(), beta, 0.1), rel=1e-5)


def test_diffusion_is_the_matrix_exponential():
    from scipy.linalg import expm

    P, x0 = weighted(6, 3), np.random.default_rng(3).normal(size=6)
    A = P - np.diag(P.sum(1)) - np.eye(6)
    rest = np.linalg.solve(A, -np.ones(6))
    run = simulate(Dynamics(DIFFUSION, P), x0, times=[0, 0.3, 1.0], rtol=1e-9, atol=1e-12)
    for t, state in zip(run.times, run.states, strict=True):
        np.testing.assert_allclose(state, rest + expm(A * t) @ (x0 - rest), atol=1e-6)
    np.testing.assert_allclose(run.effective, effective_state(P, run.states))


def test_the_whole_jacobian_saves_steps_where_strong_links_pull_neighbours_together():
    strong = Dynamics(DIFFUSION, watts_strogatz(2000, 4, rewired=0.0).matrix * 1000)
    x = np.random.default_rng(0).normal(size=strong.nodes)
    runs = {
        (m, j): simulate(strong, x, 0.1, points=3, method=m, jacobian=j)
        for m, j in (("BDF", "full"), ("BDF", "diagonal"), ("RK45", "diagonal"))
    }
    stiff = runs["BDF", "full"]
    for run in runs.values():
        np.testing.assert_allclose(run.final, stiff.final, atol=1e-4)
        assert run is stiff or run.evaluations > 2 * stiff.evaluations


def test_the_diagonal_is_enough_for_the_stiffness_of_hubs():
    hubs = Dynamics(mutualistic(), barabasi_albert(2000, 8, seed=1))
    diagonal, explicit = simulate(hubs, 5.0, 5, points=3), simulate(hubs, 5.0, 5, points=3, method="RK45")
    np.testing.assert_allclose(diagonal.final, explicit.final, rtol=1e-4)
    assert diagonal.evaluations < explicit.evaluations / 3


def test_what_is_kept():
    run = simulate(Dynamics(sis(), erdos_renyi(40, 5)), 0.2, 3, points=7)
    assert run.states.shape == (7, 40)
    assert run.times.tolist() == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3])
    frame = run.to_frame()
    assert frame.columns.tolist() == ["time", "x_eff", "mean", "lowest", "highest"]
    np.testing.assert_allclose(frame["lowest"], run.states.min(axis=1))
    np.testing.assert_allclose(frame["mean"], run.states.mean(axis=1))
    np.testing.assert_allclose(frame["highest"], run.states.max(axis=1))
    np.testing.assert_array_equal(run.final, run.states[-1])


def test_a_hundred_thousand_nodes():
    n = 100_000
    near = [np.ones(n - abs(k)) for k in (-2, -1, 1, 2, 2 - n, 1 - n, n - 2, n - 1)]
    ring = Dynamics(sis(B=1, R=0.5), diags_array(near, offsets=[-2, -1, 1, 2, 2 - n, 1 - n, n - 2, n - 1]))
    run = simulate(ring, 0.2, 2, points=3)
    np.testing.assert_allclose(run.final, logistic(2.0, 0.2, 1.0, 0.5), rtol=1e-5)
    assert np.ptp(run.final) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("make", [barabasi_albert, watts_strogatz, erdos_renyi])
@pytest.mark.parametrize("system", [mutualistic(), sis(R=0.5)], ids=lambda s: s.name)
def test_a_hundred_thousand_nodes_of_any_kind_come_to_rest(make, system):
    dynamics = Dynamics(system, make(100_000, 8, seed=1))
    start = 5.0 if system.name == "mutualistic" else 0.9
    end = settle(dynamics, start)
    assert end.converged
    assert end.residual < 1e-9
    assert end.stable
    run = simulate(dynamics, start, 30, points=2)
    np.testing.assert_allclose(run.final, end.state, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_hundred_thousand_nodes_with_the_whole_jacobian():
    ring = Dynamics(DIFFUSION, watts_strogatz(100_000, 4, rewired=0.0).matrix * 1000)
    x = np.random.default_rng(0).normal(size=ring.nodes)
    run = simulate(ring, x, 1, points=3, jacobian="full")
    # Diffusion between equals keeps the sum, so the mean decays as a single node does.
    np.testing.assert_allclose(run.effective, 1 + (x.mean() - 1) * np.exp(-run.times), atol=1e-5)
    assert run.final.std() < x.std() / 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"duration": 0}, "duration is 0"),
        ({"duration": None}, "times must be given"),
        ({"duration": 1, "points": 1}, "1 states"),
        ({"times": [0, 2, 1]}, "increasing"),
        ({"duration": 1, "method": "Euler"}, "'Euler'.*BDF"),
        ({"duration": 1, "jacobian": "none"}, "'none'.*'full'"),
        ({"duration": 1, "start": [0.1, 0.2]}, r"\(2,\).*\(5,\)"),
        ({"duration": 1, "start": 1.5}, "1.5.*between 0.0 and 1.0"),
        ({"duration": 1, "start": np.nan}, "nan.*finite"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    start = arguments.pop("start", 0.1)
    with pytest.raises(InputError, match=words):
        simulate(Dynamics(sis(), np.ones((5, 5))), start, **arguments)


def test_lsoda_refuses_a_dense_jacobian_that_is_too_large():
    with pytest.raises(InputError, match="3000 x 3000"):
        simulate(Dynamics(sis(), watts_strogatz(3000, 4)), 0.1, 1, method="LSODA", jacobian="full")


def test_states_that_grow_without_bound_are_an_error_in_words():
    explosive = System("explosive", f=lambda x: x**2, g=lambda x, y: y)
    with pytest.raises(NcoreError, match=r"grow without bound|stopped at time"):
        simulate(Dynamics(explosive, np.ones((2, 2))), 1.0, 50)
