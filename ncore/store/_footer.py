"""Whether Arrow can be asked what the footer of a Parquet file says of its columns.

What Parquet's library throws there, on values that contradict each other, passes through pyarrow as nothing that Python
could catch: it ends the process. So those values are looked at first, in the footer's own encoding, which is Thrift's
compact protocol. Footers of large files have a hundred thousand values, so only those few are kept.
"""

from __future__ import annotations

import os
from typing import Any

import pyarrow.parquet as pq

__all__ = ["check_footer", "footer_bytes"]

_TYPES = ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY")
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
# Numbers of fields, as in the format's parquet.thrift.
_ROW_GROUPS, _COLUMNS = 4, 1
_META_DATA, _CRYPTO_METADATA, _ENCRYPTED = 3, 8, 9
_TYPE, _STATISTICS, _SIZES, _GEOSPATIAL = 1, 12, 16, 17
_LIMITS, _REPETITION, _DEFINITION = (1, 2, 5, 6), 2, 3
_Wanted = dict[int, Any]
_NOTHING: _Wanted = {}
_WANTED: _Wanted = {
    _ROW_GROUPS: {
        _COLUMNS: {
            _META_DATA: {
                _TYPE: _NOTHING,
                _STATISTICS: dict.fromkeys(_LIMITS, _NOTHING),
                _SIZES: {_REPETITION: _NOTHING, _DEFINITION: _NOTHING},
                _GEOSPATIAL: _NOTHING,
            },
            _CRYPTO_METADATA: _NOTHING,
            _ENCRYPTED: _NOTHING,
        }
    }
}


def footer_bytes(source: Any) -> bytes:
    """The footer of an open Parquet file, without what marks its end."""
    end = source.seek(0, os.SEEK_END)
    source.seek(end - 8)
    length = int.from_bytes(source.read(4), "little")
    source.seek(end - 8 - length)
    return bytes(source.read(length))


def check_footer(footer: bytes, schema: pq.ParquetSchema) -> None:
    """Check what a footer says of columns.

    Args:
        footer: As it is in the file.
        schema: As Arrow has read it.

    Raises:
        ValueError: Arrow could not be asked.
    """
    columns = [schema.column(number) for number in range(len(schema))]
    known = [
        (
            2 * _TYPES.index(column.physical_type),  # as a signed number is written
            _WIDTHS.get(column.physical_type, 0),
            (None, 0, column.max_repetition_level + 1),
            (None, 0, column.max_definition_level + 1),
        )
        for column in columns
    ]
    try:
        said, _ = _struct(footer, 0, _WANTED)
        for group in said[_ROW_GROUPS]:
            for (kind, width, repetition, definition), chunk in zip(known, group[_COLUMNS], strict=True):
                about = chunk[_META_DATA]
                sizes, limits = about.get(_SIZES, _NOTHING), about.get(_STATISTICS, _NOTHING)
                if (
                    len(chunk) > 1
                    or about[_TYPE] != kind
                    or _GEOSPATIAL in about
                    or sizes.get(_REPETITION) not in repetition
                    or sizes.get(_DEFINITION) not in definition
                    or (limits and min(limits.values()) < width)
                ):
                    raise ValueError
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError):
        raise ValueError("its footer says of its columns what can't be so") from None


def _struct(data: bytes, at: int, wanted: _Wanted) -> tuple[dict[int, Any], int]:
    """Fields of a struct by number, as far as they are wanted, and where it ends.

    Of a number it is the first byte, of text and of lists of numbers the length. What no writer writes is an error.
    """
    found = {}
    number = 0
    while head := data[at]:
        if head < 16:  # as it would be after a gap of more than 15 numbers, or to go back
            raise ValueError
        at += 1
        number += head >> 4
        kind = head & 15
        value: Any = None
        if kind > 2:  # and not a truth value, which its kind says
            value, at = _value(data, at, kind, wanted.get(number, _NOTHING))
        if number in wanted:
            found[number] = value
    return found, at + 1


def _value(data: bytes, at: int, kind: int, wanted: _Wanted) -> tuple[Any, int]:
    if 3 < kind < 7:
        value = data[at]
        while data[at] > 127:
            at += 1
        return value, at + 1
    if kind == 12:
        return _struct(data, at, wanted)
    if kind == 8:
        length, at = _length(data, at)
        return length, at + length
    if kind == 9:
        length, kind = data[at] >> 4, data[at] & 15
        at += 1
        if length == 15:
            length, at = _length(data, at)
        values = []
        for _ in range(length):
            value, at = _value(data, at, kind, wanted)
            values.append(value)
        return values if kind == 12 else length, at
    return None, at + {1: 1, 2: 1, 3: 1, 7: 8}[kind]


def _length(data: bytes, at: int) -> tuple[int, int]:
    length = data[at] & 127
    shift = 7
    while data[at] > 127:
        at += 1
        length |= (data[at] & 127) << shift
        shift += 7
        if shift > 35:
            raise ValueError
    return length, at + 1
