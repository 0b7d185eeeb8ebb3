"""Datasets: every source, three different sets, decoding, and clear errors."""

import io
import itertools
import json
import shutil
import socket
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ncore.errors import InputError, MissingExtraError, OfflineError
from ncore.probe._partition import SPLITS, partition
from ncore.probe.datasets import Dataset, DatasetSpec, load_dataset
from ncore.probe.images import InputSpec
from ncore.probe.sources import _offline

GREY8 = InputSpec(1, 8, (0.5,), (0.5,))
RGB8 = InputSpec(3, 8, (0.5,), (0.5,), "nearest")


def sizes(data):
    return {name: len(split) for name, split in data.splits.items()}


NUMBERS = itertools.count()


def picture(value, size=(10, 10), mode="RGB"):
    """Of one colour but for two pixels at its lower right, in which no two are alike."""
    pixels = np.full((size[1], size[0], 3), value, np.uint8)
    pixels[-1, -2:] = np.array(divmod(next(NUMBERS), 256))[:, None]
    return Image.fromarray(pixels).convert(mode)


def encoded(value, kind="PNG"):
    buffer = io.BytesIO()
    picture(value).save(buffer, kind)
    return buffer.getvalue()


def assert_disjoint(data):
    seen = [(split.pool, index) for split in data.splits.values() for index in split.indices]
    assert len(seen) == len(set(seen)) == sum(sizes(data).values())


def assert_pictures_match_labels(data, value_of):
    """Every picture of these tests is filled with a value that tells its class."""
    for split in data.splits.values():
        pixels = split.tensor(RGB8)[:, 0, 4, 4].tolist()
        assert [value_of(value) for value in pixels] == [data.class_names[label] for label in split.labels]


# The three sets


@pytest.fixture(scope="module")
def labels():
    return np.repeat(np.arange(4), [100, 60, 30, 10])


def cut(labels, seed=0, **wanted):
    return partition({"train": labels}, wanted, seed, list("abcd"), "toy")


def test_one_set_is_cut_60_20_20_in_proportion(labels):
    parts = cut(labels)
    assert {name: len(chosen) for name, (_, chosen) in parts.items()} == {"train": 120, "validation": 40, "test": 40}
    for _, chosen in parts.values():
        counts = np.bincount(labels[chosen], minlength=4) / len(chosen)
        assert np.abs(counts - np.array([0.5, 0.3, 0.15, 0.05])).max() < 0.02


def test_own_sets_are_kept(labels):
    own = partition({"train": labels, "test": labels[::4]}, {}, 0, list("abcd"), "toy")
    assert own["test"][0] == "test"
    assert len(own["test"][1]) == 50
    assert (own["validation"][0], len(own["validation"][1]), len(own["train"][1])) == ("train", 40, 160)


def test_test_and_validation_do_not_depend_on_the_train_size(labels):
    whole, some = cut(labels, seed=3), cut(labels, train=50, seed=3)
    assert np.array_equal(whole["test"][1], some["test"][1])
    assert np.array_equal(whole["validation"][1], some["validation"][1])
    assert len(some["train"][1]) == 50
    assert set(some["train"][1]) < set(whole["train"][1])


def test_seeds_choose(labels):
    again = cut(labels, train=50, seed=1)
    assert all(np.array_equal(again[name][1], chosen) for name, (_, chosen) in cut(labels, train=50, seed=1).items())
    assert not np.array_equal(again["test"][1], cut(labels, train=50, seed=2)["test"][1])


