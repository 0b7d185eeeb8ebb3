"""Predictions of single examples: what is recorded of them, of which epochs, and that they are those of the metrics."""

from __future__ import annotations

import math
import tempfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ncore
from ncore.errors import InputError
from ncore.probe._predictions import COLUMNS, KeptPredictions
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec, load_dataset
from ncore.probe.job import Job
from ncore.probe.settings import RecordingSettings, TrainingSettings, identity_of

MODES = ("unit", "backbone", "all")


def job(mode="unit", epochs=4, dataset=None, candidate="dense-small", **recording):
    return Job(
        candidate=CandidateSpec.parse(candidate),
        dataset=DatasetSpec.parse(dataset or {"source": "digits", "train": 100, "validation": 50, "test": 60}),
        training=TrainingSettings(mode=mode, epochs=epochs, device="cpu"),
        recording=RecordingSettings(neurons=4, line_graph_every=0, **recording),
    )


@pytest.mark.parametrize("mode", MODES)
def test_they_are_those_that_the_accuracy_counts(tmp_path, mode):
    store = ncore.create_store(str(tmp_path))
    run = store.run(job(mode).run(store))
    metrics, data = run.metrics(), load_dataset({"source": "digits", "train": 100, "validation": 50, "test": 60})
    assert run.recorded_epochs("predictions") == [1, 2, 3, 4]
    for split, epochs in (("validation", [1, 2, 3, 4]), ("test", [4])):
        frame = run.predictions(split)
        assert frame["epoch"].unique().tolist() == epochs
        for epoch, rows in frame.groupby("epoch"):
            assert rows["example"].tolist() == list(range(len(data.splits[split])))
            assert rows["label"].tolist() == data.splits[split].labels.tolist()
            found = metrics[(metrics["epoch"] == epoch) & (metrics["split"] == split)].set_index("name")["value"]
            right = rows["predicted"] == rows["label"]
            assert right.mean() == pytest.approx(found["accuracy"])
            assert -np.log(rows["label_probability"].astype(float)).mean() == pytest.approx(found["loss"], rel=1e-4)
            assert (rows["probability"] >= rows["label_probability"] - 1e-6).all()
            assert (rows.loc[right, "probability"] == rows.loc[right, "label_probability"]).all()
            assert (rows["probability"] >= 1 / 10 - 1e-6).all()


@pytest.mark.parametrize("until", range(1, 7))
def test_many_rows_leave_the_first_the_best_and_the_last_across_a_resume(tmp_path, until):
    """Left at any epoch, and gone on with: the same epochs are kept as without."""
    wanted = job(epochs=6, prediction_rows=299)
    store = ncore.create_store(str(tmp_path))
    if until < 6:
        wanted.model_copy(update={"until": until}).run(store)
    run = store.run(wanted.run(store))
    accuracy = run.metrics().query("split == 'validation' and name == 'accuracy'").set_index("epoch")["value"]
    assert run.recorded_epochs("predictions") == sorted({1, int(accuracy.idxmax()), 6})
    assert len(run.predictions()) == 50 * len(run.recorded_epochs("predictions")) + 60
    assert store.run_ids() == [run.id]


@pytest.mark.parametrize(("rows", "epochs"), [(0, []), (149, [1, 3]), (150, [1, 2, 3])])
def test_how_many_rows_is_the_users_choice_and_makes_no_other_run(tmp_path, rows, epochs):
    dataset = {"source": "digits", "train": 90, "validation": 50, "test": 40}
    wanted = job(epochs=3, prediction_rows=rows, dataset=dataset)
    store = ncore.create_store(str(tmp_path))
    run = store.run(wanted.run(store))
    kept = set(run.recorded_epochs("predictions"))
    assert kept >= set(epochs)
    assert bool(kept) == bool(epochs)
    assert run.id == ncore.store.default_run_id(**job(epochs=3, dataset=dataset).identity)
    assert identity_of(RecordingSettings(prediction_rows=rows)) == identity_of(RecordingSettings())


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.integers(0, 12),
)
def test_of_any_course_the_first_the_best_so_far_and_the_last_are_kept(right, split_at):
    """Whatever the accuracies, also when another process goes on somewhere with what is kept."""
    kept, listed = KeptPredictions(3, len(right)), set()
    for epoch, count in enumerate(right, 1):
        if epoch == split_at:
            kept = KeptPredictions(3, len(right), {one: right[one - 1] / 5 for one in listed})
        columns = {"label": np.zeros(5, int), "predicted": np.arange(5) >= count}
        kept.of_epoch(epoch, {"validation": {**columns, "predicted": np.zeros(5, int)}})  # which is not written
        due = kept.of_epoch(epoch, {"validation": columns})
        kept.written(due)
        assert len(due.table["label"]) == 5
        listed = (listed | {epoch}) - set(due.gone)
        assert listed == {1, right.index(max(right[:epoch])) + 1, epoch}


