"""Reading curves from a store: what is used, what is refused, what is kept with its reason."""

import numpy as np
import pytest

from ncore.errors import InputError
from ncore.predict import Curve, curves_from_store, rank
from ncore.store import create_store, open_store


def test_epoch_zero_and_later_epochs_are_left_out(make_store):
    store = make_store({"candidate": "a", "accuracy": [0.1, 0.5, 0.6, 0.7], "beta": {"absolute": [9.0, 3.0, 2.0, 1.0]}})
    (curve,) = curves_from_store(store, epochs=2)
    assert curve.epochs.tolist() == [1, 2]
    assert curve.accuracy.tolist() == [0.5, 0.6]
    assert curve.loss.tolist() == [1.5, 1.4]
    assert curve.beta["absolute"].tolist() == [3.0, 2.0]
    assert curve.horizon == 10


def test_the_whole_curve_without_a_limit(make_store):
    (curve,) = curves_from_store(make_store({"candidate": "a", "accuracy": [0.1, 0.5, 0.6, 0.7]}))
    assert curve.epochs.tolist() == [1, 2, 3]
    assert curve.beta == {}


@pytest.mark.parametrize("late_step", [15, None])
def test_the_last_step_of_an_epoch_counts_in_any_row_order(make_store, monkeypatch, late_step):
    store = make_store({"candidate": "a", "accuracy": [0.1, 0.5]})
    run = store.run("run-0")
    table = run.metrics()
    late = table[(table["epoch"] == 1) & (table["name"] == "accuracy") & (table["split"] == "validation")].copy()
    late["step"], late["value"] = late_step, 0.625
    shuffled = type(table)(np.concatenate([late.to_numpy(), table.to_numpy()]), columns=table.columns)
    run.metrics = lambda: shuffled.astype({**table.dtypes, "step": "Int64"})
    monkeypatch.setattr(store, "run", lambda run_id: run)
    assert curves_from_store(store)[0].accuracy.tolist() == [0.625]


def test_missing_beta_is_nan_and_missing_accuracy_drops_the_epoch(make_store):
    store = make_store({"candidate": "a", "accuracy": [0.1, 0.5, np.nan, 0.7], "beta": {"signed": [1.0, 2.0, 3.0]}})
    (curve,) = curves_from_store(store)
    assert curve.epochs.tolist() == [1, 3]
    np.testing.assert_array_equal(curve.beta["signed"], [2.0, np.nan])


def test_failed_and_damaged_runs_stay_with_their_reason(make_store):
    store = make_store(
        {"candidate": "a", "accuracy": [0.1, 0.5], "status": "failed", "reason": "the loss is nan"},
        {"candidate": "b", "accuracy": [0.1, 0.5], "damaged": True},
        {"candidate": "c", "accuracy": []},
    )
    failed, damaged, empty = curves_from_store(store)
    assert (failed.status, failed.reason, failed.accuracy.tolist()) == ("failed", "the loss is nan", [0.5])
    assert damaged.status == "unreadable"
    assert "cut short" in damaged.reason
    assert damaged.epochs.size == empty.epochs.size == 0


def test_the_horizon_is_never_before_the_last_epoch(make_store):
    specs = [{"candidate": "a", "accuracy": [0.1, 0.5, 0.6], "planned_epochs": planned} for planned in (1, np.nan, 7)]
    assert [curve.horizon for curve in curves_from_store(make_store(*specs), epochs=1)] == [2, 2, 7]


@pytest.mark.parametrize("column", ["dataset", "mode"])
def test_datasets_and_modes_are_not_mixed(make_store, column):
    store = make_store(
        {"candidate": "a", "accuracy": [0.1, 0.5], column: "one"},
        {"candidate": "b", "accuracy": [0.1, 0.6], column: "two"},
    )
    with pytest.raises(InputError, match=rf"2 {column}s \('one', 'two'\)"):
        curves_from_store(store)
    assert [curve.candidate for curve in curves_from_store(store, **{column: "two"})] == ["b"]
    with pytest.raises(InputError, match=rf"The {column} 'three' is not in the store, which has 'one', 'two'"):
        curves_from_store(store, **{column: "three"})


