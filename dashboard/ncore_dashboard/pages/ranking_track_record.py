"""The evidence view of the page Ranking: how each method did on the benchmark, and on the user's own finished runs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ncore.predict import Curve
from ncore_dashboard.data import track_record
from ncore_dashboard.figures import track_record as figures
from ncore_dashboard.parts import sidebar, ui
from ncore_dashboard.parts.runs_choice import MOST_RUNS
from ncore_dashboard.state import session
from ncore_dashboard.text.explanations import explanation
from ncore_dashboard.text.plaintext import plain

_MODES = {"backbone": "backbone trained", "unit": "unit trained", "all": "all trained"}


def show(method: str, k: int, mode: str) -> None:
    """Lay out the view.

    Args:
        method: That the page uses.
        k: The epoch as of which it ranks.
        mode: Training mode of the runs on the page.
    """
    ui.section(
        "Evidence: how far can the methods be trusted?",
        "What they did where the end is known: on the benchmark that comes with ncore, and on your own finished runs.",
        ("kendall", "regret", "coverage"),
    )
    _benchmark(method, k, mode)
    _own(method, k)


@ui.guarded
def _benchmark(method: str, k: int, mode: str) -> None:
    found = track_record.benchmark()
    if found is None:
        ui.empty("The benchmark's results are not here.", "They come with ncore's source: `ncore/benchmark/results`.")
        return
    modes = sorted(found.average["mode"].unique())
    default = mode if mode in modes else modes[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = st.segmented_control(
            "On the benchmark, with",
            modes,
            default=default,
            format_func=lambda name: _MODES.get(name, plain(name, 40)),
            required=True,
            **session.setting("ranking-benchmark-mode"),
        )
    picked = session.one_of(picked, modes, default)
    ks = sorted(int(value) for value in found.average.loc[found.average["mode"] == picked, "k"].unique())
    at = max((value for value in ks if value <= k), default=ks[0])
    table = track_record.differences(found, picked, at)
    average = found.average[(found.average["mode"] == picked) & (found.average["k"] == at)]
    st.markdown(track_record.verdict(table, method, int(average["tasks"].max()), at).text)
    nearest = "" if at == k else f"After {at} epoch{'' if at == 1 else 's'}, the nearest to {k} that was judged. "
    st.caption(f"{nearest}What has 0 inside its interval is not shown to be better or worse.")
    ui.chart(
        figures.differences(table, method, ui.is_dark()),
        f"ranking-evidence-{len(table)}",
        f"Difference of {len(table)} methods in Kendall's tau to reading the last accuracy, on the benchmark.",
        table,
        "benchmark",
    )
    with st.expander("What the benchmark shows, and what it can't"):
        _words()


@ui.guarded
def _words() -> None:
    """Conclusions, protocol and limits, as on the page of the docs."""
    from ncore.benchmark.findings import FOLDER

    found = track_record.benchmark()
    if found is None or not found.words:
        return
    st.markdown("\n\n".join(found.words["conclusions"]))
    st.markdown("**How it was done**\n\n" + "\n\n".join(found.words["protocol"]))
    st.markdown("**Limits**\n\n" + "\n".join(found.words["limits"]))
    page = FOLDER / "README.md"
    if page.is_file():
        st.download_button(
            "The whole page with all tables, as Markdown",
            data=page.read_bytes,
            file_name="ncore-benchmark.md",
            mime="text/markdown",
            key="benchmark-page",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _own(method: str, k: int) -> None:
    st.subheader("On your own finished runs", anchor=False)
    books = sidebar.current()
    runs = books.runs()
    known = runs[runs["dataset"].notna() & runs["mode"].notna() & runs["test_accuracy"].notna()]
    enough = known.groupby(["dataset", "mode"])["candidate"].transform("nunique") >= track_record.FEWEST
    keys = tuple(known.loc[enough, "key"].head(MOST_RUNS))
    if not keys:
        st.caption(
            f"No dataset has {track_record.FEWEST} finished candidates yet. As soon as one has, this shows how the "
            "methods would have done on it."
        )
        return
    methods = track_record.beside(method)
    tasks = books.remembered(("own tasks",), keys, lambda: track_record.finished(_by_task(keys)))
    pasts = {task: books.past(*task) for task in tasks}
    record = books.remembered(
        ("own record", tuple(methods), k, *pasts.values()),
        keys,
        lambda: track_record.own_record(tasks, pasts, methods, k),
    )
    named = "; ".join(f"{plain(dataset, 40)} ({mode})" for dataset, mode in list(tasks)[:4])
    more = f" and {len(tasks) - 4} more" if len(tasks) > 4 else ""
    newest = (
        f" Of {sum(enough):,} finished runs the {MOST_RUNS} that began last were used."
        if sum(enough) > len(keys)
        else ""
    )
    st.caption(
        f"Had one ranked as of epoch {k}: {named}{more}.{newest} The benchmark's runs on the same data, if any, were "
        "not used. A few pairs more or less can be luck."
    )
    _table(record, method)


def _table(record: pd.DataFrame, method: str) -> None:
    view = pd.DataFrame(
        {
            "Method": [
                f"▶ {label}" if name == method else label
                for name, label in zip(record["method"], record["label"], strict=True)
            ],
            "Datasets": record["tasks"],
            "Pairs right": [
                f"{right} of {pairs}" if pairs else None
                for right, pairs in zip(record["right"], record["pairs"], strict=True)
            ],
            "Kendall ↑": record["kendall"],
            "Regret ↓": record["regret"],
            "Mean error ↓": record["error"],
        }
    )
    number = st.column_config.NumberColumn
    columns = {
        "Kendall ↑": number(format="%.2f", help=explanation("kendall").text),
        "Regret ↓": number(format="%.1f", help=explanation("regret").text),
        "Mean error ↓": number(format="%.1f", help="Mean absolute difference of predicted and observed, in points."),
        "Datasets": number(help="On how many the method could be used as of this epoch."),
    }
    st.dataframe(
        view,
        hide_index=True,
        column_config=columns,
        placeholder="–",
        height="content",
        alt="How the methods did on your own finished runs.",
        key="own-record",
    )
    ui.download(record, "csv-own-record", "own-record")


def _by_task(keys: Sequence[str]) -> dict[tuple[str, str], list[Curve]]:
    """Curves of these runs by dataset and mode."""
    books = sidebar.current()
    found: dict[tuple[str, str], list[Curve]] = {}
    for key in keys:
        row = books.row(key)
        found.setdefault((str(row["dataset"]), str(row["mode"])), []).append(books.curve(key))
    return found
