"""The benchmark's committed runs are those that its recipe asks for, whatever settings come later."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from ncore.benchmark.making.recipe import RECIPE, BenchRecipe
from ncore.benchmark.making.scoring import score_file
from ncore.benchmark.table import load_table
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec
from ncore.probe.job import Job
from ncore.sweep import run_id


def test_every_committed_run_is_one_of_the_recipe() -> None:
    """A network that the benchmark pretrains is named by what it is made of, and its runs by that."""
    planned = {run_id(job) for _, job in BenchRecipe.read(RECIPE).jobs()}
    assert set(load_table()["run"]) <= planned


class LaterDataset(DatasetSpec):
    """As a later version may have it."""

    ADDED: ClassVar[dict[str, Any]] = {**DatasetSpec.ADDED, "later": 0}
    later: int = 0


class LaterCandidate(CandidateSpec):
    """Likewise."""

    ADDED: ClassVar[dict[str, Any]] = {**CandidateSpec.ADDED, "later": 0}
    later: int = 0


@pytest.mark.parametrize("candidate", ["lenet", {"source": "timm:resnet18", "input_size": 64}])
def test_scores_are_found_after_a_setting_was_added(candidate: Any) -> None:
    folder, spec = Path("scores"), {"source": "digits", "train": 200}
    made = {"source": candidate} if isinstance(candidate, str) else candidate

    def place(one: CandidateSpec, data: DatasetSpec) -> Path:
        # As they are, not as a job's fields would validate them: a subclass stands for a later version here.
        return score_file(Job.model_construct(candidate=one, dataset=data, seed=0), folder)

    before = place(CandidateSpec.parse(made), DatasetSpec.parse(spec))
    assert place(LaterCandidate.parse(made), LaterDataset.parse(spec)) == before
    assert place(LaterCandidate.parse(made | {"later": 1}), LaterDataset.parse(spec)) != before
    assert place(LaterCandidate.parse(made), LaterDataset.parse(spec | {"later": 1})) != before
