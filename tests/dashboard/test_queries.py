from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_up_runs import begin, record, write_epoch
from ncore_dashboard.data.library import Library

from ncore.errors import StoreError
from ncore.store import create_store


def look_again(books: Library) -> None:
    """Let the next listing look at the stores."""
    for source in books.sources:
        source.due = 0.0


def test_runs_of_several_stores_are_one_table_the_newest_first(store: Path, hostile: Path) -> None:
    books = Library([str(store), str(hostile)])
    runs = books.runs()
    assert len(runs) == 9
    assert runs["key"].is_unique
    assert set(runs["store"]) == {"small", "hostile"}
    assert runs["created"].is_monotonic_decreasing
    assert books.problems == []


def test_stores_of_one_name_are_told_apart(tmp_path: Path) -> None:
    books = Library([str(tmp_path / "a" / "runs"), str(tmp_path / "b" / "runs")])
    assert [source.label for source in books.sources] == ["runs (1)", "runs (2)"]


def test_nothing_changes_while_nothing_changes(books: Library) -> None:
    runs, version = books.runs(), books.version()
    look_again(books)
    assert books.runs() is runs
    assert books.version() == version


def test_a_store_that_comes_into_being_is_found(tmp_path: Path) -> None:
    books = Library([str(tmp_path / "later")])
    assert books.runs().empty
    assert "There is no folder" in books.problems[0].message
    version = books.version()
    record(create_store(tmp_path / "later"), "lenet")
    look_again(books)
    assert len(books.runs()) == 1
    assert books.version() != version
    assert books.problems == []


def test_other_stores_go_on_without_one_of_the_future(store: Path, tmp_path: Path) -> None:
    (tmp_path / "ncore-store.json").write_text(json.dumps({"format": "ncore-store", "schema": 99}))
    books = Library([str(tmp_path), str(store)])
    assert len(books.runs()) == 6
    assert "version 99" in books.problems[0].message
    assert all(key.startswith("1~") for key in books.runs()["key"])


def test_a_run_is_followed_as_it_grows(tmp_path: Path) -> None:
    opened = create_store(tmp_path / "live")
    books = Library([str(tmp_path / "live")])
    with begin(opened, "lenet") as writer:
        for epoch in range(3):
            write_epoch(writer, epoch)
        look_again(books)
        key = books.runs()["key"][0]
        assert books.curve(key).epochs.tolist() == [1, 2]
        assert len(books.sparkline(key)) == 3
        write_epoch(writer, 3)
        look_again(books)
        books.runs()
        assert books.curve(key).epochs.tolist() == [1, 2, 3]
        assert books.metrics(key)["epoch"].max() == 3


def test_tables_are_read_once(books: Library) -> None:
    key = books.runs()["key"][0]
    assert books.metrics(key) is books.metrics(key)
    assert books.curve(key) is books.curve(key)


def test_a_run_that_is_deleted_is_named(copy: Path) -> None:
    books = Library([str(copy)])
    key = books.runs()["key"][0]
    shutil.rmtree(copy / key.partition("~")[2])
    look_again(books)
    assert len(books.runs()) == 5
    with pytest.raises(StoreError, match="was it deleted"):
        books.metrics(key)


def test_what_is_read_meanwhile_of_a_deleted_run_is_an_error_too(copy: Path) -> None:
    books = Library([str(copy)])
    key = books.runs()["key"][0]
    shutil.rmtree(copy / key.partition("~")[2])
    with pytest.raises(StoreError, match="is missing"):
        books.metrics(key)


@pytest.mark.parametrize("key", ["0~../../etc/passwd", "9~x", "", "x", "0~", "-1~run", "²~x"])
def test_only_listed_runs_are_opened(books: Library, key: str) -> None:
    books.runs()
    with pytest.raises(StoreError, match="not in the store"):
        books.run(key)


def test_damaged_runs_leave_the_others_alone(broken: Path) -> None:
    books = Library([str(broken)])
    runs = books.runs()
    assert (runs["status"] == "unreadable").sum() == 2
    readable = runs[runs["status"] != "unreadable"]["key"]
    metrics, problems = books.table(readable, "metrics")
    assert metrics["key"].nunique() == 3
    assert len(problems) == 1
    capacitance, problems = books.table(readable, "capacitance")
    assert capacitance["key"].nunique() == 3
    assert len(problems) == 1
    statuses = [books.curve(key).status for key in readable]
    assert statuses.count("unreadable") == 2
    assert all(books.sparkline(key) or books.curve(key).status == "unreadable" for key in readable)


def test_sparklines_stop_when_time_is_up(books: Library) -> None:
    keys = books.runs()["key"]
    some, complete = books.sparklines(keys, seconds=-1)
    assert some == {}
    assert not complete
    every, complete = books.sparklines(keys, seconds=60)
    assert complete
    assert set(every) == set(keys)
    assert books.sparklines(keys, seconds=-1) == (every, True)


def test_tables_name_candidate_and_seed(books: Library) -> None:
    table, problems = books.table(books.runs()["key"], "capacitance")
    assert problems == []
    assert list(table.columns[:3]) == ["key", "candidate", "seed"]
    assert set(table["candidate"]) == {"resnet", "lenet", "dense"}


def test_clocks_are_by_candidate(books: Library) -> None:
    clocks = books.clocks(books.runs()["key"])
    assert {name: len(group) for name, group in clocks.items()} == {"resnet": 2, "lenet": 2, "dense": 2}
    assert clocks["lenet"][0].at(6) == 12.0


def test_what_is_remembered_is_made_again_when_a_run_changes(tmp_path: Path) -> None:
    opened = create_store(tmp_path / "live")
    books = Library([str(tmp_path / "live")])
    with begin(opened, "lenet") as writer:
        write_epoch(writer, 0)
        keys = books.runs()["key"].tolist()
        assert books.remembered("x", keys, lambda: 1) == 1
        assert books.remembered("x", keys, lambda: 2) == 1
        write_epoch(writer, 1)
        look_again(books)
        books.runs()
        assert books.remembered("x", keys, lambda: 3) == 3


def test_a_store_by_url_reads_like_a_folder() -> None:
    opened = create_store("memory://dashboard-test")
    run = record(opened, "lenet")
    books = Library(["memory://dashboard-test"])
    key = books.runs()["key"][0]
    assert key == f"0~{run}"
    assert np.isfinite(books.curve(key).accuracy).all()
