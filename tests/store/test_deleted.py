"""A store, or a run, that somebody deletes at any moment of a recording: the writer says so, and nothing else."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ncore.errors import StoreError
from ncore.store import create_store
from tests.store.data import WHO, check_tables, record, write
from tests.store.test_crashes import OPERATIONS

rmtree = shutil.rmtree  # before it is counted


class Deleting:
    """Deletes a folder right before the call with number ``at`` that changes files."""

    def __init__(self, patched: pytest.MonkeyPatch, folder: Path, at: int | None) -> None:
        self.count = 0

        def wrap(original: Any) -> Any:
            def operation(*args: Any, **kwargs: Any) -> Any:
                number, self.count = self.count, self.count + 1
                if number == at:
                    patched.undo()
                    rmtree(folder, ignore_errors=True)
                return original(*args, **kwargs)

            return operation

        for module, name in OPERATIONS:
            patched.setattr(module, name, wrap(getattr(module, name)))


def session(place: Path) -> None:
    with create_store(place).new_run(**WHO, run_id="run", resume=True) as writer:
        for epoch in range(2):
            write(writer, epoch)
            writer.save_checkpoint(b"state")


@pytest.mark.parametrize("what", ["", "run"], ids=["store", "run"])
def test_the_writer_says_so_and_a_new_one_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    with pytest.MonkeyPatch.context() as patched:
        counting = Deleting(patched, tmp_path / "whole" / what, None)
        session(tmp_path / "whole")
    assert counting.count > 40
    refused = 0
    for at in range(0, counting.count, 2):
        place = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patched:
            Deleting(patched, place / what, at)
            try:
                session(place)
            except StoreError as error:
                refused += "deleted" in str(error) or "No such file" in str(error) or "not an ncore store" in str(error)
        with contextlib.suppress(FileNotFoundError):
            rmtree(place)
        check_tables(record(create_store(place), 2), 2)
    assert refused > 10
