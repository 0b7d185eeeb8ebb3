"""``hf:NAME`` through datasets, and ``torchvision:NAME``."""

from __future__ import annotations

import inspect
import io
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ncore.errors import InputError
from ncore.probe._choices import unknown
from ncore.probe.modalities.base import Items
from ncore.probe.modalities.texts import TextItems
from ncore.probe.sources._offline import fetching, hub, require
from ncore.probe.sources._trust import without_remote_code
from ncore.probe.sources.data_files import refuse_detection
from ncore.probe.sources.data_tables import texts_of
from ncore.probe.sources.pools import Pool, Raw, by_split, digest, numbered
from ncore.probe.sources.split_rules import plain_values

if TYPE_CHECKING:
    from ncore.probe.sources.dataset_spec import DatasetSpec

__all__ = [
    "ADVICE",
    "DOWNLOAD_PATIENCE",
    "OWN_SPLITS",
    "DatasetPictures",
    "TablePictures",
    "find_feature",
    "labels_of",
    "load_hf",
    "load_torchvision",
    "names_of",
    "own_sets",
    "patience",
]

DOWNLOAD_PATIENCE = 20.0  # seconds
ADVICE = "give a local copy with `folder:PATH` or `parquet:PATH`"


class TablePictures:
    """Pictures in one column of a table of the datasets library."""

    def __init__(self, table: Any, column: str, name: str) -> None:
        self.table, self.column, self.name = table.select_columns([column]), column, name

    def __getitem__(self, index: int) -> Image.Image:
        """Open the picture in row ``index``; one that the table has only encoded, with its type not told, too."""
        found = self.table[index][self.column]
        if isinstance(found, dict):
            found = found.get("bytes") or Path(found.get("path") or "").read_bytes()
        return Image.open(io.BytesIO(found)) if isinstance(found, bytes) else found

    def describe(self, index: int) -> str:
        """Its row and its set."""
        return f"row {index} of {self.name}"

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """None that could be told from here."""
        return "", []


def load_hf(name: str, spec: DatasetSpec) -> Raw:
    """Load a dataset of the hub, or of a local folder that the datasets library can read.

    Sets are recognised by their names if ``splits`` doesn't name them; the column of pictures by its type, that of
    labels likewise, else it is the first integer or string column with a usual name. With ``text_column`` the examples
    are texts.

    Args:
        name: ``ORG/NAME`` or a folder.
        spec: What else is said of it.

    Raises:
        MissingExtraError: Datasets is not installed.
        OfflineError: Neither cached nor reachable.
        InputError: No such dataset, set or column, or a dataset that needs its own code.
    """
    kwargs = without_remote_code(spec.kwargs, f"hf:{name}", ADVICE)
    datasets = require("datasets", "hf", f"the dataset hf:{name}")
    if "split" in kwargs:
        raise InputError(f"hf:{name} has `split` in its kwargs: choose sets with `splits` and sizes with `train`.")
    folder = Path(name).expanduser()
    what = f"hf:{name}"
    with fetching(what, "the hub", ADVICE) if folder.is_dir() else hub(what, ADVICE):
        tables = datasets.load_dataset(str(folder) if folder.is_dir() else name, spec.config, **kwargs)
    chosen = dict(spec.splits) if spec.splits else by_split(list(tables), what)
    if len(set(chosen.values())) < len(chosen):
        raise InputError(f"{what}: `splits` uses a set twice: train, validation and test must differ.")
    pools, class_names = {}, None
    for split, own in chosen.items():
        if own not in tables:  # slices such as "train[:50%]" could overlap, so sizes are chosen otherwise
            raise unknown(f"a set of {what}", own, tables)
        table = tables[own]
        items = _items(table, spec, what, f"{what} ({own})", datasets)
        label = find_feature(table, spec.label_column, (datasets.ClassLabel,), "label", what)
        feature = table.features[label]
        class_names = feature.names if isinstance(feature, datasets.ClassLabel) else None
        beside = {role: _column(table, column, what) for role, column in spec.columns.items()}
        if spec.id_column:
            beside["id"] = _column(table, spec.id_column, what)
        pools[split] = Pool(np.asarray(table[label][:]), items, beside)
    pools, names = numbered(pools, class_names, what)
    rows = [f"{split}:{len(pool.labels)}" for split, pool in pools.items()]
    return Raw(pools, names, digest(folder.name if folder.is_dir() else name, spec.config or "", *rows))


def _items(table: Any, spec: DatasetSpec, what: str, name: str, datasets: Any) -> Items:
    """The examples of a set: texts if a column of them is named, else pictures."""
    if not spec.text_column:
        image = find_feature(table, spec.image_column, (datasets.Image,), "image", what)
        return TablePictures(table, image, name)
    columns = [spec.text_column] if isinstance(spec.text_column, str) else spec.text_column
    for column in columns:
        if column not in table.features:
            raise unknown(f"a column of {what}", column, table.features)
    return TextItems(list(zip(*(texts_of(table[column][:], column, name) for column in columns), strict=True)), name)


def _column(table: Any, column: str, what: str) -> np.ndarray:
    """Any column of a table, as objects: names of classes where it has them."""
    if column not in table.features:
        raise unknown(f"a column of {what}", column, table.features)
    feature, values = table.features[column], table[column][:]
    names = getattr(feature, "names", None)
    return plain_values([names[value] for value in values] if names else values, column, what)


