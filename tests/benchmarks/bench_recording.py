"""What default recording costs: epochs with a recorder against the same epochs without, in one run.

    python tests/benchmarks/bench_recording.py [--threads N] [--epochs N]

The hardest case is mode "unit": 2,000 cached features of 1,280 numbers, a 1280-256-128-64-10 unit, batches of 32,
so that an epoch takes a fraction of a second. In mode "backbone" an epoch runs a convolutional network as well.
After each epoch both sides evaluate 500 validation examples and, as our training loop does recorded or not, the
accuracy on 512 training examples: recording shares the features of that pass. The third figure is against a loop
that measures no accuracy on training examples, where the recorder has to run the backbone on the probe for itself. The
last one is the time inside ``record`` alone, as a share of the epoch: epochs of a convolutional network differ by more
than the hundredth that is asked of it.
The sides take turns, epoch by epoch.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time

import torch
from torch import Tensor, nn

from ncore.probe.recorder import Recorder
from ncore.probe.settings import TrainingSettings
from ncore.probe.training import Examples, ProbedModel, Trainer
from ncore.probe.unit import NCPUnit


def compare(title: str, backbone: nn.Module, inputs: Tensor, mode: str, epochs: int, target: str) -> None:
    """Time epochs of two identical trainings in turn, one of them recorded."""
    labels = torch.randint(10, (len(inputs),))
    train = Examples(inputs[:2000], labels[:2000], lambda x: x)
    validation = Examples(inputs[2000:], labels[2000:], lambda x: x)
    with torch.no_grad():
        features = backbone.eval()(inputs[:2]).shape[1]
    settings = TrainingSettings(mode=mode)
    plain, recorded = (
        Trainer(ProbedModel(copy.deepcopy(backbone), NCPUnit(features, 10), mode), train, settings, 0) for _ in range(2)
    )
    probe = train.drawn(range(512))
    times: dict[str, list[float]] = {"epoch": [], "probe accuracy": [], "recorded": [], "record": []}
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(
            folder,
            None if mode == "unit" else recorded.model,
            unit=recorded.model.unit,
            probe=(probe.inputs, probe.labels),
            loss=recorded.loss,
            candidate="bench",
            dataset="noise",
            mode=mode,
            epochs=epochs,
        )
        with recorder:
            for epoch in range(1, epochs + 1):
                clock = [time.perf_counter()]
                plain.epoch(epoch)
                plain.evaluate(validation)
                clock.append(time.perf_counter())
                plain.evaluate_probe(probe)
                clock.append(time.perf_counter())
                measured = {"train": recorded.epoch(epoch), "validation": recorded.evaluate(validation)}
                measured["probe"], seen = recorded.evaluate_probe(probe)
                began = time.perf_counter()
                recorder.record(epoch, features=seen, **measured)
                clock.append(time.perf_counter())
                for taken, start, end in zip(times.values(), [*clock[:3], began], [*clock[1:], clock[-1]], strict=True):
                    taken.append(end - start)
    bare, share, recorded_time, own = (statistics.median(t[2:]) for t in times.values())
    epochs_in_turn = list(zip(*times.values(), strict=True))[2:]
    paired = statistics.median(c / (a + b) for a, b, c, _ in epochs_in_turn)
    print(f"{title}: {1e3 * (bare + share):.0f} ms an epoch, {1e3 * recorded_time:.0f} ms recorded")
    print(f"  ratio of medians {recorded_time / (bare + share):.3f}, median of paired ratios {paired:.3f} ({target})")
    print(f"  against a loop without accuracy on training examples: {recorded_time / bare:.3f}")
    print(f"  time inside record: {own / (bare + share):.4f} of an epoch")


def main() -> None:
    """Both modes."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--epochs", type=int, default=40)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    compare("unit", nn.Identity(), torch.randn(2500, 1280).relu(), "unit", given.epochs, "target: 1.05 at most")
    backbone = nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 128, 3, 2, 1), nn.BatchNorm2d(128), nn.ReLU(),
        nn.Conv2d(128, 256, 3, 2, 1), nn.BatchNorm2d(256), nn.ReLU(),
        nn.Conv2d(256, 1280, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    compare(
        "backbone", backbone, torch.randn(2500, 3, 64, 64), "backbone", min(given.epochs, 8), "target: 1.01 at most"
    )


if __name__ == "__main__":
    main()
