"""Every kind of damage is found, named, and what is left is told."""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.errors import StoreError
from ncore.store import Finding, Store, create_store, verify
from tests.store.data import WHO, record, write


def finding(store: Store) -> Finding:
    """The only finding there is."""
    report = verify(store.url)
    (found,) = report.findings
    assert report.ok == (found.kind == "leftover")
    return found


@pytest.fixture
def folder(store: Store) -> Path:
    """A finished run of four epochs."""
    return Path(record(store, 4).url)


def test_a_sound_store(store: Store, folder: Path) -> None:
    record(store, 3, run_id="parts", finish=False)
    report = verify(store.url)
    assert report.ok
    assert report.findings == ()
    assert (report.runs, report.files) == (2, 1 + 4 + 1 + 3 * 3 + 1)
    assert verify(folder).runs == 1


def test_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is nothing at"):
        verify(tmp_path / "nowhere")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(StoreError, match="is not an ncore store"):
        verify(tmp_path)


def _change(change: Callable[[bytearray], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)

    return apply


def _flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 16


def _foreign(path: Path) -> None:
    pd.DataFrame({"price": [1.0]}).to_parquet(path)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (_change(lambda data: data.__delitem__(slice(-30, None))), "truncated"),
        (_change(lambda data: data.clear()), "truncated"),
        (_change(_flip), "corrupt"),
        (_change(lambda data: data.extend(b"more")), "corrupt"),
        (Path.unlink, "missing"),
        (_foreign, "foreign"),
    ],
)
@pytest.mark.parametrize("table", ["metrics", "trajectories"])
def test_damaged_tables(store: Store, folder: Path, damage: Callable, kind: str, table: str) -> None:
    path = folder / f"{table}.parquet"
    damage(path)
    found = finding(store)
    assert (found.kind, found.path) == (kind, str(path))
    assert "the table capacitance" in found.readable
    assert not found.harmless


def test_which_epochs_are_left(store: Store) -> None:
    folder = Path(record(store, 4, rows=20_000).url)
    path = folder / "trajectories.parquet"
    import pyarrow.parquet as pq

    damaged = pq.ParquetFile(path).metadata.row_group(2).column(5)
    data = bytearray(path.read_bytes())
    data[damaged.data_page_offset + damaged.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    found = finding(store)
    assert found.kind == "corrupt"
    assert found.readable.startswith("epochs 0, 2-3 of this file")
    run = store.run("run")
    assert len(run.trajectory(columns=["epoch", "synapse"])) == 80_000  # not the damaged column


def test_a_damaged_part_costs_its_epoch_only(store: Store) -> None:
    folder = Path(record(store, 4, finish=False).url)
    path = folder / "metrics" / "00002.parquet"
    _change(_flip)(path)
    found = finding(store)
    assert "the other epochs of metrics" in found.readable
    assert "the table trajectories" in found.readable


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (_change(lambda data: data.__delitem__(slice(-30, None))), "truncated"),
        (_change(lambda data: data.clear()), "truncated"),
        (_change(_flip), "corrupt"),
        (Path.unlink, "missing"),
        (lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 5})), "future-version"),
        (lambda path: path.write_text("not json"), "truncated"),
        (lambda path: path.write_text('{"hello": 1}'), "corrupt"),
    ],
)
def test_damaged_manifests(store: Store, folder: Path, damage: Callable, kind: str) -> None:
    damage(folder / "run.json")
    found = finding(store)
    assert (found.kind, found.path) == (kind, str(folder / "run.json"))


