from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ncore_dashboard
import pandas as pd
import pytest
from made_up_runs import begin, write_epoch
from ncore_dashboard.app.launch import environment
from ncore_dashboard.data.library import library
from streamlit.testing.v1 import AppTest

from ncore.predict import DEFAULT_METHOD, get_predictor
from ncore.store import create_store

PAGES = ("runs", "ranking", "capacitance")
App = Callable[..., AppTest]


def words(test: AppTest) -> str:
    """Everything that the page says."""
    kinds = (test.markdown, test.caption, test.text, test.title, test.header)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def check_no_failure(test: AppTest) -> None:
    assert not test.exception
    assert not test.error
    assert "Something in this view failed" not in words(test)


def charts(test: AppTest) -> list[dict[str, object]]:
    return [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]


def table_of(test: AppTest, number: int = 0) -> pd.DataFrame:
    frame: pd.DataFrame = test.dataframe[number].value
    return frame


def keys_of(place: Path) -> list[str]:
    return library((str(place),)).runs()["key"].tolist()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_its_question(app: App, store: Path, page: str) -> None:
    test = app(store, page=page)
    check_no_failure(test)
    assert test.title[0].value.lower() == page
    question = next(text.value for text in test.markdown if text.value.startswith("*"))
    assert question.endswith("?*")
    # Charts and tables have names for those who don't see them, and their data as CSV.
    for chart in test.get("plotly_chart"):
        assert len(chart.proto.alt) > 20
    for table in test.dataframe:
        assert table.proto.alt
    assert len(test.download_button) >= max(len(test.get("plotly_chart")), 1)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_is_said_to_be_empty(app: App, tmp_path: Path, page: str) -> None:
    create_store(tmp_path)
    test = app(tmp_path, page=page)
    check_no_failure(test)
    assert "There are no runs" in words(test)
    assert "ncore demo" in words(test)


@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_does_not_exist_is_named(app: App, store: Path, tmp_path: Path, page: str) -> None:
    test = app(tmp_path / "gone", store, page=page)
    check_no_failure(test)
    if page == "runs":
        assert "1 store can't be read" in words(test)
        assert "There is no folder" in words(test)
    assert test.dataframe or test.get("plotly_chart")  # of the other store


def test_a_page_without_any_store_to_read_says_where_to_look(app: App, tmp_path: Path) -> None:
    test = app(tmp_path / "gone", page="ranking")
    check_no_failure(test)
    assert "The page Runs says which stores are open" in words(test)


@pytest.mark.parametrize("page", PAGES)
def test_a_store_of_the_future_is_named(app: App, tmp_path: Path, page: str) -> None:
    (tmp_path / "ncore-store.json").write_text(json.dumps({"format": "ncore-store", "schema": 99}))
    test = app(tmp_path, page=page)
    check_no_failure(test)
    assert page != "runs" or "version 99" in words(test)


@pytest.mark.parametrize("page", PAGES)
def test_damaged_runs_are_named_and_the_others_go_on(app: App, broken: Path, page: str) -> None:
    test = app(broken, page=page)
    check_no_failure(test)
    assert "can't be read" in words(test)
    assert not re.search(r"(?<!\\)<b>", words(test))
    if page == "runs":
        assert table_of(test)["status"].str.contains("unreadable").sum() == 2
        assert len(table_of(test)) == 6
    else:
        assert test.get("plotly_chart")


@pytest.mark.parametrize("page", PAGES)
def test_texts_of_runs_are_text(app: App, hostile: Path, page: str) -> None:
    everything = keys_of(hostile)
    test = app(hostile, page=page, runs=everything)
    check_no_failure(test)
    # Less what is escaped, and less st.text, which reads no markup.
    said = re.sub(r"\\.", "", "\n".join(str(item.value) for item in (*test.markdown, *test.caption)))
    for dangerous in ("<script", "<img", "<b>bold", "[link](", ":smile:", ":red[", "$x^2$", "<u>"):
        assert dangerous not in said, dangerous
    for chart in test.get("plotly_chart"):
        assert "<script" not in chart.proto.spec
        assert "<b>bold" not in chart.proto.spec