@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    own=st.sets(st.sampled_from(["validation", "test"])),
    fraction=st.floats(0.1, 1.0),
)
def test_sets_are_disjoint_stratified_and_of_the_size_asked_for(counts, seed, own, fraction):
    classes = len(counts)
    source = {name: np.repeat(np.arange(classes), counts) for name in ("train", *own)}
    names = [str(label) for label in range(classes)]
    whole = partition(source, {}, seed, names, "toy")
    wanted = max(classes, int(fraction * len(whole["train"][1])))
    parts = partition(source, {"train": wanted}, seed, names, "toy")
    assert len(parts["train"][1]) == wanted
    taken = [(pool, index) for pool, chosen in parts.values() for index in chosen]
    assert len(taken) == len(set(taken))
    for name in SPLITS:
        pool, chosen = parts[name]
        assert pool == (name if name in source else "train")
        assert np.all(np.diff(chosen) > 0)
        assert np.bincount(source[pool][chosen], minlength=classes).min() >= 1
    available = np.bincount(source["train"][whole["train"][1]], minlength=classes)
    quota = wanted * available / available.sum()
    drawn = np.bincount(source["train"][parts["train"][1]], minlength=classes)
    small = np.sum(quota < 1)  # each class gets one, at the cost of the larger ones
    assert np.all(np.abs(drawn - quota) <= 1 + small)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"train": 121}, ["train", "121", "120"]),
        ({"test": 3}, ["test", "3", "4 classes"]),
        ({"train": 0}, ["train", "0", "at least 1"]),
        ({"validation": 197}, ["197"]),
        ({"test": 195}, ["validation", "only 5 are left"]),
        ({"test": 160, "validation": 36}, ["'d' has 0", "where 1 or more"]),
    ],
)
def test_sizes_that_cannot_be_had(labels, wanted, words):
    with pytest.raises(InputError) as caught:
        cut(labels, **wanted)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_too_few_images_of_a_class_are_counted():
    with pytest.raises(InputError, match=r"'b' has 2, 'c' has 0, where 3 or more"):
        partition({"train": np.repeat([0, 1], [10, 2])}, {}, 0, list("abc"), "toy")


# digits, arrays and .npz


def test_digits_by_default():
    digits = load_dataset("digits")
    assert sizes(digits) == {"train": 1079, "validation": 359, "test": 359}
    assert digits.class_names == list("0123456789")
    assert_disjoint(digits)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    test = digits.splits["test"]
    assert np.array_equal(test.labels, bunch.target[test.indices])
    expected = (bunch.images[test.indices] * 255 / 16).round()
    assert np.array_equal(test.tensor(GREY8)[:, 0].numpy(), expected)
    assert test.tensor(GREY8).dtype == torch.uint8
    assert test.labels.dtype == np.int64


def test_sizes_given_to_the_call_win_over_the_spec():
    data = load_dataset({"source": "digits", "train": 300, "test": 100}, train=200)
    assert sizes(data) == {"train": 200, "validation": 359, "test": 100}


def test_fingerprint_tells_cuts_apart():
    first = load_dataset("digits", train=300)
    assert first.fingerprint == load_dataset("digits", train=300).fingerprint
    others = [
        load_dataset("digits"),
        load_dataset("digits", train=300, seed=1),
        load_dataset({"source": "digits", "classes": list(range(9))}, train=300),
        load_dataset({"source": "digits", "classes": {"x": [0, 1], "y": [2, 3]}}, train=300),
        load_dataset({"source": "digits", "classes": {"x": [0, 1], "z": [2, 3]}}, train=300),
    ]
    assert len({first.fingerprint, *(data.fingerprint for data in others)}) == 6


def test_class_subsets_and_groups():
    some = load_dataset({"source": "digits", "classes": [3, "8"]})
    assert some.class_names == ["3", "8"]
    joined = load_dataset({"source": "digits", "classes": [[0, 6, 8, 9], [1, 7]]})
    assert joined.class_names == ["0+6+8+9", "1+7"]
    named = load_dataset({"source": "digits", "classes": {"round": [0, 6, 8, 9], "straight": [1, 7], "two": 2}})
    assert named.class_names == ["round", "straight", "two"]
    from sklearn.datasets import load_digits

    old = load_digits().target[named.splits["train"].indices]
    new = named.splits["train"].labels
    assert {label: set(old[new == label].tolist()) for label in range(3)} == {0: {0, 6, 8, 9}, 1: {1, 7}, 2: {2}}


