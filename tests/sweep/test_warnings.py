"""What is to be known before trusting a run stands in its row, in the ranking, in the report and after a sweep."""

from __future__ import annotations

import pytest
import torch
from ncore_dashboard.report import report_html
from torch import nn

import ncore
from ncore.display import console, warnings_hint
from ncore.sweep import Recipe, sweep
from ncore.sweep.running import execute

TEXT = "all 12 pictures are black"


@pytest.fixture
def store(tmp_path):
    """Two candidates, one of which was warned of."""
    for name, warnings in (("dark", [TEXT, TEXT]), ("bright", [])):
        unit = ncore.NCPUnit(8, classes=2, widths=(8, 8, 8))
        x, y = torch.randn(16, 8), torch.arange(16) % 2
        with ncore.Recorder(
            tmp_path / "runs", None, unit=unit, probe=(x, y), loss=nn.CrossEntropyLoss(), candidate=name,
            dataset="pictures", epochs=2, warnings=warnings,
        ) as recorder:  # fmt: skip
            recorder.record(validation={"accuracy": 0.5})
            if name == "dark":
                recorder.writer.warn("the loss rose")
                recorder.writer.warn("the loss rose")
            recorder.record(validation={"accuracy": 0.6}, test={"accuracy": 0.6})
    return ncore.open_store(tmp_path / "runs")


def test_in_the_run_and_its_row(store):
    runs = store.runs().set_index("candidate")
    assert store.run(runs.loc["dark", "run"]).manifest.warnings == [TEXT, "the loss rose"]
    assert TEXT in runs.loc["dark", "warnings"]
    assert runs["warnings"].isna()["bright"]


def test_in_the_ranking_and_the_report(store):
    table = ncore.rank(store, epochs=1, method="last").set_index("candidate")
    assert TEXT in table.loc["dark", "warning"]
    assert TEXT not in table.loc["bright", "warning"]
    assert TEXT in report_html(store, epochs=1, method="last")


def test_in_the_summary_at_the_end_of_a_sweep(tmp_path):
    recipe = Recipe.parse(
        {
            "candidates": ["dense-small"],
            "datasets": [{"source": "digits", "train": 60, "validation": 40, "test": 40}],
            "training": {"mode": "unit", "epochs": 1},
            "store": "runs",
        },
        base=str(tmp_path),
    )
    sweep(recipe.jobs, recipe.store_place, engine=lambda jobs, store: ((job, execute(job, store)) for job in jobs))
    opened = ncore.open_store(recipe.store_place)
    (run,) = opened.runs()["run"]
    folder = tmp_path / "runs" / run
    manifest = opened.run(run).manifest
    (folder / "run.json").write_bytes(manifest.model_copy(update={"warnings": [TEXT]}).to_bytes())
    with console.capture() as said:
        warnings_hint(recipe.jobs, recipe.store_place)
    assert TEXT in said.get()
    assert "dense-small" in said.get()
