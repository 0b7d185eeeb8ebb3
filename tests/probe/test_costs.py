"""What a candidate costs to use: counted as by hand, and nothing is left changed by it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ncore
from ncore.probe._costs import costs_of
from ncore.probe._live import LiveBytes
from ncore.probe._weights import weights_digest
from ncore.probe.candidates import CandidateSpec, load_candidate
from ncore.probe.datasets import DatasetSpec
from ncore.probe.job import Job
from ncore.probe.settings import RecordingSettings, TrainingSettings
from ncore.probe.unit import NCPUnit
from ncore.store.manifest import check_costs


class Last(nn.Module):
    """The last output of a recurrent layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0][:, -1]


class Vector(nn.Module):
    """A product of a matrix and a vector, and of two vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix, self.bias = nn.Parameter(torch.randn(5, 7)), nn.Parameter(torch.randn(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        once = self.matrix @ x[0] + torch.addmv(self.bias, self.matrix, x[0])
        return once * once.dot(self.bias)


ATTENTION = 10 * (64 * 64 * 4 + 2 * 64 * 128) + 2 * 10 * 10 * 64
COUNTED = [
    (nn.Linear(10, 5), (10,), 50),
    (nn.Conv2d(3, 8, 3, padding=1), (3, 6, 5), 30 * 27 * 8),
    (nn.Conv2d(4, 8, 3, stride=2, groups=2), (4, 9, 9), 16 * 18 * 8),
    (nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 2)), (3, 4, 4), 640),
    (nn.Sequential(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)), (10, 64), ATTENTION),
    (nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 2), (10, 64), 2 * ATTENTION),
    (Last(nn.LSTM(8, 16, batch_first=True)), (5, 8), 5 * 4 * (8 * 16 + 16 * 16)),
    (Last(nn.GRU(8, 16, batch_first=True)), (5, 8), 5 * 3 * (8 * 16 + 16 * 16)),
    (Vector(), (7,), 2 * 35 + 5),
]


@pytest.mark.parametrize(("model", "shape", "products"), COUNTED, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("frozen", [True, False])
def test_multiply_adds_are_those_of_the_formula(model, shape, products, frozen):
    """Fused kernels included, which torch's counter knows nothing of."""
    model.requires_grad_(not frozen)
    costs = costs_of(model, torch.randn(1, *shape))
    assert costs["multiply_adds"] == products
    assert costs["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert costs["seconds_per_example"] > 0
    assert costs["peak_bytes"] > costs["bytes"] >= 4 * costs["parameters"]
    check_costs(costs)


class Fails(nn.Module):
    """Takes so many batches."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.ones(3)), calls

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls -= 1
        if self.calls < 0:
            raise KeyError("no more")
        return x * self.weight


class Foreign(nn.Module):
    """With a product that no formula is known of."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Bilinear(4, 4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x, x)


@pytest.mark.parametrize("calls", range(12))
def test_what_cannot_be_measured_is_missing_and_no_error(calls):
    costs = costs_of(Fails(calls), torch.zeros(1, 3))
    assert costs["parameters"] == 3
    assert costs["bytes"] == 12
    assert (costs["peak_bytes"] is None) == (calls < 1)
    check_costs(costs)


def test_products_without_a_formula_make_the_count_unknown():
    costs = costs_of(Foreign(), torch.zeros(1, 4))
    assert costs["multiply_adds"] is None
    assert costs["peak_bytes"] is not None


class Restless(nn.Module):
    """Draws, counts and changes its buffers, in evaluation mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        return self.norm(self.layer(x)) + torch.randn(1, 4)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_left_changed(training):
    model = Restless().train(training)
    model.norm.eval()
    before, modes = weights_digest(model), [module.training for module in model.modules()]
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fast, kernels = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    costs_of(model, torch.zeros(1, 4))
    assert torch.equal(torch.rand(4), expected)
    assert weights_digest(model) == before
    assert [module.training for module in model.modules()] == modes
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == (fast, kernels)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_live_bytes_follow_storages_not_tensors(device):
    with LiveBytes() as live:
        one = torch.empty(1000, device=device)
        part = one[:10]
        assert live.now == 4000
        del one
        assert live.now == 4000  # the view keeps all of it
        part += 1
        assert live.now == 4000
        del part
        assert live.now == 0
    assert live.peak == 4000


MODES = ("unit", "backbone", "all")


@pytest.mark.parametrize("mode", MODES)
def test_a_run_records_them_of_the_whole_candidate(tmp_path, mode):
    job = Job(
        candidate=CandidateSpec.parse("lenet-small"),
        dataset=DatasetSpec.parse({"source": "digits", "train": 60, "validation": 30, "test": 30}),
        training=TrainingSettings(mode=mode, epochs=2, device="cpu"),
        recording=RecordingSettings(neurons=4),
    )
    store = ncore.create_store(str(tmp_path))
    name = job.model_copy(update={"until": 1}).run(store)
    manifest = store.run(name).manifest
    backbone = load_candidate("lenet-small", shape=ncore.probe.datasets.load_dataset("digits").shape)
    unit = NCPUnit(backbone.feature_dim, 10)
    expected = costs_of(nn.Sequential(backbone.module, unit), torch.zeros(1, 1, 8, 8))
    for key in ("parameters", "bytes", "multiply_adds", "peak_bytes"):
        assert manifest.costs[key] == expected[key]
    assert manifest.costs["parameters"] == manifest.info["parameters"]
    assert manifest.digests["weights"] == weights_digest(backbone.module)
    assert set(manifest.digests) >= {"data", "cut", "sketch", "weights"}
    job.run(store)
    assert store.run(name).manifest.costs == manifest.costs  # once a run
    resolved = store.run(name).manifest.resolved
    assert resolved["training"]["learning_rate"] == 1e-3
    assert resolved["training"]["device"] == "cpu"
    assert resolved["input"]["mean"] == [0.5]
    assert resolved["recording"]["prediction_rows"] == 200_000
    assert resolved["cut"] == {"seed": 0, "train": 60, "validation": 30, "test": 30}


KINDS = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.complex64]


@pytest.mark.parametrize("kind", KINDS)
def test_any_change_of_a_tensor_is_another_digest(kind):
    def module(**tensors):
        made = nn.Module()
        for name, value in tensors.items():
            made.register_buffer(name, value)
        return made

    plain = torch.ones(2, 3).to(kind)
    turned = plain.clone()
    turned[0, 1] = 0
    images = torch.arange(24).reshape(1, 2, 3, 4).to(kind)
    changed = [
        module(a=plain), module(b=plain), module(a=plain.T), module(a=plain.reshape(-1)), module(a=turned),
        module(a=plain, b=plain), module(a=plain, b=torch.zeros(()).to(kind)), module(), module(c=images),
    ]  # fmt: skip
    found = [weights_digest(one) for one in changed]
    assert len(set(found)) == len(found)
    assert weights_digest(module(c=images.contiguous(memory_format=torch.channels_last))) == found[-1]
    assert weights_digest(module(a=plain.T.contiguous().T)) == found[0]
