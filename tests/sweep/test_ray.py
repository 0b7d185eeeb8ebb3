"""A sweep on Ray: a local cluster of two workers, one of which is killed, and a cluster that runs already."""

import contextlib
import os
import signal
import textwrap
import threading
import warnings

import pytest

import ncore
from ncore.errors import NcoreError, OfflineError
from ncore.sweep.ray import RayEngine
from ncore.sweep.recipe import Recipe
from ncore.sweep.running import execute, run_id, sweep

EPOCHS = 40


@contextlib.contextmanager
def quiet():
    """Ray warns about its own plans."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def ray():
    with quiet():
        module = pytest.importorskip("ray")
        yield module
        module.shutdown()


def recipe(**changes):
    values = {
        "candidates": [
            "dense-small",
            {"source": "dense-small", "name": "wide", "kwargs": {"width": 96}},
            {"source": "dense-small", "name": "fast", "training": {"learning_rate": 0.01}},
        ],
        "datasets": [{"source": "digits", "train": 200, "validation": 60, "test": 60}],
        "training": {"mode": "all", "epochs": EPOCHS, "threads": 1, "unit": {"widths": [16, 12, 8]}},
        "recording": {"neurons": 4, "line_graph_every": 0, "probe_samples": 64},
    }
    return Recipe.parse(values | changes)


def in_this_process(jobs, store):
    for job in jobs:
        yield job, execute(job, store)


def kill_recorder(place, victim, killed, over):
    """Wait until a run is in the middle, then kill the process that records it."""
    while not killed and not over.wait(0.01):
        with contextlib.suppress(NcoreError):
            manifest = ncore.open_store(place).run(victim).manifest
            if manifest.last_epoch >= 3:
                os.kill(manifest.writer.pid, signal.SIGKILL)
                killed.append((manifest.writer.pid, manifest.last_epoch))


def tables(place, run):
    read = ncore.open_store(place).run(run)
    return read.metrics().drop(columns="seconds"), read.capacitance(), read.trajectory()


def test_a_killed_worker_is_replaced_and_nothing_is_lost(ray, tmp_path, monkeypatch):
    (tmp_path / "their_broken_network.py").write_text(
        textwrap.dedent(
            """
            from torch import nn

            class Breaks(nn.Flatten):
                def forward(self, x):
                    if self.training:
                        raise RuntimeError("out of everything")
                    return super().forward(x)

            def breaks():
                return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Breaks())
            """
        )
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")  # of the workers
    breaks = {"source": "python:their_broken_network:breaks", "input_size": 8, "channels": 1}
    good = recipe().jobs
    jobs = [*good, *recipe(candidates=[breaks]).jobs]
    place, killed, over = str(tmp_path / "ray"), [], threading.Event()
    victim = run_id(good[0])
    killer = threading.Thread(target=kill_recorder, args=(place, victim, killed, over))
    killer.start()
    try:
        with quiet():
            results = sweep(jobs, place, engine=RayEngine(num_cpus=2))
    finally:
        over.set()
        killer.join()

    assert not ray.is_initialized()
    assert [r.outcome for r in results] == ["finished"] * 3 + ["failed"], [r.reason for r in results]
    assert results[3].reason == "RuntimeError: out of everything"
    ((pid, epoch),) = killed
    assert epoch < EPOCHS
    store = ncore.open_store(place)
    assert store.run(victim).manifest.writer.pid != pid, "another process finished it"
    assert store.runs().set_index("run").loc[results[3].run_id, "reason"] == "RuntimeError: out of everything"

    sweep(good, str(tmp_path / "undisturbed"), engine=in_this_process)
    for job in good:
        for one, two in zip(tables(place, run_id(job)), tables(tmp_path / "undisturbed", run_id(job)), strict=True):
            assert one.equals(two)


@pytest.mark.slow
def test_a_cluster_by_its_address(ray, tmp_path):
    """Of two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    jobs = recipe(training={"mode": "unit", "epochs": 2, "unit": {"widths": [16, 12, 8]}}).jobs
    with quiet():
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=1)
            results = sweep(jobs, str(tmp_path), engine=RayEngine(cluster.address))
        finally:
            ray.shutdown()
            cluster.shutdown()
    assert [r.outcome for r in results] == ["finished"] * 3, [r.reason for r in results]
    assert (ncore.open_store(tmp_path).runs()["epochs"] == 2).all()


def test_an_address_where_no_cluster_is(ray, tmp_path):
    with quiet(), pytest.raises(OfflineError, match=r"127\.0\.0\.1:1 cannot be reached"):
        sweep(recipe().jobs, str(tmp_path), engine=RayEngine("127.0.0.1:1"))
    assert not ray.is_initialized()
