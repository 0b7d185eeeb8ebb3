"""Predictions of single examples: what is recorded of them, of which epochs, and that they are those of the metrics."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ncore
from ncore.errors import InputError
from ncore.probe import _predictions
from ncore.probe._predictions import COLUMNS, KeptPredictions
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import DatasetSpec, load_dataset
from ncore.probe.job import Job
from ncore.probe.settings import RecordingSettings, TrainingSettings, identity_of
from ncore.store.schema import TABLES

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


@pytest.mark.parametrize("mode", MODES)
def test_probabilities_of_all_classes_are_those_that_the_rest_follows_from(tmp_path, mode):
    store = ncore.create_store(str(tmp_path))
    frame = store.run(job(mode, epochs=2).run(store)).predictions("validation")
    whole, rows = np.stack(frame["probabilities"]), np.arange(len(frame))
    assert whole.shape == (100, 10)
    assert np.allclose(whole.sum(1), 1, atol=1e-5)
    assert (whole.argmax(1) == frame["predicted"]).all()
    assert np.allclose(whole[rows, frame["label"]], frame["label_probability"])
    assert ((frame["label_rank"] == 0) == (frame["label"] == frame["predicted"])).all()
    expected = (whole > whole[rows, frame["label"]][:, None]).sum(1)
    assert (np.abs(frame["label_rank"] - expected) == 0).all()


def test_where_they_would_be_too_many_the_places_of_the_labels_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(_predictions, "MOST_PROBABILITIES", 50 * 10)
    store = ncore.create_store(str(tmp_path))
    run = store.run(job(epochs=1).run(store))
    assert run.predictions("validation")["probabilities"].notna().all()
    assert run.predictions("test")["probabilities"].isna().all()  # of 60 examples
    assert run.predictions("test")["label_rank"].notna().all()


def test_a_loop_gives_the_probabilities_and_the_rest_follows(tmp_path):
    whole = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    with recorder(tmp_path, epochs=1) as own:
        validation = {"label": [1, 2], "predicted": [0, 2], "probabilities": torch.tensor(whole)}
        own.record(predictions={"val": validation, "test": {"label": [0], "predicted": [1]}})
    run = ncore.open_store(tmp_path).run(own.run_id)
    frame = run.predictions("validation")
    assert frame["probability"].tolist() == pytest.approx([0.5, 0.7])
    assert frame["label_probability"].tolist() == pytest.approx([0.25, 0.7])
    assert frame["label_rank"].tolist() == [1, 0]
    assert np.allclose(np.stack(frame["probabilities"]), whole)
    assert run.predictions("test")["probabilities"].isna().all()
    assert run.predictions(columns=["label"]).columns.tolist() == ["label"]
    with pytest.raises(InputError, match="'odds'"):
        run.predictions(columns=["odds"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"probabilities": [[0.5, 0.5]]},
        {"probabilities": [0.5, 0.5]},
        {"probabilities": [[0.5, 0.9], [1.0, 0.0]]},
        {"probabilities": [[2.0, -1.0], [1.0, 0.0]]},
        {"probabilities": [[math.nan, 1.0], [1.0, 0.0]]},
        {"probabilities": [[1.0], [1.0]]},
        {"probabilities": [["a", "b"], ["c", "d"]]},
    ],
)
def test_what_are_no_probabilities_is_one_sentence(tmp_path, wrong):
    with recorder(tmp_path, epochs=1) as own:
        with pytest.raises(InputError) as caught:
            own.record(predictions={"validation": {"label": [0, 1], "predicted": [1, 1], **wrong}})
        assert "\n" not in str(caught.value)
        assert "'validation'" in str(caught.value)
        own.record(predictions={"validation": {"label": [0, 1], "predicted": [1, 1]}})


def test_files_from_before_there_were_probabilities_are_read_joined_and_verified(tmp_path, monkeypatch):
    """Written by an ncore whose table lacked the later columns, and gone on with by this one."""
    now = TABLES["predictions"]
    older = replace(now, schema=pa.schema([field for field in now.schema if field.name not in now.later]), later=())
    options = dict(older.options)
    options["column_encoding"] = {k: v for k, v in options["column_encoding"].items() if "probabilities" not in k}
    options["use_dictionary"] = [name for name in options["use_dictionary"] if name not in now.later]
    monkeypatch.setitem(TABLES, "predictions", replace(older, options=options))
    identity = {"candidate": "unit", "dataset": "noise", "seed": 0, "mode": "unit", "config": {}}
    store = ncore.create_store(str(tmp_path))
    rows = {"split": ["validation"] * 2, "example": [0, 1], "label": [0, 1], "predicted": [1, 1]}
    first = store.new_run(**identity, planned_epochs=3)
    first.write_epoch(1, predictions=rows)
    first.close()
    monkeypatch.setitem(TABLES, "predictions", now)
    run = store.run(first.run_id)
    assert run.predictions()["probabilities"].isna().tolist() == [True, True]
    with store.new_run(**identity, planned_epochs=3, resume=True) as second:
        for epoch in (2, 3):
            later = {"label_rank": [1, 0], "probabilities": np.array([[0.2, 0.8], [0.4, 0.6]])}
            second.write_epoch(epoch, predictions=rows | later)
    frame = run.predictions()
    assert frame["epoch"].tolist() == [1, 1, 2, 2, 3, 3]
    assert frame["probabilities"].isna().tolist() == [True] * 2 + [False] * 4
    assert frame["label_rank"].tolist()[2:] == [1, 0, 1, 0]
    assert len(list(run.manifest.files_of("predictions"))) == 1
    assert ncore.store.verify(str(tmp_path)).ok
