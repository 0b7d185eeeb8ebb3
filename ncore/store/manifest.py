"""The manifest of a run, ``run.json``: what the run is, and which files belong to it.

Rewriting it is the commit of everything: readers only look at files that it lists.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import from_json

from ncore._validation import INT64, described, shown, whole
from ncore.errors import InputError, SchemaVersionError, StoreError
from ncore.store.damage import DamagedFileError, in_line
from ncore.store.layout import checksum, parse_table_file
from ncore.store.migrations import is_readable, known_versions, lift_manifest
from ncore.store.schema import SCHEMA_VERSION
from ncore.store.spans import count_in, epochs_of, spans_of

__all__ = [
    "MOST_BYTES",
    "NAME",
    "NOTES",
    "Ending",
    "Extent",
    "FileEntry",
    "Manifest",
    "Owner",
    "Status",
    "check_costs",
    "check_digests",
    "check_version",
    "plain",
]

NAME, NOTES = 1_000, 1_000_000
"""Characters that a name and that notes may have."""

MOST_BYTES = 1 << 29
"""Of a manifest: more is not read, so not written either."""

_DEPTH = 50  # levels of what a configuration and the like may be nested; readers of JSON stop at some hundreds

_Whole = Annotated[int, Field(ge=0, le=INT64)]
_Epochs = Annotated[list[int], BeforeValidator(epochs_of), PlainSerializer(spans_of)]
_Name = Annotated[str, StringConstraints(max_length=NAME)]
_Notes = Annotated[str, StringConstraints(max_length=NOTES)]
_Time = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(2262, 1, 1, tzinfo=UTC))]

Status = Literal["running", "finished", "failed", "interrupted"]


class Ending(StrEnum):
    """Why a run was ended on purpose before its end; its ``reason`` begins with the member's text."""

    STOPPED_EARLY = "stopped early"


# The checksum stands at a fixed place before all that it covers, so that every byte of the file is covered.
_CHECKED = re.compile(rb'\{"crc32": "([0-9a-f]{8})",\n')


class Extent(BaseModel):
    """Size and checksum of some bytes."""

    bytes: _Whole
    crc32: Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}$")]


class FileEntry(Extent):
    """Size and checksum of a file, and of its end.

    Attributes:
        tail: The last bytes of a Parquet file, with its whole footer: what says where all else is, and which Arrow
            is not safe to be given damaged. None in runs that were recorded before it was kept.
    """

    tail: Extent | None = None


class Owner(BaseModel):
    """The process that records a run; ``token`` tells two writers of one process apart."""

    host: _Name
    pid: _Whole
    token: _Name


