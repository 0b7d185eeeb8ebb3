"""Files of a run are joined while it is recorded: few at any moment, nothing lost, nothing read twice."""

import itertools
import json
import os
import random
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.errors import StoreError
from ncore.store import Run, RunWriter, Store, create_store, open_store, verify
from ncore.store import _compaction as compaction
from ncore.store._parquet import open_table
from ncore.store.layout import parse_table_file, part_file, table_file
from ncore.store.manifest import FileEntry, Manifest
from ncore.store.schema import TABLES
from tests.store.data import WHO, check_tables, metrics, record, trajectories, write
from tests.store.test_inside import put

KB = 1000
MOST = 50 * KB


def joined(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Epochs and bytes of parts once what is due is done."""
    for some in reversed(compaction.due(parts)):
        inside = parts[some.start : some.stop]
        parts = [*parts[: some.start], (sum(e for e, _ in inside), sum(b for _, b in inside)), *parts[some.stop :]]
    return parts


# What is due


def settled(parts: list[tuple[int, int]]) -> bool:
    """Whether those at the end are, for every level, too few for a file of the next one."""
    for limit in (compaction.FAN_OUT**level for level in range(1, 12)):
        last = list(itertools.takewhile(lambda part, limit=limit: part[0] < limit, reversed(parts)))
        if sum(epochs for epochs, _ in last) >= limit:
            return False
    return True


@given(st.integers(0, 3000), st.integers(2, 16))
def test_files_are_few(epochs: int, fan_out: int) -> None:
    """As many as the number of epochs has, digit by digit."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compaction, "FAN_OUT", fan_out)
        found, digits = joined([(1, 1)] * epochs), []
        while epochs:
            epochs, digit = divmod(epochs, fan_out)
            digits.append(digit)
        wanted = [fan_out**level for level in reversed(range(len(digits))) for _ in range(digits[level])]
        assert [count for count, _ in found] == wanted


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(2, 16))
def test_files_that_lost_epochs_are_joined_as_well(counts: list[int], fan_out: int) -> None:
    """Of predictions any are dropped: so a file may be of a lower level than those that follow."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compaction, "FAN_OUT", fan_out)
        now: list[tuple[int, int]] = []
        for count in counts:
            now = joined([*now, (count, 1)])
            assert settled(now)
        assert now == joined([(count, 1) for count in counts])  # as of a run that was begun before files were joined
        assert sum(count for count, _ in now) == sum(counts)


@given(st.lists(st.integers(1, 200), max_size=400), st.integers(2, 16), st.integers(50, 10_000))
def test_files_are_not_too_large_nor_many_because_they_are_large(sizes: list[int], fan_out: int, largest: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compaction, "FAN_OUT", fan_out)
        patched.setattr(compaction, "LARGEST", largest)
        now: list[tuple[int, int]] = []
        for size in sizes:
            now = joined([*now, (1, size)])
        assert sum(size for _, size in now) == sum(sizes)
        assert all(size <= largest or epochs == 1 for epochs, size in now)
        full = sum(size > largest // 2 for _, size in now)
        assert sum(size for _, size in now) >= full * largest // 2
        assert settled(now) or full


def entry(size: int = 10**8) -> FileEntry:
    return FileEntry(bytes=size, crc32="0" * 8, tail={"bytes": 10**5, "crc32": "0" * 8})


def test_the_manifest_of_2000_epochs_stays_below_50_kb(store: Store) -> None:
    """Of every table at every epoch, the worst there is; the real thing is below, among the slow ones."""
    config = {f"setting {number}": "value" for number in range(50)}
    manifest = record(store, 1, finish=False, config=config).manifest.changed(files={}, tables={}, epochs=[])
    counts: list[int] = []
    for epoch in range(2000):
        counts.append(1)
        for some in compaction.due([(count, 1) for count in counts]):
            counts[some.start : some.stop] = [sum(counts[some.start : some.stop])]
        files, first = {}, 0
        for count in counts:
            files |= {part_file(name, first, first + count - 1): entry() for name in TABLES}
            first += count
        epochs = list(range(epoch + 1))
        if epoch % 37 == 0 or epoch % 256 in (14, 15, 254, 255):
            manifest = manifest.changed(files=files, epochs=epochs, tables=dict.fromkeys(TABLES, epochs))
            data = manifest.to_bytes()
            assert len(data) < MOST, epoch
            assert Manifest.from_bytes(data, "run.json").files == files


@pytest.mark.slow
def test_2000_epochs(store: Store) -> None:
    writer = store.new_run(**WHO, run_id="run", planned_epochs=2000)
    path = Path(store.url) / "run" / "run.json"
    sizes = []
    for epoch in range(2000):
        write(writer, epoch, rows=6)
        sizes.append(path.stat().st_size)
    assert max(sizes) < MOST
    check_tables(store.run("run"), 2000, rows=6)
    writer.finish()
    check_tables(store.run("run"), 2000, rows=6)
    assert not verify(store.url).findings


# What is joined


class Recorded:
    """A run of any tables at any epochs, and what a reader has to find in it."""

    def __init__(self, place: Path, seed: int) -> None:
        self.store, self.rng = create_store(place), random.Random(seed)
        self.epochs: list[int] = []
        self.tables: dict[str, list[int]] = {"metrics": [], "trajectories": [], "predictions": []}

    def writer(self) -> RunWriter:
        return self.store.new_run(**WHO, run_id="run", resume=True)

    def write(self, writer: RunWriter, reader: Run | None) -> None:
        epoch = writer.last_epoch + self.rng.choice((1, 1, 1, 2, 7))
        given: dict[str, Any] = {}
        if self.rng.random() < 0.8:
            given["metrics"] = metrics(epoch)
        if self.rng.random() < 0.5:
            given["trajectories"] = trajectories(epoch, 1 + epoch % 50)
        if self.rng.random() < 0.8:
            given["predictions"] = predictions(epoch)
        listed = self.tables["predictions"]
        dropped = self.rng.sample(listed, self.rng.randint(0, len(listed))) if self.rng.random() < 0.3 else []
        writer.write_epoch(epoch, **given, drop_predictions=dropped)
        self.epochs.append(epoch)
        for name in given:
            self.tables[name].append(epoch)
        for number in dropped:
            self.tables["predictions"].remove(number)
        if self.rng.random() < 0.4:
            self.check(reader)

    def check(self, reader: Run | None) -> None:
        for run in filter(None, (self.store.run("run"), reader)):
            assert run.epochs == self.epochs
            made: dict[str, Any] = {
                "metrics": (run.metrics, metrics),
                "trajectories": (run.trajectory, lambda epoch: trajectories(epoch, 1 + epoch % 50)),
                "predictions": (run.predictions, predictions),
            }
            for name, (read, make) in made.items():
                assert run.recorded_epochs(name) == self.tables[name]
                frame = read()
                assert frame["epoch"].drop_duplicates().tolist() == self.tables[name]
                frames = [pd.DataFrame(make(epoch)).assign(epoch=epoch) for epoch in self.tables[name]]
                if frames:
                    wanted = pd.concat(frames, ignore_index=True)
                    pd.testing.assert_frame_equal(frame[wanted.columns], wanted, check_dtype=False)
            for name, read in (("trajectories", run.trajectory), ("predictions", run.predictions)):
                for epoch in self.epochs[-3:] + self.epochs[:2]:
                    if epoch in self.tables[name]:
                        assert set(read(epoch=epoch)["epoch"]) == {epoch}
                    else:
                        with pytest.raises(StoreError, match=f"no {name} at epoch {epoch}"):
                            read(epoch=epoch)


def predictions(epoch: int) -> dict[str, Any]:
    rows = 1 + epoch % 3
    return {
        "split": ["validation", "test", "test"][:rows],
        "example": [epoch, 0, 1][:rows],
        "label": [1, 2, 3][:rows],
        "predicted": [epoch, 2, 1][:rows],
        "probability": [0.5, 0.25, 0.125][:rows],
        "label_probability": [0.25] * rows,
    }


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 3, 16]), st.booleans(), st.sampled_from([0, 1 << 19]))
def test_any_run_reads_the_same_through_joining(seed: int, fan_out: int, small: bool, kept: int) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patched:
        patched.setattr(compaction, "FAN_OUT", fan_out)
        patched.setattr(compaction, "_KEPT", kept)
        patched.setattr(os, "fsync", lambda handle: None)
        if small:
            patched.setattr(compaction, "LARGEST", 10 * KB)
        run = Recorded(Path(place), seed)
        writer, reader = run.writer(), None
        for _ in range(20):
            if run.rng.random() < 0.2:
                writer.close()
                writer = run.writer()
            run.write(writer, reader)
            reader = reader or run.store.run("run")
        assert not verify(place).findings
        files = reader.manifest.files if reader else {}
        if small:
            assert all(entry.bytes <= 10 * KB for entry in files.values())
        elif fan_out == 2:
            assert len(files) <= 3 * 5
        writer.finish()
        run.check(reader)
        assert not verify(place).findings
        assert {path.name for path in Path(place, "run").iterdir()} <= {"run.json", *map(table_file, TABLES)}


def test_what_was_joined_before_makes_no_difference_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []
    for fan_out, kept in ((2, 1 << 30), (2, 0), (3, 0), (16, 0), (1000, 0)):
        monkeypatch.setattr(compaction, "FAN_OUT", fan_out)
        monkeypatch.setattr(compaction, "_KEPT", kept)
        store = create_store(tmp_path / f"{fan_out}-{kept}")
        writer = store.new_run(**WHO, run_id="run")
        for epoch, rows in enumerate([60, 9000, 7000, 1, 40_000, 300, 16_384, 16_383, 1, 1, 5000]):
            write(writer, epoch, rows)
        writer.finish()
        ends.append(store.run("run").manifest.files)
    assert ends == ends[:1] * len(ends)


def test_an_epoch_is_read_from_its_own_row_groups(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FAN_OUT", 4)
    record(store, 4, rows=10_000, finish=False)
    path = Path(store.url) / "run" / "trajectories" / "00000-00003.parquet"
    groups = pq.ParquetFile(path).metadata
    held = [groups.row_group(number).column(0).statistics for number in range(groups.num_row_groups)]
    assert [(some.min, some.max) for some in held] == [(epoch, epoch) for epoch in range(4)]


def test_a_damaged_file_ends_the_joining_of_its_table_only(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compaction, "FAN_OUT", 3)
    record(store, 2, finish=False)
    folder = Path(store.url) / "run"
    (folder / "metrics" / "00001.parquet").write_bytes(b"damaged")
    run = record(store, 6, finish=False)
    assert caplog.text.count("stays in parts") == 1
    assert [path for path in run.manifest.files if path.startswith("metrics")] == [
        part_file("metrics", epoch) for epoch in range(6)
    ]
    assert "trajectories/00003-00005.parquet" in run.manifest.files
    assert len(run.trajectory()) == 6 * 60
    report = verify(store.url)
    assert [(Path(found.path).name, found.kind) for found in report.findings] == [("00001.parquet", "truncated")]


def test_a_run_that_has_many_files_already(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FAN_OUT", 1000)
    record(store, 20, finish=False)
    monkeypatch.setattr(compaction, "FAN_OUT", 3)
    run = record(store, 21, finish=False)
    held = [some for path in run.manifest.files if (some := parse_table_file(path)) and some[0] == "metrics"]
    assert [len(some) for _, some in held] == [9, 9, 3]
    check_tables(run, 21)
    assert not verify(store.url).findings


def test_files_without_listed_epochs_do_no_harm(store: Store) -> None:
    """No writer leaves such; here are many."""
    folder = Path(record(store, 1, finish=False).url)
    files = json.loads((folder / "run.json").read_bytes())["files"]
    part = (folder / "metrics" / "00000.parquet").read_bytes()
    for epoch in range(1, 300):
        (folder / part_file("metrics", epoch)).write_bytes(part)
        files[part_file("metrics", epoch)] = files["metrics/00000.parquet"]
    put(folder, files=files, epochs=[[0, 299, 1]])
    writer = store.new_run(**WHO, run_id="run", resume=True)
    writer.write_epoch(300, metrics=metrics(300))
    writer.close()
    run = store.run("run")
    assert len(run.manifest.files_of("metrics")) < 32
    writer = store.new_run(**WHO, run_id="run", resume=True)
    writer.finish()
    assert run.metrics()["epoch"].unique().tolist() == [0, 300]
    assert not verify(store.url).findings


# Reading meanwhile


def until_gone(writer: RunWriter, path: str) -> None:
    """Go on until a file is part of another."""
    while path in writer._manifest.files:
        write(writer, writer.last_epoch + 1)


@pytest.mark.parametrize("ends", [False, True])
def test_a_reader_under_whom_files_are_joined_reads_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(compaction, "FAN_OUT", 2)
    writer = store.new_run(**WHO, run_id="run")
    write(writer, 0)
    run = store.run("run")
    opened: list[str] = []

    def join_first(folder: object, path: str, *rest: object, **options: object) -> object:
        opened.append(path)
        if len(opened) < 5:  # between the manifest and a file that it lists
            until_gone(writer, path)
        elif len(opened) == 5 and ends:
            writer.finish()
        return open_table(folder, path, *rest, **options)

    monkeypatch.setattr("ncore.store.reader.open_table", join_first)
    frame = run.trajectory()
    assert len(opened) >= 5
    epochs = frame["epoch"].drop_duplicates().tolist()
    assert epochs == list(range(writer.last_epoch + 1))
    assert len(frame) == 60 * len(epochs)
    writer.close()


def test_verify_is_not_misled_by_files_that_are_joined(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("ncore.store.verify")
    check_file, looked = module._check_file, list[str]()

    def join_first(folder: object, path: str, *rest: object) -> None:
        looked.append(path)
        if len(looked) < 5:
            until_gone(writer, path)
        check_file(folder, path, *rest)

    monkeypatch.setattr(compaction, "FAN_OUT", 2)
    monkeypatch.setattr(module, "_check_file", join_first)
    writer = store.new_run(**WHO, run_id="run")
    write(writer, 0)
    assert not verify(store.url).findings
    assert len(looked) == len(set(looked)) > 5  # what is sound is not read twice
    writer.close()


# Manifests that contradict themselves


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), min_size=1, max_size=5, unique=True), st.booleans())
def test_a_manifest_whose_files_overlap_is_refused(shared: Path, spans: list[tuple[int, int]], whole: bool) -> None:
    held = [range(first, first + more + 1) for first, more in spans]
    names = {part_file("metrics", some[0], some[-1]) for some in held} | ({"metrics.parquet"} if whole else set())
    listed: Sequence[int] = sorted({epoch for some in held for epoch in some})
    twice = sum(map(len, held)) > len(listed) or whole
    tables = {"metrics": [[epoch, epoch, 1] for epoch in listed]}
    put(shared / "run", files={name: entry(5).model_dump() for name in sorted(names)}, tables=tables)
    rows = open_store(shared).runs().set_index("run")
    assert rows.loc["other", "status"] == "interrupted"
    if twice:
        assert rows.loc["run", "status"] == "unreadable"
        assert "two files of the table metrics that hold epoch" in rows.loc["run", "reason"]
        with pytest.raises(StoreError, match="two files of the table metrics"):
            open_store(shared).run("run")
        assert not verify(shared).ok
    else:
        assert rows.loc["run", "status"] == "interrupted"


@pytest.mark.parametrize("missing", [0, 5, 13, 20])
def test_a_manifest_with_epochs_that_no_file_has_is_refused(store: Store, missing: int) -> None:
    folder = Path(record(store, 1, finish=False).url)
    listed = [0, 5, 13, 20]
    files = {part_file("metrics", epoch, epoch + 2): entry(5).model_dump() for epoch in listed if epoch != missing}
    put(folder, files=files, tables={"metrics": [[epoch, epoch, 1] for epoch in listed]})
    assert "epochs of the table metrics that are in none of its files" in store.runs().loc[0, "reason"]


@pytest.fixture(scope="module")
def shared() -> Any:
    """A store of two unfinished runs, one of which is to be spoilt."""
    with tempfile.TemporaryDirectory() as place:
        store = create_store(place)
        record(store, 1, finish=False)
        record(store, 1, finish=False, run_id="other")
        yield Path(place)


NAMES = (
    "00003-00003", "00003-00002", "000003", "3-4", "00000-2147483648", "00003-", "-00003", "00001-00002-00003",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_one_name(store: Store, name: str) -> None:
    name = f"metrics/{name}.parquet"
    assert parse_table_file(name) is None
    folder = Path(record(store, 1, finish=False).url)
    put(folder, files={**json.loads((folder / "run.json").read_bytes())["files"], name: entry(5).model_dump()})
    assert "cannot be a file of a run" in store.runs().loc[0, "reason"]


# What is recorded anew


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.data())
def test_epochs_recorded_anew_are_as_if_recorded_once(epochs: int, data: st.DataObject) -> None:
    """Also where a file that was joined reaches past the first of them."""
    first = data.draw(st.integers(0, epochs - 1))
    with tempfile.TemporaryDirectory() as place:
        store = create_store(place)
        with store.new_run(**WHO, run_id="run") as writer:
            for epoch in range(epochs):
                write(writer, epoch, rows=6 if epoch < first else 11)
            writer.drop_from(first)
            assert writer.last_epoch == first - 1
            check_tables(store.run("run"), first, rows=6)
            for epoch in range(first, epochs):
                write(writer, epoch, rows=6)
                if epoch == first:
                    check_tables(store.run("run"), epoch + 1, rows=6)
        check_tables(store.run("run"), epochs, rows=6)
        assert not verify(place).findings
