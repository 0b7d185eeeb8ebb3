"""Other people's loops: what goes wrong in recording, in the loop itself, and when a script is started again."""

import itertools
import os
import shutil
import subprocess
import time
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

import ncore
from ncore.errors import InputError, StoreError, UnsupportedError
from ncore.store.metric_names import canonical_name, place_of

LOSS = nn.CrossEntropyLoss()
GENERATOR = torch.Generator().manual_seed(3)
X, Y = torch.randn(64, 5, generator=GENERATOR), torch.randint(3, (64,), generator=GENERATOR)


def network(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    body = (nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout(0.3))
    return nn.Sequential(*body, ncore.NCPUnit(6, 3, widths=(8, 8, 8), seed=seed)).to(dtype)


def recorder(place, model, **options):
    options = {"probe": (X, Y), "loss": LOSS, "candidate": "c", "dataset": "d", "epochs": 4} | options
    return ncore.Recorder(place, model, unit=model[3], **options)


def step(model, seed):
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    LOSS(model(X.to(model[0].weight.dtype)).float(), Y).backward()
    optimizer.step()


def row(place):
    return ncore.open_store(place).runs().iloc[0]


# Trouble in recording


def break_store(place):
    shutil.rmtree(place)


def bad_number(_):
    return {"validation": {"accuracy": 93.0}}


def no_number(_):
    return {"validation": {"accuracy": "high"}}


@pytest.mark.parametrize("trouble", [break_store, bad_number, no_number])
def test_trouble_ends_recording_and_not_training(tmp_path, trouble):
    plain, model = network(), network()
    for epoch in range(4):
        step(plain, epoch)
    ends = pytest.warns(RuntimeWarning, match=r"Recording of run .* ended, and training goes on")
    with ends as said:  # noqa: SIM117  (the block's end may warn, too)
        with recorder(tmp_path / "s", model, on_error="warn") as record:
            for epoch in range(4):
                step(model, epoch)
                splits = (trouble(tmp_path / "s") if epoch == 1 else None) or {"validation": {"accuracy": 0.5}}
                record.record(**splits)
                time.sleep(0.1)
    assert len(said) == 1
    assert record.lost is not None
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters(), model.parameters(), strict=True))
    if trouble is not break_store:
        assert (row(tmp_path / "s")["status"], row(tmp_path / "s")["epochs"]) == ("interrupted", 1)
        assert "recording ended" in row(tmp_path / "s")["reason"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_ends_recording_and_not_training(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", disk], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        model = network()
        with pytest.warns(RuntimeWarning, match="No space left"):  # noqa: PT031, SIM117
            with recorder(disk / "s", model, on_error="warn", epochs=60, recording={"neurons": None}) as record:
                for epoch in range(60):
                    step(model, epoch)
                    record.record(validation={"accuracy": 0.5})
        assert 0 < row(disk / "s")["epochs"] < 60
    finally:
        subprocess.run(["umount", disk], check=True)


def test_by_default_trouble_is_raised(tmp_path):
    model = network()
    with recorder(tmp_path, model) as record, pytest.raises(InputError, match=r"93.0.*fraction"):
        record.record(validation={"accuracy": 93.0})


def test_a_loss_that_is_not_finite_is_said_in_the_run(tmp_path):
    with recorder(tmp_path, network()) as record:
        record.record(validation={"accuracy": 0.5, "loss": float("nan")})
    assert "validation loss was not finite" in row(tmp_path)["warnings"]


# Starting again


def begun(place, epochs=2):
    model = network()
    record = recorder(place, model)
    for epoch in range(epochs):
        step(model, epoch)
        record.record(validation={"accuracy": 0.3 + 0.1 * epoch})
    record.writer.close()
    return model.state_dict()


def go_on(place, policy, seed, state, first, numbered):
    model = network(seed)
    if state is not None:
        model.load_state_dict(state)
    with recorder(place, model, resume=True, when_recorded=policy) as record:
        for epoch in range(first, 4):
            step(model, epoch)
            record.record(epoch + 1 if numbered else None, validation={"accuracy": 0.3 + 0.1 * epoch + 0.01 * seed})
    return ncore.open_store(place).run(record.run_id)


def accuracies(run):
    table = run.metrics()
    return table[table["name"] == "accuracy"].set_index("epoch")["value"].round(3).to_dict()


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("policy", ["refuse", "skip", "replace"])
def test_a_loop_that_goes_on_from_its_checkpoint_goes_on(tmp_path, policy, numbered):
    run = go_on(tmp_path, policy, 0, begun(tmp_path), 2, numbered)
    assert accuracies(run) == {1: 0.3, 2: 0.4, 3: 0.5, 4: 0.6}
    assert not run.manifest.warnings


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_loop_that_starts_over_is_never_glued_to_the_first(tmp_path, seed, numbered):
    begun(tmp_path)
    with pytest.raises(StoreError, match=r"skip.*replace.*refuse"):
        go_on(tmp_path, "refuse", seed, None, 0, numbered)
    if seed:
        with pytest.raises(StoreError, match=r"not the same training"):
            go_on(tmp_path, "skip", seed, None, 0, numbered)
    else:
        assert accuracies(go_on(tmp_path, "skip", seed, None, 0, numbered)) == {1: 0.3, 2: 0.4, 3: 0.5, 4: 0.6}


@pytest.mark.parametrize("seed", [0, 1])
def test_replacing_leaves_nothing_of_the_first_start(tmp_path, seed):
    begun(tmp_path / "a")
    run = go_on(tmp_path / "a", "replace", seed, None, 0, True)
    assert "replaced" in run.manifest.warnings[0]
    undisturbed = network(seed)
    with recorder(tmp_path / "b", undisturbed) as record:
        for epoch in range(4):
            step(undisturbed, epoch)
            record.record(validation={"accuracy": 0.3 + 0.1 * epoch + 0.01 * seed})
    other = ncore.open_store(tmp_path / "b").run(record.run_id)
    assert run.capacitance().equals(other.capacitance())
    assert accuracies(run) == accuracies(other)
    assert ncore.store.verify(tmp_path / "a").ok


def test_epochs_beyond_those_planned_are_recorded_and_said(tmp_path):
    with recorder(tmp_path, network(), epochs=2) as record:
        for epoch in range(4):
            record.log(at=epoch + 0.5, train={"loss": 1.0})
            record.record(validation={"accuracy": 0.5})
    assert "after the 2 epochs that were planned" in row(tmp_path)["warnings"]
    run = ncore.open_store(tmp_path).run(record.run_id)
    assert run.manifest.info["longer_than_planned"] == 2
    table = run.metrics()
    assert table[table["split"] == "train"]["at"].tolist() == [0.5, 1.5, 2.5, 3.5]


def test_moments_of_recorded_epochs_are_refused(tmp_path):
    with recorder(tmp_path, network()) as record:
        record.record(validation={"accuracy": 0.5})
        for at in (0.5, float("nan"), float("inf")):
            with pytest.raises(InputError, match="after epoch 1"):
                record.log(at=at, train={"loss": 1.0})


# Models and probes


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


# Names of metrics

SPLITS = {
    "train": ["train", "training"],
    "validation": ["val", "valid", "validation", "dev", "eval"],
    "test": ["test", "testing"],
}
ACCURACIES = ["acc", "accuracy", "acc1", "acc@1", "top1", "top-1", "acc_top1", "top1_acc", "MulticlassAccuracy"]
LOSSES = ["loss", "avg_loss"]


@pytest.mark.parametrize(
    ("split", "spelling", "between"),
    [(split, one, sep) for split, known in SPLITS.items() for one in known for sep in "_/.: -"],
)
def test_spellings_of_metrics(split, spelling, between):
    for names, name in ((ACCURACIES, "accuracy"), (LOSSES, "loss")):
        for metric, change in itertools.product(names, (str, str.upper, str.capitalize)):
            if change is str.capitalize and metric == "MulticlassAccuracy":
                continue
            one, other = change(spelling), change(metric) if metric != "MulticlassAccuracy" else metric
            for key in (f"{one}{between}{other}", f"{other}{between}{one}", f"{one}{between}{other}_epoch"):
                assert place_of(key) == (split, name), key
            assert place_of(f"{one}{between}{other}_step") is None


@pytest.mark.parametrize("name", ["loss_scale", "accuracy_gap", "balanced_accuracy", "top5", "acc5", "f1", "accident"])
def test_names_that_are_no_aliases(name):
    assert canonical_name(name) == name
    assert place_of(name) is None
    assert place_of(f"val_{name}") == ("validation", name)


def test_metrics_by_names_that_hold_their_split(tmp_path):
    with recorder(tmp_path, network()) as record:
        record.record(val_acc=0.5, train={"Loss": 2.0}, val={"f1": 0.3, "val_loss": 1.0})
        with pytest.raises(InputError, match="'test_acc' is of the split 'test'"):
            record.record(validation={"test_acc": 0.5})
        with pytest.raises(InputError, match="twice"):
            record.record(validation={"acc": 0.5, "top1": 0.5})
    table = ncore.open_store(tmp_path).run(record.run_id).metrics()
    found = {f"{split} {name}" for split, name in table[table["epoch"] == 1][["split", "name"]].to_numpy()}
    assert found == {"validation accuracy", "train loss", "validation f1", "validation loss"}


def test_validation_without_an_accuracy_is_said_once(tmp_path):
    with recorder(tmp_path, network()) as record:
        with pytest.warns(RuntimeWarning, match="validation f1, validation loss"):
            record.record(validation={"loss": 1.0, "f1": 0.3})
        record.record(validation={"loss": 1.0, "f1": 0.3})
    assert "No validation accuracy was seen" in row(tmp_path)["warnings"]
