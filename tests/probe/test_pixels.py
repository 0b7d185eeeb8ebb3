"""Pixels use their range, or it is said; and the probe is drawn from all classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ncore
from ncore.errors import InputError
from ncore.probe._partition import probe_rows
from ncore.probe.datasets import Dataset, load_dataset
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
    data = Dataset.from_arrays(x[..., 0] if colours == 1 else x, np.arange(40) % 2)
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
    with pytest.raises(InputError, match="40 pictures of arrays are exactly the same"):
        Dataset.from_arrays(np.full((40, 8, 8), value, np.uint8), np.arange(40) % 2)


def test_many_pictures_of_one_colour_are_counted() -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8)).astype(np.uint8)
    x[::3] = np.arange(200, 220)[:, None, None]
    split = Dataset.from_arrays(x, np.arange(60) % 2).splits["train"]
    split.tensor(GREY)
    assert "pictures of train are of one colour throughout" in split.warnings[0]


def between(low: int, high: int, kind: type) -> np.ndarray:
    return RNG.integers(low, high + 1, (16, 16)).astype(kind)


def warned(tmp_path: Path, pixels, **spec: object) -> str:
    split = load_dataset(folder(tmp_path, pixels) | spec).splits["train"]
    split.tensor(GREY)
    return " ".join(split.warnings)


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (100, 110, np.uint8),
        (240, 255, np.uint8),
        (60, 120, np.uint8),
        (30_000, 31_000, np.uint16),
        (64_000, 65_535, np.uint16),
    ],
)
def test_little_contrast_is_said(tmp_path: Path, low: int, high: int, kind: type) -> None:
    assert "The pixels of train lie between" in warned(tmp_path, lambda: between(low, high, kind))


@pytest.mark.parametrize("top", [70_000, 10**6, 2**24])
def test_what_is_beyond_sixteen_bits_is_said(tmp_path: Path, top: int) -> None:
    def pixels() -> np.ndarray:
        values = between(0, top, np.int32)
        values[0, 0] = top
        return values

    white = 2 ** top.bit_length() - 1
    assert f"all above 65535 are white; say which value is, as in `white: {white}`" in warned(tmp_path / "a", pixels)
    assert "are white" not in warned(tmp_path / "b", pixels, white=white)


@pytest.mark.parametrize("white", [100, 200])
def test_a_white_that_cuts_pixels_off_is_said(tmp_path: Path, white: int) -> None:
    said = warned(tmp_path, lambda: between(0, 255, np.uint8), white=white)
    assert f"Pixels of train go up to 255, and all above {white} are white" in said


@pytest.mark.parametrize("lowest", [-1, -1000])
def test_pixels_below_zero_are_said(tmp_path: Path, lowest: int) -> None:
    def pixels() -> np.ndarray:
        values = between(lowest, 60_000, np.int32)
        values[0, 0] = lowest
        return values

    assert f"go down to {lowest}: all below 0 are black" in warned(tmp_path, pixels)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_pictures_that_alone_are_nearly_black_are_counted(share: float) -> None:
    x = RNG.integers(0, 256, (100, 8, 8)).astype(np.uint8)
    x[: int(100 * share)] %= 10  # as 12 bits in 16 are, among others
    split = Dataset.from_arrays(x, np.arange(100) % 2, split=["train"] * 90 + ["test"] * 10).splits["train"]
    split.tensor(GREY)
    assert "pictures of train are nearly black" in " ".join(split.warnings)


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


def both_ways(shape: tuple[int, int, int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pictures whose channels may be first or last, and what they are in each reading, (N, H, W, 3) or (N, H, W)."""
    x = RNG.integers(0, 256, (40, *shape)).astype(np.uint8)
    readings = {"channels_first": x.transpose(0, 2, 3, 1), "channels_last": x}
    return x, {name: one[..., 0] if one.shape[3] == 1 else one for name, one in readings.items()}


@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.parametrize("last", [1, 3])
@pytest.mark.parametrize("middle", [1, 3, 8])
@pytest.mark.parametrize("source", ["npz", "arrays"])
def test_channels_that_may_be_first_or_last_are_asked_for(
    tmp_path: Path, first: int, middle: int, last: int, source: str
) -> None:
    x, readings = both_ways((first, middle, last))
    y = np.arange(40) % 2
    np.savez(tmp_path / "a.npz", x=x, y=y)

    def load(layout: str | None) -> Dataset:
        if source == "arrays":
            return Dataset.from_arrays(x, y, layout=layout)
        return load_dataset({"source": f"numpy:{tmp_path / 'a.npz'}"} | ({"layout": layout} if layout else {}))

    if first == middle == last == 1:
        assert load(None).fingerprint == load("channels_first").fingerprint == load("channels_last").fingerprint
        return
    with pytest.raises(InputError) as caught:
        load(None)
    assert f"{middle}x{last} pixels of {first} channels first" in str(caught.value)
    assert f"{first}x{middle} pixels of {last} channels last" in str(caught.value)
    assert "set `layout` to channels_first or channels_last" in str(caught.value)
    for layout, expected in readings.items():
        split = load(layout).splits["train"]
        assert (np.asarray(split.decode(5)) == expected[split.indices[5]]).all()


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (8, 8, 3), (8, 8, 1), (8, 3, 3), (3, 3, 8), (8, 3), (3, 8)])
def test_where_the_shape_tells_the_layout_need_not(shape: tuple[int, ...]) -> None:
    x, y = RNG.integers(0, 256, (40, *shape)).astype(np.uint8), np.arange(40) % 2
    plain = Dataset.from_arrays(x, y)
    if len(shape) == 2:
        assert {Dataset.from_arrays(x, y, layout=f"channels_{one}").fingerprint for one in ("first", "last")} == {
            plain.fingerprint
        }
        return
    right, wrong = ("first", "last") if shape[0] in (1, 3) else ("last", "first")
    assert Dataset.from_arrays(x, y, layout=f"channels_{right}").fingerprint == plain.fingerprint
    with pytest.raises(InputError, match=rf"shape \(40, {', '.join(map(str, shape))}\).*with this `layout`"):
        Dataset.from_arrays(x, y, layout=f"channels_{wrong}")


@pytest.mark.parametrize(("source", "layout"), [
    *(("numpy:a.npz", layout) for layout in ("classes", "splits")),
    *(("folder:a", layout) for layout in ("channels_first", "channels_last")),
])  # fmt: skip
def test_layouts_are_those_of_their_source(source: str, layout: str) -> None:
    with pytest.raises(InputError, match=rf"has no `layout: {layout}`, but \w+ or \w+"):
        load_dataset({"source": source, "layout": layout})
    with pytest.raises(InputError, match="is not a layout of pictures"):
        Dataset.from_arrays(np.zeros((8, 8, 8)), np.arange(8), layout=layout.replace("channels_", ""))
