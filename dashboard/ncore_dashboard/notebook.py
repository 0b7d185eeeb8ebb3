"""The app's pictures in a notebook: tables of ``ncore.open_store`` and ``ncore.rank`` in, Plotly figures out.

Example:
    In a notebook, where the last value of a cell is shown::

        import ncore
        from dashboard import notebook

        store = ncore.open_store("sample_runs")
        runs = store.runs().query("dataset == 'digits'")
        notebook.beta_eff(notebook.tables(store, runs, "capacitance"))
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ncore.errors import InputError
from ncore.network.strengths import Strength
from ncore.predict.units import from_units
from ncore.store import Store
from ncore_dashboard.data import edge_dynamics
from ncore_dashboard.figures import capacitance, dynamics, styles_of
from ncore_dashboard.figures import ranking as rankings

__all__ = ["TABLES", "beta_eff", "forecast", "learning_curves", "phase", "tables"]

TABLES = ("metrics", "capacitance")


def tables(store: Store, runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """A table of several runs, one below the other.

    Args:
        store: Of the runs.
        runs: Rows of ``store.runs()``.
        name: "metrics" or "capacitance".

    Returns:
        The rows of ``Run.metrics()`` or ``Run.capacitance()`` with the columns key, candidate and seed in front.

    Raises:
        InputError: There is no such table, or no run.
        StoreError: A run can't be read.
    """
    if name not in TABLES:
        raise InputError(f"There is no table {name!r} of several runs: choose one of {', '.join(TABLES)}.")
    if runs.empty:
        raise InputError("There are 0 runs, but a figure needs 1 or more: look at `store.runs()`.")
    parts = []
    for row in runs.to_dict("records"):
        run = store.run(row["run"])
        table = run.metrics() if name == "metrics" else run.capacitance()
        table.insert(0, "seed", row["seed"])
        table.insert(0, "candidate", row["candidate"])
        table.insert(0, "key", row["run"])
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def beta_eff(
    table: pd.DataFrame, strength: str = Strength.RELATIVE, log: bool = False, by_layer: bool = False
) -> go.Figure:
    """beta_eff over epochs, mean and band over seeds.

    Args:
        table: "capacitance" of :func:`tables`.
        strength: "relative", "absolute" or "signed".
        log: A logarithmic axis.
        by_layer: The parts of the layers instead of the whole.
    """
    draw = capacitance.by_layer if by_layer else capacitance.over_epochs
    return draw(table[table["strength"] == strength], styles_of(table["candidate"]), strength, log)


def learning_curves(table: pd.DataFrame, seen: int | None = None) -> go.Figure:
    """Validation accuracy over epochs, mean and band over seeds.

    Args:
        table: "metrics" of :func:`tables`.
        seen: The epoch up to which a prediction sees; what is later is shaded.
    """
    rows = table[(table["split"] == "validation") & (table["name"] == "accuracy")].rename(columns={"value": "accuracy"})
    return rankings.learning_curves(rows, styles_of(table["candidate"]), seen)


def forecast(ranking: pd.DataFrame) -> go.Figure:
    """Predicted final accuracy with its interval, and the observed one where it is known.

    Args:
        ranking: A table of ``ncore.rank``.
    """
    return rankings.forecast(from_units(ranking), styles_of(sorted(ranking["candidate"])))


def phase(trajectory: pd.DataFrame) -> go.Figure:
    """Weight against dw/dt of the synapses of a layer, as points or, if they are many, as their density.

    Args:
        trajectory: ``Run.trajectory(epoch=..., layer=...)``: rows of one epoch and one layer.

    Raises:
        InputError: It has several epochs or layers, or none.
    """
    for column in ("epoch", "layer"):
        if trajectory[column].nunique() != 1:
            raise InputError(
                f"The trajectory has {trajectory[column].nunique()} values of {column}, but a phase plot is of one: "
                f"read it with `run.trajectory(epoch=..., layer=...)`."
            )
    weight, rate = (trajectory[name].to_numpy() for name in ("weight", "rate"))
    if weight.size > edge_dynamics.MOST_POINTS:
        return dynamics.phase_density(edge_dynamics.density(weight, rate, 1.0))
    matrices = trajectory.pivot(index="target", columns="source", values=["weight", "rate"])
    targets, sources = matrices.index.to_numpy(), matrices["weight"].columns.to_numpy()
    return dynamics.phase_points(
        matrices["weight"].to_numpy(np.float32), matrices["rate"].to_numpy(np.float32), sources, targets
    )
