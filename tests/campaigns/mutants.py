"""Files of a store mutated at random, with checksums made right again, through every reader and ``verify``.

    python -m tests.campaigns.mutants --tries 10000 --seed 0

Every try is one mutant of one file. Whatever it is, readers either return or raise an ``NcoreError``, within a minute
and 12 GB, and the run beside it is listed and read as before. One in twenty goes through the report, too. With
``--state`` a campaign that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ncore_dashboard.report import report_html

from ncore.errors import NcoreError
from ncore.predict import bundled
from ncore.predict.curves import curves_from_store
from ncore.store import Store, create_store, open_store, verify
from ncore.store import _compaction as compaction_module
from ncore.store import _parquet as parquet_module
from ncore.store.layout import checkpoint_file, checksum, parse_checkpoint_file, parse_table_file
from ncore.store.schema import TABLES
from tests.campaigns._forks import call
from tests.store.data import capacitance, check_tables, factors, metrics, trajectories

BATCH = 50
REPORTED = 20  # one in so many
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, 1e308, -1e-320, "",
    "x", "\0", "\U0001f600", "x" * 100_000, "../../secret", "a/b", "run", "00000000", "metrics/00000.parquet", [], {},
    "2200-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00", "inf", "NaN",
    [[]], "finished", "running", [0, 1, 2, 3], [3, 2, 1], [-1], [2**40], {"a": 1}, {"metrics": [0]},
    {"metrics.parquet": {}}, [[0, 3, 1]], [[0, 2**31 - 1, 1]], [[0, 1, 0]], [[3, 1, 1]],
    [[0, 0, 1], [0, 0, 1]], [[1, 1, 1]], [[-1, 0, 1]], [[0, 2**40, 1]],
    ["keep", "keep"], ["x" * 101], ["\ud800"], "0" * 32, ["f" * 16, "0" * 16], 1.5e300,
)  # fmt: skip


ABOUT: dict[str, dict[str, Any]] = {
    "good": {"candidate": "good", "seed": 0},
    "whole": {"candidate": "whole", "seed": 0, "planned_epochs": 5},
    "parts": {"candidate": "parts", "seed": 1, "config": {"a": {"b": [1]}}},
}
DESCRIBED: dict[str, Any] = {
    "resolved": {"lr": 0.1, "preprocessing": {"mean": [0.5, 0.5, 0.5]}},
    "digests": {"data": "0" * 32, "cut": "1" * 32, "sketch": ["0" * 16, "f" * 16], "weights": None},
    "costs": {"parameters": 10, "bytes": 40, "multiply_adds": 9, "seconds_per_example": 0.1, "peak_bytes": None},
}
OF_PARTS = 5  # epochs: files of four, and of one


def predictions(epoch: int) -> dict[str, Any]:
    return {
        "split": ["validation"] * 6 + ["test"] * 4,
        "example": [*range(6), *range(4)],
        "label": [0, 1] * 5,
        "predicted": [epoch % 2] * 10,
        "probability": np.linspace(0.5, 1, 10),
        "label_probability": [None, *np.linspace(0, 1, 9)],
    }


def go_on(store: Store, run_id: str, epochs: int) -> None:
    """As a process that resumes, and does not finish."""
    writer = store.new_run(run_id=run_id, dataset="digits", mode="unit", resume=True, **ABOUT[run_id])
    try:
        writer.load_checkpoint()
        for epoch in range(writer.last_epoch + 1, writer.last_epoch + 1 + epochs):
            writer.write_epoch(
                epoch,
                metrics={**metrics(epoch), "at": [max(epoch - 0.5, 0), None, epoch, epoch, epoch]},
                capacitance=capacitance(epoch),
                trajectories=trajectories(epoch),
                line_graph=factors(epoch) if epoch % 3 == 0 else None,
                line_graph_scale=2.5,
                predictions=predictions(epoch),
                drop_predictions=[epoch - 1] if epoch % 2 else [],
            )
        writer.describe(**DESCRIBED)
    finally:
        writer.close()


def finish(store: Store, run_id: str) -> None:
    """As a process that resumes when all is done."""
    writer = store.new_run(run_id=run_id, dataset="digits", mode="unit", resume=True, **ABOUT[run_id])
    try:
        writer.finish()
    finally:
        writer.close()


def prepare(place: Path, pipe: int) -> None:
    """A store with a run that stays as it is, a finished one, and one in parts with a checkpoint."""
    compaction_module.FAN_OUT = 2
    store = create_store(place)
    for run_id in ("good", "whole"):
        go_on(store, run_id, 3)
        finish(store, run_id)
    go_on(store, "parts", OF_PARTS)
    writer = store.new_run(run_id="parts", dataset="digits", mode="unit", resume=True, **ABOUT["parts"])
    writer.save_checkpoint(b"state" * 100)
    writer.close()
    store.annotate("whole", tags=["keep", "old"], notes="Notes.")
    store.annotate("parts", tags=["second"])
    files = set(store.run("parts").manifest.files)
    assert {"metrics/00000-00003.parquet", "metrics/00004.parquet", "predictions/00004.parquet"} <= files, files


# Ways to mutate bytes


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_end(data: bytearray, rng: random.Random) -> None:
    """Of a Parquet file: its footer."""
    start = max(len(data) - 8 - int.from_bytes(data[-8:-4], "little"), 0)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(start, len(data))] = rng.randrange(256)


def overwrite(data: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(data)), rng.randint(1, 64)
    data[start : start + length] = rng.randbytes(length) if rng.random() < 0.5 else bytes(length)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def insert(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = rng.randbytes(rng.randint(1, 64))


def repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = data[start : start + rng.randint(1, 256)] * rng.randint(1, 20)


BYTES = (flip, flip_end, overwrite, cut, insert, repeat)


def mutate_bytes(path: Path, rng: random.Random) -> str:
    data, way = bytearray(path.read_bytes()), rng.choice(BYTES)
    way(data, rng)
    path.write_bytes(data)
    return way.__name__


# Ways to mutate content


def mutate_json(path: Path, rng: random.Random) -> str:
    """Another value, or none, or one more, somewhere in a manifest."""
    content = json.loads(path.read_bytes())
    at, steps = content, []
    if path.name == "run.json" and rng.random() < 0.2:
        return mutate_listing(path, content, rng)
    while True:
        key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        steps.append(key)
        if not (isinstance(at[key], dict | list) and at[key] and rng.random() < 0.7):
            break
        at = at[key]
    value = rng.choice(VALUES)
    if rng.random() < 0.05:
        value = json.loads("[" * 300 + "]" * 300)
    if rng.random() < 0.1:
        del at[key]
    elif rng.random() < 0.1 and isinstance(at, dict):
        at[str(value)[:300]] = at.pop(key)
    else:
        at[key] = value
    write_json(path, content)
    return "json"


def write_json(path: Path, content: Any) -> None:
    if path.name != "run.json" or not isinstance(content, dict):
        path.write_text(json.dumps(content))
        return
    content.pop("crc32", None)
    body = json.dumps(content).encode()[1:]
    path.write_bytes(b'{"crc32": "' + checksum(body).encode() + b'",\n' + body)


def mutate_listing(path: Path, content: dict[str, Any], rng: random.Random) -> str:
    """Files that hold other epochs than they say, or the same as others, or are listed without being there."""
    name = rng.choice(list(content["files"]))
    table, entry = name.split("/")[0].removesuffix(".parquet"), content["files"][name]
    first, last = sorted((rng.randrange(8), rng.randrange(8)))
    others = (f"{table}/{first:05d}.parquet", f"{table}/{first:05d}-{last:05d}.parquet", f"{table}.parquet")
    other = rng.choice((*others, *(f"{another}.parquet" for another in TABLES)))
    if rng.random() < 0.5:
        del content["files"][name]
    content["files"][other] = entry
    if rng.random() < 0.7 and not (path.parent / other).exists():
        (path.parent / other).parent.mkdir(exist_ok=True)
        shutil.copy(path.parent / name, path.parent / other)
    if rng.random() < 0.5:
        content["tables"][table] = rng.choice(([], [[first, last, 1]], [[0, 7, 1]], [[0, 2**31 - 1, 1]]))
    write_json(path, content)
    return "listing"


def mutate_table(path: Path, rng: random.Random) -> str:
    """A table of the right columns that Arrow wrote, with rows that no recorder writes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = path.name.removesuffix(".parquet") if path.name[0] not in "0123456789" else path.parent.name
    table = pq.read_table(path, partitioning=None)
    way = rng.choice(("none", "many", "cell", "text", "shuffled", "column", "short", "huge"))
    schema = TABLES[name].schema
    if way == "none":
        table = table.slice(0, 0)
    elif way == "many":
        table = (
            table.take(pa.array(np.zeros(rng.choice((70_000, 3_000_000)), np.int64))) if name != "line_graph" else table
        )
    elif way == "shuffled":
        table = table.take(pa.array(rng.choices(range(len(table)), k=rng.randint(1, 2 * len(table)))))
    elif way == "short":
        table = table.slice(rng.randrange(len(table)), rng.randint(1, 5))
    elif way == "column":
        table = table.drop_columns([rng.choice(table.column_names)])
    else:
        index = rng.randrange(len(schema))
        field = schema.field(index)
        values = table.column(field.name).to_pylist()
        for _ in range(rng.randint(1, 5)):
            row = rng.randrange(len(values))
            if pa.types.is_integer(field.type):
                values[row] = rng.choice((-1, 0, 2**31 - 1, -(2**31), 10**6))
            elif pa.types.is_floating(field.type):
                values[row] = rng.choice((None, float("nan"), float("inf"), -float("inf"), 1e38, -1.0))
            elif pa.types.is_string(field.type):
                values[row] = rng.choice(("", "x" * 10_000, "\0", "inputs", "accuracy"))
            else:
                values[row] = rng.choice((None, [], [1.0] * 1000, [float("nan")], [None]))
        column = pa.array(values, field.type)
        if way == "text" and pa.types.is_string(field.type):
            invalid = pa.array([b"\xff\xfe"] * len(values), pa.binary())
            column = pa.Array.from_buffers(pa.string(), len(values), invalid.buffers())
        table = table.set_column(index, field, column)
    metadata = pq.read_metadata(path).metadata or {}
    rows = 1 << 22 if way in ("many", "huge") else rng.choice((1, 7, 16_384))
    try:
        with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
            writer.add_key_value_metadata(metadata)
            writer.write_table(table, row_group_size=rows)
    except (pa.ArrowException, ValueError):  # one that Arrow itself refuses
        return "table, refused by Arrow"
    return f"table, {way}"


