"""The result of the NAS benchmark: one table, a row for each run and epoch, and what made it.

It has the columns that ``ncore.benchmark.table`` describes; scores are the zero-cost ones of the cell before training,
on one batch of training images; and besides

===============================  ===================================================================================
``arch``                         the cell, as NAS-Bench-201 writes it
``published_accuracy``           its published test accuracy on CIFAR-10, a fraction; NaN if no table was given
``published_number``             its number in the published table
===============================  ===================================================================================
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ncore.benchmark.table import KEY
from ncore.errors import InputError

if TYPE_CHECKING:
    from ncore.benchmark.making.recipe import BenchRecipe

__all__ = ["ABOUT", "COMMITTED", "COUNTS", "PUBLISHED", "SCHEDULE", "collect", "read_published"]

COMMITTED = Path(__file__).resolve().parents[1] / "results" / "nas.parquet"
"""The table that comes with the package."""

PUBLISHED = ("arch_id", "cell", "cifar10_test")
"""Columns of the published table: number, cell, test accuracy in per cent."""

COUNTS = ("seed", "horizon", "epoch")

ABOUT = b"ncore.benchmark"
"""Key of the metadata, the one that `ncore.benchmark.table.about` reads."""

SCHEDULE = (
    "Test accuracies on CIFAR-10 from a public extract of NAS-Bench-201 (Dong and Yang, 2020, MIT licence), which does "
    "not say how long its cells were trained: its best has 89.2% where the best after 200 epochs has 94.4%, so these "
    "are most likely the accuracies after the benchmark's short schedule of 12 epochs."
)
"""What the published accuracies are."""


def collect(
    recipe: BenchRecipe,
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    published: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Write the table of all ended runs of a folder.

    Args:
        recipe: Whose runs are looked for.
        folder: Of ``ncore.benchmark.nas.cells.bench_nas``.
        path: Of the table.
        published: Parquet table with the columns ``PUBLISHED``; None leaves these out.

    Raises:
        InputError: No run has ended, or the published table can't be read or lacks a cell.
    """
    from ncore.benchmark.making.collect import made_by, rows
    from ncore.benchmark.nas.scores import read_scores
    from ncore.store import open_store
    from ncore.sweep.running import run_id

    cells = None if published is None else read_published(published)
    opened, scores = open_store(str(Path(folder) / "runs")), Path(folder) / "scores"
    listed = opened.runs()
    ended = set(listed.loc[listed["status"].isin(["finished", "failed"]), "run"]) if len(listed) else set()
    frames: list[pd.DataFrame] = []
    versions: list[Any] = []
    for target, job in recipe.jobs():
        if run_id(job) not in ended:
            continue
        run = opened.run(run_id(job))
        kept = read_scores(job, scores)
        arch = str(job.candidate.kwargs["arch"])
        frames.append(
            rows(run, target, job, scores)
            .filter(regex="^(?!score_)")
            .assign(
                arch=arch,
                **_published(arch, cells),
                **{f"score_{name}": value for name, value in kept["scores"].items()},
                **{f"score_seconds_{name}": value for name, value in kept["seconds"].items()},
            )
        )
        if run.manifest.versions not in versions:
            versions.append(run.manifest.versions)
    if not frames:
        raise InputError(f"No run of the recipe has ended in {str(folder)!r}: make some before the table.")
    table = pd.concat(frames, ignore_index=True).sort_values([*KEY, "epoch"], ignore_index=True)
    _write(table, Path(path), made_by(recipe, versions) | {"published": "" if cells is None else SCHEDULE})
    return table


def read_published(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The published table by cell.

    Raises:
        InputError: It can't be read, or lacks a column.
    """
    try:
        return pd.read_parquet(path, columns=list(PUBLISHED)).set_index("cell")
    except (OSError, ValueError) as error:
        raise InputError(
            f"The published table {str(path)!r} cannot be read ({' '.join(str(error).split())}): give a Parquet file "
            f"with the columns {', '.join(PUBLISHED)}."
        ) from error


def _published(arch: str, cells: pd.DataFrame | None) -> dict[str, float]:
    if cells is None:
        return {"published_accuracy": np.nan, "published_number": np.nan}
    if arch not in cells.index:
        raise InputError(f"The cell {arch!r} is not in the published table: give the whole one, of 15,625 cells.")
    return {
        "published_accuracy": float(cells.loc[arch, "cifar10_test"]) / 100,
        "published_number": float(cells.loc[arch, "arch_id"]),
    }


def _write(table: pd.DataFrame, path: Path, made: dict[str, Any]) -> None:
    """Whole or not at all, what made it in the metadata as in the benchmark's own table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Seven digits are more than any of these is known to, and half the size.
    reals = table.select_dtypes("number").columns.difference(COUNTS)
    narrow = table.astype(dict.fromkeys(reals, np.float32) | dict.fromkeys(COUNTS, np.int32))
    columns = pa.Table.from_pandas(narrow, preserve_index=False).replace_schema_metadata({ABOUT: json.dumps(made)})
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    aside.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(columns, aside, compression="zstd", compression_level=15)
    os.replace(aside, path)
