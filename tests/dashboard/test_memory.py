from __future__ import annotations

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


def test_sizes_count_what_is_inside() -> None:
    table = pd.DataFrame({"a": np.zeros(1000)})
    assert size_of([table, {"b": np.zeros(1000)}]) > 16_000