@pytest.mark.parametrize("candidate", ["dense-small", {"source": "lenet-small", "input_size": 16}])
def test_the_runs_of_one_cut_pair_up(tmp_path, candidate):
    """Also where pictures were left out of it, and whatever a candidate wants at its input."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (90, 8, 8)).astype(np.uint8)
    y = np.arange(90) % 2
    plain = load_dataset(_saved(tmp_path / "plain.npz", x, y, np.arange(60, 75), np.arange(75, 90)))
    twice = x.copy()
    twice[[61, 67]] = x[[80, 82]]
    dataset = _saved(tmp_path / "twice.npz", twice, y, np.arange(60, 75), np.arange(75, 90))
    store = ncore.create_store(str(tmp_path / "runs"))
    run = store.run(job(epochs=1, dataset=dataset, candidate=candidate).run(store))
    frame = run.predictions("validation")
    rows = [row for row in range(15) if row not in (1, 7)]
    assert frame["example"].tolist() == list(range(13))
    assert frame["label"].tolist() == plain.splits["validation"].labels[rows].tolist()
    assert run.predictions("test")["example"].tolist() == list(range(15))


def _saved(path, x, y, validation, test):
    np.savez(
        path,
        x_train=x[:60],
        y_train=y[:60],
        x_validation=x[validation],
        y_validation=y[validation],
        x_test=x[test],
        y_test=y[test],
    )
    return {"source": f"numpy:{path}"}


def recorder(folder, epochs=2, rows=200_000, **rest):
    unit = ncore.NCPUnit(4, classes=2, widths=(8, 8, 8))
    x, y = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 2
    about = {"candidate": "unit", "dataset": "noise", "epochs": epochs, "recording": {"prediction_rows": rows}}
    return ncore.Recorder(folder, None, unit=unit, probe=(x, y), loss=torch.nn.CrossEntropyLoss(), **about | rest)


def test_other_peoples_loops_may_give_them_too(tmp_path):
    with recorder(tmp_path) as own:
        own.record(validation={"accuracy": 0.5}, predictions={"validation": {"label": [0, 1], "predicted": [1, 1]}})
        own.record(validation={"accuracy": 0.5})
    frame = ncore.open_store(tmp_path).run(own.run_id).predictions()
    assert frame["example"].tolist() == [0, 1]
    assert frame["predicted"].tolist() == [1, 1]
    assert frame[["probability", "label_probability"]].isna().all().all()


def test_probabilities_that_are_no_numbers_are_missing(tmp_path):
    columns = {"label": [0, 1], "predicted": [1, 1], "probability": [math.nan, 0.5], "label_probability": [0.1, None]}
    with recorder(tmp_path, epochs=1) as own:
        own.record(predictions={"validation": columns})
    frame = ncore.open_store(tmp_path).run(own.run_id).predictions()
    assert frame["probability"].isna().tolist() == [True, False]
    assert frame["label_probability"].isna().tolist() == [False, True]


@pytest.mark.parametrize("missing", ["label", "predicted"])
@pytest.mark.parametrize("name", COLUMNS)
def test_columns_that_do_not_fit_are_one_sentence(tmp_path, missing, name):
    whole = {"label": [0, 1], "predicted": [1, 1]}
    wrong = [
        {key: values for key, values in whole.items() if key != missing},
        {**whole, name: [0, 1, 1]} if name not in ("label",) else {**whole, "predicted": [1]},
        {**whole, f"{name}s": [0, 1]},
    ]
    with recorder(tmp_path, epochs=1) as own:
        for columns in wrong:
            with pytest.raises(InputError) as caught:
                own.record(predictions={"validation": columns})
            assert "\n" not in str(caught.value)
        own.record(predictions={"validation": whole})


@given(st.lists(st.integers(0, 2), min_size=1, max_size=4), st.lists(st.integers(0, 2), min_size=4, max_size=4))
@settings(max_examples=8, deadline=None)
def test_epochs_that_are_replaced_take_their_predictions_with_them(before, after):
    def columns(right):
        return {"validation": {"label": [0, 1], "predicted": [0 if right > 0 else 1, 1 if right > 1 else 0]}}

    with tempfile.TemporaryDirectory() as folder:
        first = recorder(folder, epochs=4, rows=3)
        for right in before:
            first.record(predictions=columns(right))
        first.writer.close()
        with recorder(folder, epochs=4, rows=3, resume=True, when_recorded="replace") as own:
            for epoch, right in enumerate(after, 1):
                own.record(epoch, predictions=columns(right))
        run = ncore.open_store(folder).run(own.run_id)
        assert run.recorded_epochs("predictions") == sorted({1, after.index(max(after)) + 1, 4})
        for epoch, rows in run.predictions().groupby("epoch"):
            assert (rows["label"] == rows["predicted"]).sum() == after[epoch - 1]
