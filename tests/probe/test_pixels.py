"""Pixels use their range, or it is said; and the probe is drawn from all classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ncore
from ncore.errors import InputError
from ncore.probe._partition import probe_rows
from ncore.probe.datasets import ImageDataset, load_dataset
from ncore.probe.images import Conversion, InputSpec
from ncore.sweep import Recipe, sweep
from ncore.sweep.running import execute

GREY = InputSpec(1, 16, (0.5,), (0.5,))
RGB = InputSpec(3, 16, (0.5,), (0.5,))
RNG = np.random.default_rng(0)
BITS = (1, 2, 4, 8, 10, 12, 14)


def folder(root: Path, pixels, suffix: str = ".tif", count: int = 12) -> dict[str, str]:
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(pixels()).save(root / name / f"{index}{suffix}")
    return {"source": f"folder:{root}"}


def drawn(bits: int, kind: type) -> np.ndarray:
    values = RNG.integers(0, 2**bits, (16, 16))
    values[0, 0] = 2**bits - 1
    return values.astype(kind)


@pytest.mark.parametrize("bits", BITS)
def test_few_bits_in_sixteen(tmp_path: Path, bits: int) -> None:
    spec = folder(tmp_path, lambda: drawn(bits, np.uint16))
    if bits <= 12:
        with pytest.raises(InputError, match=rf"`white: {2**bits - 1}`"):
            load_dataset(spec).splits["train"].tensor(GREY)
    else:
        split = load_dataset(spec).splits["train"]
        split.tensor(GREY)
        assert "`white`" in split.warnings[0]
    split = load_dataset(spec | {"white": 2**bits - 1}).splits["train"]
    assert int(split.tensor(GREY).max()) == 255
    assert not split.warnings


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("colours", [1, 3])
def test_few_bits_in_eight(bits: int, colours: int) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2**bits, (40, 8, 8, colours)).astype(np.uint8)
    data = ImageDataset.from_arrays(x[..., 0] if colours == 1 else x, np.arange(40) % 2)
    with pytest.raises(InputError, match=f"the largest value in the files {2**bits - 1}: .*`white: {2**bits - 1}`"):
        data.splits["train"].tensor(GREY)


def test_digits_use_their_range() -> None:
    split = load_dataset("digits", train=100).splits["train"]
    assert int(split.tensor(GREY).max()) == 255
    assert not split.warnings


@pytest.mark.parametrize("ink", ["black", "white", "red"])
@pytest.mark.parametrize("background", ["white", "black", "#808080"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_shown_on_a_background(tmp_path: Path, ink: str, background: str, mode: str) -> None:
    rng = np.random.default_rng(0)

    def pixels() -> np.ndarray:
        image = Image.new("RGBA", (16, 16), ink)
        image.putalpha(Image.fromarray((rng.random((16, 16)) > 0.5).astype(np.uint8) * 255))
        return np.asarray(image)

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(12):
            image = Image.fromarray(pixels())
            (image.convert(mode) if mode != "P" else image.quantize()).save(tmp_path / name / f"{index}.png")
    split = load_dataset({"source": f"folder:{tmp_path}", "background": background}).splits["train"]
    if ink == background:
        with pytest.raises(InputError, match=f"shown on {background}, which `background` changes"):
            split.tensor(RGB)
        return
    values = split.tensor(RGB)
    assert int(values.max()) - int(values.min()) > 50


def test_opaque_pictures_are_as_before() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8))
    assert Conversion()(image) is image
    assert np.array_equal(RGB.pixels(image), RGB.pixels(Conversion()(image.convert("RGBA"))))


@pytest.mark.parametrize("value", [0, 17, 255])
def test_pictures_of_one_colour_teach_nothing(value: int) -> None:
    with pytest.raises(InputError, match="40 pictures of arrays are the same one, pixel by pixel"):
        ImageDataset.from_arrays(np.full((40, 8, 8), value, np.uint8), np.arange(40) % 2)


def test_many_pictures_of_one_colour_are_counted() -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8)).astype(np.uint8)
    x[::3] = np.arange(200, 220)[:, None, None]
    split = ImageDataset.from_arrays(x, np.arange(60) % 2).splits["train"]
    split.tensor(GREY)
    assert "pictures of train are of one colour throughout" in split.warnings[0]


@pytest.mark.parametrize(
    ("field", "values"), [("mean", (123.7, 116.3, 103.5)), ("std", (58.4, 57.1, 57.4)), ("mean", (2.0,))]
)
def test_statistics_in_bytes_are_refused(field: str, values: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"divide statistics in 0\.\.255 by 255"):
        InputSpec(3, 8, **{"mean": (0.5,), "std": (0.5,), field: values})


def test_a_background_that_is_no_colour() -> None:
    with pytest.raises(InputError, match="is no colour"):
        load_dataset({"source": "digits", "background": "transparent-ish"})


@pytest.mark.parametrize("classes", [2, 10, 37])
@pytest.mark.parametrize("count", [20, 512, 5000])
def test_the_probe_has_every_class_in_its_proportion(classes: int, count: int) -> None:
    labels = np.repeat(np.arange(classes), np.linspace(20, 200, classes).astype(int))  # sorted by class
    rows = probe_rows(labels, count)
    assert len(rows) == len(np.unique(rows)) == min(count, len(labels))
    assert np.array_equal(rows, probe_rows(labels, count))
    if count >= classes:
        found, all_of = np.bincount(labels[rows], minlength=classes), np.bincount(labels)
        assert found.min() >= 1
        assert np.abs(found - len(rows) * all_of / len(labels)).max() <= max(2, classes / 10)


def test_a_run_says_which_rows_its_probe_has(tmp_path: Path) -> None:
    recipe = Recipe.parse(
        {
            "candidates": ["dense-small"],
            "datasets": [{"source": "digits", "train": 300}],
            "training": {"mode": "unit", "epochs": 1},
            "recording": {"probe_samples": 100},
            "store": "runs",
        },
        base=str(tmp_path),
    )
    sweep(recipe.jobs, recipe.store_place, engine=lambda jobs, store: ((job, execute(job, store)) for job in jobs))
    store = ncore.open_store(tmp_path / "runs")
    info = store.run(store.runs()["run"][0]).manifest.info
    labels = load_dataset("digits", train=300).splits["train"].labels
    assert info["probe_classes"] == np.bincount(labels[info["probe_rows"]], minlength=10).tolist()
    assert min(info["probe_classes"]) >= 9