class Manifest(BaseModel):
    """Everything about a run but its tables.

    Attributes:
        schema_version: Written as ``schema``.
        config: The full training configuration.
        info: What else a reader may want to know, such as image counts and class names.
        versions: Of Python and the packages that matter.
        unit: Layer widths, activations.
        recorded: Which neurons of how many, every how many epochs: so also what was left out.
        resolved: All settings as they were when it ran, the model's preprocessing as it was found.
        digests: Of what it was trained on: see :func:`check_digests`.
        costs: Of using the candidate: see :func:`check_costs`.
        epochs: Recorded ones, 0 being the state before training; written as spans, like those of tables.
        tables: For each table the epochs it has rows of; what a file holds beside them does not count.
        summary: Latest values, for listings.
        reason: Why the run failed, in a line.
        files: Path inside the run's folder -> size and checksum.
        warnings: What to know before trusting the run, a sentence each.
    """

    model_config = ConfigDict(populate_by_name=True, extra="allow")

    format: Literal["ncore-run"] = "ncore-run"
    schema_version: int = Field(default=SCHEMA_VERSION, alias="schema")
    run: _Name
    candidate: _Name
    dataset: _Name
    seed: Annotated[int, Field(ge=-INT64, le=INT64)]  # new runs have none below 0, but older ones may
    mode: _Name
    status: Status
    reason: _Notes | None = None
    notes: _Notes = ""
    planned_epochs: _Whole | None = None
    epochs: _Epochs = []
    created: _Time
    updated: _Time
    summary: dict[str, Any] = {}
    unit: dict[str, Any] = {}
    recorded: dict[str, Any] = {}
    config: dict[str, Any] = {}
    info: dict[str, Any] = {}
    resolved: dict[str, Any] = {}
    digests: dict[str, Any] = {}
    costs: dict[str, Any] = {}
    versions: dict[str, str] = {}
    warnings: list[str] = []
    writer: Owner
    tables: dict[str, _Epochs] = {}
    files: dict[str, FileEntry] = {}

    @field_validator("digests", "costs")
    @classmethod
    def _sound(cls, values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        try:
            (check_digests if info.field_name == "digests" else check_costs)(values)
        except InputError as error:
            raise ValueError(str(error)) from error
        return values

    @model_validator(mode="after")
    def _covered(self) -> Self:
        """Every listed epoch of a table is in one file, and none in two."""
        held: dict[str, list[range]] = {}
        for path in self.files:
            if (parsed := parse_table_file(path)) is None:
                raise ValueError(f"it lists {path!r}, which cannot be a file of a run")
            held.setdefault(parsed[0], []).append(parsed[1])
        for name, ranges in held.items():
            for before, after in pairwise(sorted(ranges, key=lambda some: some.start)):
                if after.start < before.stop:
                    raise ValueError(f"it lists two files of the table {name} that hold epoch {after.start}")
        for name, epochs in self.tables.items():
            if sum(count_in(epochs, some) for some in held.get(name, ())) < len(epochs):
                raise ValueError(f"it lists epochs of the table {name} that are in none of its files")
        return self

    @property
    def last_epoch(self) -> int:
        """The last recorded epoch, -1 if there is none."""
        return self.epochs[-1] if self.epochs else -1

    @property
    def size(self) -> int:
        """Bytes of all listed files."""
        return sum(entry.bytes for entry in self.files.values())

    def changed(self, **values: Any) -> Manifest:
        """A copy with some values replaced, updated now."""
        return self.model_copy(update={"updated": datetime.now(UTC), **values})

    def files_of(self, table: str, epochs: Sequence[int] | None = None) -> dict[str, range]:
        """Listed files of a table, in order of epoch, with the epochs that they can hold.

        Args:
            table: Its name.
            epochs: Only files that can hold one of these, ascending.
        """
        parsed = ((path, parse_table_file(path) or ("", range(0))) for path in self.files)
        found = [(held.start, held, path) for path, (name, held) in parsed if name == table]
        found.sort(key=lambda item: item[0])
        return {path: held for _, held, path in found if epochs is None or count_in(epochs, held)}

    @property
    def stopped_early(self) -> bool:
        """Whether a sweep has stopped it: interrupted, to be resumed or not."""
        return self.status == "interrupted" and (self.reason or "").startswith(Ending.STOPPED_EARLY)

    def to_bytes(self) -> bytes:
        """As it is written to ``run.json``.

        Raises:
            StoreError: It is larger than what is read.
        """
        body = self.model_dump_json(by_alias=True).encode()[1:]
        if len(body) >= MOST_BYTES:
            raise StoreError(
                f"The manifest of run {self.run} has {len(body)} bytes, but {MOST_BYTES} are read at most."
            )
        return b'{"crc32": "' + checksum(body).encode() + b'",\n' + body

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Manifest:
        """Read ``run.json``.

        Raises:
            SchemaVersionError: A version of the format that this ncore does not know.
            DamagedFileError: Not what ncore once wrote.
        """
        head = _CHECKED.match(data)
        if head and head[1].decode() == checksum(data[head.end() :]):
            try:
                content = from_json(b"{" + data[head.end() :])
                if is_readable(content.get("schema")):
                    return cls.model_validate(lift_manifest(content))
            except ValidationError as error:
                raise DamagedFileError(path, "corrupt", described(error, cls), _STILL) from error
            except ValueError as error:
                raise DamagedFileError(path, "corrupt", in_line(error), _STILL) from error
        check_version(data, path)
        if not data.rstrip().endswith(b"}"):
            raise DamagedFileError(path, "truncated", f"it ends after {len(data)} bytes", _STILL)
        raise DamagedFileError(path, "corrupt", "it does not match its own checksum", _STILL)


_STILL = "its Parquet files can still be opened by themselves"


def check_version(data: bytes, path: str) -> None:
    """Refuse a JSON file that says it is of an unknown version; anything else passes.

    Raises:
        SchemaVersionError: With the found and the known version.
    """
    try:
        found = json.loads(data).get("schema")
    except (ValueError, AttributeError, RecursionError):
        return
    if isinstance(found, int) and not isinstance(found, bool) and not is_readable(found):
        raise SchemaVersionError(
            f"{path} has schema version {shown(found)}, but this ncore knows {known_versions()}: "
            + ("upgrade ncore." if found > SCHEMA_VERSION else "read it with the ncore that wrote it.")
        )


def check_digests(digests: Mapping[str, Any]) -> None:
    """Check the digests of what a run was trained on.

    ``data``, ``cut``, ``weights`` and ``weight_files`` are hexadecimal text of 32 digits, or null; ``sketch`` is a list
    of such of 16, ascending.

    Raises:
        InputError: One is something else.
    """
    for name in ("data", "cut", "weights", "weight_files"):
        if (found := digests.get(name)) is not None and not _is_hex(found, 32):
            raise InputError(f"The digest {name!r} is {shown(found)}, but it must be 32 hexadecimal digits.")
    sketch = digests.get("sketch")
    if sketch is not None and not (
        isinstance(sketch, list) and all(_is_hex(item, 16) for item in sketch) and sorted(sketch) == sketch
    ):
        raise InputError(
            f"The digest 'sketch' is {shown(sketch)}, but it must be a list of 16 hexadecimal digits each, ascending."
        )


def check_costs(costs: Mapping[str, Any]) -> None:
    """Check what using a candidate costs.

    ``parameters``, ``bytes``, ``multiply_adds`` and ``peak_bytes`` are whole numbers, ``seconds_per_example`` a real
    one; each null where it is not known.

    Raises:
        InputError: One is something else.
    """
    for name in ("parameters", "bytes", "multiply_adds", "peak_bytes"):
        if (found := costs.get(name)) is not None:
            whole(None if isinstance(found, bool) else found, f"cost {name!r}")
    seconds = costs.get("seconds_per_example")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0):
        raise InputError(f"The cost 'seconds_per_example' is {shown(seconds)}, but it must be a number from 0 on.")