def find_feature(table: Any, given: str | None, kinds: tuple[type, ...], what: str, name: str) -> str:
    """Name of a column: as given, or the only one of these types, or the one called ``what``."""
    features = table.features
    found = [given] if given else [key for key, feature in features.items() if isinstance(feature, kinds)]
    found = [key for key in found if key in features]
    if len(found) != 1:
        found = [key for key in (given, what) if key in features]
    if not found and what == "label":
        refuse_detection(features, name)
    if not found:
        raise InputError(f"{name} has the columns {', '.join(features)}: name the one of the {what}s with "
                         f"`{what}_column`.")  # fmt: skip
    return str(found[0])


class DatasetPictures:
    """Pictures of a torchvision dataset."""

    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset, self.name = dataset, name

    def __getitem__(self, index: int) -> Image.Image:
        """The picture of sample ``index``."""
        return self.dataset[index][0]

    def describe(self, index: int) -> str:
        """Its number and its set."""
        return f"picture {index} of {self.name}"

    def stamps(self, rows: np.ndarray) -> tuple[str, list[bytes]]:
        """None that could be told from here."""
        return "", []


def load_torchvision(name: str, root: str | None, splits: Mapping[str, str] | None, kwargs: Mapping[str, Any]) -> Raw:
    """Load a dataset class of torchvision, downloading it to ``root`` if it is not there.

    Args:
        name: Of the class, such as CIFAR10.
        root: Folder of downloads; by default the environment's NCORE_DATA, or ~/.cache/ncore/data.
        splits: For classes with a ``split`` argument: its value for each set; tried by their names if not given.
        kwargs: For the class.

    Raises:
        MissingExtraError: Torchvision is not installed.
        OfflineError: Neither there nor reachable.
        InputError: No such class, or not one of labelled pictures.
    """
    torchvision = require("torchvision", "torchvision", f"the dataset torchvision:{name}")
    known = torchvision.datasets.__all__
    if name not in known:
        raise unknown("a dataset of torchvision", name, known)
    kind, what = getattr(torchvision.datasets, name), f"torchvision:{name}"
    arguments = inspect.signature(kind).parameters
    options = dict(kwargs)
    if "root" in arguments:
        options["root"] = str(Path(root or os.environ.get("NCORE_DATA", "~/.cache/ncore/data")).expanduser())
    if "download" in arguments or name in ("EMNIST", "QMNIST"):  # which pass it on
        options.setdefault("download", True)
    pools: dict[str, Pool] = {}
    class_names = None
    for split, choice in own_sets(arguments, splits, what).items():
        with fetching(f"{what} ({split})", "its server", ADVICE), patience(DOWNLOAD_PATIENCE):
            dataset = kind(**{**options, **choice})
            labels = labels_of(dataset)
        pools[split] = Pool(labels, DatasetPictures(dataset, f"{what} ({split})"))
        class_names = class_names or names_of(dataset, labels)
    pools, names = numbered(pools, class_names, what)
    rows = [f"{split}:{len(pool.labels)}" for split, pool in pools.items()]
    return Raw(pools, names, digest(what, repr(sorted(kwargs.items())), *rows))


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Give up on a server that stays silent for so long; torchvision's downloads would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


# Values of a `split` argument, where they differ from train and test.
OWN_SPLITS: dict[str, dict[str, dict[str, Any]]] = {
    "EMNIST": {"train": {"train": True}, "test": {"train": False}},
    **{
        name: {"train": {"split": "train"}, "validation": {"split": own}, "test": {"split": "test"}}
        for name, own in {"Flowers102": "val", "DTD": "val", "PCAM": "val", "Country211": "valid"}.items()
    },
    "OxfordIIITPet": {"train": {"split": "trainval"}, "test": {"split": "test"}},
    "FGVCAircraft": {"train": {"split": "trainval"}, "test": {"split": "test"}},
    "Imagenette": {"train": {"split": "train"}, "test": {"split": "val"}},
    "ImageNet": {"train": {"split": "train"}, "test": {"split": "val"}},
    "Places365": {"train": {"split": "train-standard"}, "test": {"split": "val"}},
}


def own_sets(arguments: Mapping[str, Any], splits: Mapping[str, str] | None, what: str) -> dict[str, dict[str, Any]]:
    """Arguments of the class for each set that it has."""
    if splits:
        if "split" not in arguments:
            raise InputError(f"{what} has no `split` argument, so `splits` must be left out.")
        if len(set(splits.values())) < len(splits):
            raise InputError(f"{what}: `splits` uses a set twice: train, validation and test must differ.")
        return {split: {"split": own} for split, own in splits.items()}
    special = OWN_SPLITS.get(what.partition(":")[2])
    if special:
        return special
    if "train" in arguments:
        return {"train": {"train": True}, "test": {"train": False}}
    if "split" in arguments:
        return {"train": {"split": "train"}, "test": {"split": "test"}}
    return {"train": {}}


def labels_of(dataset: Any) -> np.ndarray:
    """Labels in whatever attribute the class keeps them; failing that, by opening every sample."""
    for name in ("targets", "labels", "_labels", "y"):
        values = getattr(dataset, name, None)
        if values is not None and len(values) == len(dataset):
            return np.asarray(values)
    return np.asarray([int(dataset[index][1]) for index in range(len(dataset))])


def names_of(dataset: Any, labels: np.ndarray) -> list[str] | None:
    """The class's own names if they can be those of the labels."""
    names = getattr(dataset, "classes", None)
    if labels.dtype.kind not in "iu" or not isinstance(names, list | tuple) or len(names) <= labels.max():
        return None
    return [name[0] if isinstance(name, tuple) else str(name) for name in names]
