"""Tables as CSV: whatever runs and columns are called, a spreadsheet takes no cell for a formula."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ncore_dashboard.charts.download import to_csv

STARTS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe63\ufe62\ufe66\ufe6b\u207a"
BEFORE = ["", " ", "\t", "\r", "\n", "\r\n", "\u00a0", "\u3000", "\ufeff", "\u200b", "\u202e", "\x00", "\x1b"]
formulas = st.builds("{}{}{}".format, st.sampled_from(BEFORE), st.sampled_from(STARTS), st.text(max_size=8))
harmless = st.text("abcäß日 1'\"(){}", max_size=8).filter(lambda text: text.strip() != "")
texts = st.one_of(formulas, harmless, st.builds("{}{}{}".format, harmless, st.sampled_from('\r\n,;"'), formulas))
values = st.one_of(texts, st.integers(-9, 9), st.floats(-1, 1), st.none(), st.booleans())
KINDS = {
    "object": lambda column: pd.Series(column, dtype=object),
    "string": lambda column: pd.Series([str(value) for value in column], dtype="string"),
    "category": lambda column: pd.Series([str(value) for value in column], dtype="category"),
    "paths": lambda column: pd.Series([PurePosixPath(str(value)) for value in column], dtype=object),
}


def cells(written: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written.decode(), newline="")))


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_formula(cell: str) -> bool:
    """As a spreadsheet may see it."""
    if cell[:1] in ("\t", "\r", "\n"):
        return True
    visible = "".join(letter for letter in cell if unicodedata.category(letter)[0] not in "CZ")
    return unicodedata.normalize("NFKC", visible)[:1] in ("=", "+", "-", "@") and not is_number(cell)


@given(st.lists(values, min_size=1, max_size=5), texts, st.sampled_from(list(KINDS)))
@example(["a\r=1+1"], "x", "object")
@example([-0.5, "-0.5", "=1"], "-name", "object")
def test_no_cell_and_no_name_is_a_formula(column: list[object], name: str, kind: str) -> None:
    data = pd.DataFrame({name: KINDS[kind](column), "number": np.arange(len(column)) - 1.5})
    written = cells(to_csv(data))
    assert len(written) == len(column) + 1
    assert not any(is_formula(cell) for row in written for cell in row)
    # Nothing is lost: without the apostrophe each text is what it was.
    assert written[0][0] in (name, f"'{name}")
    for row, value in zip(written[1:], data[name], strict=True):
        text = "" if value is None or value is pd.NA else str(value)
        assert row[0] in (text, f"'{text}") or is_number(row[0])
        assert is_number(row[1])


@given(st.lists(harmless, min_size=1, max_size=5), st.sampled_from(list(KINDS)))
def test_other_texts_stay_as_they_are(column: list[str], kind: str) -> None:
    data = pd.DataFrame({"name": KINDS[kind](column)})
    assert [row[0] for row in cells(to_csv(data))[1:]] == [str(value) for value in data["name"]]


def test_numbers_among_texts_stay_numbers() -> None:
    data = pd.DataFrame({"x": pd.Series([-1, -0.5, np.float32(-2), np.int64(-3), "-4", None, True], dtype=object)})
    assert [row[0] for row in cells(to_csv(data))[1:]] == ["-1", "-0.5", "-2.0", "-3", "'-4", "", "True"]


def test_dates_and_missing_numbers_stay_as_they_are() -> None:
    data = pd.DataFrame({"at": pd.to_datetime(["2026-01-02"]), "x": [np.nan], "y": pd.array([None], dtype="Int64")})
    assert cells(to_csv(data)) == [["at", "x", "y"], ["2026-01-02", "", ""]]


@pytest.mark.parametrize("columns", [["=a", "=a"], []])
def test_names_may_come_twice_or_not_at_all(columns: list[str]) -> None:
    data = pd.DataFrame([["=1"] * len(columns)], columns=columns)
    assert cells(to_csv(data))[0] == [f"'{name}" for name in columns]
