from __future__ import annotations

import pytest
from ncore_dashboard.data.runs_table import FIELDS
from ncore_dashboard.text.explanations import EXPLANATIONS, explanation

from ncore.predict import MEASURES


@pytest.mark.parametrize("name", list(EXPLANATIONS))
def test_every_explanation_is_complete_and_short(name: str) -> None:
    found = explanation(name)
    assert found.label
    assert found.meaning
    assert found.direction
    assert found.trust
    assert len(found.text) < 900
    assert "**Direction:**" in found.text


def test_everything_that_is_shown_is_explained() -> None:
    assert set(MEASURES) <= set(EXPLANATIONS)
    for field in FIELDS.values():
        assert not field.explained or field.help
    assert explanation("beta_eff relative").axis == "beta_eff, relative"
    assert explanation("predicted").axis == "Predicted final accuracy (%)"
