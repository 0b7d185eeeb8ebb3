"""One equation for a whole network: thresholds and tipping points in closed form, and how far it may be trusted."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ncore.errors import InputError
from ncore.network.dynamics import (
    GENERATORS,
    Dynamics,
    System,
    barabasi_albert,
    bifurcation,
    compare,
    coupling,
    erdos_renyi,
    gene_regulation,
    mix_by_degree,
    mutualistic,
    random_regular,
    reduced_end,
    reduced_equilibria,
    settle,
    simulate,
    sis,
    star,
)

USUAL = {"B": 0.1, "K": 5.0, "C": 1.0, "D": 5.0, "E": 0.9, "H": 0.1}
POLYNOMIAL = np.polynomial.Polynomial


def mutualistic_polynomials(B, K, C, D, E, H):
    """f(x) (D + (E + H) x) and x^2: the reduced rate is (first + beta second) / (D + (E + H) x)."""
    own = POLYNOMIAL([B]) + POLYNOMIAL([0, 1]) * POLYNOMIAL([1, -1 / K]) * POLYNOMIAL([-1, 1 / C])
    return own * POLYNOMIAL([D, E + H]), POLYNOMIAL([0, 0, 1])


def real_roots(polynomial):
    roots = polynomial.roots()
    return np.sort(roots[np.abs(roots.imag) < 1e-9].real)


def independent_folds(**parameters):
    """(beta, x) where q(x) + beta x^2 has a double root: q' x = 2 q."""
    q, _ = mutualistic_polynomials(**parameters)
    x = real_roots(q.deriv() * POLYNOMIAL([0, 1]) - 2 * q)
    x = x[x > 0]
    return sorted(zip((-q(x) / x**2).tolist(), x.tolist(), strict=True))


def test_the_epidemic_threshold_is_where_beta_eff_times_r_is_b():
    B, R = 0.8, 0.25
    (point,) = bifurcation(sis(B, R), 0, 10).tipping.itertuples(index=False)
    assert (point.kind, point.x) == ("transcritical", 0)
    assert point.beta == pytest.approx(B / R, rel=1e-12)
    below, above = (reduced_equilibria(sis(B, R), beta) for beta in (B / R - 1e-6, B / R + 1e-3))
    assert below.to_dict("list") == {"x": [0], "stable": [True]}
    assert above["stable"].tolist() == [False, True]
    assert above["x"][1] == pytest.approx(1 - B / (R * (B / R + 1e-3)))


@pytest.mark.parametrize("B", [0.3, 1.0, 2.5])
def test_gene_regulation_tips_at_2b(B):
    system = gene_regulation(B, f=1, h=2)
    (point,) = bifurcation(system, 0, 10).tipping.itertuples(index=False)
    assert point.kind == "fold"
    assert point.beta == pytest.approx(2 * B, rel=1e-12)
    assert point.x == pytest.approx(1, rel=1e-7)  # the top of a parabola: x is known to the root of rounding
    assert len(reduced_equilibria(system, 2 * B * (1 - 1e-9))) == 1
    assert len(reduced_equilibria(system, 2 * B * (1 + 1e-9))) == 3
    above = reduced_equilibria(system, 3 * B)
    np.testing.assert_allclose(above["x"], [0, (3 - np.sqrt(5)) / 2, (3 + np.sqrt(5)) / 2], rtol=1e-12)
    assert above["stable"].tolist() == [True, False, True]


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 0.2), st.floats(3, 8), st.floats(0.5, 1.5), st.floats(2, 8), st.floats(0.1, 2), st.floats(0, 2))
def test_mutualistic_tipping_points_are_the_double_roots_of_a_polynomial(B, K, C, D, E, H):
    parameters = dict(zip("BKCDEH", (B, K, C, D, E, H), strict=True))
    expected = [fold for fold in independent_folds(**parameters) if 1e-3 < fold[0] < 50]
    assume(all(abs(a[1] - b[1]) > 1e-2 for a in expected for b in expected if a is not b))
    found = bifurcation(mutualistic(**parameters), 1e-3, 50).tipping
    assert (found["kind"] == "fold").all()
    np.testing.assert_allclose(found["beta"], [beta for beta, _ in expected], rtol=1e-9)
    np.testing.assert_allclose(found["x"], [x for _, x in expected], rtol=1e-5)


