"""Tags and notes: written beside the manifest at any time, kept, bounded, and never in the way of the run."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ncore.cli import app
from ncore.errors import InputError, StoreError
from ncore.store import Store, open_store, verify
from ncore.store.annotations import TAG, TAGS
from ncore.store.manifest import NOTES
from tests.store.data import WHO, check_tables, record, write


@pytest.fixture
def run(store: Store) -> Path:
    return Path(record(store, 2, run_id="run").url)


def row(store: Store) -> dict[str, object]:
    found = open_store(store.url).runs().to_dict("records")
    return {**found[0]}


def test_they_are_written_read_and_listed(store: Store, run: Path) -> None:
    before = (run / "run.json").read_bytes()
    assert row(store)["tags"] == ()
    store.annotate("run", tags=["keep", " night  shift ", "keep"])
    store.annotate("run", notes="looks odd 🦊")
    opened = open_store(store.url).run("run")
    assert opened.tags == ["keep", "night shift"]
    assert opened.notes == "looks odd 🦊"
    assert row(store)["tags"] == ("keep", "night shift")
    assert row(store)["notes"] == "looks odd 🦊"
    assert store.runs().to_dict("records")[0]["tags"] == ("keep", "night shift")
    store.annotate("run", tags=[])
    assert store.runs().to_dict("records")[0]["tags"] == ()  # also where the manifest is known from before
    assert opened.notes == "looks odd 🦊"
    assert (run / "run.json").read_bytes() == before
    assert not verify(store.url).findings


def test_the_notes_of_the_beginning_count_until_others_are_written(store: Store) -> None:
    record(store, 2, run_id="run", notes="as planned")
    store.annotate("run", tags=["a"])
    assert (store.run("run").notes, row(store)["notes"]) == ("as planned", "as planned")
    store.annotate("run", notes="")
    assert (store.run("run").notes, row(store)["notes"]) == ("", "")


def test_they_outlast_recording_and_resuming_and_go_with_the_run(store: Store) -> None:
    record(store, 2, run_id="run", finish=False)
    with store.new_run(**WHO, run_id="run", resume=True) as writer:
        store.annotate("run", tags=["while it runs"])
        for epoch in range(2, 4):
            write(writer, epoch)
    check_tables(store.run("run"), 4)
    assert store.run("run").tags == ["while it runs"]
    assert not verify(store.url).findings
    store.delete("run")
    assert store.run_ids() == []
    with pytest.raises(StoreError, match="There is no run"):
        store.annotate("run", tags=["late"])


@pytest.mark.parametrize(
    ("tags", "notes"),
    [
        (["x" * (TAG + 1)], None),
        ([f"{n}" for n in range(TAGS + 1)], None),
        ([""], None),
        (["  "], None),
        ([7], None),
        ("abc", None),
        (["\ud800"], None),
        (None, "x" * (NOTES + 1)),
        (None, 7),
        (None, "\ud800"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(store: Store, run: Path, tags: list[str], notes: str) -> None:
    with pytest.raises(InputError):
        store.annotate("run", tags=tags, notes=notes)
    assert not (run / "annotations.json").exists()


def spoil_pipe(path: Path) -> None:
    os.mkfifo(path)


def spoil_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


SPOILED = {
    "nothing": lambda path: path.write_bytes(b""),
    "torn": lambda path: path.write_bytes(b'{"format": "ncore-annotations", "ta'),
    "other": lambda path: path.write_bytes(b'{"format": "something"}'),
    "list": lambda path: path.write_bytes(b"[]"),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "numbers": lambda path: path.write_text(json.dumps({"tags": [1, 2]})),
    "many": lambda path: path.write_text(json.dumps({"tags": ["a"] * 1_000})),
    "large": lambda path: path.write_bytes(b'{"notes": "' + b"x" * (9 << 20)),
    "folder": lambda path: path.mkdir(),
    "pipe": spoil_pipe,
    "link": spoil_link,
}


@pytest.mark.parametrize("kind", SPOILED)
def test_damaged_ones_are_a_finding_and_the_run_is_read(store: Store, run: Path, kind: str) -> None:
    SPOILED[kind](run / "annotations.json")
    listed = row(store)
    assert listed["status"] == "finished"
    assert "annotations.json" in str(listed["warnings"])
    check_tables(open_store(store.url).run("run"), 2)
    with pytest.raises(StoreError, match=r"annotations\.json"):
        _ = store.run("run").tags
    findings = verify(store.url).findings
    assert [Path(finding.path).name for finding in findings] == ["annotations.json"]
    assert findings[0].kind in ("corrupt", "unreadable")


def test_the_command_adds_removes_and_shows(store: Store, run: Path) -> None:
    def said(*words: str) -> str:
        result = CliRunner().invoke(app, ["tag", store.url, "run", *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output.strip()

    assert said() == "run: no tags"
    assert said("b", "a", "--note", "seen") == "run: a, b; seen"
    assert said("c", "--remove", "a") == "run: b, c; seen"
    assert json.loads(said("--json")) == {"run": "run", "tags": ["b", "c"], "notes": "seen"}
    with pytest.raises(InputError, match="has no tag 'z': it has b, c"):
        said("--remove", "z")
    assert "b, c" in CliRunner().invoke(app, ["runs", store.url], env={"COLUMNS": "200"}).output
