"""Lesson: from beta_eff to a forecast, and when not to trust it. All of it are real runs of the benchmark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from ncore.network.strengths import Strength
from ncore.predict import BASELINE, Curve, get_predictor, kendall
from ncore.predict.predictors.capacitance import ridge_line
from ncore_dashboard.figures.candidate_styles import styles_of
from ncore_dashboard.figures.plane import accuracy_against_beta
from ncore_dashboard.learn.figures import ranking
from ncore_dashboard.learn.lessons.frame import Lesson, Question, Screen
from ncore_dashboard.learn.lessons.real_runs import ABOUT, forecasts, real_curves
from ncore_dashboard.parts import ui
from ncore_dashboard.state import session

__all__ = ["EARLY", "EPOCHS", "LESSON", "METHOD", "STRENGTH", "cases"]

STRENGTH, METHOD, EARLY = Strength.RELATIVE, "capacitance-relative", 3
EPOCHS = (3, 4, 5, 6, 8, 10)


@st.cache_data(max_entries=1)
def cases() -> tuple[str, str]:
    """Candidates that the line serves well, and that it misleads, after three epochs: smallest and largest error."""
    table = forecasts(METHOD, EARLY)
    table = table[table["warning"] == ""]
    error = (table["predicted"] - table["observed"]).abs()
    rises = [
        curve.candidate
        for curve in real_curves()
        if curve.accuracy.size > EARLY and curve.accuracy[EARLY - 1] > 1.2 * curve.accuracy[0]
    ]
    good = error[table["candidate"].isin(rises)]
    return str(table["candidate"][(good if len(good) else error).idxmin()]), str(table["candidate"][error.idxmax()])


def _curve(candidate: str) -> Curve:
    return next(curve for curve in real_curves() if curve.candidate == candidate)


def _plane(curve: Curve, seen: int, key: str) -> tuple[float, float]:
    """The run in the plane of beta_eff and accuracy, with the line fitted so far; predicted and observed accuracy."""
    beta = curve.beta[STRENGTH]
    points = pd.DataFrame(
        {
            "key": curve.candidate,
            "candidate": curve.candidate,
            "seed": curve.seed,
            "epoch": curve.epochs,
            "beta_eff": beta,
            "accuracy": curve.accuracy,
        }
    )
    fitted = curve.epochs <= seen
    line = ridge_line(beta[fitted], curve.accuracy[fitted])
    said = get_predictor(METHOD).predict([curve.until(seen)])[0].mean
    ui.chart(
        accuracy_against_beta(
            points,
            {} if line is None else {curve.candidate: line},
            {curve.candidate: curve.observed},
            styles_of([curve.candidate]),
            STRENGTH,
            seen,
            dark=ui.is_dark(),
        ),
        key,
        f"Accuracy of {curve.candidate} against beta_eff. The line through the first {seen} epochs meets beta_eff = 0 "
        f"at {100 * said:.0f} per cent; the final accuracy is {100 * curve.observed:.0f} per cent.",
        points,
    )
    return said, curve.observed


def _read() -> Question:
    seen = st.select_slider("Epochs seen", EPOCHS, value=EARLY, **session.setting("forecast-seen"))
    seen = session.one_of(seen, EPOCHS, EARLY)
    curve = _curve(cases()[0])
    said, came = _plane(curve, seen, "lesson-forecast")
    st.markdown(
        f"After **{seen}** epochs the line says **{100 * said:.1f}%**; after {curve.horizon} epochs it was "
        f"**{100 * came:.1f}%**."
    )
    return Question(
        "Where in this picture is the forecast read?",
        (
            "At the filled point that is highest.",
            "Where the dashed line meets beta_eff = 0.",
            "Where the dashed line ends on the right.",
        ),
        1,
        "Training moves the points to the left, because errors vanish and [[beta_eff]] with them. The line is "
        "continued to where none are left, which is the open circle; the star is what came.",
    )


def _mislead() -> Question:
    seen = st.select_slider("Epochs seen", EPOCHS, value=EARLY, **session.setting("forecast-misled"))
    seen = session.one_of(seen, EPOCHS, EARLY)
    curve = _curve(cases()[1])
    said, came = _plane(curve, seen, "lesson-misled")
    last = float(curve.accuracy[curve.epochs <= seen][-1])
    st.markdown(
        f"After **{seen}** epochs the line says **{100 * said:.1f}%**, the last accuracy is **{100 * last:.1f}%**; "
        f"after {curve.horizon} epochs it was **{100 * came:.1f}%**."
    )
    options = ("It is too high.", "It is right, to within 2 points.", "It is too low.")
    right = 1 if abs(said - came) <= 0.02 else (0 if said > came else 2)
    return Question(
        "What of the forecast, at the epochs that you chose?",
        options,
        right,
        f"It is off by {100 * (said - came):+.1f} points; reading the last accuracy is off by "
        f"{100 * (last - came):+.1f}. The line is continued far beyond what it was fitted to, and nothing makes the "
        "rest of training follow it: errors on the [[probe]] also vanish when a network learns its training examples "
        "by heart, which is [[overfitting]].",
    )


def _all() -> Question:
    seen = st.select_slider("Epochs seen", EPOCHS, value=EARLY, **session.setting("forecast-all"))
    seen = session.one_of(seen, EPOCHS, EARLY)
    columns = st.columns(2)
    taus = []
    for column, (method, label) in zip(
        columns, ((METHOD, "the line, h(0)"), (BASELINE, "the last accuracy")), strict=True
    ):
        table = forecasts(method, seen)
        tau = float(kendall(table["predicted"], table["observed"]))
        taus.append(tau)
        with column:
            st.markdown(f"**By {label}**: Kendall's tau {tau:.2f}")
            ui.chart(
                ranking.predicted_against_observed(table, label, ui.is_dark()),
                f"lesson-all-{method}",
                f"Predicted and observed final accuracy of {len(table)} candidates, by {label}, after {seen} epochs.",
                table,
            )
    options = ("the line, h(0)", "the last accuracy", "Both alike, to within 0.02.")
    right = 2 if abs(taus[0] - taus[1]) <= 0.02 else int(np.argmax(taus))
    return Question(
        "Which of the two puts the candidates in the better order, at the epochs that you chose?",
        options,
        right,
        f"[[Kendall's tau]] is {taus[0]:.2f} for the line and {taus[1]:.2f} for the last accuracy: points that rise "
        "together are in the right order, wherever they lie beside the diagonal. The page Ranking says which method "
        "has been best over all tasks; it is worth looking, because the method that is named after a theory need not "
        "be it.",
    )


LESSON = Lesson(
    title="From beta_eff to a forecast",
    question="How does one number forecast where training ends, and when not to trust it?",
    minutes=6,
    screens=(
        Screen(
            "Where the line meets zero",
            f"A real run ({ABOUT}): each point is an epoch, by [[beta_eff]] and accuracy. The dashed line is "
            "fitted to the filled points, those seen so far. See more epochs, and watch the line.",
            _read,
        ),
        Screen(
            "A case where it misleads",
            "Of all candidates of that task this is the one for which the line was most wrong after "
            f"{EARLY} epochs. See more epochs: when does it come right?",
            _mislead,
        ),
        Screen(
            "All candidates at once",
            "What matters for a choice is the order. Each point is a candidate; a good forecast has them rise "
            "from the lower left to the upper right.",
            _all,
        ),
    ),
)