@pytest.mark.parametrize(
    ("classes", "word"),
    [
        ([1], "1 classes"),
        ([1, 1], "twice"),
        ([[1, 2], [2, 3]], "'2' twice"),
        ([1, "eleven"], "eleven"),
        ([1, 44], "44"),
    ],
)
def test_classes_that_make_no_task(classes, word):
    with pytest.raises(InputError, match=word):
        load_dataset({"source": "digits", "classes": classes})


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((30, 9, 9), 1), ((30, 9, 9, 1), 1), ((30, 1, 9, 9), 1), ((30, 9, 9, 3), 3), ((30, 3, 9, 9), 3)],
)
@pytest.mark.parametrize("kind", ["uint8", "int64", "float32"])
def test_arrays_of_every_layout(shape, channels, kind):
    values = np.arange(30) * 8
    x = np.broadcast_to(values.reshape(-1, *[1] * (len(shape) - 1)), shape).astype(kind)
    x = x / np.float32(255) if kind == "float32" else x
    data = Dataset.from_arrays(x, np.arange(30) % 2)
    assert data.shape.channels == channels
    for split in data.splits.values():
        assert split.tensor(GREY8)[:, 0, 0, 0].tolist() == values[split.indices].tolist()
        assert split.tensor(RGB8).shape == (len(split), 3, 8, 8)


def test_arrays_with_their_own_sets_and_names():
    x, y = np.broadcast_to(np.arange(12, dtype=np.uint8)[:, None, None], (12, 8, 8)), np.array(["cat", "dog"] * 6)
    more = {"x_test": x[:4] + 12, "y_test": y[:4], "x_validation": x[:6] + 16, "y_validation": y[:6]}
    data = Dataset.from_arrays(x, y, **more)
    assert sizes(data) == {"train": 12, "validation": 6, "test": 4}
    assert data.class_names == ["cat", "dog"]
    numbered = Dataset.from_arrays(x, np.arange(12) % 2, class_names=["cat", "dog"])
    assert numbered.class_names == ["cat", "dog"]
    changed = x.copy()
    changed[0, 0, 0] = 100
    other = Dataset.from_arrays(changed, np.arange(12) % 2, class_names=["cat", "dog"])
    assert other.fingerprint != numbered.fingerprint


@pytest.mark.parametrize(
    ("x", "y", "options", "word"),
    [
        (np.zeros((9, 8)), np.zeros(9, int), {}, r"shape \(9, 8\)"),
        (np.zeros((9, 8, 8, 2)), np.zeros(9, int), {}, r"\(9, 8, 8, 2\)"),
        (np.full((9, 8, 8), 2.0), np.arange(9) % 2, {}, "2.0"),
        (np.full((9, 8, 8), np.nan), np.arange(9) % 2, {}, "nan"),
        (np.full((9, 8, 8), 256), np.arange(9) % 2, {}, "256"),
        (np.zeros((9, 8, 8)), np.arange(8) % 2, {}, "8 labels"),
        (np.zeros((9, 8, 8)), np.zeros(9, int), {}, "1 class"),
        (np.zeros((9, 8, 8)), np.arange(9) / 2, {}, "regression is not supported"),
        (np.zeros((9, 8, 8)), np.eye(9, dtype=int), {}, "multi-label"),
        (np.zeros((9, 8, 8)), np.arange(9) % 2 - 1, {}, "no label"),
        (np.zeros((9, 8, 8)), np.arange(9) % 3, {"class_names": ["a", "b"]}, "2 class names"),
        (np.zeros((9, 8, 8)), np.arange(9) % 2, {"x_test": np.zeros((3, 8, 8))}, "y_test"),
    ],
)
def test_arrays_that_cannot_be_used(x, y, options, word):
    with pytest.raises(InputError, match=word):
        Dataset.from_arrays(x, y, **options)


