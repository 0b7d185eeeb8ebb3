"""The Hessian's beta_eff as a run keeps it: of the unit and of the whole candidate."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ncore
from ncore.errors import InputError, UnsupportedError
from ncore.probe._hessian import HessianRecorder
from ncore.probe.recorder import Recorder

EVERY = ("hessian", "hessian-cross", "model-hessian", "model-hessian-cross")


@pytest.fixture
def model():
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5))
    return nn.Sequential(stem, ncore.NCPUnit(12, 4, widths=(6, 5, 4), activation="tanh"))


@pytest.fixture
def probe():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(70, 1, 4, 4, generator=generator), torch.randint(4, (70,), generator=generator)


def recorder(place, model, probe, strengths=EVERY, **options):
    options = {"candidate": "c", "dataset": "d", "epochs": 1, "loss": nn.CrossEntropyLoss()} | options
    recording = {"strengths": strengths}
    return Recorder(
        place, model, unit=options.pop("unit", model and model[1]), probe=probe, recording=recording, **options
    )


def test_what_is_recorded_is_the_hessian_of_the_unit_and_of_the_candidate(tmp_path, model, probe):
    with recorder(tmp_path, model, probe, ("absolute", *EVERY)) as record:
        pass
    run = ncore.open_store(tmp_path).run(record.run_id)
    table = run.capacitance().set_index(["strength", "layer"])
    model.eval()
    features = model[0](probe[0]).detach()
    for prefix, module, inputs in (("", model[1], features), ("model-", model, probe[0])):
        for strength, diagonal in (("hessian", True), ("hessian-cross", False)):
            exact = ncore.hessian_capacitance(module, inputs, probe[1], loss=nn.CrossEntropyLoss(), diagonal=diagonal)
            row = table.loc[(prefix + strength, 0)]
            assert row["beta_eff"] == pytest.approx(exact.value, rel=1e-3)
            assert row["conditioning"] == pytest.approx(exact.conditioning, rel=1e-3)
            assert len(table.loc[prefix + strength]) == len(exact.layers) + 1
    assert run.manifest.recorded["strengths"] == ["absolute", *EVERY]
    names = run.manifest.recorded["hessian_layers"]
    assert names["hessian"] == ["0", "2", "4", "6"]
    assert names["model-hessian-cross"] == ["0.0", "1.0", "1.2", "1.4", "1.6"]


def test_it_can_be_all_that_is_recorded_and_also_of_a_shallow_unit(tmp_path, probe):
    x, y = probe[0].flatten(1), probe[1]
    unit = ncore.NCPUnit(16, 4, widths=(5,))
    with recorder(tmp_path, None, (x, y), ("absolute", "hessian"), unit=unit) as record:
        pass
    run = ncore.open_store(tmp_path).run(record.run_id)
    assert set(run.capacitance()["strength"]) == {"hessian"}
    assert "at least 3" in run.manifest.recorded["left_out"]["absolute"]


def test_a_run_of_features_has_no_whole_candidate(tmp_path, probe):
    x, y = probe[0].flatten(1), probe[1]
    unit = ncore.NCPUnit(16, 4, widths=(5, 5, 5))
    with recorder(tmp_path, None, (x, y), ("absolute", "model-hessian"), unit=unit) as record:
        pass
    run = ncore.open_store(tmp_path).run(record.run_id)
    assert set(run.capacitance()["strength"]) == {"absolute"}
    assert "unit's own inputs" in run.manifest.recorded["left_out"]["model-hessian"]
    with pytest.raises(UnsupportedError, match="unit's own inputs"):
        recorder(tmp_path, None, (x, y), ("model-hessian",), unit=unit, candidate="nothing left")


def test_a_candidate_that_cannot_be_derived_twice_is_recorded_without(tmp_path, model, probe):
    class Once(nn.Module):
        def forward(self, x):
            return torch.ops.aten.hardsigmoid(x)

    model[0][2] = Once()
    with recorder(tmp_path, model, probe, ("hessian", "model-hessian")) as record:
        pass
    run = ncore.open_store(tmp_path).run(record.run_id)
    assert set(run.capacitance()["strength"]) == {"hessian"}
    assert "derive twice" in run.manifest.recorded["left_out"]["model-hessian"]


def test_default_runs_stay_what_they_are(tmp_path, model, probe):
    """The identity of a run is made of its settings: those of runs recorded before must not change."""
    settings = ncore.probe.settings.RecordingSettings().model_dump(mode="json")
    assert settings["strengths"] == ["signed", "absolute", "relative"]
    assert not [name for name in settings if "hessian" in name]
    with pytest.raises(InputError, match="hessians"):
        recorder(tmp_path, model, probe, ("hessians",))


@pytest.mark.parametrize("most", [1, 7, 20])
def test_it_goes_on_in_parts_where_memory_is_too_small(tmp_path, model, probe, most):
    class Hungry(nn.Module):
        """Has the allocator refuse, as it really does, for batches above a size."""

        def forward(self, inputs):
            if len(inputs) > limit:
                torch.empty(1 << 60, dtype=torch.uint8)
            return inputs

    limit = 10**9
    model[0].insert(2, Hungry())
    model[1].insert(1, Hungry())
    expected, found = (HessianRecorder(model, model[1], nn.CrossEntropyLoss(), EVERY, probe) for _ in range(2))
    features = model.eval()[0](probe[0]).detach()
    rows = expected.rows(*(probe[0], features, probe[1]))
    limit = most
    parts = found.rows(*(probe[0], features, probe[1]))
    assert [row["layer"] for row in parts] == [row["layer"] for row in rows]
    for part, row in zip(parts, rows, strict=True):
        assert part["beta_eff"] == pytest.approx(row["beta_eff"], rel=1e-3)
