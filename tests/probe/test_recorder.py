"""What a recorder writes is what the mathematics says of the model at that moment."""

import numpy as np
import pytest
import torch
from torch import nn

import ncore
from ncore.errors import InputError, StoreError, UnsupportedError
from ncore.predict.curves import PROBE_LOGME
from ncore.probe.recorder import Recorder, sample_neurons
from ncore.scores.transfer import logme

FEATURES, CLASSES, SAMPLES = 6, 4, 96


@pytest.fixture
def model():
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Linear(5, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU(), nn.Dropout(0.5))
    return nn.Sequential(stem, ncore.NCPUnit(FEATURES, CLASSES, widths=(9, 8, 7)))


@pytest.fixture
def probe():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(SAMPLES, 5, generator=generator), torch.randint(CLASSES, (SAMPLES,), generator=generator)


def recorder(place, model, probe, **options):
    options = {"candidate": "c", "dataset": "d", "epochs": 3, "loss": nn.CrossEntropyLoss()} | options
    return Recorder(place, model, unit=options.pop("unit", model[1] if model else None), probe=probe, **options)


def one_step(model, probe):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    nn.functional.cross_entropy(model(probe[0]), probe[1]).backward()
    optimizer.step()


@pytest.fixture
def recorded(tmp_path, model, probe):
    """Three epochs, with what the model was at each of them."""
    moments = []
    with recorder(tmp_path, model, probe, recording={"neurons": None, "line_graph_every": 1}) as record:
        moments.append({k: v.clone() for k, v in model.state_dict().items()})
        for epoch in range(1, 4):
            one_step(model, probe)
            record.record(validation={"accuracy": 0.1 * epoch, "loss": 2.0}, train={"loss": torch.tensor(1.5)})
            moments.append({k: v.clone() for k, v in model.state_dict().items()})
    return ncore.open_store(tmp_path).run(record.run_id), moments


def test_epochs_metrics_and_status(recorded):
    run, _ = recorded
    assert run.epochs == [0, 1, 2, 3]
    assert run.manifest.status == "finished"
    metrics = run.metrics()
    accuracy = metrics[(metrics["split"] == "validation") & (metrics["name"] == "accuracy")]
    np.testing.assert_allclose(accuracy["value"], [0.1, 0.2, 0.3])
    assert (metrics[metrics["split"] == "train"]["value"] == 1.5).all()
    assert metrics["seconds"].is_monotonic_increasing


def test_logme_before_training_is_that_of_the_features_on_the_probe(tmp_path, recorded, model, probe):
    run, moments = recorded
    metrics = run.metrics()
    found = metrics[metrics["name"] == "logme"]
    assert found[["split", "epoch"]].to_numpy().tolist() == [["probe", 0]]
    model.load_state_dict(moments[0])
    model.eval()
    expected = logme(model[0](probe[0]).detach().numpy(), probe[1].numpy())
    assert found["value"].item() == pytest.approx(expected, rel=1e-5)
    (curve,) = ncore.predict.curves_from_store(ncore.open_store(tmp_path))
    assert curve.scores == {PROBE_LOGME: pytest.approx(expected, rel=1e-5)}


def test_without_classes_there_is_no_logme(tmp_path, model, probe):
    same = (probe[0], torch.zeros(SAMPLES, dtype=torch.long))
    with recorder(tmp_path / "one-class", model, same) as one_class:
        pass
    targets = (probe[0], nn.functional.one_hot(probe[1], CLASSES).float())
    with recorder(tmp_path / "numbers", model, targets, loss=nn.MSELoss()) as numbers:
        pass
    for place, name in (("one-class", one_class.run_id), ("numbers", numbers.run_id)):
        assert "logme" not in set(ncore.open_store(tmp_path / place).run(name).metrics()["name"])


