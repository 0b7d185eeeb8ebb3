"""Memory that is too small for a batch makes smaller ones of it, not a failed candidate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import ncore
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec
from ncore.probe.job import Job
from ncore.probe.settings import TrainingSettings
from ncore.probe.training import Examples, ProbedModel, Trainer
from ncore.probe.unit import NCPUnit

HERE = Path(__file__).parent


class Hungry(nn.Module):
    """Fails for batches above a size, the way an allocator does, from a step on."""

    def __init__(self, most: int, calls: int = 0) -> None:
        super().__init__()
        self.most, self.calls = most, calls
        self.layer = nn.Linear(8, 12)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls -= 1
        if self.calls < 0 and len(inputs) > self.most:
            torch.empty(1 << 60, dtype=torch.uint8)
        return torch.tanh(self.layer(inputs))


def trainer(most: int, calls: int = 0, **settings) -> Trainer:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(97, 8, generator=generator, dtype=torch.float64)
    torch.manual_seed(0)
    values = TrainingSettings(**{"mode": "all", "epochs": 4, "batch_size": 16} | settings)
    model = ProbedModel(Hungry(most, calls), NCPUnit(12, 3), values.mode).double()
    return Trainer(model, Examples(x, x[:, :3].argmax(1), lambda inputs: inputs), values, 0)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(("most", "left"), [(8, 8), (5, 4), (1, 1)])
@pytest.mark.parametrize("calls", [0, 4, 8])
def test_parts_give_the_gradient_of_the_whole_from_the_start_of_the_epoch(optimizer, most, left, calls):
    """With ``calls`` memory runs out in the middle of the first epoch, or in the second."""
    settings = {"optimizer": optimizer, "clip_gradient": 0.5 if most == 5 else None}
    whole, parts = trainer(10**9, **settings), trainer(most, calls, **settings)
    for epoch in (1, 2, 3):
        expected, found = whole.epoch(epoch), parts.epoch(epoch)
        assert found == pytest.approx(expected, rel=1e-5)
        assert [m.step for m in parts.moments] == [m.step for m in whole.moments]
    assert parts.micro_batch == left
    assert parts.step == whole.step
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(parts.model.state_dict()[name], value, rtol=1e-7, atol=1e-9)


def test_evaluation_goes_on_in_parts():
    whole, parts = trainer(10**9), trainer(7)
    (expected, features), (found, own) = (t.evaluate_probe(t.examples) for t in (whole, parts))
    assert found == pytest.approx(expected)
    torch.testing.assert_close(own, features)


def test_what_fits_in_no_part_is_the_failure_that_it_was():
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        trainer(0).epoch(1)


def test_a_run_says_so_and_goes_on_so(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    candidate = CandidateSpec.parse(
        {"source": "python:out_of_memory:hungry", "name": "hungry", "kwargs": {"most": 9}, "channels": 1}
    )
    job = Job(
        candidate=candidate,
        dataset=DatasetSpec.parse({"source": "digits", "train": 100, "validation": 50, "test": 50}),
        training=TrainingSettings(mode="all", epochs=3, device="cpu"),
        base=str(HERE),
    )
    store = ncore.create_store(str(tmp_path))
    name = job.model_copy(update={"until": 1}).run(store)
    assert store.run(name).manifest.info["micro_batch"] == 8
    job.run(store)
    manifest = store.run(name).manifest
    assert manifest.status == "finished"
    assert manifest.info["micro_batch"] == 8
    (warning,) = [text for text in manifest.warnings if "Memory" in text]
    assert "batches of 32 are trained in parts of 8" in warning
    sys.modules.pop("out_of_memory", None)


LITTLE = """
import resource, sys
from pathlib import Path

import torch
from torch import nn

from ncore.probe.settings import TrainingSettings
from ncore.probe.training import Examples, ProbedModel, Trainer
from ncore.probe.unit import NCPUnit


class Wide(nn.Module):
    # A picture takes 2 MB a tensor, and there is hardly a weight.
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 8))

    def forward(self, inputs):
        wide = (inputs * self.weight).repeat(1, 1 << 16)
        return torch.tanh(torch.tanh(wide)).view(len(inputs), -1, 8).mean(1)


def trained(limit_mb):
    torch.manual_seed(0)
    x = torch.randn(96, 8, generator=torch.Generator().manual_seed(1))
    settings = TrainingSettings(mode="all", epochs=2, batch_size=48, device="cpu")
    examples = Examples(x, (x[:, 0] > 0).long(), lambda t: t)
    trainer = Trainer(ProbedModel(Wide(), NCPUnit(8, 2), "all"), examples, settings, 0)
    if limit_mb:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + limit_mb * 2**20, -1))
    for epoch in (1, 2):
        trainer.epoch(epoch)
    return trainer


whole, parts = trained(0), trained(int(sys.argv[1]))
assert whole.micro_batch == 48, whole.micro_batch
for name, value in whole.model.state_dict().items():
    torch.testing.assert_close(parts.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
print(parts.micro_batch)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="an address space is limited there")
@pytest.mark.parametrize("megabytes", [200, 120])
def test_memory_that_the_system_refuses_makes_smaller_parts(megabytes):
    """The system itself says no: a process with little address space left trains as one with enough of it does."""
    made = subprocess.run([sys.executable, "-c", LITTLE, str(megabytes)], capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    assert 1 <= int(made.stdout) < 48


def test_the_course_of_an_epoch_is_recorded(tmp_path):
    job = Job(
        candidate=CandidateSpec.parse("dense-small"),
        dataset=DatasetSpec.parse({"source": "digits", "train": 320, "validation": 50, "test": 50}),
        training=TrainingSettings(mode="unit", epochs=2, device="cpu"),
    )
    store = ncore.create_store(str(tmp_path))
    metrics = store.run(job.run(store)).metrics()
    loss = metrics[(metrics["split"] == "train") & (metrics["name"] == "loss")]
    norm = metrics[(metrics["split"] == "train") & (metrics["name"] == "gradient_norm")]
    for rows in (loss, norm):
        assert rows["at"].tolist() == [0.2, 0.5, 0.8, 1.0, 1.2, 1.5, 1.8, 2.0]
        assert rows["step"].tolist() == [2, 5, 8, 10, 12, 15, 18, 20]
        assert rows["epoch"].tolist() == [1] * 4 + [2] * 4
        assert rows["seconds"].is_monotonic_increasing
        assert (rows["value"] > 0).all()
