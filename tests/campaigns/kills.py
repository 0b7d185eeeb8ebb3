"""kill -9 of a writer, at random times and right before its n-th call that changes files; then open, verify, resume.

    python -m tests.campaigns.kills --tries 1000 --seed 0

Every try is one kill. What it leaves has to open, to be sound, and to have every epoch that was committed; killed up
to three times, the run is then resumed to its end, which is the same, byte for byte, as that of a run never killed,
with nothing left over.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ncore.errors import StoreError
from ncore.store import _compaction, create_store, open_store, verify
from tests.campaigns._forks import call, call_and_kill
from tests.store.data import WHO, check_tables, record, write
from tests.store.test_crashes import OPERATIONS

EPOCHS = 5
CALLS = (*OPERATIONS, (os, "open"), (os, "rename"))


class Counting:
    """Counts calls that change files, and does something right before the one with number ``at``."""

    def __init__(self, at: int | None, then: Callable[[], None]) -> None:
        self.count, self.at, self._then = 0, at, then
        for module, name in CALLS:
            setattr(module, name, self._wrap(name, getattr(module, name)))

    def _wrap(self, name: str, original: Any) -> Any:
        def operation(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return original(*args, **kwargs)
            number, self.count = self.count, self.count + 1
            if number == self.at:
                self.before(name, args)
            return original(*args, **kwargs)

        return operation

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        """What is done."""
        self._then()


class Killing(Counting):
    """Kills this process; a file that was to be synced may be torn first, as when the machine itself loses power."""

    def __init__(self, at: int | None, torn: bool) -> None:
        super().__init__(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        self.torn = torn

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Tear, and kill."""
        if name == "fsync" and self.torn and stat.S_ISREG(os.fstat(arguments[0]).st_mode):
            os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
        super().before(name, arguments)


def session(place: Path, asynchronous: bool, at: int | None, torn: bool, pipe: int) -> None:
    """One process that begins the run, or goes on with it, and finishes it."""
    killing = Killing(at, torn)
    log = os.open(f"{place}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    store = create_store(place)
    try:
        writer = store.new_run(**WHO, run_id="run", resume=True, asynchronous=asynchronous)
    except StoreError:
        if store.run("run").status != "finished":
            raise
    else:
        with writer:
            for epoch in range(writer.last_epoch + 1, EPOCHS):
                write(writer, epoch)
                writer.save_checkpoint(b"state %d" % epoch)
                if not asynchronous:
                    os.write(log, b"%d\n" % epoch)
    os.write(pipe, b"%d" % killing.count)


def check(place: Path, pipe: int) -> None:
    """Look at what a kill left."""
    moment = "before the run"
    if (place / "ncore-store.json").exists():
        report = verify(place)
        assert report.ok, report.findings
        table = open_store(place).runs()
        assert set(table["status"]) <= {"interrupted", "finished"}, table
        log = Path(f"{place}.log")
        committed = log.read_text().split() if log.exists() else []
        assert len(table) or not committed
        if len(table):
            run = open_store(place).run("run")
            assert len(run.epochs) >= len(committed)
            check_tables(run, len(run.epochs))
            moment = "after the end" if run.status == "finished" else f"after {len(run.epochs)} epochs"
    os.write(pipe, moment.encode())


def check_end(place: Path, undisturbed: Path, pipe: int) -> None:
    """A run that was resumed to its end is as if it had never been killed."""
    report = verify(place)
    assert not report.findings, report.findings
    run = open_store(place).run("run")
    assert run.status == "finished"
    check_tables(run, EPOCHS)
    assert run.manifest.files == open_store(undisturbed).run("run").manifest.files


def prepare(place: Path, pipe: int) -> None:
    """The run that is never killed."""
    record(create_store(place), EPOCHS)


def main() -> int:
    """Returns the number of tries that went wrong."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--tries", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    undisturbed, moments, wrong, tries, number = folder / "undisturbed", Counter[str](), 0, 0, 0
    assert call(partial(prepare, undisturbed))[0] == 0
    _compaction.FAN_OUT = 2  # so that files are joined after every other epoch
    counts, seconds = {}, {}
    for asynchronous in (False, True):
        began = time.monotonic()
        code, said = call(partial(session, folder / f"counted-{asynchronous}", asynchronous, None, False))
        assert code == 0
        counts[asynchronous], seconds[asynchronous] = int(said), time.monotonic() - began
    print(f"calls that change files: {counts}", flush=True)
    while tries < given.tries:
        number += 1
        rng, place = random.Random(f"{given.seed} {number}"), folder / str(number)
        sound = True
        for _ in range(rng.randint(1, 3)):
            asynchronous, torn = rng.random() < 0.5, rng.random() < 0.5
            if rng.random() < 0.5:
                how = "at a call"
                job = partial(session, place, asynchronous, rng.randrange(counts[asynchronous]), torn)
                code = call(job)[0]
            else:
                how = "at a time"
                job = partial(session, place, asynchronous, None, False)
                code = call_and_kill(job, rng.uniform(0, 1.3 * seconds[asynchronous]))
            tries += code == -signal.SIGKILL
            looked, said = call(partial(check, place))
            moments[f"{how}, {said.decode()}"] += code == -signal.SIGKILL
            sound = sound and code in (0, -signal.SIGKILL) and looked == 0
        sound = sound and call(partial(session, place, False, None, False))[0] == 0
        if sound and call(partial(check_end, place, undisturbed))[0] == 0:
            shutil.rmtree(place)
        else:
            wrong += 1
            print(f"WRONG: run {number} of seed {given.seed}, kept in {place}", flush=True)
        if number % 50 == 0:
            print(f"{tries} kills of {number} runs, {wrong} wrong", flush=True)
    print(f"{tries} kills of {number} runs, {wrong} wrong: {dict(sorted(moments.items()))}")
    if not wrong:
        shutil.rmtree(folder)
    return wrong


if __name__ == "__main__":
    raise SystemExit(bool(main()))