def mutate_kind(path: Path, rng: random.Random) -> str:
    """Something else under the name of a file."""
    kind = rng.choice(("folder", "link", "dangling", "loop", "pipe", "socket", "gone", "empty", "other", "sparse"))
    others = [other for other in path.parent.rglob("*") if other.is_file() and other != path]
    data = rng.choice(others).read_bytes() if others else b""
    aside = path.with_name("aside")
    path.rename(aside)
    if kind == "folder":
        path.mkdir()
    elif kind in ("link", "dangling", "loop"):
        path.symlink_to({"link": aside, "dangling": path.with_name("nothing"), "loop": path}[kind])
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)  # names of sockets are short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name[:90])
        os.chdir(here)
    elif kind == "empty":
        path.touch()
    elif kind == "other":
        path.write_bytes(data)
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 1 << 40)
    if kind != "link":
        aside.unlink()
    return kind


def make_right(root: Path, path: Path) -> None:
    """Let the manifest say of a file what it is now, and the manifest's own checksum and a checkpoint's name too."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size > 1 << 30:
        return
    data = path.read_bytes()
    if parsed := parse_checkpoint_file(path.name):
        path.rename(path.with_name(checkpoint_file(parsed[0], data)))
        return
    if path.parent == root:
        return
    run = root / path.relative_to(root).parts[0]
    manifest = run / "run.json"
    if path == manifest:
        body = data.split(b"\n", 1)[-1]
    elif path.name == "annotations.json":
        return
    else:
        content = json.loads(manifest.read_bytes())
        inside = str(path.relative_to(run))
        if not parse_table_file(inside) or inside not in content["files"]:
            return
        claimed = int.from_bytes(data[-8:-4], "little") + 8
        tail = data[-claimed:] if claimed <= len(data) else data[-64:]
        content["files"][inside] = {
            "bytes": len(data),
            "crc32": checksum(data),
            "tail": {"bytes": len(tail), "crc32": checksum(tail)},
        }
        content.pop("crc32")
        body = json.dumps(content).encode()[1:]
    manifest.write_bytes(b'{"crc32": "' + checksum(body).encode() + b'",\n' + body)


def mutate(root: Path, rng: random.Random) -> str:
    """One mutant; says what it is."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and "good" not in path.parts)
    manifests = [path for path in files if path.name == "run.json"]
    path = rng.choice(manifests) if rng.random() < 0.3 else rng.choice(files)
    ways: list[Callable[[Path, random.Random], str]] = [mutate_bytes, mutate_bytes, mutate_kind]
    if path.suffix == ".json":
        ways += [mutate_json] * 4
    if path.suffix == ".parquet":
        ways += [mutate_table] * 2
    what = rng.choice(ways)(path, rng) if path.stat().st_size else mutate_kind(path, rng)
    if right := rng.random() < 0.8:
        make_right(root, path)
    return f"{path.relative_to(root)}: {what}{', checksums right' if right else ''}"


