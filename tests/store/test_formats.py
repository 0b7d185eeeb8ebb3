"""Files of a run open in pandas, Polars and DuckDB without this package, and hold no pickles."""

import json
import zlib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ncore.store import TABLES, Run, Store
from tests.store.data import expected, record

RECORDED = [name for name in TABLES if name != "predictions"]


@pytest.fixture(params=[False, True], ids=["parts", "finished"])
def run(request: pytest.FixtureRequest, store: Store) -> Run:
    return record(store, 4, finish=request.param)


def files(run: Run, table: str) -> list[Path]:
    found = sorted([*Path(run.url).glob(f"{table}.parquet"), *Path(run.url).glob(f"{table}/*.parquet")])
    assert found
    return found


@pytest.mark.parametrize("table", ["metrics", "capacitance", "trajectories"])
def test_pandas(run: Run, table: str) -> None:
    found = pd.concat([pd.read_parquet(path) for path in files(run, table)], ignore_index=True)
    wanted = expected(table, 4)
    pd.testing.assert_frame_equal(found[wanted.columns], wanted, check_dtype=False)


@pytest.mark.parametrize("table", RECORDED)
def test_duckdb(run: Run, table: str) -> None:
    duckdb = pytest.importorskip("duckdb")
    names = [str(path) for path in files(run, table)]
    found = duckdb.sql(f"select count(*), max(epoch) from read_parquet({names})").fetchall()[0]
    if table == "line_graph":
        assert found == (2 * 2 * 3 * 6, 3)
        query = f"select sum(len(values)), sum(list_sum(values)) from read_parquet({names})"
        count, total = duckdb.sql(query).fetchall()[0]
        assert count == 2 * 6 * (5 + 4 + 3 + 4 + 3 + 2)
        assert total == pytest.approx(sum(_sums(run)), rel=1e-5)
    else:
        assert found == (len(expected(table, 4)), 3)
        column = {"metrics": "value", "capacitance": "beta_eff", "trajectories": "weight"}[table]
        (total,) = duckdb.sql(f"select sum({column}::double) from read_parquet({names})").fetchall()[0]
        assert total == pytest.approx(expected(table, 4)[column].astype(float).sum())


def test_sql_averages_skip_what_is_undefined(run: Run) -> None:
    duckdb = pytest.importorskip("duckdb")
    names = [str(path) for path in files(run, "capacitance")]
    (mean,) = duckdb.sql(f"select avg(denominator) from read_parquet({names})").fetchall()[0]
    assert mean == pytest.approx(expected("capacitance", 4).denominator.mean())


@pytest.mark.parametrize("table", RECORDED)
def test_polars(run: Run, table: str) -> None:
    polars = pytest.importorskip("polars")
    found = polars.concat([polars.read_parquet(path) for path in files(run, table)])
    if table == "line_graph":
        assert found["values"].list.sum().cast(polars.Float64).sum() == pytest.approx(sum(_sums(run)), rel=1e-5)
    else:
        assert found.shape[0] == len(expected(table, 4))
    assert found.columns == TABLES[table].schema.names


@pytest.mark.parametrize("table", RECORDED)
def test_files_are_compressed_checked_and_say_what_they_are(run: Run, table: str) -> None:
    for path in files(run, table):
        metadata = pq.ParquetFile(path).metadata
        assert metadata.metadata[b"ncore.schema"] == b"2"
        assert metadata.metadata[b"ncore.table"] == table.encode()
        assert b"pandas" not in metadata.metadata
        for index in range(metadata.num_columns):
            assert metadata.row_group(0).column(index).compression == "ZSTD"
        types = {str(field.type) for field in pq.ParquetFile(path).schema_arrow}
        assert types <= {"int32", "int64", "float", "double", "string", "list<element: float>"}


def test_the_manifest_is_json_with_a_checksum_over_the_rest(run: Run) -> None:
    data = (Path(run.url) / "run.json").read_bytes()
    loaded = json.loads(data)
    assert loaded["format"] == "ncore-run"
    assert loaded["schema"] == 2
    assert loaded["epochs"] == [[0, 3, 1]]
    assert int(loaded["crc32"], 16) == zlib.crc32(data.split(b"\n", 1)[1])
    for path, entry in loaded["files"].items():
        content = (Path(run.url) / path).read_bytes()
        assert entry.items() >= {"bytes": len(content), "crc32": f"{zlib.crc32(content):08x}"}.items()
        tail = content[-entry["tail"]["bytes"] :]
        assert entry["tail"]["crc32"] == f"{zlib.crc32(tail):08x}"
        assert len(tail) >= 8 + int.from_bytes(tail[-8:-4], "little")  # all of the footer


def _sums(run: Run) -> list[float]:
    return [
        float(getattr(layer, kind).astype(float).sum())
        for epoch in (0, 3)
        for layer in run.line_graph_factors(epoch)[0]
        for kind in ("inputs", "slopes", "errors")
    ]