def test_the_mutualistic_tipping_point_of_the_usual_values():
    (point,) = bifurcation(mutualistic(), 0, 20).tipping.itertuples(index=False)
    _, (beta, x) = independent_folds(**USUAL)
    assert point.beta == pytest.approx(beta, rel=1e-12)
    assert point.x == pytest.approx(x, rel=1e-6)
    assert round(point.beta, 2) == 6.97  # Gao et al. 2016
    assert len(reduced_equilibria(mutualistic(), beta - 1e-6)) == 3
    assert len(reduced_equilibria(mutualistic(), beta + 1e-6)) == 1


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 30), st.floats(0.05, 0.3), st.floats(3, 60), st.floats(0.5, 20), st.floats(1, 8))
def test_reduced_equilibria_are_the_roots_of_a_polynomial(beta, B, K, C, D):
    parameters = USUAL | {"B": B, "K": K, "C": C, "D": D}
    q, square = mutualistic_polynomials(**parameters)
    rate = q + beta * square
    expected = real_roots(rate)
    expected = expected[expected > 0]
    assume(np.diff(expected, prepend=0, append=1e9).min() > 1e-4)  # away from double roots, where both round
    known = reduced_equilibria(mutualistic(**parameters), beta)
    np.testing.assert_allclose(known["x"], expected, rtol=1e-7)
    slopes = mutualistic(**parameters).reduced_slope(known["x"], beta)
    assert known["stable"].tolist() == (slopes < 0).tolist()


@pytest.mark.parametrize("derivatives", ["difference", "complex"])
def test_any_f_and_g(derivatives):
    """x' = x - x^3 + beta has folds at x = +-1 / sqrt(3), beta = -+2 / (3 sqrt(3)), and states below 0."""
    cubic = System("cubic", f=lambda x: x - x**3, g=lambda x, y: 1.0, derivatives=derivatives, domain=(-np.inf, np.inf))
    found = bifurcation(cubic, -1, 1)
    turn = 2 / (3 * np.sqrt(3))
    np.testing.assert_allclose(found.tipping["beta"], [-turn, turn], rtol=1e-12)
    np.testing.assert_allclose(found.tipping["x"], [1 / np.sqrt(3), -1 / np.sqrt(3)], rtol=1e-6)
    assert found.at(0).to_dict("list") == {"x": pytest.approx([-1, 0, 1]), "stable": [True, False, True]}
    assert found.branches.groupby("branch")["stable"].first().tolist() == [True, False, True]


def test_both_exponents_leave_zero_alike():
    """f = h = 2: x' = x^2 (beta / (1 + x^2) - 1), whose crossing at beta = 1 has no slopes at all."""
    found = bifurcation(gene_regulation(B=1, f=2, h=2), 0, 5)
    (point,) = found.tipping.itertuples(index=False)
    assert point.kind == "transcritical"
    assert (point.beta, point.x) == (pytest.approx(1, abs=1e-6), 0)
    assert found.at(0.9)["stable"].tolist() == [True]
    assert found.at(2)["stable"].tolist() == [False, True]


@pytest.mark.parametrize("system", [mutualistic(), sis(2, 0.5), gene_regulation(), gene_regulation(1, 2, 2)])
def test_a_bifurcation_diagram_holds_what_is_at_rest_at_every_beta(system):
    low, high = 0.0, 15.0
    found = bifurcation(system, low, high)
    branches = found.branches
    assert branches["beta"].between(low, high).all()
    np.testing.assert_allclose(system.reduced_rate(branches["x"], branches["beta"]), 0, atol=1e-9)
    for beta in np.linspace(low, high, 22)[1:-1]:
        lines = []
        for _, line in branches.groupby("branch"):
            line = line.sort_values("beta")
            if line["beta"].iloc[0] <= beta <= line["beta"].iloc[-1]:
                lines.append((np.interp(beta, line["beta"], line["x"]), bool(line["stable"].iloc[0])))
        known = found.at(beta)
        lines.sort()
        assert [stable for _, stable in lines] == known["stable"].tolist()
        np.testing.assert_allclose([x for x, _ in lines], known["x"], rtol=2e-2, atol=1e-3)


