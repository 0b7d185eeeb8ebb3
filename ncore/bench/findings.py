"""All results of the benchmark together, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ncore.bench.evaluation import AVERAGE
from ncore.predict import DEFAULT_METHOD, get_predictor

CONFIRMING = ("cifar10", "cifar10-animals", "digits", "fashion-mnist", "fashion-mnist-1000")
"""Tasks that were run in the modes all and backbone after the recommended method had been chosen."""


@dataclass(frozen=True)
class Findings:
    """All results.

    Attributes:
        evaluation: as `ncore.bench.evaluation.evaluate_cases` returns it.
        played: as `ncore.bench.replay.summary` returns it.
        facts: what the table holds, and what made it.
    """

    evaluation: pd.DataFrame
    played: pd.DataFrame
    facts: dict[str, Any]

    @property
    def average(self) -> pd.DataFrame:
        """The rows that are means over tasks."""
        return self.evaluation[self.evaluation["task"] == AVERAGE]

    @property
    def recommended_label(self) -> str:
        """What `ncore.rank` uses, in words."""
        return f"“{get_predictor(DEFAULT_METHOD).label}”"

    @property
    def complete(self) -> bool:
        """Whether the table has all that its recipe plans."""
        modes, planned = self.facts["modes"], self.facts["planned"]
        return all(len(modes.get(mode, {"tasks": ()})["tasks"]) >= planned["tasks"] for mode in planned["modes"])

    def row(self, mode: str, k: int, method: str, measure: str = "kendall") -> pd.Series | None:
        """One row of the averages, None if there is none."""
        part = self.average
        part = part[(part["mode"] == mode) & (part["k"] == k)]
        part = part[(part["method"] == method) & (part["measure"] == measure)]
        return part.iloc[0] if len(part) else None

    def ranking(self, k: int, among: Iterable[str] | None = None) -> pd.Series:
        """Mean Kendall's tau over the modes by method, best first; only methods that every mode has."""
        part = self.average
        part = part[(part["k"] == k) & (part["measure"] == "kendall") & (part["kind"] != "reference")]
        wide = part.pivot_table(index="method", columns="mode", values="value", sort=False).dropna()
        if among is not None:
            wide = wide[wide.index.isin(list(among))]
        return wide.mean(axis=1).sort_values(ascending=False, kind="stable")

    @property
    def drawn(self) -> list[str]:
        """Seven methods at most, for figures: the naive, the recommended, the paper's, and the best of each family."""
        ranked = self.ranking(3)
        kinds = self.average.drop_duplicates("method").set_index("method")["kind"]
        chosen = [name for name in ("last", DEFAULT_METHOD) if name in ranked.index]
        for kind in ("learned", "curve", "capacitance", "naive", "score"):
            own = [name for name in ranked.index if kinds[name] == kind and name not in chosen]
            chosen += own[:1]
        paper = [name for name in ranked.index if name.startswith("capacitance-") and name not in chosen]
        return list(dict.fromkeys([*chosen, *paper[:1]]))[:7]
