"""Brings texts to the tokens that the model of this folder takes, by the tokenizer that it was trained with.

A text is a string, and a pair of texts a tuple of two.
"""

from __future__ import annotations

import json
import re
import zlib
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
        self.settings: dict[str, Any] = json.loads((Path(folder) / "preprocessing.json").read_text(encoding="utf-8"))
        if "hashed_words" in self.settings:
            self.tokenizer: Any = None
            return
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(Path(folder) / "tokenizer")

    def __call__(self, texts: Sequence[Any]) -> tuple[torch.Tensor]:
        """The model's input, int32 (N, C, L): token numbers plus one, 0 for none, and which of a pair each is of."""
        pairs = [(text,) if isinstance(text, str) else text for text in texts]
        most = self.settings["tokens"]
        if self.tokenizer is None:
            words = [self.words(" ".join(text))[:most] for text in pairs]
            return (_padded(words, None),)
        columns = [list(part) for part in zip(*pairs, strict=True)]
        found = self.tokenizer(*columns, padding=False, truncation=True, max_length=most, verbose=False)
        numbers = found["input_ids"]
        which = found["token_type_ids"] if len(columns) > 1 and "token_type_ids" in found else None
        return (_padded(numbers, which),)

    def words(self, text: str) -> list[int]:
        """Numbers of words in lower case and marks, each by a checksum of it."""
        vocabulary = self.settings["hashed_words"]
        found = re.findall(r"\w+|[^\w\s]", text.casefold())
        return [zlib.crc32(word.encode("utf-8", "surrogatepass")) % vocabulary for word in found]


def _padded(numbers: Sequence[Sequence[int]], which: Sequence[Sequence[int]] | None) -> torch.Tensor:
    made = np.zeros((len(numbers), 1 if which is None else 2, max(1, *map(len, numbers))), dtype=np.int32)
    for row, own in enumerate(numbers):
        made[row, 0, : len(own)] = np.asarray(own, dtype=np.int32) + 1
        if which is not None:
            made[row, 1, : len(own)] = which[row]
    return torch.from_numpy(made)
