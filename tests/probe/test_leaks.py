"""The same picture is on one side only, whatever its file looks like."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import ncore
from ncore.probe.datasets import load_dataset
from ncore.sweep import Recipe, sweep
from ncore.sweep.running import execute

WRITERS = {
    "copied": lambda image, path: image.save(path.with_suffix(".png")),
    "another format": lambda image, path: image.save(path.with_suffix(".bmp")),
    "other compression": lambda image, path: image.save(path.with_suffix(".png"), compress_level=1),
    "opaque alpha": lambda image, path: image.convert("RGBA").save(path.with_suffix(".png")),
}


def fill(root, split, seed, count=12):
    rng = np.random.default_rng(seed)
    for label, name in enumerate("ab"):
        (root / split / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 150, (20, 20, 3)) + 100 * label
            Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{index}.png")


@pytest.fixture
def root(tmp_path):
    for seed, split in enumerate(("train", "val", "test")):
        fill(tmp_path / "data", split, seed)
    return tmp_path / "data"


def found(root):
    return load_dataset(f"folder:{root}").left_out


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("test", "train", {"train": 3}),
        ("val", "train", {"train": 3}),
        ("test", "val", {"validation": 3}),
        ("train", "train", {}),  # twice on the same side is no leak
    ],
)
def test_what_a_later_set_has_is_left_out(root, writer, source, target, expected):
    assert found(root) == {}
    for index in range(3):
        image = Image.open(root / source / "a" / f"{index}.png")
        WRITERS[writer](image, root / target / "a" / f"again{index}")
    assert found(root) == expected


def test_in_all_three(root):
    image = Image.open(root / "test" / "a" / "0.png")
    for split in ("train", "val"):
        image.save(root / split / "a" / "again.png")
    assert found(root) == {"train": 1, "validation": 1}


def test_alike_only_when_small_is_not_the_same(root):
    image = np.asarray(Image.open(root / "test" / "a" / "0.png")).copy()
    image[0, 0, 0] ^= 1  # lost in the resizing, as the corner is, or nearly so
    Image.fromarray(image).save(root / "train" / "a" / "nearly.png")
    assert found(root) == {}


def test_a_run_counts_and_says_it(root, tmp_path):
    for index in range(4):
        Image.open(root / "test" / "b" / f"{index}.png").save(root / "train" / "b" / f"again{index}.png")
    recipe = Recipe.parse(
        {
            "candidates": ["dense-small"],
            "datasets": [f"folder:{root}"],
            "training": {"mode": "unit", "epochs": 1},
            "store": "runs",
        },
        base=str(tmp_path),
    )
    sweep(recipe.jobs, recipe.store_place, engine=lambda jobs, store: ((job, execute(job, store)) for job in jobs))
    store = ncore.open_store(tmp_path / "runs")
    manifest = store.run(store.runs()["run"][0]).manifest
    assert manifest.info["images"] == {"train": 24, "validation": 24, "test": 24}
    assert manifest.info["left_out"] == {"train": 4}
    assert any("4 pictures of train were left out" in warning for warning in manifest.warnings)
