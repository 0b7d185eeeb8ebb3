"""Whatever is wrong with one run stays inside it: the others are listed, checked, and read."""

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ncore.errors import NcoreError, StoreError
from ncore.predict.curves import curves_from_store
from ncore.store import RunWriter, Store, open_store, verify
from ncore.store.layout import checksum
from ncore.store.schema import TABLES
from tests.store.data import WHO, check_tables, record, write


def hold(store: Store, bad: str | None = "bad") -> str:
    """Check that the good run is there, whatever the bad one is; returns what is said of that."""
    opened = open_store(store.url)
    runs = opened.runs().set_index("run")
    assert runs.loc["good", "status"] == "finished"
    assert {curve.candidate for curve in curves_from_store(opened)} >= {"builtin:dense"}
    check_tables(opened.run("good"), 2)
    report = verify(store.url)
    assert not [found for found in report.findings if "/good" in found.path]
    json.dumps([str(found) for found in report.findings])
    if bad is None:
        return ""
    for read in ("metrics", "capacitance", "trajectory"):
        with contextlib.suppress(NcoreError):
            getattr(opened.run(bad), read)()
    if runs.loc[bad, "status"] != "unreadable":
        return ""
    assert not report.ok
    return str(runs.loc[bad, "reason"])


@pytest.fixture
def folder(store: Store) -> Path:
    """The run that something will be wrong with; another one is beside it."""
    record(store, 2, run_id="good")
    return Path(record(store, 2, run_id="bad", candidate="bad").url)


# The manifest


def put(folder: Path, **values: Any) -> None:
    """Change a manifest, with its checksum right."""
    path = folder / "run.json"
    content = {**json.loads(path.read_bytes()), **values}
    content.pop("crc32")
    body = json.dumps(content).encode()[1:]
    path.write_bytes(b'{"crc32": "' + checksum(body).encode() + b'",\n' + body)


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


HUGE = [2**63, 2**64, -(2**63) - 1, 10**400]
SAID: list[dict[str, Any]] = [
    *({"seed": value} for value in [*HUGE, "x", None, 0.5]),
    *({"planned_epochs": value} for value in [*HUGE, -1, [1]]),
    *({"epochs": value} for value in [[2**31], [-1], ["a"], 5, [10**400]]),
    *({"created": value} for value in ["2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 10**30]),
    *({"updated": value} for value in ["2026-01-01T00:00:00", "2999-01-01T00:00:00Z", None]),
    *({"candidate": value} for value in [5, None, ["a"], "x" * 2000]),
    *({"summary": {name: value}} for name in ("parameters", "seconds") for value in [10**400, 2**70, "x", [], -1]),
    {"info": {"parameters": 2**63}, "summary": {}},
    {"info": {"parameters": 0.5}, "summary": {}},
    *({"writer": {"host": "h", "pid": value, "token": "t"}} for value in [2**63, -1, 10**30, "p"]),
    {"files": {"metrics.parquet": {"bytes": 2**63, "crc32": "0" * 8}}},
    {"files": {f"{name}.parquet": {"bytes": 2**63 - 1, "crc32": "0" * 8} for name in TABLES}},
    {"files": {"metrics.parquet": {"bytes": 5, "crc32": "0" * 8, "tail": {"bytes": 2**62, "crc32": "0" * 8}}}},
    {"tables": {"metrics": [2**40]}},
    {"config": deep(900)},
    {"info": deep(100)},
    {"notes": 7},
    {"status": "lost"},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SAID)))
def test_a_manifest_with_nonsense(store: Store, folder: Path, number: int) -> None:
    put(folder, **{"status": ("finished", "running")[number % 2], **SAID[number]})
    hold(store)


def test_a_run_that_cannot_be_listed_says_why(store: Store, folder: Path) -> None:
    put(folder, seed=2**63)
    assert "seed is 9223372036854775808" in hold(store)
    put(folder, seed=0, summary={"parameters": 2**63})
    assert "'parameters' is 9223372036854775808, but it must be a whole number" in hold(store)


