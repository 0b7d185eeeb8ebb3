"""Near-copies are found where they are, and nobody cries wolf over pictures that only look alike."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter

from ncore.probe._copies import NEAR, near_copies, perceptual_hashes, small
from ncore.probe.datasets import Dataset, load_dataset


def scenes(count, seed=0, side=48):
    """Pictures that differ in what is large in them, as photographs do."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 9, 9, 3), dtype=np.uint8)
    return [Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC) for one in coarse]


def jpeg(image, quality=75):
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue()))


CHANGES = {
    "saved as JPEG": jpeg,
    "saved badly": lambda image: jpeg(image, 40),
    "halved": lambda image: image.resize((image.width // 2, image.height // 2)),
    "doubled": lambda image: image.resize((image.width * 2, image.height * 2)),
    "stretched": lambda image: image.resize((image.width + 9, image.height)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "grey": lambda image: image.convert("L"),
    "few colours": lambda image: image.quantize(128),
    "smoothed": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "opaque alpha": lambda image: jpeg(image).convert("RGBA"),
    "deep": lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200 + 99),
}


def as_folder(root, sets):
    for split, images in sets.items():
        for at, image in enumerate(images):
            folder = root / split / "ab"[at % 2]
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{at}.png")
    return f"folder:{root}"


def said(data):
    return [warning for warning in data.warnings if "look like ones" in warning]


@pytest.mark.parametrize("change", CHANGES)
def test_near_copies_are_counted_and_said(tmp_path, change):
    sets = {name: scenes(40, seed) for seed, name in enumerate(("train", "val", "test"))}
    sets["train"] += [CHANGES[change](image) for image in sets["test"][:5] + sets["val"][:5]]
    sets["val"] += [CHANGES[change](image) for image in sets["test"][5:8]]
    data = load_dataset(as_folder(tmp_path, sets))
    assert not data.left_out
    first, second = said(data)
    assert 8 <= int(first.split()[0]) <= 10
    assert "pictures of train look like ones that the validation or the test set has" in first
    assert 2 <= int(second.split()[0]) <= 3
    assert "pictures of validation look like ones that the test set has" in second
    assert len(data.splits["train"]) == 50  # said, and no more than that


def test_the_same_pixels_are_left_out_and_not_said_twice(tmp_path):
    sets = {name: scenes(40, seed) for seed, name in enumerate(("train", "val", "test"))}
    sets["train"] += sets["test"][:5]
    data = load_dataset(as_folder(tmp_path, sets))
    assert data.left_out == {"train": 5}
    assert not said(data)


def test_pictures_of_one_tone_are_no_copies_of_each_other():
    rng = np.random.default_rng(0)
    x = np.broadcast_to(rng.permutation(60 * 4)[:, None, None] // 1, (240, 8, 8)).astype(np.uint8)
    assert not said(Dataset.from_arrays(x, np.arange(240) % 2))


def test_frames_of_a_film_are_said_though_all_are_alike(tmp_path):
    shots = scenes(12)
    frames = [ImageEnhance.Brightness(shot).enhance(0.8 + step / 60) for shot in shots for step in range(12)]
    order = np.random.default_rng(0).permutation(len(frames))
    sets = {
        name: [frames[at] for at in rows] for name, rows in zip(("train", "test"), np.split(order, [96]), strict=True)
    }
    assert "pictures of train look like ones" in said(load_dataset(as_folder(tmp_path, sets)))[0]


@pytest.mark.parametrize("train", [None, 100, 300, 900])
def test_digits_only_look_alike(train):
    assert not said(load_dataset("digits", train=train))


HASHES = st.lists(st.tuples(st.integers(0, 9), st.sets(st.integers(0, 63), max_size=4)), min_size=1, max_size=40)


@given(own=HASHES, later=HASHES, seed=st.integers(0, 9))
def test_the_search_finds_all_that_comparing_all_does(own, later, seed):
    bases = np.random.default_rng(seed).integers(0, 2**64, 10, dtype=np.uint64)

    def made(items):
        return np.array([int(bases[base]) ^ sum(1 << bit for bit in bits) for base, bits in items], dtype=np.uint64)

    ours, theirs = made(own), made(later)
    apart = np.bitwise_count(ours[:, None] ^ theirs[None])
    nearest = apart.min(axis=1)
    expected = int((nearest <= NEAR).sum())
    chance = int(((nearest > NEAR) & (nearest <= 8)).sum())
    if chance > 0.1 * len(ours) and expected <= chance:
        expected = 0
    none = np.empty(0, dtype=np.uint64)
    digests = {"train": np.full(len(ours), b"own", "S16"), "validation": none.astype("S16"),
               "test": np.full(len(theirs), b"later", "S16")}  # fmt: skip
    found = near_copies(digests, {"train": ours, "validation": none, "test": theirs})
    assert found == ({"train": expected} if expected else {})


def test_hashes_do_not_depend_on_what_they_are_computed_beside():
    pictures = np.stack([small(image) for image in scenes(70)])
    whole, telling = perceptual_hashes(pictures)
    assert telling.all()
    assert whole.tolist() == [int(perceptual_hashes(one[None])[0][0]) for one in pictures]
