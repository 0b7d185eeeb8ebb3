"""Probabilities of being the best, held against who was."""

from dataclasses import replace

import numpy as np
import pytest

from ncore.benchmark.cases import cases_from_table
from ncore.benchmark.certainty import certainty
from ncore.benchmark.table import load_table


@pytest.fixture(scope="module")
def cases(table_path):
    return [case for case in cases_from_table(load_table(table_path)) if case.mode == "unit"]


def test_a_clear_winner_is_found_and_one_that_nobody_could_expect_is_missed(cases):
    found = certainty(cases, ks=(3,))
    assert found["right"].tolist() == found["held"].tolist() == [1] * len(cases)  # the best is 9 points ahead

    def turned(case):
        """The worst candidate ends best, without any sign of it."""
        return replace(
            case,
            curves=tuple(replace(c, observed=0.999) if c.candidate == "net 0" else c for c in case.curves),
        )

    surprised = certainty([turned(cases[0]), *cases[1:]], ks=(3,))
    assert surprised["right"].tolist() == surprised["held"].tolist() == [0, *[1] * (len(cases) - 1)]


def test_the_set_grows_as_the_risk_falls(cases):
    sizes = [certainty(cases, ks=(1,), risk=risk)["size"].to_numpy() for risk in (0.5, 0.1, 0.0)]
    assert (np.diff(sizes, axis=0) >= 0).all()
    assert (sizes[2] > sizes[0]).any()
    found = certainty(cases, ks=(1, 3, 6, 10))
    assert sorted(set(found["k"])) == [1, 3]  # as of the end there is nothing to be sure of
    assert found["probability"].between(0, 1).all()
