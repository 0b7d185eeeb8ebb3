"""Footers that are not sound, with their checksums right: an error of the file, and never the end of the process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ncore.errors import StoreError
from ncore.store._folder import LocalFolder
from ncore.store._footer import check_footer, footer_bytes
from ncore.store._parquet import encode, entry_of, open_table, read_rows
from ncore.store.schema import TABLES
from tests.store.data import factors, trajectories
from tests.store.test_compaction import predictions

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = {"trajectories": ("epoch", "layer", "synapse"), "line_graph": ("epoch",), "predictions": ("epoch",)}


def table(name: str) -> bytes:
    """A file with two row groups."""
    from ncore.store._columns import arrow_table, factor_table

    if name == "line_graph":
        made = factor_table(1, factors(1), 2.5)
    else:
        made = arrow_table(name, 1, trajectories(1) if name == "trajectories" else predictions(2))
    with pytest.MonkeyPatch.context() as patched:
        kept = TABLES[name]
        patched.setitem(TABLES, name, type(kept)(kept.name, kept.schema, kept.options, (len(made) + 1) // 2))
        return encode(name, made).to_pybytes()


def mutants(data: bytes) -> Iterator[bytes]:
    """Every byte of the footer replaced by others; every length of text one less, with the text."""
    end = len(data) - 8
    start = end - int.from_bytes(data[end : end + 4], "little")
    for at in range(start, end):
        for value in {0, 255, data[at] ^ 1, data[at] ^ 16} - {data[at]}:
            yield data[:at] + bytes([value]) + data[at + 1 :]
        if 0 < (length := data[at]) < 9 and at + length < end:
            shorter = data[start:at] + bytes([length - 1]) + data[at + 1 : at + length] + data[at + length + 1 : end]
            yield data[:start] + shorter + len(shorter).to_bytes(4, "little") + data[-4:]


def read(folder: LocalFolder, name: str, data: bytes) -> int:
    """How many rows a reader finds in a file; -1 for a file that is refused."""
    (Path(folder.root) / "file").write_bytes(data)
    wanted = {column: np.array([0, 1, 2]) for column in CHOSEN[name]}
    try:
        with open_table(folder, "file", name, entry_of(pa.py_buffer(data)), choosing=True) as file:
            return sum(map(len, read_rows(file, name, wanted, TABLES[name].schema.names)))
    except StoreError:
        return -1


def main(name: str) -> None:
    """Read all mutants, in this process."""
    with tempfile.TemporaryDirectory() as place:
        found = [read(LocalFolder(place), name, data) for data in mutants(table(name))]
    print(len(found), found.count(-1))


@pytest.mark.parametrize("name", CHOSEN)
def test_no_footer_ends_the_process(name: str) -> None:
    code = f"from tests.store.test_footer import main; main({name!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tried, refused = map(int, done.stdout.split())
    assert tried > 1500
    assert tried / 2 < refused < tried


@pytest.mark.parametrize("name", CHOSEN)
def test_sound_footers_are_sound(tmp_path: Path, name: str) -> None:
    data = table(name)
    assert pq.ParquetFile(pa.BufferReader(data)).num_row_groups == 2
    assert read(LocalFolder(tmp_path), name, data) > 0


@pytest.mark.parametrize("options", [{"version": "1.0"}, {"write_page_index": True}, {"write_statistics": False}])
def test_footers_that_other_settings_make_are_sound(options: dict[str, object]) -> None:
    """As other versions of Arrow may."""
    rows = pa.table(
        {"number": np.arange(1000), "text": ["é"] * 1000, "list": [[1.5, None]] * 1000, "truth": [True] * 1000}
    )
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, row_group_size=10, **options)
    source = pa.BufferReader(sink.getvalue())
    check_footer(footer_bytes(source), pq.ParquetFile(source).schema)


def test_footers_of_older_runs_are_sound() -> None:
    files = [*(ROOT / "sample_runs").rglob("*.parquet"), *(ROOT / "tests" / "store" / "schema1").rglob("*.parquet")]
    assert len(files) > 50
    for path in files[::5]:
        with pa.OSFile(str(path)) as source:
            check_footer(footer_bytes(source), pq.ParquetFile(source).schema)
