"""How well every method ranks finished tasks: measures, their differences to reading the last accuracy, and costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ncore.benchmark._resampling import FloatArray, resampled_measures
from ncore.benchmark.cases import Case, leave_dataset_out
from ncore.benchmark.methods import Method, predictors, scores, whole_training
from ncore.errors import InputError
from ncore.predict import BASELINE

__all__ = ["AVERAGE", "CORRELATIONS", "KS", "MEASURE_NAMES", "Learn", "evaluate_cases"]

KS = (1, 2, 3, 5, 10)
MEASURE_NAMES = ("kendall", "spearman", "weighted_kendall", "regret", "precision_at_3", "error", "coverage")
CORRELATIONS = ("kendall", "spearman", "weighted_kendall")
AVERAGE = "average"
_NOISE_DRAWS = 200

Learn = Callable[[Case, Sequence[Case]], list[Case]]


def evaluate_cases(
    cases: Sequence[Case],
    methods: Sequence[Method] | None = None,
    *,
    ks: Sequence[int] = KS,
    resamples: int = 1000,
    seed: int = 0,
    recommended: str | None = None,
    learn: Learn = leave_dataset_out,
) -> pd.DataFrame:
    """Judge methods on tasks whose ends are known.

    A candidate's truth is its mean final test accuracy over seeds, and a method's prediction that of ``ncore.rank``. A
    method that predicts the same for all candidates orders nothing: its correlations are 0. Intervals are 95%
    percentile bootstrap ones of differences in which tasks and candidates are both drawn again, a candidate being in or
    out of all tasks at once (the pigeonhole bootstrap: Owen, Annals of Applied Statistics 1, 2007), because the tasks
    share their candidates.

    Args:
        cases: Each with ``FEWEST`` candidates or more.
        methods: By default every predictor, every score that the cases have, and whole training.
        ks: Epochs seen.
        resamples: Of the bootstrap.
        seed: Of everything drawn.
        recommended: The method that others are compared with besides the last accuracy; by default ``ncore.rank``'s.
        learn: From a case and all cases to those that a predictor may learn from before it is judged on that case.

    Returns:
        One row a mode, task (and ``AVERAGE`` over a mode's tasks), k, method and measure, with the columns

        - mode, task, dataset, tasks (how many are averaged), candidates, k;
        - method, label, kind, measure, value;
        - over_last, over_last_lower, over_last_upper: value less that of the last accuracy at the same k;
        - over_last_tasks_lower, over_last_tasks_upper: bounds of the same if only tasks are drawn again, for other
          tasks with the same candidates; of averages only;
        - recommended_over, and the same bounds: value of the recommended method less this one;
        - seconds, share: the cost of all that the method looks at, absolute and in whole trainings of all candidates.

    Raises:
        InputError: There is no case, or k is not positive.
    """
    if not cases or min(ks, default=0) < 1:
        raise InputError(
            f"An evaluation needs cases and epochs k >= 1, but got {len(cases)} cases and k = {tuple(ks)}."
        )
    if recommended is None:
        from ncore.predict import DEFAULT_METHOD

        recommended = DEFAULT_METHOD
    if methods is None:
        methods = [*predictors(), *scores(cases), whole_training()]
    ceilings = {id(case): _ceiling(case) for case in cases}
    parts = []
    for mode in sorted({case.mode for case in cases}):
        chosen = [case for case in cases if case.mode == mode]
        for k in ks:
            fitting = [case for case in chosen if k <= case.horizon]
            if fitting:
                draw = _Draw.of(fitting, resamples, seed)
                parts.append(
                    _judge(fitting, cases, methods, k, draw, recommended, learn, ceilings).assign(mode=mode, k=k)
                )
    table = pd.concat(parts, ignore_index=True)
    first = ["mode", "task", "dataset", "tasks", "candidates", "k", "method", "label", "kind", "measure", "value"]
    return table[[*first, *(name for name in table.columns if name not in first)]]


class _Draw:
    """Counts of a bootstrap: of each candidate (B, C), with the columns of each task, and of each task (B, T)."""

    def __init__(self, candidates: FloatArray, columns: list[list[int]], cases: FloatArray) -> None:
        self.candidates, self.columns, self.tasks = candidates, columns, cases

    @classmethod
    def of(cls, cases: Sequence[Case], resamples: int, seed: int) -> _Draw:
        """The first row is the data themselves."""
        names = sorted({name for case in cases for name in case.observed})
        rng = np.random.default_rng(seed)

        def counts(n: int) -> FloatArray:
            drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
            return np.concatenate([np.ones((1, n)), drawn])

        columns = [[names.index(name) for name in case.observed] for case in cases]
        return cls(counts(len(names)), columns, counts(len(cases)))


def _judge(
    cases: Sequence[Case],
    known: Sequence[Case],
    methods: Sequence[Method],
    k: int,
    draw: _Draw,
    recommended: str,
    learn: Learn,
    ceilings: Mapping[int, dict[str, float]],
) -> pd.DataFrame:
    """One mode and k: rows of every task and of their average."""
    found: dict[str, list[dict[str, FloatArray]]] = {}  # method -> case by case, measure -> (1 + resamples,)
    for case, columns in zip(cases, draw.columns, strict=True):
        counts = draw.candidates[:, columns]
        for method in methods:
            forecast = method.forecast(case, learn(case, known), k)
            if forecast is not None:
                found.setdefault(method.name, []).append(_measured(case, forecast, counts))
    # What is defined for some of the cases only has no average to compare.
    found = {name: values for name, values in found.items() if len(values) == len(cases)}
    rows: list[dict[str, Any]] = []
    for number in (*range(len(cases)), None):
        about = _about(cases, number)
        here = cases if number is None else [cases[number]]
        for method in methods:
            if method.name not in found:
                continue
            cost = [method.cost(case, k) if method.cost else case.cost(k) for case in here]
            share = [_over(seconds, case.cost(case.horizon)) for seconds, case in zip(cost, here, strict=True)]
            told: dict[str, Any] = {"method": method.name, "label": method.label, "kind": method.kind}
            told |= {"seconds": _mean(cost), "share": _mean(share)}
            for measure in MEASURE_NAMES:
                values = _averaged(found[method.name], measure, draw.tasks, number)
                row = about | told | {"measure": measure, "value": values[0]}
                for column, other, sign in (("over_last", BASELINE, 1), ("recommended_over", recommended, -1)):
                    if other in found:
                        beside = _averaged(found[other], measure, draw.tasks, number)
                        row |= _interval(column, sign * (values - beside) + 0.0)
                if number is None and BASELINE in found:
                    ours, last = (_over_tasks(found[name], measure, draw.tasks) for name in (method.name, BASELINE))
                    drawn = _interval("over_last_tasks", ours - last)
                    row |= {name: drawn[name] for name in ("over_last_tasks_lower", "over_last_tasks_upper")}
                rows.append(row)
        rows += _reference("chance", "Chance", [_chance(case) for case in here], about)
        rows += _reference("ceiling", "Noise ceiling", [ceilings[id(case)] for case in here], about)
    return pd.DataFrame(rows)


def _measured(case: Case, forecast: pd.DataFrame, counts: FloatArray) -> dict[str, FloatArray]:
    """All measures of one ranking, for every resample."""
    observed = case.observed
    table = forecast.set_index("candidate").reindex(list(observed))
    predicted, lower, upper = (table[name].to_numpy(np.float64) for name in ("predicted", "lower", "upper"))
    truth = np.array([np.mean(values) for values in observed.values()])
    # The interval is one for a further run of the candidate, so each of its runs is held against it.
    inside = np.array(
        [
            np.mean([low <= value <= high for value in values]) if np.isfinite(low) else np.nan
            for values, low, high in zip(observed.values(), lower, upper, strict=True)
        ]
    )
    found = resampled_measures(predicted, truth, counts, inside)
    if not np.isfinite(lower).any():  # a score is no forecast of an accuracy
        found["error"] = np.full(len(counts), np.nan)
    for name in CORRELATIONS:
        if np.isnan(found[name][0]):
            found[name] = np.where(np.isnan(found[name]), 0.0, found[name])
    return found


def _averaged(
    values: Sequence[dict[str, FloatArray]], measure: str, weights: FloatArray, number: int | None
) -> FloatArray:
    """A measure of one task, or its mean over the tasks of each resample; shape (1 + resamples,)."""
    if number is not None:
        return values[number][measure]
    stacked = np.stack([value[measure] for value in values], axis=1)
    known = np.isfinite(stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: FloatArray = (weights * np.where(known, stacked, 0)).sum(1) / (weights * known).sum(1)
    return found


def _over_tasks(values: Sequence[dict[str, FloatArray]], measure: str, weights: FloatArray) -> FloatArray:
    """The mean over the tasks of each resample, candidates as they are; shape (1 + resamples,)."""
    whole = [{measure: np.full(len(weights), value[measure][0])} for value in values]
    return _averaged(whole, measure, weights, None)


def _interval(name: str, differences: FloatArray) -> dict[str, float]:
    """The difference itself, and the bounds that 95% of its resamples lie in."""
    drawn = differences[1:][np.isfinite(differences[1:])]
    lower, upper = np.quantile(drawn, [0.025, 0.975]) if drawn.size else (np.nan, np.nan)
    return {name: differences[0], f"{name}_lower": float(lower), f"{name}_upper": float(upper)}


def _reference(name: str, label: str, found: Sequence[dict[str, float]], about: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of what no method reads from the curves: chance, and the ceiling that noise leaves."""
    told = about | {"method": name, "label": label, "kind": "reference"}
    return [
        told | {"measure": measure, "value": _mean([values.get(measure, np.nan) for values in found])}
        for measure in MEASURE_NAMES
    ]


def _chance(case: Case) -> dict[str, float]:
    """Expected measures of an order drawn at random."""
    truth = np.array([np.mean(values) for values in case.observed.values()])
    return {
        **dict.fromkeys(CORRELATIONS, 0.0),
        "regret": 100 * float(truth.max() - truth.mean()),
        "precision_at_3": 3 / truth.size if truth.size > 3 else np.nan,
    }


def _ceiling(case: Case) -> dict[str, float]:
    """What knowing every candidate's expected final accuracy would give, as the observed one is a noisy reading of it.

    The observed accuracies stand in for the expected ones, and noise is added to them: that of a mean over seeds, from
    their variance, and the binomial one of a test set of finite size. As errors on a shared test set go together, and
    as observed accuracies are spread a little more widely than expected ones, the ceiling is an estimate.
    """
    observed = list(case.observed.values())
    truth = np.array([np.mean(values) for values in observed])
    variance = np.array([np.var(values, ddof=1) / len(values) if len(values) > 1 else 0.0 for values in observed])
    if case.test_images:
        variance = variance + truth * (1 - truth) / case.test_images
    noise = np.sqrt(variance) * np.random.default_rng(0).standard_normal((_NOISE_DRAWS, truth.size))
    drawn = [resampled_measures(truth, again, np.ones((1, truth.size))) for again in truth + noise]
    return {name: _mean([values[name][0] for values in drawn]) for name in MEASURE_NAMES}


def _about(cases: Sequence[Case], number: int | None) -> dict[str, Any]:
    if number is None:
        candidates = {name for case in cases for name in case.observed}
        return {"task": AVERAGE, "dataset": "", "tasks": len(cases), "candidates": len(candidates)}
    case = cases[number]
    return {"task": case.name, "dataset": case.dataset, "tasks": 1, "candidates": len(case.observed)}


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
