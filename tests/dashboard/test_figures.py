from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from ncore_dashboard.data import rankings
from ncore_dashboard.data.clock import Clock
from ncore_dashboard.data.library import Library
from ncore_dashboard.figures import capacitance, plane, ranking, styles_of

from ncore.predict import Ranker, rank_curves
from ncore.predict.predictors.capacitance import ridge_line

HOSTILE = "<b>x</b><script>alert(1)</script> %{y} & <a href='javascript:1'>link</a>"


@pytest.fixture
def ranked(books: Library) -> pd.DataFrame:
    curves = [books.curve(key) for key in books.runs()["key"]]
    return rankings.below_each_other({k: rankings.ranking(curves, Ranker("last"), k) for k in range(1, 7)})


@pytest.fixture
def rows(books: Library) -> pd.DataFrame:
    return books.table(books.runs()["key"], "capacitance")[0]


def points_of(candidates: list[str], epochs: int = 6, beta: float = 1.0) -> pd.DataFrame:
    count = np.arange(1, epochs + 1)
    return pd.concat(
        pd.DataFrame(
            {
                "key": f"0~{number}",
                "candidate": name,
                "seed": 0,
                "epoch": count,
                "beta_eff": beta * np.exp(-count / 3),
                "accuracy": 0.9 - 0.5 * np.exp(-count / 3),
            }
        )
        for number, name in enumerate(candidates)
    )


def texts_of(figure: go.Figure) -> list[str]:
    """All texts of a figure that Plotly would read as HTML."""
    spec = json.loads(figure.to_json())
    found = [str(trace.get(name, "")) for trace in spec["data"] for name in ("name", "hovertemplate", "customdata")]
    found += [note["text"] for note in spec["layout"].get("annotations", [])]
    for name, axis in spec["layout"].items():
        if "axis" in name:
            found += [str(axis.get("ticktext", "")), str(axis.get("title", ""))]
    return found


def trace(figure: go.Figure, name: str) -> go.Scatter:
    found = [item for item in figure.data if item.name == name]
    assert found, f"no trace {name!r} among {[item.name for item in figure.data]}"
    return found[0]