# Reading


def read_all(root: Path, run_ids: Sequence[str], reported: bool) -> tuple[int, list[str]]:
    """Everything that reads; how often it was refused, and what was wrong: exceptions that are no NcoreError.

    Runs that are not among ``run_ids`` are listed and ranked, but not looked into.
    """
    wrong: list[str] = []
    refused = 0

    def attempt(read: Callable[[], Any]) -> Any:
        nonlocal refused
        try:
            return read()
        except NcoreError as error:
            refused += 1
            if not str(error):
                wrong.append("an error that says nothing")
        except Exception:
            wrong.append(traceback.format_exc(limit=-6))
        return None

    verified = attempt(lambda: verify(root))
    attempt(lambda: str(verified.findings) if verified else "")
    for run_id in run_ids:
        attempt(lambda run_id=run_id: verify(root / run_id))
    store = attempt(lambda: open_store(root))
    if store is None:
        return refused, wrong
    for _ in range(2):
        table = attempt(store.runs)
        if table is None or "good" not in set(table.loc[table["status"] == "finished", "run"]):
            wrong.append(f"the good run is not listed: {table}")
    if reported:
        check_tables(store.run("good"), 3)
    attempt(lambda: table.to_json(date_format="iso"))
    curves = attempt(lambda: curves_from_store(store, dataset="digits", mode="unit"))
    if reported:
        attempt(lambda: report_html(store, dataset="digits", mode="unit", epochs=2, method="last"))
    if curves is not None and "good" not in {curve.candidate for curve in curves}:
        wrong.append("the good run has no curve")
    for run_id in run_ids:
        run = attempt(lambda run_id=run_id: store.run(run_id))
        if run is None:
            continue
        reads: list[Callable[[], Any]] = [
            lambda run=run: (run.manifest, run.status, run.epochs, repr(run), run.tags, run.notes),
            *(lambda run=run, name=name: run.recorded_epochs(name) for name in TABLES),
            run.metrics,
            run.capacitance,
            run.predictions,
            lambda run=run: run.predictions("test", epoch=[1]),
            run.trajectory,
            lambda run=run: run.trajectory(epoch=1),
            lambda run=run: run.trajectory(synapses=[0, 7], columns=["epoch", "weight"]),
            lambda run=run: run.line_graph_factors(0),
            *(lambda run=run, s=s: run.line_graph(0, s).beta_eff for s in ("absolute", "signed", "relative")),
        ]
        for read in reads:
            attempt(read)
    reading = refused
    for run_id in run_ids:
        attempt(lambda run_id=run_id: store.annotate(run_id, tags=["new"]))
        attempt(lambda run_id=run_id: go_on(store, run_id, 3 if reported else 1))
        attempt(lambda run_id=run_id: finish(store, run_id))
    attempt(lambda: store.delete("whole"))
    return reading, wrong


