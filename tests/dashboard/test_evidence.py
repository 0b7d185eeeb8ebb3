"""The evidence view: what it says of methods, on the benchmark and on own runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_up_runs import record
from ncore_dashboard.data import track_record
from ncore_dashboard.figures import track_record as figures
from streamlit.testing.v1 import AppTest

from ncore.predict import DEFAULT_METHOD, Curve, Past
from ncore.store import create_store

MEASURES = ("kendall", "regret", "precision_at_3", "error", "coverage")
METHODS = {  # difference to the last accuracy, and its interval
    "last": (0.6, 0.0, 0.0, 0.0),
    DEFAULT_METHOD: (0.65, 0.05, -0.01, 0.1),
    "mean": (0.7, 0.1, 0.02, 0.2),
    "loss": (0.62, 0.02, -0.1, 0.1),
    "power": (0.4, -0.2, -0.3, -0.1),
}


def results() -> SimpleNamespace:
    rows = [
        {
            "mode": mode, "task": "average", "tasks": 9, "k": k, "method": name, "label": name.capitalize(),
            "kind": "naive", "measure": measure, "value": tau if measure == "kendall" else 0.9, "over_last": difference,
            "over_last_lower": lower, "over_last_upper": upper, "share": 0.1 * k,
        }
        for mode in ("all", "unit")
        for k in (1, 3)
        for name, (tau, difference, lower, upper) in METHODS.items()
        for measure in MEASURES
    ]  # fmt: skip
    return SimpleNamespace(average=pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("method", "better", "said"),
    [
        ("mean", True, "That is better than reading the last accuracy: +0.10, 95% interval +0.02 to +0.20."),
        ("loss", None, "not shown to be better or worse"),
        ("power", False, "That is worse than reading the last accuracy"),
        ("last", None, "the simplest method, and the one to beat"),
        ("domhan", None, "says nothing of this method"),
    ],
)
def test_a_verdict_says_what_the_interval_allows(method: str, better: bool | None, said: str) -> None:
    table = track_record.differences(results(), "unit", 3)
    found = track_record.verdict(table, method, tasks=9, k=3)
    assert found.better is better
    assert said in found.text


def test_the_figure_tells_better_from_worse_by_shape_and_names_the_chosen_one() -> None:
    table = track_record.differences(results(), "unit", 3)
    figure = figures.differences(table, "loss")
    drawn = {trace.name: (trace.marker.symbol, len(trace.x)) for trace in figure.data}
    assert drawn == {
        "shown to be better": ("circle", 1),
        "not shown to be better or worse": ("diamond", 2),
        "shown to be worse": ("x", 1),
    }
    assert [text for text in figure.layout.yaxis.ticktext if "▶" in text] == ["<b>▶ Loss</b>"]
    assert figures.differences(table[table["method"] == "last"], "last").layout.annotations


def curves(ends: dict[str, float], flat: float | None = None) -> list[Curve]:
    epochs = np.arange(1, 7)
    return [
        Curve(
            name, 0, epochs, np.full(6, flat) if flat else end * (1 - 0.5 * np.exp(-epochs / 2)), {}, 6,
            observed=end, dataset="photos", mode="all",
        )
        for name, end in ends.items()
    ]  # fmt: skip


def test_own_runs_need_enough_finished_candidates() -> None:
    many = curves({name: 0.5 + index / 10 for index, name in enumerate("abcd")})
    tasks = {("photos", "all"): many, ("few", "all"): many[:3]}
    assert list(track_record.finished(tasks)) == [("photos", "all")]


def test_the_own_record_counts_pairs() -> None:
    tasks = {("photos", "all"): curves({name: 0.5 + index / 10 for index, name in enumerate("abcd")})}
    pasts = {key: Past(key[:1], key[1]) for key in tasks}
    record = track_record.own_record(tasks, pasts, ["last", "power"], 2).set_index("method")
    assert record.loc["last", ["tasks", "right", "pairs"]].tolist() == [1, 6, 6]
    assert record.loc["last", "kendall"] == 1
    assert record.loc["last", "regret"] == 0
    assert record.loc["power", "tasks"] == 0  # it needs three epochs
    assert record.index[0] == "last"
    assert track_record.own_record(tasks, pasts, ["last"], 6)["tasks"].item() == 0  # nothing is left to predict


def words(test: AppTest) -> str:
    return "\n".join(str(element.value) for kind in (test.markdown, test.caption, test.header) for element in kind)


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Four candidates, finished."""
    opened = create_store(tmp_path / "four")
    for candidate, final in (("resnet", 0.95), ("lenet", 0.85), ("dense", 0.6), ("vit", 0.5)):
        record(opened, candidate, final=final)
    return tmp_path / "four"


def test_the_page_shows_both(app: Callable[..., AppTest], four: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_record, "benchmark", results)
    monkeypatch.setattr("ncore_dashboard.pages.ranking_track_record._words", lambda: None)
    test = app(four, page="ranking")
    assert not test.exception
    said = words(test)
    assert "Evidence: how far can the methods be trusted?" in said
    assert "On 9 tasks that it had not seen" in said
    assert "Had one ranked as of epoch" in said
    tables = [frame.value for frame in test.dataframe if "Pairs right" in frame.value and "Datasets" in frame.value]
    assert tables[0]["Datasets"].max() == 1
    assert "Something in this view failed" not in said


def test_without_results_and_without_runs_it_says_so(
    app: Callable[..., AppTest], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_record, "benchmark", lambda: None)
    said = words(app(store, page="ranking"))
    assert "The benchmark's results are not here." in said
    assert "No dataset has 4 finished candidates yet." in said
