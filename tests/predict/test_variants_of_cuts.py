"""Seeds that each cut the data anew are seeds of one candidate, and it is said."""

from __future__ import annotations

import numpy as np
import pytest

from ncore.predict.curves import Curve
from ncore.predict.variants import told_apart


@pytest.mark.parametrize("resplit", [True, False])
def test_a_cut_for_each_seed_is_no_other_data(resplit: bool) -> None:
    settings = {"dataset.source": "folder:pets"} | ({"dataset.resplit": True} if resplit else {})
    curves = [
        Curve("net", seed, np.array([1]), np.array([0.5]), {}, 2, settings=settings, data=f"cut {seed}")
        for seed in range(3)
    ]
    found = told_apart(curves)
    assert {curve.candidate for curve in found} == {"net"}
    assert all(("own cut of the data" in curve.warnings) == resplit for curve in found)
    assert all(("can't be compared" in curve.warnings) != resplit for curve in found)