@pytest.mark.parametrize(
    "keys",
    [("x", "y", "x_test", "y_test"), ("x_train", "y_train", "x_test", "y_test"),
     ("train_images", "train_labels", "test_images", "test_labels")],
)  # fmt: skip
def test_npz(tmp_path, keys):
    x, y = np.zeros((20, 8, 8), np.uint8), (np.arange(20) % 2)[:, None]
    x[:, -1, -1] = np.arange(20)
    values = (x, y, x[:5] // 9 + np.arange(7, 12, dtype=np.uint8)[:, None, None], y[:5])
    np.savez(tmp_path / "some.npz", class_names=["no", "yes"], **dict(zip(keys, values, strict=True)))
    data = load_dataset(f"numpy:{tmp_path / 'some.npz'}")
    assert (data.name, data.class_names) == ("some", ["no", "yes"])
    assert sizes(data) == {"train": 16, "validation": 4, "test": 5}
    assert data.splits["test"].tensor(GREY8).unique().tolist() == [7, 8, 9, 10, 11]


def test_npz_that_cannot_be_used(tmp_path):
    np.savez(tmp_path / "objects.npz", x=np.array([None, {}], dtype=object), y=np.arange(2))
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name, word in [("objects.npz", "cannot be read"), ("other.npz", "x_train"), ("single.npy", "not an .npz"),
                       ("absent.npz", "absent.npz")]:  # fmt: skip
        with pytest.raises(InputError, match=word):
            load_dataset(f"numpy:{tmp_path / name}")


# Folders


VALUES = {"cat": 50, "dog": 100, "train": 150}


def fill(root, classes=("cat", "dog"), count=5):
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(count):
            kind = (".png", ".bmp", ".PNG")[index % 3]
            picture(VALUES[name], mode="L" if name == "dog" and index == 0 else "RGB").save(
                root / name / f"{index}{kind}"
            )


def name_of(value):
    return {number: name for name, number in VALUES.items()}[value]


def test_folder_of_class_folders(tmp_path):
    fill(tmp_path / "pets")
    (tmp_path / "pets" / ".hidden").mkdir()
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "pets" / "cat" / "more").mkdir()
    picture(50).save(tmp_path / "pets" / "cat" / "more" / "deep.png")
    data = load_dataset(f"folder:{tmp_path / 'pets'}")
    assert (data.name, data.class_names) == ("pets", ["cat", "dog"])
    assert sum(sizes(data).values()) == 11
    assert data.shape.channels == 3
    assert_disjoint(data)
    assert_pictures_match_labels(data, name_of)


def test_folder_with_its_own_sets(tmp_path):
    for split in ("train", "val", "test"):
        fill(tmp_path / split)
    data = load_dataset(f"folder:{tmp_path}")
    assert {split.pool for split in data.splits.values()} == set(SPLITS)
    assert sizes(data) == {"train": 10, "validation": 10, "test": 10}
    assert_pictures_match_labels(data, name_of)


def test_folder_with_train_alone_and_a_class_called_train(tmp_path):
    fill(tmp_path / "a" / "train")
    assert load_dataset(f"folder:{tmp_path / 'a'}").class_names == ["cat", "dog"]
    fill(tmp_path / "b", ("cat", "train"))
    assert load_dataset(f"folder:{tmp_path / 'b'}").class_names == ["cat", "train"]


def test_fingerprint_of_a_folder_does_not_depend_on_where_it_lies(tmp_path):
    fill(tmp_path / "a" / "pets")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, second = (load_dataset(f"folder:{tmp_path / where / 'pets'}") for where in "ab")
    assert first.fingerprint == second.fingerprint
    (tmp_path / "b" / "pets" / "cat" / "0.png").rename(tmp_path / "b" / "pets" / "cat" / "9.png")
    assert load_dataset(f"folder:{tmp_path / 'b' / 'pets'}").fingerprint != first.fingerprint


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_dataset(f"folder:{tmp_path / 'absent'}")
    fill(tmp_path / "one", ("cat",))
    with pytest.raises(InputError, match="1 subfolders"):
        load_dataset(f"folder:{tmp_path / 'one'}")
    fill(tmp_path / "few", count=2)
    with pytest.raises(InputError, match="'cat' has 2, 'dog' has 2"):
        load_dataset(f"folder:{tmp_path / 'few'}")
    fill(tmp_path / "odd" / "train")
    fill(tmp_path / "odd" / "test", ("cat", "train"))
    with pytest.raises(InputError, match="'train' is not a class"):
        load_dataset(f"folder:{tmp_path / 'odd'}")
    fill(tmp_path / "no" / "test")
    fill(tmp_path / "no" / "val")
    with pytest.raises(InputError, match="none called train"):
        load_dataset(f"folder:{tmp_path / 'no'}")


