"""Cuts that mean something: groups on one side only, sets told by a column, time, and a cut for each seed."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ncore.errors import InputError
from ncore.probe._grouping import whole_groups
from ncore.probe.datasets import Dataset, load_dataset
from ncore.probe.settings import identity_of
from ncore.probe.sources.data_libraries import TablePictures
from ncore.probe.sources.dataset_spec import DatasetSpec
from ncore.probe.sources.split_names import SPLIT_WORDS

NAMES = ("train", "validation", "test")
COUNT = 60


def pixels(count=COUNT, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8), dtype=np.uint8)


def png(array):
    import io

    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


LABELS = np.arange(COUNT) % 2
PATIENTS = [f"p{row // 4:02}" for row in range(COUNT)]  # fifteen of four pictures, two of each class
FOLDS = ["train", "train", "Val", "training", "TEST"] * (COUNT // 5)
TAKEN = [dt.datetime(2024, 1, 1) + dt.timedelta(days=2 * row) for row in range(COUNT)]
COLUMNS = {"patient": PATIENTS, "fold": FOLDS, "taken": TAKEN, "year": [2000 + row // 6 for row in range(COUNT)]}


def text(value):
    return value.isoformat() if isinstance(value, dt.datetime) else value


def as_parquet(place, columns):
    table = {"image": [{"bytes": png(one), "path": None} for one in pixels()], "label": LABELS, **columns}
    pq.write_table(pa.table(table), place / "all.parquet")
    return {"source": f"parquet:{place / 'all.parquet'}"}


def as_hub(place, columns):
    (place / "hub").mkdir()
    as_parquet(place / "hub", columns)
    return {"source": f"hf:{place / 'hub'}", "image_column": "image", "label_column": "label"}


def as_arrays(place, columns):
    file = place / "all.npz"
    np.savez(
        file,
        x=pixels(),
        y=LABELS,
        **{name: np.asarray(values, "M8[us]" if name == "taken" else None) for name, values in columns.items()},
    )
    return {"source": f"numpy:{file}"}


def pictures_in_folders(place, seed=0):
    names = []
    for row, one in enumerate(pixels(seed=seed)):
        (place / "pets" / "ab"[LABELS[row]]).mkdir(parents=True, exist_ok=True)
        names.append(f"{'ab'[LABELS[row]]}/{PATIENTS[row]}-{row}.png")
        Image.fromarray(one).save(place / "pets" / names[-1])
    return names


def beside_csv(place, rows):
    with (place / "pets" / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({key: text(value) for key, value in row.items()} for row in rows)


def beside_lines(place, rows):
    lines = [json.dumps({key: text(value) for key, value in row.items()}) for row in rows]
    (place / "pets" / "metadata.jsonl").write_text("\n".join(lines), "utf-8")


def beside_parquet(place, rows):
    pq.write_table(pa.Table.from_pylist(rows), place / "pets" / "metadata.parquet")


def in_folders(write):
    def make(place, columns):
        names = pictures_in_folders(place)
        write(place, [{"file_name": name, **dict(zip(columns, row, strict=True))}
                      for name, row in zip(names, zip(*columns.values(), strict=True), strict=True)])  # fmt: skip
        return {"source": f"folder:{place / 'pets'}"}

    return make


MAKERS = {
    "parquet": as_parquet,
    "hub": as_hub,
    "arrays": as_arrays,
    "folders, csv": in_folders(beside_csv),
    "folders, lines": in_folders(beside_lines),
    "folders, parquet": in_folders(beside_parquet),
}


def rows_of(data):
    """The picture in each row of each set, as its number in `pixels`."""
    if isinstance(data.splits["train"].items, TablePictures):
        return {name: split.indices.tolist() for name, split in data.splits.items()}
    known = {one.tobytes(): row for row, one in enumerate(pixels())}
    return {
        name: [known[np.asarray(split.decode(row)).tobytes()] for row in range(len(split))]
        for name, split in data.splits.items()
    }


@pytest.fixture(params=MAKERS)
def make(request):
    if request.param == "hub":
        pytest.importorskip("datasets")
    return MAKERS[request.param]


def test_groups_are_on_one_side(tmp_path, make):
    spec = make(tmp_path, COLUMNS) | {"group": "patient"}
    found = rows_of(load_dataset(spec))
    sides = {name: {PATIENTS[row] for row in rows} for name, rows in found.items()}
    assert all(sides[one].isdisjoint(sides[other]) for one, other in itertools.combinations(NAMES, 2))
    assert {name: len(rows) for name, rows in found.items()} == {"train": 36, "validation": 12, "test": 12}
    assert all(np.bincount(LABELS[rows]).tolist() == [len(rows) // 2] * 2 for rows in found.values())
    assert found == rows_of(load_dataset(spec))
    assert found != rows_of(load_dataset(spec, seed=1))


def test_a_column_of_sets(tmp_path, make):
    spec = make(tmp_path, COLUMNS) | {"split_column": "fold"}
    found = rows_of(load_dataset(spec))
    meant = {"train": "train", "training": "train", "Val": "validation", "TEST": "test"}
    assert {name: sorted(rows) for name, rows in found.items()} == {
        name: [row for row in range(COUNT) if meant[FOLDS[row]] == name] for name in NAMES
    }


@pytest.mark.parametrize(
    "cut",
    [
        {"column": "taken", "validation_from": dt.date(2024, 3, 1), "test_from": dt.date(2024, 4, 1)},
        {"column": "taken", "validation_from": "2024-03-01", "test_from": "2024-04-01T00:00:00"},
        {"column": "year", "validation_from": 2005, "test_from": 2007},
    ],
)
def test_later_sets_are_later(tmp_path, make, cut):
    data = load_dataset(make(tmp_path, COLUMNS) | {"time": cut})
    found = rows_of(data)
    assert max(found["train"]) < min(found["validation"])
    assert max(found["validation"]) < min(found["test"])
    if cut["column"] == "taken":
        assert TAKEN[min(found["validation"])] == dt.datetime(2024, 3, 1)  # 2024 is a leap year: the sixtieth day
    assert sum(map(len, found.values())) == COUNT


def test_groups_by_paths(tmp_path):
    pictures_in_folders(tmp_path)
    source = f"folder:{tmp_path / 'pets'}"
    by_path = rows_of(load_dataset({"source": source, "group": {"path": r"(p\d+)-"}}))
    sides = {name: {PATIENTS[row] for row in rows} for name, rows in by_path.items()}
    assert all(sides[one].isdisjoint(sides[other]) for one, other in itertools.combinations(NAMES, 2))
    with pytest.raises(InputError, match=r"60 of 60 paths don't match .*a/p00-0.png"):
        load_dataset({"source": source, "group": {"path": r"user(\d+)"}})
    for pattern, wrong in (("p(", "no regular expression"), ("p", "0 groups"), ("(p)(.)", "2 groups")):
        with pytest.raises(InputError, match=wrong):
            DatasetSpec.parse({"source": source, "group": {"path": pattern}})


@pytest.mark.parametrize("role", ["group", "split_column", "time"])
def test_a_column_that_is_not_there(tmp_path, make, role):
    cut = {"column": "patiant", "validation_from": 1, "test_from": 2}
    with pytest.raises(InputError, match=r"'patiant' is not an? (column|array) of .*did you mean patient"):
        load_dataset(make(tmp_path, COLUMNS) | {role: cut if role == "time" else "patiant"})


@pytest.mark.parametrize(("role", "column"), [("group", "patient"), ("split_column", "fold"), ("time", "taken")])
def test_missing_values_are_refused(tmp_path, make, role, column):
    if make is as_arrays:
        pytest.skip("arrays have no missing values")
    values = [None if row in (3, 7) else value for row, value in enumerate(COLUMNS[column])]
    cut = {"column": column, "validation_from": "2024-03-01", "test_from": "2024-04-01"}
    with pytest.raises(InputError, match=f"2 of 60 examples have nothing in the column '{column}'"):
        load_dataset(make(tmp_path, {column: values}) | {role: cut if role == "time" else column})


def arrays(**options):
    return Dataset.from_arrays(pixels(), LABELS, **options)


@given(word=st.sampled_from(sorted(SPLIT_WORDS)), other=st.sampled_from(sorted(SPLIT_WORDS)), how=st.integers(0, 3))
def test_any_spelling_of_sets(word, other, how):
    spelled = [(str.lower, str.upper, str.title, "{}_set".format)[how](one) for one in (word, other)]
    meant = {SPLIT_WORDS[word], SPLIT_WORDS[other]}
    values = [spelled[row // 30] for row in range(COUNT)]
    if "train" in meant and len(meant) == 2:
        data = arrays(split=values)
        for split in meant:
            assert len(data.splits[split]) == (24 if split == "train" else 30)
    else:
        with pytest.raises(InputError, match="but train and one of"):
            arrays(split=values)


@pytest.mark.parametrize("value", ["fold1", "unlabelled", "tube", "0", "train and test"])
def test_other_words_are_refused_by_name(value):
    with pytest.raises(InputError, match=f"has the value '{value}' for 2 examples"):
        arrays(split=[value if row in (1, 5) else "train" if row % 2 else "test" for row in range(COUNT)])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["all"] * COUNT, "all 60 examples are of one group"),
        (["ab"[label] for label in LABELS], "the class '0' is in 1 group only, but 3 sets need one each"),
        (["b" if label else f"p{row % 5}" for row, label in enumerate(LABELS)], "the class '1' is in 1 group only"),
        ([f"{'ab'[label]}{row % 4 // 2}" for row, label in enumerate(LABELS)], "'0' is in 2 groups only"),
    ],
)
def test_groups_that_cannot_be_held_apart(groups, message):
    with pytest.raises(InputError, match=message):
        arrays(group=groups)


def test_what_whole_groups_make_is_said():
    groups = [str(row // 20) for row in range(COUNT)]
    data = arrays(group=groups)
    assert {len(split) for split in data.splits.values()} == {20}
    assert any("make test 20 examples, where 12 were wanted" in warning for warning in data.warnings)
    data = arrays(group=PATIENTS, test=10)
    assert len(data.splits["test"]) in (8, 12)
    assert any("where 10 were wanted" in warning for warning in data.warnings)
    assert arrays(group=PATIENTS).warnings == ()
    assert any("a group of its own" in warning for warning in arrays(group=range(COUNT)).warnings)


def test_given_sets_are_not_contradicted(tmp_path):
    for role, split in (("patient", "group"), ("fold", "split_column"), ("when", "time")):
        file = tmp_path / f"{role}.npz"
        beside = {f"{role}_train": np.array(COLUMNS["patient"]), f"{role}_test": np.array(COLUMNS["patient"])}
        np.savez(file, x_train=pixels(), y_train=LABELS, x_test=pixels(seed=1), y_test=LABELS, **beside)
        cut = {"column": role, "validation_from": 2005, "test_from": 2007}
        wrong = "is in train and in test" if split == "group" else f"`{split}` contradicts"
        with pytest.raises(InputError, match=wrong):
            load_dataset({"source": f"numpy:{file}", split: cut if split == "time" else role})
    beside = {"who_train": np.array(PATIENTS), "who_test": np.array([f"q{name}" for name in PATIENTS])}
    np.savez(tmp_path / "who.npz", x_train=pixels(), y_train=LABELS, x_test=pixels(seed=1), y_test=LABELS, **beside)
    data = load_dataset({"source": f"numpy:{tmp_path / 'who.npz'}", "group": "who"})
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 48, "validation": 12, "test": 60}
    patients = {name: {PATIENTS[row] for row in data.splits[name].indices} for name in ("train", "validation")}
    assert patients["train"].isdisjoint(patients["validation"])


def test_groups_within_sets_that_a_column_tells():
    folds = ["test" if row >= 40 else "train" for row in range(COUNT)]
    found = rows_of(arrays(group=PATIENTS, split=folds))
    assert sorted(found["test"]) == list(range(40, COUNT))
    assert {PATIENTS[row] for row in found["train"]}.isdisjoint(PATIENTS[row] for row in found["validation"])
    with pytest.raises(InputError, match="the group 'p10' is in train and in test"):
        arrays(group=PATIENTS, split=["test" if row > 40 else "train" for row in range(COUNT)])


@given(sizes=st.lists(st.integers(1, 9), min_size=4, max_size=9), seed=st.integers(0, 5), share=st.floats(0.1, 0.4))
def test_the_choice_of_groups_is_near_the_best_there_is(sizes, seed, share):
    groups = np.repeat(np.arange(len(sizes)), np.array(sizes) * 2)
    labels = np.arange(len(groups)) % 2
    size = max(round(share * len(groups)), 1)
    chosen = whole_groups(groups, labels, size, 2, np.random.default_rng(seed), "ab", "toy")
    off = abs(len(chosen) - size)
    possible = [
        abs(2 * sum(some) - size) for count in range(1, len(sizes) - 1) for some in itertools.combinations(sizes, count)
    ]
    assert off == min(possible)
    assert set(groups[chosen]).isdisjoint(np.delete(groups, chosen))


def test_many_groups_are_chosen_by_class():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 3000, 50_000)
    labels = (rng.integers(0, 10, 3000)[groups] + rng.integers(0, 3, 50_000)) % 10
    chosen = whole_groups(groups, labels, 10_000, 2, rng, [str(label) for label in range(10)], "toy")
    assert abs(len(chosen) - 10_000) <= 3
    wanted = np.bincount(labels) / 5
    assert np.all(np.abs(np.bincount(labels[chosen]) - wanted) < 0.01 * wanted)


TIMES = [f"2024-{1 + row // 20:02}-01" for row in range(COUNT)]
CUT = {"validation_from": "2024-02-01", "test_from": "2024-03-01"}


@pytest.mark.parametrize(
    ("times", "cut", "message"),
    [
        (TIMES, {"validation_from": "2024-03-01", "test_from": "2024-02-01"}, "must be before"),
        (TIMES, {"validation_from": "2024-02-01", "test_from": "2024-02-01"}, "must be before"),
        (TIMES, {"validation_from": "2024-02-01", "test_from": 2024}, "two kinds"),
        (TIMES, {"validation_from": "soon", "test_from": "later"}, "no date"),
        (TIMES, {"validation_from": "2024-02-01", "test_from": "2025-01-01"}, "test would have no examples"),
        (TIMES, {"validation_from": "2023-02-01", "test_from": "2024-02-01"}, "train would have no examples"),
        (TIMES, {"validation_from": "2024-02-01T00:00Z", "test_from": "2024-03-01T00:00Z"}, "cuts without"),
        (["2024-01-01T00:00Z", *TIMES[1:]], CUT, "59 have no time zone and 1 have one"),
        (["01/02/2024", *TIMES[1:]], CUT, "'01/02/2024' for 1 examples"),
        ([2024, *range(1, COUNT)], CUT, "dates or times in ISO 8601"),
        (TIMES, {"validation_from": 2, "test_from": 3}, "numbers, as the cuts are"),
    ],
)  # fmt: skip
def test_times_that_cannot_cut(times, cut, message):
    with pytest.raises(InputError, match=message):
        arrays(time=np.array(times, dtype=object), **cut)


def test_time_zones_are_one_line():
    zone = dt.timezone(dt.timedelta(hours=5))
    times = [dt.datetime(2024, 1 + row // 20, 1, 2, tzinfo=(zone if row % 2 else dt.UTC)) for row in range(COUNT)]
    data = arrays(time=np.array(times), validation_from="2024-02-01T00:00+00:00", test_from="2024-03-01T00:00+00:00")
    found = rows_of(data)  # two o'clock in the east is still the day before
    assert sorted(found["test"]) == list(range(40, COUNT, 2))
    assert data.warnings == ("test has no pictures of '1', so that nothing is known of them there.",)
    data = arrays(time=np.array([time.isoformat() for time in times]), **CUT)
    assert rows_of(data) == found
    assert any("read as UTC" in warning for warning in data.warnings)


@given(rows=st.lists(st.integers(0, 5), min_size=COUNT, max_size=COUNT))
def test_the_same_moment_is_on_one_side(rows):
    times = [dt.date(2024, 1 + row, 1) for row in rows]
    cut = {"validation_from": dt.date(2024, 3, 1), "test_from": dt.date(2024, 5, 1)}
    if {row // 2 for row in rows} == {0, 1, 2} and all(
        {label for row, label in zip(rows, LABELS, strict=True) if row // 2 == part} == {0, 1} for part in range(3)
    ):
        found = rows_of(arrays(time=np.array(times), **cut))
        sides = {name: {rows[row] for row in own} for name, own in found.items()}
        assert all(sides[one].isdisjoint(sides[other]) for one, other in itertools.combinations(NAMES, 2))


def test_settings_that_exclude_each_other(tmp_path):
    cut = {"column": "taken", **CUT}
    for entry, message in (
        ({"source": "digits", "group": "patient"}, "no use for `group`"),
        ({"source": "torchvision:CIFAR10", "split_column": "fold"}, "no use for `split_column`"),
        ({"source": "parquet:a", "metadata": "metadata.csv"}, "no use for `metadata`"),
        ({"source": "folder:a", "metadata": "metadata.csv"}, "none of `group`"),
        ({"source": "parquet:a", "split_column": "fold", "time": cut}, "leave one of them out"),
        ({"source": "parquet:a", "group": {"path": "(p)"}}, "name a column"),
        (
            {"source": "parquet:a", "time": {"column": "taken", "test_from": "2024-01-01"}},
            "validation_from' is missing",
        ),
        ({"source": "parquet:a", "group": True}, "quotes"),
        ({"source": "parquet:a", "group": ["patient"]}, "group"),
    ):
        with pytest.raises(InputError, match=message):
            DatasetSpec.parse(entry)
    with pytest.raises(InputError, match="`split` and `time` both"):
        arrays(split=FOLDS, time=TAKEN, **CUT)
    with pytest.raises(InputError, match="give all or none"):
        arrays(time=TAKEN, test_from="2024-01-01")
    with pytest.raises(InputError, match="one value a picture"):
        arrays(group=PATIENTS[1:])


def test_metadata_that_does_not_fit(tmp_path):
    names = pictures_in_folders(tmp_path)
    spec = {"source": f"folder:{tmp_path / 'pets'}", "group": "patient"}
    with pytest.raises(InputError, match=r"has none of metadata.csv"):
        load_dataset(spec)
    rows = [{"file_name": name, "patient": patient} for name, patient in zip(names, PATIENTS, strict=True)]
    beside_csv(tmp_path, rows[1:])
    with pytest.raises(InputError, match=r"1 of 60 pictures .* have no row"):
        load_dataset(spec)
    beside_csv(tmp_path, [*rows, {"file_name": "a/none.png", "patient": "p"}])
    assert "1 rows of the metadata of pets name no picture." in " ".join(load_dataset(spec).warnings)
    beside_csv(tmp_path, [*rows, rows[0]])
    with pytest.raises(InputError, match="twice"):
        load_dataset(spec)
    beside_csv(tmp_path, rows)
    beside_lines(tmp_path, rows)
    with pytest.raises(InputError, match="choose with `metadata`"):
        load_dataset(spec)
    assert load_dataset(spec | {"metadata": "metadata.csv"}).fingerprint
    for name, message in (("nothing.csv", "neither in"), ("metadata.xlsx", "ends in '.xlsx'")):
        (tmp_path / "pets" / "metadata.xlsx").write_text("")
        with pytest.raises(InputError, match=message):
            load_dataset(spec | {"metadata": name})
    (tmp_path / "pets" / "metadata.jsonl").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load_dataset(spec | {"metadata": "metadata.jsonl"})


def test_metadata_in_each_set(tmp_path):
    for at, name in enumerate(("train", "test")):
        place = tmp_path / name
        pictures_in_folders(place, seed=at)
        (place / "pets").rename(tmp_path / f"sets-{name}")
        place.rmdir()
        root = tmp_path / "data"
        root.mkdir(exist_ok=True)
        (tmp_path / f"sets-{name}").rename(root / name)
        lines = [
            json.dumps({"file_name": str(path.relative_to(root / name)), "who": f"{at}{path.name.partition('-')[0]}"})
            for path in sorted((root / name).rglob("*.png"))
        ]
        (root / name / "metadata.jsonl").write_text("\n".join(lines))
    data = load_dataset({"source": f"folder:{root}", "group": "who"})
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 48, "validation": 12, "test": 60}


def test_each_seed_cuts_anew(tmp_path):
    spec = DatasetSpec.parse(as_arrays(tmp_path, COLUMNS) | {"resplit": True})
    cuts = [rows_of(load_dataset(spec, seed=spec.cut_seed(seed))) for seed in (0, 0, 1)]
    assert cuts[0] == cuts[1] != cuts[2]
    assert spec.model_copy(update={"resplit": False}).cut_seed(5) == 0
    told = {"source": spec.source, "split_column": "fold", "resplit": True}
    with pytest.raises(InputError, match="`resplit` has nothing to cut anew"):
        load_dataset(told)
    assert load_dataset(told | {"train": 12}).fingerprint  # which twelve is left to chance


def test_old_runs_keep_their_ids():
    plain = identity_of(DatasetSpec.parse("parquet:a"))
    assert not {"group", "split_column", "time", "metadata", "resplit"} & set(plain)
    spec = DatasetSpec.parse({"source": "parquet:a", "time": {"column": "t", **CUT}})
    assert json.loads(json.dumps(identity_of(spec)))["time"] == {"column": "t", **CUT}
    again = DatasetSpec.parse(spec.model_dump(exclude_unset=True))
    assert again == spec


def test_the_folder_of_the_dataset_may_be_anywhere(tmp_path, monkeypatch):
    spec = in_folders(beside_csv)(tmp_path, COLUMNS) | {"group": "patient"}
    monkeypatch.chdir(tmp_path)
    assert load_dataset({**spec, "source": "folder:pets"}).fingerprint == load_dataset(spec).fingerprint
    assert Path("pets").is_dir()


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_metadata_parted_by_any_mark(tmp_path, mark):
    names = pictures_in_folders(tmp_path)
    suffix = ".tsv" if mark == "\t" else ".csv"
    lines = [
        mark.join(("file_name", "who")),
        *(f"{name}{mark}{who}" for name, who in zip(names, PATIENTS, strict=True)),
    ]
    (tmp_path / "pets" / f"who{suffix}").write_text("\n".join(lines))
    data = load_dataset({"source": f"folder:{tmp_path / 'pets'}", "group": "who", "metadata": f"who{suffix}"})
    assert sum(map(len, data.splits.values())) == COUNT


@pytest.mark.parametrize(("extra", "word"), [(",more", "more"), ("", "fewer")])
def test_rows_of_another_length_are_refused(tmp_path, extra, word):
    names = pictures_in_folders(tmp_path)
    lines = ["file_name,who", *(f"{name},p1" for name in names[:-1]), f"{names[-1]},p2{extra}" if extra else names[-1]]
    (tmp_path / "pets" / "metadata.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match=f"row {COUNT} has {word} cells than the first line"):
        load_dataset({"source": f"folder:{tmp_path / 'pets'}", "group": "who"})
