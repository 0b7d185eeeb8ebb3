"""What is judged: every predictor, every transferability score, and reference points between chance and the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from ncore.benchmark._memory import Memory, MissingForecastError, Remembered
from ncore.benchmark.cases import Case
from ncore.errors import InputError
from ncore.predict import BASELINE, get_predictor, predictor_names, rank_curves
from ncore.predict.calibration import Calibrated
from ncore.predict.forecast import Family, Predictor, Reads
from ncore.predict.predictors.registry import taught
from ncore.predict.sketches import recognised

__all__ = ["COLUMNS", "Kind", "Method", "among_strangers", "predictor_of", "predictors", "scores", "whole_training"]

Kind = Literal["naive", "curve", "capacitance", "learned", "other", "score", "reference"]

COLUMNS = ("candidate", "predicted", "lower", "upper")
_STRANGER, _AMONG_STRANGERS = "a stranger, ", " (strangers)"


@dataclass(frozen=True)
class Method:
    """One row of the tables.

    Attributes:
        name: As ``ncore.rank`` or ``TRANSFER_SCORES`` knows it.
        label: In tables and figures.
        kind: Its family.
        forecast: From the task, the tasks to learn from, and k, to a table of ``COLUMNS``, a row a candidate; None
            where it isn't defined.
        cost: From the task and k to seconds of computing; None for that of training all to epoch k.
    """

    name: str
    label: str
    kind: Kind
    forecast: Callable[[Case, Sequence[Case], int], pd.DataFrame | None]
    cost: Callable[[Case, int], float] | None = None


def predictors(
    names: Sequence[str] | None = None, memory: Memory | None = None, with_benchmark: bool = False
) -> list[Method]:
    """The predictors of ``ncore.rank``.

    Args:
        names: Of them; by default all, and of the slow ones those that the memory knows (or may compute).
        memory: Of slow forecasts; by default what comes with the package.
        with_benchmark: Whether they are taught by the benchmark's runs on other data, too, as ``ncore.rank`` has it:
            for cases that are not of the benchmark.

    Raises:
        InputError: A name is unknown.
    """
    memory = Memory() if memory is None else memory
    chosen = predictor_names(slow=True) if names is None else names
    return [_of_predictor(name, memory, with_benchmark) for name in chosen]


def among_strangers(name: str) -> Method:
    """A predictor that learns, judged as if none of the candidates had been seen before on another task."""
    method = _of_predictor(name, Memory())

    def forecast(case: Case, learned: Sequence[Case], k: int) -> pd.DataFrame | None:
        curves = tuple(replace(curve, candidate=_STRANGER + curve.candidate) for curve in case.curves)
        table = method.forecast(replace(case, curves=curves), learned, k)
        return None if table is None else table.assign(candidate=table["candidate"].str.removeprefix(_STRANGER))

    return Method(name + _AMONG_STRANGERS, f"{method.label}, unknown candidates", "learned", forecast)


def predictor_of(method: str) -> Predictor | None:
    """The predictor behind a row of the tables; None where it is a score or a reference point."""
    name = method.removesuffix(_AMONG_STRANGERS)
    return get_predictor(name) if name in predictor_names(slow=True) else None


def scores(cases: Sequence[Case]) -> list[Method]:
    """The transferability scores that any of the tasks has."""
    from ncore.scores.transfer import TRANSFER_SCORES

    present = {name for case in cases for curve in case.curves for name in curve.scores}
    return [_of_score(name, TRANSFER_SCORES[name].label) for name in TRANSFER_SCORES if name in present]


def whole_training() -> Method:
    """Training every candidate to the end and reading the last validation accuracy.

    What no early method can beat by much.
    """

    def forecast(case: Case, learned: Sequence[Case], k: int) -> pd.DataFrame | None:
        return _ranked(case, get_predictor(BASELINE).fit([other.experience for other in learned]), case.horizon)

    return Method("whole", "Whole training", "reference", forecast, lambda case, k: case.cost(case.horizon))


def _of_predictor(name: str, memory: Memory, with_benchmark: bool = False) -> Method:
    predictor = get_predictor(name)
    if predictor.slow and isinstance(predictor, Calibrated):
        predictor = Calibrated(Remembered(predictor.predictor, memory))
    fitted: dict[tuple[object, ...], Predictor] = {}  # learning once serves every k

    def forecast(case: Case, learned: Sequence[Case], k: int) -> pd.DataFrame | None:
        key = (case.mode, case.name, *learned) if with_benchmark else tuple(learned)
        if key not in fitted:
            own = [other.experience for other in learned]
            teach = with_benchmark and not predictor.slow
            datasets = [case.name, *recognised(curve.sketch for curve in case.curves)]
            fitted[key] = taught(name, case.mode, datasets, own) if teach else predictor.fit(own)
        try:
            return _ranked(case, fitted[key], k)
        except MissingForecastError:
            return None

    def cost(case: Case, k: int) -> float:
        return case.cost(k) + sum(case.score_seconds.get(predictor.score, {}).values())

    return Method(name, predictor.label, _kind(predictor), forecast, cost)


def _of_score(name: str, label: str) -> Method:
    def forecast(case: Case, learned: Sequence[Case], k: int) -> pd.DataFrame | None:
        values = case.scores(name)
        if not np.isfinite(list(values.values())).any():
            return None
        candidates = list(case.observed)
        missing = np.full(len(candidates), np.nan)
        predicted = [values.get(candidate, np.nan) for candidate in candidates]
        return pd.DataFrame({"candidate": candidates, "predicted": predicted, "lower": missing, "upper": missing})

    def cost(case: Case, k: int) -> float:
        return float(sum(case.score_seconds.get(name, {}).values()))

    return Method(name, label, "score", forecast, cost)


def _kind(predictor: Predictor) -> Kind:
    """Its family; in the tables whatever reads beta_eff stands together, so that it shows what that is worth."""
    return Family.CAPACITANCE.value if Reads.BETA_EFF in predictor.reads else predictor.family.value


def _ranked(case: Case, predictor: Predictor, k: int) -> pd.DataFrame | None:
    """What ``ncore.rank`` says of the task as of epoch k."""
    # Without the ends: as of the last epoch they would be measured, and no method be judged.
    blind = [replace(curve, observed=float("nan")) for curve in case.curves]
    try:
        table = rank_curves(blind, epochs=k, method=predictor)
    except InputError:
        return None
    return table[list(COLUMNS)]