def test_a_touching_root_is_found_and_is_not_stable():
    touch = System("touch", f=lambda x: -((x - 0.5) ** 2), g=lambda x, y: 0.0 * x)
    assert reduced_equilibria(touch, 1.0).to_dict("list") == {"x": [pytest.approx(0.5)], "stable": [False]}
    found = bifurcation(touch, 0, 1)
    assert found.tipping.empty
    assert found.branches["x"].tolist() == pytest.approx([0.5, 0.5])


def test_no_tipping_point_is_an_empty_table_of_numbers():
    found = bifurcation(mutualistic(), 10, 20)
    assert found.tipping.dtypes[["beta", "x"]].tolist() == [np.float64, np.float64]
    assert found.tipping.empty
    assert found.branches["branch"].unique().tolist() == [0]


def test_the_reduction_goes_to_the_next_equilibrium():
    low, middle, high = reduced_equilibria(mutualistic(), 4.0)["x"]
    assert reduced_end(mutualistic(), 4.0, 0.0) == low
    assert reduced_end(mutualistic(), 4.0, middle - 1e-3) == low
    assert reduced_end(mutualistic(), 4.0, middle + 1e-3) == high
    assert reduced_end(mutualistic(), 4.0, 100.0) == high
    assert reduced_end(sis(), 4.0, 0.0) == 0
    run = simulate(Dynamics(mutualistic(), np.array([[4.0]])), middle + 1e-3, 100, points=2)
    assert run.final[0] == pytest.approx(high, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bifurcation(sis(), 5, 5), "from 5 to 5"),
        (lambda: bifurcation(sis(), 0, np.inf), "inf"),
        (lambda: bifurcation(sis(), 0, 1, points=1), "1 points"),
        (lambda: reduced_equilibria(sis(), np.nan), "beta is nan"),
        (lambda: reduced_end(sis(), 2, 1.5), "start is 1.5.*between 0.0 and 1.0"),
        (lambda: reduced_equilibria(System("up", f=lambda x: x, g=lambda x, y: y), 1), "without bound"),
        (lambda: reduced_equilibria(System("none", lambda x: 0.0, lambda x, y: 0.0, domain=(0, 1)), 1), "Every state"),
    ],
)
def test_what_has_no_answer_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()


# On networks ----------------------------------------------------------------------------------------------------------

STARTS = {"mutualistic": 5.0, "sis": 0.5, "gene_regulation": 5.0}
#: The largest relative error of x_eff: what the docstring of the reduction states, and a little more.
BOUNDS = {
    "mutualistic": {"watts_strogatz": 0.003, "erdos_renyi": 0.014, "communities": 0.012, "barabasi_albert": 0.065},
    "sis": {"watts_strogatz": 0.02, "erdos_renyi": 0.09, "communities": 0.09, "barabasi_albert": 0.21},
    "gene_regulation": {"watts_strogatz": 0.01, "erdos_renyi": 0.05, "communities": 0.05, "barabasi_albert": 0.09},
}


@pytest.fixture(scope="module")
def networks():
    """125 networks of five kinds: 60 to 108 nodes, mean degrees of 4, 6, 8 and 10."""
    return {
        f"{kind}/{i}": make(60 + 2 * i, 4 + 2 * (i % 4), seed=i) for kind, make in GENERATORS.items() for i in range(25)
    }


