"""Reading rows of a run, by epoch, layer and synapse."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncore.errors import InputError, SchemaVersionError, StoreError
from ncore.store import Run, Store, create_store
from ncore.store import _parquet as parquet_module
from ncore.store.schema import TABLES
from tests.store.data import WHO, check_tables, expected, record, trajectories, write

EPOCHS, ROWS = 6, 200
COLUMNS = ["epoch", "layer", "synapse", "source", "target", "weight", "rate"]


@pytest.fixture(scope="module", params=["parts", "finished", "small row groups", "large file"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The same run in every shape that files can have."""
    store = create_store(tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "small row groups":
            patched.setattr("ncore.store._parquet.TABLES", {**parquet_module.TABLES, "trajectories": _small()})
            patched.setattr("ncore.store._compaction.TABLES", {**parquet_module.TABLES, "trajectories": _small()})
        if request.param == "large file":
            patched.setattr("ncore.store._parquet.WHOLE", 0)
        yield record(store, EPOCHS, ROWS, finish=request.param != "parts")


def _as_shipped(patch: pytest.MonkeyPatch) -> None:
    """Undo what the fixture ``run`` changed: pytest can keep it for the tests that don't use it."""
    for module in ("_parquet", "_compaction"):
        patch.setattr(f"ncore.store.{module}.TABLES", TABLES)
    patch.setattr("ncore.store._parquet.WHOLE", 4 << 20)


def _small() -> object:
    from dataclasses import replace

    return replace(parquet_module.TABLES["trajectories"], group_rows=37)


some = st.one_of(
    st.none(), st.integers(-3, ROWS * 7), st.lists(st.integers(-3, ROWS * 7), max_size=8), st.just(range(0, 900, 7))
)


@settings(max_examples=60, deadline=None)
@given(
    epoch=st.one_of(st.none(), st.integers(0, EPOCHS - 1), st.lists(st.integers(0, EPOCHS - 1), max_size=4)),
    layer=st.one_of(st.none(), st.integers(0, 4), st.lists(st.integers(0, 4), max_size=3)),
    synapses=some,
    columns=st.one_of(st.none(), st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True)),
)
def test_a_selection_is_what_pandas_would_have_filtered(
    run: Run, epoch: object, layer: object, synapses: object, columns: list[str] | None
) -> None:
    frame = expected("trajectories", EPOCHS, ROWS)[COLUMNS]
    for name, values in (("epoch", epoch), ("layer", layer), ("synapse", synapses)):
        if values is not None:
            frame = frame[frame[name].isin([values] if isinstance(values, int) else values)]
    frame = frame[columns or COLUMNS].reset_index(drop=True)
    found = run.trajectory(epoch, layer, synapses, columns)
    pd.testing.assert_frame_equal(found, frame, check_dtype=False)


def test_types_are_those_of_the_schema(run: Run) -> None:
    types = run.trajectory().dtypes.astype(str).tolist()
    assert types == ["int32", "int32", "int64", "int32", "int32", "float32", "float32"]
    assert run.trajectory(synapses=[]).dtypes.astype(str).tolist() == types
    assert run.metrics().dtypes.astype(str)[["epoch", "step", "value"]].tolist() == ["int32", "int64", "float64"]


def test_every_table_is_whole(run: Run) -> None:
    check_tables(run, EPOCHS, ROWS)


def test_what_is_returned_can_be_written_to(run: Run) -> None:
    for frame in (run.trajectory(epoch=1), run.metrics(), run.capacitance()):
        for name in frame.columns:
            if frame[name].dtype.kind in "if":
                frame.loc[0, name] = 7
    assert not (run.metrics().value == 7).any()


