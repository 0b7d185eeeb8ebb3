"""What can't be finished is refused in a sentence, before anything is trained or written."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import ncore
from ncore.errors import InputError, NcoreError
from ncore.finish import finish
from ncore.finish.choosing import choose
from ncore.finish.folder import default_place, making
from ncore.probe.candidates import load_candidate, save_backbone
from ncore.probe.images import ImageShape
from ncore.store import create_store, open_store
from ncore.sweep import LocalEngine, sweep
from ncore.sweep.recipe import Recipe

SAMPLES = Path(ncore.__file__).resolve().parent.parent / "sample_runs"


@contextmanager
def never(job, record):
    raise AssertionError("it was trained")
    yield


def swept(home: Path, candidates, training=None, datasets=None, seeds=(0,)):
    """The store of a sweep in ``home``."""
    small = {"source": "digits", "train": 80, "validation": 40, "test": 40}
    recipe = Recipe.parse(
        {
            "candidates": candidates,
            "datasets": datasets or [small],
            "seeds": list(seeds),
            "training": {"mode": "unit", "epochs": 1, "threads": 1, **(training or {})},
            "recording": {"trajectories_every": 0, "line_graph_every": 0},
        },
        base=home,
    )
    for result in sweep(recipe.jobs, recipe.store_place, engine=LocalEngine(1)):
        assert result.outcome == "finished", result.reason
    return recipe.store_place


def refused(match: str, store, candidate: str, **wanted) -> None:
    with pytest.raises(NcoreError, match=match) as raised:
        finish(store, candidate, watch=never, **wanted)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")


def test_what_is_not_there(home, tmp_path):
    runs = home / "runs"
    refused("There is no candidate 'lenet'.*'lenet-small'", runs, "lenet", to=tmp_path / "model")
    refused("no run with seed 3, but with 0", runs, "lenet-small", seed=3, to=tmp_path / "model")
    refused("dataset 'cats' is not in .*'digits'", runs, "lenet-small", dataset="cats", to=tmp_path / "model")
    refused("mode 'unit' is not in .*'all'", runs, "lenet-small", mode="unit", to=tmp_path / "model")
    refused("URL", runs, "lenet-small", to="s3://bucket/model")
    refused("cannot be written", runs, "lenet-small", to="/proc/nothing/model")
    refused("cannot be written .*too long", runs, "lenet-small", to=tmp_path / ("x" * 300))
    refused("cannot use it", runs, "lenet-small", device="nonsense", to=tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_which_of_several_must_be_said(tmp_path):
    store = swept(tmp_path, ["dense-small"])
    swept(tmp_path, ["dense-small"], {"learning_rate": 0.1})
    apart = choose(open_store(store), "dense-small (learning_rate 0.1)")
    assert apart.manifest.resolved["training"]["learning_rate"] == 0.1
    assert set(ncore.rank(store, all_variants=True)["candidate"]) == {
        "dense-small (learning_rate 0.1)", "dense-small (learning_rate 0.001)"
    }  # fmt: skip
    best = choose(open_store(store), "dense-small")  # the variant that the ranking judges it by
    assert best.name == ncore.rank(store).attrs["variants"]["dense-small"].variant
    swept(tmp_path, ["dense-small"], {"mode": "all"})
    refused("several values of mode, 'all', 'unit'.*--mode", store, "dense-small", to=tmp_path / "model")
    again = {"source": "digits", "name": "others", "train": 80, "validation": 40, "test": 40}
    swept(tmp_path, ["dense-small"], datasets=[again])
    refused("several values of dataset.*--dataset", store, "dense-small", to=tmp_path / "model")


def test_the_seed_that_validated_best_is_repeated(tmp_path):
    store = open_store(swept(tmp_path, ["dense-small"], {"epochs": 2}, seeds=range(3)))
    runs = store.runs()
    chosen = choose(store, "dense-small")
    assert chosen.of == 3
    assert chosen.row["validation_accuracy"] == runs["validation_accuracy"].max()
    assert choose(store, "dense-small", seed=2).row["seed"] == 2


def test_loops_of_ones_own_and_old_runs(tmp_path):
    unit = ncore.NCPUnit(4, classes=2, widths=(8, 8, 8))
    probe = (torch.randn(64, 4), torch.randint(2, (64,)))
    about = {"candidate": "own", "dataset": "noise", "epochs": 1, "loss": torch.nn.CrossEntropyLoss()}
    with ncore.Recorder(tmp_path / "runs", None, unit=unit, probe=probe, **about) as recorder:
        recorder.record(validation={"accuracy": 0.5})
    refused("a training loop of your own", tmp_path / "runs", "own", to=tmp_path / "model")
    for place in sorted(path.parent for path in SAMPLES.glob("*/ncore-store.json")) or sorted(SAMPLES.glob("*/")):
        try:
            runs = open_store(place).runs()
        except NcoreError:
            continue
        if runs.empty or open_store(place).run(runs.iloc[0]["run"]).manifest.resolved:
            continue
        first = runs.iloc[0]
        refused("kept no settings", place, first["candidate"], dataset=first["dataset"], mode=first["mode"],
                to=tmp_path / "model")  # fmt: skip


def test_only_failed_runs(tmp_path):
    store = create_store(tmp_path / "runs")
    store.new_run(candidate="net", dataset="data", seed=0, mode="unit").fail("out of memory")
    refused(r"failed \(out of memory\).*--retry-failed", store, "net", to=tmp_path / "model")


def test_data_and_weights_that_are_others_now(tmp_path):
    random = np.random.default_rng(0)

    def save(seed: int) -> None:
        pictures = np.random.default_rng(seed).integers(0, 256, (120, 8, 8), dtype=np.uint8)
        np.savez(tmp_path / "data.npz", x=pictures, y=np.arange(120) % 3)

    def weights(seed: int) -> None:
        backbone = load_candidate("dense-small", shape=ImageShape(1, 8), seed=seed)
        save_backbone(backbone, tmp_path / "weights.safetensors")

    save(int(random.integers(100)))
    weights(0)
    candidate = {"source": "builtin:dense-small", "weights": "weights.safetensors", "name": "net", "pretrained": True}
    store = swept(tmp_path, [candidate], datasets=[{"source": "numpy:data.npz", "name": "noise"}])
    finish(store, "net", to=tmp_path / "model", base=tmp_path)
    refused("data.npz", store, "net", to=tmp_path / "other")  # relative paths are read from the recipe's folder
    weights(1)
    refused("with other weights.*put back", store, "net", to=tmp_path / "other", base=tmp_path)
    weights(0)
    save(101)
    refused("on other data.*put back", store, "net", to=tmp_path / "other", base=tmp_path)
    assert not (tmp_path / "other").exists()
    assert not list(tmp_path.glob(".other*"))


def test_a_place_that_is_taken(home, tmp_path):
    place = tmp_path / "model"
    place.mkdir()
    found = finish(home / "runs", "lenet-small", to=place)  # an empty folder is free
    refused("holds a finished model already.*--overwrite", home / "runs", "lenet-small", to=place)
    (place / "left.txt").write_text("of the former")
    assert finish(home / "runs", "lenet-small", to=place, overwrite=True).accuracy == found.accuracy
    assert not (place / "left.txt").exists()
    shutil.rmtree(place)
    place.write_text("a file")
    refused("no finished model of ncore's.*--to", home / "runs", "lenet-small", to=place, overwrite=True)
    place.unlink()
    place.mkdir()
    save_file({}, place / "model.safetensors")
    refused("no finished model of ncore's.*--to", home / "runs", "lenet-small", to=place, overwrite=True)
    with making(tmp_path / "two"), pytest.raises(InputError, match="by another process"), making(tmp_path / "two"):
        pass


@pytest.mark.parametrize(
    "names", [("a", "b"), ("net (learning_rate 0.01)", "käse/.."), ("..", "/"), ("x" * 400, "y"), ("猫" * 90, "犬")]
)
def test_the_place_of_any_name_is_a_folder_below_here(names):
    place = default_place(*names)
    assert place.parent == Path("finished")
    assert place.name
    assert not place.name.startswith(".")
    assert len(f".{place.name}.unfinished".encode()) < 256


def test_what_can_be_neither_built_nor_exported_is_known_before(tmp_path):
    """Inside a function no module can be imported again, and what depends on values can't be exported."""
    (tmp_path / "once.py").write_text(
        "import itertools, torch\n"
        "count = itertools.count()\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, width):\n"
        "        super().__init__()\n"
        "        self.body = torch.nn.Linear(64, width)\n"
        "    def forward(self, images):\n"
        "        found = self.body(images.flatten(1))\n"
        "        return found if float(found.sum()) > 1e9 else found * 1.0\n"
        "def net():\n"
        "    return Net(12 if next(count) < 2 else 13)\n"
    )
    spec = {"source": "python:once:net", "name": "net", "channels": 1, "input_size": 8}
    store = swept(tmp_path, [spec], {"mode": "all"})
    refused("neither built without ncore .* nor exported", store, "net", to=tmp_path / "model", base=tmp_path)
    assert not list(tmp_path.glob("*model*"))
