"""Real runs for lessons: those of the benchmark that comes with the package, on one task and in one mode."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from ncore.benchmark.table import curves, load_table
from ncore.predict import Curve, get_predictor

__all__ = ["ABOUT", "MODE", "SEED", "TASK", "forecasts", "real_curves"]

TASK, MODE, SEED = "cifar10-1000", "unit", 0
ABOUT = "1,000 training images of CIFAR-10, frozen networks under a new head"


@st.cache_data(max_entries=1)
def real_curves() -> list[Curve]:
    """One finished run of each candidate, in order of name."""
    found = curves(load_table(), TASK, MODE)
    return [curve for curve in found if curve.seed == SEED and curve.usable and math.isfinite(curve.observed)]


@st.cache_data(max_entries=60)
def forecasts(method: str, epoch: int) -> pd.DataFrame:
    """What a method says after an epoch, and what came.

    Returns:
        Columns candidate, predicted, observed and warning; accuracies are fractions.
    """
    known = real_curves()
    said = get_predictor(method).predict([curve.until(epoch) for curve in known])
    return pd.DataFrame(
        {
            "candidate": [curve.candidate for curve in known],
            "predicted": np.array([forecast.mean for forecast in said]),
            "observed": np.array([curve.observed for curve in known]),
            "warning": [forecast.warning for forecast in said],
        }
    )
