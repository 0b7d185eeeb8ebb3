"""What is drawn, as a table to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

__all__ = ["download", "to_csv"]

_FORMULA_STARTS = ("=", "+", "-", "@")


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
    """A table as CSV, UTF-8; texts that a spreadsheet would take for a formula begin with an apostrophe."""
    texts = data.select_dtypes(include=["object", "string"]).columns
    safe = data.assign(**{name: data[name].map(_no_formula, na_action="ignore") for name in texts})
    return safe.to_csv(index=False).encode()


def _no_formula(text: Any) -> Any:
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA_STARTS) else text
