"""What a folder does to pictures is what was done to them in training, to the last bit."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ncore.finish.pictures import PicturePreprocessing
from ncore.finish.standalone.pictures import Preprocessing
from ncore.probe.datasets import Dataset
from ncore.probe.images import INTERPOLATIONS, Conversion, InputSpec

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "palette with transparency")


def picture(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    rgb = Image.fromarray(random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    if mode.startswith("I"):
        wide = random.integers(0, 4096, size[::-1])
        return Image.fromarray(wide.astype(np.int32 if mode == "I" else np.uint16))
    if mode == "palette with transparency":
        image = rgb.quantize(16)
        image.info["transparency"] = 3
        return image
    image = rgb.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(random.integers(0, 256, size[::-1], dtype=np.uint8)))
    return image


specs = st.builds(
    lambda channels, **fields: InputSpec(
        channels=channels, mean=(0.4, 0.5, 0.6)[:channels], std=(0.2, 0.3, 0.4)[:channels], **fields
    ),
    channels=st.sampled_from([1, 3]),
    size=st.integers(1, 40),
    interpolation=st.sampled_from(sorted(INTERPOLATIONS)),
    order=st.sampled_from(["rgb", "bgr"]),
    crop_pct=st.sampled_from([None, 0.5, 0.875, 1.0]),
    crop_mode=st.sampled_from(["center", "squash"]),
)
conversions = st.builds(
    Conversion, white=st.sampled_from([None, 16, 255, 4095, 65535]), background=st.sampled_from(["white", "#102030"])
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Writes preprocessing as a finish does, and reads it as others do."""
    folder = tmp_path_factory.mktemp("preprocessing")
    data = Dataset.from_arrays(np.arange(640).reshape(10, 8, 8) / 640, np.arange(10) % 2)

    def make(spec: InputSpec, conversion: Conversion) -> Preprocessing:
        test = data.splits["test"]
        test.modality = dataclasses.replace(test.modality, conversion=conversion)
        PicturePreprocessing(test, spec).write(folder)
        return Preprocessing(folder)

    return make


@settings(deadline=None, max_examples=150)
@given(
    spec=specs,
    conversion=conversions,
    mode=st.sampled_from(MODES),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 9),
)
def test_the_same_pixels_and_the_same_input(made, spec, conversion, mode, size, seed):
    outside = made(spec, conversion)
    inside = spec.pixels(conversion(picture(mode, size, seed)))
    assert np.array_equal(outside.pixels(picture(mode, size, seed)), inside)
    (found,) = outside([picture(mode, size, seed)])
    assert torch.equal(found, spec.prepare(torch.from_numpy(inside.copy())[None]))


@settings(deadline=None, max_examples=40)
@given(
    spec=specs,
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF"]),
    turned=st.integers(1, 8),
    size=st.tuples(st.integers(200, 400), st.integers(200, 400)),
)
def test_files_of_any_kind_turned_in_any_way(made, tmp_path_factory, spec, kind, turned, size):
    """Large JPEG files are decoded at a fraction of their size, here as there."""
    image, exif = picture("RGB", size, 0), Image.Exif()
    exif[0x0112] = turned
    data = io.BytesIO()
    image.save(data, kind, **({} if kind == "GIF" else {"exif": exif}))
    path = tmp_path_factory.getbasetemp() / f"picture.{kind.lower()}"
    path.write_bytes(data.getvalue())
    inside = spec.pixels(Conversion()(Image.open(io.BytesIO(data.getvalue()))))
    assert np.array_equal(made(spec, Conversion()).pixels(str(path)), inside)


def test_arrays_and_pixels_of_unknown_range(made):
    outside = made(InputSpec(channels=3, size=8, mean=(0.5,), std=(0.5,)), Conversion())
    array = np.zeros((9, 9, 3), np.uint8)
    assert outside([array])[0].shape == (1, 3, 8, 8)
    with pytest.raises(ValueError, match="floating-point"):
        outside([Image.fromarray(np.zeros((9, 9), np.float32))])


def test_what_is_written_is_plain_json(made, tmp_path):
    outside = made(InputSpec(channels=1, size=8, mean=(0.5,), std=(0.5,)), Conversion())
    assert json.loads(json.dumps(outside.settings)) == outside.settings
    assert set(outside.settings) == {
        "channels", "size", "mean", "std", "interpolation", "order", "crop_pct", "crop_mode", "white", "background"
    }  # fmt: skip
