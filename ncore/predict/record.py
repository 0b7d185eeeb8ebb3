"""How candidates of the same name ended on other tasks: what a store knows of them before the first epoch."""

from collections.abc import Sequence

import numpy as np

from ncore.predict.curves import FloatArray
from ncore.predict.experience import Task
from ncore.predict.features import logit

#: A candidate seen on n tasks has its mean standing on them times n / (n + this): one task is an anecdote.
SHRINKAGE = 1.0


def standings(task: Task) -> dict[str, float]:
    """Where each candidate of a task ended among the others: its final logit, centred and in standard deviations.

    A candidate's seeds are averaged. A task whose candidates all ended alike says nothing and gives no standing.
    """
    finals: dict[str, list[float]] = {}
    for curve in task.curves:
        if np.isfinite(curve.observed):
            finals.setdefault(curve.candidate, []).append(float(logit(curve.observed)))
    values = np.array([np.mean(seeds) for seeds in finals.values()])
    spread = float(values.std()) if values.size else 0.0
    if spread < 1e-9:
        return {}
    return dict(zip(finals, ((values - values.mean()) / spread).tolist(), strict=True))


def track_record(candidates: Sequence[str], tasks: Sequence[Task]) -> FloatArray:
    """Mean standing of each candidate on these tasks, shrunk towards 0 by `SHRINKAGE`, shape (n,).

    Args:
        candidates: Their names.
        tasks: Finished ones; tasks of one group, which share images, count as one together.

    Returns:
        NaN for a candidate that none of them had.
    """
    groups: dict[str, dict[str, list[float]]] = {}
    for task in tasks:
        for name, value in standings(task).items():
            groups.setdefault(name, {}).setdefault(task.group, []).append(value)
    means = {name: [float(np.mean(values)) for values in found.values()] for name, found in groups.items()}
    shrunk = {name: sum(values) / (len(values) + SHRINKAGE) for name, values in means.items()}
    return np.array([shrunk.get(name, np.nan) for name in candidates])
