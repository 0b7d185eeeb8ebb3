"""The finished runs that come with the package: what predictors have learned before a user has any runs of their own.

They are those of ``ncore bench``, read from its table without its code: the benchmark judges what is here.
"""

import re
from collections.abc import Collection
from pathlib import Path
from threading import Condition

import numpy as np
from cachetools import cached

from ncore.predict.curves import PROBE_LOGME, Curve
from ncore.predict.experience import Task

__all__ = ["TABLE", "benchmark_tasks", "read_tasks"]

TABLE = Path(__file__).resolve().parents[1] / "benchmark" / "results" / "bench.parquet"
"""The benchmark's table that comes with the package."""

_PARTS = re.compile(r"[^\W\d_]+|\d+")
_ALIASES = {
    "fashion-mnist": ("fashionmnist", "fmnist"),
    "digits": ("optdigits", "sklearndigits", "optical recognition of handwritten digits"),
}
_COMMON = {"digits"}  # a word of other names, too: only these may stand beside it
_BESIDE = {"sklearn", "scikit", "learn", "datasets", "dataset", "load", "uci", "parity", "train", "test", "x"}
_NAMES = ("task", "dataset", "mode", "candidate", "seed", "epoch", "horizon", "status", "test_accuracy")
_SERIES = ("validation_accuracy", "validation_loss", "train_accuracy", "train_loss")
_BETA = "beta_eff_"
_SCORE = f"score_{PROBE_LOGME}"


def benchmark_tasks(mode: str = "", unlike: Collection[str] = ()) -> tuple[Task, ...]:
    """Finished tasks of the benchmark; none if the package was installed without its table.

    Args:
        mode: The training mode; empty for all of them.
        unlike: Datasets to be predicted: no task that shares images with one of them is given, going by names; for what
            pictures tell see ``ncore.predict.sketches``.
    """
    return tuple(
        task for own, task in _all_tasks() if mode in ("", own) and not any(_alike(name, task) for name in unlike)
    )


def _alike(dataset: str, task: Task) -> bool:
    """Whether a dataset may hold the task's images: it has the task's name, or one of its images' in any spelling."""
    return dataset == task.name.rpartition(", ")[0] or _names(dataset, task.group)


def _names(dataset: str, group: str) -> bool:
    """Whether a name is one of those usual for a dataset of the benchmark, or of a part of it.

    Example:
        >>> [_names(name, "cifar10") for name in ("uoft-cs/CIFAR-10", "cifar_10.v2", "my-cifar100")]
        [True, True, False]
        >>> [_names(name, "digits") for name in ("sklearn digits", "digits-500", "digits-of-pi")]
        [True, True, False]
    """
    parts = _PARTS.findall(dataset.casefold())
    for name in (group, *_ALIASES.get(group, ())):
        own = _PARTS.findall(name.casefold())
        for start in range(len(parts) - len(own) + 1):
            rest = parts[:start] + parts[start + len(own) :]
            if parts[start : start + len(own)] != own:
                continue
            if name not in _COMMON or all(part.isdigit() or part in _BESIDE for part in rest):
                return True
    return False


@cached({}, condition=Condition())  # read once, however many sessions ask for it at once
def _all_tasks() -> tuple[tuple[str, Task], ...]:
    """All tasks with their modes."""
    return read_tasks(TABLE) if TABLE.is_file() else ()


def read_tasks(path: Path) -> tuple[tuple[str, Task], ...]:
    """Tasks of two candidates or more with their modes, from a table of ``ncore bench``."""
    import pyarrow.parquet as pq

    present = pq.read_schema(path).names
    strengths = [name for name in present if name.startswith(_BETA)]
    series = [name for name in _SERIES if name in present]
    scores = [name for name in (_SCORE,) if name in present]
    frame = pq.read_table(path, columns=[*_NAMES, *series, *strengths, *scores]).to_pandas()
    frame = frame[(frame["status"] == "finished") & (frame["epoch"] > 0) & frame["test_accuracy"].notna()]
    frame = frame.sort_values(["mode", "task", "candidate", "seed", "epoch"], kind="stable", ignore_index=True)
    numbers = {name: frame[name].to_numpy(np.float64) for name in (*series, *strengths)}
    epochs = frame["epoch"].to_numpy(np.int64)
    starts = np.flatnonzero(~frame.duplicated(["mode", "task", "candidate", "seed"]))
    found: dict[tuple[str, str, str], list[Curve]] = {}
    for start, end in zip(starts, np.append(starts[1:], len(frame)), strict=True):
        first = frame.iloc[start]
        rows = np.arange(start, end)
        rows = rows[np.isfinite(numbers["validation_accuracy"][rows])]
        optional = {
            own: numbers[name][rows]
            for own, name in (
                ("loss", "validation_loss"),
                ("train_accuracy", "train_accuracy"),
                ("train_loss", "train_loss"),
            )
            if name in numbers
        }
        curve = Curve(
            candidate=str(first["candidate"]),
            seed=int(first["seed"]),
            epochs=epochs[rows],
            accuracy=numbers["validation_accuracy"][rows],
            beta={
                name.removeprefix(_BETA): values
                for name in strengths
                if np.isfinite(values := numbers[name][rows]).any()
            },
            horizon=int(first["horizon"]),
            observed=float(first["test_accuracy"]),
            dataset=str(first["task"]),
            mode=str(first["mode"]),
            scores={PROBE_LOGME: float(first[_SCORE])} if scores and np.isfinite(first[_SCORE]) else {},
            **optional,
        )
        found.setdefault((curve.mode, curve.dataset, str(first["dataset"])), []).append(curve)
    return tuple(
        (mode, Task(f"{task}, {mode}", curves, group=dataset))
        for (mode, task, dataset), curves in found.items()
        if len({curve.candidate for curve in curves}) > 1
    )