def test_capacitance_is_that_of_the_model_in_evaluation_mode(recorded, model, probe):
    run, moments = recorded
    table = run.capacitance()
    for epoch, moment in enumerate(moments):
        model.load_state_dict(moment)
        model.eval()
        features = model[0](probe[0]).detach()
        for strength in ("signed", "absolute", "relative"):
            exact = ncore.beta_eff(model[1], features, probe[1], loss=nn.CrossEntropyLoss(), strength=strength)
            rows = table[(table["epoch"] == epoch) & (table["strength"] == strength)].set_index("layer")
            assert rows.loc[0, "beta_eff"] == pytest.approx(exact.value, rel=1e-4 / exact.conditioning)
            assert rows.loc[0, "conditioning"] == pytest.approx(exact.conditioning, rel=1e-4)
            assert rows.loc[1:, "beta_eff"].sum() == pytest.approx(rows.loc[0, "beta_eff"], rel=1e-9)


def test_trajectories_are_weights_and_their_rates(recorded, model, probe):
    run, moments = recorded
    for epoch, moment in enumerate(moments):
        model.load_state_dict(moment)
        model.eval()
        model.zero_grad()
        nn.functional.cross_entropy(model[1](model[0](probe[0]).detach()), probe[1]).backward()
        linears = [m for m in model[1] if isinstance(m, nn.Linear)]
        weights = torch.cat([m.weight.detach().reshape(-1) for m in linears]).numpy()
        rates = torch.cat([-m.weight.grad.reshape(-1) for m in linears]).numpy()
        rows = run.trajectory(epoch=epoch).sort_values("synapse")
        np.testing.assert_array_equal(rows["synapse"], np.arange(len(weights)))
        np.testing.assert_array_equal(rows["weight"], weights)
        np.testing.assert_allclose(rows["rate"], rates, rtol=1e-4, atol=1e-7)
        one = rows[rows["synapse"] == FEATURES * 9 + 20].iloc[0]
        assert (one["layer"], one["source"], one["target"]) == (2, 2, 2)


@pytest.mark.parametrize("strength", ["signed", "absolute", "relative"])
def test_the_line_graph_is_rebuilt_to_float32(recorded, model, probe, strength):
    run, moments = recorded
    for epoch in (0, 3):
        model.load_state_dict(moments[epoch])
        model.eval()
        features = model[0](probe[0]).detach()
        live = ncore.LineGraph.from_batch(model[1], features, probe[1], loss=nn.CrossEntropyLoss(), strength=strength)
        stored = run.line_graph(epoch, strength=strength)
        assert stored.n_interactions == live.n_interactions
        scale = abs(live.to_scipy()).max()
        np.testing.assert_allclose(stored.to_scipy().toarray(), live.to_scipy().toarray(), rtol=1e-5, atol=1e-6 * scale)


