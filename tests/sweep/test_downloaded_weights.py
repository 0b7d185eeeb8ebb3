"""Weights of a download are compared by the files that a cache has of them, and loaded only if these are others."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import ncore
from ncore.probe.contents import weights_on_disk
from ncore.probe.sources.candidate_spec import CandidateSpec
from ncore.store.manifest import Manifest
from ncore.sweep import Recipe, deciding, sweep
from ncore.sweep.plan import plan
from ncore.sweep.running import execute, run_id

WAYS = (1, None)  # left after an epoch, or finished
KINDS = ("hf", "timm", "timm:hf-hub", "torchvision")


class Hub:
    """A cache of downloads as the libraries fill it, with the weights of a small model."""

    def __init__(self, root: Path, kind: str) -> None:
        self.root, self.kind, self.revisions = root, kind, 0
        getattr(self, f"_{kind.replace(':', '_').replace('-', '_')}")()

    def _hf(self) -> None:
        import transformers

        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", num_labels=3
        )
        config.architectures = ["ResNetForImageClassification"]
        self.make = lambda: transformers.ResNetForImageClassification(config)
        self.beside = {"config.json": json.dumps(config.to_dict())}
        self.repository, self.source, self.file = "them/net", "hf:them/net", "model.safetensors"

    def _timm(self) -> None:
        import timm

        self.make, self.beside = lambda: timm.create_model("test_resnet"), {}
        self.repository = timm.get_pretrained_cfg("test_resnet").hf_hub_id
        self.source, self.file = "timm:test_resnet", "model.safetensors"

    def _timm_hf_hub(self) -> None:
        self._timm()
        config = {"architecture": "test_resnet", "num_classes": 1000, "num_features": 64, "pretrained_cfg": {}}
        self.beside = {"config.json": json.dumps(config)}
        self.repository, self.source = "them/net", "timm:hf-hub:them/net"

    def _torchvision(self) -> None:
        import torchvision

        self.make = torchvision.models.squeezenet1_1
        url = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url
        self.place = self.root / "torch" / "hub" / "checkpoints" / url.rpartition("/")[2]
        self.source = "torchvision:squeezenet1_1"

    def weights(self, seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return {name: value.contiguous() for name, value in self.make().state_dict().items()}

    def fill(self, seed: int, note: str = "", **beside: str) -> None:
        """A new revision with these weights."""
        if self.kind == "torchvision":
            self.place.parent.mkdir(parents=True, exist_ok=True)
            torch.save(self.weights(seed), self.place, _use_new_zipfile_serialization=not note)
            return
        folder = self.root / "hub" / f"models--{self.repository.replace('/', '--')}"
        self.revisions += 1
        commit = f"{self.revisions:040x}"
        snapshot = folder / "snapshots" / commit
        for path in (folder / "blobs", folder / "refs", snapshot):
            path.mkdir(parents=True, exist_ok=True)
        aside = folder / "aside"
        save_file(self.weights(seed), aside, metadata={"format": "pt"} | ({"note": note} if note else {}))
        contents = {self.file: aside.read_bytes()} | {name: text.encode() for name, text in self.beside.items()}
        for name, content in (contents | {name: text.encode() for name, text in beside.items()}).items():
            blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
            blob.write_bytes(content)
            os.symlink(blob, snapshot / name)
        aside.unlink()
        (folder / "refs" / "main").write_text(commit)

    def without_links(self) -> None:
        """As the cache is where there are no links."""
        for link in (self.root / "hub").rglob("snapshots/*/*"):
            content = link.read_bytes()
            link.unlink()
            link.write_bytes(content)

    def empty(self) -> None:
        for folder in ("hub", "torch"):
            shutil.rmtree(self.root / folder, ignore_errors=True)


@pytest.fixture(params=KINDS)
def hub(request, tmp_path, monkeypatch):
    pytest.importorskip({"hf": "transformers"}.get(request.param, request.param.partition(":")[0]))
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    found = Hub(tmp_path, request.param)
    found.fill(0)
    return found


@pytest.fixture
def loaded(monkeypatch):
    """The candidates that are loaded to be compared."""
    seen, compare = [], deciding.trained_from_other_weights
    monkeypatch.setattr(
        deciding, "trained_from_other_weights", lambda *given: seen.append(given[1].name) or compare(*given)
    )
    return seen


def recipe(hub, **changes):
    values = {
        "candidates": [{"source": hub.source, "name": "net", "input_size": 32}],
        "datasets": [{"source": "digits", "train": 60, "validation": 30, "test": 30}],
        "training": {"mode": "unit", "epochs": 2, "device": "cpu", "unit": {"widths": [8, 8]}},
        "recording": {"neurons": 4, "line_graph_every": 0},
        "store": "runs",
    }
    return Recipe.parse(values | changes, base=str(hub.root))


def go(asked, until=None):
    jobs = [job.model_copy(update={"until": until}) for job in asked.jobs]
    return sweep(jobs, asked.store_place, engine=lambda jobs, store: ((j, execute(j, store)) for j in jobs))


@pytest.mark.parametrize("until", WAYS)
def test_a_new_revision_is_not_the_same_candidate(hub, loaded, until):
    asked = recipe(hub)
    (result,) = go(asked, until)
    assert result.outcome == ("finished" if until is None else "stopped"), result.reason
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    assert (row["action"], row["reason"]) == (("skip", "finished before") if until is None else ("resume", ""))
    assert loaded == []
    hub.fill(1)
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    (result,) = go(asked)
    assert row["action"] == "refuse"
    assert "with other weights than 'net' has now" in row["reason"]
    assert (result.outcome, result.reason) == ("refused", row["reason"])
    shutil.rmtree(hub.root / "runs" / run_id(asked.jobs[0]))
    assert [result.outcome for result in go(asked)] == ["finished"]


def test_the_same_weights_in_another_revision_or_file_are_the_same(hub, loaded):
    asked = recipe(hub)
    go(asked)
    hub.fill(0, **{"README.md": "new words"})
    assert [result.reason for result in go(asked)] == ["finished before"]
    if hub.kind != "torchvision":  # whose file may be another, written again
        hub.without_links()
        assert [result.reason for result in go(asked)] == ["finished before"]
        assert loaded == []
    hub.fill(0, note="written anew")
    assert [result.reason for result in go(asked)] == ["finished before"]
    assert loaded == ["net"]


def test_what_cannot_be_compared_is_said(hub, loaded):
    asked = recipe(hub)
    go(asked)
    path = hub.root / "runs" / run_id(asked.jobs[0]) / "run.json"
    whole = path.read_bytes()
    content = Manifest.from_bytes(whole, "run.json").model_dump(mode="json", by_alias=True)
    content["digests"].pop("weight_files")
    path.write_bytes(Manifest.model_validate(content).to_bytes())
    assert "(its weights are not compared, as it has no digest of their files)" in go(asked)[0].reason
    path.write_bytes(whole)
    hub.empty()
    (row,) = plan(asked.jobs, asked.store_place).to_dict("records")
    assert row["action"] == "skip"
    assert "(its weights are not compared, as their files were not found on this disk)" in row["reason"]
    assert loaded == []


def test_others_that_cannot_be_loaded_are_refused_by_their_files(hub):
    asked = recipe(hub)
    go(asked)
    hub.fill(1)
    for path in hub.root.rglob("blobs/*" if hub.kind != "torchvision" else "checkpoints/*"):
        if path.stat().st_size > 5000:
            path.write_bytes(path.read_bytes()[:5000])
    (result,) = go(asked)
    assert result.outcome == "refused"
    assert "with other files of weights than 'net' has now" in result.reason


def test_further_seeds_of_a_new_revision_are_ranked_apart(hub):
    go(recipe(hub, seeds=[0, 1]))
    hub.fill(1)
    assert [result.outcome for result in go(recipe(hub, seeds=[2]))] == ["finished"]
    table = ncore.rank(hub.root / "runs", method="last")
    assert sorted(table["seeds"]) == [1, 2]
    assert table["candidate"].str.startswith("net (weights ").all()


@pytest.mark.parametrize("spec", [
    "hf:them/none", "hf:no such name", "timm:resnet18", "timm:nothing", "timm:hf-hub:them/none", "torchvision:resnet18",
    {"source": "hf:them/net", "kwargs": {"revision": "v2"}}, {"source": "hf:them/net", "kwargs": {"subfolder": "x"}},
    {"source": "timm:test_resnet", "kwargs": {"pretrained_cfg_overlay": {"file": "x"}}},
    {"source": "torchvision:resnet18", "kwargs": {"weights": "NOTHING"}},
])  # fmt: skip
def test_what_is_not_there_is_not_known(tmp_path, monkeypatch, spec):
    for package in ("timm", "transformers", "torchvision"):
        pytest.importorskip(package)
    monkeypatch.setattr(pytest.importorskip("huggingface_hub").constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for kind in ("hf", "timm"):
        Hub(tmp_path, kind).fill(0)
    there = weights_on_disk(CandidateSpec.parse("hf:them/net"))
    assert there
    known = weights_on_disk(CandidateSpec.parse(spec))
    assert known == ""


def test_weights_that_are_no_download_are_none():
    for spec in ("lenet-small", {"source": "timm:resnet18", "pretrained": False}, "timm:local-dir:net",
                 {"source": "timm:resnet18", "weights": "x.safetensors"}, "python:their:make"):  # fmt: skip
        assert weights_on_disk(CandidateSpec.parse(spec)) is None
