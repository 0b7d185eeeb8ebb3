"""Pictures: what is done to them, as ``preprocessing.json``, and by ``ncore.finish.standalone.pictures``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ncore.probe.datasets import Split
from ncore.probe.images import InputSpec
from ncore.probe.modalities.pictures import Pictures

__all__ = ["PicturePreprocessing"]


class PicturePreprocessing:
    """That of a test set of pictures and a candidate.

    Args:
        test: The test set.
        spec: What the candidate wants at its input.
    """

    code: ClassVar[str] = "pictures"
    packages: ClassVar[tuple[str, ...]] = ("numpy", "pillow")
    task: ClassVar[str] = "image-classification"
    word: ClassVar[str] = "picture"
    sample: ClassVar[str] = '"photo.jpg"'
    varying: ClassVar[tuple[int, ...]] = ()

    def __init__(self, test: Split, spec: InputSpec) -> None:
        assert isinstance(test.modality, Pictures)
        self._test, self._spec, self._conversion = test, spec, test.modality.conversion
        self.labels: np.ndarray = test.labels

    def write(self, folder: Path) -> None:
        """Write ``preprocessing.json``."""
        found: dict[str, Any] = asdict(self._spec) | asdict(self._conversion)
        del found["source"]
        (folder / "preprocessing.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def inputs(self, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Normalised pictures (N, C, S, S)."""
        return (self._spec.prepare(self._test.tensor(self._spec)[torch.as_tensor(list(rows))]),)

    def raw(self, rows: Sequence[int]) -> list[Any]:
        """Pictures as they come from their source."""
        return [self._test.items[int(self._test.indices[row])] for row in rows]
