"""How far methods can be trusted: what they did on the benchmark, and on the finished runs of the open stores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from cachetools import LRUCache, cached

from ncore.errors import InputError
from ncore.predict import BASELINE, DEFAULT_METHOD, Curve, Past, Ranker, get_predictor
from ncore_dashboard.data import rankings

if TYPE_CHECKING:
    from ncore.benchmark.findings import Findings

__all__ = ["FEWEST", "MOST_TASKS", "Verdict", "benchmark", "beside", "differences", "finished", "own_record", "verdict"]

FEWEST = 4
"""Finished candidates that a dataset needs to be a test of a method."""
MOST_TASKS = 12
"""Of the own ones, those with the most candidates first: judging takes time."""


def beside(method: str) -> list[str]:
    """The methods that are shown on own runs: the chosen and the recommended one, the naive ones, the paper's."""
    return list(dict.fromkeys([method, DEFAULT_METHOD, BASELINE, "loss", "power", "capacitance-relative"]))


def benchmark() -> Findings | None:
    """The results of the benchmark; None if they did not come with this installation."""
    from ncore.benchmark.findings import EVALUATION, FOLDER

    path = FOLDER / "results" / EVALUATION
    return _read(path.stat().st_mtime_ns) if path.is_file() else None


@cached(LRUCache(1), condition=Condition())
def _read(version: int) -> Findings | None:
    from ncore.benchmark.findings import FOLDER, read_results

    try:
        return read_results(FOLDER)
    except InputError:
        return None


def differences(findings: Findings, mode: str, k: int) -> pd.DataFrame:
    """The benchmark's averages of one mode as of one epoch, a row a method, best first.

    Returns:
        Columns: method, label, kind, kendall, difference, lower, upper (to the last accuracy), regret, precision_at_3,
        error, coverage, share.
    """
    part = findings.average
    part = part[(part["mode"] == mode) & (part["k"] == k)]
    values = part.pivot_table(index="method", columns="measure", values="value", sort=False)
    tau = part[part["measure"] == "kendall"].set_index("method")
    table = pd.DataFrame(
        {
            "label": tau["label"],
            "kind": tau["kind"],
            "kendall": tau["value"],
            "difference": tau["over_last"],
            "lower": tau["over_last_lower"],
            "upper": tau["over_last_upper"],
            "share": tau["share"],
        }
    )
    for name in ("regret", "precision_at_3", "error", "coverage"):
        table[name] = values.get(name, math.nan)
    return table.sort_values("kendall", ascending=False, kind="stable").reset_index()


@dataclass(frozen=True)
class Verdict:
    """What the benchmark says of a method.

    Attributes:
        text: In a sentence.
        better: Whether it is shown to be better than reading the last accuracy; None if not either way.
    """

    text: str
    better: bool | None


def verdict(table: pd.DataFrame, method: str, tasks: int, k: int) -> Verdict:
    """Judge a method by what :func:`differences` returned."""
    rows = table[table["method"] == method]
    if rows.empty:
        return Verdict("The benchmark says nothing of this method after so few epochs.", None)
    row = rows.iloc[0]
    label = get_predictor(method).label
    epochs = "1 epoch" if k == 1 else f"{k} epochs"
    text = (
        f"On {tasks} tasks that it had not seen, “{label}” reached a Kendall's tau of {row['kendall']:.2f} after "
        f"{epochs}, and its first choice lost {row['regret']:.1f} accuracy points on average"
    )
    if pd.notna(row["coverage"]):
        text += f"; its 90% intervals held {100 * row['coverage']:.0f}% of the final accuracies"
    if method == BASELINE:
        return Verdict(f"{text}. It is the simplest method, and the one to beat.", None)
    better = True if row["lower"] > 0 else False if row["upper"] < 0 else None
    said = {
        True: "better than reading the last accuracy",
        False: "worse than reading the last accuracy",
        None: "not shown to be better or worse than reading the last accuracy",
    }[better]
    return Verdict(
        f"{text}. That is {said}: {row['difference']:+.2f}, 95% interval {row['lower']:+.2f} to {row['upper']:+.2f}.",
        better,
    )


def finished(curves: Mapping[tuple[str, str], Sequence[Curve]]) -> dict[tuple[str, str], list[Curve]]:
    """The datasets and modes that can test a method: those with enough candidates whose end is known.

    Args:
        curves: By dataset and mode.

    Returns:
        Their finished runs, the tasks with the most candidates first.
    """
    found = {}
    for key, members in curves.items():
        ended = [curve for curve in members if np.isfinite(curve.observed) and curve.usable]
        if len({curve.candidate for curve in ended}) >= FEWEST:
            found[key] = ended
    order = sorted(found, key=lambda key: (-len({curve.candidate for curve in found[key]}), key))
    return {key: found[key] for key in order[:MOST_TASKS]}


def own_record(
    tasks: Mapping[tuple[str, str], Sequence[Curve]],
    pasts: Mapping[tuple[str, str], Past],
    methods: Sequence[str],
    k: int,
) -> pd.DataFrame:
    """How methods did on own finished runs, seen up to epoch ``k`` only, with the past of each task to learn from.

    Returns:
        One row a method: method, label, tasks (where it could be used), right and pairs (pairs of candidates put in
        the right order), kendall, regret and error, in the mean over these tasks; most pairs right first.
    """
    rows = []
    for name in methods:
        judged = []
        for key, curves in tasks.items():
            # As of the end there is nothing to predict.
            table = rankings.ranking(curves, Ranker(name, pasts[key]), k) if k < rankings.horizon(curves) else ""
            if isinstance(table, pd.DataFrame):
                judged.append(rankings.verdict(table))
        pairs = sum(one.pairs for one in judged)
        rows.append(
            {
                "method": name,
                "label": get_predictor(name).label,
                "tasks": len(judged),
                "right": sum(one.right for one in judged),
                "pairs": pairs,
                "kendall": _mean([one.measures["kendall"] for one in judged]),
                "regret": _mean([one.measures["regret"] for one in judged]),
                "error": _mean([one.error for one in judged]),
            }
        )
    table = pd.DataFrame(rows)
    share = table["right"] / table["pairs"].where(table["pairs"] > 0)
    return table.assign(share=share).sort_values("share", ascending=False, kind="stable", ignore_index=True)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan
