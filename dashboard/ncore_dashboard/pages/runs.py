"""Runs: the landing page."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ncore.network.strengths import Strength
from ncore_dashboard.data import runs_table
from ncore_dashboard.data.library import Problem
from ncore_dashboard.data.runs_table import FIELDS, SHOWN, SPARKLINE
from ncore_dashboard.parts import sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import markdown, plain

DETAILS = 5
"""Chosen runs whose details are shown at most."""

SPARKLINES = 200
"""Rows of a page that have a sparkline at most: each takes a look into its run."""

SPARKLINE_SECONDS = 0.25
"""Time for reading sparklines before the table is shown without the rest of them, which then follow."""

_WIDGET, _KEYS = "runs-table", "runs in table"
_MARKS = {"running": "●", "finished": "✓", "failed": "✕", "interrupted": "◌", "unreadable": "!"}


def page() -> None:
    """Lay out the page."""
    ui.head("Runs", "Which runs are there, how far did each get, and which of them do you want to look at?")
    books = sidebar.current()
    runs = books.runs()
    ui.problems(books.problems, "store")
    broken = runs[runs["status"] == "unreadable"]
    ui.problems([Problem(row.run, str(row.reason)) for row in broken.itertuples()], "run")
    if runs.empty:
        if len(books.problems) < len(books.sources) or not books.sources:
            ui.empty(
                "There are no runs yet.",
                "`ncore demo` makes some in two minutes, `ncore sweep recipe.yaml` records your own candidates. "
                "They appear here while they are being recorded.",
            )
        return
    found, columns = _controls(runs)
    if found.empty:
        ui.empty("No run fits.", f"None of the {len(runs):,} runs meets the search and the filters above.")
        return
    _actions(found, len(runs))
    _table(_rows_of_page(found), columns)
    _details()


def _controls(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Search, filters, order and columns; the runs that are left, and the columns to show."""
    several = runs["store"].nunique() > 1
    default = [*SHOWN, *(["store"] if several else [])]
    labels = {name: field.label for name, field in FIELDS.items()} | {SPARKLINE: "Validation curve"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            placeholder="Words in names, notes, reasons …",
            type="search",
            live=True,
            icon=":material/search:",
            **session.setting("runs-search"),
        )
        order = st.selectbox(
            "Sort by",
            list(FIELDS),
            list(FIELDS).index("created"),
            labels.__getitem__,
            width=170,
            **session.setting("runs-sort"),
        )
        falling = st.toggle("Descending", True, **session.setting("runs-descending"))
        with st.popover("Filter", icon=":material/filter_alt:"):
            fields = st.multiselect(
                "Filter by", list(FIELDS), format_func=labels.__getitem__, **session.setting("runs-filter")
            )
            conditions = {
                name: wanted
                for name in session.some_of(fields, FIELDS)
                if (wanted := _condition(name, runs)) is not None
            }
        with st.popover("Columns", icon=":material/view_column:"):
            columns = st.multiselect(
                "Columns", list(labels), default, labels.__getitem__, **session.setting("runs-columns")
            )
    found = runs_table.keep(runs_table.search(runs, text or ""), conditions)
    if conditions:
        st.caption("Filtered by " + ", ".join(f"**{labels[name]}**" for name in conditions) + ".")
    found = runs_table.sort(found, session.one_of(order, list(FIELDS), "created"), bool(falling))
    return found, session.some_of(columns, labels) or default


def _condition(name: str, runs: pd.DataFrame) -> Any:
    """The widget of one filter, and what it asks for; None if nothing."""
    field, values = FIELDS[name], runs[name].dropna()
    key = f"runs-is-{name}"
    if field.kind == "text":
        return st.text_input(f"{field.label} contains", **session.setting(key)) or None
    if field.kind == "choice":
        options = sorted(values.astype(str).unique(), key=str.casefold)
        wanted = st.multiselect(field.label, options, format_func=lambda text: plain(text, 60), **session.setting(key))
        return session.some_of(wanted, options) or None
    if field.kind == "time":
        day = st.date_input(f"{field.label} since", None, **session.setting(key))
        return None if day is None else (pd.Timestamp(day, tz="UTC"), None)
    with st.container(horizontal=True):
        bounds = [
            st.number_input(f"{field.label} {word}", value=None, **session.setting(f"{key}-{word}"))
            for word in ("from", "to")
        ]
    return None if bounds == [None, None] else tuple(bounds)


