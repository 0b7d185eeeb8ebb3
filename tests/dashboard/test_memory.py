from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pandas as pd
import pytest
from ncore_dashboard.data.cache import Memory, size_of


def test_the_least_recently_used_is_forgotten_first() -> None:
    memory = Memory(limit=3 * size_of(np.zeros(1000)))
    for name in "abc":
        memory.get(name, lambda: np.zeros(1000))
    memory.get("a", lambda: pytest.fail("it is kept"))
    memory.get("d", lambda: np.zeros(1000))
    assert [name in memory for name in "abcd"] == [True, False, True, True]


def test_one_that_is_too_large_is_still_returned() -> None:
    memory = Memory(limit=2000)
    assert memory.get("a", lambda: np.arange(5000)).size == 5000
    memory.get("b", lambda: 1)
    assert "a" not in memory
    assert len(memory) == 1


def test_a_failure_is_not_kept() -> None:
    memory = Memory(limit=10_000)
    with pytest.raises(ZeroDivisionError):
        memory.get("a", lambda: 1 // 0)
    assert memory.get("a", lambda: 2) == 2


def test_who_asks_while_it_is_made_waits_for_it() -> None:
    memory, made, going = Memory(limit=10_000), [], Event()

    def make() -> int:
        made.append(memory.get("inner", lambda: 1))
        assert going.wait(60)
        return 42

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(memory.get, "a", make) for _ in range(8)]
        going.set()
        assert {one.result() for one in asked} == {42}
    assert made == [1]


def test_a_failure_is_tried_again_by_those_who_waited() -> None:
    memory, tries = Memory(limit=10_000), iter([ZeroDivisionError(), 7])

    def make() -> int:
        outcome = next(tries)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with ThreadPoolExecutor(4) as threads:
        outcomes = [
            one.exception() or one.result() for one in [threads.submit(memory.get, "a", make) for _ in range(4)]
        ]
    assert sorted(map(str, outcomes)) == ["", "7", "7", "7"]


def test_sizes_count_what_is_inside() -> None:
    table = pd.DataFrame({"a": np.zeros(1000)})
    assert size_of([table, {"b": np.zeros(1000)}]) > 16_000
