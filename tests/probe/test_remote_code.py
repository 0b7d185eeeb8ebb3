"""Code that comes with a checkpoint or a dataset isn't run, however the keyword arguments ask for it."""

import json
import warnings

import pytest
from PIL import Image

from ncore.errors import InputError
from ncore.probe.candidates import load_candidate
from ncore.probe.datasets import load_dataset

ASKED = [True, 1, "true", "False", ["x"]]
AUTO_MAPS = [
    {"AutoConfig": "theirs.TheirConfig"},
    {"AutoModel": "theirs.TheirModel"},
    {"AutoModelForImageClassification": "theirs.TheirModel"},
    {"AutoConfig": "theirs.TheirConfig", "AutoModel": "theirs.TheirModel"},
]


@pytest.fixture
def transformers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("transformers")


def checkpoint(folder, trace, kind, auto_map):
    """A folder as of the hub, with a module that leaves a trace when it is run."""
    code = f"open({str(trace)!r}, 'w').close()\nfrom transformers import ViTConfig, ViTModel\n"
    (folder / "theirs.py").write_text(code + "class TheirConfig(ViTConfig): pass\nclass TheirModel(ViTModel): pass\n")
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    about = {"model_type": kind, "image_size": 32, "patch_size": 8, "auto_map": auto_map, **sizes}
    (folder / "config.json").write_text(json.dumps(about))


@pytest.mark.parametrize("auto_map", AUTO_MAPS, ids=" ".join)
@pytest.mark.parametrize("kind", ["vit", "their-own"])
@pytest.mark.parametrize("asked", [*ASKED, False, None, 0])
def test_a_checkpoints_own_code_is_not_run(transformers, tmp_path, auto_map, kind, asked):
    folder, trace = tmp_path / "model", tmp_path / "trace"
    folder.mkdir()
    checkpoint(folder, trace, kind, auto_map)
    spec = {"source": f"hf:{folder}", "pretrained": False, "kwargs": {"trust_remote_code": asked}}
    if asked:
        with pytest.raises(InputError, match=r"`trust_remote_code` in its kwargs.*python:MODULE:FACTORY"):
            load_candidate(spec)
    elif kind == "vit":
        load_candidate(spec)  # transformers has it
    else:
        with pytest.raises(InputError) as caught:
            load_candidate(spec)
        assert "trust_remote_code" not in str(caught.value)  # no remedy that is refused
    assert not trace.exists()


@pytest.mark.parametrize("asked", [*ASKED, False, None])
def test_a_datasets_own_code_is_not_run(tmp_path, asked):
    pytest.importorskip("datasets")
    folder, trace = tmp_path / "pets", tmp_path / "trace"
    for split, shade in (("train", 10), ("test", 200)):
        for label in ("cat", "dog"):
            place = folder / split / label
            place.mkdir(parents=True)
            for index in range(3):
                Image.new("RGB", (8, 8), (shade, index, len(label))).save(place / f"{index}.png")
    (folder / "pets.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    spec = {"source": f"hf:{folder}", "kwargs": {"trust_remote_code": asked, "cache_dir": str(tmp_path / "cache")}}
    with pytest.raises(InputError, match="trust_remote_code" if asked else "pets"):  # it has a script, so it is refused
        load_dataset(spec)
    assert not trace.exists()


@pytest.mark.parametrize(
    "spec",
    [
        {"source": "python:torch.hub:load", "kwargs": {"repo_or_dir": "a/b", "model": "c", "trust_repo": True}},
        {"source": "file:w.safetensors", "architecture": {"factory": "torch.hub.load", "args": ["a/b", "c"]}},
        {"source": "python:transformers:pipeline", "kwargs": {"trust_remote_code": True}},
    ],
)
def test_factories_that_run_downloaded_code_are_refused(spec):
    with pytest.raises(InputError, match="would run code that c"):
        load_candidate(spec)
