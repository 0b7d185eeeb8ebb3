"""Training: what is trained in each mode, the same run from the same seed, and how it goes on after a stop."""

import math

import pytest
import torch
from torch import nn

from ncore.errors import InputError, TrainingFailedError
from ncore.probe.settings import TrainingSettings, read_settings
from ncore.probe.training import (
    MEMORY_FORMATS,
    CheckpointClock,
    Examples,
    ProbedModel,
    Trainer,
    augment,
    choose_device,
)
from ncore.probe.unit import NCPUnit

FEATURES, CLASSES = 12, 3


@pytest.fixture
def examples():
    """Points whose class can be learnt."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(97, 8, generator=generator)
    return Examples(x, x[:, :CLASSES].argmax(1), lambda inputs: inputs)


def trainer(examples, seed=0, dropout=0.0, **settings):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(8, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU(), nn.Dropout(dropout))
    settings = TrainingSettings(**{"mode": "all", "epochs": 6, "batch_size": 16} | settings)
    return Trainer(ProbedModel(backbone, NCPUnit(FEATURES, CLASSES), settings.mode), examples, settings, seed)


def snapshot(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def changed(before, after, prefix):
    return {k for k in before if k.startswith(prefix) and not torch.equal(before[k], after[k])}


@pytest.mark.parametrize("mode", ["backbone", "unit", "all"])
def test_only_what_the_mode_names_is_trained(examples, mode):
    run = trainer(examples, mode=mode)
    before = snapshot(run.model)
    run.epoch(1)
    after = snapshot(run.model)
    assert bool(changed(before, after, "backbone.")) == (mode != "unit")  # batch statistics included
    assert bool(changed(before, after, "unit.")) == (mode != "backbone")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_learns(examples, optimizer):
    rate = 5e-3 if optimizer == "adamw" else 5e-2
    run = trainer(examples, optimizer=optimizer, learning_rate=rate, epochs=15)
    first = run.evaluate(examples)
    for epoch in range(1, 16):
        run.epoch(epoch)
    last = run.evaluate(examples)
    assert last["accuracy"] > 0.9 > first["accuracy"]
    assert last["loss"] < first["loss"] / 2


def test_the_same_seed_is_the_same_run_and_another_is_not(examples):
    ends = []
    for seed in (1, 1, 2):
        torch.manual_seed(torch.seed() % 1000)  # whatever the global generator was at
        run = trainer(examples, seed=seed, dropout=0.3)
        for epoch in (1, 2):
            run.epoch(epoch)
        ends.append(snapshot(run.model))
    assert not changed(ends[0], ends[1], "")
    assert changed(ends[0], ends[2], "")


@pytest.mark.parametrize(
    "settings", [{}, {"optimizer": "sgd"}, {"schedule": "cosine", "warmup_epochs": 1.5}, {"mode": "backbone"}]
)
def test_a_checkpoint_leads_to_the_same_end(examples, settings):
    whole = trainer(examples, dropout=0.3, **settings)
    data = b""
    for epoch in range(1, 6):
        whole.epoch(epoch)
        if epoch == 2:
            data = whole.save(2)
    resumed = trainer(examples, dropout=0.3, **settings)
    assert resumed.load(data) == 2
    for epoch in range(3, 6):
        resumed.epoch(epoch)
    assert not changed(snapshot(whole.model), snapshot(resumed.model), "")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_how_images_lie_in_memory_changes_the_last_digits_only(optimizer):
    images = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = images.mean((2, 3)).argmax(1)
    ends, resumed = {}, None
    for name, layout in MEMORY_FORMATS.items():
        settings = TrainingSettings(mode="all", epochs=4, optimizer=optimizer, memory_format=name)

        def begin(layout=layout, settings=settings):
            torch.manual_seed(0)
            backbone = nn.Sequential(
                nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=3), nn.Flatten()
            ).to(memory_format=layout)
            model = ProbedModel(backbone, NCPUnit(96, CLASSES), "all").double()
            return Trainer(model, Examples(images.double(), labels, lambda inputs: inputs), settings, seed=0)

        run = begin()
        for epoch in range(1, 5):
            run.epoch(epoch)
            if epoch == 2:
                resumed = begin()
                assert resumed.load(run.save(epoch)) == 2
        for epoch in (3, 4):
            resumed.epoch(epoch)
        ends[name] = snapshot(run.model)
        for key, value in snapshot(resumed.model).items():
            torch.testing.assert_close(value, ends[name][key], rtol=0, atol=0)
    for key, value in ends["contiguous"].items():
        torch.testing.assert_close(value, ends["channels_last"][key], rtol=1e-9, atol=1e-12)


def test_a_loss_that_is_not_finite_ends_training_with_its_reason(examples):
    run = trainer(examples, optimizer="sgd", learning_rate=1e12)
    with pytest.raises(TrainingFailedError, match=r"loss became (nan|inf) in epoch \d.*sgd"):
        [run.epoch(epoch) for epoch in range(1, 7)]


def test_clipping_bounds_a_step_and_reports_the_norm(examples):
    run = trainer(examples, optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=1.0, clip_gradient=1e-3)
    before = snapshot(run.model)
    metrics = run.epoch(1)
    moved = torch.cat([(p.detach() - before[n]).reshape(-1) for n, p in run.model.named_parameters()]).norm()
    assert metrics["gradient_norm"] > 1e-3
    assert moved <= 1e-3 * run.steps_per_epoch * 1.001


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("cosine", [1, 0.5 * (1 + math.cos(math.pi / 3)), 0.5 * (1 + math.cos(2 * math.pi / 3)), 0]),
        ("linear", [1, 2 / 3, 1 / 3, 0]),
        ("step", [1, 1, 0.1, 0.01]),
    ],
)
def test_schedules(examples, schedule, expected):
    run = trainer(examples, schedule=schedule, epochs=6)
    steps = [0, 2 * run.steps_per_epoch, 4 * run.steps_per_epoch, 6 * run.steps_per_epoch]
    assert [run._schedule(step) for step in steps] == pytest.approx(expected)
    warm = trainer(examples, schedule=schedule, epochs=6, warmup_epochs=2)
    ramp = [warm._schedule(step) for step in range(2 * warm.steps_per_epoch)]
    assert ramp == sorted(ramp)
    assert 0 < ramp[0] < ramp[-1] < 1


def test_a_last_batch_of_one_is_left_out(examples):
    assert len(examples) % 16 == 1
    assert trainer(examples).steps_per_epoch == len(examples) // 16
    trainer(examples).epoch(1)  # batch normalisation would refuse it


def test_features_of_an_evaluation_are_what_the_unit_saw(examples):
    run = trainer(examples, dropout=0.5)
    metrics, features = run.evaluate_probe(examples)
    outputs = run.model.eval().unit(features).detach()
    assert metrics["accuracy"] == pytest.approx(float((outputs.argmax(1) == examples.labels).float().mean()))
    assert metrics["loss"] == pytest.approx(float(nn.functional.cross_entropy(outputs, examples.labels)), rel=1e-5)


def test_bfloat16_trains_on_the_cpu_and_float16_is_refused(examples):
    run = trainer(examples, precision="bfloat16")
    run.epoch(1)
    assert next(run.model.parameters()).dtype == torch.float32
    with pytest.raises(InputError, match=r"'float16'.*bfloat16"):
        trainer(examples, precision="float16")


def test_augmentation_moves_and_flips_and_is_seeded():
    images = torch.arange(2 * 3 * 16 * 16, dtype=torch.float32).reshape(2, 3, 16, 16).repeat(8, 1, 1, 1)
    one, two = (augment(images, torch.Generator().manual_seed(3)) for _ in range(2))
    other = augment(images, torch.Generator().manual_seed(4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    for before, after in zip(images, one, strict=True):
        assert set(after.unique().tolist()) <= set(before.unique().tolist())  # only pixels of the image itself
        row = after[0, 8] if after[0, 8, 0] < after[0, 8, -1] else after[0, 8].flip(0)
        middle = row[2:-2]
        assert torch.equal(middle.diff(), torch.ones_like(middle.diff()))  # shifted, perhaps flipped


def test_a_checkpoint_is_due_when_it_has_become_cheap(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock = CheckpointClock(share=0.02)
    assert clock.due()
    with clock.timed():
        now[0] += 1.0
    now[0] += 49.0
    assert not clock.due()
    now[0] += 1.5
    assert clock.due()


def test_bad_settings_are_one_sentence():
    for values, match in (
        ({"mode": "head"}, r"training: mode is 'head', but.*backbone"),
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rat": 1}, "'learning_rat' is not known here.*learning_rate"),
        ({"mode": "unit", "augment": True}, "computed once"),
        ({"epochs": 2, "warmup_epochs": 3}, "only 2 epochs"),
        ("fast", "'fast', but a mapping"),
    ):
        with pytest.raises(InputError, match=match) as caught:
            read_settings(TrainingSettings, values, "training")
        assert "\n" not in str(caught.value)


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps", "xpu")
    with pytest.raises(InputError, match="'warp:9'"):
        choose_device("warp:9")
