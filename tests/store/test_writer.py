"""The life of a run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ncore.errors import InputError, StoreError
from ncore.store import RunWriter, Store, create_store, verify
from ncore.store._folder import LocalFolder
from tests.store.data import WHO, check_tables, metrics, record, trajectories, write


def names(folder: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_run_from_begin_to_end(store: Store, asynchronous: bool) -> None:
    writer = store.new_run(**WHO, run_id="run", planned_epochs=4, asynchronous=asynchronous)
    assert writer.last_epoch == -1
    assert store.run("run").status == "running"
    assert store.run("run").metrics().empty
    for epoch in range(5):
        write(writer, epoch)
        assert writer.last_epoch == epoch
        if not asynchronous:
            check_tables(store.run("run"), epoch + 1)
    writer.finish(summary={"parameters": 7})
    run = store.run("run")
    check_tables(run, 5)
    assert run.status == "finished"
    assert run.manifest.summary["parameters"] == 7
    assert run.recorded_epochs("line_graph") == [0, 3]
    tables = {"metrics.parquet", "capacitance.parquet", "trajectories.parquet", "line_graph.parquet"}
    assert names(run.url) == {"run.json", *tables}


def test_a_run_with_few_tables(store: Store) -> None:
    with store.new_run(**WHO, run_id="run") as writer:
        writer.write_epoch(0, metrics=metrics(0))
        writer.write_epoch(1)
        writer.write_epoch(5, metrics=metrics(5))
    run = store.run("run")
    assert run.epochs == [0, 1, 5]
    assert run.recorded_epochs("metrics") == [0, 5]
    assert len(run.metrics()) == 10
    assert run.trajectory().columns.tolist() == ["epoch", "layer", "synapse", "source", "target", "weight", "rate"]
    assert verify(store.url).ok


def test_epochs_only_go_forward(store: Store) -> None:
    with store.new_run(**WHO, run_id="run") as writer:
        write(writer, 0)
        for epoch in (0, -1):
            with pytest.raises(StoreError, match=f"Epoch {epoch} cannot be recorded.*go on with epoch 1"):
                writer.write_epoch(epoch)
    with pytest.raises(StoreError, match="is closed"):
        writer.write_epoch(1)


def test_a_wrong_table_leaves_the_run_as_it_was(store: Store) -> None:
    with store.new_run(**WHO, run_id="run") as writer:
        write(writer, 0)
        with pytest.raises(InputError):
            writer.write_epoch(1, metrics=metrics(1), trajectories={"weight": [1.0]})
        assert writer.last_epoch == 0
        write(writer, 1)
    check_tables(store.run("run"), 2)


def write_epochs(writer: RunWriter, epochs: range) -> None:
    for epoch in epochs:
        write(writer, epoch)
    writer._wait()


def break_off(store: Store, error: BaseException) -> None:
    """Record an epoch, and raise inside the block."""

    def training() -> None:
        with store.new_run(**WHO, run_id="run") as writer:
            write(writer, 0)
            raise error

    with pytest.raises(type(error)):
        training()


def test_an_exception_makes_a_run_failed(store: Store) -> None:
    break_off(store, ZeroDivisionError("the loss\nis gone"))
    run = store.run("run")
    assert run.status == "failed"
    assert run.manifest.reason == "ZeroDivisionError: the loss is gone"
    assert store.runs().loc[0, "reason"] == run.manifest.reason
    check_tables(run, 1)
    check_tables(record(store, 3), 3)  # and it can be resumed
    assert store.run("run").manifest.reason is None


def test_ctrl_c_leaves_a_run_interrupted(store: Store) -> None:
    break_off(store, KeyboardInterrupt())
    assert store.run("run").status == "interrupted"
    check_tables(record(store, 3), 3)


def test_close_leaves_a_run_interrupted_and_may_be_called_again(store: Store) -> None:
    writer = store.new_run(**WHO, run_id="run")
    writer.close()
    writer.close()
    assert store.run("run").status == "interrupted"


def test_a_process_that_ends_without_closing_keeps_what_it_handed_over(store: Store) -> None:
    code = (
        "from ncore.store import open_store; from tests.store.data import WHO, write\n"
        f"writer = open_store({store.url!r}).new_run(**WHO, run_id='run', asynchronous=True)\n"
        "for epoch in range(5): write(writer, epoch)\n"
        "raise SystemExit(3)"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": root}, check=False)
    assert done.returncode == 3
    assert store.run("run").status == "interrupted"
    check_tables(store.run("run"), 5)


def test_resuming(store: Store) -> None:
    record(store, 3, finish=False, config={"lr": 0.1}, notes="first", info={"classes": 10})
    with pytest.raises(StoreError, match="exists, unfinished, up to epoch 2: open it with resume=True"):
        store.new_run(**WHO, run_id="run", config={"lr": 0.1})
    with pytest.raises(StoreError, match=r"another config \(\{'lr': 0.2\}\)"):
        store.new_run(**WHO, run_id="run", config={"lr": 0.2}, resume=True)
    with pytest.raises(StoreError, match="another seed"):
        store.new_run(**{**WHO, "seed": 1}, run_id="run", config={"lr": 0.1}, resume=True)
    created = store.run("run").manifest.created
    run = record(store, 5, config={"lr": 0.1})
    check_tables(run, 5)
    assert run.manifest.created == created
    assert run.manifest.notes == "first"
    assert run.manifest.info == {"classes": 10}


def test_a_finished_run_is_not_written_again(store: Store) -> None:
    record(store, 2)
    for resume in (False, True):
        with pytest.raises(StoreError, match="is finished"):
            store.new_run(**WHO, run_id="run", resume=resume)
    assert not (Path(store.url) / "run" / ".lock").exists()


def test_what_a_run_is_goes_into_its_manifest(store: Store) -> None:
    config = {"lr": np.float32(0.5), "betas": (0.9, 0.99), "path": Path("a"), "limit": float("inf")}
    recorded = {"neurons": [None, np.arange(3)], "total": [64, 10]}
    with store.new_run(**WHO, planned_epochs=3, config=config, unit={"widths": [64, 10]}, recorded=recorded) as writer:
        pass
    manifest = store.run(writer.run_id).manifest
    assert writer.run_id.startswith("builtin-dense_digits_unit_s0_")
    assert manifest.config == {"lr": 0.5, "betas": [0.9, 0.99], "path": "a", "limit": None}
    assert manifest.recorded == {"neurons": [None, [0, 1, 2]], "total": [64, 10]}
    assert manifest.unit == {"widths": [64, 10]}
    assert {"python", "ncore", "numpy", "pyarrow"} <= set(manifest.versions)
    with pytest.raises(InputError, match=r"config\.model is a object"):
        store.new_run(**WHO, config={"model": object()})


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_full_disk_is_one_clear_error(store: Store, monkeypatch: pytest.MonkeyPatch, asynchronous: bool) -> None:
    writer = store.new_run(**WHO, run_id="run", asynchronous=asynchronous)
    write(writer, 0)
    if asynchronous:
        writer._wait()
    with monkeypatch.context() as patched:

        def full(_handle: int) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="could not be written: No space left on device"):
            write_epochs(writer, range(1, 5))
    writer.close()
    run = store.run("run")
    assert run.status == "interrupted"
    check_tables(run, 1)
    assert verify(store.url).ok
    check_tables(record(store, 5), 5)


def test_a_table_that_cannot_be_compacted_stays_in_parts(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    record(store, 3, finish=False)
    writer = store.new_run(**WHO, run_id="run", resume=True)
    part = Path(store.url) / "run" / "trajectories" / "00001.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    writer.finish()
    assert "stays in parts" in caplog.text
    run = store.run("run")
    assert run.status == "finished"
    assert len(run.metrics()) == 15
    assert len(run.trajectory(epoch=[0, 2])) == 120
    with pytest.raises(StoreError, match=r"00001\.parquet is truncated.*can still be read: metrics, capacitance"):
        run.trajectory(epoch=1)


def test_compaction_keeps_to_whole_epochs_and_bounded_row_groups(store: Store) -> None:
    import pyarrow.parquet as pq

    run = record(store, 5, rows=20_000)
    check_tables(run, 5, rows=20_000)
    groups = pq.ParquetFile(Path(run.url) / "trajectories.parquet").metadata
    spans = []
    for index in range(groups.num_row_groups):
        group = groups.row_group(index)
        assert group.num_rows <= 16_384
        spans.append((group.column(0).statistics.min, group.column(0).statistics.max))
    assert all(low == high for low, high in spans)
    small = record(create_store(store.url + "-small"), 5)
    assert pq.ParquetFile(Path(small.url) / "trajectories.parquet").metadata.num_row_groups == 1


def test_a_run_that_is_deleted_while_it_is_recorded(store: Store) -> None:
    import shutil

    writer = store.new_run(**WHO, run_id="run")
    write(writer, 0)
    shutil.rmtree(Path(store.url) / "run")
    with pytest.raises(StoreError, match="was deleted while it was being recorded"):
        write(writer, 1)
    with pytest.raises(StoreError, match="was deleted"):
        writer.close()
    assert store.run_ids() == []


def test_a_folder_with_tables_but_no_manifest_is_not_overwritten(store: Store) -> None:
    record(store, 2, finish=False)
    (Path(store.url) / "run" / "run.json").unlink()
    with pytest.raises(StoreError, match=r"run\.json is missing, but the folder has tables"):
        store.new_run(**WHO, run_id="run", resume=True)


def test_leftovers_are_cleared_and_nothing_else(store: Store) -> None:
    record(store, 2, finish=False)
    folder = LocalFolder(store.url).child("run")
    for path in ("metrics/.00002.parquet.tmp", "metrics/00002.parquet", "trajectories.parquet", ".run.json.tmp"):
        folder.write(path, b"half")
    folder.write("notes.txt", b"mine")
    assert {finding.kind for finding in verify(store.url).findings} == {"leftover", "foreign"}
    check_tables(record(store, 4), 4)
    assert {finding.path.rsplit("/")[-1] for finding in verify(store.url).findings} == {"notes.txt"}


def test_a_heartbeat_shows_life(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import time
    from datetime import timedelta

    from ncore.store import writer as module

    monkeypatch.setattr(module, "_HEARTBEAT", timedelta(seconds=0.02))
    with store.new_run(**WHO, run_id="run", asynchronous=True) as writer:
        write(writer, 0)
        before = store.run("run").manifest.updated
        deadline = time.monotonic() + 20
        while store.run("run").manifest.updated <= before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_arrays_may_be_changed_after_they_were_handed_over(store: Store) -> None:
    weights = np.zeros(60, np.float32)
    with store.new_run(**WHO, run_id="run", asynchronous=True) as writer:
        for epoch in range(6):
            weights[:] = epoch
            writer.write_epoch(epoch, trajectories={**trajectories(epoch), "weight": weights})
            weights[:] = -1
    frame = store.run("run").trajectory()
    assert (frame.weight == frame.epoch).all()