@pytest.mark.parametrize("page", PAGES)
def test_a_run_that_is_deleted_while_it_is_open(app: App, copy: Path, page: str) -> None:
    chosen = keys_of(copy)[:2]
    test = app(copy, page=page, runs=chosen)
    shutil.rmtree(copy / chosen[0].partition("~")[2])
    library.cache_clear()
    test.run()
    check_no_failure(test)
    assert "1 chosen run is not in these stores" in words(test)
    next(button for button in test.button if button.label == "Forget them").click().run()
    check_no_failure(test)
    assert "not in these stores" not in words(test)
    assert test.query_params["runs"] in (chosen[1], chosen[1:])


@pytest.mark.parametrize("page", PAGES)
def test_a_run_without_a_finished_epoch(app: App, tmp_path: Path, page: str) -> None:
    with begin(create_store(tmp_path), "lenet") as writer:
        write_epoch(writer, 0)
        test = app(tmp_path, page=page)
        check_no_failure(test)
        if page == "runs":
            assert table_of(test)["status"].tolist() == ["● running"]
        if page == "ranking":
            assert "nothing to rank yet" in words(test)


def test_runs_of_several_datasets_are_not_mixed(app: App, store: Path, hostile: Path) -> None:
    test = app(store, hostile, page="capacitance")
    check_no_failure(test)
    assert next(box for box in test.selectbox if box.label == "Dataset").value == "digits"


def test_nothing_is_selected_on_opening(app: App, store: Path) -> None:
    test = app(store)
    assert test.session_state["runs-table"]["selection"]["rows"] == []
    assert "runs" not in test.query_params
    assert "**0 chosen**" in words(test)


def test_a_link_holds_the_working_set(app: App, store: Path) -> None:
    chosen = keys_of(store)[1:3]
    test = app(store, runs=chosen)
    assert test.session_state["runs-table"]["selection"]["rows"] == [1, 2]
    test.switch_page("../pages/ranking.py").run()
    assert "Showing your working set: 2 runs." in words(test)
    assert test.query_params["runs"] == chosen


@pytest.mark.parametrize("key", ["0~../../etc/passwd", "9~x", "<script>alert(1)</script>", "~", "0~" + "x" * 500])
def test_what_a_link_makes_up_is_not_opened(app: App, store: Path, key: str) -> None:
    test = app(store, runs=[key])
    check_no_failure(test)
    assert "**0 chosen**" in words(test)
    assert "1 chosen run is not in these stores" in words(test)
    assert "<script" not in "\n".join(str(item.value) for item in test.markdown)


def test_more_runs_than_a_link_can_hold_are_cut_off(app: App, store: Path) -> None:
    test = app(store, runs=[f"0~{number}" for number in range(300)])
    check_no_failure(test)
    assert "100 chosen runs are not" in words(test)


