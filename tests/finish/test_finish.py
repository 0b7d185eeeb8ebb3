"""A finished model works without ncore, as well as it did here; and is what the choice was made for."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import ncore
from ncore.errors import InputError
from ncore.finish import finish
from ncore.finish import standalone as standalone_package
from ncore.finish.exporting import TOLERANCE
from ncore.store import create_store, open_store

STANDALONE = sorted(Path(standalone_package.__path__[0]).glob("*.py"))


def row_of(home, candidate):
    runs = open_store(home / "runs").runs()
    return runs[runs["candidate"] == candidate].iloc[0]


@pytest.mark.parametrize(
    ("candidate", "loader", "library"),
    [
        ("lenet-small", "program", ""),
        ("timm-net", "library", "timm"),
        ("vision-net", "library", "torchvision"),
        ("hf-net", "library", "transformers"),
        ("own-net", "program", "own_nets"),
    ],
)
def test_a_process_without_ncore_reaches_the_recorded_accuracy(home, alone, tmp_path, candidate, loader, library):
    found = finish(home / "runs", candidate, to=tmp_path / "model", base=home)
    assert (found.loader, found.library) == (loader, library)
    recorded = row_of(home, candidate)["test_accuracy"]
    assert found.accuracy == found.recorded == recorded
    assert alone(found.folder) == [recorded, recorded]
    assert max(found.differences.values()) <= TOLERANCE
    assert {"README.md", "evidence.json", "model.json", "model.safetensors", "model.pt2"} <= set(found.files)
    assert not list(tmp_path.glob(".*"))  # nothing of the making is left
    assert not any(b"ncore.probe" in path.read_bytes() for path in Path(found.folder).glob("*.py"))


def test_a_module_that_cannot_be_exported_is_built_by_its_own_code(home, tmp_path, monkeypatch):
    found = finish(home / "runs", "undecided", to=tmp_path / "model", base=home)
    assert (found.loader, found.library) == ("library", "own_nets")
    assert "model.pt2" not in found.files
    assert "no exported program" in " ".join(found.notes)
    assert "'own_nets' has to be importable" in " ".join(found.notes)


def test_onnx_gives_the_same(home, tmp_path):
    found = finish(home / "runs", "lenet-small", to=tmp_path / "model", onnx=True)
    assert found.differences["model.onnx"] <= TOLERANCE
    assert "model.onnx" in found.files
    assert "model.onnx" in (tmp_path / "model" / "README.md").read_text()


def test_onnx_without_its_packages(home, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"pip install 'ncore\[onnx\]'"):
        finish(home / "runs", "lenet-small", to=tmp_path / "model", onnx=True)


def test_training_on_validation_too(home, tmp_path):
    found = finish(home / "runs", "lenet-small", to=tmp_path / "model", with_validation=True, epochs=3)
    assert (found.recorded, found.epochs) == (None, 3)
    evidence = json.loads((tmp_path / "model" / "evidence.json").read_text())
    assert evidence["trained_with_validation"]
    course = pd.read_csv(tmp_path / "model" / "training.csv")
    assert "validation" not in set(course["split"])
    assert course[course["split"] == "test"]["epoch"].unique().tolist() == [3]
    assert "260 pictures, of training and validation together" in (tmp_path / "model" / "README.md").read_text()


def test_what_the_card_shows_runs_in_the_folder(home, tmp_path, pictures):
    """The three lines, as they stand in README.md, and the modules of the folder and no others."""
    finish(home / "runs", "lenet-small", to=tmp_path / "model")
    shutil.copy(sorted(pictures[0].glob("*.png"))[0], tmp_path / "model" / "photo.jpg")
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "model" / "README.md").read_text(), flags=re.DOTALL)
    *lines, last = code.strip().splitlines()
    code = "\n".join(["import sys", "sys.path.insert(0, '.')", *lines, f"print({last.partition('  #')[0]})"])
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path / "model", capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = ast.literal_eval(ran.stdout)
    assert set(found) == set("0123456789")
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_runs_of_the_store_stay_as_they_are(home, tmp_path):
    before = open_store(home / "runs").runs()
    finish(home / "runs", "lenet-small", to=tmp_path / "model")
    pd.testing.assert_frame_equal(open_store(home / "runs").runs(), before)


def test_the_card_is_one_of_the_hub(home, tmp_path):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    found = finish(home / "runs", "timm-net", to=tmp_path / "model", licence="Ana's own licence")
    card = huggingface_hub.ModelCard.load(tmp_path / "model" / "README.md")
    by_type = {one.metric_type: one for one in card.data.eval_results}
    assert by_type["accuracy"].metric_value == pytest.approx(found.accuracy, abs=1e-6)
    assert (by_type["accuracy"].dataset_name, by_type["accuracy"].task_type) == ("digits", "image-classification")
    assert (card.data.license, card.data.license_name) == ("other", "Ana's own licence")
    assert "timm" in card.data.tags
    # The ranking is that of the one entrance, and every class has its line.
    evidence = json.loads((tmp_path / "model" / "evidence.json").read_text())
    assert {row["candidate"] for row in evidence["ranking"]} == set(open_store(home / "runs").runs()["candidate"])
    assert len(evidence["test"]["classes"]) == 10
    assert sum(one["examples"] for one in evidence["test"]["classes"]) == 90
    manifest = open_store(home / "runs").run(row_of(home, "timm-net")["run"]).manifest
    assert evidence["digests"]["data"] == manifest.digests["data"]
    assert manifest.digests["data"] in card.text


@pytest.mark.parametrize("candidate", ["own-net", "hf-net"])
def test_nothing_of_this_machine_is_told(home, tmp_path, candidate):
    finish(home / "runs", candidate, to=tmp_path / "model", base=home)
    for path in (tmp_path / "model").rglob("*"):
        if path.suffix in (".md", ".json", ".txt", ".csv", ".py"):
            assert str(home) not in path.read_text(), path
            assert os.uname().nodename not in path.read_text(), path


@pytest.mark.parametrize("path", STANDALONE, ids=lambda path: path.stem)
def test_what_is_copied_imports_nothing_of_ncore(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.startswith("ncore")]


@pytest.mark.parametrize(("mode", "precision"), [("unit", "float32"), ("backbone", "bfloat16"), ("all", "bfloat16")])
def test_every_mode_and_precision(home, tmp_path, alone, mode, precision):
    """In full precision, as it is written, it may differ from what was recorded in half; that is said."""
    from ncore.finish.choosing import choose, job_of

    job = job_of(choose(open_store(home / "runs"), "lenet-small"), base=str(home))
    training = job.training.model_copy(update={"mode": mode, "precision": precision, "epochs": 3})
    store = create_store(tmp_path / "runs")
    job.model_copy(update={"training": training}).run(store)
    found = finish(store, "lenet-small", to=tmp_path / "model")
    assert not [note for note in found.notes if "repeated from the same seed" in note]
    assert bool([note for note in found.notes if precision in note]) == (precision != "float32")
    assert alone(found.folder) == [found.accuracy] * 2
    assert found.recorded == store.runs()["test_accuracy"].tolist()[0]


def test_what_was_stopped_early_is_trained_to_its_end(home, tmp_path):
    from ncore.finish.choosing import choose, job_of

    whole = job_of(choose(open_store(home / "runs"), "lenet-small"), epochs=4, base=str(home))
    store = create_store(tmp_path / "runs")
    whole.model_copy(update={"until": 2}).run(store)
    assert store.runs()["status"].tolist() == ["interrupted"]
    stopped = finish(store, "lenet-small", to=tmp_path / "model")
    assert (stopped.epochs, stopped.recorded) == (4, None)
    whole.run(store)
    assert stopped.accuracy == store.runs()["test_accuracy"].tolist()[0]


def test_after_a_kill_it_goes_on_to_the_same_end(home, tmp_path):
    whole = finish(home / "runs", "lenet-small", to=tmp_path / "whole", epochs=40)
    command = ["finish", str(home / "runs"), "lenet-small", "--epochs", "40", "--to", str(tmp_path / "killed")]
    with subprocess.Popen([sys.executable, "-c", "from ncore.cli import main; main()", *command],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # fmt: skip
        record = tmp_path / ".killed.unfinished" / "record"
        while process.poll() is None and not _epochs(record) >= 3:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert 3 <= _epochs(record) < 40, "it was to be killed in the middle"
    assert not (tmp_path / "killed").exists()
    went_on = finish(home / "runs", "lenet-small", to=tmp_path / "killed", epochs=40)
    assert went_on.accuracy == whole.accuracy
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(first[name].equal(second[name]) for name in first)


def _epochs(record: Path) -> int:
    try:
        return max(int(count) for count in open_store(record).runs()["epochs"])
    except Exception:
        return -1


def test_what_is_trained_is_not_trained_again_when_writing_failed(home, tmp_path):
    place = tmp_path / "model"

    def in_the_way(text):
        if text.startswith("Writing"):
            place.mkdir()
            (place / "mine.txt").write_text("not a model")

    with pytest.raises(InputError, match="no finished model"):
        finish(home / "runs", "lenet-small", to=place, say=in_the_way)
    (place / "mine.txt").unlink()

    @contextmanager
    def never(job, record):
        raise AssertionError("it was trained again")
        yield

    found = finish(home / "runs", "lenet-small", to=place, watch=never)
    assert found.accuracy == row_of(home, "lenet-small")["test_accuracy"]


def test_the_command(home, tmp_path, capsys, monkeypatch):
    from ncore import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ncore", "finish", str(home / "runs"), "lenet-small", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(tmp_path / "finished" / "lenet-small-digits")
    monkeypatch.setattr(sys, "argv", ["ncore", "finish", str(home / "runs"), "lenet-small"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "--overwrite" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--overwrite"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said = " ".join(capsys.readouterr().out.split())
    assert "about" in said
    assert "its run recorded" in said
    metadata = Path(found["folder"], "README.md").read_text().split("---")[1]
    assert yaml.safe_load(metadata)["pipeline_tag"] == "image-classification"


@pytest.mark.parametrize(
    ("factory", "library"),
    [
        ({"factory": "timm.create_model", "args": ["test_resnet"], "kwargs": {"num_classes": 7}}, "timm"),
        ({"factory": "torchvision.models.squeezenet1_1", "kwargs": {"num_classes": 7}}, "torchvision"),
        ({"factory": "timm.models.create_model", "args": ["test_resnet"], "kwargs": {"num_classes": 7}}, "timm.models"),
        ("timm:test_resnet", "timm"),
    ],
)
def test_architectures_of_weights_in_a_file(tmp_path, factory, library):
    """What a recipe builds by a function of a library is built by that library again."""
    from ncore.finish.architecture import backbone_of, head_of, network_of, state_of
    from ncore.finish.standalone.model import build
    from ncore.probe.candidates import CandidateSpec, load_candidate

    spec = CandidateSpec.parse({"source": "file:w.safetensors", "architecture": factory, "input_size": 64})
    fresh = spec.model_copy(update={"weights": None})
    state = _whole_state(fresh)
    save_file(state, tmp_path / "w.safetensors")
    spec = CandidateSpec.parse(
        {"source": f"file:{tmp_path / 'w.safetensors'}", "architecture": factory, "input_size": 64}
    )
    backbone = load_candidate(spec)
    unit = ncore.NCPUnit(backbone.feature_dim, 5)
    whole = torch.nn.Sequential(backbone.module, unit).eval()
    inputs = (torch.rand(3, 3, 64, 64),)
    network, reading = network_of(whole, inputs)
    how = backbone_of(spec, backbone)
    assert library == (how["module"] or how["library"])
    save_file(dict(state_of(network)), tmp_path / "model.safetensors")
    content = {"backbone": how, "head": head_of(unit), "reading": reading}
    (tmp_path / "model.json").write_text(json.dumps(content))
    with torch.no_grad():
        assert torch.allclose(build(tmp_path)(*inputs), whole(*inputs), atol=1e-6)


def _whole_state(spec):
    from ncore.probe.candidates import construct
    from ncore.probe.images import ImageShape

    state = construct(spec, ImageShape(3, 64)).model.state_dict()
    return {name: value.clone().contiguous() for name, value in state.items()}