@pytest.mark.parametrize("damage", ["truncated", "nonsense", "empty"])
def test_a_broken_picture_is_named(tmp_path, damage):
    fill(tmp_path)
    broken = tmp_path / "dog" / "1.bmp"
    data = broken.read_bytes()
    broken.write_bytes({"truncated": data[: len(data) // 2], "nonsense": b"nonsense", "empty": b""}[damage])
    with pytest.raises(InputError, match=r"dog/1\.bmp.* cannot be decoded"):
        load_dataset(f"folder:{tmp_path}")


def test_a_picture_that_broke_since_is_named(tmp_path):
    fill(tmp_path)
    split = load_dataset(f"folder:{tmp_path}").splits["train"]
    split.items.paths[split.indices[0]].write_bytes(b"nonsense")
    for decode in (lambda: split.tensor(RGB8), lambda: split.decode(0)):
        with pytest.raises(InputError, match="cannot be decoded"):
            decode()


# Parquet


def table(values, labels):
    return pd.DataFrame({"image": [{"bytes": encoded(value), "path": None} for value in values], "label": labels})


@pytest.fixture
def parquet(tmp_path):
    for split, count in (("train", 20), ("test", 6)):
        labels = np.arange(count) % 2
        table(50 + 50 * labels, labels).to_parquet(tmp_path / f"pets-{split}.parquet", row_group_size=4)
    return tmp_path


def as_label(value):
    return {50: "0", 100: "1"}[value]


@pytest.mark.parametrize("form", ["pattern", "folder", "files"])
def test_parquet_with_its_own_test_set(parquet, form):
    files = {"train": str(parquet / "pets-train.parquet"), "test": [str(parquet / "pets-te*.parquet")]}
    spec = {
        "pattern": f"parquet:{parquet}/pets-*.parquet",
        "folder": {"source": f"parquet:{parquet}", "name": "pets"},
        "files": {"source": "parquet", "files": files},
    }[form]
    data = load_dataset(spec)
    assert data.name == "pets"
    assert sizes(data) == {"train": 16, "validation": 4, "test": 6}
    assert data.splits["test"].pool == "test"
    assert_disjoint(data)
    assert_pictures_match_labels(data, as_label)
    assert data.splits["test"].items.describe(5).endswith("pets-test.parquet'")


def test_parquet_single_file_shards_and_names(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    info = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    for shard in range(2):
        labels = np.arange(10) % 2
        arrow = pa.Table.from_pandas(table(50 + 50 * labels, labels))
        arrow = arrow.replace_schema_metadata({"huggingface": json.dumps(info)})
        pq.write_table(arrow, tmp_path / f"train-{shard}-of-2.parquet", row_group_size=3)
    data = load_dataset(f"parquet:{tmp_path}/*.parquet")
    assert sizes(data) == {"train": 12, "validation": 4, "test": 4}
    assert data.class_names == ["cat", "dog"]
    assert_pictures_match_labels(data, name_of)
    pictures = data.splits["train"].items
    assert pictures.describe(13).startswith("row 3 of ")
    assert "train-1-of-2" in pictures.describe(13)


def test_parquet_columns_by_name_and_labels_as_names(tmp_path):
    names = ["cat", "dog"] * 5
    frame = pd.DataFrame({"photo": [encoded(VALUES[name]) for name in names], "animal": names})
    frame.to_parquet(tmp_path / "a.parquet")
    spec = {"source": f"parquet:{tmp_path / 'a.parquet'}", "image_column": "photo", "label_column": "animal"}
    assert_pictures_match_labels(load_dataset(spec), name_of)
    frame.astype({"animal": "category"}).to_parquet(tmp_path / "a.parquet")
    assert_pictures_match_labels(load_dataset(spec), name_of)
    for missing in ("image_column", "label_column"):
        with pytest.raises(InputError, match=missing):
            load_dataset({key: value for key, value in spec.items() if key != missing})


def test_parquet_that_cannot_be_used(parquet):
    train = str(parquet / "pets-train.parquet")
    for spec, word in [
        (f"parquet:{parquet}/absent*.parquet", "no Parquet file matches"),
        ({"source": "parquet", "files": {"train": train, "test": train}}, "two sets"),
        ({"source": "parquet", "files": {"test": train}}, "train is needed"),
        ({"source": "parquet", "files": {"trian": train}}, "trian"),
        ({"source": f"parquet:{train}", "files": {"train": train}}, "either"),
        ("parquet:", "either"),
    ]:
        with pytest.raises(InputError, match=word):
            load_dataset(spec)
    (parquet / "extra.parquet").write_bytes((parquet / "pets-test.parquet").read_bytes())
    with pytest.raises(InputError, match=r"extra\.parquet"):
        load_dataset(f"parquet:{parquet}")
    (parquet / "extra.parquet").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"extra\.parquet"):
        load_dataset(f"parquet:{parquet}/extra.parquet")


def test_a_broken_row_is_named(tmp_path):
    frame = table([50, 100] * 5, [0, 1] * 5)
    frame.at[7, "image"] = {"bytes": b"nonsense", "path": None}
    frame.at[3, "image"] = {"bytes": None, "path": "elsewhere.png"}
    for row in (3, 7):
        frame.to_parquet(tmp_path / "a.parquet", row_group_size=4)
        with pytest.raises(InputError, match=rf"row {row} of .*a\.parquet.* cannot be decoded"):
            load_dataset(f"parquet:{tmp_path / 'a.parquet'}")
        frame.at[row, "image"] = {"bytes": encoded(50), "path": None}
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=4)
    assert sum(sizes(load_dataset(f"parquet:{tmp_path / 'a.parquet'}")).values()) == 10


# torchvision and datasets


def test_torchvision_fake_data():
    pytest.importorskip("torchvision")
    spec = {"source": "torchvision:FakeData", "kwargs": {"size": 40, "image_size": [3, 9, 9], "num_classes": 2}}
    data = load_dataset(spec)
    assert sizes(data) == {"train": 24, "validation": 8, "test": 8}
    assert (data.name, data.shape.size) == ("FakeData", 9)
    assert_disjoint(data)


def test_torchvision_files_that_are_already_there(tmp_path):
    """The real MNIST class on files in its format."""
    pytest.importorskip("torchvision")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, count in (("train", 40), ("t10k", 20)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.repeat(labels, 28 * 28).reshape(count, 28, 28) * 20
        images[:, -1, -1] = np.arange(count) + len(prefix) * 20
        header = np.array([2051, count, 28, 28], ">i4").tobytes()
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(np.array([2049, count], ">i4").tobytes() + labels.tobytes())
    data = load_dataset({"source": "torchvision:MNIST", "root": str(tmp_path)})
    assert sizes(data) == {"train": 30, "validation": 10, "test": 20}
    assert data.class_names[0] == "0 - zero"
    assert (data.shape.channels, data.shape.size) == (1, 28)
    test = data.splits["test"]
    assert (test.tensor(GREY8)[:, 0, 0, 0] // 20).tolist() == test.labels.tolist()


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(_offline, "_known", {})
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "source", ["torchvision:MNIST", "torchvision:CIFAR10", "torchvision:SVHN", "hf:ncore-tests/no"]
)
def test_no_network_gives_one_sentence_at_once(tmp_path, source):
    pytest.importorskip("torchvision" if source.startswith("t") else "datasets")
    spec = {"source": source, "root": str(tmp_path)} if source.startswith("t") else {
        "source": source, "kwargs": {"cache_dir": str(tmp_path)},
    }  # fmt: skip
    start = time.monotonic()
    with pytest.raises(OfflineError, match="cannot be reached") as caught:
        load_dataset(spec)
    assert time.monotonic() - start < 10
    assert str(caught.value).startswith(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("package", "source", "extra"),
    [("torchvision", "torchvision:CIFAR10", "torchvision"), ("datasets", "hf:mnist", "hf")],
)
def test_missing_extras_are_named_with_the_install_line(monkeypatch, package, source, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'ncore\[{extra}\]'"):
        load_dataset(source)


@pytest.fixture
def hub_folder(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"photo": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    (tmp_path / "pets").mkdir()
    for split, count in (("train", 20), ("test", 6)):
        labels = [index % 2 for index in range(count)]
        photos = [picture(50 + 50 * label) for label in labels]
        whole = datasets.Dataset.from_dict({"photo": photos, "kind": labels}, features=features)
        whole.to_parquet(tmp_path / "pets" / f"{split}.parquet")
    return {"source": f"hf:{tmp_path / 'pets'}", "kwargs": {"cache_dir": str(tmp_path / "cache")}}


def test_hf_finds_columns_by_their_types(hub_folder):
    data = load_dataset(hub_folder)
    assert (data.name, data.class_names) == ("pets", ["cat", "dog"])
    assert sizes(data) == {"train": 16, "validation": 4, "test": 6}
    assert_disjoint(data)
    assert_pictures_match_labels(data, name_of)
    alone = load_dataset({**hub_folder, "splits": {"train": "test"}})
    assert sizes(alone) == {"train": 4, "validation": 2, "test": 2} or sum(sizes(alone).values()) == 6


def test_hf_image_folder(tmp_path):
    pytest.importorskip("datasets")
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            for index in range(5):
                picture(VALUES[name]).save(folder / f"{index}.png")
    spec = {"source": f"hf:{tmp_path / 'pets'}", "kwargs": {"cache_dir": str(tmp_path / "cache")}}
    data = load_dataset(spec)
    assert sizes(data) == {"train": 8, "validation": 2, "test": 10}
    assert_pictures_match_labels(data, name_of)


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ({"splits": {"train": "train", "test": "train"}}, "twice"),
        ({"splits": {"train": "train[:50%]"}}, "not a set"),
        ({"label_column": "absent"}, "photo, kind"),
        ({"splits": {"trian": "train"}}, "trian"),
    ],
)
def test_hf_choices_that_cannot_be_had(hub_folder, extra, word):
    with pytest.raises(InputError, match=word):
        load_dataset({**hub_folder, **extra})


def test_hf_unlabelled_test_set_is_refused(tmp_path):
    datasets = pytest.importorskip("datasets")
    (tmp_path / "pets").mkdir()
    for split, labels in (("train", [0, 1] * 5), ("test", [-1] * 4)):
        photos = [picture(50)] * len(labels)
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
        whole = datasets.Dataset.from_dict({"image": photos, "label": labels}, features=features)
        whole.to_parquet(tmp_path / "pets" / f"{split}.parquet")
    with pytest.raises(InputError, match=r"4 of the 4 examples of test have no label.*`splits`"):
        load_dataset({"source": f"hf:{tmp_path / 'pets'}", "kwargs": {"cache_dir": str(tmp_path / "cache")}})


# Pictures to tensors


def test_resize_takes_the_largest_centred_square():
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    assert np.unique(InputSpec(3, 5, (0,), (1,)).pixels(Image.fromarray(pixels))).tolist() == [200]


def test_resize_uses_the_interpolation_asked_for():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8))
    for name, filter_ in (("nearest", Image.Resampling.NEAREST), ("bicubic", Image.Resampling.BICUBIC)):
        expected = np.asarray(image.resize((7, 7), filter_))
        assert np.array_equal(InputSpec(1, 7, (0,), (1,), name).pixels(image)[0], expected)


def test_a_photo_is_turned_upright():
    image = Image.fromarray(np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 30, 8, axis=1))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    assert np.array_equal(GREY8.pixels(Image.open(buffer))[0], np.asarray(image)[::-1, ::-1])


