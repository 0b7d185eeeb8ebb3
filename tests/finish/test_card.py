"""A model card holds names of any kind, in its metadata and in its tables, and says where weights come from."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ncore.finish.card import Facts, card, evidence
from ncore.finish.evaluation import evaluate
from ncore.finish.origin import Origin, origin_of
from ncore.finish.pictures import PicturePreprocessing
from ncore.finish.writing import Written
from ncore.probe.candidates import CandidateSpec, load_candidate
from ncore.probe.datasets import Dataset
from ncore.probe.images import InputSpec
from ncore.store import create_store

names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30).filter(
    str.strip
) | st.sampled_from(
    ["a|b", "---\nlicense: mit\n---", "`x`", "<script>", "*", "no", "1.0", "null", "x: y", "\\|", "# head", "- item"]
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    store = create_store(tmp_path_factory.mktemp("store"))
    run = store.new_run(candidate="net", dataset="data", seed=0, mode="unit", info={"images": {"train": 6}})
    run.close("for the test")
    data = Dataset.from_arrays(np.arange(640).reshape(10, 8, 8) / 640, np.arange(10) % 2)
    preprocessing = PicturePreprocessing(data.splits["test"], InputSpec(1, 8, (0.5,), (0.5,)))
    return store.run(store.run_ids()[0]).manifest, preprocessing


def ranking_of(*candidates: str) -> pd.DataFrame:
    rows = [
        {"rank": place, "candidate": name, "predicted": 0.5, "lower": 0.4, "upper": 0.6, "p_best": 0.5, "seeds": 1,
         "epochs": 3, "observed": float("nan"), "warning": "", "kind": "measured"}
        for place, name in enumerate(candidates, 1)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table.attrs = {"method": "last", "epochs": 3}
    return table


def cells(line: str) -> int:
    return len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) - 1


@settings(deadline=None, max_examples=80, phases=[Phase.explicit, Phase.generate])
@given(candidate=names, dataset=names, classes=st.lists(names, min_size=2, max_size=2, unique=True), note=names)
def test_names_of_any_kind(parts, candidate, dataset, classes, note):
    manifest, preprocessing = parts
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    evaluation = evaluate(network, preprocessing, classes, torch.device("cpu"))
    written = Written("program", "", {"model.pt2": 0.0}, [])
    facts = Facts(
        candidate, dataset, manifest, "run", Origin(False, "", "", ""), evaluation, written, preprocessing,
        ranking_of(candidate, note), [note],
    )  # fmt: skip
    text = card(facts)
    _, metadata, rest = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
    found = yaml.safe_load(metadata)
    assert found["model-index"][0]["name"] == " ".join(f"{candidate} on {dataset}".split())
    assert found["model-index"][0]["results"][0]["dataset"]["name"] == " ".join(dataset.split())
    assert "license" not in found
    widths: list[int] = []
    for line in rest.splitlines():
        if line.startswith("| "):
            widths.append(cells(line))
            assert widths[-1] == widths[0], line
        else:
            widths = []
    assert "<script>" not in rest.replace("\\<", "")
    assert [one["class"] for one in json.loads(evidence(facts))["test"]["classes"]] == classes


def test_many_classes_are_shown_from_the_worst(parts):
    manifest, preprocessing = parts
    names = [f"class {number}" for number in range(80)]
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 80))
    evaluation = evaluate(network, preprocessing, names, torch.device("cpu"))
    written = Written("program", "", {}, [])
    facts = Facts("a", "b", manifest, "run", Origin(True, "", "", ""), evaluation, written, preprocessing, None)
    text = card(facts)
    assert "The 50 of 80 classes with the lowest F1" in text
    assert len(re.findall(r"^\| class \d+ ", text, flags=re.MULTILINE)) == 50
    assert "no ranking" in text
    assert "licence of the weights that it began with is not known" in text


def test_the_interval_is_wilsons(parts):
    from scipy.stats import binomtest

    _, preprocessing = parts
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    found = evaluate(network, preprocessing, ["a", "b"], torch.device("cpu"))
    right = round(found.accuracy * found.examples)
    known = binomtest(right, found.examples).proportion_ci(0.9, method="wilson")
    assert (found.lower, found.upper) == pytest.approx((known.low, known.high))


def test_where_weights_come_from(tmp_path):
    pytest.importorskip("timm")
    entry = {"source": "timm:resnet18", "pretrained": False}
    backbone = load_candidate(entry)
    trained, fresh = CandidateSpec.parse("timm:resnet18"), CandidateSpec.parse(entry)
    found = origin_of(trained, backbone)
    assert (found.licence, found.said_by, found.base) == ("apache-2.0", "timm", "timm/resnet18.a1_in1k")
    assert origin_of(fresh, backbone) == Origin(False, "", "", "")
    assert origin_of(trained, backbone, "mit").licence == "mit"
    own = CandidateSpec.parse({"source": "timm:resnet18", "weights": "w.safetensors"})  # nobody says of those
    assert origin_of(own, backbone) == Origin(True, "", "", "")
    for text, licence in {
        "---\nlicense: cc-by-4.0\n---\n# A card": "cc-by-4.0",
        "---\nlicense: [a\n---": "",
        "# No metadata": "",
        "---\nlicense:\n- mit\n---": "",
        "---": "",
    }.items():
        (tmp_path / "README.md").write_text(text)
        assert origin_of(CandidateSpec.parse(f"hf:{tmp_path}"), backbone).licence == licence
