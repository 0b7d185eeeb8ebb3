"""Early stopping by another metric than the accuracy."""

from __future__ import annotations

import numpy as np

import ncore
from ncore.predict.stopping import StoppingRule
from ncore.sweep.local import LocalEngine
from ncore.sweep.recipe import Recipe
from ncore.sweep.stages import sweep_and_stop


def test_what_only_says_the_frequent_class_is_stopped_by_balanced_accuracy(tmp_path):
    """By accuracy it is level with the others from the first epoch on."""
    arrays = {}
    for seed, (split, size) in enumerate({"train": 600, "validation": 400, "test": 400}.items()):
        rng = np.random.default_rng(seed)
        labels = (rng.permutation(size) % 20 == 0).astype(int)
        pictures = rng.normal(128, 15, (size, 8, 8))
        pictures[labels == 1, 2:6, 2:6] += 70
        arrays[f"x_{split}"], arrays[f"y_{split}"] = np.clip(pictures, 0, 255).astype(np.uint8), labels
    np.savez(tmp_path / "rare.npz", **arrays)
    rates = {"frequent": 1e-4, "finds": 1e-2}
    recipe = Recipe.parse(
        {
            "candidates": [
                {"source": "dense", "name": name, "training": {"learning_rate": rate}} for name, rate in rates.items()
            ],
            "datasets": [{"source": f"numpy:{tmp_path / 'rare.npz'}", "name": "rare"}],
            "training": {"mode": "all", "epochs": 8, "device": "cpu"},
            "recording": {"neurons": 4, "line_graph_every": 0},
            "store": str(tmp_path / "runs"),
            "metric": "balanced_accuracy",
        }
    )
    results = sweep_and_stop(
        recipe.jobs,
        recipe.store_place,
        engine=LocalEngine(1),
        rule=StoppingRule(risk=0.3),
        method="last",
        metric=recipe.metric,
    )
    found = {result.job.candidate.name: result for result in results}
    assert found["finds"].outcome == "finished"
    assert found["frequent"].outcome == "stopped"
    assert "the best by balanced accuracy with probability" in found["frequent"].reason
    table = ncore.rank(recipe.store_place)
    assert table.attrs["metric"] == "balanced_accuracy"
    assert table["candidate"].tolist() == ["finds", "frequent"]