def test_a_large_jpeg_is_close_to_its_full_decoding():
    ramp = np.tile(np.linspace(0, 255, 512).astype(np.uint8), (512, 1))
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "JPEG", quality=95)
    spec = InputSpec(1, 32, (0,), (1,))
    quick = spec.pixels(Image.open(buffer)).astype(int)
    full = Image.open(buffer)
    full.load()
    assert np.abs(quick - spec.pixels(full).astype(int)).max() <= 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I", "I;16"])
@pytest.mark.parametrize("spec", [GREY8, RGB8])
def test_every_mode_of_picture(mode, spec):
    if mode.startswith("I"):
        image = Image.fromarray(np.full((9, 9), 0x8000, np.uint16 if mode == "I;16" else np.int32))
        assert spec.pixels(image).flatten().tolist() == [128] * spec.channels * 64
        return
    white = spec.pixels(Image.new("RGB", (9, 9), "white").convert(mode))
    assert white.shape == (spec.channels, 8, 8)
    assert white.min() >= 254


def test_a_palette_with_transparency_does_not_warn():
    image = Image.new("P", (9, 9), 0)
    image.putpalette([255, 255, 255])
    image.info["transparency"] = bytes([0, 255])
    assert RGB8.pixels(image).min() == 255


def test_floating_point_pictures_are_refused():
    with pytest.raises(InputError, match="floating-point"):
        GREY8.pixels(Image.fromarray(np.zeros((8, 8), np.float32)))


