"""Names of metrics: the aliases that are one, those that are none, and runs that were written under other names."""

import itertools

import numpy as np
import pandas as pd
import pytest

import ncore
from ncore.store.metric_names import canonical_name, place_of, usually_named

SPLITS = {
    "train": ["train", "training"],
    "validation": ["val", "valid", "validation", "dev", "eval"],
    "test": ["test", "testing"],
}
ACCURACIES = ["acc", "accuracy", "acc1", "acc@1", "top1", "top-1", "acc_top1", "top1_acc", "MulticlassAccuracy"]
LOSSES = ["loss", "avg_loss"]


@pytest.mark.parametrize(
    ("split", "spelling", "between"),
    [(split, one, sep) for split, known in SPLITS.items() for one in known for sep in "_/.: -"],
)
def test_spellings_of_metrics(split, spelling, between):
    for names, name in ((ACCURACIES, "accuracy"), (LOSSES, "loss")):
        for metric, change in itertools.product(names, (str, str.upper, str.capitalize)):
            if change is str.capitalize and metric == "MulticlassAccuracy":
                continue
            one, other = change(spelling), change(metric) if metric != "MulticlassAccuracy" else metric
            for key in (f"{one}{between}{other}", f"{other}{between}{one}", f"{one}{between}{other}_epoch"):
                assert place_of(key) == (split, name), key
            assert place_of(f"{one}{between}{other}_step") is None


@pytest.mark.parametrize("name", ["loss_scale", "accuracy_gap", "balanced_accuracy", "top5", "acc5", "f1", "accident"])
def test_names_that_are_no_aliases(name):
    assert canonical_name(name) == name
    assert place_of(name) is None
    assert place_of(f"val_{name}") == ("validation", name)


def written(place, rows):
    """A run whose metrics were written by hand: (split, name, value), the same in each of two epochs."""
    columns = dict(zip(("split", "name", "value"), zip(*rows, strict=True), strict=True))
    with ncore.create_store(place).new_run(candidate="c", dataset="d", seed=0, mode="all", planned_epochs=2) as writer:
        writer.write_epoch(0)
        for epoch in (1, 2):
            writer.write_epoch(epoch, metrics=columns)
    return ncore.open_store(place)


@pytest.mark.parametrize("split", ["val", "Valid", "eval", "dev", "validation"])
@pytest.mark.parametrize("name", ["acc", "Top-1", "acc@1", "MulticlassAccuracy", "accuracy"])
def test_runs_under_other_names_are_listed_and_ranked(tmp_path, split, name):
    store = written(tmp_path, [(split, name, 0.75), (split, "Loss", 0.5), ("training", "acc", 0.9), ("x", "f1", 0.1)])
    assert store.runs()["validation_accuracy"].tolist() == [0.75]
    (curve,) = ncore.predict.curves_from_store(store)
    assert curve.accuracy.tolist() == [0.75, 0.75]
    assert curve.loss.tolist() == [0.5, 0.5]
    assert curve.train_accuracy.tolist() == [0.9, 0.9]


def test_an_accuracy_that_is_none_makes_its_own_run_unreadable(tmp_path):
    store = written(tmp_path, [("val", "acc", 93.0)])
    (curve,) = ncore.predict.curves_from_store(store)
    assert (curve.status, curve.epochs.size) == ("unreadable", 0)
    assert "93 after epoch 1, but a fraction in [0, 1] is needed" in curve.reason


def test_a_metric_that_has_its_usual_name_too_keeps_both():
    pairs = [("val", "acc"), ("validation", "accuracy"), ("validation", "top1"), ("test", "acc"), ("test", "acc1")]
    table = pd.DataFrame([(*pair, value) for value, pair in enumerate(pairs)], columns=["split", "name", "value"])
    named = usually_named(table)
    assert len(named.drop_duplicates(["split", "name"])) == len(pairs)
    assert named.set_index(["split", "name"])["value"]["validation", "accuracy"] == 1
    assert named.set_index(["split", "name"])["value"]["test", "accuracy"] == 3
    np.testing.assert_array_equal(named["value"], table["value"])


def test_usual_names_are_left_as_they_are():
    table = pd.DataFrame({"split": ["train", "probe"], "name": ["loss", "logme"], "value": [1.0, 2.0]})
    assert usually_named(table) is table
    assert usually_named(table[:0]).empty
