"""What every predictor of the registry promises, whichever it is."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.errors import InputError
from ncore.predict import DEFAULT_METHOD, Forecast, Predictor, get_predictor, predictor_names

EXPECTED = {
    "last",
    "best",
    "mean",
    "exponential",
    "power",
    "capacitance-absolute",
    "capacitance-relative",
    "capacitance-signed",
}


def test_the_registry():
    assert set(predictor_names()) >= EXPECTED
    assert DEFAULT_METHOD in predictor_names()
    labels = set()
    for name in predictor_names():
        predictor = get_predictor(name)
        assert isinstance(predictor, Predictor)
        assert predictor.name == name
        assert predictor.description
        assert predictor.min_epochs >= 1
        labels.add(predictor.label)
    assert len(labels) == len(predictor_names())


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"The method 'tarot' is not a predictor: use one of 'last', .*'power'"):
        get_predictor("tarot")


@pytest.mark.parametrize("name", predictor_names())
@settings(deadline=None, max_examples=25)
@given(
    tables=st.lists(
        st.lists(st.tuples(st.floats(0, 1), st.floats(-1e6, 1e6) | st.just(np.nan)), min_size=1, max_size=8),
        min_size=0,
        max_size=4,
    ),
    horizon=st.integers(8, 100),
)
def test_any_curves_have_one_finite_forecast_each(make_curve, name, tables, horizon):
    predictor = get_predictor(name)
    strengths = ("absolute", "relative", "signed")
    curves = [
        make_curve(
            [accuracy for accuracy, _ in table],
            horizon=horizon,
            beta={strength: [beta for _, beta in table] for strength in strengths},
        )
        for table in tables
    ]
    forecasts = predictor.predict(curves)
    assert len(forecasts) == len(curves)
    for forecast in forecasts:
        assert 0 <= forecast.mean <= 1
        assert np.isfinite(forecast.sd)
    # Curve by curve for now, so the order of the candidates changes nothing.
    assert predictor.predict(curves[::-1]) == forecasts[::-1]


@pytest.mark.parametrize(("mean", "sd"), [(1.1, 0.1), (-0.1, 0.1), (0.5, -1), (np.nan, 0.1), (0.5, np.nan)])
def test_a_forecast_refuses_what_is_no_accuracy(mean, sd):
    with pytest.raises(InputError, match="must have a mean in"):
        Forecast(mean, sd)


def test_importing_stays_light():
    code = "import sys, ncore.predict; print([m for m in ('torch', 'scipy', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
