"""A candidate answers the same when it is asked again, and its weights are real numbers."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ncore.errors import InputError
from ncore.probe.builtin import build
from ncore.probe.candidates import load_candidate
from ncore.probe.images import ImageShape

SHAPE = ImageShape(3, 16)


class Noisy(nn.Module):
    """A network that is random in evaluation mode too, in one of the ways that models are."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.head = kind, nn.Linear(48, 4)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)
        if self.kind == "masks":
            x = x * (torch.rand_like(x) > 0.75)
        elif self.kind == "drops":
            x = nn.functional.dropout(x, 0.5, training=True)
        elif self.kind == "samples":
            x = x + torch.randn_like(x)
        elif self.kind == "counts":
            self.calls = getattr(self, "calls", 0) + 1
            x = x * self.calls
        elif self.kind == "batch":
            x = (x - x.mean(0)) / (x.std(0, correction=0) + 0.1)
        elif self.kind == "norm":
            x = nn.functional.batch_norm(x, None, None, training=True)
        elif self.kind == "buffer":
            self.seen += 1
        elif self.kind == "nan":
            x = x * float("nan")
        return self.head(x)


@pytest.mark.parametrize("kind", ["masks", "drops", "samples", "counts"])
def test_models_that_are_random_are_refused(monkeypatch, tmp_path, kind):
    (tmp_path / "noisy_nets.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import noisy_nets

    noisy_nets.make = lambda: Noisy(kind)
    with pytest.raises(InputError, match="when it is asked again"):
        load_candidate({"source": "python:noisy_nets:make", "remove": "head", "input_size": 16}, shape=SHAPE)
    noisy_nets.make = lambda: Noisy("none")
    assert (
        load_candidate(
            {"source": "python:noisy_nets:make", "remove": "head", "input_size": 16}, shape=SHAPE
        ).feature_dim
        == 48
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [("batch", "alone than among"), ("norm", "alone than among"), ("buffer", "changes seen"), ("nan", "not finite")],
)
def test_models_that_depend_on_other_pictures_are_refused(monkeypatch, tmp_path, kind, words):
    (tmp_path / "noisy_nets.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import noisy_nets

    noisy_nets.make = lambda: Noisy(kind)
    with pytest.raises(InputError, match=words):
        load_candidate({"source": "python:noisy_nets:make", "remove": "head", "input_size": 16}, shape=SHAPE)


@pytest.mark.parametrize("prefix", ["module.", "model.", "model.module."])
@pytest.mark.parametrize("name", ["lenet-small", "dense-small", "vit-small"])
@pytest.mark.parametrize("nested", [False, True])
def test_wrapped_checkpoints_are_loaded(tmp_path, prefix, nested, name):
    own = build(name, SHAPE, {}).state_dict()
    state = {prefix + key: value for key, value in own.items()}
    torch.save({"state_dict": state, "epoch": 3} if nested else state, tmp_path / "w.ckpt")
    spec = {"source": f"file:{tmp_path / 'w.ckpt'}", "architecture": name}
    loaded = load_candidate(spec, shape=SHAPE).module.model.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in loaded.items())


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool])
def test_whole_numbers_are_no_weights(tmp_path, kind):
    state = build("lenet-small", SHAPE, {}).state_dict()
    name = next(key for key in state if state[key].ndim > 1)
    state[name] = (state[name] * 100).to(kind)
    save_file(state, str(tmp_path / "w.safetensors"))
    spec = {"source": f"file:{tmp_path / 'w.safetensors'}", "architecture": "lenet-small"}
    with pytest.raises(InputError, match="as quantised weights do"):
        load_candidate(spec, shape=SHAPE)
