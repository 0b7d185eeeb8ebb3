"""Whatever is given is refused in one sentence when it is given, or can be read back and listed."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ncore.errors import InputError, NcoreError, StoreError
from ncore.store import Store, create_store, verify
from tests.store.data import WHO, factors, record

EDGES = (-1, 0, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**400)
NUMBERS = st.one_of(
    st.sampled_from(EDGES),
    st.integers(),
    st.floats(),
    st.sampled_from([None, "7", "", True, np.int8(-3), np.uint64(2**64 - 1), np.float32(2), [], (1,)]),
)
TEXTS = st.one_of(
    st.text(st.characters(), max_size=20),  # lone surrogates, too
    st.sampled_from(["", "\0", "a\0b", "\ud800", "\udcff.jpg", "x" * 1_000, "x" * 1_001, "é" * 900, "a/b", ".."]),
    st.sampled_from([None, 5, b"bytes", ["a"]]),
)
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as place:
        store = create_store(Path(place) / "store")
        record(store, 2, run_id="good")
        yield store


def try_it(store: Store, **given: Any) -> None:
    """Record with what is given; either way the store is as good as before."""
    epochs: list[dict[str, Any]] = given.pop("write", [{}])
    try:
        writer = store.new_run(**{**WHO, **given})
    except NcoreError as error:
        one_sentence(error)
        assert store.run_ids() == ["good"]
        return
    written = []
    try:
        for number, options in enumerate(epochs):
            try:
                writer.write_epoch(options.get("epoch", number), **{k: v for k, v in options.items() if k != "epoch"})
                written.append(writer.last_epoch)
            except NcoreError as error:
                one_sentence(error)
        writer.finish()
        runs = store.runs().set_index("run")
        assert set(runs["status"]) == {"finished"}
        run = store.run(writer.run_id)
        assert run.epochs == written
        run.metrics()
        for name, value in given.items():
            if name in ("seed", "planned_epochs", "candidate", "notes"):
                assert getattr(run.manifest, name) == value
                if value is not None:
                    assert runs.loc[writer.run_id, name] == value
        assert verify(store.url).ok
    finally:
        with contextlib.suppress(StoreError):
            writer.close()
        store.delete(writer.run_id)


def one_sentence(error: NcoreError) -> None:
    text = str(error)
    assert text.endswith(".")
    assert len(text) < 800
    text.encode()  # it can be printed


@settings(max_examples=60, deadline=None)
@given(seed=NUMBERS, planned=NUMBERS)
@example(seed=2**63, planned=None)
@example(seed=2**63 - 1, planned=2**63 - 1)
def test_seeds_and_planned_epochs(shared: Store, seed: Any, planned: Any) -> None:
    try_it(shared, seed=seed, planned_epochs=planned)


@settings(max_examples=60, deadline=None)
@given(candidate=TEXTS, dataset=TEXTS, mode=TEXTS, notes=TEXTS)
def test_names(shared: Store, candidate: Any, dataset: Any, mode: Any, notes: Any) -> None:
    try_it(shared, candidate=candidate, dataset=dataset, mode=mode, notes=notes)


@settings(max_examples=60, deadline=None)
@given(config=VALUES, summary=st.dictionaries(st.sampled_from(["parameters", "seconds", "beta_eff", "else"]), VALUES))
@example(config=None, summary={"parameters": 10**400})
def test_configurations_and_summaries(shared: Store, config: Any, summary: dict[str, Any]) -> None:
    try_it(shared, config={"value": config}, info=summary, write=[{"summary": summary}])


@settings(max_examples=60, deadline=None)
@given(epoch=NUMBERS, step=NUMBERS, value=NUMBERS, name=TEXTS)
def test_epochs_steps_and_metrics(shared: Store, epoch: Any, step: Any, value: Any, name: Any) -> None:
    columns = {"split": ["validation"], "name": [name], "step": [step], "value": [value]}
    try_it(shared, write=[{"epoch": epoch, "metrics": columns}, {"epoch": 2**31 - 1}])


@pytest.mark.parametrize("depth", [10, 45, 60, 500, 100_000])
def test_nested_configurations(shared: Store, depth: int) -> None:
    nested: Any = 1
    for _ in range(depth):
        nested = [nested]
    try_it(shared, config={"nested": nested})


def test_a_configuration_that_holds_itself(shared: Store) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InputError, match="nested more than 50 levels deep"):
        shared.new_run(**WHO, config={"a": endless})


def test_a_number_that_python_itself_does_not_print(shared: Store) -> None:
    for name in ("seed", "planned_epochs"):
        with pytest.raises(InputError, match="a number of more digits than can be shown"):
            shared.new_run(**{**WHO, name: 10**5000})


def test_names_that_become_the_same(shared: Store) -> None:
    with pytest.raises(InputError, match="two names that are the same"):
        shared.new_run(**WHO, config={1: "a", "1": "b"})


@pytest.mark.parametrize("columns", [{"split": "v", "name": 5}, {"split": 1}, {"name": ["b"], "value": 0.5}])
def test_columns_that_are_none(shared: Store, columns: dict[str, Any]) -> None:
    try_it(shared, write=[{"metrics": columns}])


@pytest.mark.parametrize("reason", ["bad \udcff name", "x" * 10**7, "", "a\nb", "\0"])
def test_a_reason_never_keeps_a_run_from_ending(store: Store, reason: str) -> None:
    store.new_run(**WHO, run_id="run").fail(reason)
    assert store.runs()["status"].tolist() == ["failed"]
    assert len(store.runs()["reason"][0]) <= 10_000


def test_factors_that_are_too_large_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncore.store._columns._MOST_VALUES", 20)
    with store.new_run(**WHO, run_id="run") as writer:
        with pytest.raises(InputError, match="at most 20 are recorded: record fewer neurons or samples"):
            writer.write_epoch(0, line_graph=factors(0), line_graph_scale=1.0)
        writer.write_epoch(0)
