"""Systems: the formulas of the literature, their derivatives, their parameters, and any other f and g."""

import math
import subprocess
import sys

import numpy as np
import pytest

from ncore.errors import InputError
from ncore.network.dynamics import SYSTEMS, System, gene_regulation, mutualistic, sis

CASES = [mutualistic(), mutualistic(B=0, K=3, C=2, D=1, E=0.5, H=0), sis(B=0.7, R=0.3), gene_regulation()]
CASES += [gene_regulation(B=2, f=2, h=1), gene_regulation(f=1.5, h=3.5)]


def states(system, count=200):
    rng = np.random.default_rng(0)
    high = min(system.domain[1], 10.0)
    return rng.uniform(0.01, high, size=(2, count))


@pytest.mark.parametrize("system", CASES, ids=lambda s: s.name)
@pytest.mark.parametrize("how", ["difference", "complex"])
def test_analytic_derivatives_are_the_numerical_ones(system, how):
    numerical = System(system.name, system.f, system.g, derivatives=how, domain=system.domain)
    x, y = states(system)
    close = {"rtol": 1e-12, "atol": 1e-14} if how == "complex" else {"rtol": 1e-7, "atol": 1e-8}
    np.testing.assert_allclose(numerical.own_slope(x), system.own_slope(x), **close)
    for one, other in zip(numerical.pull_slopes(x, y), system.pull_slopes(x, y), strict=True):
        np.testing.assert_allclose(one, other, **close)
    np.testing.assert_allclose(numerical.reduced_slope(x, 3.0), system.reduced_slope(x, 3.0), **close)


def test_differences_stay_inside_the_domain():
    root = System("root", f=np.sqrt, g=lambda x, y: np.sqrt(1 - y), domain=(0.0, 1.0))
    assert np.isfinite(root.own_slope(np.array([0.0, 0.5, 1.0]))).all()
    by_x, by_y = root.pull_slopes([0.2, 1.0], [0.5, 1.0])
    assert by_x.tolist() == [0, 0]
    assert np.isfinite(by_y).all()


def test_the_formulas_of_the_design():
    x, y = 2.0, 3.0
    m = mutualistic()
    assert m.own(x) == pytest.approx(0.1 + 2 * (1 - 2 / 5) * (2 / 1 - 1))
    assert m.pull(x, y) == pytest.approx(6 / (5 + 0.9 * 2 + 0.1 * 3))
    assert (sis(B=2, R=3).own(0.5), sis(B=2, R=3).pull(0.5, 0.2)) == (-1, pytest.approx(3 * 0.5 * 0.2))
    assert gene_regulation(B=2, f=2, h=3).own(x) == -8
    assert gene_regulation(h=3).pull(x, y) == pytest.approx(27 / 28)
    assert [p.value for p in m.parameters] == [0.1, 5, 1, 5, 0.9, 0.1]


def test_a_ready_made_system_knows_what_it_is():
    for name, make in SYSTEMS.items():
        system = make()
        assert system.name == name
        assert all([system.label, system.formula, system.state, system.unit, "2016" in system.citation])
        assert all(p.unit and p.meaning for p in system.parameters)


def test_gene_expression_below_zero_by_rounding_is_harmless():
    system = gene_regulation(f=1.5, h=2.5)
    assert system.own(-1e-12) == 0
    assert system.pull(1.0, -1e-12) == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: mutualistic(K=0), "carrying capacity.*positive"),
        (lambda: mutualistic(B=-1), "at least 0"),
        (lambda: sis(R=math.inf), "infection rate.*inf"),
        (lambda: gene_regulation(h=0.5), "h is 0.5.*at least 1"),
        (lambda: System("x", abs, abs, domain=(1, 1)), "lower to a higher"),
        (lambda: System("x", abs, abs, derivatives="auto"), "'auto'.*'complex'"),
    ],
)
def test_impossible_parameters_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_the_package_starts_fast():
    code = "import sys, ncore.network.dynamics; print(*{'torch', 'networkx', 'sklearn'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_a_function_without_complex_step_is_refused():
    system = System("absolute", f=np.abs, g=lambda x, y: y, derivatives="complex")
    with pytest.raises(InputError, match="'difference'"):
        system.own_slope(np.ones(2))
