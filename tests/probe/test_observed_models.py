"""Models and probes as people have them: they are looked at and left alone, or refused in a sentence."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

import ncore
from ncore.errors import InputError, UnsupportedError
from tests.probe.loops import LOSS, X, Y, network, recorder


def row(place):
    return ncore.open_store(place).runs().iloc[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_models_of_other_precision(tmp_path, dtype):
    model = network(dtype=dtype)
    with recorder(tmp_path, model) as record:
        record.record(validation={"accuracy": 0.5})
    assert np.isfinite(row(tmp_path)["beta_eff"])


class Named(nn.Module):
    """Takes its inputs by name, and gives a mapping."""

    def __init__(self):
        super().__init__()
        self.body = network()

    def forward(self, *, values, flag):
        assert flag
        return {"logits": self.body(values)}


def test_inputs_by_name_and_arrays(tmp_path):
    inputs = {"values": X.numpy().astype(np.float64), "flag": True}
    model = Named()
    about = {"loss": LOSS, "candidate": "c", "dataset": "d", "epochs": 1}
    probe = (inputs, Y.numpy().astype(np.int32))
    with ncore.Recorder(tmp_path / "a", model, unit=model.body[3], probe=probe, **about) as record:
        record.record(validation={"accuracy": 0.5})
    with recorder(tmp_path / "b", network(), epochs=1):
        pass
    assert row(tmp_path / "a")["beta_eff"] == pytest.approx(row(tmp_path / "b")["beta_eff"], rel=1e-5)


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (X, "inputs, targets"),
        ((X, Y[:9]), "9 targets for 64"),
        ((X, Y[:0]), "no targets"),
        ((X, ["a"] * 64), "numbers"),
        (({"flag": True}, Y), "no tensor"),
    ],
)
def test_probes_that_are_none_are_refused_at_the_start(tmp_path, probe, said):
    with pytest.raises(InputError, match=said):
        recorder(tmp_path, network(), probe=probe)


def wrapped(kind, model, place):
    """A model as it is trained, and its unit."""
    if kind == "compiled":
        whole = torch.compile(model, backend="eager")
        whole(X)
        return whole, model[3]
    if kind == "unit compiled":
        model[3] = torch.compile(model[3], backend="eager")
        return model, model[3]
    if kind == "compiled in place":
        model.compile(backend="eager")
        return model, model[3]
    if kind == "averaged":
        whole = torch.optim.swa_utils.AveragedModel(model)
        return whole, whole.module[3]
    if kind == "DataParallel":
        return nn.DataParallel(model), model[3]
    if kind == "DDP":
        torch.distributed.init_process_group("gloo", f"file://{place}/rendezvous", rank=0, world_size=1)
        return nn.parallel.DistributedDataParallel(model), model[3]
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["body"], modules_to_save=["head"])
    whole = peft.get_peft_model(nn.Sequential(OrderedDict(body=model[0], rest=model[1:3], head=model[3])), config)
    return whole, whole.base_model.model.head


@pytest.mark.parametrize(
    "kind", ["compiled", "unit compiled", "compiled in place", "averaged", "DataParallel", "DDP", "LoRA in the body"]
)
def test_models_inside_of_others(tmp_path, kind):
    about = {"probe": (X, Y), "loss": LOSS, "candidate": "c", "dataset": "d", "epochs": 1}
    try:
        model, unit = wrapped(kind, network().eval(), tmp_path)
        with ncore.Recorder(tmp_path / "a", model, unit=unit, **about):
            pass
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    plain = network()
    with ncore.Recorder(tmp_path / "b", plain, unit=plain[3], **about):
        pass
    assert row(tmp_path / "a")["status"] == "finished"
    assert row(tmp_path / "a")["beta_eff"] == pytest.approx(row(tmp_path / "b")["beta_eff"], rel=1e-5)


class LowRank(nn.Linear):
    """As PEFT writes it."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.lora_A, self.lora_B = nn.Linear(sizes[0], 2, bias=False), nn.Linear(2, sizes[1], bias=False)

    def forward(self, x):
        return super().forward(x) + self.lora_B(self.lora_A(x))


class Given(nn.Module):
    """Calls its unit as often as it is told."""

    def __init__(self, calls):
        super().__init__()
        self.body, self.calls = network(), calls

    def forward(self, x):
        return sum((self.body(x) for _ in range(self.calls)), torch.zeros(()))


def low_rank():
    model = network()
    model[3][0] = LowRank(6, 8)
    return model, model[3], X


def lazy():
    model = network()
    model[0] = nn.LazyLinear(6)
    return model, model[3], X


def sharded():
    model = network()
    model[0].weight = nn.Parameter(torch.empty(0))
    return model, model[3], X


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (low_rank, r"'0' of the unit is a LowRank with a low-rank adapter.*merge"),
        (lazy, r"'0\.weight' has no values yet"),
        (lambda: (network().to("meta"), network().to("meta")[3], X), "has no values yet"),
        (sharded, r"'0\.weight' is spread over several processes.*DDP"),
        (lambda: ((model := Given(0)), model.body[3], X), "0 times"),
        (lambda: ((model := Given(2)), model.body[3], X), "2 times"),
        (lambda: ((model := network()), model[0], X), "is a Linear"),
        (lambda: ((model := network()), model[3], X[:, :4]), r"cannot be called on probe inputs of shape \(64, 4\)"),
        (lambda: ((model := network()), model[3], X.long()), "type int64.*RuntimeError"),
        (lambda: ((model := network()), model[3], {"x": X}), "cannot be called on probe inputs 'x'.*TypeError"),
        (lambda: ((model := network()), model[3], X.log()), "not numbers in"),
        (lambda: (None, network()[3], {"x": X}), "pass the model"),
    ],
)
def test_models_that_cannot_be_observed_are_refused_in_a_sentence(tmp_path, given, said):
    model, unit, inputs = given()
    about = {"loss": LOSS, "candidate": "c", "dataset": "d"}
    with pytest.raises((InputError, UnsupportedError), match=said) as caught:
        ncore.Recorder(tmp_path, model, unit=unit, probe=(inputs, Y), **about)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*/trajectories*"))


class Unruly(nn.Module):
    """Draws random numbers, and counts, also in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.body = network()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.body(x + 1e-9 * torch.rand(()) * np.random.rand())


def test_random_numbers_and_buffers_are_left_as_they_were(tmp_path):
    model = Unruly()
    before, drawn = torch.get_rng_state(), np.random.get_state()[1].tolist()
    about = {"loss": LOSS, "candidate": "c", "dataset": "d", "epochs": 1}
    with ncore.Recorder(tmp_path, model, unit=model.body[3], probe=(X, Y), **about) as record:
        record.record(validation={"accuracy": 0.5})
    assert float(model.calls) == 0
    assert torch.equal(before, torch.get_rng_state())
    assert drawn == np.random.get_state()[1].tolist()
    assert not model.body[3]._forward_pre_hooks