@pytest.mark.parametrize("system", [mutualistic(), sis(B=1, R=0.5), gene_regulation()], ids=lambda s: s.name)
def test_the_full_system_against_its_reduction(system, networks, record_property):
    table = compare(system, networks, STARTS[system.name])
    assert table["converged"].all()
    table["kind"] = table["network"].str.split("/").str[0]
    errors = table.groupby("kind")["relative_error"].agg(["median", "mean", "max"])
    record_property("relative_error", errors.to_dict())
    print(f"\n{system.name}: relative error of x_eff\n{errors.to_string(float_format='{:.2e}'.format)}")
    assert errors.loc["random_regular", "max"] < 1e-9  # exact
    for kind, bound in BOUNDS[system.name].items():
        assert errors.loc[kind, "max"] < bound
    # Where degrees are broad the reduction is worse, and it says so by H.
    assert errors.loc["barabasi_albert", "median"] > 2 * errors.loc["erdos_renyi", "median"]
    assert errors.loc["erdos_renyi", "median"] > 2 * errors.loc["watts_strogatz", "median"]
    spread = (table["heterogeneity"] / table["mean_degree"]).rename("spread")
    assert pd.concat([spread, table["relative_error"]], axis=1).corr("spearman").iloc[0, 1] > 0.7


def test_who_is_linked_to_whom_matters_and_beta_eff_does_not_see_it():
    errors = []
    for seed in range(3):
        plain = barabasi_albert(150, 6, seed)
        kinds = {"alike": mix_by_degree(plain, True, seed), "unlike": mix_by_degree(plain, False, seed)}
        assert coupling(kinds["alike"]).beta_eff == pytest.approx(coupling(kinds["unlike"]).beta_eff, rel=1e-12)
        mixing = [nx.degree_assortativity_coefficient(n.to_networkx()) for n in (*kinds.values(), plain)]
        assert mixing[0] > mixing[2] > mixing[1]
        for system, start in ((mutualistic(), 5.0), (gene_regulation(), 8.0)):
            table = compare(system, kinds, start).set_index("network")["relative_error"]
            errors.append((table["alike"], table["unlike"]))
    alike, unlike = np.array(errors).T
    assert (unlike > 1.2 * alike).all()
    assert unlike.max() > 0.05


def test_a_star_is_healthy_where_its_beta_eff_declares_an_epidemic():
    """An infection of a star survives above R = B / sqrt(leaves); the reduction says above 2 B / (leaves + 1)."""
    leaves = 100
    row = compare(sis(B=1, R=0.05), [star(leaves + 1)], 0.5).iloc[0]
    assert row["beta_eff"] * 0.05 > 2
    assert row["x_reduced"] == pytest.approx(1 - 1 / (0.05 * 50.5))
    assert row["x_eff"] == pytest.approx(0, abs=1e-5)
    assert row["relative_error"] == pytest.approx(1, abs=1e-4)
    assert compare(sis(B=1, R=0.11), [star(leaves + 1)], 0.5).iloc[0]["x_eff"] > 0.05


def test_recovery_starts_at_the_hubs_before_the_reduction_allows_it():
    network = erdos_renyi(100, 5, seed=1)
    row = compare(mutualistic(), [network], 0.0).iloc[0]
    tipping = bifurcation(mutualistic(), 0, 20).tipping["beta"].item()
    assert row["beta_eff"] < tipping
    assert row["x_reduced"] < 0.2
    assert row["x_eff"] > 5
    assert row["x_curve"] == pytest.approx(row["x_eff"], rel=0.02)  # it lies on the curve, on its other branch


def test_regular_networks_tip_where_the_reduction_does():
    tipping = bifurcation(mutualistic(), 0, 20).tipping["beta"].item()
    regular = random_regular(20, 4, seed=1).matrix / 4
    for beta, healthy in ((tipping - 0.01, False), (tipping + 0.01, True)):
        end = settle(Dynamics(mutualistic(), beta * regular), 0.0)
        assert (end.effective > 1) is healthy
        assert end.effective == pytest.approx(reduced_end(mutualistic(), beta, 0.0), rel=1e-9)
        assert end.stable


def test_a_network_without_links_has_a_row_and_a_reason():
    row = compare(sis(), [np.zeros((3, 3)), np.ones((2, 2))], 0.5)
    assert row["reason"].tolist()[0] == "the network has no links"
    assert row[["beta_eff", "x_eff", "x_reduced", "x_curve"]].iloc[0].isna().all()
    assert row["mean"].iloc[0] == pytest.approx(0, abs=1e-6)
    assert row["x_eff"].iloc[1] == pytest.approx(0.5)
