"""Domhan's eleven families: their formulas, and that fits recover them."""

import math

import numpy as np
import pytest

from ncore.predict.predictors._curve_families import FAMILIES, fit_family

#: What the paper's Table 1 prints (ilog2 at t + 1), for one t at a time, and parameters of an accuracy's curve.
PRINTED = {
    "vapor pressure": (lambda t, a, b, c: math.exp(a + b / t + c * math.log(t)), (-0.4, -0.8, 0.03)),
    "pow3": (lambda t, c, a, alpha: c - a * t**-alpha, (0.85, 0.5, 0.7)),
    "log log linear": (lambda t, a, b: math.log(a * math.log(t) + b), (0.2, 1.4)),
    "Hill3": (lambda t, y, eta, kappa: y * t**eta / (kappa**eta + t**eta), (0.9, 1.1, 1.4)),
    "log power": (lambda t, a, b, c: a / (1 + (t / math.exp(b)) ** c), (0.85, 0.3, -1.2)),
    "pow4": (lambda t, c, a, b, alpha: c - (a * t + b) ** -alpha, (0.9, 1.5, 0.8, 1.3)),
    "MMF": (lambda t, a, b, k, d: a - (a - b) / (1 + (k * t) ** d), (0.9, 0.1, 0.7, 1.4)),
    "exp4": (lambda t, c, a, b, alpha: c - math.exp(-a * t**alpha + b), (0.85, 0.6, -0.2, 0.8)),
    "Janoschek": (lambda t, a, b, k, d: a - (a - b) * math.exp(-k * t**d), (0.85, 0.1, 0.4, 0.9)),
    "Weibull": (lambda t, a, b, k, d: a - (a - b) * math.exp(-((k * t) ** d)), (0.85, 0.1, 0.4, 0.9)),
    "ilog2": (lambda t, c, a: c - a / math.log(t + 1), (0.9, 0.3)),
}


def test_there_are_eleven():
    assert [family.name for family in FAMILIES] == list(PRINTED)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_formula_is_the_printed_one(family):
    printed, parameters = PRINTED[family.name]
    times = np.array([1.0, 2.0, 7.0, 40.0])
    expected = [printed(t, *parameters) for t in times]
    np.testing.assert_allclose(family(times, np.array(parameters)), expected, rtol=1e-12)
    many = family(times, np.tile(parameters, (3, 2, 1)))
    assert many.shape == (3, 2, 4)
    np.testing.assert_allclose(many[2, 1], expected, rtol=1e-12)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_noiseless_curve_is_recovered_and_continued(family):
    parameters = np.array(PRINTED[family.name][1])
    seen, end = np.arange(1.0, 13), np.array([30.0])
    assert (parameters > family.lower).all()
    assert (parameters < family.upper).all()
    found = fit_family(family, seen, family(seen, parameters))
    np.testing.assert_allclose(family(seen, found), family(seen, parameters), atol=1e-4)
    np.testing.assert_allclose(family(end, found), family(end, parameters), atol=5e-3)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_three_epochs_give_parameters_in_their_ranges(family):
    found = fit_family(family, np.array([1.0, 2, 3]), np.array([0.9, 0.1, 0.5]))
    assert (found >= family.lower).all()
    assert (found <= family.upper).all()