def batch(original: Path, place: Path, seed: int, first: int, last: int, pipe: int) -> None:
    """Mutants with these numbers; says of each that it begins, and how it ended."""
    import logging

    logging.getLogger("ncore.store").setLevel(logging.CRITICAL)
    compaction_module.FAN_OUT = 2
    os.fsync = lambda handle: None  # nobody pulls the plug here, and it takes most of the time
    bundled._all_tasks = lambda: ()  # nor is there anything to learn from others for half a minute
    for number in range(first, last):
        rng, root = random.Random(f"{seed} {number}"), place / str(number)
        parquet_module.WHOLE = rng.choice((0, 4 << 20))
        shutil.copytree(original, root)
        what = mutate(root, rng)
        os.write(pipe, f"{number}\0{what}\n".encode())
        reported, run_id = number % REPORTED == 0, what.split("/")[0]
        looked_into = ("whole", "parts") if reported or run_id not in ("whole", "parts") else (run_id,)
        refused, wrong = read_all(root, looked_into, reported)
        text = " | ".join(wrong).replace("\n", " // ")[:6000]
        os.write(pipe, f"{number}\0{'WRONG ' + text if wrong else 'refused' if refused else 'read'}\n".encode())
        shutil.rmtree(root)


def main() -> int:
    """Returns the number of mutants that went wrong."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--tries", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--first", type=int, default=0, help="number of the first mutant, to repeat one")
    arguments.add_argument("--state", type=Path, help="file that says how far it came, to go on from there")
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    assert call(partial(prepare, folder / "store"))[0] == 0
    ends, kinds, number, end = Counter[str](), Counter[str](), given.first, given.first + given.tries
    if given.state and given.state.exists():
        state = json.loads(given.state.read_text())
        ends, kinds, number = Counter(state["ends"]), Counter(state["kinds"]), state["number"]
    while number < end:
        last = min(number + BATCH, end)
        code, said = call(partial(batch, folder / "store", folder, given.seed, number, last), patience=60.0)
        lines = [line.split("\0", 1) for line in said.decode(errors="replace").splitlines()]
        for (at, what), answer in zip(lines[::2], [*lines[1::2], None], strict=False):
            number = int(at) + 1
            kinds[what.split(": ", 1)[1]] += 1
            how = (
                answer[1]
                if answer
                else f"WRONG, {'nothing came for a minute' if code is None else f'it ended with {code}'}"
            )
            ends[how.split(" ")[0].rstrip(",")] += 1
            if how.startswith("WRONG"):
                print(f"mutant {at} of seed {given.seed}, {what}: {how}", flush=True)
        if not lines:
            print(f"WRONG: mutant {number} of seed {given.seed} could not be made: {code}", flush=True)
            ends["not made"] += 1
            number += 1
        for left in folder.glob("[0-9]*"):
            shutil.rmtree(left, ignore_errors=True)
        if given.state:
            given.state.write_text(json.dumps({"number": number, "ends": ends, "kinds": kinds}))
        if number % 1000 < BATCH:
            print(f"{number - given.first} mutants: {dict(ends)}", flush=True)
    print(f"{number - given.first} mutants of seed {given.seed}: {dict(ends)}\n{dict(sorted(kinds.items()))}")
    shutil.rmtree(folder)
    return ends["WRONG"] + ends["not made"]


if __name__ == "__main__":
    sys.exit(bool(main()))
