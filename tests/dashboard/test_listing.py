from __future__ import annotations

import pandas as pd
import pytest
from ncore_dashboard.data import runs_table
from ncore_dashboard.data.library import Library


@pytest.fixture
def runs(books: Library) -> pd.DataFrame:
    return books.runs()


def test_search_finds_all_words_in_any_case(runs: pd.DataFrame) -> None:
    assert set(runs_table.search(runs, "DIGITS resn")["candidate"]) == {"resnet"}
    assert len(runs_table.search(runs, "  ")) == 6
    assert runs_table.search(runs, "resnet lenet").empty
    assert runs_table.search(runs, "res.et (").empty  # no regular expression


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ({"candidate": ["resnet", "dense"]}, 4),
        ({"seed": (1, None)}, 3),
        ({"seed": (None, 0)}, 3),
        ({"test_accuracy": (85, 95)}, 4),
        ({"test_accuracy": (96, None)}, 0),
        ({"run": "LENET"}, 2),
        ({"created": (pd.Timestamp("2200-01-01", tz="UTC"), None)}, 0),
        ({"parameters": (0, None)}, 0),  # unknown of these runs
        ({"candidate": ["resnet"], "seed": (0, 0)}, 1),
        ({}, 6),
    ],
)
def test_filters(runs: pd.DataFrame, conditions: dict[str, object], count: int) -> None:
    assert len(runs_table.keep(runs, conditions)) == count


@pytest.mark.parametrize("name", list(runs_table.FIELDS))
@pytest.mark.parametrize("descending", [True, False])
def test_every_field_sorts_with_missing_values_last(runs: pd.DataFrame, name: str, descending: bool) -> None:
    table = pd.concat([runs.assign(**{name: pd.Series([None] * 6, dtype=runs[name].dtype)}), runs], ignore_index=True)
    ordered = runs_table.sort(table, name, descending)[name]
    assert ordered.iloc[6:].isna().all()
    known = ordered.dropna()
    assert known.is_monotonic_decreasing if descending else known.is_monotonic_increasing


def test_values_are_shown_in_their_units(runs: pd.DataFrame) -> None:
    shown = runs_table.shown_values(runs_table.sort(runs, "test_accuracy", True), ["test_accuracy", "bytes"])
    assert shown["test_accuracy"].iloc[0] == pytest.approx(95)
    assert (shown["bytes"] < 1).all()


def test_texts_are_shown_on_one_line(runs: pd.DataFrame) -> None:
    shown = runs_table.shown_values(runs.assign(notes="a\nb\u202ec"), ["notes"])
    assert set(shown["notes"]) == {"a b c"}


def test_every_field_is_in_the_listing(runs: pd.DataFrame) -> None:
    assert set(runs_table.FIELDS) <= set(runs.columns)
