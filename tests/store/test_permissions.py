"""Another user's folders and locks, disks that may only be read, and file systems without locks."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ncore.errors import StoreError
from ncore.store import Store, create_store, verify
from ncore.store._folder import LocalFolder
from ncore.store._lock import held
from ncore.store.manifest import Manifest
from tests.store.data import WHO, check_tables, record, write

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

only_root = pytest.mark.skipif(
    not hasattr(os, "seteuid") or os.geteuid() != 0, reason="only root can become another user"
)


@pytest.fixture
def reachable() -> Iterator[Store]:
    """A store that other users can get to, as they can't to pytest's folders."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield create_store(Path(place) / "store")


def as_nobody(store: Store, code: str) -> str:
    """What a process of another user prints; modules are loaded before it becomes that."""
    lines = (
        "import os",
        "import ncore.predict.curves, pandas, pyarrow.parquet, pyarrow.dataset",
        "from ncore.errors import NcoreError",
        "from ncore.predict.curves import curves_from_store",
        "from ncore.store import create_store, open_store, verify",
        "from tests.store.data import WHO, check_tables, record, write",
        "warm = create_store('memory://warm')",
        "check_tables(record(warm, 2), 2)",
        "curves_from_store(warm)",
        "verify('memory://warm')",
        f"os.setegid({NOBODY}); os.seteuid({NOBODY})",
        f"place = {store.url!r}",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, code])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


READ = """
store = open_store(place)
runs = store.runs().set_index('run')
check_tables(store.run('good'), 2)
assert 'good' in {curve.candidate for curve in curves_from_store(store)}
for name in runs.index:
    try:
        store.run(name).metrics()
    except NcoreError as error:
        assert str(error)
report = verify(place)
print(runs.loc['bad', 'status'], runs.loc['bad', 'reason'])
print(*(finding.kind for finding in report.findings))
"""

PRIVATE = {
    "folder": ("", 0o700, "unreadable", True),
    "folder that may be listed only": ("", 0o744, "unreadable", True),
    "folder that may be entered only": ("", 0o711, "interrupted", True),
    "manifest": ("run.json", 0o600, "unreadable", True),
    "lock": (".lock", 0o600, "interrupted", False),
    "table": ("metrics/00000.parquet", 0o600, "interrupted", True),
    "folder of a table": ("metrics", 0o700, "interrupted", True),
    "checkpoint": ("checkpoint-000001-8cdc1683.safetensors", 0o600, "interrupted", True),
}


@only_root
@pytest.mark.parametrize("what", PRIVATE)
def test_what_is_private_to_another_user(reachable: Store, what: str) -> None:
    path, mode, status, said = PRIVATE[what]
    record(reachable, 2, run_id="good", candidate="good")
    bad = Path(record(reachable, 2, run_id="bad", finish=False).url)
    manifest = Manifest.from_bytes((bad / "run.json").read_bytes(), "run.json")
    old = datetime(2020, 1, 1, tzinfo=UTC)  # whose process is long gone
    (bad / "run.json").write_bytes(manifest.model_copy(update={"status": "running", "updated": old}).to_bytes())
    (bad / ".lock").touch()
    (bad / "checkpoint-000001-8cdc1683.safetensors").write_bytes(b"x")
    (bad / path).chmod(mode)
    first, kinds = as_nobody(reachable, READ).splitlines()[:2]
    assert first.startswith(status)
    assert ("unreadable" in kinds or "corrupt" in kinds) == said
    if status == "unreadable":
        assert "Permission denied" in first


@only_root
def test_a_store_that_may_only_be_read(reachable: Store) -> None:
    record(reachable, 2, run_id="good", candidate="good")
    record(reachable, 2, run_id="bad", finish=False)
    code = """
messages = []
for attempt in (
    lambda: open_store(place).new_run(**WHO, run_id='new'),
    lambda: create_store(place).new_run(**WHO, run_id='bad', resume=True),
    lambda: open_store(place).delete('good'),
    lambda: open_store(place).write_index(),
    lambda: create_store(place + '/inside/deep'),
):
    try:
        attempt()
    except NcoreError as error:
        messages.append(str(error))
assert len(messages) == 5, messages
assert all('Permission denied' in message for message in messages), messages
"""
    first, kinds = as_nobody(reachable, READ + code).split("\n")[:2]
    assert first.startswith("interrupted")
    assert kinds == ""
    assert reachable.run_ids() == ["bad", "good"]
    check_tables(reachable.run("good"), 2)


@only_root
def test_a_folder_that_may_be_written_but_not_listed(reachable: Store) -> None:
    place = Path(reachable.url).with_name("dropbox")
    place.mkdir()
    place.chmod(0o733)
    code = f"record(create_store('{place}/mine'), 2); print(verify('{place}/mine').ok)"
    assert as_nobody(reachable, code).strip() == "True"


# File systems without locks: which one is at hand is not ours to choose, so the system's call answers as theirs do


of_filelock = pytest.mark.filterwarnings("ignore:flock not supported")


@pytest.fixture(params=["ENOLCK", "ENOTSUP", "ENOSYS"])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    number = getattr(errno, request.param)

    def refuse(_handle: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


def put(store: Store, updated: datetime, **writer: object) -> None:
    folder = LocalFolder(Path(store.url) / "run")
    manifest = Manifest.from_bytes(folder.read("run.json"), "run.json")
    owner = manifest.writer.model_copy(update=writer)
    changed = manifest.model_copy(update={"status": "running", "updated": updated, "writer": owner})
    folder.write("run.json", changed.to_bytes())


@of_filelock
@pytest.mark.parametrize("year", [1970, 2020, 2200])
@pytest.mark.parametrize("writer", [{}, {"host": "elsewhere"}, {"pid": 2**40}, {"pid": os.getpid()}])
def test_a_run_that_died_long_ago_is_not_running(
    store: Store, without_locks: None, year: int, writer: dict[str, object]
) -> None:
    record(store, 2, finish=False)
    (Path(store.url) / "run" / ".lock").touch()
    put(store, datetime(year, 1, 1, tzinfo=UTC), **writer)
    assert held(LocalFolder(Path(store.url) / "run")) is None
    assert store.runs()["status"].tolist() == ["interrupted"]
    assert store.run("run").status == "interrupted"
    assert verify(store.url).ok


@of_filelock
def test_recording_where_there_are_no_locks(store: Store, without_locks: None) -> None:
    check_tables(record(store, 2), 2)
    store.delete("run")
    writer = store.new_run(**WHO, run_id="run")
    write(writer, 0)
    with pytest.raises(StoreError, match="is being recorded"):
        store.delete("run")
    with pytest.raises(StoreError, match="is being recorded by process"):
        store.new_run(**WHO, run_id="run", resume=True)
    writer.close()
    check_tables(record(store, 3), 3)