def test_normalise():
    spec = InputSpec(3, 2, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    batch = torch.randint(0, 256, (4, 3, 2, 2), dtype=torch.uint8)
    expected = (batch.double() / 255 - torch.tensor(spec.mean).view(3, 1, 1)) / torch.tensor(spec.std).view(3, 1, 1)
    before = batch.clone()
    result = spec.prepare(batch)
    assert result.dtype == torch.float32
    assert torch.allclose(result.double(), expected, atol=1e-6)
    assert torch.equal(batch, before)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"channels": 2}, "2 channels"),
        ({"size": 0}, "0 pixels"),
        ({"mean": (1.0, 2.0)}, "mean"),
        ({"std": (0.0,)}, "std"),
        ({"interpolation": "magic"}, "magic"),
    ],
)
def test_input_specs_that_mean_nothing(fields, word):
    with pytest.raises(InputError, match=word):
        InputSpec(**{"channels": 3, "size": 8, "mean": (0.5,), "std": (0.5,), **fields})


def test_tensor_is_made_once_per_shape():
    train = load_dataset("digits").splits["train"]
    first = train.tensor(GREY8)
    assert train.tensor(InputSpec(1, 8, (0.1,), (0.2,))) is first
    assert train.tensor(RGB8).shape[1] == 3


