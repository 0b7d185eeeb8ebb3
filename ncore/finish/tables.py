"""Rows of tables: what preprocessing learned from the training rows, as plain numbers and names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ncore.probe.datasets import Split
from ncore.probe.modalities.tables import TableInput, Tables, rows_of

__all__ = ["TablePreprocessing"]


class TablePreprocessing:
    """That of a test set of rows.

    Args:
        test: The test set.
        takes: What the network wants.
    """

    code: ClassVar[str] = "tables"
    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    task: ClassVar[str] = "tabular-classification"
    word: ClassVar[str] = "row"
    sample: ClassVar[str] = '{"column": 1.5}'
    varying: ClassVar[tuple[int, ...]] = ()

    def __init__(self, test: Split, takes: TableInput) -> None:
        assert isinstance(test.modality, Tables)
        self._test, self._takes, self._transform = test, takes, test.modality.transform
        self.labels: np.ndarray = test.labels

    def write(self, folder: Path) -> None:
        """Write ``preprocessing.json``."""
        (folder / "preprocessing.json").write_text(json.dumps(_learned(self._transform), indent=1) + "\n", "utf-8")

    def inputs(self, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Numbers (N, F)."""
        return (self._test.tensor(self._takes)[torch.as_tensor(list(rows))],)

    def raw(self, rows: Sequence[int]) -> list[Any]:
        """Rows as mappings from columns to values; None for what is missing."""
        frame = rows_of(self._test).iloc[list(rows)]
        return [
            {name: None if value is None or value != value else value for name, value in row.items()}
            for row in frame.to_dict("records")
        ]


def _learned(transform: Any) -> dict[str, Any]:
    """What a fitted ``ncore.probe.modalities.tables.preprocessing`` does, as JSON."""
    found: dict[str, Any] = {"numbers": [], "categories": []}
    for kind, fitted, columns in transform.transformers_:
        if kind == "numbers" and len(columns):
            imputer, scaler = fitted[0], fitted[-1]
            gaps = imputer.indicator_.features_.tolist()
            for at, name in enumerate(columns):
                about = {"column": name, "missing": float(imputer.statistics_[at]), "mean": float(scaler.mean_[at]),
                         "scale": float(scaler.scale_[at])}  # fmt: skip
                if at in gaps:  # a column of its own says where it is missing
                    row = len(columns) + gaps.index(at)
                    about["gap"] = {"mean": float(scaler.mean_[row]), "scale": float(scaler.scale_[row])}
                found["numbers"].append(about)
        if kind == "categories" and len(columns):
            encoder = fitted[-1]
            rare = encoder.infrequent_categories_
            for at, name in enumerate(columns):
                own, few = list(encoder.categories_[at]), [] if rare[at] is None else list(rare[at])
                found["categories"].append(
                    {"column": name, "known": [one for one in own if one not in few], "rare": few}
                )
    return found
