"""Texts: the tokenizer of the model's own, as transformers saves it, and where texts are cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ncore.errors import InputError
from ncore.probe.candidates import CandidateSpec
from ncore.probe.datasets import Split
from ncore.probe.modalities.texts import TextInput
from ncore.probe.sources.model_hf import PLACE

__all__ = ["TextPreprocessing"]


class TextPreprocessing:
    """That of a test set of texts and an encoder.

    Args:
        test: The test set.
        takes: What the encoder wants.
        spec: Of the candidate, its paths expanded.

    Raises:
        InputError: Its tokenizer is code of the user's own.
    """

    code: ClassVar[str] = "texts"
    packages: ClassVar[tuple[str, ...]] = ("numpy", "transformers")
    task: ClassVar[str] = "text-classification"
    word: ClassVar[str] = "text"
    sample: ClassVar[str] = '"A text."'
    varying: ClassVar[tuple[int, ...]] = (2,)

    def __init__(self, test: Split, takes: TextInput, spec: CandidateSpec) -> None:
        if spec.kind not in ("hf", "builtin"):
            raise InputError(
                f"The tokenizer of {spec.name} is a function, which cannot be written for others: choose a candidate "
                "with `hf:`, whose tokenizer is in files, or a built-in one."
            )
        self._test, self._takes, self._spec = test, takes, spec
        self.labels: np.ndarray = test.labels

    def write(self, folder: Path) -> None:
        """Write the folder ``tokenizer`` of one that is in files, and ``preprocessing.json``."""
        found = {"tokens": self._takes.most}
        if self._spec.kind == "builtin":
            found["hashed_words"] = self._takes.vocabulary
        else:
            self._write_tokenizer(folder)
        (folder / "preprocessing.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def _write_tokenizer(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        where = str(Path(self._spec.source.partition(":")[2]).expanduser())
        place = {name: self._spec.kwargs[name] for name in PLACE if name in self._spec.kwargs}
        AutoTokenizer.from_pretrained(where, trust_remote_code=False, **place).save_pretrained(folder / "tokenizer")
        about = folder / "tokenizer" / "tokenizer_config.json"
        content = json.loads(about.read_text(encoding="utf-8"))
        content.pop("name_or_path", None)  # where it was on this machine
        about.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def inputs(self, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Tokens (N, C, L)."""
        return (self._takes.prepare(self._test.tensor(self._takes)[torch.as_tensor(list(rows))]),)

    def raw(self, rows: Sequence[int]) -> list[Any]:
        """Texts, or pairs of them."""
        return [self._test.items[int(self._test.indices[row])] for row in rows]