# Specs


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("digits", "digits"),
        ("hf:org/pets", "pets"),
        ("torchvision:CIFAR10", "CIFAR10"),
        ("folder:a/pets/", "pets"),
        ("parquet:a/pets-train.parquet", "pets"),
        ("parquet:a/pets-*.parquet", "pets"),
        ("parquet:a/pets/*.parquet", "pets"),
        ("numpy:a/pets.npz", "pets"),
        ({"source": "digits", "name": "mine"}, "mine"),
    ],
)
def test_names(spec, name):
    parsed = DatasetSpec.parse(spec)
    assert parsed.name == name
    assert DatasetSpec.parse(parsed.model_dump(mode="json", exclude_defaults=True)) == parsed


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("digit", ["'digit'", "digits"]),
        ("digits:8", ["digits"]),
        ("folder:", ["folder:"]),
        (7, ["7"]),
        ({"name": "x"}, ["source"]),
        ({"source": "digits", "size": 3}, ["'size'"]),
        ({"source": "digits", "train": 0}, ["train is 0"]),
        ({"source": "digits", "root": "x"}, ["`root`"]),
        ({"source": "torchvision:CIFAR11"}, ["CIFAR10"]),
        ({"source": "torchvision:CIFAR10", "splits": {"train": "a"}}, ["`splits`"]),
    ],
)
def test_bad_names_give_one_clear_sentence(spec, words):
    with pytest.raises(InputError) as caught:
        load_dataset(spec)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