ERRORS = [
    TypeError("x"), OverflowError(), RecursionError("deep"), MemoryError(), KeyError("k"), ZeroDivisionError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), OSError(5, "Input/output error"), pa.ArrowInvalid("bad"),
    pa.ArrowMemoryError("much"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_any_exception_in_reading_one_run(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from ncore.store.manifest import Manifest

    original = Manifest.from_bytes.__func__  # type: ignore[attr-defined]

    def failing(kind: type[Manifest], data: bytes, path: str) -> Manifest:
        if "/bad/" in path:
            raise error
        found: Manifest = original(kind, data, path)
        return found

    monkeypatch.setattr(Manifest, "from_bytes", classmethod(failing))
    assert hold(store)


def test_numbers_in_a_listing_stay_what_they_are(store: Store) -> None:
    for seed in (2**53 + 1, 2**63 - 1):
        record(store, 1, run_id=f"seed{seed}", seed=seed)
    (Path(store.url) / "broken").mkdir()
    (Path(store.url) / "broken" / "run.json").write_text("{}")  # so that the column has a gap
    assert set(store.runs()["seed"].dropna()) == {2**53 + 1, 2**63 - 1}


# The tables


def replace_table(folder: Path, name: str, table: pa.Table, **options: Any) -> None:
    """Another table, with all checksums right."""
    path = folder / f"{name}.parquet"
    metadata = pq.read_metadata(path).metadata
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.add_key_value_metadata(metadata)
        writer.write_table(table, **options)
    data = path.read_bytes()
    tail = data[-int.from_bytes(data[-8:-4], "little") - 8 :]
    entry = {
        "bytes": len(data),
        "crc32": checksum(data),
        "tail": {"bytes": len(tail), "crc32": checksum(tail)},
    }
    put(folder, files=json.loads((folder / "run.json").read_bytes())["files"] | {path.name: entry})


def test_more_rows_than_a_file_can_honestly_hold(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pq.read_table(folder / "metrics.parquet")
    many = table.take(pa.array(np.zeros((1 << 20) + 1, np.int64)))
    replace_table(folder, "metrics", many, row_group_size=1 << 21)
    assert (folder / "metrics.parquet").stat().st_size < 50_000
    with pytest.raises(StoreError, match="a row group says it has 1048577 rows, but at most 1048576 are written"):
        store.run("bad").metrics()
    hold(store)
    assert "corrupt" in {found.kind for found in verify(folder).findings}
    monkeypatch.setattr("ncore.store._parquet.WHOLE", 0)
    with pytest.raises(StoreError, match="1048577 rows"):
        store.run("bad").metrics()


@pytest.mark.parametrize("whole", [0, 4 << 20])
def test_text_that_is_no_text(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    monkeypatch.setattr("ncore.store._parquet.WHOLE", whole)
    table = pq.read_table(folder / "metrics.parquet")
    raw = pa.array([b"\xff\xfe"] * len(table), pa.binary())
    invalid = pa.Array.from_buffers(pa.string(), len(table), raw.buffers())
    replace_table(folder, "metrics", table.set_column(3, table.schema.field(3), invalid))
    with pytest.raises(StoreError):
        store.run("bad").metrics()
    hold(store)


@pytest.mark.parametrize("change", ["empty", "ragged", "negative", "gap", "far"])
def test_a_line_graph_that_is_none(store: Store, folder: Path, change: str) -> None:
    frame = pq.read_table(folder / "line_graph.parquet").to_pandas()
    if change == "empty":
        frame = frame[:0]
    elif change == "ragged":
        frame["values"] = [np.ones(1 + row % 3, np.float32) for row in range(len(frame))]
    elif change == "negative":
        frame["layer"] = -frame["layer"]
    elif change == "gap":
        frame = frame[frame["factor"] != "slopes"]
    else:
        frame["layer"] = np.int32(2**31 - 1)
    table = pa.Table.from_pandas(pd.DataFrame(frame), TABLES["line_graph"].schema, preserve_index=False)
    replace_table(folder, "line_graph", table)
    with pytest.raises(StoreError):
        store.run("bad").line_graph(0)
    hold(store)


# What lies there is no file


def pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # as /dev/zero, which never ends
    except PermissionError:
        pytest.skip("only root makes devices")


def link(path: Path) -> None:
    aside = path.parent.parent / "aside.txt"
    aside.write_bytes(b"x")
    path.symlink_to(aside)


def loop(path: Path) -> None:
    path.symlink_to(path)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


FILES = (
    ("run.json", 0),
    ("metrics.parquet", 0),
    ("metrics.parquet", 4 << 20),
    (".lock", 0),
    ("checkpoint-000001-00000000.safetensors", 0),
    ("metrics", 0),
)


@pytest.mark.skipif(os.name == "nt", reason="there are no such things there")
@pytest.mark.parametrize(("name", "whole"), FILES)
@pytest.mark.parametrize("make", [pipe, a_socket, device, link, loop, sparse, Path.mkdir])
def test_something_else_in_place_of_a_file(
    store: Store, folder: Path, make: Callable[[Path], None], name: str, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "checkpoint-000001-00000000.safetensors" and make is sparse:
        pytest.skip("a checkpoint may be of any size")
    monkeypatch.setattr("ncore.store._parquet.WHOLE", whole)
    put(folder, status="running" if name == ".lock" else "interrupted")
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    hold(store)
    try:
        writer = store.new_run(**{**WHO, "candidate": "bad"}, run_id="bad", resume=True)
    except NcoreError:
        return
    writer.load_checkpoint()
    try:
        write(writer, 2)
        writer.finish()
    except NcoreError:
        writer.close()
    hold(store)


@pytest.mark.parametrize("make", [pipe, a_socket, link, loop, Path.mkdir])
def test_something_else_in_place_of_the_stores_mark(store: Store, make: Callable[[Path], None]) -> None:
    mark = Path(store.url) / "ncore-store.json"
    mark.unlink()
    make(mark)
    with pytest.raises(StoreError):
        open_store(store.url)
    assert not verify(store.url).ok or make is Path.mkdir


# Links


@pytest.mark.parametrize(
    "name", [".run.json.tmp", "run.json", ".lock", "metrics/.00000.parquet.tmp", "metrics/00000.parquet"]
)
def test_a_link_that_lies_in_wait_is_not_written_through(store: Store, tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    path = Path(store.url) / "run" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(precious)
    try:
        with store.new_run(**WHO, run_id="run") as writer:
            write(writer, 0)
    except StoreError:
        pass  # refused
    assert precious.read_text() == "precious"
    assert precious.stat().st_nlink == 1


def test_the_name_of_a_temporary_file_cannot_be_known(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    original = os.replace

    def watching(source: str, target: str) -> None:
        seen.append(source)
        original(source, target)

    monkeypatch.setattr(os, "replace", watching)
    record(store, 2)
    assert len({os.path.basename(name) for name in seen}) == len(seen) > 8


def test_a_folder_of_a_table_behind_a_link(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    writer = store.new_run(**WHO, run_id="run")
    (Path(store.url) / "run" / "metrics").symlink_to(outside)
    with pytest.raises(StoreError, match="symbolic link"):
        write(writer, 0)
    writer.close()
    store.delete("run")
    assert list(outside.iterdir()) == []


# Runs that are left out


@pytest.mark.parametrize(
    "name", ["my run", "run (copy)", "-run", "_run", "rün", "x" * 129, "a,b", os.fsdecode(b"caf\xe9")]
)
@pytest.mark.parametrize("linked", [False, True])
def test_runs_that_are_left_out_are_named(store: Store, tmp_path: Path, name: str, linked: bool) -> None:
    record(store, 2, run_id="good")
    run = Path(record(store, 2, run_id="bad").url)
    if linked:
        run.rename(tmp_path / "elsewhere")
        (Path(store.url) / name).symlink_to(tmp_path / "elsewhere")
    else:
        run.rename(run.with_name(name))
    hold(store, None)
    assert store.run_ids() == ["good"]
    (row,) = (row for row in store.runs().to_dict("records") if row["run"] != "good")
    assert row["status"] == "unreadable"
    assert ("links inside a store are not followed" if linked else "rename the folder") in row["reason"]
    (found,) = verify(store.url).findings
    assert found.kind == "unreadable"
    assert row["run"] in found.path
    for text in (row["run"], row["reason"], str(found)):
        text.encode()


def test_folders_that_are_no_runs_are_not_listed(store: Store) -> None:
    record(store, 2, run_id="good")
    for name in ("my pictures", ".git", "__pycache__", ".good.0.deleted.tmp"):
        (Path(store.url) / name).mkdir()
    assert store.runs()["run"].tolist() == ["good"]


# Checkpoints, deletions


def test_what_is_no_checkpoint_is_not_given_as_one(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    from ncore.store.layout import checkpoint_file

    folder = Path(record(store, 2, finish=False).url)
    (folder / checkpoint_file(3, b"whole")).write_bytes(b"whole")
    (folder / checkpoint_file(5, b"cut off")).write_bytes(b"cut")
    (folder / checkpoint_file(10**13, b"far")).write_bytes(b"")
    (folder / "outside").write_bytes(b"linked")
    (folder / checkpoint_file(7, b"linked")).symlink_to("outside")
    os.mkfifo(folder / checkpoint_file(8, b"pipe"))
    writer = store.new_run(**WHO, run_id="run", resume=True)
    assert writer.load_checkpoint() == b"whole"
    assert caplog.text.count("A checkpoint is not used") == 2
    writer.save_checkpoint(b"next")
    assert writer.load_checkpoint() == b"next"
    writer.close()


def test_deletions_that_were_killed_are_completed(store: Store) -> None:
    record(store, 2)
    record(store, 2, run_id="other")
    (Path(store.url) / "other").rename(Path(store.url) / ".other.0123.deleted.tmp")
    assert [found.kind for found in verify(store.url).findings] == ["leftover"]
    store.delete("run")
    assert [path.name for path in Path(store.url).iterdir()] == ["ncore-store.json"]


def test_a_part_is_not_blamed_for_a_full_disk(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writer: RunWriter = store.new_run(**WHO, run_id="run")
    write(writer, 0)
    with monkeypatch.context() as patched:
        patched.setattr("ncore.store._parquet.CheckedSink.write", full)
        writer.finish()
    assert "could not be written: No space left on device" in caplog.text
    assert "corrupt" not in caplog.text
    check_tables(store.run("run"), 1)
