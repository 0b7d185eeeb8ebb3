"""Cases to judge methods on: tasks whose runs all have an end, from the table of the benchmark or from a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ncore.benchmark.table import curves as curves_of_table
from ncore.errors import InputError
from ncore.predict.curves import Curve, FloatArray, StoreLike, curves_from_store
from ncore.predict.experience import Task
from ncore.predict.sketches import groups

__all__ = [
    "FEWEST",
    "SHARE",
    "Case",
    "as_if_unrelated",
    "cases_from_store",
    "cases_from_table",
    "leave_dataset_out",
    "with_seeds",
]

FEWEST = 4
"""Candidates that a case needs: the top three of three are right whatever is predicted."""
SHARE = 0.75
"""Of a table's candidates, what a seed of a case needs: one that the benchmark has only begun with is left out."""


@dataclass(frozen=True, eq=False)
class Case:
    """Candidates that were all trained to the end on the same data in the same mode.

    Attributes:
        name: Of the target.
        dataset: Whose images it uses; cases that share them are not independent of each other.
        mode: "backbone", "unit" or "all".
        curves: One a run, with the final test accuracy as ``observed``.
        seconds: Cumulative seconds at each epoch of each curve, arrays of the shape of its epochs.
        test_images: How many the final accuracy was measured on; 0 if unknown.
        score_seconds: What a transferability score took, by name and candidate.
    """

    name: str
    dataset: str
    mode: str
    curves: tuple[Curve, ...]
    seconds: tuple[FloatArray, ...]
    test_images: int = 0
    score_seconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def observed(self) -> dict[str, list[float]]:
        """Final test accuracies of each candidate's runs, sorted by name; candidates with none are left out."""
        found: dict[str, list[float]] = {}
        for curve in sorted(self.curves, key=lambda curve: (curve.candidate, curve.seed)):
            if np.isfinite(curve.observed):
                found.setdefault(curve.candidate, []).append(curve.observed)
        return found

    @property
    def experience(self) -> Task:
        """What predictors may learn from it; those with its images are one group."""
        return Task(f"{self.name}, {self.mode}", self.curves, group=self.dataset)

    @property
    def horizon(self) -> int:
        """The epoch at which the longest run ends."""
        return max(curve.horizon for curve in self.curves)

    def scores(self, name: str) -> dict[str, float]:
        """A transferability score by candidate, in the mean over its seeds; NaN where there is none."""
        found: dict[str, list[float]] = {}
        for curve in self.curves:
            found.setdefault(curve.candidate, []).append(curve.scores.get(name, np.nan))
        return {candidate: float(np.mean(values)) for candidate, values in found.items()}

    def cost(self, epoch: int) -> float:
        """Seconds of all runs up to an epoch."""
        total = 0.0
        for curve, seconds in zip(self.curves, self.seconds, strict=True):
            seen = seconds[(curve.epochs <= epoch) & np.isfinite(seconds)]
            total += float(seen[-1]) if seen.size else 0.0
        return total


def cases_from_store(store: StoreLike) -> list[Case]:
    """Every dataset and mode of a store of which enough candidates are finished, in order of name.

    Raises:
        InputError: There is none.
    """
    runs = store.runs()
    finished = runs[runs["test_accuracy"].notna()]
    found = []
    for (dataset, mode), group in finished.groupby(["dataset", "mode"]):
        if group["candidate"].nunique() < FEWEST:
            continue
        curves = [curve for curve in curves_from_store(store, dataset=str(dataset), mode=str(mode)) if _ended(curve)]
        kept = {(curve.candidate, curve.seed) for curve in curves}
        clocks = {
            (row.candidate, row.seed): _clock(store.run(str(row.run)).metrics())
            for row in group.itertuples(index=False)
            if (row.candidate, row.seed) in kept  # not of one that can't be read
        }
        seconds = tuple(
            np.interp(curve.epochs, *clocks[curve.candidate, curve.seed], left=np.nan, right=np.nan) for curve in curves
        )
        found.append(Case(str(dataset), str(dataset), str(mode), tuple(curves), seconds))
    sets = {case.name: [curve.sketch for other in found if other.name == case.name for curve in other.curves]
            for case in found}  # fmt: skip
    group_of = groups(sets)
    found = [replace(case, dataset=group_of[case.name]) for case in found]
    if not found:
        raise InputError(
            f"The store has no dataset and mode with {FEWEST} finished candidates or more: finish some runs first."
        )
    return found


def cases_from_table(table: pd.DataFrame) -> list[Case]:
    """Every mode and task of a table of the benchmark with the seeds of which enough candidates are finished, by name.

    Args:
        table: As ``ncore.benchmark.table.load_table`` returns it.

    Raises:
        InputError: There is none.
    """
    found = []
    enough = max(FEWEST, SHARE * table["candidate"].nunique())
    for (mode, name), group in table.groupby(["mode", "task"], sort=True):
        curves = curves_of_table(group, str(name), str(mode))
        ended = {seed: {c.candidate for c in curves if c.seed == seed and _ended(c)} for seed in set(group["seed"])}
        group = group[group["seed"].map(lambda seed, ended=ended: len(ended[seed]) >= enough)]
        curves = [curve for curve in curves if len(ended[curve.seed]) >= enough]
        if not curves:
            continue
        clocks = {
            key: run.set_index("epoch")["seconds"] for key, run in group.groupby(["candidate", "seed"], sort=True)
        }
        seconds = tuple(
            clocks[curve.candidate, curve.seed].reindex(curve.epochs).to_numpy(np.float64) for curve in curves
        )
        one = group.groupby("candidate")  # a score is computed once a candidate, and repeated in all of its rows
        prices = {
            str(column).removeprefix("score_seconds_"): one[column].mean().dropna().to_dict()
            for column in table.columns
            if str(column).startswith("score_seconds_")
        }
        images = group["test_images"].max()
        dataset = str(group["dataset"].iloc[0])
        found.append(
            Case(str(name), dataset, str(mode), tuple(curves), seconds, int(images) if images > 0 else 0, prices)
        )
    if not found:
        raise InputError(
            f"No task of the table has {enough:g} finished candidates or more ({SHARE:.0%} of them): go on with the "
            "benchmark first."
        )
    return found


def with_seeds(case: Case, wanted: Callable[[int], bool]) -> Case | None:
    """A case with the runs of some seeds only; None if there are none."""
    kept = [pair for pair in zip(case.curves, case.seconds, strict=True) if wanted(pair[0].seed)]
    if not kept:
        return None
    return replace(case, curves=tuple(curve for curve, _ in kept), seconds=tuple(seconds for _, seconds in kept))


def leave_dataset_out(case: Case, cases: Sequence[Case]) -> list[Case]:
    """What may be learned from before ``case`` is judged, strictly: cases in its mode that share no image with it."""
    return [other for other in cases if other.mode == case.mode and other.dataset != case.dataset]


def as_if_unrelated(cases: Sequence[Case]) -> list[Case]:
    """The same cases, loosely: tasks of one dataset count as held out from each other, as in a user's own store."""
    return [replace(case, dataset=case.name) for case in cases]


def _clock(metrics: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Epochs and seconds since the start, from a run's table; NaN where none are recorded."""
    last = metrics[metrics["seconds"].notna()].groupby("epoch")["seconds"].max()
    if last.empty:
        return np.zeros(1), np.full(1, np.nan)
    return last.index.to_numpy(np.float64), last.to_numpy(np.float64)


def _ended(curve: Curve) -> bool:
    return bool(np.isfinite(curve.observed)) and curve.usable
