"""The benchmark's other setting: cells of NAS-Bench-201, each trained from random initialisation for a few epochs.

``python -m ncore.benchmark.nas --help`` makes the runs and the table.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ncore.benchmark.making.recipe import BenchRecipe
from ncore.benchmark.nas.scores import write_scores
from ncore.benchmark.nas.table import collect
from ncore.errors import NcoreError
from ncore.probe.builtin.nas_bench_201 import OPERATIONS, every_cell, is_connected, parse
from ncore.probe.job import Job
from ncore.sweep.local import LocalEngine
from ncore.sweep.running import Engine, Result, sweep

if TYPE_CHECKING:
    from ncore.store import Store

__all__ = ["CELLS", "DRAW_SEED", "RECIPE", "NasJob", "bench_nas", "draw", "main", "name_of"]

RECIPE = Path(__file__).parent / "cells.yaml"
"""The recipe of the committed results."""

CELLS, DRAW_SEED = 64, 2020
"""How many cells the recipe has, and the seed that they were drawn with."""


def draw(count: int = CELLS, seed: int = DRAW_SEED) -> list[str]:
    """Cells drawn uniformly at random, without replacement, from the 15,284 whose output depends on their input.

    Example:
        >>> draw(1, seed=0)
        ['|avg_pool_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|']
    """
    return random.Random(seed).sample([cell for cell in every_cell() if is_connected(cell)], count)


def name_of(arch: str) -> str:
    """A short name of a cell: ``cell-`` and the number of the operation on each edge.

    Example:
        >>> name_of("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|skip_connect~1|none~2|")
        'cell-000310'
    """
    return "cell-" + "".join(str(OPERATIONS.index(operation)) for operation in parse(arch))


class NasJob(Job):
    """A run, and before it the zero-cost scores of its cell, kept in the folder ``scores``."""

    scores: str

    def run(self, store: Store, *, take_over: bool = False) -> str:
        """As :meth:`Job.run`; a cell whose scores can't be had fails in training too, where its reason is kept."""
        with contextlib.suppress(NcoreError):
            write_scores(self, Path(self.scores))
        return super().run(store, take_over=take_over)


def bench_nas(
    recipe: BenchRecipe,
    folder: str | os.PathLike[str],
    *,
    limit: int | None = None,
    engine: Engine | None = None,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Make the runs that the folder's store lacks; those that were killed go on, by the machinery of sweeps.

    Args:
        recipe: Candidates are cells.
        folder: For the runs and the scores.
        limit: At most so many of the recipe's runs, the first ones.
        engine: Executes the runs; by default one process at a time on this machine.
        on_result: Called with each result as it comes.
    """
    folder = Path(folder).resolve()
    jobs = [
        NasJob(**{name: getattr(job, name) for name in Job.model_fields}, scores=str(folder / "scores"))
        for _, job in recipe.jobs()
    ]
    return sweep(jobs[:limit], str(folder / "runs"), engine=engine or LocalEngine(1, threads=1), on_result=on_result)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: make the runs, then the table; 1 if a run failed or with an error in one line."""
    parser = argparse.ArgumentParser(prog="python -m ncore.benchmark.nas", description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="YAML file; default: that of the committed results")
    parser.add_argument(
        "--store", type=Path, required=True, help="folder for runs and scores; what it has is not rerun"
    )
    parser.add_argument("--table", type=Path, required=True, help="Parquet file that is written from all ended runs")
    parser.add_argument(
        "--published", type=Path, help="Parquet table of published accuracies: arch_id, cell, cifar10_test"
    )
    parser.add_argument("--limit", type=int, help="at most so many runs, the first ones; 0 only writes the table")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    chosen = parser.parse_args(arguments)
    try:
        recipe = BenchRecipe.read(chosen.recipe)
        engine = LocalEngine(chosen.workers, threads=1)
        results = bench_nas(recipe, chosen.store, limit=chosen.limit, engine=engine, on_result=_say)
        table = collect(recipe, chosen.store, chosen.table, chosen.published)
    except NcoreError as error:
        print(f"ncore: {error}", file=sys.stderr)
        return 1
    print(f"{chosen.table}: {table['run'].nunique()} runs of {table['candidate'].nunique()} cells")
    return int(any(result.outcome in ("failed", "refused") for result in results))


def _say(result: Result) -> None:
    print(" ".join(filter(None, (result.run_id, result.outcome, result.reason))), flush=True)
