"""Texts: what they hold, and how a tokenizer makes a tensor of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import torch

from ncore.errors import InputError
from ncore.probe.modalities.base import RECORD, Items, Split, TextShape

__all__ = ["TextInput", "TextItems", "Texts", "Tokenize", "tokens"]

_WORDS = re.compile(r"\w+")
_LONG = 0.01  # share of texts cut from which on it is a warning, and not only counted
Text = tuple[str, ...]  # one, or a pair
Tokenize = Callable[[Sequence[Text], int], tuple[list[list[int]], list[list[int]] | None, int]]
"""From texts and the most tokens of each to their tokens, which text of a pair each is of, and how many were cut."""


@dataclass
class TextItems:
    """Texts, or pairs of them, in memory.

    Args:
        texts: One or two each.
        name: Of the set, for messages.
    """

    texts: list[Text]
    name: str

    def __getitem__(self, index: int) -> Text:
        """The text at ``index``, or the pair."""
        return self.texts[index]

    def describe(self, index: int) -> str:
        """Its row."""
        return f"row {index} of {self.name}"

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """None: to look at a text costs no more."""
        return "", []


class Texts:
    """The modality."""

    examples: ClassVar[str] = "texts"
    copies_are_left_out: ClassVar[bool] = True
    near_copies: ClassVar[str] = "as copies do that differ in case, blanks or punctuation only"

    def decode(self, items: Items, row: int) -> Text:
        """One text, or pair."""
        found: Text = items[row]
        return found

    def look_at(self, items: Items, rows: np.ndarray) -> np.ndarray:
        """Digests of texts to the letter; the hash is of their words in lower case."""
        records = np.zeros(len(rows), dtype=RECORD)
        for at, row in enumerate(rows.tolist()):
            text = items[row]
            words = [_WORDS.findall(part.casefold()) for part in text]
            records["digest"][at] = _digest(text, 16)
            records["hash"][at] = int.from_bytes(_digest([" ".join(part) for part in words], 8), "little")
            records["telling"][at] = sum(map(len, words)) > 2
        return records

    def shape(self, train: Split) -> TextShape:
        """Nothing that candidates have to know."""
        return TextShape()


def _digest(parts: Sequence[str], size: int) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=size).digest()


@dataclass(eq=False)
class TextInput:
    """What an encoder of texts wants.

    Tokens are kept as int32 (N, C, L), one more than their numbers, with 0 for what pads a text to the longest of its
    set, so that any tokenizer can do without a token for that. C is 2 for tokenizers that tell the two texts of a pair
    apart, by 0 and 1.

    Args:
        tokenize: Of the model's own.
        most: Tokens of a text at most.
        vocabulary: How many tokens there are.
        cut: How many texts were longer, by set.
    """

    tokenize: Tokenize
    most: int
    vocabulary: int
    cut: dict[str, int] = field(default_factory=dict)

    @property
    def made_alike(self) -> TextInput:
        """Only itself: another candidate has a tokenizer of its own."""
        return self

    @property
    def summary(self) -> dict[str, Any]:
        """The most tokens of a text, and how many were cut to that."""
        return {"tokens": self.most, "cut": dict(self.cut)}

    @property
    def words(self) -> str:
        """What it takes."""
        return f"texts of up to {self.most} tokens"

    @property
    def remedy(self) -> str:
        """What to change where a model doesn't take that."""
        return "set `max_length` to what it was built for"

    def inputs(self, split: Split) -> torch.Tensor:
        """Tokens of all texts of a set; those that were cut are counted."""
        if split.modality.examples != Texts.examples:
            raise InputError(f"texts were expected, but {split.name} holds {split.modality.examples}.")
        made, cut = tokens([split.items[row] for row in split.indices.tolist()], self.tokenize, self.most)
        self.cut[split.name] = cut
        split.warnings = []
        if cut > _LONG * len(split):
            split.warnings.append(
                f"{cut} of the {len(split)} texts of {split.name} have more than {self.most} tokens, and what comes "
                "after these is not read; `max_length` of a candidate says how many are."
            )
        return made

    def prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """As long as the longest of the batch."""
        return batch[..., : max(1, int((batch[:, 0] > 0).sum(-1).max()))]

    def lengths(self, made: torch.Tensor) -> torch.Tensor:
        """How many tokens."""
        return (made[:, 0] > 0).sum(-1)

    def content(self) -> bytes:
        """Nothing beside the module."""
        return b""

    def trial(self) -> torch.Tensor:
        """Two texts of random tokens, one of them shorter."""
        length = min(self.most, 8)
        made = torch.randint(1, self.vocabulary + 1, (2, 1, length), generator=torch.Generator().manual_seed(0))
        made[1, :, max(1, length - 3) :] = 0
        return made.to(torch.int32)


def tokens(texts: Sequence[Text], tokenize: Tokenize, most: int) -> tuple[torch.Tensor, int]:
    """Tokens of texts as :class:`TextInput` keeps them, and how many texts were cut.

    Example:
        >>> made, cut = tokens([("a b",), ("c",)], lambda texts, most: ([[5, 6], [7]], None, 0), 4)
        >>> made.tolist(), cut
        ([[[6, 7]], [[8, 0]]], 0)
    """
    numbers, which, cut = tokenize(texts, most)
    longest = max(1, max(map(len, numbers), default=1))
    made = np.zeros((len(texts), 1 if which is None else 2, longest), dtype=np.int32)
    for row, own in enumerate(numbers):
        made[row, 0, : len(own)] = np.asarray(own, dtype=np.int32) + 1
        if which is not None:
            made[row, 1, : len(own)] = which[row]
    return torch.from_numpy(made), cut