def test_pruning_reads_only_the_row_groups_that_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    _as_shipped(monkeypatch)
    run = record(create_store(tmp_path), 4, rows=40_000)
    read: list[int] = []
    original = pq.ParquetFile.read_row_group

    def counting(self: pq.ParquetFile, group: int, *args: object, **kwargs: object) -> object:
        read.append(group)
        return original(self, group, *args, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    assert len(run.trajectory(epoch=2)) == 40_000
    assert set(read) == {6, 7, 8}  # an epoch is three row groups
    read.clear()
    assert len(run.trajectory(synapses=7 * 39_999)) == 4
    assert set(read) == {2, 5, 8, 11}
    read.clear()
    assert run.trajectory(synapses=1).empty  # inside the range of every first row group, but not recorded
    assert len(read) == 4  # only the column of synapses


def test_questions_that_make_no_sense_are_refused(run: Run) -> None:
    with pytest.raises(StoreError, match=r"no trajectories at epoch 99: it has them at epochs 0, 1, 2, 3, 4, ... 5"):
        run.trajectory(epoch=[1, 99])
    with pytest.raises(InputError, match="no column 'weights'"):
        run.trajectory(columns=["weights"])
    with pytest.raises(InputError, match="whole numbers"):
        run.trajectory(synapses=[0.5])
    with pytest.raises(InputError, match="table is 'weights'"):
        run.recorded_epochs("weights")


def test_a_run_that_is_not_there(store: Store) -> None:
    with pytest.raises(StoreError, match="There is no run nothing"):
        store.run("nothing")


def test_a_run_deleted_while_it_is_open(store: Store) -> None:
    run = record(store, 2)
    store.delete("run")
    for read in (run.metrics, run.trajectory, lambda: run.epochs, lambda: run.status):
        with pytest.raises(StoreError, match="Run run was deleted since it was opened"):
            read()


def test_a_missing_file_is_named_with_what_is_left(store: Store) -> None:
    run = record(store, 3)
    (Path(run.url) / "capacitance.parquet").unlink()
    with pytest.raises(StoreError, match=r"missing.*capacitance\.parquet.*metrics, trajectories, line_graph"):
        run.capacitance()
    assert len(run.metrics()) == 15


@pytest.mark.parametrize("whole", [0, 1 << 30])
def test_a_flipped_bit_is_never_read_as_data(store: Store, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    _as_shipped(monkeypatch)
    monkeypatch.setattr("ncore.store._parquet.WHOLE", whole)
    run = record(store, 3, rows=3000)
    path = Path(run.url) / "trajectories.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"trajectories\.parquet is corrupt.*still be read: metrics"):
        run.trajectory()


def test_unknown_versions_are_named(store: Store) -> None:
    import json

    run = record(store, 2)
    path = Path(run.url) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 7}))
    with pytest.raises(SchemaVersionError, match="schema version 7, but this ncore knows versions 1 to 2: upgrade"):
        store.run("run")
    with pytest.raises(SchemaVersionError):
        run.metrics()


def test_a_parquet_file_of_an_unknown_version(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("ncore.store._parquet.SCHEMA_VERSION", 3)
        record(store, 2)
    with pytest.raises(SchemaVersionError, match="schema version 3, but this ncore knows versions 1 to 2"):
        store.run("run").metrics()


def test_parts_of_a_growing_run_are_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = parquet_module.open_table

    def counting(folder: object, path: str, *rest: object, **options: object) -> object:
        opened.append(path)
        return original(folder, path, *rest, **options)

    monkeypatch.setattr("ncore.store.reader.open_table", counting)
    with store.new_run(**WHO, run_id="run") as writer:
        run = store.run("run")
        for epoch in range(3):
            write(writer, epoch)
            assert len(run.metrics()) == 5 * (epoch + 1)
    assert opened == ["metrics/00000.parquet", "metrics/00001.parquet", "metrics/00002.parquet"]
    assert len(run.metrics()) == 15


def test_synapses_may_be_sampled_anew_each_epoch(store: Store) -> None:
    with store.new_run(**WHO, run_id="run") as writer:
        for epoch in range(4):
            frame = trajectories(epoch, 90)
            writer.write_epoch(epoch, trajectories=frame[frame.synapse % 4 == epoch])
    found = store.run("run").trajectory(synapses=np.arange(0, 300, 7))
    assert (found.synapse % 4 == found.epoch).all()
    assert len(found) == len(range(0, 300, 7))
