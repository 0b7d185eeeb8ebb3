"""beta_eff and x_eff of any network, against their dense definitions and closed forms."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from ncore.errors import InputError
from ncore.network import LayerFactors, LineGraph
from ncore.network.dynamics import Network, as_matrix, coupling, effective_state, star

WEIGHTS = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))


@st.composite
def non_negative(draw):
    """A sparse matrix in some scipy format, with entries that are stored twice or stored as zero, and its array."""
    nodes = draw(st.integers(1, 12))
    count = draw(st.integers(0, 40))
    ends = st.lists(st.integers(0, nodes - 1), min_size=count, max_size=count)
    rows, columns = draw(ends), draw(ends)
    values = draw(st.lists(WEIGHTS, min_size=count, max_size=count))
    given_as = sparse.coo_array((values, (rows, columns)), shape=(nodes, nodes), dtype=np.float64)
    return given_as.asformat(draw(st.sampled_from(["coo", "csr", "csc"]))), given_as.toarray()


@settings(max_examples=60, deadline=None)
@given(non_negative())
def test_beta_eff_is_that_of_the_dense_definition(pair):
    network, P = pair
    ones = np.ones(len(P))
    found = coupling(network)
    assert (found.nodes, found.links) == (len(P), np.count_nonzero(P))
    if not P.any():
        assert math.isnan(found.beta_eff)
        assert "no links" in found.reason
        return
    assert found.beta_eff == pytest.approx((ones @ P @ P @ ones) / (ones @ P @ ones), rel=1e-9, abs=1e-12)
    assert found.reason is None
    assert found.conditioning == pytest.approx(1)
    into, out = P.sum(1), P.sum(0)
    assert found.mean_degree == pytest.approx(into.mean(), rel=1e-12)
    assert found.heterogeneity == pytest.approx(into.std() * out.std() / into.mean(), rel=1e-9, abs=1e-12)
    scale = found.mean_degree + found.heterogeneity
    if not math.isnan(found.symmetry):
        assert found.mean_degree + found.symmetry * found.heterogeneity == pytest.approx(
            found.beta_eff, rel=1e-6, abs=1e-9 * scale
        )
    assert found.mean_degree + found.covariance / found.mean_degree == pytest.approx(
        found.beta_eff, rel=1e-6, abs=1e-9 * scale
    )
    assert coupling(P.T).beta_eff == pytest.approx(found.beta_eff, rel=1e-9, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(non_negative(), st.integers(0, 1000))
def test_the_effective_state_is_the_dense_operator(pair, seed):
    network, P = pair
    assume(P.any())
    z = np.random.default_rng(seed).normal(size=(3, len(P)))
    ones = np.ones(len(P))
    dense = [(ones @ P @ row) / (ones @ P @ ones) for row in z]
    np.testing.assert_allclose(effective_state(network, z), dense, rtol=1e-9, atol=1e-12)
    assert float(effective_state(network, P.sum(1))) == pytest.approx(coupling(network).beta_eff, rel=1e-9, abs=1e-12)
    assert float(effective_state(network, np.full(len(P), 0.3))) == pytest.approx(0.3)


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.float64, (6, 6), elements=st.floats(-1, 1)))
def test_signed_weights_say_how_well_conditioned_they_are(P):
    assume(abs(P.sum()) > 1e-3)
    found = coupling(P)
    assert found.beta_eff == pytest.approx((P @ P).sum() / P.sum(), rel=1e-6, abs=1e-6)
    assert found.conditioning == pytest.approx(abs(P.sum()) / np.abs(P).sum())


def test_closed_forms():
    assert coupling(star(101)).beta_eff == 50.5
    assert coupling(np.ones((7, 7)) - np.eye(7)).beta_eff == 6
    regular = coupling(nx.random_regular_graph(4, 20, seed=1))
    assert (regular.beta_eff, regular.heterogeneity) == (4, 0)
    assert math.isnan(regular.symmetry)
    chain = coupling(nx.DiGraph([(0, 1), (1, 2)]))  # degrees in 0 1 1, out 1 1 0
    assert chain.beta_eff == 0.5


def test_weights_that_cancel_have_a_reason():
    found = coupling(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    assert math.isnan(found.beta_eff)
    assert "cancel" in found.reason
    assert math.isnan(effective_state(np.zeros((2, 2)), [1.0, 2.0]))


def test_one_network_given_in_many_ways():
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 0.5)])
    P = np.array([[0, 0, 0], [2, 0, 0], [0, 0.5, 0]])
    ways = [P, P.tolist() @ np.eye(3), sparse.csc_matrix(P), graph, Network.from_networkx(graph)]
    for way in ways:
        np.testing.assert_array_equal(as_matrix(way).toarray(), P)
    loop = nx.Graph([(0, 0), (0, 1)])
    np.testing.assert_array_equal(as_matrix(loop).toarray(), [[1, 1], [1, 0]])
    parallel = nx.MultiGraph([(0, 1), (0, 1)])
    np.testing.assert_array_equal(as_matrix(parallel).toarray(), [[0, 2], [2, 0]])
    graph["a"]["b"]["strength"] = 7
    assert as_matrix(graph, weight="strength").sum() == 8


def test_what_is_given_is_not_changed():
    stored = sparse.csr_array(([1.0, 2.0, 0.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    before = stored.data.copy()
    assert as_matrix(stored).toarray().tolist() == [[0, 3], [0, 0]]
    np.testing.assert_array_equal(stored.data, before)


def test_a_line_graph_of_synapses_is_a_network_too():
    rng = np.random.default_rng(0)
    factors = [
        LayerFactors(*(np.abs(rng.normal(size=(5, width))) for width in widths)) for widths in ((3, 4, 4), (4, 4, 2))
    ]
    graph = LineGraph.from_factors("absolute", factors)
    assert coupling(graph).beta_eff == pytest.approx(graph.beta_eff)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (np.ones((2, 3)), r"\(2, 3\).*square"),
        (np.empty((0, 0)), "square"),
        (np.array([[0, np.nan], [1, 0]]), "nan.*finite"),
        (np.array([[0, 1j], [1, 0]]), "complex128.*real"),
        (nx.Graph(), "no nodes"),
        (nx.Graph([(0, 1, {"weight": "heavy"})]), "'weight' is not a number"),
        ("karate", "is a str"),
    ],
)
def test_what_is_no_network_is_refused(network, words):
    with pytest.raises(InputError, match=words):
        coupling(network)


def test_values_are_one_a_node():
    with pytest.raises(InputError, match=r"\(3,\).*one a node is needed, 2"):
        effective_state(np.ones((2, 2)), np.ones(3))
