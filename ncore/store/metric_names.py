"""From the name that somebody gives a metric to its split and name in a run: the one table of aliases."""

from __future__ import annotations

import re

import pandas as pd

__all__ = ["NAMES", "SPLITS", "Place", "canonical_name", "canonical_split", "place_of", "usually_named"]

SPLITS = ("train", "validation", "test", "probe")

NAMES = ("accuracy", "gradient_norm", "learning_rate", "loss")
"""Metrics that have one usual name, whatever loops call them."""

Place = tuple[str, str]
"""Split and name."""

_SPLITS = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "val": "validation",
    "valid": "validation",
    "validate": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
    "probe": "probe",
}
_ACCURACY = ("accuracy", "acc", "binaryaccuracy", "multiclassaccuracy", "categoricalaccuracy",
             "sparsecategoricalaccuracy", "avgaccuracy", "avgacc", "prec1", "precat1")  # fmt: skip
_FIRST = ("1", "at1", "top1")
_NAMES = {
    **dict.fromkeys(_ACCURACY, "accuracy"),
    **{f"{name}{first}": "accuracy" for name in ("accuracy", "acc") for first in _FIRST},
    **{f"top1{name}": "accuracy" for name in ("", "accuracy", "acc")},
    **dict.fromkeys(("loss", "avgloss", "meanloss"), "loss"),
    **dict.fromkeys(("gradientnorm", "gradnorm"), "gradient_norm"),
    **dict.fromkeys(("learningrate", "lr"), "learning_rate"),
}
"""By the words of a name, in lower case and joined."""

_OF_TRAINING = ("loss", "gradient_norm", "learning_rate")  # where no split is named
_MONITORED = re.compile(r"lr-[A-Za-z]+(/pg1)?")  # as Lightning's LearningRateMonitor names it, by the optimizer
_LOADER = re.compile(r"/dataloader_idx_0$")  # what Lightning adds where there is more than one loader
# Words end at a separator, and where capitals begin: MulticlassAccuracy.
_WORD = re.compile(r"@|[A-Z]?[a-z]+[0-9]*|[A-Z]+(?![a-z])[0-9]*|[0-9]+")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN = re.compile(r"[_/.:\-\s]+")


def canonical_split(split: str) -> str:
    """A split by its usual name; one that is none of these stays what it is.

    Example:
        >>> canonical_split("val"), canonical_split("Test"), canonical_split("holdout")
        ('validation', 'test', 'holdout')
    """
    return _SPLITS.get(split.lower(), split)


def canonical_name(name: str) -> str:
    """A metric's name without its split, by its usual name; any other stays what it is.

    Example:
        >>> canonical_name("acc"), canonical_name("Top-1"), canonical_name("MulticlassAccuracy"), canonical_name("f1")
        ('accuracy', 'accuracy', 'accuracy', 'f1')
        >>> canonical_name("loss_scale"), canonical_name("accuracy_gap"), canonical_name("balanced_accuracy")
        ('loss_scale', 'accuracy_gap', 'balanced_accuracy')
    """
    return _NAMES.get(_joined(name), name)


def place_of(key: str) -> Place | None:
    """Where a metric belongs by the usual conventions, None if they do not say.

    The split is named before or after the metric (``val_acc``, ``accuracy/val``); after a metric that is not in the
    table only where ``/``, ``.`` or ``:`` sets it off, as ``t_test`` is no test set. What is of one step is left out.

    Example:
        >>> place_of("val_acc"), place_of("accuracy/val"), place_of("train_loss_epoch"), place_of("lr")
        (('validation', 'accuracy'), ('validation', 'accuracy'), ('train', 'loss'), ('train', 'learning_rate'))
        >>> place_of("eval_accuracy"), place_of("eval_test_loss"), place_of("train_loss_step"), place_of("accuracy")
        (('validation', 'accuracy'), ('test', 'loss'), None, None)
    """
    key = _LOADER.sub("", key.strip())
    words = [word for word in _BETWEEN.split(key) if word]
    if len(words) > 1 and words[-1].lower() == "step":
        return None
    if len(words) > 1 and words[-1].lower() == "epoch":
        key, words = key[: key.rindex(words[-1])].rstrip("_/.:- "), words[:-1]
    if len(words) > 1 and words[0].lower() == "epoch":
        key, words = key[len(words[0]) :].lstrip("_/.:- "), words[1:]
    if _MONITORED.fullmatch(key):
        return "train", "learning_rate"
    # transformers puts its "eval" before the names of several evaluation sets.
    if len(words) > 2 and words[0].lower() == "eval" and words[1].lower() in _SPLITS:
        key, words = key[len(words[0]) :].lstrip("_/.:- "), words[1:]
    named = [index for index, word in enumerate(words) if word.lower() in _SPLITS]
    known = [_NAMES.get(_joined(" ".join(words[:at] + words[at + 1 :]))) for at in named]
    if len(named) == 1 and known[0] is not None:  # wherever the split stands: avg_val_loss
        return _SPLITS[words[named[0]].lower()], known[0]
    if not named:
        if (apart := _CAPITAL.sub("_", key)) != key:  # valAcc
            return place_of(apart)
        name = canonical_name(key)
        return ("train", name) if name in _OF_TRAINING else None
    rest = [words[at].lower() for at in named]
    if len(words) < 2 or (len({_SPLITS[word] for word in rest}) > 1 and _is_known(words, named)):
        return None  # train_test_accuracy is of which?
    if named[0] == 0:
        return _SPLITS[rest[0]], key[len(words[0]) :].lstrip("_/.:- ")
    if named[-1] == len(words) - 1 and key[-len(words[-1]) - 1] in "/.:":
        return _SPLITS[rest[-1]], key[: -len(words[-1]) - 1]
    return None


def usually_named(metrics: pd.DataFrame) -> pd.DataFrame:
    """The table ``metrics`` with usual names instead of any others, as whoever wrote it may have had names of his own.

    What has its usual name beside another one keeps both.

    Example:
        >>> table = pd.DataFrame({"split": ["val", "val"], "name": ["acc", "f1"], "value": [0.9, 0.8]})
        >>> usually_named(table).to_numpy().tolist()
        [['validation', 'accuracy', 0.9], ['validation', 'f1', 0.8]]
    """
    splits = {split: canonical_split(str(split)) for split in metrics["split"].unique()}
    names = {name: canonical_name(str(name)) for name in metrics["name"].unique()}
    if all(old == new for known in (splits, names) for old, new in known.items()):
        return metrics
    pairs = list(metrics[["split", "name"]].drop_duplicates().itertuples(index=False, name=None))
    taken, usual = set(pairs), {}
    for split, name in pairs:
        new = (splits[split], names[name])
        usual[split, name] = (split, name) if new in taken else new
        taken.add(new)
    renamed = [usual[pair] for pair in zip(metrics["split"], metrics["name"], strict=True)]
    return metrics.assign(split=[split for split, _ in renamed], name=[name for _, name in renamed])


def _is_known(words: list[str], without: list[int]) -> bool:
    return _joined(" ".join(word for index, word in enumerate(words) if index not in without)) in _NAMES


def _joined(name: str) -> str:
    return "".join(_WORD.findall(name)).lower().replace("@", "at")
