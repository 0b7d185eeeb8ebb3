"""How well early epochs and zero-cost scores order the cells of NAS-Bench-201, by two truths.

The truth ``here`` is the final test accuracy of the same cells trained at reduced size, ``published`` that of the
benchmark at its own size. References stand beside the methods: ``chance``, which knows nothing; ``whole``, the
validation accuracy after all epochs; ``ceiling``, what the noise of the final accuracies here leaves to be had; and,
against the published truth, ``final``: what is trained here can follow the published order only as far as its own final
accuracies do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ncore.benchmark._resampling import FloatArray, resampled_measures
from ncore.benchmark.cases import Case, cases_from_table
from ncore.benchmark.evaluation import evaluate_cases
from ncore.benchmark.methods import Method, predictors, whole_training
from ncore.errors import InputError
from ncore.predict import BASELINE
from ncore.scores.zero_cost import ZERO_COST_SCORES

__all__ = ["HERE", "KS", "MEASURES", "PUBLISHED", "evaluate_nas"]

KS = (1, 2, 3, 5, 10)
MEASURES = ("kendall", "spearman", "regret")
HERE, PUBLISHED = "here", "published"
_LEVELS = (0.025, 0.975)


def evaluate_nas(
    table: pd.DataFrame,
    methods: Sequence[Method] | None = None,
    *,
    learned: Sequence[Case] = (),
    ks: Sequence[int] = KS,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Judge early predictors and zero-cost scores on one set of cells.

    A cell's truth here is its mean final test accuracy over seeds, a predictor's forecast that of ``ncore.rank``, and a
    score is read once, before training, so that it is the same at every k. Cells without a final accuracy, or a
    published one, are left out against that truth. A method that says the same of all cells orders nothing: its
    correlations are 0.

    Args:
        table: Rows as ``ncore.benchmark.nas.table`` describes, of one task and mode.
        methods: Early predictors; by default the quick ones of ``ncore.rank``.
        learned: Cases that predictors which learn may learn from; without any these are left out.
        ks: Epochs seen; those after the last epoch are left out.
        resamples: Of the bootstrap over cells.
        seed: Of it.

    Returns:
        One row a truth, k, method and measure, with the columns

        - truth, cells (how many), k;
        - method, label, kind, measure ("kendall", "spearman", or "regret" in accuracy points of that truth);
        - value, lower, upper: with its 95% percentile bootstrap interval over cells;
        - over_last, over_last_lower, over_last_upper: value less that of the last accuracy at the same k, resampled
          together;
        - seconds: of the processor, for training all cells to epoch k or computing their scores.

    Raises:
        InputError: The table is not of one task and mode with four finished cells or more, or lacks a column.

    Example:
        >>> from ncore.benchmark.table import load_table
        >>> from ncore.benchmark.nas.table import COMMITTED
        >>> found = evaluate_nas(load_table(COMMITTED), ks=[3], resamples=20)
        >>> sorted(found["truth"].unique())
        ['here', 'published']
    """
    if "published_accuracy" not in table:
        raise InputError("The table has no column 'published_accuracy': give the table of the NAS benchmark.")
    cases = cases_from_table(table)
    if len(cases) != 1:
        named = ", ".join(f"{case.name} ({case.mode})" for case in cases)
        raise InputError(f"The table has {len(cases)} tasks and modes, {named}, but one was expected: select it.")
    case = cases[0]
    here = {name: float(np.mean(values)) for name, values in case.observed.items()}
    known = table.dropna(subset=["published_accuracy"]).groupby("candidate")["published_accuracy"].first()
    published = {name: float(known[name]) for name in here if name in known}
    methods = predictors() if methods is None else methods
    # One that has nothing to learn from would be another's forecast under its name.
    able = [method for method in methods if learned or method.kind != "learned"]
    methods = [*able, *_scores(table), whole_training(), _CHANCE]
    parts = []
    for k in (k for k in ks if k <= case.horizon):
        guesses = _guesses(case, methods, learned, k)
        parts.append(_judge(here, HERE, guesses, resamples, seed).assign(k=k))
        if len(published) > 1:
            parts.append(_judge(published, PUBLISHED, [*guesses, (_FINAL, here)], resamples, seed).assign(k=k))
        parts.append(_ceiling(case, k).assign(cells=len(here), k=k))
    found = pd.concat(parts, ignore_index=True)
    methods.append(_FINAL)
    costs = {(method.name, k): method.cost(case, k) if method.cost else case.cost(k) for method in methods for k in ks}
    found["seconds"] = [costs.get(key, np.nan) for key in zip(found["method"], found["k"], strict=True)]
    first = ["truth", "cells", "k", "method", "label", "kind", "measure", "value", "lower", "upper"]
    return found[[*first, *(name for name in found.columns if name not in first)]]


