"""A writer whose disk, clock, descriptors or bucket fail under it; then look, and go on when the fault is over.

    python -m tests.campaigns.faults --tries 500 --seed 0 [--only full]

Whatever fails, the writer ends or raises an ``NcoreError``, in time; what was committed is there; and once the fault is
over the run is resumed to the same end as one never disturbed. Full disks need the right to mount one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from ncore.errors import NcoreError
from ncore.store import create_store, open_store, verify
from tests.campaigns._forks import call
from tests.campaigns._s3 import FAULTS as S3_FAULTS
from tests.campaigns._s3 import Bucket
from tests.campaigns.kills import EPOCHS, Counting, prepare
from tests.store.data import WHO, check_tables, write

PATIENCE = 240.0  # seconds: clients of buckets try again, ever more slowly
NOBODY = 65534

Place = tuple[str, dict[str, Any]]
Spoil = Callable[[], None]


def session(place: Place, log: Path, asynchronous: bool, pipe: int) -> None:
    """One process that begins the run, or goes on with it, and finishes it; an ``NcoreError`` is a proper end, too."""
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        store = create_store(*place)
        with store.new_run(**WHO, run_id="run", resume=True, take_over=True, asynchronous=asynchronous) as writer:
            for epoch in range(writer.last_epoch + 1, EPOCHS):
                write(writer, epoch)
                writer.save_checkpoint(b"state %d" % epoch)
                if not asynchronous:
                    os.write(handle, b"%d\n" % epoch)
        os.write(pipe, b"finished")
    except NcoreError as error:
        os.write(pipe, f"{type(error).__name__}: {error}".encode())


def spoiled(place: Place, log: Path, asynchronous: bool, at: int, spoil: Spoil, pipe: int) -> None:
    """The same, under something that goes wrong right before the call with number ``at`` that changes files."""
    Counting(at, spoil)
    session(place, log, asynchronous, pipe)


def check(place: Place, log: Path, pipe: int) -> None:
    """What a fault left opens, is sound, and has all that was committed."""
    committed = log.read_text().split() if log.exists() else []
    try:
        store = open_store(*place)
    except NcoreError:
        assert not committed
        return
    report = verify(*place)
    assert report.ok, report.findings
    table = store.runs()
    assert set(table["status"]) <= {"running", "interrupted", "failed", "finished"}, table
    assert len(table) or not committed
    if len(table):
        run = store.run("run")
        assert len(run.epochs) >= len(committed), (run.epochs, committed)
        check_tables(run, len(run.epochs))
    os.write(pipe, b"sound")


def check_end(place: Place, undisturbed: Path, pipe: int) -> None:
    """A run that was resumed to its end is as if nothing had ever failed."""
    report = verify(*place)
    assert not report.findings, report.findings
    run = open_store(*place).run("run")
    assert run.status == "finished"
    check_tables(run, EPOCHS)
    if "/" not in "".join(run.manifest.files):  # else it was finished while the fault lasted, and left in parts
        assert run.manifest.files == open_store(undisturbed).run("run").manifest.files


# What goes wrong: each prepares, gives what is done at some call, and puts all right again at the end of the block.


@contextlib.contextmanager
def full(place: Path, rng: random.Random) -> Iterator[Spoil]:
    """No room left but for so many bytes, on a disk of its own."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "ncore-faults", str(place)], check=True)
    room = rng.randrange(40) << 10

    def fill() -> None:
        found = os.statvfs(place)
        with open(place / ".ballast", "wb") as file, contextlib.suppress(OSError):
            file.write(b"\0" * max(found.f_bavail * found.f_frsize - room, 0))

    try:
        yield fill
        (place / ".ballast").unlink(missing_ok=True)
    finally:
        shutil.copytree(place, f"{place}.kept")
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()
        os.rename(f"{place}.kept", place)


@contextlib.contextmanager
def file_size(place: Path, rng: random.Random) -> Iterator[Spoil]:
    """No file may be larger than so many bytes, as with a quota."""
    most = rng.randrange(1, 6000)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    yield limit


@contextlib.contextmanager
def descriptors(place: Path, rng: random.Random) -> Iterator[Spoil]:
    """So few files may be open, besides those that are."""
    few = rng.randrange(8)

    def limit() -> None:
        taken = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken + few, taken + few))

    yield limit


@contextlib.contextmanager
def read_only(place: Path, rng: random.Random) -> Iterator[Spoil]:
    """Somebody takes the right to write away, from the store or from the run."""
    place.mkdir()
    place.chmod(0o777)
    where = place / "run" if rng.random() < 0.5 else place

    def forbid() -> None:
        if where.exists():
            where.chmod(0o555)

    yield forbid
    for folder in (place, place / "run"):
        if folder.exists():
            folder.chmod(0o777)


@contextlib.contextmanager
def removed(place: Path, rng: random.Random) -> Iterator[Spoil]:
    """Somebody deletes the store, or the run."""
    where = place / "run" if rng.random() < 0.5 else place
    yield partial(shutil.rmtree, where, ignore_errors=True)


