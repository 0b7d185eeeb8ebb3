"""What a dataset is called: one string or a mapping, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ncore._validation import refuse_booleans, shown
from ncore.probe._choices import read_spec, unknown
from ncore.probe.sources.split_names import without_split
from ncore.probe.sources.split_rules import PathGroup, TimeCut, one_group

__all__ = ["OWN_FIELDS", "Count", "DatasetSpec", "SplitName", "short_name"]

SplitName = Annotated[str, Field(pattern="^(train|validation|test)$")]
Count = Annotated[int, Field(ge=1)] | None
_TOLD = ("group", "split_column", "time")
_ROWS = ("label_column", "id_column", *_TOLD)
_PIXELS = ("white", "background")
# The fields that each kind of source understands, besides those that all do.
OWN_FIELDS: dict[str, set[str]] = {
    "digits": {*_PIXELS},
    "torchvision": {"root", "splits", "kwargs", *_PIXELS},
    "hf": {"config", "splits", "image_column", "text_column", "kwargs", *_ROWS, *_PIXELS},
    "folder": {"layout", "metadata", *_TOLD, *_PIXELS},
    "parquet": {"files", "image_column", *_ROWS, *_PIXELS},
    "numpy": {"layout", *_TOLD, *_PIXELS},
    "text": {"files", "text_column", *_ROWS},
    "table": {"files", "features", "categorical", *_ROWS},
    "labels": {"files", *_ROWS},
}
_LAYOUTS = {"folder": ("classes", "splits"), "numpy": ("channels_first", "channels_last")}

_FILES = ("parquet", "text", "table", "labels")


class DatasetSpec(BaseModel):
    """One dataset, as written in a recipe.

    Args:
        source: See the table above.
        name: Label; by default derived from the source.
        classes: Classes to keep, lists of classes to join, or new names with the classes to join.
        train: How many examples, drawn with the classes in proportion; None for all there are.
        validation: Likewise; None for all the source has, or 20% of its train set.
        test: Likewise.
        files: For parquet, text, table and labels: files or patterns by set.
        splits: For hf and torchvision: the source's own name of each set.
        config: For hf.
        image_column: For hf and parquet.
        label_column: For hf, parquet, text, table and labels.
        text_column: For text and hf: the column of texts, or two of pairs.
        id_column: What each example is called, for candidates that are embeddings.
        features: For table: the columns that are used; by default all but the labels and those named elsewhere.
        categorical: For table: columns of numbers that stand for categories.
        root: For torchvision: the folder of downloads.
        white: The pixel value that is white, where it is less than the largest of the pixels' type, as in 16-bit files
            of 12 bits (4095).
        background: The colour that shows through transparent pixels.
        layout: For folder: whether its subfolders are ``classes``, or sets of classes (``splits``), where their names
            leave it open. For numpy: ``channels_first`` or ``channels_last``, where the shape of the arrays does.
        kwargs: For hf and torchvision: passed to their loader.
        group: The column that tells which examples belong together (patients, users, scenes) and so are in one set; for
            folders also ``{path: REGULAR EXPRESSION}``, whose one group in parentheses tells it by a file's path.
        split_column: The column that tells each example's set, in any usual spelling.
        time: Where time cuts the sets: ``{column: taken, validation_from: 2024-01-01, test_from: 2024-03-01}``.
        metadata: For folder: a CSV, JSON-lines or Parquet file with the columns ``file_name`` and those named above; by
            default ``metadata.csv``, ``.jsonl`` or ``.parquet`` beside the pictures.
        resplit: Each seed of a run cuts the data anew, so that the spread of seeds includes that of the cut.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: Fields that came after runs had been recorded; see ``ncore.probe.settings.identity_of``.
    ADDED: ClassVar[Mapping[str, Any]] = {
        "layout": None,
        "white": None,
        "background": "white",
        "group": None,
        "split_column": None,
        "time": None,
        "metadata": None,
        "resplit": False,
        "text_column": None,
        "id_column": None,
        "features": None,
        "categorical": [],
    }

    source: str
    name: str = Field(default="", max_length=200)
    classes: list[str | int | list[str | int]] | dict[str, str | int | list[str | int]] | None = None
    train: Count = None
    validation: Count = None
    test: Count = None
    files: dict[SplitName, str | list[str]] | None = None
    splits: dict[SplitName, str] | None = None
    config: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    text_column: str | Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    id_column: str | None = None
    features: Annotated[list[str], Field(min_length=1)] | None = None
    categorical: list[str] = []
    root: str | None = None
    white: Count = None
    background: str = "white"
    layout: Literal["classes", "splits", "channels_first", "channels_last"] | None = None
    kwargs: dict[str, Any] = {}
    group: str | PathGroup | None = None
    split_column: str | None = None
    time: TimeCut | None = None
    metadata: str | None = None
    resplit: bool = False

    @property
    def columns(self) -> dict[str, str]:
        """Names of the columns that say which set a picture is for, by what they say."""
        told = {
            "group": self.group if isinstance(self.group, str) else None,
            "split": self.split_column,
            "time": self.time.column if self.time else None,
        }
        return {role: column for role, column in told.items() if column}

    @property
    def named(self) -> dict[str, str]:
        """The column of what each example is called, by what it says; empty without one."""
        return {"id": self.id_column} if self.id_column else {}

    def cut_seed(self, seed: int) -> int:
        """The seed that the data are cut with in a run of this seed."""
        return seed if self.resplit else 0

    @classmethod
    def parse(cls, spec: str | Mapping[str, Any] | DatasetSpec) -> DatasetSpec:
        """Read a string or a mapping.

        Raises:
            InputError: Says in one sentence what is wrong with it.

        Example:
            >>> DatasetSpec.parse("folder:photos/pets").name
            'pets'
        """
        return read_spec(cls, spec, "dataset")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, entry: Any) -> Any:
        """Label the dataset by its source."""
        refuse_booleans(entry, cls)
        if isinstance(entry, Mapping):
            _check_classes(entry.get("classes"))
        if not isinstance(entry, Mapping) or not isinstance(entry.get("source"), str):
            return entry
        entry = {key: value for key, value in entry.items() if value is not None}
        kind, _, rest = entry["source"].strip().partition(":")
        if kind in _FILES and not rest and entry.get("files"):
            first = entry["files"].get("train", "")
            rest = first if isinstance(first, str) else first[0]
        entry.setdefault("name", short_name(kind, rest))
        return entry

    @model_validator(mode="after")
    def _check(self) -> DatasetSpec:
        """Refuse unknown kinds, and fields that the kind doesn't use."""
        kind, _, rest = self.source.partition(":")
        if kind not in OWN_FIELDS:
            raise unknown("a kind of dataset", kind, [key if key == "digits" else f"{key}:" for key in OWN_FIELDS])
        for unused in self.model_fields_set & (set().union(*OWN_FIELDS.values()) - OWN_FIELDS[kind]):
            raise ValueError(f"{kind} has no use for `{unused}`")
        if self.layout and self.layout not in _LAYOUTS[kind]:
            raise ValueError(f"{kind} has no `layout: {self.layout}`, but {' or '.join(_LAYOUTS[kind])}")
        if kind == "digits" and rest:
            raise ValueError("digits takes nothing after it")
        if kind in _FILES and bool(rest) == bool(self.files):
            raise ValueError(f"either {kind}:PATH or {kind} with `files` was expected")
        if kind not in ("digits", *_FILES) and not rest:
            raise ValueError(f"{kind}: must be followed by a name or a path")
        if isinstance(self.group, PathGroup) and kind != "folder":
            raise ValueError(f"{kind} has no use for a `group` by paths: name a column")
        if isinstance(self.group, PathGroup):
            one_group(self.group.path)
        if self.split_column and self.time:
            raise ValueError("`split_column` and `time` both say which set an example is for: leave one of them out")
        if self.metadata and not self.columns:
            raise ValueError("`metadata` is given, but none of `group`, `split_column` and `time` names a column of it")
        return self


def _check_classes(classes: Any) -> None:
    """Refuse what is neither the name of a class nor its number, in words.

    Raises:
        ValueError: A name that YAML made something else of, or nothing.
    """
    if isinstance(classes, Mapping):
        for key in classes:
            if not isinstance(key, str):
                raise ValueError(f"`classes` has {shown(key)} as a new name: put it in quotes")
        classes = list(classes.values())
    for item in classes if isinstance(classes, list | tuple) else ():
        for one in item if isinstance(item, list | tuple) else (item,):
            if not isinstance(one, str | int | Mapping):
                what = "nothing" if one is None else shown(one)
                raise ValueError(f"`classes` has {what} in place of the name of a class: put it in quotes")


def short_name(kind: str, rest: str) -> str:
    """Label of a source: the last part of its path, without suffix, patterns and words such as train."""
    if not rest:
        return kind
    last = Path(rest).name
    if kind not in (*_FILES, "numpy"):
        return last
    stem = without_split(last.partition(".")[0]).replace("*", "").strip("-_. ")
    return stem or Path(rest).parent.name or kind
