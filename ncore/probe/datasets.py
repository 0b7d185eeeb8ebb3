"""Datasets: from one string or a YAML entry to train, validation and test examples, three different sets.

====================  ===============================================================================
``digits``            scikit-learn's handwritten digits, 8x8 grey: always there
``torchvision:NAME``  a dataset class of torchvision, downloaded to ``root``
``hf:NAME``           a dataset of the Hugging Face hub, or a folder that its library can read
``folder:PATH``       PATH/class/*.png, or PATH/{train,val,test}/class/*.png
``parquet:PATH``      a file, a folder or a pattern of Parquet files in the Hugging Face layout
``numpy:PATH.npz``    arrays x, y or x_train, y_train, x_validation, ..., x_test, ...
``text:PATH``         a CSV, JSON-lines or Parquet file, or several, with a column of texts
``table:PATH``        the same with columns of numbers and categories
``labels:PATH``       the same with ids and labels only, for candidates that are embeddings
====================  ===============================================================================

How the three sets come about is told in ``ncore.probe._partition``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncore.errors import InputError, NcoreError
from ncore.probe._content import Contents
from ncore.probe._copies import near_copies
from ncore.probe._leaks import leaks
from ncore.probe._partition import SPLITS, Classes, check_counts, partition, regroup
from ncore.probe._rules import Rules
from ncore.probe.images import Conversion
from ncore.probe.modalities.base import Input, Items, Modality, Shape, naming
from ncore.probe.modalities.names import Names
from ncore.probe.modalities.pictures import Pictures
from ncore.probe.modalities.tables import Tables
from ncore.probe.modalities.texts import Texts
from ncore.probe.settings import read_settings
from ncore.probe.sources import data_arrays, data_files, data_libraries, data_tables
from ncore.probe.sources.dataset_spec import DatasetSpec
from ncore.probe.sources.pools import Raw, digest
from ncore.probe.sources.split_rules import PathGroup, TimeCut

__all__ = ["Dataset", "Split", "assemble", "load_dataset"]

_MOST_NAMED = 5
_PICTURES = Pictures()
_LATER = {"train": "the validation or the test set has", "validation": "the test set has"}


@dataclass(eq=False)
class Split:
    """One of the three sets.

    Args:
        name: Train, validation or test.
        labels: int64 (N,).
        pool: The source's own set that it is drawn from.
        indices: int64 (N,), ascending, within that.
        items: That set's examples.
        contents: What they hold, found out once for all that are drawn from that set.
        modality: What kind of examples they are.
        names: Of all examples of that set of the source's.
        place: The folder for what memory is too small for; by default the user's folder of caches.
        warnings: What was found when they were decoded, a sentence each.
    """

    name: str
    labels: np.ndarray
    pool: str
    indices: np.ndarray
    items: Items
    contents: Contents
    modality: Modality = field(default_factory=Pictures)
    names: np.ndarray | None = None
    place: Path | None = None
    warnings: list[str] = field(default_factory=list)
    _last: tuple[Hashable, torch.Tensor] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def content(self) -> np.ndarray:
        """What is known of each example: see :meth:`~ncore.probe._content.Contents.of`."""
        return self.contents.of(self.indices)

    def without(self, rows: np.ndarray) -> Split:
        """The same set less some of its examples."""
        kept = np.setdiff1d(np.arange(len(self)), rows)
        return replace(self, labels=self.labels[kept], indices=self.indices[kept], warnings=[], _last=None)

    @property
    def ids(self) -> np.ndarray | None:
        """What each example is called, where the source says."""
        return None if self.names is None else self.names[self.indices]

    def decode(self, index: int) -> Any:
        """The example at ``index`` of this set, decoded.

        Raises:
            InputError: It is broken; names its file or place.
        """
        row = int(self.indices[index])
        with naming(self.items, row):
            return self.modality.decode(self.items, row)

    def tensor(self, spec: Input) -> torch.Tensor:
        """All examples as a model wants them, not yet prepared: pictures as uint8 (N, C, S, S).

        The last one made is kept and handed out again, so it must not be written to. What is too large for memory is in
        a file, see ``ncore.probe.rows_on_disk``.

        Args:
            spec: What the model wants.

        Raises:
            InputError: The disk is too small for it, or an example is broken.
        """
        if self._last is None or self._last[0] != spec.made_alike:
            self._last = (spec.made_alike, spec.inputs(self))
        return self._last[1]


@dataclass(eq=False)
class Dataset:
    """A dataset cut into its three sets.

    Args:
        name: Label.
        class_names: By label.
        splits: Train, validation and test.
        fingerprint: Tells two datasets, subsamples or cuts apart; the same wherever the data lie.
        warnings: What to know before trusting runs on it, a sentence each.
        left_out: How many examples of a set were left out because a later one has them, too, by its name.
        choice: Where each seed cuts the data anew, what it can choose from: contents and labels by the source's sets,
            negative labels left out.
    """

    name: str
    class_names: list[str]
    splits: dict[str, Split]
    fingerprint: str
    warnings: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    choice: dict[str, tuple[Contents, np.ndarray]] = field(default_factory=dict)

    @property
    def modality(self) -> Modality:
        """What kind of examples it has."""
        return self.splits["train"].modality

    @cached_property
    def shape(self) -> Shape:
        """What candidates have to know of the examples: of pictures, their channels and size."""
        return self.modality.shape(self.splits["train"])

    @classmethod
    def from_arrays(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        *,
        x_validation: np.ndarray | None = None,
        y_validation: np.ndarray | None = None,
        x_test: np.ndarray | None = None,
        y_test: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        name: str = "arrays",
        classes: Classes | None = None,
        train: int | None = None,
        validation: int | None = None,
        test: int | None = None,
        seed: int = 0,
        group: Sequence[Any] | np.ndarray | None = None,
        split: Sequence[Any] | np.ndarray | None = None,
        time: Sequence[Any] | np.ndarray | None = None,
        validation_from: Any = None,
        test_from: Any = None,
        layout: str | None = None,
    ) -> Dataset:
        """Make a dataset of arrays.

        Args:
            x: Pictures (N, H, W), (N, H, W, C) or (N, C, H, W), integers 0..255 or floats 0..1.
            y: Labels (N,), whole numbers or names.
            x_validation: Pictures of a validation set of its own; carved out of ``x`` if not given.
            y_validation: Their labels.
            x_test: Pictures of a test set of its own; carved out of ``x`` if not given.
            y_test: Their labels.
            class_names: Names of labels that are numbers 0..K-1.
            name: Label.
            classes: As in ``DatasetSpec``.
            train: As in ``DatasetSpec``.
            validation: As in ``DatasetSpec``.
            test: As in ``DatasetSpec``.
            seed: Of the choice of pictures.
            group: Which pictures of ``x`` belong together, a value each, and so are in one set.
            split: The set that each is for, in any usual spelling.
            time: When each was taken: dates, times in ISO 8601, or numbers.
            validation_from: The first time of the validation set.
            test_from: The first time of the test set.
            layout: ``channels_first`` or ``channels_last``, where the shape of ``x`` leaves it open.

        Raises:
            InputError: Shapes, ranges or counts that can't be used.

        Example:
            >>> data = Dataset.from_arrays(np.arange(640).reshape(10, 8, 8) / 640, np.arange(10) % 2)
            >>> {name: len(split) for name, split in data.splits.items()}
            {'train': 6, 'validation': 2, 'test': 2}
        """
        sets = {"train": (x, y)}
        for own, pair in {"validation": (x_validation, y_validation), "test": (x_test, y_test)}.items():
            if (pair[0] is None) != (pair[1] is None):
                raise InputError(f"of x_{own} and y_{own} only one is given: give both or none.")
            if pair[0] is not None and pair[1] is not None:
                sets[own] = (pair[0], pair[1])
        told = {"group": group, "split": split, "time": time}
        beside = {role: np.asarray(values) for role, values in told.items() if values is not None}
        if beside and len(sets) > 1:
            raise InputError(f"`{next(iter(beside))}` tells of the pictures in x only: leave it out, or give no x_test "
                             "and x_validation.")  # fmt: skip
        if (time is None) != (validation_from is None) or (time is None) != (test_from is None):
            raise InputError("of `time`, `validation_from` and `test_from` some are given: give all or none.")
        if time is not None and split is not None:
            raise InputError("`split` and `time` both say which set a picture is for: leave one of them out.")
        cut = {"column": "time", "validation_from": validation_from, "test_from": test_from}
        rules = Rules({role: role for role in beside}, read_settings(TimeCut, cut, name) if time is not None else None)
        raw = data_arrays.from_arrays(sets, class_names, name, {"train": beside}, layout)
        sizes = {"train": train, "validation": validation, "test": test}
        return assemble(raw, name, classes, sizes, seed, rules=rules)


def load_dataset(
    spec: str | Mapping[str, Any] | DatasetSpec,
    *,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    seed: int = 0,
    place: Path | None = None,
) -> Dataset:
    """Find a dataset's examples and cut it into train, validation and test, none in two of them.

    Args:
        spec: A string, a mapping, or what ``DatasetSpec.parse`` made of them.
        train: How many examples, instead of the spec's.
        validation: Likewise.
        test: Likewise.
        seed: Of the choice of examples.
        place: The folder for what memory is too small for; by default the user's folder of caches.

    Raises:
        InputError: Anything about the dataset that can't be used.
        MissingExtraError: Its library is not installed.
        OfflineError: It is neither cached nor reachable.

    Example:
        >>> digits = load_dataset("digits", train=500)
        >>> {name: len(split) for name, split in digits.splits.items()}
        {'train': 500, 'validation': 359, 'test': 359}
        >>> digits.shape
        ImageShape(channels=1, size=8)
    """
    spec = DatasetSpec.parse(spec)
    kind, _, rest = spec.source.partition(":")
    by_path = spec.group.path if isinstance(spec.group, PathGroup) else None
    loaders: dict[str, Callable[[], Raw]] = {
        "digits": data_arrays.load_digits,
        "numpy": lambda: data_arrays.load_npz(rest, spec.columns, spec.layout),
        "folder": lambda: data_files.load_folder(rest, spec.layout, spec.columns, spec.metadata, by_path),
        "parquet": lambda: data_files.load_parquet(
            rest, spec.files, spec.image_column, spec.label_column, spec.columns | spec.named
        ),
        "hf": lambda: data_libraries.load_hf(rest, spec),
        "torchvision": lambda: data_libraries.load_torchvision(rest, spec.root, spec.splits, spec.kwargs),
        "text": lambda: data_tables.load_text(rest, spec),
        "table": lambda: data_tables.load_table(rest, spec),
        "labels": lambda: data_tables.load_labels(rest, spec),
    }
    sizes = {
        "train": spec.train if train is None else train,
        "validation": spec.validation if validation is None else validation,
        "test": spec.test if test is None else test,
    }
    rules = Rules(spec.columns | ({"group": f"paths ({by_path})"} if by_path else {}), spec.time, spec.resplit)
    modalities: dict[str, Callable[[], Modality]] = {"text": Texts, "table": Tables, "labels": Names}
    pictures = Pictures(Conversion(spec.white, spec.background))
    modality = modalities[kind]() if kind in modalities else Texts() if spec.text_column else pictures
    data = assemble(loaders[kind](), spec.name, spec.classes, sizes, seed, modality, rules)
    for split in data.splits.values():
        split.place = place
    return data


def _seen_and_missed(splits: Mapping[str, Split], class_names: Sequence[str], called: str) -> list[str]:
    """Classes that a set lacks, examples that several classes have, and pictures of several frames."""
    said = []
    frames = np.concatenate([split.content["frames"] for split in splits.values()])
    if count := int((frames > 1).sum()):
        said.append(f"{count} pictures have up to {frames.max()} frames or pages: the first of each is used, and the "
                    "rest left out.")  # fmt: skip
    for name, split in splits.items():
        counts = np.bincount(split.labels, minlength=len(class_names)).tolist()
        missing = [class_name for class_name, count in zip(class_names, counts, strict=True) if not count]
        if missing:
            shown = ", ".join(map(repr, missing[:_MOST_NAMED]))
            rest = f" and {len(missing) - _MOST_NAMED} more classes" if len(missing) > _MOST_NAMED else ""
            said.append(f"{name} has no {called} of {shown}{rest}, so that nothing is known of them there.")
    digests = np.concatenate([split.content["digest"] for split in splits.values()])
    labels = np.concatenate([split.labels for split in splits.values()])
    kinds, which = np.unique(digests, return_inverse=True)
    pairs = np.unique(np.stack([which, labels]), axis=1)
    if several := int((np.bincount(pairs[0], minlength=len(kinds)) > 1).sum()):
        said.append(f"{several} {called} stand in several classes, exactly the same: look at their labels.")
    return said


def assemble(
    raw: Raw,
    name: str,
    classes: Classes | None,
    sizes: Mapping[str, int | None],
    seed: int,
    modality: Modality = _PICTURES,
    rules: Rules | None = None,
) -> Dataset:
    """Choose classes, cut into the three sets, fingerprint the result, and keep every example on one side only."""
    rules = rules or Rules()
    labels, class_names = {split: pool.labels for split, pool in raw.pools.items()}, raw.class_names
    if classes is not None:
        try:
            class_names, table = regroup(classes, raw.class_names)
        except NcoreError as error:
            raise InputError(f"{name}: {error}") from error
        labels = {split: table[values] for split, values in labels.items()}
    told, groups, said = rules.read(raw, labels, name)
    parts = partition(labels, sizes, seed, class_names, name, told, groups)
    said += rules.check(labels, sizes, parts, told is not None, class_names, name)
    contents = {pool: Contents(own.items, len(own.labels), modality) for pool, own in raw.pools.items()}
    splits = {}
    for split in SPLITS:
        pool, indices = parts[split]
        splits[split] = Split(
            split,
            labels[pool][indices],
            pool,
            indices,
            raw.pools[pool].items,
            contents[pool],
            modality,
            raw.pools[pool].columns.get("id"),
        )
    said += _seen_and_missed(splits, class_names, modality.examples)
    content = [f"{split.name}<{split.pool}".encode() + split.indices.tobytes() for split in splits.values()]
    content += [split.labels.tobytes() for split in splits.values()]
    fingerprint = digest(raw.identity, *class_names, *content)
    choice = {pool: (contents[pool], own) for pool, own in labels.items()} if rules.resplit else {}
    called = modality.examples
    twice = leaks({split: own.content["digest"] for split, own in splits.items()}, name, called)
    if not modality.copies_are_left_out:
        said += [f"{len(rows)} {called} of {split} are the same as ones that {_LATER[split]}: copies are left out by "
                 "`group`, where it tells which belong together." for split, rows in twice.items()]  # fmt: skip
        twice = {}
    for split, rows in twice.items():
        splits[split] = splits[split].without(rows)
        kept, what = (
            splits[split].labels,
            f"{name}, less the {len(rows)} {called} of {split} that later sets have, too,",
        )
        check_counts(kept, np.arange(len(kept)), 1, class_names, what)
    said += [
        f"{len(rows)} {called} of {split} were left out, as {_LATER[split]} them, too." for split, rows in twice.items()
    ]
    left_out = {split: len(rows) for split, rows in twice.items()}
    detailed = {split: own.content[own.content["telling"]] for split, own in splits.items()}
    near = near_copies(*({split: own[kind] for split, own in detailed.items()} for kind in ("digest", "hash")))
    said += [
        f"{count} {called} of {split} look like ones that {_LATER[split]}, {modality.near_copies}: look at them, and "
        "keep both on one side, with `group`, say."
        for split, count in near.items()
    ]
    return Dataset(name, list(class_names), splits, fingerprint, (*raw.warnings, *said), left_out, choice)
