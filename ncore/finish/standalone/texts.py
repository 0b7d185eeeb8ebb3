"""Brings texts to the tokens that the model of this folder takes, by the tokenizer that it was trained with.

A text is a string, and a pair of texts a tuple of two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["Preprocessing"]


class Preprocessing:
    """The tokenizer of a folder, cut where ``preprocessing.json`` says.

    Args:
        folder: Of the model.
    """

    def __init__(self, folder: str | Path) -> None:
        from transformers import AutoTokenizer

        self.settings: dict[str, Any] = json.loads((Path(folder) / "preprocessing.json").read_text(encoding="utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(Path(folder) / "tokenizer")

    def __call__(self, texts: Sequence[Any]) -> tuple[torch.Tensor]:
        """The model's input, int32 (N, C, L): token numbers plus one, 0 for none, and which of a pair each is of."""
        pairs = [(text,) if isinstance(text, str) else text for text in texts]
        columns = [list(part) for part in zip(*pairs, strict=True)]
        most = self.settings["tokens"]
        found = self.tokenizer(*columns, padding=False, truncation=True, max_length=most, verbose=False)
        numbers = found["input_ids"]
        which = found["token_type_ids"] if len(columns) > 1 and "token_type_ids" in found else None
        made = np.zeros((len(numbers), 1 if which is None else 2, max(1, *map(len, numbers))), dtype=np.int32)
        for row, own in enumerate(numbers):
            made[row, 0, : len(own)] = np.asarray(own, dtype=np.int32) + 1
            if which is not None:
                made[row, 1, : len(own)] = which[row]
        return (torch.from_numpy(made),)
