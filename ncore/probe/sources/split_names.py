"""Names that say which set pictures belong to, in any of their usual spellings."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["SPLIT_WORDS", "nfc", "split_of", "without_split"]

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trainset", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "valset", "validset", "dev", "devset"), "validation"),
    **dict.fromkeys(("development", "eval", "evaluation", "evalset"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "tst"), "test"),
}
#: What may stand beside such a word without making a name of its own: a class may be called "test tube".
_NEUTRAL = {
    "set",
    "split",
    "data",
    "dataset",
    "images",
    "image",
    "imgs",
    "img",
    "pictures",
    "seg",
    "cls",
    "folder",
    "new",
}
_PARTS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def nfc(name: str) -> str:
    """The name in the one Unicode form in which names are compared: file systems differ in theirs."""
    return unicodedata.normalize("NFC", name)


def split_of(name: str) -> str | None:
    """Which set a name stands for: "train", "validation" or "test"; None if it is another name.

    Example:
        >>> [split_of(name) for name in ("seg_train", "training_set", "Val", "train2017", "testImages", "eval")]
        ['train', 'train', 'validation', 'train', 'test', 'validation']
        >>> [split_of(name) for name in ("cat", "test tube", "trainers", "train and test")]
        [None, None, None, None]
    """
    parts = [part.lower() for part in _PARTS.findall(_CAMEL.sub(" ", nfc(name)))]
    meant = {SPLIT_WORDS[part] for part in parts if part in SPLIT_WORDS}
    others = [part for part in parts if part not in SPLIT_WORDS and part not in _NEUTRAL]
    return meant.pop() if len(meant) == 1 and not others else None


def without_split(name: str) -> str:
    """The name less the words for a set in it, and the marks that parted them.

    Example:
        >>> without_split("cifar10-train"), without_split("pets_val.v2"), without_split("train")
        ('cifar10', 'pets.v2', '')
    """
    words = "|".join(sorted(SPLIT_WORDS, key=len, reverse=True))
    return re.sub(rf"(?:^|[-_. ])(?:{words})(?=$|[-_. ])", "", name, flags=re.IGNORECASE)
