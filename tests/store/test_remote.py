"""Stores that are not local folders: memory, an S3 server, a web server."""

import functools
import http.server
import json
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ncore.errors import StoreError
from ncore.store import Store, create_store, open_store, verify
from ncore.store._folder import folder_at
from ncore.store.manifest import Manifest
from tests.store.data import WHO, check_tables, record, write

Place = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def s3() -> Iterator[Place]:
    """A bucket on an S3 server of its own."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "key": "k",
        "secret": "s",
        "client_kwargs": {"endpoint_url": f"http://{host}:{port}"},
    }
    import s3fs

    s3fs.S3FileSystem(**options).mkdir("bucket")
    yield "s3://bucket", options
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest) -> Place:
    """An empty place of either kind, and the options to reach it."""
    root, options = ("memory://", {}) if request.param == "memory" else request.getfixturevalue("s3")
    return f"{root}/{uuid.uuid4().hex}", options


@pytest.fixture
def remote(place: Place) -> Store:
    return create_store(*place)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_run_from_begin_to_end(remote: Store, place: Place, asynchronous: bool) -> None:
    writer = remote.new_run(**WHO, run_id="run", asynchronous=asynchronous)
    for epoch in range(4):
        write(writer, epoch)
        writer.save_checkpoint(b"state %d" % epoch)
        if not asynchronous:
            check_tables(open_store(*place).run("run"), epoch + 1)
    assert writer.load_checkpoint() == b"state 3"
    assert remote.runs().status.tolist() == ["running"]
    writer.finish()
    run = open_store(*place).run("run")
    check_tables(run, 4)
    assert run.status == "finished"
    assert len(run.trajectory(epoch=2, synapses=[0, 7])) == 2
    names = {entry.name for entry in folder_at(*place).child("run").entries()}
    tables = {"metrics.parquet", "capacitance.parquet", "trajectories.parquet", "line_graph.parquet"}
    assert names == {"run.json", *tables}
    report = verify(*place)
    assert report.ok
    assert (report.runs, report.findings) == (1, ())
    remote.delete("run")
    assert remote.run_ids() == []


def test_large_files_are_read_in_pieces(remote: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncore.store._parquet.WHOLE", 0)
    check_tables(record(remote, 3, rows=20_000), 3, rows=20_000)


def test_resuming_where_there_are_no_locks(remote: Store) -> None:
    first = remote.new_run(**WHO, run_id="run")
    write(first, 0)
    with pytest.raises(StoreError, match="is being recorded by process"):
        remote.new_run(**WHO, run_id="run", resume=True)
    second = remote.new_run(**WHO, run_id="run", resume=True, take_over=True)
    assert second.last_epoch == 0
    with pytest.raises(StoreError, match="was taken over by another writer: this one stops"):
        write(first, 1)
    with pytest.raises(StoreError, match="taken over"):
        first.close()
    write(second, 1)
    second.finish()
    check_tables(remote.run("run"), 2)
    with pytest.raises(StoreError, match="is finished"):
        remote.new_run(**WHO, run_id="run", resume=True)


@pytest.mark.parametrize(
    ("change", "minutes", "status"),
    [
        ({"host": "elsewhere"}, 1, "running"),
        ({"host": "elsewhere"}, 30, "interrupted"),
        ({"pid": 2**22 + 1}, 1, "interrupted"),
    ],
)
def test_signs_of_life(remote: Store, place: Place, change: dict[str, Any], minutes: int, status: str) -> None:
    record(remote, 2, finish=False)
    folder = folder_at(*place).child("run")
    manifest = Manifest.from_bytes(folder.read("run.json"), "run.json")
    writer = manifest.writer.model_copy(update=change)
    updated = datetime.now(UTC) - timedelta(minutes=minutes)
    folder.write(
        "run.json", manifest.model_copy(update={"status": "running", "writer": writer, "updated": updated}).to_bytes()
    )
    assert remote.runs().status.tolist() == [status]
    if status == "interrupted":
        check_tables(record(remote, 3), 3)


def test_leftovers_of_a_killed_writer(remote: Store, place: Place) -> None:
    record(remote, 2, finish=False)
    folder = folder_at(*place).child("run")
    for path in ("metrics/00002.parquet", "trajectories.parquet"):
        folder.write(path, b"half")
    report = verify(*place)
    assert report.ok
    assert {finding.kind for finding in report.findings} == {"leftover"}
    check_tables(record(remote, 3), 3)
    assert verify(*place).findings == ()


def test_damage_is_found(remote: Store, place: Place) -> None:
    run = record(remote, 2)
    folder = folder_at(*place).child("run")
    data = folder.read("metrics.parquet")
    folder.write("metrics.parquet", data[:-1])
    folder.remove("capacitance.parquet")
    assert {finding.kind for finding in verify(*place).findings} == {"truncated", "missing"}
    with pytest.raises(StoreError, match="truncated"):
        run.metrics()
    with pytest.raises(StoreError, match="missing"):
        run.capacitance()


def test_a_bucket_that_is_not_there(s3: Place) -> None:
    with pytest.raises(StoreError):
        open_store("s3://no-such-bucket/runs", s3[1])


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, *args: object) -> None:
        pass


class Unlisted(Quiet):
    """Serves files, but lists no folders."""

    def list_directory(self, path: object) -> None:
        self.send_error(403)


@pytest.fixture(params=[Quiet, Unlisted], ids=["listed", "unlisted"])
def web(request: pytest.FixtureRequest, store: Store) -> Iterator[str]:
    """The URL of a local store on a web server."""
    handler = functools.partial(request.param, directory=store.url)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_reading_from_a_web_server(store: Store, web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    record(store, 4, run_id="done")
    record(store, 2, run_id="half", finish=False)
    store.write_index()
    published = open_store(web)
    assert published.runs().run.tolist() == ["done", "half"]
    assert published.runs().status.tolist() == ["finished", "interrupted"]
    check_tables(published.run("done"), 4)
    check_tables(published.run("half"), 2)
    assert verify(web).findings == ()
    with pytest.raises(StoreError, match="can only be read"):
        published.new_run(**WHO)
    with pytest.raises(StoreError, match="can only be read"):
        published.delete("done")
    with pytest.raises(StoreError, match="There is no run other"):
        published.run("other")
    monkeypatch.setattr("ncore.store._parquet.WHOLE", 0)
    check_tables(published.run("done"), 4)
    table = Path(store.url) / "done" / "metrics.parquet"
    table.write_bytes(table.read_bytes()[:-5])
    assert [finding.kind for finding in verify(web).findings] == ["truncated"]


def test_a_web_server_that_lists_nothing_needs_an_index(store: Store, web: str, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("aiohttp")
    record(store, 1)
    published = open_store(web)
    if "unlisted" in request.node.name:
        with pytest.raises(StoreError, match=r"write one with store\.write_index\(\)"):
            published.runs()
        (Path(store.url) / "runs.json").write_text(json.dumps(["run", "../x", 3]))
    assert published.runs().run.tolist() == ["run"]


def test_a_web_server_that_is_not_there() -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9/runs.* could not be read"):
        open_store("http://127.0.0.1:9/runs")