def test_a_sample_of_neurons_is_the_exact_network_between_them(tmp_path, model, probe):
    with recorder(tmp_path, model, probe, recording={"neurons": 3, "line_graph_every": 1}) as record:
        pass
    run = ncore.open_store(tmp_path).run(record.run_id)
    kept = [np.array(n) for n in run.manifest.recorded["neurons"]]
    assert [len(n) for n in kept] == [3, 3, 3, 3, 3]
    assert run.manifest.recorded["of"] == [FEATURES, 9, 8, 7, CLASSES]
    model.eval()
    features = model[0](probe[0]).detach()
    live = ncore.LineGraph.from_batch(model[1], features, probe[1], loss=nn.CrossEntropyLoss())
    table = live.synapses
    inside = np.concatenate(
        [
            [live.synapse(layer + 1, s, t) for t in kept[layer + 1] for s in kept[layer]]
            for layer in range(len(kept) - 1)
        ]
    )
    whole = live.to_scipy().toarray()[np.ix_(inside, inside)]
    np.testing.assert_allclose(run.line_graph(0).to_scipy().toarray(), whole, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(run.trajectory(epoch=0)["synapse"], inside)
    assert set(table.loc[inside, "layer"]) == {1, 2, 3, 4}


def test_the_loop_is_left_as_it_was(tmp_path, model, probe):
    twin = nn.Sequential(*model)
    model.train()
    model[0][1].eval()  # a frozen batch normalisation inside a model in training
    before = {k: v.clone() for k, v in twin.state_dict().items()}
    state = torch.random.get_rng_state()
    with recorder(tmp_path, model, probe):
        pass
    assert torch.equal(state, torch.random.get_rng_state())
    assert model.training
    assert model[0][3].training
    assert not model[0][1].training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_features_that_the_loop_has_are_not_computed_again(tmp_path, model, probe):
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    with recorder(tmp_path, model, probe) as record:
        first = len(calls)
        model.eval()
        features = model[0](probe[0]).detach()
        before = len(calls)
        record.record(features=features)
        assert len(calls) == before > first
        record.record()
    table = ncore.open_store(tmp_path).run(record.run_id).capacitance()
    same = table[table["epoch"].isin([1, 2]) & (table["layer"] == 0)].groupby("strength")["beta_eff"]
    assert (same.nunique() == 1).all()


def test_strengths_that_a_head_is_too_shallow_for_are_left_out_with_a_word(tmp_path, probe):
    unit = ncore.NCPUnit(5, CLASSES, widths=(4, 4))
    with recorder(tmp_path, None, probe, unit=unit) as record:
        pass
    run = ncore.open_store(tmp_path).run(record.run_id)
    assert set(run.capacitance()["strength"]) == {"absolute", "relative"}
    assert "at least 4" in run.manifest.recorded["left_out"]["signed"]
    with pytest.raises(UnsupportedError, match="at least 3"):
        recorder(tmp_path, None, probe, unit=ncore.NCPUnit(5, CLASSES, widths=(4,)), candidate="too shallow")


def test_an_exception_makes_the_run_failed_and_keeps_what_was_recorded(tmp_path, model, probe):
    with pytest.raises(ZeroDivisionError), recorder(tmp_path, model, probe) as record:  # noqa: PT012
        record.record(validation={"accuracy": 0.5})
        1 / 0  # noqa: B018
    run = ncore.open_store(tmp_path).run(record.run_id)
    assert run.manifest.status == "failed"
    assert "ZeroDivisionError" in run.manifest.reason
    assert run.epochs == [0, 1]


def test_bad_metrics_are_refused_before_anything_is_written(tmp_path, model, probe):
    with recorder(tmp_path, model, probe) as record:
        for bad, match in (
            ({"validation": {"accuracy": 93.0}}, r"93.0.*fraction in \[0, 1\]"),
            ({"validation": {"accuracy": "high"}}, "'high'.*number"),
            ({"validation": 0.9}, "mapping is needed"),
        ):
            with pytest.raises(InputError, match=match):
                record.record(**bad)
        record.record(validation={"accuracy": 0.9})
        with pytest.raises(StoreError, match=r"go on with epoch 2"):
            record.record(1, validation={"accuracy": 0.9})


def test_a_unit_that_is_not_in_the_model_is_named(tmp_path, model, probe):
    with pytest.raises(UnsupportedError, match="called its unit 0 times"):
        recorder(tmp_path, model, probe, unit=ncore.NCPUnit(FEATURES, CLASSES))
    assert ncore.open_store(tmp_path).runs()["status"].tolist() != ["running"]


def test_neurons_are_drawn_by_width_only():
    first, second = sample_neurons((300, 64, 10), 64), sample_neurons((300, 80, 10), 64)
    np.testing.assert_array_equal(first[0], second[0])
    assert len(first[0]) == 64
    assert (np.diff(first[0]) > 0).all()
    np.testing.assert_array_equal(first[1], np.arange(64))
    assert [len(n) for n in sample_neurons((300, 80, 10), None)] == [300, 80, 10]
