"""`ncore evaluate` and `ncore sweep --stop` as they are typed."""

import json

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import ncore
from ncore.cli import app
from ncore.errors import InputError

RECIPE = {
    "candidates": [
        {"source": "builtin:dense-small", "name": "good"},
        {"source": "builtin:dense-small", "name": "slow", "training": {"learning_rate": 1e-6}},
    ],
    "datasets": [{"source": "digits", "train": 200, "validation": 80, "test": 80}],
    "training": {"mode": "all", "epochs": 4, "threads": 1, "learning_rate": 3e-3},
    "recording": {"neurons": 4, "line_graph_every": 0, "trajectories_every": 0},
}


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_evaluate_prints_and_stores(table_path, tmp_path):
    result = run("evaluate", table_path, "--quick", "-o", tmp_path / "found.parquet")
    assert result.exit_code == 0
    for words in ("After 3 epochs, mode unit", "Noise ceiling", "Chance", "Last accuracy", "How to read it"):
        assert words in result.output
    stored = pd.read_parquet(tmp_path / "found.parquet")
    assert set(stored["k"]) == {3}
    assert {"kendall", "regret", "coverage"} <= set(stored["measure"])


def test_evaluate_as_json(table_path):
    rows = json.loads(run("evaluate", table_path, "-k", "1", "--resamples", 5, "--json").output)
    assert {row["mode"] for row in rows} == {"all", "unit"}
    assert all(row["k"] == 1 for row in rows)


@pytest.mark.parametrize("more", [["--budget", 9], ["--target-regret", 1], ["--method", "last"]], ids=str)
def test_options_of_stopping_need_stop(tmp_path, more):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    with pytest.raises(InputError, match="add --stop"):
        run("sweep", path, *more)


@pytest.mark.slow
def test_a_sweep_that_stops_says_what_it_cost(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    result = run("sweep", path, "--stop", "--risk", 0.2, "--method", "last", "--workers", 1)
    assert result.exit_code == 0
    assert "stopped early slow" in result.output
    assert "of 8 epochs" in result.output
    table = ncore.open_store(str(tmp_path / "runs")).runs().set_index("candidate")
    assert table.loc["slow", "status"] == "interrupted"
    assert table.loc["good", "status"] == "finished"
