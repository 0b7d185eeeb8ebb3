"""A baseline as a run of one epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ncore.probe._metric_rows import columns_of, measured
from ncore.probe._predictions import KeptPredictions, predicted_of
from ncore.probe._predictions import columns_of as columns_of_predictions

if TYPE_CHECKING:
    from ncore.probe.baselines import Fitted
    from ncore.probe.datasets import Dataset
    from ncore.store import Store

__all__ = ["baseline_session"]

_LEAST = 1e-7  # probability that a class is taken to have, for the loss


def baseline_session(job: Any, data: Dataset, started: float) -> Callable[[Store, bool], str]:
    """Fit a job's baseline; what is returned records it, and gives the run's id."""
    from ncore.probe import baselines
    from ncore.probe._content import digests_of

    kind = job.candidate.source.partition(":")[2]
    fitted = baselines.fit(data, kind, job.seed)
    return partial(_record, job=job, data=data, fitted=fitted, digests=digests_of(data), started=started)


def _record(
    store: Store, take_over: bool, *, job: Any, data: Dataset, fitted: Fitted, digests: dict[str, Any], started: float
) -> str:
    predictions = {
        name: _predicted(fitted.probabilities[name], data.splits[name].labels) for name in ("validation", "test")
    }
    rows = {name: _judged(columns) for name, columns in predictions.items()}
    labels = data.splits["train"].labels
    if len(fitted.probabilities["train"]) == len(labels):
        rows["train"] = _judged(_predicted(fitted.probabilities["train"], labels))
    found = [*data.warnings, *(said for split in data.splits.values() for said in split.warnings), *fitted.warnings]
    with store.new_run(
        **job.identity,
        planned_epochs=1,
        notes=job.notes,
        resume=True,
        take_over=take_over,
        info={
            "baseline": fitted.words,
            "fitted": fitted.settings,
            "parameters": fitted.parameters,
            "images": {name: len(split) for name, split in data.splits.items()},
            "left_out": data.left_out,
            "classes": [str(name) for name in data.class_names],
            "dataset_fingerprint": data.fingerprint,
        },
        warnings=found,
    ) as writer:
        cut = {"seed": job.dataset.cut_seed(job.seed)} | {name: len(split) for name, split in data.splits.items()}
        costs = {"parameters": fitted.parameters} if fitted.parameters else {}
        writer.describe(resolved=job.resolved | {"cut": cut}, digests=digests, costs=costs)
        due = KeptPredictions(job.recording.prediction_rows, 1).of_epoch(1, predictions)
        metrics = columns_of(measured(rows, None, job.now() - started))
        writer.write_epoch(1, metrics=metrics, predictions=due.table)
    return writer.run_id


def _predicted(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the table of predictions."""
    import torch

    likelihoods = torch.from_numpy(probabilities).log()
    found = predicted_of(likelihoods, likelihoods.argmax(1), torch.from_numpy(labels), len(labels))
    return columns_of_predictions([found], torch.from_numpy(labels))


def _judged(columns: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Accuracy and cross-entropy."""
    return {
        "accuracy": float((columns["label"] == columns["predicted"]).mean()),
        "loss": float(-np.log(np.maximum(columns["label_probability"], _LEAST)).mean()),
    }
