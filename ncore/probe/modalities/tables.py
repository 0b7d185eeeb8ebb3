"""Rows of tables: what they hold, and how columns become numbers, as learned from the training rows only."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from ncore.errors import InputError
from ncore.probe.modalities.base import RECORD, Items, Split, TableShape

__all__ = ["MOST_CATEGORIES", "TableInput", "TableItems", "Tables", "preprocessing", "rows_of"]

MOST_CATEGORIES = 64
"""Of a column, each a number of its own; the rarest beyond these share one."""


@dataclass
class TableItems:
    """Rows of a table: numbers, and categories as text; what is missing is missing.

    Args:
        frame: Columns of float64 and of object.
        name: Of the set, for messages.
    """

    frame: pd.DataFrame
    name: str

    def __getitem__(self, index: int) -> pd.Series:
        """The row at ``index``."""
        return self.frame.iloc[index]

    def describe(self, index: int) -> str:
        """Its number."""
        return f"row {index} of {self.name}"

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """None: to look at a row costs no more."""
        return "", []


@dataclass
class Tables:
    """The modality; ``transform`` is what was learned from the training rows."""

    examples: ClassVar[str] = "rows"
    copies_are_left_out: ClassVar[bool] = False
    near_copies: ClassVar[str] = ""

    transform: Any = field(default=None, repr=False)

    def decode(self, items: Items, row: int) -> pd.Series:
        """One row."""
        found: pd.Series = items[row]
        return found

    def look_at(self, items: Items, rows: np.ndarray) -> np.ndarray:
        """Digests of rows; there are no near-copies, as two rows may be alike by chance."""
        assert isinstance(items, TableItems)
        records = np.zeros(len(rows), dtype=RECORD)
        heads = "\0".join(map(str, items.frame.columns)).encode()
        for at, values in enumerate(items.frame.iloc[rows].itertuples(index=False)):
            text = "\0".join("" if pd.isna(value) else repr(value) for value in values)
            records["digest"][at] = blake2b(heads + b"\1" + text.encode(), digest_size=16).digest()
        return records

    def shape(self, train: Split) -> TableShape:
        """How many numbers a row becomes."""
        return TableShape(len(self.learned(train).get_feature_names_out()))

    def learned(self, train: Split) -> Any:
        """The preprocessing, fitted on the training rows, once."""
        if self.transform is None:
            frame = rows_of(train)
            self.transform = preprocessing(frame).fit(frame)
        return self.transform


def rows_of(split: Split) -> pd.DataFrame:
    """The rows of a set, in its order."""
    assert isinstance(split.items, TableItems)
    return split.items.frame.iloc[split.indices]


def preprocessing(frame: pd.DataFrame) -> Any:
    """What makes numbers of such columns: a scikit-learn transformer, not yet fitted.

    Numbers that are missing become the median, with a column that says so, and all are scaled to mean 0 and standard
    deviation 1; categories become a column each, a missing one is one of its own, and one that training has not seen
    is none of them.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = frame.select_dtypes("number").columns.tolist()
    others = [name for name in frame.columns if name not in numeric]
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    categories = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing", missing_values=None),
        OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False, dtype=np.float32
        ),
    )
    return ColumnTransformer([("numbers", numbers, numeric), ("categories", categories, others)])


@dataclass(frozen=True)
class TableInput:
    """What a network of rows wants: the numbers that preprocessing makes, float32 (N, F)."""

    columns: int

    @property
    def made_alike(self) -> Hashable:
        """The same for all."""
        return self.columns

    @property
    def summary(self) -> dict[str, Any]:
        """How many numbers."""
        return {"columns": self.columns}

    @property
    def words(self) -> str:
        """What it takes."""
        return f"rows of {self.columns} numbers"

    @property
    def remedy(self) -> str:
        """What to change where a model doesn't take that."""
        return "let the factory take `columns`, how many numbers a row has"

    def inputs(self, split: Split) -> torch.Tensor:
        """Numbers of all rows of a set; categories that training has not seen are counted."""
        if not isinstance(split.modality, Tables) or split.modality.transform is None:
            raise InputError(f"rows of a table were expected, but {split.name} holds {split.modality.examples}.")
        frame = rows_of(split)
        split.warnings = _unseen(frame, split.modality.transform, split.name)
        made = split.modality.transform.transform(frame)
        return torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))

    def prepare(self, batch: torch.Tensor) -> torch.Tensor:
        """As it is."""
        return batch

    def lengths(self, made: torch.Tensor) -> None:
        """All are of one length."""

    def content(self) -> bytes:
        """Nothing beside the module."""
        return b""

    def trial(self) -> torch.Tensor:
        """Two rows of noise."""
        return torch.randn(2, self.columns, generator=torch.Generator().manual_seed(0))


def _unseen(frame: pd.DataFrame, transform: Any, what: str) -> list[str]:
    """Columns with categories that training has not seen."""
    said = []
    if "categories" in transform.named_transformers_ and transform.transformers_[1][2]:
        encoder = transform.named_transformers_["categories"][-1]
        for name, known in zip(transform.transformers_[1][2], encoder.categories_, strict=True):
            new = ~frame[name].isin(set(known)) & frame[name].notna()
            if count := int(new.sum()):
                first = frame.loc[new, name].iloc[0]
                said.append(
                    f"{count} rows of {what} have a {name} that training has not seen, as {str(first)[:40]!r}: they "
                    "are treated as none of its categories."
                )
    return said
