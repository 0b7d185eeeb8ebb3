"""Built-in networks: shapes at any size, options, and that they learn."""

import pytest
import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe.builtin import FAMILIES, NAMES, TEXT, build
from ncore.probe.images import ImageShape

CONVOLUTIONAL = ("vgg", "resnet", "mobilenet", "densenet")


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("name", sorted({*NAMES} - {*TEXT}))
@pytest.mark.parametrize("shape", [ImageShape(1, 8), ImageShape(3, 19), ImageShape(1, 28)])
def test_features_of_any_size(name, shape):
    network = build(name, shape)
    images = torch.randn(4, shape.channels, shape.size, shape.size)
    features = network(images)
    assert features.ndim == 2
    assert len(features) == 4
    assert features.isfinite().all()
    assert features.std(0).max() > 1e-3, "the features don't depend on the picture"
    features.square().mean().backward()
    assert all(p.grad is not None for p in network.parameters()), "a parameter takes no part"


@pytest.mark.parametrize("family", FAMILIES)
def test_small_is_smaller(family):
    def parameters(name):
        return sum(p.numel() for p in build(name, ImageShape(3, 16)).parameters())

    assert parameters(f"{family}-small") < parameters(family) / 2 < 400_000


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_convolutional_weights_fit_any_size(name):
    small, large = build(name, ImageShape(3, 8)), build(name, ImageShape(3, 64))
    large.load_state_dict(small.state_dict())


@pytest.mark.parametrize("family", FAMILIES)
def test_normalisation_can_be_left_out(family):
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)
    bare = build(family, ImageShape(1, 8), {"norm": "none"})
    assert not any(isinstance(module, norms) for module in bare.modules())
    full = build(family, ImageShape(1, 8), {"norm": "layer" if family == "vit" else "batch"})
    assert any(isinstance(module, norms) for module in full.modules())


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"lenet"}))
def test_width_depth_and_activation(family):
    network = build(family, ImageShape(1, 8), {"width": 8, "depth": 1, "activation": "tanh"})
    kinds = {type(module) for module in network.modules()}
    assert nn.Tanh in kinds
    assert not kinds & {nn.ReLU, nn.GELU}
    deeper = build(family, ImageShape(1, 8), {"width": 8, "depth": 3, "activation": "tanh"})
    assert len(list(deeper.parameters())) > len(list(network.parameters()))


@pytest.mark.parametrize(
    ("name", "size", "options", "words"),
    [
        ("resnt", 8, {}, ["resnt", "resnet"]),
        ("resnet", 7, {}, ["7", "8"]),
        ("resnet", 8, {"widht": 3}, ["widht", "width"]),
        ("lenet", 8, {"depth": 3}, ["depth", "lenet"]),
        ("vgg", 8, {"width": 0}, ["width", "0", "at least 1"]),
        ("vgg", 8, {"depth": 1.5}, ["depth", "1.5"]),
        ("vgg", 8, {"norm": "layer"}, ["layer", "batch", "none"]),
        ("vit", 8, {"norm": "batch"}, ["batch", "layer", "none"]),
        ("vgg", 8, {"activation": "rely"}, ["rely", "relu"]),
    ],
)
def test_errors_name_the_value_and_the_choice(name, size, options, words):
    with pytest.raises(InputError) as caught:
        build(name, ImageShape(1, size), options)
    assert all(word in str(caught.value) for word in words)


def fit(name: str, epochs: int) -> float:
    """Test accuracy on digits after a plain training with AdamW at 1e-3."""
    from ncore.probe.candidates import load_candidate
    from ncore.probe.datasets import load_dataset

    digits = load_dataset("digits")
    backbone = load_candidate(name, shape=digits.shape)
    model = nn.Sequential(backbone.module, nn.Linear(backbone.feature_dim, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = (digits.splits["train"].tensor(backbone.input), torch.from_numpy(digits.splits["train"].labels))
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(backbone.input.prepare(x[batch])), y[batch]).backward()
            optimizer.step()
    model.eval()
    test = digits.splits["test"]
    with torch.no_grad():
        predicted = model(backbone.input.prepare(test.tensor(backbone.input))).argmax(1)
    return (predicted == torch.from_numpy(test.labels)).float().mean().item()


def test_a_small_residual_network_learns_digits():
    assert fit("resnet-small", 8) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_network_learns_digits(name):
    assert fit(name, 12) > (0.95 if name == "resnet" else 0.88)
