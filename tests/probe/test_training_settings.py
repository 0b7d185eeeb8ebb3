"""Settings of a training beside the mode: classes that count alike, plateaus, accumulation, depth, compilation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

import ncore
from ncore.errors import InputError
from ncore.probe._balance import balanced_weights, epoch_order
from ncore.probe._plateau import Plateau
from ncore.probe.settings import TrainingSettings, identity_of, read_settings
from ncore.probe.training import Examples, ProbedModel, Trainer
from ncore.probe.unit import NCPUnit
from ncore.sweep import Recipe, run_id, sweep
from ncore.sweep.running import execute

CLASSES = 3
DIGITS = {"source": "digits", "train": 100, "validation": 50, "test": 50}
NOTHING_MOVES = {"learning_rate": 1e-30, "weight_decay": 0.0}  # weights stay what they are, to the last digit


def examples(count=60):
    x = torch.randn(count, 8, generator=torch.Generator().manual_seed(0))
    return Examples(
        x, torch.tensor([0] * (count // 2) + [1] * (count // 3) + [2] * (count // 6)), lambda inputs: inputs
    )


def trainer(**settings):
    torch.manual_seed(0)
    layers = [nn.Linear(8, 10), nn.BatchNorm1d(10), nn.Tanh(), nn.Linear(10, 12), nn.Tanh()]
    if settings.pop("normalised", False) is False:
        del layers[1]
    read = TrainingSettings(**{"mode": "all", "epochs": 4, "batch_size": 12} | settings)
    model = ProbedModel(nn.Sequential(*layers), NCPUnit(12, CLASSES), read.mode, read.fine_tuning_depth)
    return Trainer(model, examples(), read, seed=0)


def trained(epochs=2, **settings):
    run = trainer(**settings)
    for epoch in range(1, epochs + 1):
        run.epoch(epoch)
    return {name: value.clone() for name, value in run.model.state_dict().items()}


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_weights_are_those_that_scikit_learn_calls_balanced(labels):
    weights = balanced_weights(torch.tensor(labels), 6)
    present = np.unique(labels)
    known = compute_class_weight("balanced", classes=present, y=np.array(labels))
    np.testing.assert_allclose(weights[present], known, rtol=1e-6)
    assert float(weights.sum()) == pytest.approx(known.sum(), rel=1e-5)  # those of other classes are 0


def test_a_balanced_epoch_has_as_many_of_each_class_and_is_that_of_its_seed():
    labels = torch.tensor([0] * 4900 + [1] * 100)
    one, same, other = (epoch_order(labels, "balanced", torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert len(one) == len(labels)
    assert float(labels[one].float().mean()) == pytest.approx(0.5, abs=0.03)
    assert len(set(one[labels[one] == 1].tolist())) == 100  # none is left out
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    shuffled = epoch_order(labels, "shuffled", torch.Generator().manual_seed(0))
    assert sorted(shuffled.tolist()) == list(range(len(labels)))


@pytest.mark.parametrize("settings", [{"class_weights": "balanced"}, {"sampling": "balanced"}])
def test_small_classes_are_found_that_were_missed(settings):
    """Classes at 1:19 that overlap: plain training hardly ever says the small one."""
    generator = torch.Generator().manual_seed(1)
    labels = (torch.rand(800, generator=generator) < 0.05).long()
    x = torch.randn(800, 4, generator=generator) + 0.8 * labels[:, None]
    found = []
    for own in ({}, settings):
        torch.manual_seed(0)
        model = ProbedModel(nn.Linear(4, 8), NCPUnit(8, 2, widths=(8,)), "all")
        run = Trainer(model, Examples(x, labels, lambda x: x), TrainingSettings(mode="all", epochs=8, **own), seed=0)
        for epoch in range(1, 9):
            run.epoch(epoch)
        said = run.evaluate_each(run.examples)[1]
        found.append(float((said["predicted"][said["label"] == 1] == 1).mean()))
    assert found[1] > 0.6 > 0.3 > found[0]


@pytest.mark.parametrize("more", [{}, {"class_weights": "balanced", "label_smoothing": 0.1}, {"sampling": "balanced"}])
def test_accumulated_batches_are_one_large_one(more):
    large = trained(batch_size=24, optimizer="sgd", learning_rate=0.05, **more)
    parts = trained(batch_size=8, gradient_accumulation_steps=3, optimizer="sgd", learning_rate=0.05, **more)
    for name, value in large.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6)
    assert (
        trainer(batch_size=8, gradient_accumulation_steps=3).steps_per_epoch == trainer(batch_size=24).steps_per_epoch
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"class_weights": "balanced"},
        {"sampling": "balanced"},
        {"gradient_accumulation_steps": 2},
        {"fine_tuning_depth": 0.5},
        {"deterministic": True},
    ],
)
def test_the_same_seed_is_the_same_run(settings):
    one, other = (trained(**settings) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.are_deterministic_algorithms_enabled()


def test_compiled_training_is_the_same_run_but_for_the_last_digits():
    plain, one, other = trained(), trained(compile=True), trained(compile=True)
    for name in plain:
        assert torch.equal(one[name], other[name])
        torch.testing.assert_close(one[name], plain[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("depth", "moved"), [(1.0, {"0", "1", "3"}), (0.5, {"1", "3"}), (0.2, {"3"})])
def test_only_the_upper_layers_are_trained(depth, moved):
    """Layers are those with parameters: two dense ones and a normalisation, whose statistics are frozen with it."""
    before = trainer(normalised=True).model.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    after = trained(epochs=1, fine_tuning_depth=depth, normalised=True)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[1] for name in changed if name.startswith("backbone.")} == moved
    assert any(name.startswith("unit.") for name in changed)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5)), min_size=1, max_size=30),
    st.integers(1, 5),
)
def test_a_plateau_is_so_many_epochs_without_a_best_one(epochs, patience):
    plateau = Plateau(patience)
    said = [plateau.add({"accuracy": accuracy, "loss": loss}) for accuracy, loss in epochs]
    best = [
        index
        for index, (accuracy, loss) in enumerate(epochs)
        if all(accuracy > a for a, _ in epochs[:index]) or all(loss < b for _, b in epochs[:index])
    ]
    expected = [index - max(i for i in best if i <= index) >= patience for index in range(len(epochs))]
    assert said == expected


def go(place, until=None, **training):
    values = {"candidates": ["dense-small"], "datasets": [DIGITS], "store": "runs"}
    values["training"] = {"mode": "unit", "epochs": 9, **training}
    values["recording"] = {"neurons": 4, "line_graph_every": 100}
    job = Recipe.parse(values, base=str(place)).jobs[0].model_copy(update={"until": until})
    assert execute(job, str(place / "runs")) is None
    return ncore.open_store(str(place / "runs")).run(run_id(job))


def test_a_run_ends_finished_on_a_plateau_and_says_so(tmp_path):
    (tmp_path / "runs").mkdir()
    ncore.create_store(str(tmp_path / "runs"))
    go(tmp_path, until=2, patience=3, **NOTHING_MOVES)
    run = go(tmp_path, patience=3, **NOTHING_MOVES)  # what was counted before the pause counts
    assert (run.manifest.status, run.manifest.last_epoch, run.manifest.planned_epochs) == ("finished", 4, 9)
    assert run.manifest.info["ended_at"] == 4
    assert any("ended at epoch 4 of 9" in warning for warning in run.manifest.warnings)
    metrics = run.metrics()
    assert metrics.loc[metrics["split"] == "test", "epoch"].unique().tolist() == [4]
    assert run.recorded_epochs("line_graph")[-1] == 4
    table = ncore.rank(str(tmp_path / "runs"), method="last")
    assert table["kind"].tolist() == ["measured"]
    assert "ended at epoch 4 of 9" in table["warning"][0]
    jobs = Recipe.parse(
        {"candidates": ["dense-small"], "datasets": [DIGITS], "training": {"mode": "unit", "epochs": 9, "patience": 3}
         | NOTHING_MOVES, "recording": {"neurons": 4, "line_graph_every": 100}}, base=str(tmp_path)
    ).jobs  # fmt: skip
    assert [one.outcome for one in sweep(jobs, str(tmp_path / "runs"), engine=lambda jobs, _: iter(()))] == ["skipped"]


def test_what_was_added_has_no_part_in_the_ids_of_before():
    names = set(identity_of(TrainingSettings()))
    assert names.isdisjoint(TrainingSettings.ADDED)
    for name, value in (("patience", 3), ("sampling", "balanced"), ("fine_tuning_depth", 0.5)):
        assert set(identity_of(TrainingSettings(mode="all", **{name: value}))) == names | {name}
    recipe = {"candidates": ["lenet"], "datasets": ["digits"]}
    plain, other = (
        Recipe.parse(recipe | {"training": own}).jobs[0] for own in ({}, {"compile": True, "deterministic": True})
    )
    assert run_id(plain) == run_id(other)


def test_settings_that_contradict_each_other_are_one_sentence():
    for values, match in (
        ({"class_weights": "balanced", "sampling": "balanced"}, "twice over: use one"),
        ({"mode": "unit", "fine_tuning_depth": 0.5}, "trains no backbone"),
        ({"fine_tuning_depth": 0}, "fine_tuning_depth is 0"),
        ({"class_weights": "sqrt"}, "class_weights is 'sqrt'"),
        ({"patience": 0}, "patience is 0"),
        ({"gradient_accumulation_steps": 1.5}, "gradient_accumulation_steps is 1.5"),
    ):
        with pytest.raises(InputError, match=match) as caught:
            read_settings(TrainingSettings, values, "training")
        assert "\n" not in str(caught.value)
