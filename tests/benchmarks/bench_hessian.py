"""What the Hessian's beta_eff costs, in gradient evaluations of the same probe chunk.

    python tests/benchmarks/bench_hessian.py [--threads N]

Two ratios: floating-point operations of matrix products and convolutions, which no machine changes, and processor
time, the sides taken in turn. A gradient evaluation is one forward and backward pass by the same weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import ncore
from ncore.network.hessian import HESSIAN_STRENGTHS, HessianSums
from ncore.probe.builtin import build
from ncore.probe.images import ImageShape


def flops(function: Callable[[], object]) -> int:
    """Of one call, with attention written out so that it is counted."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        function()
    return counter.get_total_flops()


def seconds(repeats: int, *functions: Callable[[], object]) -> list[float]:
    """Median processor time of each function, called in turn."""
    taken: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats + 1):
        for function, times in zip(functions, taken, strict=True):
            begun = time.process_time()
            function()
            times.append(time.process_time() - begun)
    return [statistics.median(times[1:]) for times in taken]


def compare(name: str, model: nn.Module, inputs: Tensor, repeats: int = 5) -> None:
    """One line."""
    model.eval()
    targets, loss = torch.randint(10, (len(inputs),)), nn.CrossEntropyLoss()
    weights = [p for p in model.parameters() if p.ndim >= 2]

    def gradient() -> None:
        torch.autograd.grad(loss(model(inputs), targets), weights)

    def product(*strengths: str) -> Callable[[], None]:
        return lambda: HessianSums(model, loss, strengths=strengths).add(inputs, targets)

    calls = [gradient, product("hessian"), product(*HESSIAN_STRENGTHS)]
    counts, times = [flops(call) for call in calls], seconds(repeats, *calls)
    layers = len(HessianSums(model, loss).names)
    print(
        f"| {name} | {layers} | {1e3 * times[0]:.0f} ms | {counts[1] / counts[0]:.2f} | {times[1] / times[0]:.1f} | "
        f"{counts[2] / counts[0]:.1f} (limit {4 + layers}) | {times[2] / times[0]:.1f} |",
        flush=True,
    )


def main() -> None:
    print(
        "| model, images in a chunk | layers | gradient | H 1, operations | time "
        "| and diagonal blocks, operations | time |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    compare("unit 512-256-128-64-10, 256", ncore.NCPUnit(512, 10), torch.randn(256, 512), 20)
    for name in ("lenet", "vgg", "resnet", "mobilenet", "densenet", "vit"):
        compare(f"{name}, 32", build(name, ImageShape(3, 32)), torch.randn(32, 3, 32, 32))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(arguments.parse_args().threads)
    main()