def test_a_long_list_has_pages_and_an_order_of_its_own(app: App, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncore_dashboard.data.runs_table.ROWS_OF_PAGE", 2)
    chosen = keys_of(store)[:1]
    test = app(store, runs=chosen, **{"runs-page": "2"})
    check_no_failure(test)
    assert table_of(test).index.tolist() == [2, 3]
    assert "Rows 3 to 4." in words(test)
    assert test.session_state["runs-table"]["selection"]["rows"] == []
    assert test.query_params["runs"] in (chosen[0], chosen)  # it is on the other page, and stays chosen
    test.text_input[0].set_value("resnet").run()  # they fit on one page
    assert table_of(test)["candidate"].tolist() == ["resnet", "resnet"]
    assert "Search, filters and order" not in words(test)
    monkeypatch.setattr("ncore_dashboard.data.runs_table.ROWS_OF_PAGE", 4)
    assert len(keys_of(store)) == 6
    last = app(store, **{"runs-page": "2"})
    assert len(table_of(last)) == 2
    assert "Rows 5 to 6." in words(last)


@pytest.mark.parametrize("number", ["0", "-1", "99", "x", ""])
def test_a_page_that_is_not_there_is_the_first(
    app: App, store: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setattr("ncore_dashboard.data.runs_table.ROWS_OF_PAGE", 2)
    test = app(store, **{"runs-page": number})
    check_no_failure(test)
    assert table_of(test).index.tolist() == [0, 1]


def test_a_list_that_has_become_shorter_is_still_shown(app: App, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncore_dashboard.data.runs_table.ROWS_OF_PAGE", 1)
    test = app(store, **{"runs-page": str(len(keys_of(store)))})
    assert len(table_of(test)) == 1
    test.text_input[0].set_value("resnet").run()
    check_no_failure(test)
    assert table_of(test)["candidate"].tolist() == ["resnet"]


@pytest.mark.parametrize("page", ["ranking", "capacitance", "report", "compare"])
def test_of_too_many_runs_the_newest_are_shown(
    app: App, store: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    every = app(store, page=page)
    monkeypatch.setattr("ncore_dashboard.parts.runs_choice.MOST_RUNS", 4)
    some = app(store, page=page)
    check_no_failure(some)
    assert "shows all" in words(every)
    assert "its 4 runs that began last, of " in words(some)


def test_search_sort_and_columns_narrow_the_table(app: App, store: Path) -> None:
    test = app(store)
    test.text_input[0].set_value("resnet").run()
    assert table_of(test)["candidate"].tolist() == ["resnet", "resnet"]
    test.text_input[0].set_value("").run()
    next(box for box in test.selectbox if box.label == "Sort by").set_value("test_accuracy").run()
    assert table_of(test)["test_accuracy"].iloc[0] == pytest.approx(95)
    columns = next(box for box in test.multiselect if box.label == "Columns")
    columns.set_value(["candidate", "seed"]).run()
    assert list(table_of(test).columns) == ["candidate", "seed"]
    test.text_input[0].set_value("nothing of the kind").run()
    assert "No run fits" in words(test)


def test_a_filter_has_a_widget_of_its_own(app: App, store: Path) -> None:
    test = app(store)
    next(box for box in test.multiselect if box.label == "Filter by").set_value(["candidate", "seed"]).run()
    next(box for box in test.multiselect if box.label == "Candidate").set_value(["dense"]).run()
    next(box for box in test.number_input if box.label == "Seed from").set_value(1).run()
    assert table_of(test)["candidate"].tolist() == ["dense"]
    check_no_failure(test)


def test_the_selection_says_nothing_about_runs_that_are_not_shown(app: App, store: Path) -> None:
    keys = keys_of(store)
    test = app(store, runs=[keys[0]])  # of the candidate "dense", which the search leaves out
    test.text_input[0].set_value("resnet").run()
    next(button for button in test.button if button.label.startswith("Choose all")).click().run()
    assert test.query_params["runs"][0] == keys[0]
    assert len(test.query_params["runs"]) == 3
    next(button for button in test.button if button.label == "Choose none").click().run()
    assert "runs" not in test.query_params


def test_settings_come_back_with_their_page(app: App, store: Path) -> None:
    test = app(store)
    test.text_input[0].set_value("lenet").run()
    test.switch_page("../pages/ranking.py").run()
    test.switch_page("../pages/runs.py").run()
    assert test.text_input[0].value == "lenet"
    assert len(table_of(test)) == 2


def test_details_show_notes_as_they_are(app: App, hostile: Path) -> None:
    test = app(hostile, runs=keys_of(hostile))
    assert any(text.value == "<img src=x onerror=alert(2)> **md** $x^2$ :red[r]" for text in test.text)
    assert any(text.value == "Loss is NaN <b>at</b> step 3" for text in test.text)


def test_the_ranking_is_as_of_the_epoch_chosen(app: App, store: Path) -> None:
    test = app(store, page="ranking")
    test.slider(key="ranking-epoch").set_value(2).run()
    check_no_failure(test)
    assert "As of epoch 2 of 6, **resnet**" in words(test)
    assert [metric.label for metric in test.metric][:2] == ["Probability of being best", "Regret of this choice"]
    assert test.metric[1].value == "0.0 points"
    assert test.metric[2].value == "44%"
    assert table_of(test)["Candidate"].tolist() == ["resnet", "lenet", "dense"]
    assert table_of(test)["Observed %"].tolist() == pytest.approx([95, 85, 60])


def test_a_method_that_needs_more_epochs_says_so(app: App, store: Path) -> None:
    test = app(store, page="ranking")
    next(box for box in test.selectbox if box.label == "Prediction method").set_value("capacitance-relative").run()
    check_no_failure(test)
    assert "Capacitance h(0), relative” put" in words(test)
    test.slider(key="ranking-epoch").set_value(1).run()
    check_no_failure(test)
    assert "needs 3 epochs" in words(test).replace("\\", "")


def test_naive_methods_stand_beside_the_chosen_one(app: App, store: Path) -> None:
    test = app(store, page="ranking")
    methods = table_of(test, 1)["Method"].tolist()
    assert f"▶ {get_predictor(DEFAULT_METHOD).label}" in methods
    assert {"Last accuracy", "Best accuracy", "Mean accuracy", "Capacitance h(0), relative"} <= set(methods)


def test_strengths_layers_and_scale_of_capacitance(app: App, store: Path) -> None:
    test = app(store, page="capacitance")
    assert len(charts(test)) == 2
    test.toggle(key="capacitance-layers").set_value(True).run()
    assert len(charts(test)) == 3
    test.segmented_control(key="capacitance-strength").set_value("signed").run()
    assert "ill-conditioned" in words(test)
    test.segmented_control(key="capacitance-scale").set_value("log").run()
    assert "a logarithmic scale can't show them" in words(test)
    check_no_failure(test)


def test_the_hessian_stands_beside_the_others_where_it_was_recorded(app: App, store: Path, tmp_path: Path) -> None:
    assert "hessian" not in app(store, page="capacitance").segmented_control(key="capacitance-strength").options
    with begin(create_store(tmp_path), "lenet", dataset="made-up") as writer:
        for epoch in range(4):
            rows = {
                "strength": ["absolute", *["hessian"] * 3, *["model-hessian"] * 3],
                "layer": [0, 0, 1, 2, 0, 1, 2],
                "beta_eff": [1.0, 3.0, 1.0, 2.0, 5.0, 2.0, 3.0],
                "conditioning": [1.0, 0.3, None, None, 0.01 * (epoch + 1), None, None],
            }
            writer.write_epoch(epoch, capacitance=pd.DataFrame(rows))
        writer.finish()
    test = app(tmp_path, page="capacitance", capacitance_strength="Hessian")
    check_no_failure(test)
    control = test.segmented_control(key="capacitance-strength")
    assert control.value == "hessian"
    assert control.options[-2:] == ["Hessian", "Hessian of the candidate"]
    assert "conditioning goes from 0.3 to 0.3" in words(test)
    assert "need not vanish" in words(test)
    assert "without the paper's reason" in words(test)
    test.segmented_control(key="capacitance-strength").set_value("model-hessian").run()
    check_no_failure(test)
    assert "4 of 4 values are ill-conditioned" in words(test)

    both = app(tmp_path, store, page="capacitance")
    tasks = next(box for box in both.selectbox if "made-up" in str(box.options))
    here = next(i for i, option in enumerate(tasks.options) if "made-up" in option)
    tasks.select_index(here).run()
    both.segmented_control(key="capacitance-strength").set_value("hessian").run()
    tasks.select_index(1 - here).run()  # a task without it
    check_no_failure(both)
    assert both.segmented_control(key="capacitance-strength").value == "relative"


def test_a_strength_that_was_not_recorded_is_said_to_be_missing(app: App, tmp_path: Path) -> None:
    with begin(create_store(tmp_path), "lenet") as writer:
        rows = {"strength": ["absolute"], "layer": [0], "beta_eff": [1.0], "conditioning": [1.0]}
        writer.write_epoch(0, capacitance=pd.DataFrame(rows))
        writer.finish()
    test = app(tmp_path, page="capacitance")
    check_no_failure(test)
    assert "The relative beta_eff was not recorded" in words(test)


def test_stores_that_were_passed_wrongly_are_a_message(app: App, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = app(store)
    monkeypatch.setenv("NCORE_DASHBOARD_STORES", "nonsense")
    test.run()
    assert not test.exception
    assert "must be a JSON list" in words(test).replace("\\", "")


def test_a_fault_of_the_app_is_a_message_without_a_traceback(
    app: App, store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    test = app(store)
    monkeypatch.setattr("ncore_dashboard.figures.capacitance.over_epochs", lambda *args, **rest: 1 // 0)
    test.switch_page("../pages/capacitance.py").run()
    assert not test.exception
    assert "Something in this view failed" in words(test)
    assert "ZeroDivisionError" not in words(test)
    assert "ZeroDivisionError" in caplog.text


def test_the_app_never_loads_torch(store: Path) -> None:
    script = f"""
import sys
from streamlit.testing.v1 import AppTest
test = AppTest.from_file({str(Path(ncore_dashboard.__file__).parent / "app" / "main.py")!r}, default_timeout=60).run()
assert "sklearn" not in sys.modules and "scipy" not in sys.modules, "the first page loads too much"
for page in ("ranking", "capacitance"):
    test.switch_page(f"../pages/{{page}}.py").run()
    assert not test.exception
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment([str(store)]), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