def _rows_of_page(found: pd.DataFrame) -> pd.DataFrame:
    """All runs, or those of one page, to choose above the table, if they are too many for one."""
    size = runs_table.ROWS_OF_PAGE
    if len(found) <= size:
        return found
    last = -(-len(found) // size)
    with st.container(horizontal=True, vertical_alignment="center"):
        number = min(st.pagination(last, **session.setting("runs-page")), last)
        found = found.iloc[size * (number - 1) : size * number]
        first = size * (number - 1) + 1
        st.caption(f"Rows {first:,} to {first + len(found) - 1:,}. Search, filters and order are those of all runs.")
    return found


def _table(found: pd.DataFrame, columns: list[str]) -> None:
    """The table with its selection."""
    books = sidebar.current()
    view = runs_table.shown_values(found, [name for name in columns if name != SPARKLINE])
    if "candidate" in view:  # of an unreadable run only the folder is known
        view["candidate"] = view["candidate"].fillna("(" + found["run"] + ")")
    if "status" in view:
        view["status"] = [f"{_MARKS.get(status, '')} {status}" for status in view["status"]]
    complete = True
    if SPARKLINE in columns:
        lines, complete = books.sparklines(found["key"].head(SPARKLINES), SPARKLINE_SECONDS)
        view[SPARKLINE] = found["key"].map(lines.get)
    chosen = set(session.wanted_runs())
    st.session_state[_KEYS] = found["key"].tolist()
    rows = [row for row, key in enumerate(found["key"]) if key in chosen]
    st.session_state[_WIDGET] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    st.dataframe(
        view[columns],
        key=_WIDGET,
        on_select=_select,
        selection_mode="multi-row",
        hide_index=True,
        column_config={name: _column(name) for name in columns},
        height=min(35 * (len(view) + 1), 665) + 2,
        placeholder="–",
        lazy=False,
        alt="Runs, one a row; mark rows to choose them for the other pages.",
    )
    if SPARKLINE in columns and len(found) > SPARKLINES:
        st.caption(
            f"The first {SPARKLINES} rows have their validation curve; search, filter or sort to see that of others."
        )
    if not complete:
        _continue()


def _continue() -> None:
    """Show the table again in a moment, with more of its sparklines."""
    begun = False

    @st.fragment(run_every=0.2)
    def again() -> None:
        nonlocal begun
        if begun:  # not while the page itself is being drawn
            st.rerun()
        begun = True

    again()


def _select() -> None:
    """Take over the selection of the table: it says nothing about runs that it does not show."""
    keys = st.session_state[_KEYS]
    rows = st.session_state[_WIDGET]["selection"]["rows"]
    marked = {keys[row] for row in rows if 0 <= row < len(keys)}
    shown = set(keys)
    before = [key for key in session.wanted_runs() if key not in shown or key in marked]
    session.choose_runs([*before, *(key for key in keys if key in marked)])


def _column(name: str) -> Any:
    if name == SPARKLINE:
        return st.column_config.LineChartColumn(
            "Curve", help="Validation accuracy over epochs, from 0 to 1.", y_min=0, y_max=1, width="small"
        )
    field = FIELDS[name]
    if field.kind == "time":
        return st.column_config.DatetimeColumn(field.label, help=field.help, format="distance")
    if field.kind in ("number", "percent"):
        form = f"%.{field.digits}f" if name != "beta_eff" else "%.4g"
        return st.column_config.NumberColumn(field.label, help=field.help, format=form)
    return st.column_config.TextColumn(field.label, help=field.help)


def _actions(found: pd.DataFrame, total: int) -> None:
    """What can be done with the runs shown."""
    keys = found["key"].tolist()
    chosen, _ = session.split_known(set(sidebar.current().runs()["key"]))
    room = [key for key in keys if key not in chosen][: session.MOST_CHOSEN - len(chosen)]
    every = len(room) == len(set(keys) - set(chosen))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{len(found):,} of {total:,} runs shown, **{len(chosen)} chosen**", width="content")
        st.button(
            "Choose all shown" if every else f"Choose {len(room)} more",
            on_click=lambda: session.choose_runs([*session.wanted_runs(), *room]),
            disabled=not room,
            type="tertiary",
            icon=":material/done_all:",
        )
        st.button(
            "Choose none",
            on_click=session.choose_runs,
            args=([],),
            disabled=not chosen,
            type="tertiary",
            icon=":material/close:",
        )
        ui.download(found.drop(columns=["key", "number"]), "csv-runs", "runs", "Table as CSV")
        ui.explain(["status", "validation_accuracy", "test_accuracy", f"beta_eff {Strength.RELATIVE}"])


def _details() -> None:
    """What the chosen runs are, to open; texts as they are."""
    books = sidebar.current()
    chosen, _ = session.split_known(set(books.runs()["key"]))
    if not chosen:
        st.caption("Mark rows to choose runs: the other pages then show these. With none chosen they show a dataset.")
    for key in chosen[:DETAILS]:
        row = books.row(key)
        with st.expander(f"Details of {markdown(row['run'], 90)}"):
            _detail(row, key)
    if len(chosen) > DETAILS:
        st.caption(f"Details are shown of the first {DETAILS} of {len(chosen)} chosen runs.")


@ui.guarded
def _detail(row: dict[str, Any], key: str) -> None:
    for field in ("reason", "notes"):
        if isinstance(row[field], str) and row[field]:
            st.caption(FIELDS[field].label)
            st.text(plain(row[field], 2000))
    if row["status"] != "unreadable":
        manifest = sidebar.current().run(key).manifest
        st.caption("Configuration")
        st.json({"config": manifest.config, "unit": manifest.unit, "info": manifest.info}, expanded=1)


page()
