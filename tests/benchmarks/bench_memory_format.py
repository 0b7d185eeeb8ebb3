"""Training epochs with convolutions in the channels_last format, beside the contiguous one, in turn.

Run: ``python tests/benchmarks/bench_memory_format.py``
"""

from __future__ import annotations

import time
from statistics import median

import timm
import torch
from torch import nn

from ncore import NCPUnit
from ncore.probe.settings import TrainingSettings
from ncore.probe.training import MEMORY_FORMATS, Examples, ProbedModel, Trainer

NETWORKS = ("tf_efficientnet_lite0", "mobilenetv1_100", "mobilenetv2_100", "resnet18")
IMAGES, SIZE, EPOCHS = 256, 32, 4


def trainer(name: str, memory_format: str) -> Trainer:
    """A network of timm with a unit, on random images."""
    torch.manual_seed(0)
    network: nn.Module = timm.create_model(name, num_classes=0).to(memory_format=MEMORY_FORMATS[memory_format])
    settings = TrainingSettings(mode="all", memory_format=memory_format)
    model = ProbedModel(network, NCPUnit(network.num_features, 10), "all")
    images, labels = torch.randn(IMAGES, 3, SIZE, SIZE), torch.randint(10, (IMAGES,))
    return Trainer(model, Examples(images, labels, lambda inputs: inputs), settings, seed=0)


def main() -> None:
    """Print seconds of an epoch in both formats, of processor time, and their ratio."""
    torch.set_num_threads(1)
    print(f"an epoch of {IMAGES} images of {SIZE} pixels, one thread")
    for name in NETWORKS:
        both = {memory_format: trainer(name, memory_format) for memory_format in MEMORY_FORMATS}
        spent: dict[str, list[float]] = {memory_format: [] for memory_format in both}
        for epoch in range(1, EPOCHS + 1):
            for memory_format, run in both.items():
                started = time.process_time()
                run.epoch(epoch)
                spent[memory_format].append(time.process_time() - started)
        plain, last = (median(spent[memory_format][1:]) for memory_format in ("contiguous", "channels_last"))
        print(f"  {name:24s} contiguous {plain:5.2f} s, channels_last {last:5.2f} s, {plain / last:.2f} times as fast")


if __name__ == "__main__":
    main()
