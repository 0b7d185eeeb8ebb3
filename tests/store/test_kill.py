"""A process that records can be killed at any moment."""

import random
import sys
import time
from pathlib import Path

import pytest

from ncore.store import create_store, verify
from tests.store.data import check_tables, record
from tests.store.kill import kill_until_done

EPOCHS = 12


def kill_one_run(place: Path, rng: random.Random, asynchronous: bool) -> int:
    """Record a run that is killed several times, and check it after every kill and at its end."""
    store = create_store(place)
    begun = time.perf_counter()
    undisturbed = record(create_store(place.parent / "undisturbed"), EPOCHS)
    needed = time.perf_counter() - begun

    def check(lines: list[str]) -> None:
        runs = store.runs()
        assert set(runs.status) <= {"interrupted", "finished"}
        report = verify(place)
        assert report.ok, report.findings
        finished = [int(line.split()[1]) for line in lines if line.startswith("epoch")]
        if finished:
            assert store.run("run").manifest.last_epoch >= max(finished)
        for line in lines:
            if line.startswith("checkpoint"):
                _, trained, recorded = line.split()
                assert int(trained) <= int(recorded)
        if len(runs):
            check_tables(store.run("run"), len(store.run("run").epochs))

    command = [sys.executable, "-m", "tests.store.kill", str(place), str(EPOCHS)]
    kills = kill_until_done([*command, "asynchronous"] if asynchronous else command, check, rng, longest=1.5 * needed)
    run = store.run("run")
    assert run.status == "finished"
    check_tables(run, EPOCHS)
    assert run.manifest.files == undisturbed.manifest.files  # to the byte
    return kills


def kill_several_runs(folder: Path, kills: int, rng: random.Random, asynchronous: list[bool]) -> None:
    """Record runs until there were this many kills."""
    done = rounds = 0
    while done < kills:
        done += kill_one_run(folder / str(rounds) / "store", rng, asynchronous[rounds % len(asynchronous)])
        rounds += 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_killed_recording_resumes_to_the_same_end(tmp_path: Path, asynchronous: bool) -> None:
    kill_several_runs(tmp_path, 2, random.Random(asynchronous), [asynchronous])


@pytest.mark.slow
def test_a_hundred_kills(tmp_path: Path) -> None:
    kill_several_runs(tmp_path, 100, random.Random(2), [False, True])