def marks_of(trace: go.Scatter) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Symbols and sizes of its points; what only a line goes through has the size 0."""
    return trace.marker.symbol, trace.marker.size


def test_forecast_shows_predictions_and_what_was_observed(books: Library) -> None:
    curves = [books.curve(key) for key in books.runs()["key"]]
    table = rank_curves(curves, epochs=3)
    figure = ranking.forecast(table, styles_of(books.candidates()))
    drawn = [item for item in figure.data if item.error_x.array is not None]
    assert [item.x[0] for item in drawn] == pytest.approx(100 * table["predicted"], rel=1e-5)
    assert drawn[0].x[0] + drawn[0].error_x.array[0] == pytest.approx(100 * table["upper"][0], rel=1e-5)
    assert trace(figure, "observed final accuracy").x == pytest.approx(100 * table["observed"], rel=1e-5)
    assert figure.layout.yaxis.ticktext[0] == "1.  resnet"


def test_forecast_leaves_out_what_is_not_predicted(ranked: pd.DataFrame) -> None:
    table = ranked[ranked["k"] == 3].copy()
    table.loc[table["candidate"] == "dense", "predicted"] = np.nan
    assert len(ranking.forecast(table, {}).layout.yaxis.ticktext) == 2


def test_bump_ends_at_the_observed_order(ranked: pd.DataFrame) -> None:
    ranked.loc[(ranked["candidate"] == "resnet") & (ranked["k"] == 1), "rank"] = 3
    figure = ranking.bump(ranked, {}, chosen=3)
    assert list(trace(figure, "resnet").y) == [-3, -1, -1, -1, -1, -1, -1]
    ticks = figure.layout.xaxis.ticktext
    assert ticks[-1] == "<br>observed"  # in a line of its own: there may be no room beside the last epoch
    assert ticks[-2] == "6"


def test_bump_of_running_candidates_has_no_observed_column(ranked: pd.DataFrame) -> None:
    figure = ranking.bump(ranked.assign(observed=np.nan), {}, chosen=3)
    assert not any("observed" in text for text in figure.layout.xaxis.ticktext)
    assert len(trace(figure, "resnet").x) == 6


def test_bump_draws_the_best_of_many(ranked: pd.DataFrame) -> None:
    assert len(ranking.bump(ranked, {}, chosen=1, best_first=2).data) == 2


def test_price_has_a_panel_for_what_is_lost_and_one_for_what_is_saved() -> None:
    prices = pd.DataFrame(
        {"k": [1, 2], "label": "Last accuracy", "choice": ["a", HOSTILE], "regret": [2.0, 0.0], "saved": [60.0, 40.0]}
    )
    figure = ranking.price(prices, chosen=2)
    assert [list(item.y) for item in figure.data] == [[2.0, 0.0], [60.0, 40.0]]
    assert figure.layout.yaxis.title.text == "Regret (points)"
    assert figure.layout.yaxis2.title.text == "Compute saved (%)"


def test_learning_curves_have_the_mean_and_a_band_over_seeds() -> None:
    table = pd.DataFrame(
        {"candidate": "a", "seed": [0, 0, 1, 1], "epoch": [1, 2, 1, 2], "accuracy": [0.2, 0.4, 0.4, 0.8]}
    )
    figure = ranking.learning_curves(table, {}, chosen=1)
    assert trace(figure, "a").y == pytest.approx([30, 60])
    assert trace(figure, "a (seeds)").y == pytest.approx([40, 80, 40, 20])
    single = ranking.learning_curves(table[table["seed"] == 0], {})
    assert [item.name for item in single.data] == ["a"]


def test_beta_eff_is_of_the_whole_graph_and_bad_points_are_marked(rows: pd.DataFrame) -> None:
    signed = rows[rows["strength"] == "signed"]
    figure = capacitance.over_epochs(signed, {}, "signed")
    assert trace(figure, "lenet").y == pytest.approx((-1.0) ** np.arange(7) * np.exp(-np.arange(7) / 2), rel=1e-5)
    assert len(trace(figure, "ill-conditioned (below 0.05)").x) == 42  # six runs of seven epochs
    fine = capacitance.over_epochs(rows[rows["strength"] == "relative"], {}, "relative")
    assert {item.name for item in fine.data} >= {"lenet", "resnet", "dense"}
    assert not any("ill-conditioned" in item.name for item in fine.data)


def test_a_logarithmic_scale_has_only_positive_values(rows: pd.DataFrame) -> None:
    figure = capacitance.over_epochs(rows[rows["strength"] == "signed"], {}, "signed", log=True)
    assert list(trace(figure, "lenet").x) == [0, 2, 4, 6]
    assert figure.layout.yaxis.type == "log"


def test_layers_without_a_part_have_no_panel(rows: pd.DataFrame) -> None:
    figure = capacitance.by_layer(rows[rows["strength"] == "relative"], {}, "relative")
    assert [note.text for note in figure.layout.annotations] == ["Layer 2", "Layer 3"]
    assert sum(bool(item.showlegend) for item in figure.data) == 3  # each candidate once


def test_the_plane_has_path_line_prediction_and_truth() -> None:
    points = points_of(["a"])
    line = ridge_line(points["beta_eff"].to_numpy()[:4], points["accuracy"].to_numpy()[:4])
    assert line is not None
    figure = plane.accuracy_against_beta(points, {"0~0": line}, {"0~0": 0.88}, {}, "relative", seen=4)
    path = trace(figure, "a")
    assert path.y == pytest.approx(100 * points["accuracy"], rel=1e-5)
    assert len(set(path.marker.color[:4])) == 1
    assert path.marker.color[4] != path.marker.color[3]
    read = trace(figure, "a (h(0))")
    marks = {symbol: (x, y) for x, y, symbol, size in zip(read.x, read.y, *marks_of(read), strict=True) if size}
    assert marks == {"circle-open": (0, pytest.approx(100 * line.mean[0])), "star": (0, 88.0)}
    assert read.y[:2] == pytest.approx(100 * line.mean[[0, -1]])  # the line, which ends there
    assert read.x[:3] == (line.beta[0], line.beta[-1], None)
    low, high = figure.layout.xaxis.range
    assert low < 0 < points["beta_eff"].max() < high


def test_a_prediction_beyond_all_accuracies_is_cut_off_as_the_predictor_does() -> None:
    points = points_of(["a"]).assign(accuracy=np.linspace(0.5, 0.99, 6))
    line = ridge_line(points["beta_eff"].to_numpy(), points["accuracy"].to_numpy())
    assert line is not None
    assert line.mean[0] > 1
    figure = plane.accuracy_against_beta(points, {"0~0": line}, {}, {}, "relative", seen=6)
    read = trace(figure, "a (h(0))")
    ring = marks_of(read)[0].index("circle-open")
    assert read.y[ring] == 100.0
    assert "cut off" in read.hovertemplate[ring]


def test_candidates_have_panels_of_their_own_up_to_a_limit() -> None:
    names = [f"candidate {number:02d}" for number in range(15)]
    figure = plane.accuracy_against_beta(points_of(names), {}, {}, {}, "absolute", seen=6, together=False)
    titles = [note.text for note in figure.layout.annotations]
    assert titles == names[: plane.MOST_PANELS]


Maker = Callable[[str], go.Figure]


def _ranking(name: str) -> pd.DataFrame:
    numbers = {"predicted": 0.7, "lower": 0.6, "upper": 0.8, "rank": 1, "p_best": 0.5, "observed": 0.7, "k": 1}
    return pd.DataFrame([{"candidate": name, **numbers}, {"candidate": name, **numbers, "k": 2}])


def _capacitance(name: str) -> pd.DataFrame:
    rows = {"candidate": name, "seed": 0, "layer": [0, 1, 0, 1], "epoch": [0, 0, 1, 1], "beta_eff": [1.0, 1, 0.5, 0.5]}
    return pd.DataFrame({**rows, "conditioning": [0.01, np.nan, 0.9, np.nan]})


MAKERS: dict[str, Maker] = {
    "forecast": lambda name: ranking.forecast(_ranking(name).head(1), {}),
    "bump": lambda name: ranking.bump(_ranking(name), {}, 1),
    "price": lambda name: ranking.price(
        pd.DataFrame({"k": [1], "label": "Last", "choice": [name], "regret": [0.0], "saved": [1.0]}), 1
    ),
    "curves": lambda name: ranking.learning_curves(
        pd.DataFrame({"candidate": [name] * 2, "seed": [0, 1], "epoch": [1, 1], "accuracy": [0.1, 0.2]}), {}, 1
    ),
    "beta": lambda name: capacitance.over_epochs(_capacitance(name), {}, "signed"),
    "layers": lambda name: capacitance.by_layer(_capacitance(name), {}, "relative"),
    "plane": lambda name: plane.accuracy_against_beta(points_of([name]), {}, {"0~0": 0.5}, {}, "relative", 3),
    "panels": lambda name: plane.accuracy_against_beta(
        points_of([name]), {}, {"0~0": 0.5}, {}, "relative", 3, together=False
    ),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_names_are_text_in_every_figure(make: Maker) -> None:
    ours = "\n".join(texts_of(make("PLAIN")))
    assert "PLAIN" in ours
    hostile = "\n".join(texts_of(make(HOSTILE)))
    assert hostile.count("<") == ours.count("<")
    assert hostile.count("%{") == ours.count("%{")


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_axes_have_titles(make: Maker) -> None:
    layout = make("a").layout
    assert layout.xaxis.title.text or any(
        layout[f"xaxis{number}"].title.text for number in (2,) if f"xaxis{number}" in layout
    )
    assert layout.yaxis.title.text or layout.yaxis.ticktext


EMPTY: dict[str, Callable[[], go.Figure]] = {
    "forecast": lambda: ranking.forecast(_ranking("a").assign(predicted=np.nan), {}),
    "bump": lambda: ranking.bump(rankings.below_each_other({}), {}, 1),
    "price": lambda: ranking.price(pd.DataFrame(columns=["k", "label", "choice", "regret", "saved"]), 1),
    "curves": lambda: ranking.learning_curves(pd.DataFrame(columns=["candidate", "seed", "epoch", "accuracy"]), {}),
    "beta": lambda: capacitance.over_epochs(_capacitance("a").assign(beta_eff=np.nan), {}, "signed"),
    "log": lambda: capacitance.over_epochs(_capacitance("a").assign(beta_eff=-1.0), {}, "signed", log=True),
    "layers": lambda: capacitance.by_layer(_capacitance("a").assign(beta_eff=0.0), {}, "signed"),
    "plane": lambda: plane.accuracy_against_beta(points_of(["a"]).assign(beta_eff=np.nan), {}, {}, {}, "relative", 3),
}


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_a_figure_of_nothing_says_so(make: Callable[[], go.Figure]) -> None:
    figure = make()
    assert len(figure.data) == 0
    assert len(figure.layout.annotations[0].text) > 10


def test_an_overlay_of_fifty_runs_is_small() -> None:
    points = points_of([f"c{number}" for number in range(50)], epochs=50)
    lines = {f"0~{n}": ridge_line(np.linspace(1, 0.1, 9), np.linspace(0.1, 0.9, 9)) for n in range(50)}
    found = {key: line for key, line in lines.items() if line is not None}
    figure = plane.accuracy_against_beta(points, found, {}, {}, "relative", 9)
    assert len(figure.to_json()) < 2_000_000
    assert not any(item.type == "scattergl" for item in figure.data)


def test_figures_work_in_a_notebook(store: Path) -> None:
    import ncore

    table = ncore.rank(str(store), epochs=3)
    assert ranking.forecast(table, {}).layout.xaxis.title.text == "Final accuracy (%)"
    clock = Clock.of(ncore.open_store(store).run(ncore.open_store(store).run_ids()[0]).metrics(), 6)
    assert clock.at(6) == 12.0


def test_dark_figures_have_other_colours() -> None:
    light, dark = (ranking.forecast(_ranking("a").head(1), {}, dark=dark) for dark in (False, True))
    assert light.data[0].marker.color != dark.data[0].marker.color
    assert light.layout.template.layout.paper_bgcolor != dark.layout.template.layout.paper_bgcolor
