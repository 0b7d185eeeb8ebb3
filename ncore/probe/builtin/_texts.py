"""The built-in networks of texts: words by a hash of theirs, so that no vocabulary has to be learned or downloaded."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import torch
from torch import nn

from ncore.probe.builtin._layers import Style

__all__ = ["HashedWords", "words", "words_cnn"]

_WORD = re.compile(r"\w+|[^\w\s]")


class HashedWords:
    """A tokenizer: words in lower case and marks, each by a checksum of it.

    Args:
        vocabulary: How many numbers there are; words that share one can't be told apart.

    Example:
        >>> HashedWords(1000)(["To be, or not to be"])
        [[756, 925, 878, 439, 293, 756, 925]]
    """

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text."""
        return [list(map(self._number, _WORD.findall(text.casefold()))) for text in texts]

    def _number(self, word: str) -> int:
        return zlib.crc32(word.encode("utf-8", "surrogatepass")) % self.vocabulary


class _Words(nn.Module):
    """Vectors of a text's words, their mean, and dense layers on it."""

    def __init__(self, vocabulary: int, body: nn.Module, between: nn.Module, size: int) -> None:
        super().__init__()
        self.tokenizer = HashedWords(vocabulary)
        self.embedding = nn.Embedding(vocabulary + 1, size, padding_idx=0)
        self.between, self.body = between, body

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of tokens (N, 1, L)."""
        numbers = tokens[:, 0].long()
        mask = (numbers > 0)[:, None].float()
        vectors = self.between(self.embedding(numbers).transpose(1, 2)) * mask
        mean: torch.Tensor = self.body(vectors.sum(2) / mask.sum(2).clamp(min=1))
        return mean


def words(
    width: int = 128, depth: int = 1, vocabulary: int = 32_768, norm: str = "none", activation: str = "relu"
) -> nn.Module:
    """The mean of the words' vectors, ``width`` numbers each, and ``depth`` dense layers, as in Iyyer et al. (2015)."""
    style = Style(norm, activation)
    return _Words(vocabulary, nn.Sequential(*(style.linear(width, width) for _ in range(depth))), nn.Identity(), width)


def words_cnn(
    width: int = 128, depth: int = 1, vocabulary: int = 32_768, norm: str = "none", activation: str = "relu"
) -> nn.Module:
    """``depth`` convolutions over three words each between the words' vectors and their mean, after Kim (2014)."""
    style = Style(norm, activation)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv1d(width, width, 3, padding=1), style.act()]
    return _Words(vocabulary, style.linear(width, width), nn.Sequential(*layers), width)
