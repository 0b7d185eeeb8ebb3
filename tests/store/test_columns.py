"""What is handed to a writer is checked, copied and brought into the types of the schema."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ncore.errors import InputError
from ncore.store import TABLES
from ncore.store._columns import arrow_table, factor_table, latest
from tests.store.data import capacitance, factors, metrics, trajectories


def test_columns_get_the_types_of_the_schema() -> None:
    made = {"metrics": metrics(2), "capacitance": capacitance(2), "trajectories": trajectories(2)}
    for name, columns in made.items():
        table = arrow_table(name, 2, columns)
        assert table.schema.equals(TABLES[name].schema)
        assert set(table["epoch"].to_pylist()) == {2}
    assert factor_table(2, factors(2), None).schema.equals(TABLES["line_graph"].schema)


def test_nan_becomes_null_so_that_sql_averages_skip_it() -> None:
    table = arrow_table("capacitance", 0, capacitance(0))
    assert table["denominator"].null_count == 1
    assert table["reason"].to_pylist()[:2] == ["no interaction", None]


def test_values_are_copied() -> None:
    columns = trajectories(0)
    weights = columns["weight"].to_numpy().copy()
    given = {name: columns[name].to_numpy().copy() for name in columns}
    table = arrow_table("trajectories", 0, given)
    given["weight"][:] = 0
    np.testing.assert_array_equal(table["weight"].to_numpy(), weights)
    layers = factors(0)
    made = factor_table(0, layers, 1.0)
    before = made["values"].to_pylist()
    layers[0].inputs[:] = 0
    assert made["values"].to_pylist() == before


def test_trajectories_are_sorted_by_synapse() -> None:
    columns = trajectories(0)
    shuffled = columns.sample(frac=1, random_state=0)
    assert arrow_table("trajectories", 0, shuffled).equals(arrow_table("trajectories", 0, columns))


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ("metrics", {"split": ["a"], "name": ["b"], "valeu": [1.0]}, "no column 'valeu'"),
        ("metrics", {"split": ["a"], "value": [1.0]}, "lacks its column 'name'"),
        ("metrics", {"split": ["a"], "name": ["b", "c"]}, r"different lengths: \[1, 2\]"),
        ("metrics", {"split": ["a"], "name": ["b"], "value": ["high"]}, "'value' .* not double"),
        ("metrics", {"split": ["a"], "name": ["b"], "step": [0.5]}, "'step' .* not int64"),
        ("metrics", {"split": ["a"], "name": [None]}, "'name' .* missing"),
        ("metrics", {"split": ["a"], "name": ["b"], "epoch": [3]}, "another epoch than 0"),
        ("capacitance", {"strength": ["absolute"], "layer": [2**40]}, "'layer' .* not int32"),
        ("trajectories", {**trajectories(0), "synapse": [1] * 60}, "occurs twice"),
        ("trajectories", {**trajectories(0), "weight": np.zeros((60, 2))}, "'weight' .* not float"),
    ],
)
def test_what_the_schema_cannot_hold_is_refused(table: str, columns: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        arrow_table(table, 0, columns)


def test_factors_of_different_samples_are_refused() -> None:
    wrong = SimpleNamespace(inputs=np.zeros((3, 2)), slopes=np.zeros((4, 2)), errors=np.zeros((3, 1)))
    with pytest.raises(InputError, match=r"slopes of layer 1 have shape \(4, 2\)"):
        factor_table(0, [wrong], None)


def test_a_listing_takes_the_latest_values() -> None:
    made = {"metrics": metrics(3), "capacitance": capacitance(3)}
    found = latest({name: arrow_table(name, 3, columns) for name, columns in made.items()})
    assert found["validation_accuracy"] == metrics(3)["value"][3]
    assert found["test_accuracy"] == metrics(3)["value"][4]
    assert found["seconds"] == 1.5
    assert found["beta_eff"] == capacitance(3)["beta_eff"][4]  # relative, the whole graph
    absolute = arrow_table("capacitance", 3, capacitance(3)[:4])
    assert latest({"capacitance": absolute})["beta_eff_strength"] == "absolute"


def test_empty_tables_are_tables() -> None:
    table = arrow_table("trajectories", 1, pd.DataFrame(trajectories(1)[:0]))
    assert table.num_rows == 0
    assert isinstance(factor_table(0, [], None), pa.Table)
