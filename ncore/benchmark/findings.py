"""All results of the benchmark together, and what is asked of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ncore.benchmark.evaluation import AVERAGE
from ncore.benchmark.methods import predictor_of
from ncore.errors import InputError
from ncore.predict import BASELINE, DEFAULT_METHOD, get_predictor

__all__ = ["AT", "CONFIRMING", "EVALUATION", "FACTS", "FOLDER", "REPLAY", "WORDS", "Findings", "read_results"]

FOLDER = Path(__file__).resolve().parent
"""Of the committed results, and of the page on them."""
EVALUATION, REPLAY, FACTS, WORDS = "evaluation.parquet", "replay.parquet", "facts.json", "words.json"
AT = 3
"""The number of epochs seen that the benchmark's goals are about."""

CONFIRMING = ("cifar10", "cifar10-animals", "digits", "fashion-mnist", "fashion-mnist-1000")
"""Tasks that were run in the modes all and backbone after the recommended method had been chosen."""


@dataclass(frozen=True)
class Findings:
    """All results.

    Attributes:
        evaluation: As ``ncore.benchmark.evaluation.evaluate_cases`` returns it.
        played: As ``ncore.benchmark.replay.summary`` returns it.
        facts: What the table holds, and what made it.
        words: What the page concludes from all this, how it was done, and its limits, as Markdown paragraphs by
            "conclusions", "protocol" and "limits"; empty until the page is written.
    """

    evaluation: pd.DataFrame
    played: pd.DataFrame
    facts: dict[str, Any]
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def average(self) -> pd.DataFrame:
        """The rows that are means over tasks."""
        return self.evaluation[self.evaluation["task"] == AVERAGE]

    @property
    def recommended_label(self) -> str:
        """What ``ncore.rank`` uses, in words."""
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
        chosen = [name for name in (BASELINE, DEFAULT_METHOD) if name in ranked.index]
        for kind in ("learned", "curve", "capacitance", "naive", "score"):
            own = [name for name in ranked.index if kinds[name] == kind and name not in chosen]
            chosen += own[:1]
        paper = [
            name for name in ranked.index if (found := predictor_of(name)) and found.of_the_paper and name not in chosen
        ]
        return list(dict.fromkeys([*chosen, *paper[:1]]))[:7]


def read_results(folder: Path = FOLDER) -> Findings:
    """The stored results.

    Raises:
        InputError: They are not there.
    """
    results = folder / "results"
    try:
        evaluation, played = (pd.read_parquet(results / name) for name in (EVALUATION, REPLAY))
        facts = json.loads((results / FACTS).read_text(encoding="utf-8"))
        written = results / WORDS
        words = json.loads(written.read_text(encoding="utf-8")) if written.is_file() else {}
    except FileNotFoundError as error:
        raise InputError(
            f"The results of the benchmark are not in {str(results)!r}: make them with "
            "`python -m tools.benchmark_page`."
        ) from error
    return Findings(evaluation, played, facts, words)
