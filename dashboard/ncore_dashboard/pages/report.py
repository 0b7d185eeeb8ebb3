"""Report: what to tell those who decide."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ncore.errors import InputError, StoreError
from ncore.store import Run
from ncore_dashboard.data import rankings
from ncore_dashboard.data.library import Library
from ncore_dashboard.parts import method_choice, runs_choice, sidebar, ui
from ncore_dashboard.report import evidence_of, recommendation
from ncore_dashboard.report import page as report_page
from ncore_dashboard.text.plaintext import markdown, plain

HEIGHT = 1000


def page() -> None:
    """Lay out the page."""
    ui.head("Report", "What should those who decide be told, and how sure can they be?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        task = runs_choice.task("report")
        if task is None:
            return
        method = method_choice.method("report")
        metric = method_choice.metric("report", task)
    st.caption(runs_choice.said(task))
    books = sidebar.current()
    curves = [books.curve(key, metric) for key in task.keys]
    ui.problems(runs_choice.unreadable(task.keys, curves), "run")
    if rankings.last_epoch(curves) == 0:
        ui.empty(
            "There is nothing to report yet.", "None of these runs has finished an epoch; this page follows as they do."
        )
        return
    k = method_choice.epoch("report", curves)
    scheme = "dark" if ui.is_dark() else "light"

    past = books.past(task.dataset, task.mode, metric)

    def make() -> tuple[str, bytes, bytes, pd.DataFrame]:
        evidence = evidence_of(
            curves,
            books.clocks(task.keys),
            dataset=task.dataset,
            mode=task.mode,
            epochs=k,
            method=method,
            past=past,
            place=_place(books, task),
            candidates=books.candidates(),
            runs=_open(books, task.keys),
        )
        pages = (report_page(evidence, given).encode() for given in ("auto", scheme))
        return recommendation.recommendation(evidence), *pages, evidence.ranking

    try:
        what = ("report", past, method, k, scheme, task.chosen, task.older)
        sentence, file, preview, ranking = books.remembered(what, task.keys, make)
    except InputError as error:
        ui.empty("This can't be reported.", markdown(error))
        return
    st.markdown(f"**{markdown(sentence)}**")
    with st.container(horizontal=True):
        st.download_button(
            "Download the report",
            data=file,
            file_name=f"ncore-report-{_file_name(task.dataset)}.html",
            mime="text/html",
            key="report-download",
            on_click="ignore",
            icon=":material/download:",
        )
        ui.download(ranking, "csv-report", "report", "Ranking as CSV")
    st.caption(
        f"One file of {len(file) / 1000:.0f} kB that opens without a network, in light or dark as the "
        "reader has it; print it from a browser to get a PDF."
    )
    # As a data URL the report has an origin of its own, and can't reach into the app.
    source = f"data:text/html;charset=utf-8;base64,{base64.b64encode(preview).decode()}"
    with st.container(border=True):
        st.iframe(source, height=HEIGHT, alt="Preview of the report.")


def _open(books: Library, keys: Sequence[str]) -> dict[str, list[Run]]:
    """The runs that can be opened, by candidate."""
    found: dict[str, list[Run]] = {}
    for key in keys:
        with contextlib.suppress(StoreError):
            found.setdefault(str(books.row(key)["candidate"]), []).append(books.run(key))
    return found


def _place(books: Library, task: runs_choice.Task) -> str:
    """The store's name, if the report is on all that one store has on the dataset: then a command makes it again."""
    numbers = {books.row(key)["number"] for key in task.keys}
    return "" if task.chosen or task.older or len(numbers) > 1 else books.sources[numbers.pop()].label


def _file_name(dataset: str) -> str:
    return re.sub(r"[^\w.-]+", "-", plain(dataset, 40)).strip("-.") or "runs"


page()
