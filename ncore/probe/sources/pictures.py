"""Pictures in arrays and in files, opened by number."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ncore.probe.sources.pools import digest, stamp_of

__all__ = ["ArrayPictures", "FilePictures"]


@dataclass
class ArrayPictures:
    """Pictures in an array of uint8: (N, H, W) or (N, H, W, 3)."""

    array: np.ndarray
    name: str

    def __getitem__(self, index: int) -> Image.Image:
        """The picture at ``index``."""
        return Image.fromarray(self.array[index])

    def describe(self, index: int) -> str:
        """Name and number."""
        return f"picture {index} of {self.name}"

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """None: to look at an array costs no more."""
        return "", []


@dataclass
class FilePictures:
    """Picture files: only their paths are held."""

    paths: list[Path]

    def __getitem__(self, index: int) -> Image.Image:
        """Open the file at ``index``."""
        return Image.open(io.BytesIO(self.paths[index].read_bytes()))

    def describe(self, index: int) -> str:
        """Its path."""
        path = str(self.paths[index])
        return f"the file {path!r}"

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """By the files, and the folder that they are in."""
        where = [os.path.abspath(self.paths[row]) for row in rows.tolist()]
        return digest(os.fsencode(os.path.commonpath(where))), [stamp_of(Path(path)) for path in where]