def test_tables_of_a_future_version(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("ncore.store._parquet.SCHEMA_VERSION", 3)
        with store.new_run(**WHO, run_id="run") as writer:
            writer.write_epoch(0, metrics={"split": ["a"], "name": ["b"]})
    found = finding(store)
    assert found.kind == "future-version"
    assert "schema version 3" in found.problem


def test_a_store_of_a_future_version_and_one_without_its_mark(store: Store, folder: Path) -> None:
    mark = Path(store.url) / "ncore-store.json"
    mark.write_text(json.dumps({"format": "ncore-store", "schema": 3}))
    assert finding(store).kind == "future-version"
    mark.write_text("[]")
    assert finding(store).kind == "corrupt"
    mark.unlink()
    assert finding(store).kind == "missing"


def test_foreign_files(store: Store, folder: Path) -> None:
    root = Path(store.url)
    for path in (folder / "weights.pt", root / "data.bin", root / "pictures" / "a.png", folder / "metrics" / "x.csv"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    report = verify(store.url)
    assert {found.kind for found in report.findings} == {"foreign"}
    names = {str(Path(found.path).relative_to(root)) for found in report.findings}
    assert names == {"run/weights.pt", "data.bin", "pictures", "run/metrics/x.csv"}


def test_what_documents_a_store_belongs_there(store: Store, folder: Path) -> None:
    for name in ("README.md", "recipe.yaml", "runs.json", ".DS_Store"):
        (Path(store.url) / name).write_text("x")
    assert verify(store.url).findings == ()


def test_a_copied_run_is_not_the_run_it_says(store: Store, folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    found = finding(store)
    assert found.kind == "foreign"
    assert "it is of run run" in found.problem


def test_leftovers_are_harmless(store: Store, folder: Path) -> None:
    (folder / "metrics").mkdir()
    (folder / "metrics" / "00001.parquet").write_bytes(b"x")
    found = finding(store)
    assert found.harmless
    assert found.kind == "leftover"


def test_what_a_running_writer_has_not_listed_yet_is_no_leftover(store: Store) -> None:
    with store.new_run(**WHO, run_id="run") as writer:
        write(writer, 0)
        (Path(store.url) / "run" / "metrics" / ".00001.parquet.tmp").write_bytes(b"half")
        assert verify(store.url).findings == ()


@pytest.fixture(scope="module")
def original() -> object:
    with tempfile.TemporaryDirectory() as place:
        store = create_store(Path(place) / "store")
        record(store, 2, rows=10)
        record(store, 2, rows=10, run_id="parts", finish=False)
        yield store


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_found(original: Store, data: st.DataObject) -> None:
    files = sorted(p for p in Path(original.url).rglob("*") if p.suffix in (".parquet", ".json"))
    path = data.draw(st.sampled_from(files))
    sound = path.read_bytes()
    position, bit = data.draw(st.integers(0, len(sound) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(sound)
    flipped[position] ^= 1 << bit
    path.write_bytes(flipped)
    try:
        report = verify(original.url)
        assert not report.ok
        assert {found.path for found in report.findings} == {str(path)}
        _read_all(original)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("whole", [0, 4 << 20], ids=["by page", "whole"])
def test_a_damaged_footer_is_never_given_to_arrow(original: Store, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    """It would end the whole process on some of them."""
    monkeypatch.setattr("ncore.store._parquet.WHOLE", whole)
    path = Path(original.url) / "run" / "trajectories.parquet"
    sound = path.read_bytes()
    footer = len(sound) - 8 - int.from_bytes(sound[-8:-4], "little")
    try:
        for position in range(footer, len(sound), 3):
            path.write_bytes(sound[:position] + bytes([sound[position] ^ 0xFF]) + sound[position + 1 :])
            with pytest.raises(StoreError, match=re.escape(str(path))):
                original.run("run").trajectory(epoch=1)
            assert "nothing of this file" in verify(original.url).findings[0].readable
    finally:
        path.write_bytes(sound)


def _read_all(store: Store) -> None:
    """Read as a page does: data or an explained error, whatever the damage."""
    store.runs()
    for run_id in store.run_ids():
        for table in ("metrics", "capacitance", "trajectory"):
            with contextlib.suppress(StoreError):
                getattr(store.run(run_id), table)()
        with contextlib.suppress(StoreError):
            store.run(run_id).trajectory(epoch=1, synapses=[0, 7])
