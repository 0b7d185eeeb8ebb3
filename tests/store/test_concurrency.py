"""One writer a run, and readers at any time."""

import multiprocessing
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ncore.errors import StoreError
from ncore.store import Store, open_store, verify
from ncore.store._folder import LocalFolder
from ncore.store._lock import held
from ncore.store._parquet import open_table
from ncore.store.manifest import Manifest
from tests.store.data import WHO, check_tables, expected, record, write


@pytest.mark.parametrize("asynchronous", [False, True])
def test_readers_see_whole_epochs_while_a_run_is_written_and_compacted(store: Store, asynchronous: bool) -> None:
    wanted = expected("trajectories", 25)[["epoch", "synapse", "weight"]]
    writer = store.new_run(**WHO, run_id="run", asynchronous=asynchronous)
    failures: list[BaseException] = []

    def write_all() -> None:
        try:
            for epoch in range(25):
                write(writer, epoch)
            writer.finish()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=write_all)
    thread.start()
    seen, reads = -1, 0
    run = store.run("run")
    while thread.is_alive() or reads < 3:
        frame = run.trajectory(columns=["epoch", "synapse", "weight"])
        assert frame.equals(wanted[: len(frame)].astype(frame.dtypes.to_dict()))
        assert len(frame) % 60 == 0
        assert len(frame) // 60 - 1 >= seen
        seen = len(frame) // 60 - 1
        reads += 1
        assert store.runs().status[0] in ("running", "finished")
        assert verify(store.url).ok
    thread.join()
    assert not failures
    check_tables(run, 25)
    assert run.status == "finished"


def test_a_reader_that_meets_a_compaction_reads_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = store.new_run(**WHO, run_id="run")
    for epoch in range(3):
        write(writer, epoch)
    run = store.run("run")
    opened: list[str] = []

    def finish_first(folder: object, path: str, *rest: object, **options: object) -> object:
        if not opened:
            writer.finish()  # between the manifest and the files that it lists
        opened.append(path)
        return open_table(folder, path, *rest, **options)

    monkeypatch.setattr("ncore.store.reader.open_table", finish_first)
    assert len(run.trajectory()) == 180
    assert opened == ["trajectories/00000.parquet", "trajectories.parquet"]


def test_a_second_writer_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncore.store._lock._PATIENCE", 0.05)
    with store.new_run(**WHO, run_id="run") as writer:
        write(writer, 0)
        with pytest.raises(StoreError, match=r"Run run is being recorded by process \d+ on .+: wait for it"):
            open_store(store.url).new_run(**WHO, run_id="run", resume=True)
        with pytest.raises(StoreError, match="is being recorded: stop that first"):
            store.delete("run")
        write(writer, 1)
        with store.new_run(**WHO, run_id="another") as other:
            write(other, 0)
    check_tables(store.run("run"), 2)


def _hold(place: str, ready: multiprocessing.Event, done: multiprocessing.Event) -> None:  # type: ignore[valid-type]
    with open_store(place).new_run(**WHO, run_id="run") as writer:
        write(writer, 0)
        ready.set()
        done.wait(60)


def test_a_writer_in_another_process(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(store.url, ready, done))
    process.start()
    assert ready.wait(60)
    assert store.runs().status.tolist() == ["running"]
    with pytest.raises(StoreError, match=f"being recorded by process {process.pid}"):
        store.new_run(**WHO, run_id="run", resume=True)
    process.kill()
    process.join()
    assert store.runs().status.tolist() == ["interrupted"]
    check_tables(record(store, 3), 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_helpers_of_a_killed_writer_do_not_keep_its_lock(store: Store) -> None:
    code = (
        "import os, time; from ncore.store import open_store; from tests.store.data import WHO, write\n"
        f"writer = open_store({store.url!r}).new_run(**WHO, run_id='run')\n"
        "write(writer, 0)\n"
        "if os.fork() == 0: os.close(1); time.sleep(20); os._exit(0)\n"  # as a worker that loads data
        "print('forked', flush=True); time.sleep(20)"
    )
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"forked\n"
    assert store.run("run").status == "running"
    process.kill()
    process.communicate()
    assert store.run("run").status == "interrupted"
    check_tables(record(store, 2), 2)


def test_asking_for_a_lock_does_not_take_it(store: Store) -> None:
    folder = LocalFolder(Path(store.url) / "run")
    assert not held(folder)
    writer = store.new_run(**WHO, run_id="run")
    assert held(folder)
    assert store.run("run").status == "running"
    writer.close()
    assert not held(folder)


def test_a_run_recorded_on_another_machine_counts_by_its_last_sign_of_life(store: Store) -> None:
    record(store, 2, finish=False)
    folder = LocalFolder(Path(store.url) / "run")
    manifest = Manifest.from_bytes(folder.read("run.json"), "run.json")
    elsewhere = manifest.writer.model_copy(update={"host": "elsewhere"})
    for minutes, status in ((1, "running"), (30, "interrupted")):
        updated = datetime.now(UTC) - timedelta(minutes=minutes)
        changed = manifest.model_copy(update={"status": "running", "writer": elsewhere, "updated": updated})
        folder.write("run.json", changed.to_bytes())
        assert store.run("run").status == status
        assert store.runs().status.tolist() == [status]
    check_tables(record(store, 3), 3)
