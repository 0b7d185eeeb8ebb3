"""What stands between examples and a model, outside ncore as inside: one small module for each kind of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from torch import Tensor

from ncore.errors import InputError

if TYPE_CHECKING:
    from ncore.probe.candidates import CandidateSpec
    from ncore.probe.session import Session

__all__ = ["Preprocessing", "preprocessing_of"]


class Preprocessing(Protocol):
    """How examples of one kind become what a model takes.

    Attributes:
        code: The module of ``ncore.finish.standalone`` that does it outside, with the class ``Preprocessing``.
        packages: What that module needs, by the names of PyPI.
        task: What the Hub calls what the model does.
        word: One example.
        sample: One as code shows it.
        varying: Axes of what the model takes that may be of any length, besides the first.
        labels: Of the test set, int64 (N,).
    """

    code: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    task: ClassVar[str]
    word: ClassVar[str]
    sample: ClassVar[str]
    varying: ClassVar[tuple[int, ...]]
    labels: np.ndarray

    def write(self, folder: Path) -> None:
        """Write what the code reads."""

    def inputs(self, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """What the model is given for these examples of the test set, in ncore."""

    def raw(self, rows: Sequence[int]) -> list[Any]:
        """The same examples as others have them."""


def preprocessing_of(session: Session, spec: CandidateSpec) -> Preprocessing:
    """That of the data and the candidate of a job.

    Args:
        session: Of the job.
        spec: Of the candidate, its paths expanded.

    Raises:
        InputError: There is none for what it takes.
    """
    from ncore.finish.pictures import PicturePreprocessing
    from ncore.finish.tables import TablePreprocessing
    from ncore.finish.texts import TextPreprocessing
    from ncore.probe.images import InputSpec
    from ncore.probe.modalities.tables import TableInput
    from ncore.probe.modalities.texts import TextInput

    test, takes = session.data.splits["test"], session.backbone.input
    if isinstance(takes, InputSpec):
        return PicturePreprocessing(test, takes)
    if isinstance(takes, TextInput):
        return TextPreprocessing(test, takes, spec)
    if isinstance(takes, TableInput):
        return TablePreprocessing(test, takes)
    raise InputError(
        f"{session.backbone.name} takes {takes.words}, which were made elsewhere, so there is no model to be written: "
        "choose a candidate that takes examples."
    )
