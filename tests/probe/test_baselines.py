"""The boring baselines: fitted on the training set only, and recorded as runs that stand in the same ranking."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import ncore
from ncore.errors import InputError
from ncore.probe import baselines
from ncore.probe.candidates import load_candidate
from ncore.probe.datasets import load_dataset
from ncore.probe.job import Job
from ncore.probe.settings import TrainingSettings
from ncore.probe.sources.candidate_spec import CandidateSpec
from ncore.probe.sources.dataset_spec import DatasetSpec
from ncore.store import create_store
from tests.probe.rows import table, texts, written


@pytest.fixture
def sources(tmp_path):
    return {
        "texts": f"text:{written(texts(), tmp_path / 'notes.csv')}",
        "rows": {"source": f"table:{written(table(), tmp_path / 'rows.csv')}", "id_column": "id"},
        "pictures": {"source": "digits", "train": 500},
    }


@pytest.mark.parametrize(
    ("examples", "kind", "least"),
    [("texts", "linear", 0.95), ("rows", "linear", 0.8), ("rows", "trees", 0.8), ("pictures", "linear", 0.9)],
)
def test_baselines_learn(sources, examples, kind, least):
    data = load_dataset(sources[examples])
    found = baselines.fit(data, kind)
    for name, probabilities in found.probabilities.items():
        assert probabilities.sum(1) == pytest.approx(1, abs=1e-5)
        right = (probabilities.argmax(1) == data.splits[name].labels).mean()
        assert right > least


def test_the_strength_is_chosen_on_validation_and_the_rest_is_the_library(sources):
    data = load_dataset(sources["pictures"])
    pixels = {name: np.stack([np.asarray(split.decode(row)) for row in range(len(split))]).reshape(len(split), -1) / 255
              for name, split in data.splits.items()}  # fmt: skip
    mean = pixels["train"].mean(0)
    labels = data.splits["train"].labels
    losses, made = {}, {}
    for strength in baselines.STRENGTHS["pictures"]:
        model = LogisticRegression(C=strength, max_iter=3000).fit(pixels["train"] - mean, labels)
        seen = model.predict_proba(pixels["validation"] - mean)
        losses[strength] = -np.log(seen[np.arange(len(seen)), data.splits["validation"].labels]).mean()
        made[strength] = model.predict_proba(pixels["test"] - mean)
    best = min(losses, key=losses.get)
    found = baselines.fit(data, "linear")
    assert found.settings == {"baseline": "linear", "C": best}
    assert found.probabilities["test"] == pytest.approx(made[best], abs=0.03)  # stopped sooner


def test_what_was_not_trained_on_has_no_part_in_it(sources):
    data = load_dataset(sources["rows"])
    before = baselines.fit(data, "linear").probabilities["train"]
    other = load_dataset(sources["rows"])
    other.splits["test"].items.frame.loc[other.splits["test"].indices, "width"] = 1e6
    assert np.array_equal(baselines.fit(other, "linear").probabilities["train"], before)


def test_more_examples_than_it_takes_are_drawn_and_said(sources, monkeypatch):
    monkeypatch.setattr(baselines, "MOST", 100)
    found = baselines.fit(load_dataset(sources["texts"]), "linear")
    assert found.warnings == ["The baseline was fitted on 100 of the 144 training examples."]
    assert len(found.probabilities["train"]) == 100


def test_trees_are_for_tables_and_names_have_none(sources, tmp_path):
    with pytest.raises(InputError, match="is for tables, but notes holds texts"):
        baselines.fit(load_dataset(sources["texts"]), "trees")
    labels = written(table()[["id", "label"]], tmp_path / "labels.csv")
    with pytest.raises(InputError, match="names only"):
        baselines.fit(load_dataset(f"labels:{labels}"), "linear")
    with pytest.raises(InputError, match="'baseline:forest' is not a baseline"):
        CandidateSpec.parse("baseline:forest")
    with pytest.raises(InputError, match="no network"):
        load_candidate("baseline")


def test_a_baseline_is_a_run_in_the_same_ranking(sources, tmp_path):
    store = create_store(tmp_path / "runs")
    for candidate in ("baseline", "words"):
        job = Job(
            candidate=CandidateSpec.parse(candidate),
            dataset=DatasetSpec.parse(sources["texts"]),
            training=TrainingSettings(mode="unit", epochs=2),
        )
        name = job.run(store)
    run = store.run(store.runs().set_index("candidate").loc["baseline", "run"])
    assert run.status == "finished"
    assert run.manifest.planned_epochs == 1
    assert run.manifest.info["baseline"] == "logistic regression on TF-IDF of words"
    assert run.manifest.digests["data"] == store.run(name).manifest.digests["data"]
    predictions = run.predictions(split="test", epoch=1)
    metrics = run.metrics().set_index(["split", "name"])["value"]
    assert metrics["test", "accuracy"] == (predictions["label"] == predictions["predicted"]).mean()
    loss = -np.log(predictions["label_probability"].to_numpy(np.float64)).mean()
    assert metrics["test", "loss"] == pytest.approx(loss, abs=1e-5)
    ranked = ncore.rank(store, dataset="notes")
    assert ranked["candidate"].tolist() == ["baseline", "words"]
    assert set(ranked["kind"]) == {"measured"}
