"""A finished network of rows works without ncore, preprocessing and all."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from ncore.finish import finish
from ncore.finish.standalone.tables import Preprocessing
from ncore.finish.tables import TablePreprocessing
from ncore.probe.datasets import load_dataset
from ncore.probe.modalities import tables
from ncore.probe.modalities.tables import TableInput
from ncore.sweep import LocalEngine, sweep
from ncore.sweep.recipe import Recipe
from tests.finish.conftest import ALONE
from tests.probe.rows import table, written


@pytest.mark.parametrize("most", [64, 3])
@pytest.mark.parametrize("columns", [["width", "height", "colour"], ["width"], ["colour"], ["height", "flat"]])
def test_rows_become_the_same_numbers(tmp_path, monkeypatch, columns, most):
    monkeypatch.setattr(tables, "MOST_CATEGORIES", most)
    frame = table().assign(flat=1.0)
    frame["colour"] = [f"{colour}{at % 4}" for at, colour in enumerate(frame["colour"])]
    written(frame[:200], tmp_path / "rows-train.csv")
    test = frame[200:].copy()
    test.loc[test.index[:5], "colour"] = "unseen"
    test.loc[test.index[5:9], "width"] = np.nan  # which training has no gaps in
    written(test, tmp_path / "rows-test.csv")
    data = load_dataset({"source": f"table:{tmp_path}", "features": columns})
    split, takes = data.splits["test"], TableInput(data.shape.columns)
    made = TablePreprocessing(split, takes)
    made.write(tmp_path)
    (found,) = Preprocessing(tmp_path)(made.raw(range(len(split))))
    assert torch.allclose(found, split.tensor(takes), atol=1e-6)
    assert found.shape == (len(split), data.shape.columns)


def test_rows_from_a_sweep_to_a_process_without_ncore(tmp_path):
    written(table(), tmp_path / "rows.csv")
    recipe = Recipe.parse(
        {
            "candidates": ["dense-small"],
            "datasets": [{"source": "table:rows.csv", "id_column": "id"}],
            "training": {"mode": "all", "epochs": 3, "threads": 1},
            "recording": {"trajectories_every": 0, "line_graph_every": 0},
        },
        base=tmp_path,
    )
    (result,) = sweep(recipe.jobs, recipe.store_place, engine=LocalEngine(1))
    assert result.outcome == "finished", result.reason
    found = finish(recipe.store_place, "dense-small", to=tmp_path / "model", base=tmp_path)
    assert found.accuracy == found.recorded
    split = load_dataset({"source": f"table:{tmp_path / 'rows.csv'}", "id_column": "id"}).splits["test"]
    frame = pd.read_csv(tmp_path / "rows.csv").set_index("id").loc[list(split.ids)]
    rows = (
        frame.drop(columns="label").astype(object).where(frame.drop(columns="label").notna(), None).to_dict("records")
    )
    (tmp_path / "test.json").write_text(json.dumps(rows))
    code = ALONE.partition("files = ")[0] + (
        "rows = json.loads(Path(pictures).read_text())\n"
        "print(json.dumps([next(iter(one)) for one in load(folder)(rows)]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code, found.folder, str(tmp_path / "test.json")],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert np.mean(frame["label"].to_numpy() == json.loads(ran.stdout)) == found.recorded
