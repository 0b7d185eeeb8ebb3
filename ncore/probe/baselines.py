"""The boring baseline: what a linear model, or trees, make of a dataset before any network is looked at.

===================  =========================================================================================
``baseline``         logistic regression on TF-IDF of words for texts, on pixels for pictures, on columns for tables
``baseline:trees``   gradient-boosted trees, for tables
===================  =========================================================================================

A baseline is recorded as a run of one epoch in the mode of its sweep, so that it stands in the same ranking. It is
fitted on the training set only; how strongly it is regularised is chosen on the validation set.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ncore.errors import InputError
from ncore.probe.images import InputSpec
from ncore.probe.modalities.tables import TableInput, TableItems

if TYPE_CHECKING:
    from ncore.probe.datasets import Dataset, Split

__all__ = ["MOST", "STRENGTHS", "Fitted", "fit", "words_of"]

MOST = 20_000
"""Training examples at most: drawn, with a fixed seed, where there are more."""
STRENGTHS = {"pictures": (0.001, 0.01, 0.1), "texts": (1.0, 10.0, 100.0), "rows": (0.01, 0.1, 1.0, 10.0)}
"""Inverse strengths of regularisation that are tried, by what examples are."""
_SIDE = 32  # pixels that pictures are resized to at most
_WORDS = 50_000  # of a vocabulary, the most frequent


@dataclass(frozen=True)
class Fitted:
    """A baseline on a dataset.

    Attributes:
        words: What it is, for people.
        probabilities: Of each class, by set, float32 (N, K); each example's classes sum to 1.
        settings: What was chosen, as JSON.
        parameters: How many numbers were fitted; None for trees.
        seconds: That fitting took.
        warnings: What to know of it, a sentence each.
    """

    words: str
    probabilities: dict[str, np.ndarray]
    settings: dict[str, Any]
    parameters: int | None
    seconds: float
    warnings: list[str]


def words_of(kind: str, examples: str) -> str:
    """What a baseline is, for people.

    Example:
        >>> words_of("linear", "texts")
        'logistic regression on TF-IDF of words'
    """
    if kind == "trees":
        return "gradient-boosted trees"
    features = {"texts": "TF-IDF of words", "pictures": "pixels", "rows": "columns"}.get(examples, "them")
    return f"logistic regression on {features}"


def fit(data: Dataset, kind: str, seed: int = 0) -> Fitted:
    """Fit a baseline, and say what it predicts of each set.

    Args:
        data: With examples; names alone have nothing to be learned from.
        kind: One of ``candidate_spec.BASELINES``.
        seed: Of trees, and of the draw where there are more than ``MOST`` training examples.

    Raises:
        InputError: There is no such baseline of this kind of data.
    """
    examples = data.modality.examples
    if examples not in STRENGTHS:
        raise InputError(f"{data.name} holds names only, so there is no baseline for it: leave it out.")
    if kind == "trees" and examples != "rows":
        raise InputError(f"`baseline:trees` is for tables, but {data.name} holds {examples}: use `baseline`.")
    started = time.monotonic()
    labels = {name: split.labels for name, split in data.splits.items()}
    rows = np.arange(len(labels["train"]))
    said: list[str] = []
    settings: dict[str, Any] = {}
    parameters: int | None = None
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST])
        said.append(f"The baseline was fitted on {MOST} of the {len(labels['train'])} training examples.")
    if kind == "trees":
        found = _trees(data, rows, seed)
    else:
        found, settings, parameters = _linear(data, rows)
    return Fitted(
        words_of(kind, examples), found, {"baseline": kind, **settings}, parameters, time.monotonic() - started, said
    )


def _linear(data: Dataset, rows: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Any], int]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    features = _features(data, rows)
    labels = data.splits["train"].labels[rows]
    classes = np.arange(len(data.class_names))
    best, least, chosen = None, np.inf, 0.0
    for strength in STRENGTHS[data.modality.examples]:
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        # Not every strength converges in so many steps: the best one is chosen by its loss.
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(features["train"], labels)
        loss = log_loss(
            data.splits["validation"].labels, _all(model, features["validation"], len(classes)), labels=classes
        )
        if loss < least:
            best, least, chosen = model, loss, strength
    assert best is not None
    found = {name: _all(best, features[name], len(classes)) for name in ("validation", "test")}
    found["train"] = _all(best, features["train"], len(classes))
    return found, {"C": chosen}, int(best.coef_.size + best.intercept_.size)


def _features(data: Dataset, rows: np.ndarray) -> dict[str, Any]:
    """What logistic regression is given of each set; of train, of these rows only."""
    splits = data.splits
    kind = data.modality.examples
    if kind == "texts":
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = {name: [" ".join(split.items[row]) for row in split.indices.tolist()] for name, split in splits.items()}
        texts["train"] = [texts["train"][row] for row in rows.tolist()]
        vectors = TfidfVectorizer(sublinear_tf=True, max_features=_WORDS, token_pattern=r"(?u)\b\w+\b")
        try:
            vectors.fit(texts["train"])
        except ValueError as error:
            raise InputError(
                f"{data.name}: no text has a word, so there is no baseline for it: leave it out."
            ) from error
        return {name: vectors.transform(own) for name, own in texts.items()}
    spec: Any
    if kind == "rows":
        spec = TableInput(data.shape.columns)  # type: ignore[union-attr]
        made = {name: split.tensor(spec).numpy() for name, split in splits.items()}
    else:
        shape: Any = data.shape
        spec = InputSpec(shape.channels, min(shape.size, _SIDE), (0.5,), (0.5,), interpolation="box")
        made = {name: split.tensor(spec).flatten(1).numpy() / np.float32(255) for name, split in splits.items()}
        mean = made["train"][rows].mean(0)
        made = {name: own - mean for name, own in made.items()}
    made["train"] = made["train"][rows]
    return made


def _trees(data: Dataset, rows: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    def frame(split: Split) -> Any:
        assert isinstance(split.items, TableItems)
        own = split.items.frame.iloc[split.indices]
        return own.assign(
            **{name: own[name].map({one: at for at, one in enumerate(known[name])}).astype(float) for name in known}
        )

    assert isinstance(data.splits["train"].items, TableItems)
    source = data.splits["train"].items.frame.iloc[data.splits["train"].indices[rows]]
    texts = [name for name in source.columns if source[name].dtype == object]
    known: dict[str, Sequence[str]] = {name: source[name].value_counts().index[:250].tolist() for name in texts}
    model = HistGradientBoostingClassifier(categorical_features=texts or None, random_state=seed)
    tables = {name: frame(split) for name, split in data.splits.items()}
    model.fit(tables["train"].iloc[rows], data.splits["train"].labels[rows])
    return {
        name: _all(model, own.iloc[rows] if name == "train" else own, len(data.class_names))
        for name, own in tables.items()
    }


def _all(model: Any, features: Any, classes: int) -> np.ndarray:
    """Probabilities of all classes, those that training has not seen included."""
    found = np.zeros((features.shape[0], classes), dtype=np.float32)
    found[:, model.classes_] = model.predict_proba(features)
    return found
