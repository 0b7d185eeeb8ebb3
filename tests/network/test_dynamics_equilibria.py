"""Rest and stability of full systems, against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import fsolve

from ncore.errors import InputError, NcoreError
from ncore.network.dynamics import (
    Dynamics,
    System,
    as_matrix,
    barabasi_albert,
    equilibria,
    equilibria_frame,
    erdos_renyi,
    gene_regulation,
    growth_rate,
    mutualistic,
    random_regular,
    reduced_equilibria,
    settle,
    sis,
    star,
    watts_strogatz,
)

REGULAR = random_regular(24, 4, seed=2)


@pytest.mark.parametrize(
    "system",
    [mutualistic(), sis(1, 0.5), sis(1, 0.2), gene_regulation(), gene_regulation(3)],
    ids=["mutualistic", "endemic", "healthy", "active", "silent"],
)
def test_on_a_regular_network_the_equilibria_are_those_of_the_reduction(system):
    found = equilibria(Dynamics(system, REGULAR))
    uniform = [point for point in found if np.ptp(point.state) < 1e-6]
    expected = reduced_equilibria(system, 4.0)
    np.testing.assert_allclose([p.effective for p in uniform], expected["x"], rtol=1e-9, atol=1e-9)
    assert [p.stable for p in uniform] == expected["stable"].tolist()
    for point in found:
        assert point.residual < 1e-9
    frame = equilibria_frame(found)
    assert frame["x_eff"].is_monotonic_increasing
    assert frame["stable"].tolist() == (frame["growth"] < 0).tolist()


def test_the_growth_of_an_infection_is_the_largest_eigenvalue_of_its_network():
    """The Jacobian at x = 0 is R P - B."""
    for network in (star(26), erdos_renyi(60, 5, seed=1), np.random.default_rng(0).random((12, 12))):
        P = as_matrix(network).toarray()
        expected = 0.3 * np.linalg.eigvals(P).real.max() - 1
        assert growth_rate(Dynamics(sis(B=1, R=0.3), network), np.zeros(len(P))) == pytest.approx(expected)


@pytest.mark.parametrize("make", [barabasi_albert, watts_strogatz])
def test_large_networks_take_arnoldi_to_the_same_eigenvalue(make):
    dynamics = Dynamics(sis(B=1, R=0.3), make(700, 6, seed=1))
    expected = 0.3 * np.linalg.eigvalsh(dynamics.matrix.toarray()).max() - 1
    assert growth_rate(dynamics, np.zeros(700)) == pytest.approx(expected, rel=1e-5)


def test_two_nodes_by_hand():
    """A pair of genes that switch each other on: x = y = 1 (beta = 2 B, a fold), 2 + sqrt(3) for beta = 4 B."""
    pair = Dynamics(gene_regulation(B=1), np.array([[0, 4.0], [4, 0]]))
    low, middle, high = equilibria(pair)
    np.testing.assert_allclose(low.state, 0, atol=1e-9)
    np.testing.assert_allclose(middle.state, 2 - np.sqrt(3), rtol=1e-9)
    np.testing.assert_allclose(high.state, 2 + np.sqrt(3), rtol=1e-9)
    slope = 4 * 2 * high.state[0] / (high.state[0] ** 2 + 1) ** 2  # the Jacobian is [[-1, slope], [slope, -1]]
    assert high.growth == pytest.approx(-1 + slope)
    assert (low.stable, middle.stable, high.stable) == (True, False, True)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(0, 500))
def test_rest_is_rest_on_any_directed_weighted_network(nodes, seed):
    rng = np.random.default_rng(seed)
    P = rng.uniform(0, 3, (nodes, nodes)) * (rng.random((nodes, nodes)) < 0.5)
    dynamics = Dynamics(mutualistic(), P)
    end = settle(dynamics, 6.0)
    assert end.converged
    np.testing.assert_allclose(dynamics.rate(end.state), 0, atol=1e-9)
    np.testing.assert_allclose(fsolve(dynamics.rate, end.state, xtol=1e-13), end.state, rtol=1e-9)


def test_a_large_network_is_solved_by_iteration_to_the_same_state():
    network = erdos_renyi(600, 6, seed=3)
    end = settle(Dynamics(mutualistic(), network), 5.0)
    assert end.residual < 1e-10
    full = settle(Dynamics(mutualistic(), network), 5.0, jacobian="full")
    np.testing.assert_allclose(full.state, end.state, rtol=1e-10)
    assert end.growth == pytest.approx(full.growth, rel=1e-5)


def test_a_small_seed_of_an_instability_grows_and_none_stays():
    dynamics = Dynamics(sis(B=1, R=1), REGULAR)
    assert settle(dynamics, 1e-5).effective == pytest.approx(0.75)
    nothing = settle(dynamics, 0.0)
    assert nothing.effective == 0
    assert not nothing.stable
    assert nothing.growth == pytest.approx(3)


def test_starts_of_ones_own():
    dynamics = Dynamics(mutualistic(), 3.0 * as_matrix(REGULAR) / 4)
    found = equilibria(dynamics, starts=[0.0])
    assert len(found) == 1
    assert found[0].effective < 0.2
    uneven = np.where(np.arange(24) < 12, 0.0, 6.0)
    assert len(equilibria(dynamics, starts=[0.0, 6.0, uneven])) >= 2
    with pytest.raises(InputError, match="-1"):
        equilibria(dynamics, starts=[-1.0])


def test_what_has_not_come_to_rest_says_so():
    slow = System("slow", f=lambda x: -1e-4 * x, g=lambda x, y: 0.0)
    assert not settle(Dynamics(slow, np.ones((2, 2))), 1.0, longest=1.0, stability=False).converged
    turning = System("turning", f=lambda x: 0.0, g=lambda x, y: y, domain=(-np.inf, np.inf))
    end = settle(Dynamics(turning, np.array([[0.0, 1.0], [-1.0, 0.0]])), [1.0, 0.0], longest=20.0)
    assert not end.converged
    assert end.growth == pytest.approx(0, abs=1e-9)


def test_states_that_grow_without_bound_have_no_rest():
    growing = System("growing", f=lambda x: x**2 + 1, g=lambda x, y: 0.0)
    with pytest.raises(NcoreError):
        settle(Dynamics(growing, np.ones((2, 2))), 1.0)
