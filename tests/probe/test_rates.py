"""Learning rates where none is given, and what the first epochs say of one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ncore
from ncore.errors import InputError
from ncore.probe._pace import Pace
from ncore.probe.rates import RATES, with_rates
from ncore.probe.settings import TrainingSettings, read_settings
from ncore.probe.sources.candidate_spec import CandidateSpec
from ncore.probe.training import Examples, ProbedModel, Trainer
from ncore.probe.unit import NCPUnit
from ncore.sweep import Recipe, run_id
from ncore.sweep.running import execute

KINDS = {"fresh": "lenet", "pretrained": "timm:resnet18", "transformers": "hf:google/vit-base-patch16-224"}


@pytest.mark.parametrize("optimizer", RATES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_default_goes_by_mode_optimizer_and_kind(kind, optimizer):
    spec, rates = CandidateSpec.parse(KINDS[kind]), RATES[optimizer]
    own = getattr(rates, kind)

    def of(mode, **given):
        found = with_rates(TrainingSettings(mode=mode, optimizer=optimizer, **given), spec)
        return found.learning_rate, found.backbone_learning_rate

    assert of("unit") == (rates.fresh, None)
    assert of("all") == (rates.fresh, None if kind == "fresh" else own)
    assert of("backbone") == (rates.fresh, None)
    assert of("all", learning_rate=0.5) == (0.5, None)  # what is given is that of all
    assert of("all", backbone_learning_rate=0.5) == (rates.fresh, 0.5)


def test_what_was_recorded_before_keeps_its_id():
    """Built-in networks had this rate as their default before there were others."""
    recipe = {"candidates": ["lenet"], "datasets": ["digits"]}
    for mode in ("unit", "all", "backbone"):
        alone, given = (
            Recipe.parse(recipe | {"training": {"mode": mode} | more}).jobs[0] for more in ({}, {"learning_rate": 1e-3})
        )
        assert run_id(alone) == run_id(given)
        assert alone.resolved["training"]["learning_rate"] == 1e-3


def test_backbone_and_unit_are_trained_at_their_own_rates():
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    data = Examples(x, (x[:, 0] > 0).long(), lambda inputs: inputs)
    settings = TrainingSettings(
        mode="all", optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=0.1, backbone_learning_rate=1e-30
    )
    run = Trainer(ProbedModel(nn.Linear(8, 6), NCPUnit(6, 2, widths=(4,)), "all"), data, settings, seed=0)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    metrics = run.epoch(1)
    moved = {name for name, value in run.model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if name.startswith("unit.")}
    assert metrics["learning_rate"] == 0.1
    with pytest.raises(InputError, match="mode 'unit' trains one part only"):
        read_settings(TrainingSettings, {"mode": "unit", "backbone_learning_rate": 0.1}, "training")


@pytest.mark.parametrize(
    ("source", "rate", "word"),
    [
        ("lenet", 1e-6, "too low"),
        ("dense-small", 1e-6, "too low"),
        ("dense-small", 0.3, "too high"),
        ("lenet", 0.3, "too high"),
        ("lenet", 2e-3, ""),
        ("dense-small", 2e-3, ""),
    ],
)
def test_the_first_epochs_say_whether_a_rate_fits(tmp_path, source, rate, word):
    digits = {"source": "digits", "train": 300, "validation": 100, "test": 100}
    training = {"mode": "all", "epochs": 4, "learning_rate": rate}
    recording = {"neurons": 4, "line_graph_every": 0}
    recipe = {"candidates": [source], "datasets": [digits], "training": training, "recording": recording}
    (job,) = Recipe.parse(recipe).jobs
    store = str(tmp_path / "runs")
    ncore.create_store(store)
    for until in (2, None):  # what came before a pause counts
        assert execute(job.model_copy(update={"until": until}), store) is None
    said = [text for text in ncore.open_store(store).run(run_id(job)).manifest.warnings if "learning rate" in text]
    assert len(said) == bool(word)
    assert all(f"the learning rate {rate:g} looks {word}" in text for text in said)


@pytest.mark.parametrize(
    ("losses", "norms", "word"),
    [
        ([2.3, 2.3, 2.3], [0.2, 0.2, 0.2], "too low"),
        ([2.3, 2.306, 2.3], [0.04, 0.008, 0.003], "gradient has vanished"),
        ([2.33, 2.42, 2.44], [0.3, 0.5, 0.6], "stays above"),
        ([10.6, 2.1, 1.9], [20, 0.8, 1.1], "rose to 10.6"),
        ([5.0, 1.0, 0.4], [2, 2, 2], ""),  # large features at first, and quickly learnt
        ([0.02, 0.02, 0.02], [0.1, 0.1, 0.1], ""),  # nothing is left to learn
        ([2.6, 2.5, 2.4], [2, 2, 2], ""),  # it comes down from where it began
    ],
)
def test_what_counts_as_too_high_or_too_low(losses, norms, word):
    labels = torch.arange(10).repeat(9)
    for warmup in (0, 2):
        pace = Pace(TrainingSettings(epochs=9, learning_rate=0.1, warmup_epochs=warmup), labels)
        said = [pace.add(epoch, {"loss": 2.3, "gradient_norm": 0.1}) for epoch in range(1, warmup + 1)]
        said += [
            pace.add(warmup + 1 + index, {"loss": loss, "gradient_norm": norm})
            for index, (loss, norm) in enumerate(zip(losses, norms, strict=True))
        ]
        assert not any(said[:-1])
        assert word in said[-1] if word else not said[-1]
