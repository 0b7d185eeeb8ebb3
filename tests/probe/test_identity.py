"""The id of a run: what was asked for, whatever settings come later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

import ncore
from ncore.probe.settings import TrainingSettings, identity_of
from ncore.probe.sources.dataset_spec import DatasetSpec
from ncore.sweep import Recipe, run_id

SAMPLES = Path(ncore.__file__).parent.parent / "sample_runs"
RECIPES = sorted(SAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_sample_runs_are_those_of_their_recipes(recipe: Path) -> None:
    """So that a sweep of them skips them all: recorded by an earlier version, they keep their ids."""
    recorded = {path.name for path in SAMPLES.iterdir() if path.is_dir()}
    planned = {run_id(job) for job in Recipe.read(recipe).jobs}
    assert planned <= recorded


class Later(DatasetSpec):
    """As a later version may have it: with one setting more, and another default."""

    ADDED: ClassVar[Mapping[str, Any]] = {**DatasetSpec.ADDED, "augmented": 0}
    augmented: int = 0


def test_a_setting_added_later_leaves_old_runs_where_they_are() -> None:
    spec = {"source": "digits", "train": 200}
    assert identity_of(Later.parse(spec)) == identity_of(DatasetSpec.parse(spec))
    assert identity_of(Later.parse(spec | {"augmented": 2})) != identity_of(DatasetSpec.parse(spec))


def test_a_default_changed_later_is_another_run() -> None:
    class Changed(TrainingSettings):
        weight_decay: float = 0.1

    assert identity_of(Changed()) != identity_of(TrainingSettings())
    assert identity_of(Changed(weight_decay=0.01)) == identity_of(TrainingSettings())
