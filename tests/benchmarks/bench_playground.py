"""What a frame of the playground costs, by its parts, against a bare training step in NumPy and in torch.

    python tests/benchmarks/bench_playground.py [--browser]

A frame is k training steps, the data of all five pictures (boundary, layer graph, curves, phase plane, line graph),
their figures, and their JSON; 8-8-8, 500 points. Medians, and CPU time beside wall time: on a busy machine the two
part. With ``--browser`` also a whole frame, as it is shown in a real Chromium: how long it takes, and the CPU time of
server and browser, with everything that Streamlit, Plotly.js and the browser do.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from ncore_dashboard.charts.live import Picture
from ncore_dashboard.learn.figures import playground as plane
from ncore_dashboard.learn.figures import playground_graph as graphs
from ncore_dashboard.learn.figures import playground_phase as phases
from ncore_dashboard.learn.playground.engine import Data, Setup, Training
from ncore_dashboard.learn.stage import with_now
from torch import nn

DATA, SETUP = Data(count=500, share=0.9), Setup(hidden=(8, 8, 8))
STEPS = (1, 20, 100)


def measured(function: Callable[[], object], repeats: int = 40) -> tuple[float, float]:
    """Median milliseconds of a call: wall and CPU of this process."""
    walls, cpus = [], []
    for _ in range(repeats + 3):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        walls.append(1e3 * (time.perf_counter() - wall))
        cpus.append(1e3 * (time.process_time() - cpu))
    return statistics.median(walls[3:]), statistics.median(cpus[3:])


def torch_step() -> Callable[[], None]:
    """A training step of the same network with autograd and torch's own SGD."""
    training = Training(DATA, SETUP)
    widths = training.network.widths
    modules: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        modules += [nn.Linear(fan_in, fan_out), nn.Tanh()]
    unit, loss = nn.Sequential(*modules[:-1]), nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(unit.parameters(), lr=0.1)
    x, y = torch.randn(SETUP.batch, 2), torch.randint(2, (SETUP.batch, 1)).float()

    def step() -> None:
        optimizer.zero_grad()
        loss(unit(x), y).backward()
        optimizer.step()

    return step


def frame(training: Training, steps: int) -> int:
    """All that one frame costs the server; the bytes that it sends."""
    training.advance(steps)
    now, passed = with_now(training), training.passed()
    states = training.outputs(plane.places())
    graph = training.line_graph(passed)
    assert graph is not None
    weights = training.network.weights
    figures = (
        plane.boundary(states[-1][:, 0], training.points),
        graphs.layers(weights, states, ["x₁", "x₂"]),
        plane.curves({"A": now}),
        phases.phase(weights, training.rates(passed), list(training.trail), training.reach),
        graphs.line_graph(graph, weights)[0],
    )
    return sum(len(Picture("key", figure, "", pd.DataFrame, "file").sent()["figure"]) for figure in figures)


def server() -> None:
    """Parts and whole of a frame."""
    training = Training(DATA, SETUP)
    training.advance(500)
    print(f"8-8-8, 500 points, batch {SETUP.batch}, {torch.get_num_threads()} threads    wall      CPU")
    step = measured(lambda: training.advance(1), 300)
    print(f"  a training step, ours (NumPy)          {step[0]:7.2f} {step[1]:8.2f} ms")
    other = measured(torch_step(), 300)
    print(
        f"  a training step, torch                 {other[0]:7.2f} {other[1]:8.2f} ms   "
        f"{other[1] / step[1]:.1f} of ours"
    )
    beta = measured(lambda: training.capacitance())
    print(
        f"  beta_eff on all training points        {beta[0]:7.2f} {beta[1]:8.2f} ms   {beta[1] / step[1]:.1f} of a step"
    )
    for steps in STEPS:
        size = frame(training, steps)
        whole = measured(lambda steps=steps: frame(training, steps))  # type: ignore[misc]
        print(
            f"  a frame with {steps:3d} steps                 {whole[0]:7.1f} {whole[1]:8.1f} ms   {size / 1e3:.0f} kB"
            " (target: below 100 ms)"
        )


def cpu_seconds(root: int) -> tuple[float, float]:
    """CPU time of a process, and of all that descend from it; Linux only."""
    times, parents = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(place.name)] = int(fields[1])
        times[int(place.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = {root}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    return times[root], sum(times[member] for member in family - {root} if member in times)


def browser(seconds: float = 20.0) -> None:
    """Frames a second in Chromium, at 1440 x 1000, and the CPU time of each; needs Playwright, a Chromium and Linux."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "browser"))
    from conftest import ARGUMENTS, chromium_path
    from ncore_dashboard.app.launch import ADDRESS, command, environment, free_port
    from playwright.sync_api import sync_playwright

    port = free_port(8790)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process = subprocess.Popen(
            command(port, browser=False),
            env=environment([]),
            stdin=subprocess.PIPE,  # with which the server ends, however this does
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            chromium = playwright.chromium.launch(executable_path=chromium_path(), args=list(ARGUMENTS))
            page = chromium.new_page(viewport={"width": 1440, "height": 1000})
            page.set_default_timeout(120_000)
            address = f"http://{ADDRESS}:{port}/playground"
            for _ in range(100):
                try:
                    page.goto(address)
                    break
                except Exception:
                    time.sleep(0.2)
            page.goto(f"{address}?play-layers=3&play-width1=8&play-width2=8&play-width3=8&play-share=90&play-speed=20")
            page.wait_for_selector(".ncore-live[data-frame]")
            page.get_by_role("button", name="Run", exact=True).click()
            page.get_by_role("button", name="Pause", exact=True).wait_for()
            seen = "() => Math.max(...[...document.querySelectorAll('.ncore-live')].map((b) => +b.dataset.frame || 0))"
            page.wait_for_function(f"() => ({seen})() > 5")
            first, begun = page.evaluate(seen), time.perf_counter()
            before = cpu_seconds(process.pid)[0], cpu_seconds(os.getpid())[1]
            page.wait_for_timeout(1000 * seconds)
            frames = page.evaluate(seen) - first
            wall = 1e3 * (time.perf_counter() - begun) / frames
            server = cpu_seconds(process.pid)[0] - before[0]
            drawing = cpu_seconds(os.getpid())[1] - before[1] - server  # the server is a child, too
            here, there = (1e3 * spent / frames for spent in (server, drawing))
            print(
                f"  a frame in Chromium, 20 steps          {wall:7.1f} {here + there:8.1f} ms (target: below 100 ms)\n"
                f"    of this: server {here:.0f} ms, browser {there:.0f} ms; {1e3 / wall:.1f} frames a second, "
                f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            )
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    server()
    if arguments.browser:
        browser()
