"""The pages Report and Compare, with their empty and broken states, and the command `ncore report`."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from made_up_runs import begin, record
from ncore_dashboard.data.library import library
from streamlit.testing.v1 import AppTest

from ncore.cli import main
from ncore.predict import DEFAULT_METHOD, get_predictor
from ncore.probe._content import digests_of
from ncore.probe.datasets import load_dataset
from ncore.store import create_store

App = Callable[..., AppTest]
Command = Callable[..., tuple[int, str, str]]
PAGES = ("report", "compare")


def said(test: AppTest) -> str:
    """All Markdown of the page, without its escapes."""
    return "\n".join(str(element.value) for element in (*test.markdown, *test.caption)).replace("\\", "")


def preview(test: AppTest) -> str:
    source = unquote(test.main.get("iframe")[0].proto.src)
    assert source.startswith("data:text/html;charset=utf-8;base64,")
    return base64.b64decode(source.partition(",")[2]).decode()


@pytest.fixture
def ncore(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command; returns its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ncore", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def test_the_report_is_shown_and_offered(app: App, store: Path) -> None:
    test = app(store, page="report", **{"report-epoch": "4"})
    assert not test.exception
    assert "Choose resnet: trained to the end, it classifies 95.0% of the test examples" in said(test)
    html = preview(test)
    assert "Choose resnet: trained to the end" in html
    assert "after 4 of 6 epochs" in html
    assert f"ncore report small --dataset digits --mode all --epochs 4 --method {DEFAULT_METHOD}" in html
    labels = [button.proto.label for button in test.main.get("download_button")]
    assert labels == ["Download the report", "Ranking as CSV"]


def test_a_report_on_the_working_set_has_only_that(app: App, store: Path) -> None:
    keys = [key for key in library((str(store),)).runs()["key"] if "resnet" not in key]
    html = preview(app(store, page="report", runs=keys))
    assert "lenet" in html
    assert "resnet" not in html
    assert "To make it again" not in html


def test_a_method_that_needs_more_epochs_says_so(app: App, store: Path) -> None:
    test = app(store, page="report", **{"report-epoch": "2"})
    test.selectbox(key="report-method").set_value("capacitance-signed").run()
    assert "This can't be reported" in said(test)
    assert not test.main.get("iframe")


def test_two_candidates_are_compared(app: App, store: Path) -> None:
    test = app(store, page="compare", **{"compare-epoch": "3"})
    assert not test.exception
    text = said(test)
    assert "resnet is ahead from the first epoch on" in text
    assert f"As of epoch 3, “{get_predictor(DEFAULT_METHOD).label}” predicts" in text
    assert test.selectbox(key="compare-first").value == "resnet"
    assert test.selectbox(key="compare-second").value == "lenet"
    table = test.dataframe[0].value
    assert list(table.columns) == ["Measure", "resnet", "lenet", "Difference"]
    assert len(test.main.get("plotly_chart")) == 4


def test_other_candidates_can_be_chosen(app: App, store: Path) -> None:
    test = app(store, page="compare", **{"compare-first": "dense", "compare-second": "lenet"})
    assert "lenet ended at 85.0%, 25.0 points above dense (60.0%)" in said(test)
    test.selectbox(key="compare-second").set_value("dense").run()
    assert "Both are the same candidate" in said(test)


def test_candidates_that_are_not_there_are_replaced(app: App, store: Path) -> None:
    test = app(store, page="compare", **{"compare-first": "<b>nobody</b>", "compare-second": "../../etc"})
    assert not test.exception
    assert "resnet is ahead" in said(test)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_is_said_to_be(app: App, tmp_path: Path, page: str) -> None:
    create_store(tmp_path / "none")
    test = app(tmp_path / "none", page=page)
    assert not test.exception
    assert "There are no runs to show" in said(test)


@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_is_not_there_is_no_traceback(app: App, tmp_path: Path, page: str) -> None:
    test = app(tmp_path / "nowhere", page=page)
    assert not test.exception
    assert "There are no runs to show" in said(test)


@pytest.mark.parametrize("page", PAGES)
def test_broken_runs_are_named_and_the_others_shown(app: App, broken: Path, page: str) -> None:
    test = app(broken, page=page)
    assert not test.exception
    assert "can't be read" in said(test)
    assert ("Only one candidate can be ranked, resnet" if page == "report" else "no two candidates") in said(test)


@pytest.mark.parametrize("page", PAGES)
def test_hostile_text_is_text(app: App, hostile: Path, page: str) -> None:
    test = app(hostile, page=page)
    assert not test.exception
    for element in (*test.markdown, *test.caption):
        assert "<script>" not in element.value
        assert "<b>" not in element.value
    if page == "report":
        assert "<script" not in preview(test)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_finished_yet(app: App, tmp_path: Path, page: str) -> None:
    with begin(create_store(tmp_path / "s"), "net"):
        test = app(tmp_path / "s", page=page)
        assert not test.exception
        assert ("nothing to report yet" if page == "report" else "no two candidates") in said(test)


def test_one_candidate_alone(app: App, tmp_path: Path) -> None:
    record(create_store(tmp_path / "s"), "net")
    assert "Only one candidate can be ranked, net" in said(app(tmp_path / "s", page="report"))
    assert "There are no two candidates to compare" in said(app(tmp_path / "s", page="compare"))


@pytest.mark.parametrize("page", PAGES)
def test_a_run_deleted_while_the_page_is_open(app: App, copy: Path, page: str) -> None:
    import shutil

    test = app(copy, page=page)
    shutil.rmtree(next(path for path in copy.iterdir() if path.name.startswith("dense")))
    test.run()
    assert not test.exception


def test_the_command_writes_a_report(ncore: Command, store: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    code, printed, errors = ncore("report", store, "-o", target, "--epochs", 3, "--method", "power")
    assert (code, errors) == (0, "")
    assert printed.split() == ["Report:", str(target)]
    html = target.read_text("utf-8")
    assert "Choose resnet" in html
    assert "--epochs 3 --method power" in html


def test_the_command_fails_in_a_line(ncore: Command, store: Path, tmp_path: Path) -> None:
    for arguments, match in (
        ((tmp_path / "nowhere",), "nowhere"),
        ((store, "--dataset", "mnist"), "mnist"),
        ((store, "-o", tmp_path / "no" / "r.html"), "can't be written"),
    ):
        code, printed, errors = ncore("report", *arguments)
        assert (code, printed) == (1, ""), arguments
        assert len(errors.splitlines()) == 1, errors
        assert match in errors
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.with_benchmark
def test_a_past_that_was_held_out_is_said_everywhere(tmp_path: Path, app: App, ncore: Command) -> None:
    """By the same sentence in the command, on the pages and in the report: the benchmark's and the store's own."""
    sketch = digests_of(load_dataset("digits", train=200))["sketch"]
    store = create_store(tmp_path / "runs")
    for candidate, accuracy in (("a", 0.5), ("b", 0.6)):
        run = begin(store, candidate, dataset="theirs", planned_epochs=1)
        run.describe(digests={"sketch": sketch})
        run.write_epoch(1, metrics={"split": ["validation", "test"], "name": ["accuracy"] * 2, "value": [accuracy] * 2})
        run.finish()
    for candidate, accuracy in (("a", 0.5), ("b", 0.6)):
        run = begin(store, candidate, dataset="mine", planned_epochs=4)
        run.describe(digests={"sketch": sketch})
        for epoch in (1, 2):
            run.write_epoch(epoch, metrics={"split": ["validation"], "name": ["accuracy"], "value": [accuracy]})
        run.close("left")
    sentence = "This data shares examples with digits, theirs: what past runs on these taught was left out."
    chosen = {"dataset": "mine"}
    assert sentence in ncore("rank", store.url, "--dataset", "mine")[1]
    assert sentence in said(app(Path(store.url), page="ranking", **chosen))
    assert sentence in said(app(Path(store.url), page="compare", **chosen))
    assert sentence in preview(app(Path(store.url), page="report", **chosen))