def _guesses(
    case: Case, methods: Sequence[Method], learned: Sequence[Case], k: int
) -> list[tuple[Method, dict[str, float]]]:
    """What each method says of each cell; those that can't say anything at k are left out."""
    found = []
    for method in methods:
        forecast = method.forecast(case, learned, k)
        if forecast is not None:
            found.append((method, dict(zip(forecast["candidate"], forecast["predicted"], strict=True))))
    return found


def _judge(
    truth: dict[str, float],
    name: str,
    guesses: Sequence[tuple[Method, dict[str, float]]],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """One truth and k: a row a method and measure."""
    true, size = np.array(list(truth.values())), len(truth)
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=resamples)
    counts = np.concatenate([np.ones((1, size)), drawn])
    measured = {
        method.name: _measures(np.array([guess.get(cell, np.nan) for cell in truth]), true, counts)
        for method, guess in guesses
    }
    rows: list[dict[str, Any]] = []
    for method, _ in guesses:
        for measure in MEASURES:
            values = measured[method.name][measure]
            row: dict[str, Any] = {
                "truth": name,
                "cells": size,
                "method": method.name,
                "label": method.label,
                "kind": method.kind,
            }
            row |= {"measure": measure} | _interval("value", "", values)
            if BASELINE in measured:
                row |= _interval("over_last", "over_last_", values - measured[BASELINE][measure])
            rows.append(row)
    return pd.DataFrame(rows)


def _measures(guess: FloatArray, true: FloatArray, counts: FloatArray) -> dict[str, FloatArray]:
    found = resampled_measures(guess, true, counts)
    # Nothing to order is no correlation: a constant prediction, or a resample in which all cells are one.
    return {name: found[name] if name == "regret" else np.nan_to_num(found[name]) for name in MEASURES}


def _interval(name: str, prefix: str, values: FloatArray) -> dict[str, float]:
    """The value of the data themselves, and the bounds of 95% of the resamples."""
    lower, upper = np.quantile(values[1:], _LEVELS) if values.size > 1 else (np.nan, np.nan)
    return {name: float(values[0]), f"{prefix}lower": float(lower), f"{prefix}upper": float(upper)}


def _ceiling(case: Case, k: int) -> pd.DataFrame:
    """What knowing each cell's expected accuracy would give, where the observed one is a noisy reading of it."""
    found = evaluate_cases([case], [], ks=[k], resamples=1)
    rows = found[(found["method"] == "ceiling") & (found["task"] == case.name) & found["measure"].isin(MEASURES)]
    return rows[["method", "label", "kind", "measure", "value"]].assign(truth=HERE)


def _scores(table: pd.DataFrame) -> list[Method]:
    """The zero-cost scores that the table has."""
    cells = table.groupby("candidate").first()
    return [_of_score(name, cells) for name in ZERO_COST_SCORES if f"score_{name}" in cells]


def _of_score(name: str, cells: pd.DataFrame) -> Method:
    score = ZERO_COST_SCORES[name]
    values = cells[f"score_{name}"] * (1 if score.higher_is_better else -1)
    seconds = float(cells[f"score_seconds_{name}"].sum())
    told = pd.DataFrame({"candidate": cells.index, "predicted": values.to_numpy(np.float64)})
    return Method(name, score.label, "score", lambda case, learned, k: told, lambda case, k: seconds)


def _same(case: Case, learned: Sequence[Case], k: int) -> pd.DataFrame:
    """The same of all cells."""
    return pd.DataFrame({"candidate": list(case.observed), "predicted": 0.0})


_CHANCE = Method("chance", "Chance", "reference", _same, lambda case, k: 0.0)
_FINAL = Method("final", "Final accuracy here", "reference", lambda *_: None, lambda case, k: case.cost(case.horizon))
