"""What training will take, said without weights, against what it then takes."""

from __future__ import annotations

import pytest

import ncore
from ncore.probe._live import LiveBytes
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec, load_dataset
from ncore.probe.estimates import training_bytes
from ncore.probe.images import ImageShape
from ncore.probe.job import Job
from ncore.probe.settings import RecordingSettings, TrainingSettings

SIZES = {"train": 256, "validation": 100, "test": 100}


@pytest.mark.parametrize("mode", ["unit", "backbone", "all"])
@pytest.mark.parametrize("candidate", [{"source": "mobilenet", "input_size": 32}, "resnet-small", "vit-small"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_is_about_what_a_run_takes(tmp_path, candidate, mode, optimizer):
    """Counted while it is trained, where the model is more than what every run takes; attention may take less."""
    dataset = {"source": "digits", **SIZES}
    job = Job(
        candidate=CandidateSpec.parse(candidate),
        dataset=DatasetSpec.parse(dataset),
        training=TrainingSettings(mode=mode, optimizer=optimizer, batch_size=256, epochs=1, device="cpu"),
        recording=RecordingSettings(neurons=4, line_graph_every=0),
    )
    estimated = training_bytes(job.candidate, job.training, job.recording, load_dataset(dataset).shape, 10, SIZES)
    with LiveBytes() as live:
        job.run(ncore.create_store(str(tmp_path)))
    assert 0.8 < estimated / live.peak < (1.6 if candidate == "vit-small" else 1.2)


LARGE = [
    "timm:vit_large_patch16_224",
    "torchvision:vit_b_16",
    {"source": "file:nowhere.safetensors", "architecture": "torchvision:resnet50", "name": "mine"},
]


@pytest.mark.parametrize("candidate", LARGE, ids=str)
def test_nothing_is_loaded_or_made_for_it(candidate):
    """Weights that are not there are not needed, and the memory that is asked for is not taken."""
    pytest.importorskip("timm")
    pytest.importorskip("torchvision")
    with LiveBytes() as live:
        found = training_bytes(
            CandidateSpec.parse(candidate),
            TrainingSettings(mode="all", batch_size=64, device="cpu"),
            RecordingSettings(),
            ImageShape(3, 64),
            10,
            {"train": 10_000, "validation": 100, "test": 100},
        )
    assert found > 2e9
    assert live.now < 1e6  # of the unit, which is small, and nothing of the model's


def test_larger_batches_take_more_and_frozen_backbones_less():
    def of(mode="all", batch=64, **rest):
        settings = TrainingSettings(mode=mode, batch_size=batch, device="cpu", **rest)
        spec = CandidateSpec.parse("resnet")
        return training_bytes(spec, settings, RecordingSettings(), ImageShape(3, 32), 10, {**SIZES, "train": 5000})

    assert of(batch=64) < of(batch=256) < of(batch=1024)
    assert of(mode="unit") < of(mode="all", batch=1024)
    assert of(optimizer="sgd", momentum=0.0) < of(optimizer="sgd") < of(optimizer="adamw")


@pytest.mark.parametrize("own", [{"layout": "channels_last"}, {"output": "features"}, {"kwargs": {"kind": "double"}}])
def test_a_candidate_is_called_as_it_will_be(tmp_path, monkeypatch, own):
    (tmp_path / "odd_networks.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Odd(nn.Module):\n"
        "    def __init__(self, kind):\n        super().__init__()\n"
        "        self.layer = nn.Linear(3 if kind != 'map' else 32, 16).to(getattr(torch, kind, torch.float))\n\n"
        "    def forward(self, x):\n        if x.shape[-1] != 3:\n            x = x.permute(0, 2, 3, 1)\n"
        "        found = self.layer(x).mean((1, 2))\n"
        "        return {'features': found, 'other': found[:, :2]}\n\n"
        "def net(kind='float'):\n    return Odd(kind)\n"
    )
    monkeypatch.chdir(tmp_path)
    values = {"source": "python:odd_networks:net", "name": "odd", "channels": 3, "input_size": 32, "output": "features"}
    found = training_bytes(
        CandidateSpec.parse(values | own),
        TrainingSettings(mode="all", device="cpu"),
        RecordingSettings(),
        ImageShape(3, 32),
        10,
        SIZES,
    )
    assert found > 456 * 3 * 32 * 32
