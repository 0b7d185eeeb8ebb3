"""Opening a store and listing its runs."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from ncore.errors import SchemaVersionError, StoreError
from ncore.store import Store, create_store, open_store
from ncore.store.listing import COLUMNS
from tests.store.data import WHO, capacitance, metrics, record, write


def test_what_is_no_store_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"There is no folder .*nowhere: record a run into it, or make it with"):
        open_store(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"is not an ncore store, it has no ncore-store\.json"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match="is not an ncore store"):
        open_store("memory://nothing-here")
    with pytest.raises(StoreError, match="could not be opened: "):
        open_store("nonsense://x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        open_store(tmp_path / "file")


def test_a_store_of_another_version_or_a_broken_one(tmp_path: Path) -> None:
    create_store(tmp_path)
    (tmp_path / "ncore-store.json").write_text(json.dumps({"format": "ncore-store", "schema": 3}))
    with pytest.raises(SchemaVersionError, match="schema version 3, but this ncore knows versions 1 to 2"):
        open_store(tmp_path)
    (tmp_path / "ncore-store.json").write_text("{")
    with pytest.raises(StoreError, match="delete it and call"):
        open_store(tmp_path)


def test_create_store_opens_what_is_there(store: Store) -> None:
    record(store, 1)
    assert create_store(store.url).run_ids() == ["run"]
    assert repr(open_store(f"file://{store.url}")) == f"<Store {store.url}>"


def test_an_empty_listing_has_its_columns(store: Store) -> None:
    assert store.runs().columns.tolist() == list(COLUMNS)
    assert store.runs().empty


def test_a_listing_shows_every_run(store: Store) -> None:
    record(store, 4, run_id="done", planned_epochs=3, notes="good")
    record(store, 2, run_id="half", finish=False, seed=5)
    with pytest.raises(RuntimeError), store.new_run(**WHO, run_id="bad") as writer:
        raise RuntimeError("loss is NaN")
    with store.new_run(**WHO, run_id="now") as writer:
        write(writer, 0)
        runs = store.runs().set_index("run")
    assert runs.index.tolist() == ["done", "half", "bad", "now"]
    assert runs.status.tolist() == ["finished", "interrupted", "failed", "running"]
    assert runs.epochs.tolist() == [3, 1, 0, 0]
    done = runs.loc["done"]
    assert (done.candidate, done.dataset, done["mode"], done.notes) == ("builtin:dense", "digits", "unit", "good")
    assert done.planned_epochs == 3
    assert done.validation_accuracy == metrics(3)["value"][3]
    assert done.test_accuracy == metrics(3)["value"][4]
    assert done.beta_eff == capacitance(3).beta_eff[4]
    assert done.parameters == 123
    assert done.seconds == 1.5
    assert done.bytes == sum(path.stat().st_size for path in (Path(store.url) / "done").glob("*.parquet"))
    assert runs.loc["half", "seed"] == 5
    assert pd.isna(runs.loc["half", "test_accuracy"])
    assert runs.loc["bad", "reason"] == "RuntimeError: loss is NaN"
    assert str(runs.created.dtype).endswith("UTC]")
    assert (runs.updated >= runs.created).all()


def test_one_bad_run_does_not_hide_the_others(store: Store) -> None:
    for name in ("a", "b", "c", "d", "e"):
        record(store, 2, run_id=name)
    root = Path(store.url)
    (root / "b" / "run.json").write_bytes((root / "b" / "run.json").read_bytes()[:-9])
    (root / "c" / "run.json").unlink()
    newer = json.loads((root / "d" / "run.json").read_text()) | {"schema": 9}
    (root / "d" / "run.json").write_text(json.dumps(newer))
    (root / "e" / "run.json").write_bytes(b"")
    (root / "not-a-run").mkdir()
    (root / "README.md").write_text("hello")
    runs = store.runs().set_index("run")
    assert runs.status.to_dict() == {"a": "finished", **dict.fromkeys("bcde", "unreadable")}
    assert "truncated" in runs.loc["b", "reason"]
    assert "missing" in runs.loc["c", "reason"]
    assert "version 9" in runs.loc["d", "reason"]
    assert "truncated" in runs.loc["e", "reason"]
    with pytest.raises(StoreError, match="truncated"):
        store.run("b")


def test_a_listing_follows_changes(store: Store) -> None:
    record(store, 2, run_id="a")
    assert store.runs().run.tolist() == ["a"]
    record(store, 2, run_id="b", finish=False)
    assert store.runs().epochs.tolist() == [1, 1]
    record(store, 4, run_id="b", finish=False)
    assert store.runs().epochs.tolist() == [1, 3]
    store.delete("a")
    assert store.runs().run.tolist() == ["b"]
    record(store, 5, run_id="a")
    assert store.runs().set_index("run").epochs["a"] == 4


def test_delete(store: Store) -> None:
    record(store, 2)
    with pytest.raises(StoreError, match="There is no run other"):
        store.delete("other")
    store.delete("run")
    assert [path.name for path in Path(store.url).iterdir()] == ["ncore-store.json"]


def test_reading_a_store_does_not_load_torch() -> None:
    code = "import sys, ncore.store; sys.exit('torch' in sys.modules or 'fsspec.implementations.http' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_ten_thousand_runs_are_listed_in_two_seconds(store: Store) -> None:
    record(store, 2, run_id="run")
    root = Path(store.url)
    manifest = (root / "run" / "run.json").read_bytes()
    for number in range(10_000):
        (root / f"run{number}").mkdir()
        (root / f"run{number}" / "run.json").write_bytes(manifest)
    times = []
    for _ in range(2):
        begun = time.process_time()  # what else the machine does is not our doing
        assert len(store.runs()) == 10_001
        times.append(time.process_time() - begun)
    cold, warm = times
    assert cold < 2
    assert warm < cold
