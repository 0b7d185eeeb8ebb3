"""How long beta_eff takes against a training step of the same head and against building P; and its memory.

    python tests/benchmarks/bench_capacitance.py [--threads N]

Ratios of medians within one run, the two sides taken in turn: machines differ, these should not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch
from torch import nn

import ncore


def medians(repeats: int, *functions: Callable[[], object]) -> list[float]:
    """Median seconds of each function, called in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats + 2):
        for function, taken in zip(functions, times, strict=True):
            started = time.perf_counter()
            function()
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken[2:]) for taken in times]


def speed() -> None:
    """The head and batch that the project's own target names."""
    unit = ncore.NCPUnit(2048, classes=10, widths=(256, 128))
    x, y = torch.randn(256, 2048).relu(), torch.randint(10, (256,))
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        unit.zero_grad()
        loss(unit(x), y).backward()

    one, quick, spread = medians(
        60,
        step,
        lambda: ncore.beta_eff(unit, x, y, loss=loss),
        lambda: ncore.beta_eff(unit, x, y, loss=loss, spread=True),
    )
    graph = ncore.LineGraph.from_batch(unit, x, y, loss=loss)
    (built,) = medians(1, lambda: graph.to_scipy(limit=10**9))
    print(f"head 2048-256-128-10, batch 256, {torch.get_num_threads()} threads, {graph.n_interactions:,} interactions")
    print(f"  forward + backward        {1e3 * one:9.2f} ms   1")
    print(f"  beta_eff                  {1e3 * quick:9.2f} ms   {quick / one:.2f} of it (target: below 1)")
    print(f"  beta_eff with S and H     {1e3 * spread:9.2f} ms   {spread / one:.2f} of it")
    print(f"  building P                {1e3 * built:9.0f} ms   {built / quick:,.0f} x beta_eff (target: 1,000)")


def memory() -> None:
    """Heads of 100 million synapses: peak memory beside the head itself and the probe, each in a fresh process."""
    for features, widths in ((10_000, (9_000, 1_000)), (100, (10_000, 10_000))):
        for spread in (False, True):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                print(process.submit(measure_memory, features, widths, spread).result())


def peak_memory() -> int:
    """Bytes, of this program only: what getrusage reports starts at the peak of the process that started it."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def measure_memory(features: int, widths: tuple[int, int], spread: bool) -> str:
    """One line on a head; run it in a process of its own, as a peak never falls."""
    unit = ncore.NCPUnit(features, classes=10, widths=widths)
    x, y = torch.randn(512, features), torch.randint(10, (512,))
    synapses = sum(m.weight.numel() for m in unit if isinstance(m, nn.Linear))
    before = peak_memory()
    started = time.perf_counter()
    ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss(), chunk_size=128, spread=spread)
    taken = time.perf_counter() - started
    extra = (peak_memory() - before) / 1e9
    head = "-".join(str(size) for size in (features, *widths, 10))
    return (
        f"head {head}, {synapses / 1e6:.0f} million synapses, probe of 512 in chunks of 128{', S and H' * spread}: "
        f"{taken:.1f} s, {extra:.2f} GB of extra memory (target: under 2)"
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    torch.set_num_threads(arguments.parse_args().threads)
    speed()
    memory()
