"""What all kinds of data have to say for themselves; splits, digests, classes and probe are the same for all."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from PIL import UnidentifiedImageError

from ncore.errors import InputError
from ncore.probe._choices import first_line
from ncore.probe.images import ImageShape

__all__ = ["RECORD", "Input", "Items", "Modality", "NameShape", "Shape", "Split", "TableShape", "TextShape", "naming"]

#: What is known of an example: the digest of its content, a hash that near-copies share and whether that tells
#: anything, and how many frames or pages its file has.
RECORD = np.dtype([("digest", "S16"), ("hash", "<u8"), ("telling", "?"), ("frames", "<u2")])


class Items(Protocol):
    """Examples by number, opened only when asked for."""

    def __getitem__(self, index: int) -> Any:
        """Open an example; decoding may come later. May raise anything if it is broken."""

    def describe(self, index: int) -> str:
        """What to call an example in a message: its file, or its place."""

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """What stays the same while examples do, found without decoding: a name for all, and sixteen bytes for each.

        The name is empty where nothing tells, and the bytes are for examples of which nothing does.
        """


@contextmanager
def naming(items: Items, index: int) -> Iterator[None]:
    """Say which example an error is about.

    Raises:
        InputError: Whatever was raised, with its file or place.
    """
    try:
        yield
    except Exception as error:
        # Pillow's own words have an address of memory in them.
        why = "it is no picture that Pillow reads" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise InputError(f"{items.describe(index)} cannot be decoded ({why}): replace or remove it.") from error


@dataclass(frozen=True)
class TextShape:
    """Texts: nothing that candidates have to know."""


@dataclass(frozen=True)
class TableShape:
    """Rows of a table, as so many numbers each."""

    columns: int


@dataclass(frozen=True)
class NameShape:
    """Names only: for candidates that are vectors from elsewhere."""


Shape = ImageShape | TextShape | TableShape | NameShape
"""What candidates have to know of a dataset's examples before they are built."""


class Split(Protocol):
    """One of a dataset's three sets: see ``ncore.probe.datasets.Split``."""

    name: str
    indices: np.ndarray
    items: Items
    place: Path | None
    warnings: list[str]

    @property
    def content(self) -> np.ndarray:
        """What is known of each example, as ``RECORD``."""

    @property
    def modality(self) -> Modality:
        """What kind of examples they are."""

    @property
    def ids(self) -> np.ndarray | None:
        """What each example is called, where the source says."""

    def __len__(self) -> int: ...

    def decode(self, index: int) -> Any:
        """The example at ``index`` of this set, decoded."""


class Input(Protocol):
    """What a model wants at its input."""

    @property
    def made_alike(self) -> Hashable:
        """The same for all inputs for which the same tensor is made of an example."""

    @property
    def summary(self) -> dict[str, Any]:
        """What a run records of it, as JSON."""

    @property
    def words(self) -> str:
        """What it takes, for messages."""

    @property
    def remedy(self) -> str:
        """What to change where a model doesn't take that."""

    def inputs(self, split: Split) -> torch.Tensor:
        """All examples of a set as the model wants them, not yet prepared; what is found goes to its ``warnings``.

        Raises:
            InputError: The disk is too small for them, an example is broken, or there is nothing in them to learn.
        """

    def prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """From rows of ``inputs`` to what the model takes, on the batch's device."""

    def lengths(self, made: torch.Tensor) -> torch.Tensor | None:
        """How long each example of ``inputs`` is, int64 (N,), where they differ in that."""

    def content(self) -> bytes:
        """What tells two candidates apart whose modules are the same; empty for most."""

    def trial(self) -> torch.Tensor:
        """Two examples of noise as the model takes them, to be tried on it."""


class Modality(Protocol):
    """A kind of data.

    Attributes:
        examples: What several are called.
        copies_are_left_out: Whether an example of training that a later set has, too, is a copy that is left out; in
            tables two rows may be the same by chance.
        near_copies: How examples come to be near-copies, for a sentence.
    """

    examples: ClassVar[str]
    copies_are_left_out: ClassVar[bool]
    near_copies: ClassVar[str]

    def decode(self, items: Items, row: int) -> Any:
        """One example, decoded."""

    def look_at(self, items: Items, rows: np.ndarray) -> np.ndarray:
        """What examples hold, as ``RECORD``.

        Raises:
            InputError: One can't be decoded; names its file or place.
        """

    def shape(self, train: Split) -> Shape:
        """What candidates have to know, from the training set."""
