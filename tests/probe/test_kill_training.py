"""kill -9 of a real training that is being recorded: nothing finished is lost, and it resumes to the same end.

As a program (``python -m tests.probe.test_kill_training``) this file is a process that has imported everything and
forks off a training for each line of its input, so that a kill costs a fraction of a second.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 8
KINDS = (("dense-small", "unit"), ("lenet-small", "all"))


def job(candidate, mode, seed):
    """A training of a fraction of a second, with all that can be recorded."""
    from ncore.sweep.recipe import Recipe

    values = {
        "candidates": [candidate],
        "datasets": [{"source": "digits", "train": 80, "validation": 30, "test": 30}],
        "seeds": [seed],
        "training": {
            "mode": mode, "epochs": EPOCHS, "threads": 1, "schedule": "cosine", "learning_rate": 0.01,
            "unit": {"widths": [16, 12, 8], "dropout": 0.1},
        },
        "recording": {"neurons": 8, "line_graph_every": 3, "probe_samples": 64},
    }  # fmt: skip
    return Recipe.parse(values).jobs[0]


# The other process


def serve():
    """For each request, train in a fork and, unless ``delay`` is null, kill that after so many seconds."""
    import pyarrow.parquet  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch._dynamo  # noqa: F401  (the first optimizer of a process imports it, for seconds)

    import ncore.probe.recorder
    import ncore.probe.training  # noqa: F401

    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            train(request)
        if request["delay"] is not None:
            time.sleep(request["delay"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, "seconds": time.monotonic() - started}), flush=True)


def train(request):
    """Record a run, and write down each epoch after it was committed; never returns."""
    from ncore.store import RunWriter
    from ncore.sweep.running import execute, sweep

    code = 1
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        commit = RunWriter._commit

        def witnessed(writer, epoch, *rest):
            commit(writer, epoch, *rest)
            os.write(log, f"{epoch}\n".encode())
            os.fsync(log)

        RunWriter._commit = witnessed

        def here(jobs, store):
            return ((each, execute(each, store)) for each in jobs)

        (result,) = sweep([job(*request["job"])], request["store"], engine=here)
        if result.outcome == "failed":
            print(result.reason, file=sys.stderr, flush=True)
        code = int(result.outcome == "failed")
    finally:
        os._exit(code)


# The tests


class Trainer:
    """The other process, seen from here."""

    def __init__(self, errors):
        self.errors = errors
        with errors.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.probe.test_kill_training"],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout.readline() == "ready\n", errors.read_text()

    def __call__(self, place, what, delay=None):
        """Train; whether it came to its end, and the seconds it took."""
        request = {"job": what, "store": str(place), "log": f"{place}.log", "delay": delay}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert answer["code"] in ((0, -signal.SIGKILL) if delay else (0,)), self.errors.read_text()
        return answer["code"] == 0, answer["seconds"]

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


@pytest.fixture
def trainer(tmp_path):
    trainer = Trainer(tmp_path / "errors.txt")
    yield trainer
    trainer.close()


def check(place):
    """What a killed training left is whole and has every epoch that was committed; returns where it was killed."""
    from ncore.store import open_store, verify

    if not (place / "ncore-store.json").exists():
        return "before epoch 0"
    report = verify(place)
    assert report.ok, report.findings
    store = open_store(place)
    table = store.runs()
    assert set(table["status"]) <= {"interrupted", "finished"}
    log = Path(f"{place}.log")
    finished = {int(line) for line in log.read_text().split()} if log.exists() else set()
    if not len(table):
        assert not finished
        return "before epoch 0"
    run = store.run(table["run"][0])
    assert finished <= set(run.epochs)
    assert run.epochs == list(range(len(run.epochs)))
    for epochs in (run.capacitance()["epoch"], run.trajectory()["epoch"]):
        assert epochs.unique().tolist() == run.epochs
    assert run.metrics()["epoch"].unique().tolist() == run.epochs  # LogME is epoch 0's
    for epoch in run.recorded_epochs("line_graph"):
        run.line_graph(epoch)
    if run.status == "finished":
        return "after the end"
    return "before epoch 0" if not run.epochs else "in the middle" if run.epochs[-1] < EPOCHS else "after all epochs"


def assert_same_end(place, undisturbed):
    from ncore.store import open_store, verify

    assert verify(place).ok
    one, two = (open_store(where).run(open_store(where).run_ids()[0]) for where in (place, undisturbed))
    assert one.status == two.status == "finished"
    assert one.epochs == list(range(EPOCHS + 1))
    assert one.metrics().drop(columns="seconds").equals(two.metrics().drop(columns="seconds"))
    assert one.metrics()["seconds"].is_monotonic_increasing
    assert one.capacitance().equals(two.capacitance())
    assert one.trajectory().equals(two.trajectory())
    assert one.recorded_epochs("line_graph") == two.recorded_epochs("line_graph") == [0, 3, 6, 8]
    for epoch in (0, 3, 6, 8):
        (layers, scale), (others, other_scale) = (run.line_graph_factors(epoch) for run in (one, two))
        assert scale == other_scale
        for layer, other in zip(layers, others, strict=True):
            for name in ("inputs", "slopes", "errors"):
                assert (getattr(layer, name) == getattr(other, name)).all()


def kill(trainer, folder, kills, rng):
    """Kill trainings, each again and again until it once comes to its end; returns how many kills were when."""
    moments, number = Counter(), 0
    while moments.total() - moments["after the end"] < kills:
        what = (*KINDS[number % len(KINDS)], rng.randrange(1000))
        undisturbed, place = folder / f"{number}-undisturbed", folder / f"{number}-killed"
        _, needed = trainer(undisturbed, what)
        for attempt in itertools.count():
            # A little later each time: it has to end once, however busy the machine has become.
            ended, _ = trainer(place, what, rng.uniform(0.01, needed * (1 + 0.1 * attempt)))
            if ended:
                break
            moments[check(place)] += 1
        assert_same_end(place, undisturbed)
        number += 1
    return moments


def test_a_killed_training_resumes_to_the_same_end(trainer, tmp_path):
    kill(trainer, tmp_path, 3, random.Random(3))


@pytest.mark.slow
def test_a_hundred_kills(trainer, tmp_path):
    moments = kill(trainer, tmp_path, 100, random.Random(4))
    print(dict(moments))
    assert moments["in the middle"] >= 25, moments


if __name__ == "__main__":
    serve()