def test_a_run_without_a_readable_manifest_stands_with_any_dataset(make_store):
    lost = {"candidate": None, "dataset": None, "mode": None, "seed": None, "status": "unreadable", "damaged": True}
    store = make_store(
        {"candidate": "a", "accuracy": [0.1, 0.5], "dataset": "one"},
        {"candidate": "b", "accuracy": [0.1, 0.5], "dataset": "two"},
        {**lost, "accuracy": []},
    )
    curves = curves_from_store(store, dataset="two")
    assert [(curve.candidate, curve.status, curve.usable) for curve in curves] == [
        ("b", "finished", True),
        ("run-2", "unreadable", False),
    ]
    (alone,) = curves_from_store(make_store({**lost, "accuracy": []}))
    assert alone.candidate == "run-0"


def test_an_empty_store_is_refused(make_store):
    with pytest.raises(InputError, match="0 runs"):
        curves_from_store(make_store())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": np.array([0.5])}, "differs from that of its epochs"),
        ({"beta": {"signed": np.array([1.0])}}, "beta_eff"),
        ({"loss": np.zeros(3)}, "loss"),
        ({"epochs": np.array([0, 1])}, "must increase from 1"),
        ({"epochs": np.array([2, 2])}, "must increase from 1"),
        ({"accuracy": np.array([50.0, 60.0])}, "divide percentages by 100"),
        ({"accuracy": np.array([0.5, np.nan])}, "fractions in"),
        ({"horizon": 1}, "before its last epoch 2"),
    ],
)
def test_a_curve_refuses_what_it_cannot_mean(change, message):
    fields = {"candidate": "a", "seed": 0, "epochs": np.array([1, 2]), "accuracy": np.array([0.5, 0.6])}
    with pytest.raises(InputError, match=message):
        Curve(**{**fields, "beta": {}, "horizon": 5, **change})


def test_until_forgets_the_future(make_curve):
    curve = make_curve([0.1, 0.2, 0.3], beta={"signed": [1, 2, 3]}, loss=np.ones(3), observed=0.9)
    early = curve.until(2)
    assert early.accuracy.tolist() == [0.1, 0.2]
    assert early.beta["signed"].tolist() == [1, 2]
    assert early.loss.size == 2
    assert np.isnan(early.observed)
    assert curve.until(0).epochs.size == 0


def test_a_real_store(tmp_path):
    """The tables as `ncore.store` gives them back, of finished, failed, unfinished and damaged runs."""
    store = create_store(tmp_path)

    def record(candidate, seed, accuracies):
        writer = store.new_run(candidate=candidate, dataset="digits", seed=seed, mode="unit", planned_epochs=4)
        for epoch, accuracy in enumerate(accuracies):
            names, splits = ["accuracy", "accuracy", "loss"], ["train", "validation", "validation"]
            metrics = {"split": splits, "name": names, "value": [0.9, accuracy, None]}
            layers = {
                "strength": ["absolute"] * 2,
                "layer": [0, 1],
                "beta_eff": [5.0 - epoch if epoch < 3 else None, 9.0],
            }
            writer.write_epoch(epoch, metrics=metrics, capacitance=layers)
        return writer

    record("done", 0, [0.1, 0.4, 0.6, 0.7]).finish({"test_accuracy": 0.65})
    record("done", 1, [0.1, 0.5, 0.7, 0.8]).close()
    record("wild", 0, [0.1, np.nan]).fail("the loss is nan")
    record("lost", 0, [0.1, 0.4]).finish()
    lost = store.runs().set_index("candidate").loc["lost", "run"]
    (tmp_path / lost / "run.json").write_text("{}")

    curves = {(curve.candidate, curve.seed): curve for curve in curves_from_store(open_store(tmp_path))}
    done = curves["done", 0]
    assert done.accuracy.tolist() == [0.4, 0.6, 0.7]
    np.testing.assert_array_equal(done.beta["absolute"], [4.0, 3.0, np.nan])
    assert (done.horizon, done.observed, done.loss) == (4, 0.65, None)
    assert curves["done", 1].status == "interrupted"
    assert curves["wild", 0].reason == "the loss is nan"
    assert curves[lost, 0].status == "unreadable"

    table = rank(tmp_path, epochs=3, method="last").set_index("candidate")
    assert table["rank"].to_dict() == {"done": 1, "wild": 2, lost: 2}
    assert table.loc["done", "predicted"] == pytest.approx(0.75)
    assert table.loc["done", "observed"] == 0.65
