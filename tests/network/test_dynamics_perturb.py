"""Broken networks: what is lost, in which order, and the curve along which the state moves (Gao et al. 2016)."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.errors import InputError
from ncore.network.dynamics import (
    PERTURBATIONS,
    as_matrix,
    barabasi_albert,
    bifurcation,
    coupling,
    erdos_renyi,
    gene_regulation,
    mutualistic,
    perturbation_path,
    real_network,
    reduced_equilibria,
    remove_links,
    remove_nodes,
    sis,
    weaken_links,
)

SHARES = st.floats(0, 1)
NETWORKS = {
    "undirected": as_matrix(nx.gnm_random_graph(20, 50, seed=1)),
    "directed": as_matrix(nx.gnm_random_graph(20, 90, seed=1, directed=True)),
    "weighted": as_matrix(real_network("karate")),
    "loops": as_matrix(nx.Graph([(0, 0), (0, 1), (1, 2)])),
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(NETWORKS)), st.sampled_from(["links", "weights"]), SHARES, SHARES, st.integers(0, 99))
def test_a_larger_share_takes_what_a_smaller_one_took_and_more(name, kind, one, other, seed):
    P = NETWORKS[name]
    small, large = (PERTURBATIONS[kind](P, share, seed).toarray() for share in sorted([one, other]))
    whole = P.toarray()
    assert (large <= small + 1e-12).all()
    assert (small <= whole + 1e-12).all()
    assert (large >= 0).all()
    if name != "directed":
        np.testing.assert_array_equal(large, large.T)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_nothing_and_everything(name):
    P = NETWORKS[name]
    for perturb in PERTURBATIONS.values():
        np.testing.assert_array_equal(perturb(P, 0.0, 3).toarray(), P.toarray())
    assert remove_nodes(P, 1.0).shape == (1, 1)
    assert remove_links(P, 1.0).nnz == 0
    assert weaken_links(P, 1.0).nnz == 0


def test_a_share_is_that_share():
    P = NETWORKS["undirected"]
    assert remove_nodes(P, 0.25).shape == (15, 15)
    assert remove_links(P, 0.3).nnz == 2 * 35  # both directions of 15 of the 50 links are gone
    assert remove_links(NETWORKS["directed"], 0.3).nnz == 63
    for share in (0.2, 0.5, 0.8):
        lost = 1 - weaken_links(P, share).sum() / P.sum()
        assert lost == pytest.approx(share, abs=0.03)
    factors = weaken_links(P, 0.2).data
    assert factors.min() >= 0.6
    assert np.unique(factors.round(12)).size == 50  # each link loses its own part


def test_nodes_are_lost_with_their_links_in_one_order_a_seed():
    P = as_matrix(np.diag(np.arange(1.0, 11)))  # node i is known by its loop
    kept = [set(remove_nodes(P, share, seed=5).diagonal()) for share in (0.2, 0.5, 0.9)]
    assert kept[0] > kept[1] > kept[2]
    assert set(remove_nodes(P, 0.5, seed=6).diagonal()) != kept[1]


@pytest.mark.parametrize("kind", sorted(PERTURBATIONS))
@pytest.mark.parametrize(
    ("system", "start", "close"),
    [(mutualistic(), 0.0, 0.01), (mutualistic(), 6.0, 0.01), (sis(R=0.2), 0.5, 0.05), (gene_regulation(), 8.0, 0.04)],
    ids=["mutualistic-recovery", "mutualistic-collapse", "sis", "gene_regulation"],
)
def test_every_way_of_breaking_a_network_moves_along_the_one_curve(kind, system, start, close):
    """Within a few per cent of the curve's height; relative to x_eff itself the error grows towards a tipping point."""
    network = erdos_renyi(120, 12, seed=1)
    path = perturbation_path(system, network, kind, start=start, shares=np.linspace(0, 0.8, 9).tolist(), seed=2)
    assert path["converged"].all()
    assert path["beta_eff"].is_monotonic_decreasing
    assert path["beta_eff"].iloc[0] == pytest.approx(coupling(network).beta_eff)
    distance = (path["x_eff"] - path["x_curve"]).abs() / path["x_eff"].iloc[0]
    assert distance.max() < close
    assert path["x_eff"].diff().max() < 1e-6  # it only ever goes down


def test_three_kinds_of_damage_are_one_function_of_beta_eff():
    network = erdos_renyi(200, 12, seed=1)
    paths = {kind: perturbation_path(mutualistic(), network, kind, start=6.0) for kind in PERTURBATIONS}
    betas = np.linspace(4, 12, 9)
    curves = [np.interp(betas, p["beta_eff"][::-1], p["x_eff"][::-1]) for p in paths.values()]
    assert np.ptp(curves, axis=0).max() < 0.015 * np.max(curves)
    shares = [np.interp(betas, p["beta_eff"][::-1], p["share"][::-1]) for p in paths.values()]
    assert np.ptp(shares, axis=0).max() > 0.01  # at different amounts of damage


def test_damage_makes_a_network_lose_its_power_to_recover():
    path = perturbation_path(mutualistic(), erdos_renyi(120, 12, seed=1), "weights", start=0.0)
    tipping = bifurcation(mutualistic(), 0, 20).tipping["beta"].item()
    collapsed = path["x_eff"] < 1
    assert not collapsed[path["beta_eff"] > tipping].any()
    assert collapsed[path["beta_eff"] < 0.6 * tipping].all()


def test_a_path_of_a_heterogeneous_network_is_further_from_the_curve():
    errors = [
        perturbation_path(sis(R=0.3), make(200, 8, seed=1), "links", start=0.5, shares=[0, 0.2, 0.4])["relative_error"]
        for make in (erdos_renyi, barabasi_albert)
    ]
    assert (errors[1] > 2 * errors[0]).all()


def test_the_end_of_a_path_has_no_beta_eff():
    path = perturbation_path(sis(), np.ones((4, 4)), "links", start=0.5, shares=[0.5, 1.0])
    assert path.columns[:2].tolist() == ["kind", "share"]
    assert path["reason"].isna().tolist() == [True, False]
    assert np.isnan(path["x_eff"].iloc[1])
    assert path["x_curve"].iloc[0] == pytest.approx(reduced_equilibria(sis(), path["beta_eff"].iloc[0])["x"].iloc[-1])


@pytest.mark.parametrize(
    ("kind", "share", "words"),
    [
        ("roads", 0.1, "'roads'.*nodes, links, weights"),
        ("links", 1.1, "1.1.*between 0 and 1"),
        ("nodes", -0.1, "-0.1"),
        ("weights", np.nan, "nan"),
    ],
)
def test_wrong_arguments_are_refused(kind, share, words):
    with pytest.raises(InputError, match=words):
        perturbation_path(sis(), np.ones((2, 2)), kind, start=0.5, shares=[share])
