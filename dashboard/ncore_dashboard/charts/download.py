"""What is drawn, as a table to keep."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from numbers import Number
from typing import Any

import pandas as pd
import streamlit as st
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

__all__ = ["download", "to_csv"]

_FORMULA_STARTS = ("=", "+", "-", "@")
_SKIPPED = ("\t", "\r", "\n")  # after which a spreadsheet may begin a cell of its own


def download(data: pd.DataFrame | Callable[[], pd.DataFrame], key: str, file: str, label: str = "Data as CSV") -> None:
    """A button that saves a table, or what makes one."""
    st.download_button(
        label,
        data=lambda: to_csv(data() if callable(data) else data),
        file_name=f"ncore-{file}.csv",
        mime="text/csv",
        key=key,
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


def to_csv(data: pd.DataFrame) -> bytes:
    """A table as CSV (RFC 4180, UTF-8, without its index).

    Texts that a spreadsheet would take for a formula begin with an apostrophe, in the names of columns too.
    """
    safe = data.copy()
    for position, kind in enumerate(data.dtypes):  # names may come twice
        if not (is_numeric_dtype(kind) or is_datetime64_any_dtype(kind)):
            column = data.iloc[:, position].astype(object)  # of categories, the texts
            safe.isetitem(position, column.map(_no_formula, na_action="ignore"))
    header = [_no_formula(name) for name in data.columns]
    # With these line ends, cells that hold one of either kind are quoted.
    return safe.to_csv(index=False, header=header, lineterminator="\r\n").encode()


def _no_formula(value: Any) -> Any:
    if isinstance(value, Number):
        return value
    text = str(value)
    return f"'{text}" if _is_formula(text) else value


def _is_formula(text: str) -> bool:
    """Whether it may be one: also after what can't be seen, and with characters of other widths, as in Japanese."""
    if text.startswith(_SKIPPED):
        return True
    seen = next((letter for letter in text if unicodedata.category(letter)[0] not in "CZ"), "")
    return unicodedata.normalize("NFKC", seen).startswith(_FORMULA_STARTS)
