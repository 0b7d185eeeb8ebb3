"""Names of examples and nothing else: for vectors from elsewhere, which are joined with labels by them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import torch

from ncore.errors import InputError
from ncore.probe.modalities.base import RECORD, Items, NameShape, Split

__all__ = ["NameItems", "Names", "VectorInput"]


@dataclass
class NameItems:
    """Names in memory.

    Args:
        names: Of the examples.
        name: Of the set, for messages.
    """

    names: np.ndarray
    name: str

    def __getitem__(self, index: int) -> str:
        """The name at ``index``."""
        return str(self.names[index])

    def describe(self, index: int) -> str:
        """Its row."""
        return f"row {index} of {self.name}"

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """None: to look at a name costs no more."""
        return "", []


class Names:
    """The modality."""

    examples: ClassVar[str] = "examples"
    copies_are_left_out: ClassVar[bool] = True
    near_copies: ClassVar[str] = ""

    def decode(self, items: Items, row: int) -> str:
        """One name."""
        return str(items[row])

    def look_at(self, items: Items, rows: np.ndarray) -> np.ndarray:
        """Digests of names."""
        records = np.zeros(len(rows), dtype=RECORD)
        for at, row in enumerate(rows.tolist()):
            records["digest"][at] = blake2b(b"name " + str(items[row]).encode(), digest_size=16).digest()
        return records

    def shape(self, train: Split) -> NameShape:
        """Nothing that candidates have to know."""
        return NameShape()


@dataclass(eq=False)
class VectorInput:
    """Vectors by the names of examples.

    Args:
        vectors: float32 (M, F).
        rows: Row of each name.
        place: Where they are from, for messages.
    """

    vectors: np.ndarray
    rows: Mapping[str, int]
    place: str

    @property
    def made_alike(self) -> Hashable:
        """Only itself."""
        return self

    @property
    def summary(self) -> dict[str, Any]:
        """How many numbers."""
        return {"columns": self.vectors.shape[1]}

    @property
    def words(self) -> str:
        """What it takes."""
        return f"vectors of {self.vectors.shape[1]} numbers"

    @property
    def remedy(self) -> str:
        """What to change where a model doesn't take that."""
        return "look at the file"

    def inputs(self, split: Split) -> torch.Tensor:
        """The vectors of a set's examples, float32 (N, F).

        Raises:
            InputError: The dataset doesn't say what its examples are called, or one has no vector.
        """
        ids = split.ids
        if ids is None:
            raise InputError(f"{self.place} is joined by ids, but the dataset has none: name them with `id_column`.")
        missing = [str(one) for one in ids if str(one) not in self.rows]
        if missing:
            shown = ", ".join(map(repr, missing[:3]))
            raise InputError(
                f"{self.place} has no vector for {len(missing)} of the {len(ids)} examples of {split.name}, as "
                f"{shown}: add them, or leave these examples out."
            )
        return torch.from_numpy(self.vectors[[self.rows[str(one)] for one in ids]])

    def prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """As they are."""
        return batch

    def lengths(self, made: torch.Tensor) -> None:
        """All are of one length."""

    def content(self) -> bytes:
        """The vectors and whose they are."""
        return self.vectors.tobytes() + "\0".join(self.rows).encode()

    def trial(self) -> torch.Tensor:
        """Two of them."""
        return torch.from_numpy(self.vectors[:2].copy())
