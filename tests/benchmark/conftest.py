"""A small table of the benchmark's form, drawn from a known model; no training."""

import numpy as np
import pandas as pd
import pytest

from ncore.benchmark.table import write_table

EPOCHS = 6
TASKS = {"cifar10-small": "cifar10", "cifar10-tops": "cifar10", "digits": "digits", "fashion": "fashion-mnist"}


def rows(task, mode, candidate, seed, rng, quality):
    """One run: a curve that rises to its end with some noise, and a beta_eff that falls."""
    epochs = np.arange(1, EPOCHS + 1)
    end = np.clip(quality + 0.01 * rng.standard_normal(), 0.05, 0.99)
    accuracy = np.clip(end * (1 - 0.5 * np.exp(-epochs / 2)) + 0.01 * rng.standard_normal(EPOCHS), 0, 1)
    return pd.DataFrame(
        {
            "run": f"{task}-{mode}-{candidate}-{seed}", "task": task, "dataset": TASKS[task], "mode": mode,
            "candidate": candidate, "seed": seed, "horizon": EPOCHS, "epoch": epochs, "status": "finished",
            "reason": "", "parameters": 1e4, "pixels": 32.0, "train_images": 1000.0, "test_images": 400.0,
            "train_accuracy": accuracy, "validation_accuracy": accuracy, "train_loss": -np.log(accuracy),
            "validation_loss": -np.log(accuracy), "gradient_norm": 1.0, "learning_rate": 1e-3,
            "beta_eff_signed": 0.1 / epochs, "beta_eff_absolute": 1.0 / epochs, "beta_eff_relative": 1.0 / epochs,
            "seconds": 5.0 + 2.0 * epochs, "test_accuracy": end, "test_error": np.sqrt(end * (1 - end) / 400),
            "score_logme": quality, "score_seconds_logme": 1.0, "score_leep": np.nan, "score_seconds_leep": np.nan,
        }
    )  # fmt: skip


@pytest.fixture(scope="session")
def table_path(tmp_path_factory):
    """The table as a file: four tasks of three datasets, two modes, seven candidates, two seeds."""
    rng = np.random.default_rng(0)
    quality = np.linspace(0.35, 0.9, 7)
    frames = [
        rows(task, mode, f"net {number}", seed, rng, float(value))
        for mode in ("all", "unit")
        for task in TASKS
        for number, value in enumerate(quality)
        for seed in (0, 1)
    ]
    path = tmp_path_factory.mktemp("bench") / "bench.parquet"
    made = {
        "recipe": "tasks: [a, b, c, d]\nmodes: {all: {}, unit: {}}",
        "reduced": "Everything.",
        "versions": [],
        "machine": {},
        "date": "2026-01-01",
    }
    write_table(pd.concat(frames, ignore_index=True), path, made)
    return path