@contextlib.contextmanager
def clock(place: Path, rng: random.Random) -> Iterator[Spoil]:
    """The clock is set to another time, again and again, between 1971 and 2260."""
    from ncore.store import _lock, _recording, manifest

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime(1971, 1, 1, tzinfo=tz) + timedelta(days=rng.uniform(0, 365 * 289))

    def jump() -> None:
        for module in (_lock, _recording, manifest):
            module.datetime = Jumping  # type: ignore[attr-defined]

    yield jump


LOCAL = {fault.__name__: fault for fault in (full, file_size, descriptors, read_only, removed, clock)}


def as_nobody(function: Callable[[int], None], pipe: int) -> None:
    """Call without the rights of the administrator, whom no permission stops."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    function(pipe)


def try_local(
    name: str, place: Path, undisturbed: Path, calls: dict[bool, int], rng: random.Random
) -> tuple[bool, str]:
    """One try of a fault of this machine: whether all that has to hold does, and how the writer ended."""
    target: Place = (str(place), {})
    asynchronous, log = rng.random() < 0.5, Path(f"{place}.log")
    with LOCAL[name](place, rng) as spoil:
        job = partial(spoiled, target, log, asynchronous, rng.randrange(calls[asynchronous]), spoil)
        code, said = call(partial(as_nobody, job) if name == "read_only" else job, PATIENCE)
    sound = code == 0
    if name == "removed":  # wholly, now that nobody writes into it any more
        shutil.rmtree(place, ignore_errors=True)
        log.unlink(missing_ok=True)
    sound = sound and call(partial(check, target, log), PATIENCE)[0] == 0
    sound = sound and call(partial(session, target, log, False), PATIENCE)[0] == 0
    sound = sound and call(partial(check_end, target, undisturbed), PATIENCE)[0] == 0
    return sound, _ending(said)


def try_s3(
    name: str, bucket: Bucket, number: int, undisturbed: Path, log: Path, rng: random.Random
) -> tuple[bool, str]:
    """One try of a fault of a bucket."""
    target = (f"s3://bucket/{number}", bucket.options)
    bucket.fault(name, share=rng.choice([0.02, 0.1, 0.3, 1.0]), after=rng.randrange(60), seed=rng.randrange(1 << 30))
    code, said = call(partial(session, target, log, rng.random() < 0.5), PATIENCE)
    sound = code == 0
    sound = sound and call(partial(check_in_time, target), PATIENCE)[0] == 0
    bucket.fault(None)
    sound = sound and call(partial(check, target, log), PATIENCE)[0] == 0
    sound = sound and call(partial(session, target, log, False), PATIENCE)[0] == 0
    sound = sound and call(partial(check_end, target, undisturbed), PATIENCE)[0] == 0
    return sound, _ending(said)


def check_in_time(place: Place, pipe: int) -> None:
    """While the fault lasts, readers read or raise an ``NcoreError``."""
    with contextlib.suppress(NcoreError):
        store = open_store(*place)
        for run_id in store.runs()["run"]:
            with contextlib.suppress(NcoreError):
                store.run(run_id).metrics()
    with contextlib.suppress(NcoreError):
        verify(*place)


def _ending(said: bytes) -> str:
    return said.decode().partition(":")[0] or "finished before"


def main() -> int:
    """Returns the number of tries that went wrong."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--tries", type=int, default=500)
    arguments.add_argument("--first", type=int, default=1, help="number of the first try")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", choices=[*LOCAL, *S3_FAULTS])
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o777)
    undisturbed = folder / "undisturbed"
    assert call(partial(prepare, undisturbed))[0] == 0
    calls = {}
    for asynchronous in (False, True):
        job = partial(counted, (str(folder / f"counted-{asynchronous}"), {}), folder / "log", asynchronous)
        code, said = call(job)
        assert code == 0
        calls[asynchronous] = int(said.rpartition(b" ")[2])
    names, endings, wrong, began = (
        [given.only] if given.only else [*LOCAL, *S3_FAULTS],
        Counter[str](),
        0,
        time.monotonic(),
    )
    with Bucket() as bucket:
        for number in range(given.first, given.first + given.tries):
            name, rng, place = names[number % len(names)], random.Random(f"{given.seed} {number}"), folder / str(number)
            if name in LOCAL:
                sound, ending = try_local(name, place, undisturbed, calls, rng)
            else:
                sound, ending = try_s3(name, bucket, number, undisturbed, Path(f"{place}.log"), rng)
            endings[f"{name}: {ending}"] += 1
            if sound:
                shutil.rmtree(place, ignore_errors=True)
            else:
                wrong += 1
                print(f"WRONG: try {number} of seed {given.seed}, {name}, {ending}, kept in {place}", flush=True)
            if number % 50 == 0:
                print(f"{number} tries, {wrong} wrong, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{given.tries} tries, {wrong} wrong: {dict(sorted(endings.items()))}")
    if not wrong:
        shutil.rmtree(folder)
    return wrong


def counted(place: Place, log: Path, asynchronous: bool, pipe: int) -> None:
    """How many calls that change files a session makes."""
    counting = Counting(None, lambda: None)
    session(place, log, asynchronous, pipe)
    os.write(pipe, b" %d" % counting.count)


if __name__ == "__main__":
    raise SystemExit(bool(main()))
