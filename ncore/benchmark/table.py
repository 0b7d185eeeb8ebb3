"""The result of the benchmark: one wide Parquet table, a row for each run and epoch, and what made it.

Reading it takes no torch: whoever evaluates a new predictor starts here.

==================================  ================================================================================
``run``                             id of the run; another one whenever its settings change
``task``, ``dataset``               the target, and whose images it uses
``mode``, ``candidate``, ``seed``   what was trained, how, and from which random state
``horizon``, ``epoch``              the planned last epoch, and this one, from 1; 0 for a run that failed before
``status``, ``reason``              "finished", or "failed" and why
``parameters``, ``pixels``          of the candidate with its NCP unit; side of the pictures it was given
``train_images``, ``test_images``   how many
``train_accuracy``, ``train_loss``  while training, in the mean over the epoch
``validation_...``                  after the epoch
``gradient_norm``                   Euclidean, in the mean over the steps of the epoch
``learning_rate``                   of the last step of the epoch
``beta_eff_S``, ``conditioning_S``  of the whole unit after the epoch, for each strength S
``seconds``                         since the run's start, all preparation included; of the processor (one thread), so
                                    that what else the machine did does not count
``test_accuracy``, ``test_error``   after the last epoch, and its standard error sqrt(p(1-p)/n); repeated in all rows
``score_N``, ``score_seconds_N``    transferability score N of the frozen candidate on the training images
                                    (``probe_logme``: on the first 512, as a run records it), and the
                                    seconds of the processor it takes from the images on; repeated in all rows
==================================  ================================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ncore.errors import InputError
from ncore.predict.bundled import TABLE
from ncore.predict.curves import Curve

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["COMMITTED", "KEY", "about", "curves", "load_table", "merge", "write_table"]

COMMITTED = TABLE
"""The table that comes with the package."""

KEY = ["task", "mode", "candidate", "seed"]
"""What makes up a run, whatever its settings."""

_ABOUT = b"ncore.benchmark"
_TEXT = ("run", "task", "dataset", "mode", "candidate", "status", "reason")
_COUNTS = ("seed", "horizon", "epoch")


def load_table(path: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Read the table; by default the one that comes with the package.

    Returns:
        The columns above, sorted by task, mode, candidate, seed and epoch; float64, NaN where there is nothing.

    Raises:
        InputError: There is no such table, or it is none of the benchmark.

    Example:
        >>> table = load_table()
        >>> bool((table["epoch"] <= table["horizon"]).all())
        True
    """
    table = _read(path)
    frame = table.to_pandas(strings_to_categorical=False)
    if missing := [name for name in (*KEY, "epoch", "horizon") if name not in frame]:
        raise InputError(f"The table {str(path)!r} has no column {missing[0]!r}: give one that `ncore bench` wrote.")
    floats = [name for name in frame.columns if frame[name].dtype == np.float32]
    return frame.astype(dict.fromkeys(floats, np.float64))


def about(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """What made the table: ``recipe`` (its text), ``reduced``, ``versions`` (a list), ``machine`` and ``date``."""
    return json.loads((_read(path).schema.metadata or {}).get(_ABOUT, b"{}"))


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str], made: Mapping[str, Any]) -> None:
    """Write the table, whole or not at all.

    Args:
        frame: The columns above.
        path: Where.
        made: What :func:`about` will return.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    reals = [name for name in frame.columns if name not in (*_TEXT, *_COUNTS)]
    # Seven digits are more than any of these is known to, and half the size.
    kinds: dict[Hashable, Any] = dict.fromkeys(reals, np.float32) | dict.fromkeys(_COUNTS, np.int32)
    frame = frame.sort_values([*KEY, "epoch"], ignore_index=True).astype(kinds)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for name in _TEXT:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.string()))
    table = table.replace_schema_metadata({_ABOUT: json.dumps(dict(made))})
    aside = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
    aside.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, aside, compression="zstd", compression_level=15)
    os.replace(aside, path)


def merge(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """All runs of both; of a run that both have, the new rows."""
    if old.empty or new.empty:
        return new if old.empty else old
    made = pd.MultiIndex.from_frame(new[KEY])
    return pd.concat([old[~pd.MultiIndex.from_frame(old[KEY]).isin(made)], new], ignore_index=True)


def curves(table: pd.DataFrame, task: str, mode: str) -> list[Curve]:
    """The learning curves of all runs on a task in a mode, as predictors take them.

    Raises:
        InputError: The table has no such runs.
    """
    rows = table[(table["task"] == task) & (table["mode"] == mode)]
    if rows.empty:
        raise InputError(
            f"The table has no runs of task {task!r} in mode {mode!r}: its tasks are "
            f"{', '.join(sorted(table['task'].unique()))}, its modes {', '.join(sorted(table['mode'].unique()))}."
        )
    return [_curve(run) for _, run in rows.groupby(["candidate", "seed"], sort=True)]


def _curve(run: pd.DataFrame) -> Curve:
    first = run.iloc[0]
    seen = run[(run["epoch"] >= 1) & run["validation_accuracy"].notna()].sort_values("epoch")

    def column(name: str) -> np.ndarray:
        return seen[name].to_numpy(np.float64)

    betas = {name.removeprefix("beta_eff_"): column(name) for name in run.columns if name.startswith("beta_eff_")}
    scores = {
        str(name).removeprefix("score_"): float(first[name])
        for name in run.columns
        if name.startswith("score_") and not name.startswith("score_seconds_") and np.isfinite(first[name])
    }
    return Curve(
        candidate=str(first["candidate"]),
        seed=int(first["seed"]),
        epochs=seen["epoch"].to_numpy(np.int64),
        accuracy=column("validation_accuracy"),
        beta={name: values for name, values in betas.items() if np.isfinite(values).any()},
        horizon=int(first["horizon"]),
        loss=column("validation_loss"),
        status=str(first["status"]),
        reason=str(first["reason"]) if isinstance(first["reason"], str) else "",
        observed=float(first["test_accuracy"]),
        dataset=str(first["task"]),
        mode=str(first["mode"]),
        train_accuracy=column("train_accuracy"),
        train_loss=column("train_loss"),
        scores=scores,
    )


def _read(path: str | os.PathLike[str] | None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = COMMITTED if path is None else path
    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise InputError(f"There is no table {str(path)!r}: make it with `ncore bench`.") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"The table {str(path)!r} cannot be read: {' '.join(str(error).split())}.") from error