def _is_hex(value: Any, digits: int) -> bool:
    return isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{digits}}}", value) is not None


def plain(value: Any, name: str, depth: int = 0) -> Any:
    """The value as any JSON reader can hold it: NumPy scalars as numbers, tuples as lists, paths as text, NaN as null.

    Args:
        value: Dict, list, scalar, or anything with ``.tolist()``.
        name: Of the value, for the error.
        depth: How many levels it is inside another.

    Raises:
        InputError: Naming what cannot be written.

    Example:
        >>> import numpy as np
        >>> plain({"lr": np.float32(0.5), "betas": (0.9, float("nan"))}, "config")
        {'lr': 0.5, 'betas': [0.9, None]}
    """
    if depth > _DEPTH:
        raise InputError(
            f"{shown(name)[1:-1]} is nested more than {_DEPTH} levels deep, but no more are recorded: flatten it."
        )
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, name)
    if isinstance(value, int):
        if not -INT64 <= value < 2**64:
            raise InputError(f"{name} is {shown(value)}, but whole numbers of 64 bits are recorded: give it as text.")
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        found = {
            _text(str(key), f"a name in {name}"): plain(item, f"{name}.{key}", depth + 1) for key, item in value.items()
        }
        if len(found) < len(value):
            raise InputError(f"{name} has two names that are the same as text, but JSON keeps one: rename one of them.")
        return found
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, f"{name}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, PurePath | datetime):
        return _text(str(value), name)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), name, depth + 1)
    raise InputError(f"{name} is a {type(value).__name__}, but only values that JSON can hold are recorded.")


def _text(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{shown(name)[1:-1]} is {shown(value)}, which is no valid Unicode: give it in plain letters."
        ) from error
    return value
