"""Runs of schema 1, made by the code of that time, open, verify and go on."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ncore.errors import InputError
from ncore.store import Store, create_store, open_store, verify
from tests.store.data import check_tables, metrics, record

OLD = Path(__file__).parent / "schema1"
ROWS, EPOCHS = 12, 9


@pytest.fixture
def old(tmp_path: Path) -> Store:
    return open_store(shutil.copytree(OLD, tmp_path / "old"))


def test_they_open_and_are_sound(old: Store) -> None:
    assert verify(old.url).ok
    assert dict(old.runs()[["run", "status"]].values) == {
        "finished": "finished",
        "closed": "interrupted",
        "killed": "interrupted",
    }
    for run_id in old.run_ids():
        run = old.run(run_id)
        check_tables(run, 5, ROWS)
        assert (run.metrics()["at"] == run.metrics()["epoch"]).all()


@pytest.mark.parametrize("run_id", ["closed", "killed"])
def test_they_resume_to_what_they_would_be_uninterrupted(old: Store, tmp_path: Path, run_id: str) -> None:
    about = {"run_id": run_id, "candidate": run_id, "planned_epochs": EPOCHS}
    new = record(create_store(tmp_path / "new"), EPOCHS, ROWS, **about)
    resumed = record(old, EPOCHS, ROWS, **about)
    check_tables(resumed, EPOCHS, ROWS)
    assert resumed.status == "finished"
    assert resumed.manifest.files == new.manifest.files
    assert not [finding for finding in verify(old.url).findings if run_id in finding.path]


def test_fractions_predictions_and_descriptions(store: Store) -> None:
    with store.new_run(candidate="a", dataset="b", seed=0, mode="unit", run_id="run") as writer:
        for epoch in range(4):
            columns = {**metrics(epoch), "at": [None, max(epoch - 0.5, 0), None, None, None]}
            rows = {"split": ["test"] * 2, "example": [0, 1], "label": [1, 2], "predicted": [1, 0]}
            writer.write_epoch(
                epoch,
                metrics=columns,
                predictions={**rows, "probability": [0.5, np.nan]},
                drop_predictions=[epoch - 1] if epoch > 1 else [],
            )
        with pytest.raises(InputError, match="numbers from 0 to 4"):
            writer.write_epoch(4, metrics={**metrics(4), "at": [5.0] * 5})
        with pytest.raises(InputError, match="digest 'data' is 'x'"):
            writer.describe(digests={"data": "x"})
        writer.describe(costs={"parameters": 5}, digests={"data": "0" * 32})
    run = store.run("run")
    assert run.metrics()["at"].tolist()[5:8] == [1.0, 0.5, 1.0]
    assert run.predictions()["epoch"].tolist() == [0, 0, 3, 3]
    assert len(run.predictions("test", epoch=3)) == 2
    assert (run.manifest.costs, run.manifest.digests) == ({"parameters": 5}, {"data": "0" * 32})
    assert not verify(store.url).findings
