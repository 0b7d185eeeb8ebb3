"""The pictures of the app from the tables that a notebook has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from made_up_synapses import record_synapses
from ncore_dashboard import notebook

import ncore
from ncore.errors import InputError
from ncore.store import create_store


def test_tables_of_a_store_become_figures(store: Path) -> None:
    opened = ncore.open_store(store)
    runs = opened.runs()
    capacitance = notebook.tables(opened, runs, "capacitance")
    metrics = notebook.tables(opened, runs, "metrics")
    assert set(capacitance["candidate"]) == {"resnet", "lenet", "dense"}
    assert set(capacitance["key"]) == set(runs["run"])
    beta = notebook.beta_eff(capacitance)
    assert isinstance(beta, go.Figure)
    drawn = next(trace for trace in beta.data if trace.name == "lenet")
    assert drawn.y == pytest.approx(np.exp(-np.arange(7) / 2), rel=1e-5)
    assert len(notebook.beta_eff(capacitance, "absolute", log=True, by_layer=True).data) >= 3
    curves = notebook.learning_curves(metrics, seen=3)
    assert {"resnet", "lenet", "dense"} <= {trace.name for trace in curves.data}
    ranking = notebook.forecast(ncore.rank(opened, epochs=3))
    assert [text.split()[-1] for text in ranking.layout.yaxis.ticktext] == ["resnet", "lenet", "dense"]


@pytest.mark.parametrize(("widths", "kind"), [((6, 5, 4, 3, 3), "scatter"), ((60, 50, 4, 3, 3), "heatmap")])
def test_a_trajectory_becomes_a_phase_plot(tmp_path: Path, widths: tuple[int, ...], kind: str) -> None:
    run_id = record_synapses(create_store(tmp_path / "runs"), widths=widths, epochs=2)
    run = ncore.open_store(tmp_path / "runs").run(run_id)
    figure = notebook.phase(run.trajectory(epoch=1, layer=1))
    assert figure.data[0].type == kind
    if kind == "scatter":
        rows = run.trajectory(epoch=1, layer=1)
        assert sorted(figure.data[0].x) == pytest.approx(sorted(rows["weight"]))
    with pytest.raises(InputError, match="3 values of epoch"):
        notebook.phase(run.trajectory(layer=1))


def test_what_makes_no_figure_is_refused(store: Path) -> None:
    opened = ncore.open_store(store)
    with pytest.raises(InputError, match="'trajectories'"):
        notebook.tables(opened, opened.runs(), "trajectories")
    with pytest.raises(InputError, match="0 runs"):
        notebook.tables(opened, opened.runs().head(0), "metrics")
