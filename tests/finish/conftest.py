"""A store of short runs of every kind of candidate, and a fresh process that knows nothing of ncore."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ncore.probe.datasets import load_dataset
from ncore.sweep import LocalEngine, sweep
from ncore.sweep.recipe import Recipe

DIGITS = {"source": "digits", "train": 200, "validation": 60, "test": 90}

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.Tanh())

    def forward(self, images):
        return self.body(images)

class Undecided(Net):
    def forward(self, images):
        found = self.body(images)
        return found if float(found.sum()) > 1e9 else found * 1.0  # what torch.export can't follow

def net():
    return Net()

def undecided():
    return Undecided()
"""

# Loads a folder where nothing of ncore can be imported, and classifies the pictures of another folder.
ALONE = """
import json, sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ncore", "ncore_dashboard"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
folder, pictures = sys.argv[1:]
sys.path.insert(0, folder)
from model import load

files = sorted(Path(pictures).glob("*.png"))
told = []
for classify in (load(folder), load(folder, program=True)):
    found = [next(iter(one)) for one in classify([str(file) for file in files])]
    told.append({file.name: name for file, name in zip(files, found)})
assert not any(name.partition(".")[0] == "ncore" for name in sys.modules)
print(json.dumps(told))
"""


def small_vit(folder: Path) -> str:
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    ViTForImageClassification(ViTConfig(**sizes, image_size=16, patch_size=8, num_labels=3)).save_pretrained(folder)
    return f"hf:{folder}"


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with a recipe's files, and a store ``runs`` in it."""
    home = tmp_path_factory.mktemp("finish")
    (home / "own_nets.py").write_text(FACTORY)
    candidates = [
        "lenet-small",
        {"source": "timm:test_resnet", "pretrained": False, "name": "timm-net", "input_size": 32},
        {"source": "torchvision:squeezenet1_1", "pretrained": False, "name": "vision-net", "input_size": 32},
        {"source": small_vit(home / "vit"), "name": "hf-net"},
        {"source": "python:own_nets:net", "name": "own-net", "channels": 1, "input_size": 8},
        {"source": "python:own_nets:undecided", "name": "undecided", "channels": 1, "input_size": 8},
    ]
    recipe = Recipe.parse(
        {
            "candidates": candidates,
            "datasets": [DIGITS],
            "training": {"mode": "all", "epochs": 2, "threads": 1},
            "recording": {"trajectories_every": 0, "line_graph_every": 0},
        },
        base=home,
    )
    for result in sweep(recipe.jobs, recipe.store_place, engine=LocalEngine(2)):
        assert result.outcome == "finished", result.reason
    return home


@pytest.fixture(scope="session")
def pictures(home):
    """The test pictures as files, and the class of each."""
    data = load_dataset(DIGITS)
    test, folder = data.splits["test"], home / "pictures"
    folder.mkdir()
    known = {}
    for row, label in enumerate(test.labels.tolist()):
        Image.fromarray(np.asarray(test.decode(row))).save(folder / f"{row:04}.png")
        known[f"{row:04}.png"] = data.class_names[label]
    return folder, known


@pytest.fixture(scope="session")
def alone(pictures):
    """Accuracies of a folder on the test pictures, as it is loaded and as a program, in a process without ncore."""
    folder, known = pictures

    def accuracies(model: str | Path) -> list[float]:
        ran = subprocess.run(
            [sys.executable, "-I", "-c", ALONE, str(model), str(folder)],
            capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        told = json.loads(ran.stdout.splitlines()[-1])
        return [sum(found[name] == label for name, label in known.items()) / len(known) for found in told]

    return accuracies
