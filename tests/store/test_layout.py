"""Names of runs and files: none leads out of a store."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncore.errors import InputError, StoreError
from ncore.store import Store, default_run_id, verify
from ncore.store.layout import check_run_id, is_run_id, parse_table_file
from tests.store.data import WHO, record


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-x", "a b", "x\n", "é", "a" * 129, "a\0b", None]
)
def test_a_run_id_that_is_no_plain_name_is_refused(store: Store, run_id: str) -> None:
    with pytest.raises(InputError, match=r"run id is"):
        store.run(run_id)
    with pytest.raises(InputError):
        check_run_id(run_id)
    if run_id is not None:
        with pytest.raises(InputError):
            store.new_run(**WHO, run_id=run_id)


@given(st.text(), st.text(), st.integers(0, 2**31), st.text())
def test_default_run_ids_are_always_valid(candidate: str, dataset: str, seed: int, mode: str) -> None:
    assert is_run_id(default_run_id(candidate, dataset, seed, mode, {}))


def test_default_run_ids_tell_runs_apart_and_repeat() -> None:
    same = [default_run_id("timm:a", "digits", 0, "unit", {"lr": 1, "wd": 2}) for _ in range(2)]
    swapped = default_run_id("timm:a", "digits", 0, "unit", {"wd": 2, "lr": 1})
    assert same[0] == same[1] == swapped
    others = {
        default_run_id("timm/a", "digits", 0, "unit", {"lr": 1, "wd": 2}),
        default_run_id("timm:a", "digits", 1, "unit", {"lr": 1, "wd": 2}),
        default_run_id("timm:a", "digits", 0, "unit", {"lr": 1, "wd": 3}),
    }
    assert len(others | set(same)) == 4


@pytest.mark.parametrize(
    "path",
    ["../metrics.parquet", "/etc/passwd", "metrics/../x.parquet", "metrics/1.parquet", "metrics/00001.parquet\n", "x"],
)
def test_only_known_names_can_be_files_of_a_run(path: str) -> None:
    assert parse_table_file(path) is None


def test_links_are_not_followed(store: Store, tmp_path: Path) -> None:
    run = record(store, 2)
    outside = tmp_path / "outside.parquet"
    table = Path(run.url) / "metrics.parquet"
    table.rename(outside)
    table.symlink_to(outside)
    with pytest.raises(StoreError, match="symbolic link"):
        run.metrics()
    (Path(store.url) / "linked").symlink_to(run.url)
    assert store.run_ids() == ["run"]
    with pytest.raises(StoreError, match="symbolic link"):
        store.run("linked")
    kinds = {finding.kind for finding in verify(store.url).findings}
    assert kinds == {"unreadable"}


def test_a_manifest_cannot_list_a_file_elsewhere(store: Store) -> None:
    from ncore.store.layout import checksum

    run = record(store, 2)
    path = Path(run.url) / "run.json"
    body = path.read_bytes().split(b"\n", 1)[1].replace(b'"metrics.parquet"', b'"../../secret"')
    path.write_bytes(b'{"crc32": "' + checksum(body).encode() + b'",\n' + body)
    with pytest.raises(StoreError, match=r"'\.\./\.\./secret', which cannot be a file of a run"):
        store.run("run")
