"""Checkpoints are whole or ignored, and gone when a run is finished."""

from pathlib import Path

import numpy as np
import pytest

from ncore.store import Store, verify
from tests.store.data import WHO, check_tables, record, write


def checkpoints(store: Store) -> list[Path]:
    return sorted((Path(store.url) / "run").glob("checkpoint-*"))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_last_checkpoint_comes_back(store: Store, asynchronous: bool) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    with store.new_run(**WHO, run_id="run", asynchronous=asynchronous) as writer:
        assert writer.load_checkpoint() is None
        for epoch in range(3):
            write(writer, epoch)
            writer.save_checkpoint(safetensors.save({"w": np.full(4, epoch)}))
        assert safetensors.load(writer.load_checkpoint())["w"].tolist() == [2] * 4
        assert len(checkpoints(store)) == 1
        assert safetensors.load(checkpoints(store)[0].read_bytes())["w"].tolist() == [2] * 4
    assert not checkpoints(store)


def test_it_survives_an_interruption_and_ends_with_the_run(store: Store) -> None:
    writer = store.new_run(**WHO, run_id="run")
    writer.save_checkpoint(b"state")
    writer.close()
    assert verify(store.url).ok
    writer = store.new_run(**WHO, run_id="run", resume=True)
    assert writer.load_checkpoint() == b"state"
    writer.finish()
    assert not checkpoints(store)


def test_a_damaged_one_is_as_none(store: Store) -> None:
    writer = store.new_run(**WHO, run_id="run")
    write(writer, 0)
    writer.save_checkpoint(b"state of training")
    writer.close()
    (path,) = checkpoints(store)
    path.write_bytes(b"state of draining")
    (finding,) = verify(store.url).findings
    assert (finding.kind, finding.path) == ("corrupt", str(path))
    assert "training will start over" in finding.readable
    writer = store.new_run(**WHO, run_id="run", resume=True)
    assert writer.load_checkpoint() is None
    assert writer.last_epoch == 0
    writer.save_checkpoint(b"new")
    assert writer.load_checkpoint() == b"new"
    writer.close()
    assert len(checkpoints(store)) == 1


def test_of_two_the_newer_that_is_intact_counts(store: Store) -> None:
    record(store, 2, finish=False)
    from ncore.store.layout import checkpoint_file

    folder = Path(store.url) / "run"
    (folder / checkpoint_file(4, b"four")).write_bytes(b"four")
    (folder / checkpoint_file(5, b"five")).write_bytes(b"fi")
    writer = store.new_run(**WHO, run_id="run", resume=True)
    assert writer.load_checkpoint() == b"four"
    writer.save_checkpoint(b"six")
    writer.close()
    assert [path.name for path in checkpoints(store)] == [checkpoint_file(6, b"six")]
    check_tables(store.run("run"), 2)
