"""The part of the page about architectures, from the committed cells."""

import pandas as pd
import pytest

from tools.benchmark_page import nas

TABLE = nas.COMMITTED


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("page")
    (place / "results").mkdir()
    nas.write_results(place, [], resamples=20)
    return place


def test_it_says_what_the_results_say(folder):
    found = pd.read_parquet(folder / "results" / nas.EVALUATION)
    text = "\n".join(nas.section(folder, 3))
    for truth, title in (("here", "of the same cells here"), ("published", "the published accuracies")):
        part = found[(found["truth"] == truth) & (found["k"] == 3) & (found["measure"] == "kendall")]
        best = part[part["kind"] != "reference"].sort_values("value", ascending=False).iloc[0]
        assert title in text
        assert f"“{best['label']}” orders them best, tau {best['value']:.2f}" in text
    assert f"{pd.read_parquet(TABLE)['candidate'].nunique()} cells drawn at random" in text


def test_without_results_there_is_no_such_part(tmp_path):
    assert nas.section(tmp_path, 3) == []
