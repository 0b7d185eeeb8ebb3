"""What ``ncore evaluate`` does: read, judge, store."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ncore.benchmark._memory import COMMITTED, Memory
from ncore.benchmark.cases import Case, as_if_unrelated, cases_from_store, cases_from_table
from ncore.benchmark.evaluation import evaluate_cases
from ncore.benchmark.methods import among_strangers, predictors, scores, whole_training
from ncore.benchmark.table import load_table
from ncore.errors import InputError
from ncore.predict import DEFAULT_METHOD, get_predictor

__all__ = ["evaluate"]


def evaluate(
    table: Path | None = None,
    *,
    store: str | None = None,
    epochs: str = "1,2,3,5,10",
    resamples: int = 1000,
    loose: bool = False,
    slow: bool = False,
    output: Path | None = None,
) -> pd.DataFrame:
    """Judge all methods by a table of the benchmark, or by a store; see ``ncore.benchmark.evaluation.evaluate_cases``.

    Args:
        table: By default the one that comes with the package.
        store: Folder or URL of runs, instead of a table.
        epochs: Values of k, separated by commas.
        resamples: Of the bootstrap.
        loose: Learn from other tasks of the same dataset too.
        slow: Compute forecasts of slow methods that are not remembered, and remember them.
        output: Parquet file for the result.

    Raises:
        InputError: An argument doesn't fit, or there is nothing to judge by.
    """
    if table is not None and store is not None:
        raise InputError(f"Methods are judged by the table {str(table)!r} or by the store {store!r}: give one of them.")
    cases = _cases(table, store)
    memory = Memory(COMMITTED, compute=slow)
    strangers = [among_strangers(DEFAULT_METHOD)] if get_predictor(DEFAULT_METHOD).learns else []
    methods = [
        *predictors(memory=memory, with_benchmark=store is not None),
        *strangers,
        *scores(cases),
        whole_training(),
    ]
    if loose:
        cases = as_if_unrelated(cases)
    try:
        found = evaluate_cases(cases, methods, ks=_ks(epochs), resamples=resamples)
    finally:
        memory.save()
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        found.to_parquet(output, index=False, compression="zstd")
    return found


def _cases(table: Path | None, store: str | None) -> list[Case]:
    if store is None:
        return cases_from_table(load_table(table))
    from ncore.store import open_store

    return cases_from_store(open_store(store))


def _ks(text: str) -> list[int]:
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        ks = []
    if not ks or ks[0] < 1:
        raise InputError(f"The epochs are {text!r}, but whole numbers from 1, separated by commas, are needed.")
    return ks
