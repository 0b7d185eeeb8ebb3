"""Other people's loops: what goes wrong in recording, in the loop itself, and when a script is started again."""

import os
import shutil
import subprocess
import time

import pytest
import torch

import ncore
from ncore.errors import InputError, StoreError
from tests.probe.loops import LOSS, X, Y, network, recorder


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


@pytest.mark.parametrize("epochs", [2, 3, 6])
def test_another_plan_than_at_the_start_is_said(tmp_path, epochs):
    state, model = begun(tmp_path), network()
    model.load_state_dict(state)
    with recorder(tmp_path, model, epochs=epochs, resume=True) as record:
        for _ in range(2, 6):
            record.record(validation={"accuracy": 0.5})
    run = ncore.open_store(tmp_path).run(record.run_id)
    assert run.manifest.planned_epochs == epochs
    assert run.manifest.info["planned_before"] == 4
    assert f"begun with 4 planned epochs, and went on with {epochs}" in row(tmp_path)["warnings"]
    assert ("longer_than_planned" in run.manifest.info) == (epochs < 6)
    (curve,) = ncore.predict.curves_from_store(ncore.open_store(tmp_path))
    assert curve.horizon == 6


def test_moments_of_recorded_epochs_are_refused(tmp_path):
    with recorder(tmp_path, network()) as record:
        record.record(validation={"accuracy": 0.5})
        for at in (0.5, float("nan"), float("inf")):
            with pytest.raises(InputError, match="after epoch 1"):
                record.log(at=at, train={"loss": 1.0})


# What a loop gives


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


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"validation": {"loss": 1.0, "f1": 0.3}}, "validation f1, validation loss"),
        ({"validate_set": {"accuracy": 0.5}, "train": {"accuracy": 0.6}}, "validate_set accuracy"),
        ({"test": {"acc": 0.5}, "val": {"loss": 1.0}}, "test accuracy, validation loss"),
    ],
)
def test_no_validation_accuracy_is_said_once(tmp_path, splits, said):
    with recorder(tmp_path, network()) as record:
        record.record(train={"accuracy": 0.5})
        with pytest.warns(RuntimeWarning, match=f"No validation accuracy was seen.* but {said}"):
            record.record(**splits)
        record.record(**splits)
    assert said in row(tmp_path)["warnings"]


# Predictions of single examples


def test_predictions_of_a_loop(tmp_path):
    predicted = (Y + 1) % 3
    chances = torch.full((64,), 0.4)
    with recorder(tmp_path, network()) as record:
        record.record(
            validation={"accuracy": 0.0},
            predictions={"val": {"label": Y, "predicted": predicted.tolist(), "probability": chances}},
        )
        record.record(
            validation={"accuracy": 1.0},
            test={"accuracy": 1.0},
            predictions={
                "validation": {
                    "label": Y.numpy(),
                    "predicted": Y,
                    "label_probability": chances,
                    "probability": chances,
                },
                "test": {"label": Y[:4], "predicted": Y[:4], "example": [9, 7, 5, 3]},
            },
        )
    run = ncore.open_store(tmp_path).run(record.run_id)
    first, test = run.predictions("validation", epoch=1), run.predictions("test")
    assert first["predicted"].tolist() == predicted.tolist()
    assert first["example"].tolist() == list(range(64))
    assert first["label_probability"].isna().all()
    assert test[["epoch", "example"]].to_numpy().tolist() == [[2, 9], [2, 7], [2, 5], [2, 3]]


def test_predictions_of_epochs_that_are_replaced_go_with_them(tmp_path):
    def loop(resume, right):
        model = network()
        with recorder(tmp_path, model, resume=resume, when_recorded="replace", **few) as record:
            for epoch, count in enumerate(right, start=1):
                step(model, epoch)
                predicted = torch.where(torch.arange(64) < count, Y, (Y + 1) % 3)
                record.record(epoch, val_acc=count / 64, predictions={"val": {"label": Y, "predicted": predicted}})
            if not resume:
                record.writer.close()
        return ncore.open_store(tmp_path).run(record.run_id)

    few = {"recording": {"prediction_rows": 64}}  # the first, the best and the last
    assert loop(False, [10, 60, 20]).recorded_epochs("predictions") == [1, 2, 3]
    assert loop(True, [10, 20, 30, 25]).recorded_epochs("predictions") == [1, 3, 4]
    assert ncore.store.verify(tmp_path).ok


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"label": Y}, "no 'predicted'"),
        ({"label": Y, "predicted": Y[:3]}, r"shape \(3,\)"),
        ({"label": Y, "predicted": torch.zeros(64, 3)}, r"shape \(64, 3\)"),
        ({"label": Y, "predicted": Y, "logits": Y}, "'logits'"),
        ({"label": Y, "predicted": Y + 0.5}, "'predicted'"),
        ({"label": [], "predicted": []}, "no example"),
    ],
)
def test_predictions_that_are_none_are_refused_before_anything_is_written(tmp_path, columns, said):
    with recorder(tmp_path, network()) as record:
        with pytest.raises(InputError, match=said):
            record.record(val_acc=0.5, predictions={"validation": columns})
        record.record(val_acc=0.5, predictions={"validation": {"label": Y, "predicted": Y}})
    assert row(tmp_path)["epochs"] == 1
