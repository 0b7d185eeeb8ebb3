"""Tables: columns become numbers as training rows say, and vectors from elsewhere are joined by their ids."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from ncore.errors import InputError
from ncore.probe._content import digests_of
from ncore.probe._weights import weights_digest
from ncore.probe.candidates import load_candidate
from ncore.probe.datasets import load_dataset
from ncore.probe.job import Job
from ncore.probe.modalities.base import ImageShape, NameShape, TableShape, TextShape
from ncore.probe.modalities.tables import TableInput, rows_of
from ncore.probe.settings import RecordingSettings, TrainingSettings, UnitSettings
from ncore.probe.sources.candidate_spec import CandidateSpec
from ncore.probe.sources.dataset_spec import DatasetSpec
from ncore.probe.sources.model_embeddings import read_vectors
from ncore.store import create_store
from tests.probe.rows import table, written


@pytest.fixture
def source(tmp_path):
    return {"source": f"table:{written(table(), tmp_path / 'rows.csv')}", "id_column": "id"}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_rows_are_the_same_in_every_kind_of_file(tmp_path, source, suffix):
    other = {"source": f"table:{written(table(), tmp_path / f'other.{suffix}')}", "id_column": "id"}
    assert digests_of(load_dataset(source)) == digests_of(load_dataset(other))


def test_preprocessing_learns_of_training_rows_only(source):
    data = load_dataset(source)
    train = rows_of(data.splits["train"])
    assert data.shape == TableShape(2 + 1 + train["colour"].nunique() + 1)  # a column for gaps, and one for none
    takes = TableInput(data.shape.columns)
    made = {name: split.tensor(takes).numpy() for name, split in data.splits.items()}
    width = train["width"]
    for name, split in data.splits.items():
        own = rows_of(split)
        assert made[name][:, 0] == pytest.approx((own["width"] - width.mean()) / width.std(ddof=0), abs=1e-5)
        filled = own["height"].fillna(train["height"].median())
        gaps = train["height"].fillna(train["height"].median())
        assert made[name][:, 1] == pytest.approx((filled - gaps.mean()) / gaps.std(ddof=0), abs=1e-5)
        assert np.isfinite(made[name]).all()


def test_categories_that_training_has_not_seen_are_counted(tmp_path):
    frame = table()
    written(frame[:200], tmp_path / "rows-train.csv")
    written(frame[200:].assign(colour="violet"), tmp_path / "rows-test.csv")
    data = load_dataset({"source": f"table:{tmp_path}", "id_column": "id"})
    takes = TableInput(data.shape.columns)
    data.splits["test"].tensor(takes)
    assert data.splits["test"].warnings == [
        "100 rows of test have a colour that training has not seen, as 'violet': they are treated as none of its "
        "categories."
    ]
    data.splits["train"].tensor(takes)
    assert data.splits["train"].warnings == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.assign(copy=frame["label"]), "'copy' says what 'label' is, one for one"),
        (lambda frame: frame.assign(code=frame["label"].map({"no": 3, "yes": 9})), "'code' says what 'label' is"),
        (lambda frame: frame.assign(name=[f"n{at}" for at in range(len(frame))]), "'name' has 300 categories"),
        (lambda frame: frame.assign(flat=1), "'flat' is the same in every row"),
    ],
)
def test_odd_columns_are_warned_of(tmp_path, change, said):
    path = written(change(table()), tmp_path / "rows.csv")
    data = load_dataset({"source": f"table:{path}", "id_column": "id"})
    assert [said in one for one in data.warnings].count(True) == 1


def test_sound_tables_are_not_warned_of(source):
    assert load_dataset(source).warnings == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame[["id", "label"]], "no column but that of the labels"),
        (lambda frame: frame.assign(label=frame["width"]), "regression is not supported"),
        (lambda frame: frame.drop(columns="label"), "`label_column`"),
        (lambda frame: frame.assign(width=[[1.0, 2.0]] * len(frame)), "holds lists"),
        (lambda frame: frame.assign(label=[["a"]] * len(frame)), "multi-label"),
        (lambda frame: frame.drop(columns="id"), "'id' is not a column of rows"),
    ],
)
def test_what_is_no_table_of_classes_is_refused_in_a_sentence(tmp_path, change, said):
    path = written(change(table()), tmp_path / "rows.parquet")
    with pytest.raises(InputError) as error:
        load_dataset({"source": f"table:{path}", "id_column": "id"})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_rows_alike_by_chance_stay_and_are_counted(tmp_path):
    frame = pd.DataFrame({"a": np.arange(90) % 3, "b": np.arange(90) % 2, "label": np.arange(90) % 2})
    data = load_dataset(f"table:{written(frame.assign(label=frame['label'].map(str)), tmp_path / 'rows.csv')}")
    assert sum(map(len, data.splits.values())) == 90
    assert data.left_out == {}
    assert any("rows of train are the same as ones" in said for said in data.warnings)


def trained(tmp_path, dataset, candidate, mode="all", epochs=6):
    job = Job(
        candidate=CandidateSpec.parse(candidate),
        dataset=DatasetSpec.parse(dataset),
        training=TrainingSettings(mode=mode, epochs=epochs, learning_rate=0.003, unit=UnitSettings(widths=(32, 16, 8))),
        recording=RecordingSettings(neurons=8),
    )
    store = create_store(tmp_path / "runs")
    return store.run(job.run(store))


def accuracy(found):
    metrics = found.metrics()
    return metrics[(metrics["split"] == "test") & (metrics["name"] == "accuracy")]["value"].iloc[-1]


@pytest.mark.parametrize("mode", ["all", "backbone", "unit"])
def test_all_modes_train_on_tables(tmp_path, source, mode):
    found = trained(tmp_path, source, "dense-small", mode, 30)
    assert found.status == "finished"
    assert accuracy(found) > 0.75
    assert found.manifest.info["input"] == {"columns": 7}


def test_a_factory_is_told_how_many_columns_there_are(tmp_path, source, monkeypatch):
    (tmp_path / "my_rows.py").write_text(
        "from torch import nn\n\n\ndef net(columns, width=8):\n"
        "    return nn.Sequential(nn.Linear(columns, width), nn.ReLU())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = load_candidate({"source": "python:my_rows:net", "kwargs": {"width": 5}}, shape=TableShape(11))
    assert found.feature_dim == 5
    with pytest.raises(InputError, match="takes no rows of numbers"):
        load_candidate("resnet", shape=TableShape(11))


def vectors(frame, path, rng=None):
    rng = rng or np.random.default_rng(0)
    made = np.stack([frame["width"], frame["width"] ** 2], axis=1) @ rng.normal(size=(2, 6))
    if path.suffix == ".npz":
        np.savez(path, ids=frame["id"].to_numpy(str), embeddings=made)
    elif path.suffix == ".parquet":
        pd.DataFrame({"id": frame["id"], "embedding": list(made)}).to_parquet(path)
    else:
        pd.DataFrame(made, columns=[f"e{at}" for at in range(6)]).assign(id=frame["id"].to_numpy()).to_csv(
            path, index=False
        )
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_vectors_are_joined_by_id_whatever_their_order(tmp_path, suffix):
    frame = table()
    path = vectors(frame.sample(frac=1, random_state=0), tmp_path / f"made.{suffix}")
    labels = written(frame[["id", "label"]], tmp_path / "labels.csv")
    data = load_dataset(f"labels:{labels}")
    backbone = load_candidate(f"embeddings:{path}", shape=data.shape)
    ids, found = read_vectors(path)
    by_id = dict(zip(ids, found, strict=True))
    for split in data.splits.values():
        assert np.array_equal(split.tensor(backbone.input).numpy(), np.stack([by_id[one] for one in split.ids]))
    assert accuracy(trained(tmp_path, f"labels:{labels}", f"embeddings:{path}", "unit")) > 0.7


def test_vectors_stand_beside_networks_on_the_same_rows(tmp_path, source):
    path = vectors(table(), tmp_path / "made.parquet")
    assert accuracy(trained(tmp_path, source, f"embeddings:{path}", "unit")) > 0.7


def test_other_vectors_under_one_name_are_other_weights(tmp_path):
    digests = []
    for seed in range(2):
        path = vectors(table(), tmp_path / "made.npz", np.random.default_rng(seed))
        backbone = load_candidate(f"embeddings:{path}", shape=NameShape())
        digests.append(weights_digest(backbone.module, backbone.input.content()))
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame[5:], "has no vector for"),
        (lambda frame: pd.concat([frame, frame[:1]]), "stands in"),
        (lambda frame: frame.assign(width=np.nan), "not finite"),
        (lambda frame: frame.rename(columns={"id": "who"}), "column of ids"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(tmp_path, change, said):
    frame = table()
    changed = change(frame)
    made = pd.DataFrame({one: changed[one] for one in changed if one in ("id", "who")}).assign(
        e0=changed["width"], e1=1.0
    )
    written(made, tmp_path / "made.csv")
    labels = written(frame[["id", "label"]], tmp_path / "labels.csv")
    data = load_dataset(f"labels:{labels}")

    def use():
        backbone = load_candidate(f"embeddings:{tmp_path / 'made.csv'}", shape=data.shape)
        for split in data.splits.values():
            split.tensor(backbone.input)

    with pytest.raises(InputError, match=said):
        use()


def test_without_ids_there_is_nothing_to_join(tmp_path):
    path = vectors(table(), tmp_path / "made.npz")
    data = load_dataset(f"table:{written(table().drop(columns='id'), tmp_path / 'rows.csv')}")
    backbone = load_candidate(f"embeddings:{path}", shape=data.shape)
    with pytest.raises(InputError, match="`id_column`"):
        data.splits["train"].tensor(backbone.input)
    named = written(table()[["label"]], tmp_path / "labels.csv")
    with pytest.raises(InputError, match="`id_column`"):
        load_dataset(f"labels:{named}")


def test_networks_are_shown_more_than_names():
    with pytest.raises(InputError, match="would be shown names only"):
        load_candidate("dense", shape=NameShape())


def test_pictures_are_not_rows(source):
    split = load_dataset(source).splits["train"]
    backbone = load_candidate("lenet", shape=ImageShape(1, 8))
    with pytest.raises(InputError, match="pictures were expected, but train holds rows"):
        split.tensor(backbone.input)
    assert torch.is_tensor(backbone.input.trial())


@pytest.mark.parametrize("gap", ["NA", "None", "null", "nan"])
def test_a_word_for_a_gap_is_a_category_where_others_are_words(tmp_path, gap):
    frame = table().drop(columns="height")
    frame["colour"] = frame["colour"].fillna(gap)
    frame["label"] = frame["label"].replace("no", gap)
    frame["width"] = frame["width"].astype(str).where(frame.index > 9, gap)  # and a gap among numbers
    path = written(frame, tmp_path / "rows.csv")
    data = load_dataset({"source": f"table:{path}", "id_column": "id"})
    assert set(data.class_names) == {gap, "yes"}
    seen = pd.concat([rows_of(split) for split in data.splits.values()])
    assert set(seen["colour"]) == {"red", "blue", "green", gap}
    assert seen["width"].isna().sum() == 10


@pytest.mark.parametrize(
    ("shape", "source", "unused"),
    [
        (TableShape(4), "dense", {"input_size": 32}),
        (TableShape(4), "dense", {"pooling": "cls"}),
        (TextShape(), "words", {"mean": [0.5]}),
        (TextShape(), "words", {"layers": "mean"}),
        (ImageShape(3, 32), "lenet", {"max_length": 20}),
        (ImageShape(3, 32), "embeddings:nowhere.npz", {"crop_pct": 0.9}),
    ],
)
def test_settings_of_other_examples_are_refused(shape, source, unused):
    (name,) = unused
    with pytest.raises(InputError, match=f"`{name}` of .* says nothing of"):
        load_candidate({"source": source, **unused}, shape=shape)
