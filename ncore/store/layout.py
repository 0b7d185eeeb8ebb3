"""Where things are in a store, and which names may occur there: nothing that a manifest says leads elsewhere."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from ncore._validation import shown
from ncore.errors import InputError
from ncore.store.schema import TABLES
from ncore.store.spans import MOST_EPOCH

__all__ = [
    "ANNOTATIONS",
    "INDEX_FILE",
    "LOCK",
    "MANIFEST",
    "STORE_FILE",
    "check_run_id",
    "checkpoint_file",
    "checksum",
    "default_run_id",
    "is_run_id",
    "is_temporary",
    "parse_checkpoint_file",
    "parse_table_file",
    "part_file",
    "table_file",
]

STORE_FILE = "ncore-store.json"
INDEX_FILE = "runs.json"
MANIFEST = "run.json"
ANNOTATIONS = "annotations.json"
LOCK = ".lock"

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TABLE_FILE = re.compile(rf"({'|'.join(TABLES)})(?:/([0-9]{{5,10}})(?:-([0-9]{{5,10}}))?)?\.parquet")
_CHECKPOINT = re.compile(r"checkpoint-([0-9]{6,})-([0-9a-f]{8})\.safetensors")


def part_file(table: str, first: int, last: int | None = None) -> str:
    """Where an epoch of a table, or some that follow each other, is while its run is being recorded."""
    return f"{table}/{first:05d}.parquet" if last in (None, first) else f"{table}/{first:05d}-{last:05d}.parquet"


def table_file(table: str) -> str:
    """Where all epochs of a table are once its run is finished."""
    return f"{table}.parquet"


@lru_cache(4096)
def parse_table_file(path: str) -> tuple[str, range] | None:
    """Table of a path inside a run, and the epochs that can be there; None if no table can be.

    Example:
        >>> parse_table_file("metrics/00016-00031.parquet")
        ('metrics', range(16, 32))
    """
    match = _TABLE_FILE.fullmatch(path)
    if match is None:
        return None
    if match[2] is None:
        return match[1], range(MOST_EPOCH + 1)
    first, last = int(match[2]), int(match[3] or match[2])
    if not first <= last <= MOST_EPOCH or path != part_file(match[1], first, last):
        return None
    return match[1], range(first, last + 1)


def checkpoint_file(number: int, data: bytes) -> str:
    """A name that says what its content must be, so that a checkpoint needs no second file to be trusted."""
    return f"checkpoint-{number:06d}-{checksum(data)}.safetensors"


def parse_checkpoint_file(path: str) -> tuple[int, str] | None:
    """Number and checksum of a checkpoint's name; None if it is not one."""
    match = _CHECKPOINT.fullmatch(path)
    return match and (int(match[1]), match[2])


def is_temporary(name: str) -> bool:
    """Whether a file of this name is something that a killed writer was about to put in place."""
    return name.startswith(".") and name.endswith(".tmp")


def checksum(data: Any, before: int = 0) -> str:
    """CRC-32 as 8 hexadecimal digits: it finds every flipped bit and every short burst, at memory speed."""
    return f"{zlib.crc32(data, before):08x}"


def check_run_id(run_id: str) -> str:
    """The id, if it can name a folder.

    Raises:
        InputError: It is empty, too long, or has characters that could lead out of the store.
    """
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise InputError(
            f"The run id is {shown(run_id)}, but it must be 1 to 128 letters, digits, dots, dashes and underscores, "
            "and begin with a letter or a digit."
        )
    return run_id


def is_run_id(name: str) -> bool:
    """Whether a folder of this name can be a run."""
    return _RUN_ID.fullmatch(name) is not None


def default_run_id(candidate: str, dataset: str, seed: int, mode: str, config: Mapping[str, Any]) -> str:
    """An id that says what the run is, the same whenever the same run is asked for.

    Example:
        >>> default_run_id("timm:resnet18", "digits", 0, "unit", {"lr": 0.1})
        'timm-resnet18_digits_unit_s0_1daf4570'
    """
    identity = json.dumps([candidate, dataset, seed, mode, config], sort_keys=True, default=str)
    names = [re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:40] for text in (candidate, dataset, mode)]
    return "_".join([*(n for n in names if n), f"s{seed}", sha256(identity.encode()).hexdigest()[:8]])
