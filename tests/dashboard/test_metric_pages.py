"""Pages, comparison and report by another metric than the accuracy, of real training with rare classes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ncore_dashboard.data import same_examples
from ncore_dashboard.figures import ranking as figures
from ncore_dashboard.report import report_html
from ncore_dashboard.report.evidence import evidence_from_store
from streamlit.testing.v1 import AppTest

import ncore
from ncore.predict import Ranker, curves_from_store
from ncore.predict.paired_runs import SideBySide, on_same_examples
from ncore.scores.metrics import get_metric, metric_names
from ncore.sweep.recipe import Recipe

App = Callable[..., AppTest]
CANDIDATES = {"frequent": 1e-4, "finds": 3e-3, "slower": 4e-4}


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three candidates, two of them with two seeds, of pictures of which one in twenty has a square."""
    folder = tmp_path_factory.mktemp("rare")
    arrays = {}
    for seed, (split, size) in enumerate({"train": 1000, "validation": 500, "test": 600}.items()):
        rng = np.random.default_rng(seed)
        labels = (rng.permutation(size) % 20 == 0).astype(int)
        pictures = rng.normal(128, 25, (size, 8, 8))
        pictures[labels == 1, 2:6, 2:6] += 45
        arrays[f"x_{split}"], arrays[f"y_{split}"] = np.clip(pictures, 0, 255).astype(np.uint8), labels
    np.savez(folder / "rare.npz", **arrays)
    for names, seeds in ((list(CANDIDATES), [0]), (["finds", "slower"], [1])):
        recipe = Recipe.parse(
            {
                "candidates": [
                    {"source": "dense", "name": name, "training": {"learning_rate": CANDIDATES[name]}} for name in names
                ],
                "datasets": [{"source": f"numpy:{folder / 'rare.npz'}", "name": "rare"}],
                "seeds": seeds,
                "training": {"mode": "all", "epochs": 3, "device": "cpu"},
                "recording": {"neurons": 4, "line_graph_every": 0},
                "store": str(folder / "runs"),
                "metric": "balanced_accuracy",
            }
        )
        for job in recipe.jobs:
            job.run(ncore.create_store(recipe.store_place))
    return folder / "runs"


def words(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.text, test.title, test.header)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def check(test: AppTest) -> str:
    assert not test.exception
    assert not test.error
    said = words(test)
    assert "Something in this view failed" not in said
    assert "nan" not in re.findall(r"[a-z]+", said)
    return said


@pytest.mark.parametrize("page", ["ranking", "compare", "report"])
def test_pages_are_by_the_metric_of_the_recipe(app: App, rare: Path, page: str) -> None:
    test = app(rare, page=page)
    said = check(test)
    assert test.selectbox(key=f"{page}-metric").value == "balanced_accuracy"
    assert "balanced accuracy" in said.lower()


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_can_be_chosen_and_is_in_the_address(app: App, rare: Path, name: str) -> None:
    label = get_metric(name).label
    shown = label[:1].upper() + label[1:]  # as the address has it
    said = check(app(rare, page="ranking", **{"ranking-metric": shown, "ranking-by-class": "true"}))
    assert ("is known of the accuracy only" in said) == (name != "accuracy")
    assert (f"** {label} (90% interval" in said) == (name != "accuracy")
    early = check(app(rare, page="ranking", **{"ranking-metric": shown, "ranking-epoch": "2"}))
    assert ("calibrated for accuracy" in early) == (name != "accuracy")


def test_classes_are_shown_when_they_are_asked_for(app: App, rare: Path) -> None:
    test = app(rare, page="ranking", **{"ranking-metric": "Accuracy", "ranking-by-class": "true"})
    table = next(frame.value for frame in test.dataframe if "Class" in frame.value)
    assert table["Examples"].tolist() == [570, 30]
    assert table["frequent"].tolist() == [100, 0]


def test_an_unknown_metric_in_an_address_is_that_of_the_recipe(app: App, rare: Path) -> None:
    assert "balanced accuracy" in check(app(rare, page="ranking", **{"ranking-metric": "kappa"}))


@pytest.mark.parametrize("name", ["balanced_accuracy", "log_loss"])
def test_the_report_says_by_what_and_compares_on_the_same_examples(rare: Path, name: str) -> None:
    html = report_html(rare, metric=name)
    label = get_metric(name).label
    for text in (label, "McNemar", "paired bootstrap", "By other metrics"):
        assert text in html
    assert f"--metric {name}" in html
    assert "classifies" not in html.partition("Appendix")[0]
    early = report_html(rare, epochs=1, metric=name, method="last")
    assert "calibrated for accuracy, not for" in early
    assert "By class" in html
    assert "nan" not in re.findall(r"[a-z]+", re.sub(r"<[^>]*>", " ", html))


def test_the_report_of_accuracies_is_as_it_was_but_for_the_evidence(rare: Path) -> None:
    html = report_html(rare, metric="accuracy")
    assert "of the test examples correctly" in html
    assert "--metric" not in html


@pytest.mark.parametrize("name", metric_names())
def test_who_is_said_to_be_ahead_is(rare: Path, name: str) -> None:
    store, metric = ncore.open_store(rare), get_metric(name)
    runs = {who: [store.run(run) for run in store.run_ids() if run.startswith(who)] for who in CANDIDATES}
    for first, second in (("finds", "frequent"), ("frequent", "finds"), ("finds", "slower")):
        found = on_same_examples(metric, runs[first], runs[second])
        assert isinstance(found, SideBySide)
        said = " ".join(same_examples.in_words(found, first, second, metric))
        value = found.paired.difference
        if value:
            ahead = first if (value > 0) == metric.higher_is_better else second
            assert f"{ahead} is ahead of" in said
            low, high = map(float, re.findall(r"interval (-?[\d.]+) – (-?[\d.]+)\)", said)[0])
            assert low <= (100 if metric.unit else 1) * abs(value) + 1e-3
            assert high >= (100 if metric.unit else 1) * abs(value) - 1e-3
            assert found.paired.clear == (low > 0) or abs(low) < 0.06
    seeds = on_same_examples(metric, runs["finds"], runs["slower"])
    assert isinstance(seeds, SideBySide)
    assert sorted(seeds.tests) == [0, 1]


def test_those_that_can_not_be_compared_say_why(rare: Path, store: Path) -> None:
    one, other = ncore.open_store(rare), ncore.open_store(store)
    found = on_same_examples(get_metric("accuracy"), [one.run(one.run_ids()[0])], [other.run(other.run_ids()[0])])
    assert isinstance(found, str)


def test_figures_have_the_axes_of_the_metric(rare: Path) -> None:
    curves = curves_from_store(ncore.open_store(rare), metric="log_loss")
    table = Ranker.of(ncore.open_store(rare), "rare", "all", "last", "log_loss").rank(curves)
    figure = figures.forecast(table, {})
    assert figure.layout.xaxis.title.text == "Final log loss (lower is better)"
    shown = [trace.x[0] for trace in figure.data[: len(table)]]
    assert shown == sorted(shown)
    for trace in figure.data[: len(table)]:
        assert trace.error_x.array[0] >= 0
        assert trace.error_x.arrayminus[0] >= 0
    evidence = evidence_from_store(ncore.open_store(rare), None, None, "last", None, "s", "log_loss")
    assert evidence.metric.name == "log_loss"
    assert evidence.metrics["candidate"].tolist() == table["candidate"].tolist()
