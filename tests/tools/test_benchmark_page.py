"""The page: made of the results alone, the same every time, and up to date."""

import json
import re
import shutil
import xml.dom.minidom
from pathlib import Path

import pandas as pd
import pytest

from ncore.benchmark.cases import cases_from_table
from ncore.benchmark.command import evaluate
from ncore.benchmark.evaluation import evaluate_cases
from ncore.benchmark.findings import FOLDER, read_results
from ncore.benchmark.methods import predictors
from ncore.benchmark.table import COMMITTED, about, load_table, write_table
from ncore.errors import InputError
from tools.benchmark_page.__main__ import main
from tools.benchmark_page.markdown import join, markdown_table
from tools.benchmark_page.page import fingerprint, render, write_page


@pytest.fixture(scope="module", autouse=True)
def no_cells():
    """The part about architectures has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.benchmark_page.nas.COMMITTED", Path("none.parquet"))
        yield


@pytest.fixture(scope="module")
def folder(table_path, tmp_path_factory):
    place = tmp_path_factory.mktemp("page")
    write_page(place, table_path, evaluate(table_path, epochs="3", resamples=20))
    return place


def test_the_same_results_make_the_same_page(folder):
    for name, text in render(folder).items():
        assert (folder / name).read_text(encoding="utf-8") == text


def test_computing_again_gives_the_same_results(folder, table_path, tmp_path):
    assert main([str(tmp_path), "--table", str(table_path), "--epochs", "3", "--resamples", "20"]) == 0
    for name in ("evaluation.parquet", "replay.parquet"):
        once, again = (pd.read_parquet(place / "results" / name) for place in (folder, tmp_path))
        pd.testing.assert_frame_equal(once, again)
    for name in render(folder):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_the_page_says_what_the_results_say(folder, table_path):
    page = (folder / "README.md").read_text(encoding="utf-8")
    found = read_results(folder)
    for mode in ("all", "unit"):
        row = found.row(mode, 3, "last")
        assert f"### Mode `{mode}`" in page
        assert re.search(rf"\| Last accuracy \| {row['value']:.2f} \|", page)
    assert f"{found.facts['runs']} runs of 7 candidates" in page
    assert found.facts["table"] == fingerprint(table_path)
    assert not re.search(r"\bnan\b", page)
    assert "<" not in page.replace("<br>", "")  # nothing of Python's is shown
    assert re.search(r"held it in \d of 4 tasks in mode `all`, with \d of 7 candidates", page)
    assert re.search(r"it did so in \d of 8 \(k = ", page)


def test_what_further_seeds_say_is_computed_from_them_alone(folder, table_path, tmp_path):
    page = (folder / "README.md").read_text(encoding="utf-8")
    repeated = read_results(folder).facts["repeated"]
    alone = evaluate_cases(
        cases_from_table(load_table(table_path).query("seed == 1")), predictors(["last"]), ks=(3,), resamples=1
    )
    alone = alone[(alone["measure"] == "kendall") & (alone["method"] == "last") & (alone["task"] != "average")]
    theirs = pd.DataFrame(repeated["tasks"]).set_index(["mode", "task"])
    last = alone.set_index(["mode", "task"])["value"]
    assert (theirs["value"] - theirs["over_last"]).to_dict() == pytest.approx(last.to_dict(), abs=1e-5)
    assert f"and ahead on {int((theirs['over_last'] > 0).sum())} of 8 tasks" in page
    assert page.count("further seeds alone") == 3
    assert "2 seeds, 6 epochs" in page

    shutil.copytree(folder / "results", tmp_path / "results")
    facts = json.loads((tmp_path / "results" / "facts.json").read_text())
    facts["repeated"] = {"average": [], "tasks": [], "played": []}
    (tmp_path / "results" / "facts.json").write_text(json.dumps(facts))
    assert "further seeds alone" not in render(tmp_path)["README.md"]


def test_a_seed_that_was_only_begun_with_is_left_out(table_path, tmp_path):
    table = load_table(table_path).query("mode == 'unit' and task in ['digits', 'fashion']")
    begun = (table["task"] == "digits") & (table["seed"] == 1) & (table["candidate"] > "net 2")
    cases = cases_from_table(table[~begun])
    assert {seed for case in cases if case.name == "digits" for seed in {c.seed for c in case.curves}} == {0}
    assert all(len(case.curves) == len(case.seconds) for case in cases)
    path = tmp_path / "begun.parquet"
    write_table(table[~begun], path, about(table_path))
    write_page(tmp_path, path, evaluate(path, epochs="3", resamples=5))
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "1 or 2 seeds a task" in page
    assert "3 more runs are of tasks or seeds that are not finished" in page


def test_a_table_that_is_not_finished_decides_nothing(folder, tmp_path):
    shutil.copytree(folder / "results", tmp_path / "results")
    facts = json.loads((tmp_path / "results" / "facts.json").read_text())
    assert "is not finished" not in render(folder)["README.md"]
    facts["planned"] = {"tasks": 9, "modes": ["all", "backbone", "unit"]}
    (tmp_path / "results" / "facts.json").write_text(json.dumps(facts))
    page = render(tmp_path)["README.md"]
    assert "Of 9 tasks the table has 4 in mode `all`, 0 in mode `backbone` and 4 in mode `unit` so far" in page


def test_figures_are_valid_and_have_a_title(folder):
    pictures = sorted((folder / "figures").glob("*.svg"))
    assert len(pictures) == 3
    for path in pictures:
        svg = xml.dom.minidom.parse(str(path)).documentElement
        assert svg.tagName == "svg"
        assert svg.getElementsByTagName("title")[0].firstChild.data
        assert len(svg.getElementsByTagName("text")) > 5


def test_without_results_there_is_no_page(tmp_path):
    with pytest.raises(InputError, match=r"make them with `python -m tools\.benchmark_page`"):
        render(tmp_path)


def test_the_command_says_in_a_line_what_is_missing(tmp_path, capsys):
    assert main([str(tmp_path), "--render"]) == 1
    assert "make them with `python -m tools.benchmark_page`" in capsys.readouterr().err


def test_words_and_tables():
    assert [join([]), join(["a"]), join(["a", "b", "c"])] == ["none", "a", "a, b and c"]
    assert markdown_table(["x", "y"], [["a|b", 1]]) == "| x | y |\n| --- | ---: |\n| a∣b | 1 |"


def test_the_committed_page_is_that_of_the_committed_results():
    for name, text in render().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, (
            f"{name}: run `python -m tools.benchmark_page --render`"
        )


@pytest.mark.slow
def test_the_committed_results_are_those_of_the_committed_table():
    """Fails while the benchmark runs and its table has grown since the page was written."""
    assert read_results().facts["table"] == fingerprint(COMMITTED)
