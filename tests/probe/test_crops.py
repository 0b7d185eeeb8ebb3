"""Which part of a picture a candidate's authors show is found, said, and shown where the recipe asks for it."""

from __future__ import annotations

import json
import re
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from ncore.errors import InputError
from ncore.probe.candidates import load_candidate
from ncore.probe.images import ImageShape, InputSpec, shape_of
from ncore.probe.sources import _measured

OBLONG = ImageShape(3, 64, oblong=True)


def smooth(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """A picture that filters hardly change: a gradient of each colour along a direction of its own."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    turns = rng.uniform(0, np.pi, 3)
    pixels = np.stack([(x - 0.5) * np.cos(a) + (y - 0.5) * np.sin(a) for a in turns], axis=-1)
    return Image.fromarray((127.5 + 170 * pixels).clip(0, 255).astype(np.uint8))


def seen(spec: InputSpec, picture: Image.Image) -> torch.Tensor:
    return spec.prepare(torch.from_numpy(spec.pixels(picture.copy()).copy())[None])[0]


def told(said: list[str]) -> dict:
    """What the warnings say that the recipe should say."""
    found = dict(re.findall(r"`(crop_pct|crop_mode): ([\w.]+)`", " ".join(said)))
    return {key: float(value) if key == "crop_pct" else value for key, value in found.items()}


@pytest.mark.parametrize("mode", ["center", "squash"])
@pytest.mark.parametrize("crop", [0.875, 0.9, 0.95, 0.965, 1.0])
@pytest.mark.parametrize("size", [64, 224, 299])
def test_timm_shows_the_same_pixels(mode, crop, size):
    timm = pytest.importorskip("timm")
    transform = timm.data.create_transform((3, size, size), crop_pct=crop, crop_mode=mode, interpolation="bicubic",
                                           mean=(0.0,) * 3, std=(1.0,) * 3)  # fmt: skip
    stated = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "crop_pct": crop}
    found = _measured.measure(transform, "a model", grey=False, stated=stated)
    assert (found["crop_pct"], found["crop_mode"], found["warnings"]) == (crop, mode, [])
    without = _measured.measure(transform, "a model", grey=False, stated={})
    assert int(size / without["crop_pct"]) == int(size / crop)
    rng = np.random.default_rng(size)
    for shown in (found, without):
        spec = InputSpec(3, size, (0.0,), (1.0,), "bicubic", crop_pct=shown["crop_pct"], crop_mode=mode)
        for width, height in ((400, 300), (300, 401), (size, size), (333, 333), (size + 1, 500)):
            picture = Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8))
            assert float((seen(spec, picture) - transform(picture)).abs().max()) <= 1.01 / 255


def test_every_set_of_weights_of_torchvision_is_measured():
    models = pytest.importorskip("torchvision").models
    for name in ("resnet18", "resnet50", "efficientnet_b3", "vit_b_16", "swin_v2_t", "inception_v3"):
        for weights in models.get_model_weights(name):
            preset = weights.transforms()
            found = _measured.measure(preset, name, grey=False, stated={})
            assert found["crop_mode"] == "center"
            assert int(preset.crop_size[0] / found["crop_pct"] + 1e-9) == preset.resize_size[0]


KINDS = {
    "ViT": {"size": {"height": 48, "width": 48}},
    "CLIP": {"size": {"shortest_edge": 56}, "crop_size": {"height": 48, "width": 48}},
    "ConvNext": {"size": {"shortest_edge": 48}, "crop_pct": 0.8},
    "Levit": {"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48}},
    "MobileNetV2": {"size": {"shortest_edge": 64}, "crop_size": {"height": 48, "width": 48}},
    "DeiT": {"size": {"height": 60, "width": 60}, "crop_size": {"height": 48, "width": 48}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers")
        config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")
        place = tmp_path_factory.mktemp("model")
        transformers.ResNetForImageClassification(config).save_pretrained(place)
    return place


@pytest.fixture(params=["torchvision", "pil"])
def backend(request, monkeypatch):
    """Where torchvision is missing, transformers takes Pillow."""
    import transformers

    made = partial(transformers.AutoImageProcessor.from_pretrained, backend=request.param)
    monkeypatch.setattr(transformers.AutoImageProcessor, "from_pretrained", made)
    return request.param


@pytest.mark.parametrize("kind", KINDS)
def test_processors_are_followed_as_the_warnings_say(folder, kind, backend):
    import transformers

    about = {"image_processor_type": f"{kind}ImageProcessor", "resample": 2, **KINDS[kind]}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    assert type(processor).__name__.endswith("Pil") == (backend == "pil")
    said = load_candidate(f"hf:{folder}", shape=OBLONG).warnings
    assert said  # each of them does something to oblong pictures, or to all
    backbone = load_candidate({"source": f"hf:{folder}", **told(said)}, shape=OBLONG)
    assert not backbone.warnings
    rng = np.random.default_rng(0)
    for width, height in ((90, 60), (64, 130), (80, 80)):
        picture = smooth(width, height, rng)
        theirs = torch.as_tensor(processor(picture, return_tensors="pt")["pixel_values"][0]).float()
        ours = seen(backbone.input, picture)
        inner = (slice(None), slice(2, -2), slice(2, -2))  # filters end differently at borders
        assert float((ours - theirs)[inner].abs().max()) <= 3.5 / 255 / min(backbone.input.std)


@pytest.mark.parametrize("normalises", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_processors_of_grey_models_are_followed(tmp_path, kind, backend, normalises):
    import transformers

    sizes = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic"}
    model = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_channels=1, **sizes))
    model.save_pretrained(tmp_path)
    about = {"image_processor_type": f"{kind}ImageProcessor", "resample": 2, **KINDS[kind]}
    about |= {"do_normalize": normalises, "do_convert_rgb": False, "image_mean": [0.3], "image_std": [0.2]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(about))
    said = load_candidate(f"hf:{tmp_path}", shape=OBLONG).warnings
    backbone = load_candidate({"source": f"hf:{tmp_path}", **told(said)}, shape=OBLONG)
    assert (backbone.input.channels, backbone.input.source) == (1, "processor")
    assert backbone.input.mean == ((0.3,) if normalises else (0.0,))
    assert backend in ("torchvision", "pil")


def test_squeezed_pictures_matter_only_where_some_are_oblong(folder):
    about = {"image_processor_type": "ViTImageProcessor", "size": {"height": 48, "width": 48}}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    assert not load_candidate(f"hf:{folder}", shape=ImageShape(3, 64)).warnings
    assert "squash" in load_candidate(f"hf:{folder}", shape=OBLONG).warnings[0]
    assert not load_candidate({"source": f"hf:{folder}", "crop_mode": "center"}, shape=OBLONG).warnings
    square, wide = Image.new("L", (8, 8)), Image.new("L", (9, 8))
    assert [shape_of(pictures).oblong for pictures in ([square], [square, wide])] == [False, True]


@pytest.mark.parametrize("what", ["border", "corner", "stretched"])
def test_what_is_neither_is_said(what):
    from PIL import ImageOps

    def process(picture):
        if what == "border":
            picture = ImageOps.pad(picture, (64, 64), color=(128, 128, 128))
        elif what == "corner":
            picture = picture.resize((128, 128)).crop((0, 0, 64, 64))
        else:
            picture = picture.crop((0, picture.height // 4, picture.width, picture.height * 3 // 4)).resize((64, 64))
        return torch.from_numpy(np.asarray(picture) / np.float32(255)).permute(2, 0, 1)

    found = _measured.measure(process, "a model", grey=False, stated={})
    if what == "border":  # squares are shown whole
        assert (found["crop_pct"], found["crop_mode"], found["warnings"]) == (1.0, "other", [])
    else:
        assert "crop_pct" not in found
        assert "another part of a picture" in found["warnings"][0]


def test_pictures_that_stay_oblong_are_said_where_some_are(folder):
    about = {"image_processor_type": "YolosImageProcessor", "size": {"shortest_edge": 64, "longest_edge": 120}}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    assert not load_candidate(f"hf:{folder}", shape=ImageShape(3, 64)).warnings
    assert "leaves them oblong" in load_candidate(f"hf:{folder}", shape=OBLONG).warnings[0]


@pytest.mark.parametrize("what", ["patch", "strip"])
def test_what_is_no_picture_any_more_is_refused(what):
    def process(picture):
        shape = (14, 14) if what == "patch" else (14, 1400)
        return (
            torch.from_numpy(np.asarray(picture) / np.float32(255))
            .permute(2, 0, 1)
            .repeat(1, 1, 5)[:, : shape[0], : shape[1]]
        )

    with pytest.raises(InputError, match="set `mean`, `std` and `input_size`"):
        _measured.measure(process, "a model", grey=False, stated={})


def test_a_recipe_without_them_shows_what_was_shown_before():
    """Runs recorded before there was a crop keep their ids, so their pixels must stay."""
    rng = np.random.default_rng(3)
    picture = Image.fromarray(rng.integers(0, 256, (70, 90, 3)).astype(np.uint8))
    square = picture.crop((10, 0, 80, 70))
    for size in (32, 70, 100):
        expected = np.asarray(square.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        assert np.array_equal(InputSpec(3, size, (0.5,), (0.5,)).pixels(picture.copy()), expected)
