"""Readers who look while a run ends see it running, or ended as it did, and nothing between."""

import threading

import pytest

import ncore


@pytest.mark.parametrize("how", ["finish", "fail"])
def test_a_run_that_ends_never_looks_interrupted(tmp_path, how):
    store, seen = ncore.create_store(tmp_path), set()
    stop = threading.Event()

    def look():
        reading = ncore.open_store(tmp_path)
        while not stop.is_set():
            seen.update(reading.runs()["status"])
            seen.update(reading.run(run_id).status for run_id in reading.runs()["run"])

    about = {"candidate": "c", "dataset": "d", "mode": "all"}
    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for seed in range(60):
            writer = store.new_run(seed=seed, **about)
            writer.write_epoch(0)
            writer.finish() if how == "finish" else writer.fail("why not")
    finally:
        stop.set()
        for watcher in watchers:
            watcher.join()
    assert seen <= {"running", "finished", "failed"}
