"""Brings rows of a table to the numbers that the model of this folder takes, as training rows have taught.

A row is a mapping from columns to values, None or NaN for what is missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["Preprocessing"]


class Preprocessing:
    """What ``preprocessing.json`` of a folder says.

    Args:
        folder: Of the model.
    """

    def __init__(self, folder: str | Path) -> None:
        self.settings: dict[str, Any] = json.loads((Path(folder) / "preprocessing.json").read_text(encoding="utf-8"))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> tuple[torch.Tensor]:
        """The model's input, float32 (N, F)."""
        return (torch.from_numpy(np.array([self.numbers(row) for row in rows], dtype=np.float32)),)

    def numbers(self, row: Mapping[str, Any]) -> list[float]:
        """One row: numbers, where they are missing, and each category."""
        plain, gaps, categories = [], [], []
        for about in self.settings["numbers"]:
            value = row.get(about["column"])
            number = math.nan if value is None else float(value)
            missing = not math.isfinite(number)
            plain.append(((about["missing"] if missing else number) - about["mean"]) / about["scale"])
            if "gap" in about:
                gaps.append((float(missing) - about["gap"]["mean"]) / about["gap"]["scale"])
        for about in self.settings["categories"]:
            value = row.get(about["column"])
            name = "missing" if value is None or value != value else str(value)
            categories += [float(name == one) for one in about["known"]]
            if about["rare"]:  # these, and what training has not seen, are one
                categories.append(float(name not in about["known"]))
        return [*plain, *gaps, *categories]
