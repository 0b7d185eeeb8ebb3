"""Labels mean what they say, in whatever array they come; and no array of a file is passed over in silence."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ncore.errors import InputError
from ncore.probe.datasets import Dataset, load_dataset

COUNT = 36
X = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8), dtype=np.uint8)
WORDS = ["cat", "dog", "möwe"] * (COUNT // 3)
NUMBERS = [0, 1, 2] * (COUNT // 3)
AS_WORDS = {
    "list": lambda words: words,
    "array": np.array,
    "objects": lambda words: np.array(words, dtype=object),
    "series": lambda words: pd.Series(words, index=range(100, 100 + COUNT)),
    "categories": lambda words: pd.Series(words, dtype="category"),
    "bytes": lambda words: np.array([word.encode() for word in words]),
    "byte objects": lambda words: np.array([word.encode() for word in words], dtype=object),
    "with blanks": lambda words: np.array([word + " " * (at % 3) for at, word in enumerate(words)]),
    "decomposed": lambda words: np.array(
        [word.replace("ö", "o\u0308") if at % 2 else word for at, word in enumerate(words)]
    ),
}
AS_NUMBERS = {
    "list": lambda numbers: numbers,
    "objects": lambda numbers: np.array(numbers, dtype=object),
    "fractions": lambda numbers: np.array(numbers, dtype=float),
    "column": lambda numbers: np.array(numbers)[:, None],
    "bytes": lambda numbers: np.array(numbers, dtype=np.uint8),
    "series": lambda numbers: pd.Series(numbers),
    "unmasked": lambda numbers: np.ma.array(numbers, mask=False),
}


@pytest.mark.parametrize("form", AS_WORDS)
def test_names_in_any_array(form):
    data = Dataset.from_arrays(X, AS_WORDS[form](WORDS))
    assert data.class_names == ["cat", "dog", "möwe"]
    for split in data.splits.values():
        assert [data.class_names[label] for label in split.labels] == [WORDS[row] for row in split.indices]


@pytest.mark.parametrize("form", AS_NUMBERS)
def test_numbers_in_any_array(form):
    data = Dataset.from_arrays(X, AS_NUMBERS[form](NUMBERS))
    assert data.class_names == ["0", "1", "2"]
    for split in data.splits.values():
        assert split.labels.tolist() == [NUMBERS[row] for row in split.indices]


@pytest.mark.parametrize("bad", ["", "  ", None, np.nan, 3, b""])
def test_labels_that_are_missing_or_of_another_type(bad):
    for kind in (object, None) if isinstance(bad, str) else (object,):
        labels = np.array([bad, *WORDS[1:]], dtype=kind)
        with pytest.raises(InputError, match=r"whose label is empty|labels of several types"):
            Dataset.from_arrays(X, labels)


@pytest.mark.parametrize("labels", [NUMBERS, WORDS])
def test_masked_labels_are_missing(labels):
    masked = np.ma.array(labels, mask=np.arange(COUNT) % 9 == 0)
    with pytest.raises(InputError, match="4 examples whose label is masked"):
        Dataset.from_arrays(X, masked)


@pytest.mark.parametrize("names", [["a", "a", "b"], ["é", "e\u0301", "b"]])
def test_names_that_stand_twice(names):
    with pytest.raises(InputError, match="two classes are called"):
        Dataset.from_arrays(X, NUMBERS, class_names=names)


SPELLINGS = {
    "train": ("train", "training", "TRAIN"),
    "validation": ("val", "valid", "dev", "validation"),
    "test": ("test", "testing"),
}
PARTS = (("x", "y"), ("X", "y"), ("images", "labels"), ("data", "target"))


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("words", list(itertools.product(*SPELLINGS.values()))[::5])
def test_arrays_of_every_usual_name(tmp_path, parts, first, words):
    arrays = {}
    for at, word in enumerate(words):
        for part, values in zip(parts, (X, np.array(NUMBERS)), strict=True):
            arrays[f"{word}_{part}" if first else f"{part}_{word}"] = values[at * 12 : at * 12 + 12]
    np.savez(tmp_path / "all.npz", class_names=np.array([b"cat", b"dog", b"owl"]), **arrays)
    data = load_dataset(f"numpy:{tmp_path / 'all.npz'}")
    assert {name: (split.pool, len(split)) for name, split in data.splits.items()} == {
        name: (name, 12) for name in ("train", "validation", "test")
    }
    assert data.class_names == ["cat", "dog", "owl"]
    assert not data.warnings


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"x_test": X[:6]}, "pictures without labels for test, in x_test"),
        ({"val_labels": NUMBERS[:6]}, "labels without pictures for validation, in val_labels"),
        ({"images": X}, "both x and images for train"),
    ],
)
def test_arrays_that_lack_or_contradict_others(tmp_path, more, word):
    np.savez(tmp_path / "all.npz", x=X, y=NUMBERS, **more)
    with pytest.raises(InputError, match=word):
        load_dataset(f"numpy:{tmp_path / 'all.npz'}")


def test_arrays_that_are_not_used_are_said(tmp_path):
    np.savez(tmp_path / "all.npz", x=X, y=NUMBERS, who=[f"p{row // 4}" for row in range(COUNT)], x_holdout=X)
    source = f"numpy:{tmp_path / 'all.npz'}"
    assert "who, x_holdout were left out" in " ".join(load_dataset(source).warnings)
    assert "who" not in " ".join(load_dataset({"source": source, "group": "who"}).warnings)


def test_parquet_beside_hidden_ones(tmp_path):
    import io

    from PIL import Image

    def encoded(one):
        out = io.BytesIO()
        Image.fromarray(one).save(out, "PNG")
        return out.getvalue()

    table = pa.table({"image": [encoded(one) for one in X], "label": [word + " " for word in WORDS]})
    for place in ("train.parquet", "_delta_log/0.parquet", ".cache/1.parquet", "__x.parquet", "._train.parquet"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / place)
    data = load_dataset(f"parquet:{tmp_path}")
    assert sum(map(len, data.splits.values())) == COUNT
    assert data.class_names == ["cat", "dog", "möwe"]
    assert "4 hidden ones were left out" in " ".join(data.warnings)


# Tasks that are none of classes


def as_pictures(labels, tmp_path, kind):
    x = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8)).astype(np.uint8)
    if kind == "numpy":
        np.savez(tmp_path / "pets.npz", x=x, y=np.array(labels))
        return f"numpy:{tmp_path / 'pets.npz'}"
    encoded = []
    for picture in x:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        encoded.append({"bytes": file.getvalue(), "path": None})
    pq.write_table(pa.table({"image": encoded, "label": labels}), tmp_path / "pets.parquet")
    if kind == "hub":
        return {"source": "hf:parquet", "kwargs": {"data_files": str(tmp_path / "pets.parquet")}}
    return f"parquet:{tmp_path / 'pets.parquet'}"


@pytest.mark.parametrize("kind", ["numpy", "parquet", "hub"])
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([[0, 1], [1, 1], [1, 0]] * 20, "multi-label tasks are not supported"),
        ((np.arange(60) / 7).tolist(), "regression is not supported"),
    ],
)
def test_other_tasks_are_refused_by_name(tmp_path, labels, said, kind):
    if kind == "hub":
        pytest.importorskip("datasets")
    with pytest.raises(InputError, match=said) as error:
        load_dataset(as_pictures(labels, tmp_path, kind))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["parquet", "hub"])
@pytest.mark.parametrize("column", ["objects", "bbox", "annotations"])
def test_detection_is_refused_by_name(tmp_path, kind, column):
    if kind == "hub":
        pytest.importorskip("datasets")
    source = as_pictures([0, 1] * 10, tmp_path, kind)
    table = pq.read_table(tmp_path / "pets.parquet").rename_columns(["image", column])
    pq.write_table(table, tmp_path / "pets.parquet")
    with pytest.raises(InputError, match=f"has '{column}' and no labels, as detection has, which is not supported"):
        load_dataset(source)
