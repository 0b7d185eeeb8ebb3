"""Finished runs of other tasks: what predictors learn from, and what their intervals are calibrated on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from ncore.predict.curves import Curve, StoreLike, read_curve
from ncore.predict.sketches import Sketch, groups
from ncore.predict.variants import best_finished
from ncore.scores.metrics import ACCURACY

__all__ = ["Task", "finished", "finished_curves", "in_order", "tasks_from_store", "tasks_of"]


@dataclass(frozen=True)
class Task:
    """The finished runs of several candidates that had the same data, training mode and planned end.

    Attributes:
        name: Name of the task, unique among those that are used together.
        curves: Its runs; those without a final test accuracy teach nothing and are passed over.
        group: Tasks that share images or labels share a group, so that none is judged by what was learned on another;
            the task's own name if empty.

    Example:
        >>> Task("cifar10, 1000 images", (), group="cifar10").group
        'cifar10'
    """

    name: str
    curves: Sequence[Curve]
    group: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "curves", tuple(self.curves))
        object.__setattr__(self, "group", self.group or self.name)

    def as_of(self, epoch: int) -> tuple[list[Curve], list[float]]:
        """What was known of each finished run after ``epoch``, and where it ended.

        Runs that had less than ``epoch`` epochs, or that were planned to end by then, are left out.

        Returns:
            The curves until ``epoch``, and the final test accuracies, both of one length.
        """
        kept = [
            curve
            for curve in self.curves
            if math.isfinite(curve.observed)
            and curve.usable
            and curve.horizon > epoch
            and bool((curve.epochs == epoch).any())
        ]
        return [curve.until(epoch) for curve in kept], [curve.observed for curve in kept]

    def in_epochs(self, count: int) -> "Task":
        """The same with all its trainings told in ``count`` epochs; see ``Curve.in_epochs``."""
        return Task(self.name, [curve.in_epochs(count) for curve in self.curves], self.group)


def finished(runs: pd.DataFrame, mode: str, without: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of a listing that forecasts can learn from: runs whose end is known, in one training mode.

    Args:
        runs: As ``store.runs()`` returns them.
        mode: The training mode; runs in another are no evidence for it.
        without: Datasets to leave out: the one to be predicted, above all.
    """
    if runs.empty:
        return runs
    known = (runs["mode"] == mode) & runs["test_accuracy"].notna() & runs["dataset"].notna()
    return runs[known.astype(bool) & ~runs["dataset"].isin(list(without))]


def tasks_from_store(store: StoreLike, mode: str, without: Sequence[str] = ()) -> list[Task]:
    """The finished runs of a store, a task for each dataset.

    Args:
        store: The store, or anything with its ``runs()`` and ``run(id)``.
        mode: As for ``finished``.
        without: The same.

    Returns:
        Tasks of two candidates or more, by name of the dataset; one with a single candidate ranks nothing.
    """
    return tasks_of(finished_curves(store, mode, without))


def finished_curves(store: StoreLike, mode: str, without: Sequence[str] = (), metric: str = ACCURACY) -> list[Curve]:
    """The curves of a store's finished runs by a metric; other arguments as for ``finished``."""
    rows = finished(store.runs(), mode, without).to_dict("records")
    return [read_curve(row, partial(store.run, row["run"]), metric=metric) for row in rows]


def tasks_of(curves: Sequence[Curve]) -> list[Task]:
    """Sort curves into tasks by their dataset and mode; see ``tasks_from_store``.

    Datasets that share examples are one group, and baselines, which have no curve, are left out. Of variants of a
    candidate the one that validation data say is the best counts. The runs of a task are sorted, so that what is
    learned doesn't depend on the order in which they are listed.
    """
    found: dict[tuple[str, str], list[Curve]] = {}
    sets: dict[str, list[Sketch]] = {}
    for curve in curves:
        if curve.dataset and math.isfinite(curve.observed) and not curve.baseline:
            found.setdefault((curve.dataset, curve.mode), []).append(curve)
            sets.setdefault(curve.dataset, []).append(curve.sketch)
    group_of = groups(sets)
    return [
        Task(f"{dataset}, {mode}" if mode else dataset, members, group=group_of[dataset])
        for (dataset, mode), members in (
            (task, best_finished(sorted(curves, key=in_order))) for task, curves in sorted(found.items())
        )
        if len({curve.candidate for curve in members}) > 1
    ]


def in_order(curve: Curve) -> tuple[str, int, list[float]]:
    """By what runs are sorted: candidate and seed, and what two runs of the same seed differ in."""
    return curve.candidate, curve.seed, [curve.observed, *curve.accuracy.tolist()]
