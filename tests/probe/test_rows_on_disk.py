"""What memory is too small for lies in files: each row made once, by one process, whatever kills it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import PIL
import pytest
import torch

from ncore.errors import InputError
from ncore.probe import rows_on_disk
from ncore.probe.candidates import load_candidate
from ncore.probe.datasets import load_dataset
from ncore.probe.images import InputSpec
from ncore.probe.job import Job
from ncore.probe.rows_on_disk import beside, empty, on_disk, size
from ncore.probe.settings import TrainingSettings, UnitSettings
from ncore.probe.sources.candidate_spec import CandidateSpec
from ncore.probe.sources.dataset_spec import DatasetSpec
from ncore.store import create_store

COUNT = 10_000
SHAPE = (3, 5)


def digests(first=0, count=COUNT):
    return np.array([f"{at:016}".encode() for at in range(first, first + count)], dtype="S16")


def values(rows, first=0):
    return ((rows + first)[:, None, None] * 31 + np.arange(15).reshape(SHAPE)).astype(np.int32)


class Maker:
    """Makes rows, and counts them."""

    def __init__(self, first=0, slowly=0.0, stop=None):
        self.made, self.first, self.slowly, self.stop = [], first, slowly, stop

    def __call__(self, rows):
        for at in range(0, len(rows), 100):
            if self.stop is not None and len(self.made) >= self.stop:
                raise KeyboardInterrupt
            time.sleep(self.slowly)
            some = rows[at : at + 100]
            self.made += some.tolist()
            yield values(some, self.first)


def rows(place, maker, first=0, count=COUNT, kind="a"):
    return on_disk(place, kind, digests(first, count), SHAPE, np.int32, maker)


def test_rows_are_made_once(tmp_path):
    first, second = Maker(), Maker()
    found = rows(tmp_path, first)
    assert np.array_equal(found, values(np.arange(COUNT)))
    assert np.array_equal(rows(tmp_path, second), found)
    assert (len(first.made), len(second.made)) == (COUNT, 0)
    assert size(tmp_path) == found.nbytes


def test_what_is_written_to_stays_in_memory(tmp_path):
    rows(tmp_path, Maker())[0] = 7
    assert np.array_equal(rows(tmp_path, Maker()), values(np.arange(COUNT)))


def test_a_smaller_or_overlapping_draw_takes_what_is_there(tmp_path):
    rows(tmp_path, Maker())
    smaller, more = Maker(first=50), Maker(first=9000)
    assert np.array_equal(rows(tmp_path, smaller, 50, 400), values(np.arange(400), 50))
    assert np.array_equal(rows(tmp_path, more, 9000, 3000), values(np.arange(3000), 9000))
    assert smaller.made == []
    assert more.made == list(range(1000, 3000))


def test_rows_that_are_made_otherwise_are_others(tmp_path):
    rows(tmp_path, Maker())
    other = Maker()
    rows(tmp_path, other, kind="b")
    assert len(other.made) == COUNT


def test_what_was_broken_off_is_gone_on_with(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        rows(tmp_path, Maker(stop=6000))
    assert not list(tmp_path.glob("*/*.rows"))
    (part,) = tmp_path.glob("*/*.part")
    with part.open("ab") as file:
        file.write(b"torn")
    second = Maker()
    assert np.array_equal(rows(tmp_path, second), values(np.arange(COUNT)))
    assert 0 < len(second.made) < COUNT
    assert not list(tmp_path.glob("*/*.part"))


def _make(place, queue):
    maker = Maker(slowly=0.01)
    found = rows(place, maker)
    queue.put((len(maker.made), bool(np.array_equal(found, values(np.arange(COUNT))))))


def test_several_processes_make_rows_once_though_one_is_killed(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    first = context.Process(target=_make, args=(tmp_path, queue))
    first.start()
    end = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.glob("*/*.part")):
        assert time.monotonic() < end
        time.sleep(0.01)
    others = [context.Process(target=_make, args=(tmp_path, queue)) for _ in range(3)]
    for other in others:
        other.start()
    os.kill(first.pid, signal.SIGKILL)
    found = [queue.get(timeout=120) for _ in others]
    for process in (first, *others):
        process.join(60)
    assert all(right for _, right in found)
    made = sorted(count for count, _ in found)
    assert made[:2] == [0, 0]
    assert made[2] < COUNT  # what the killed one had written was not made again


def test_the_folder_is_bounded_and_emptied(tmp_path, monkeypatch):
    whole = rows(tmp_path, Maker()).nbytes
    monkeypatch.setenv("NCORE_CACHE_GB", str(2.5 * whole / 1e9))
    for at in range(1, 4):
        rows(tmp_path, Maker(first=at * COUNT), at * COUNT)
        os.utime(max(tmp_path.glob("*/*.rows"), key=lambda path: path.stat().st_mtime), (at, at))
    kept = rows(tmp_path, Maker(), kind="b")
    assert size(tmp_path) <= 2.5 * whole
    assert empty(tmp_path) > 0
    assert list(tmp_path.rglob("*")) == [] or not tmp_path.exists()
    assert np.array_equal(kept, values(np.arange(COUNT)))  # is still mapped


def test_a_disk_that_is_too_small_is_said_before(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_on_disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(InputError, match=r"the disk has 0\.0 GB left: empty it with `ncore cache STORE --empty`"):
        rows(tmp_path, Maker())


GREY = InputSpec(channels=1, size=16, mean=(0.5,), std=(0.5,))


def test_pictures_from_disk_are_those_from_memory(tmp_path, monkeypatch):
    held = load_dataset("digits").splits["train"].tensor(GREY)
    monkeypatch.setenv("NCORE_MEMORY_GB", "0")
    data = load_dataset("digits", place=tmp_path)
    mapped = data.splits["train"].tensor(GREY)
    assert size(tmp_path) == mapped.nbytes
    assert torch.equal(held, mapped)
    assert data.splits["train"].warnings == []
    fewer = load_dataset("digits", train=300, place=tmp_path).splits["train"]
    monkeypatch.setattr(type(fewer.items), "__getitem__", lambda *_: pytest.fail("it is there"))
    kind = f"pixels {GREY.made_alike} {data.modality.conversion} Pillow {PIL.__version__}"
    on_disk(
        tmp_path,
        kind,
        fewer.content["digest"],
        (1, 16, 16),
        np.uint8,
        lambda rows: iter(() if not len(rows) else pytest.fail("it is there")),
    )


def test_a_broken_picture_is_named_by_workers(tmp_path, monkeypatch):
    from ncore.probe.modalities import _decoding

    monkeypatch.setenv("NCORE_MEMORY_GB", "0")
    monkeypatch.setattr(_decoding, "_WORTHWHILE", 10)
    split = load_dataset("digits", place=tmp_path).splits["train"]
    assert torch.equal(split.tensor(GREY), load_dataset("digits").splits["train"].tensor(GREY))
    split.items.array = list(split.items.array)
    split.items.array[split.indices[700]] = None
    with pytest.raises(InputError, match=f"picture {split.indices[700]} of digits cannot be decoded") as error:
        list(_decoding.Decoding(split.items, split.indices, GREY, split.modality.conversion).stream(np.arange(1000)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", ["unit", "all"])
def test_runs_from_disk_are_those_from_memory(tmp_path, monkeypatch, mode):
    def run(name):
        store = create_store(tmp_path / name)
        job = Job(
            candidate=CandidateSpec.parse("lenet"),
            dataset=DatasetSpec.parse({"source": "digits", "train": 400}),
            training=TrainingSettings(mode=mode, epochs=2),
        )
        return store, store.run(job.run(store)).metrics().drop(columns="seconds")

    _, held = run("held")
    monkeypatch.setenv("NCORE_MEMORY_GB", "0")
    store, mapped = run("mapped")
    assert held.equals(mapped)
    files = len(list(beside(store).glob("*/*.rows")))
    assert files == (5 if mode == "unit" else 3)  # pictures of three sets, features of two
    store.delete(store.run_ids()[0])
    _, again = run("mapped")
    assert len(list(beside(store).glob("*/*.rows"))) == files
    assert again.equals(mapped)


def test_features_are_those_of_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("NCORE_MEMORY_GB", "0")
    store = create_store(tmp_path / "runs")
    for seed, unit in ((0, 0), (1, 0), (0, 1)):
        Job(
            candidate=CandidateSpec.parse("lenet"),
            dataset=DatasetSpec.parse({"source": "digits", "train": 400}),
            training=TrainingSettings(mode="unit", epochs=1, unit=UnitSettings(seed=unit)),
            seed=seed,
        ).run(store)
    kinds = [folder for folder in beside(store).iterdir() if len(list(folder.glob("*.rows"))) == 2]
    assert len(kinds) == 2  # random weights differ with the seed
    assert load_candidate("lenet").feature_dim == 84
