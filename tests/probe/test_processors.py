"""A candidate is fed what its own preprocessing would feed it, whatever the names of its settings."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from ncore.errors import InputError
from ncore.probe.candidates import load_candidate
from ncore.probe.sources import _measured
from ncore.probe.sources.models import Features, channels_last

KINDS = ("ViT", "CLIP", "ConvNext", "EfficientNet", "MobileViT", "Levit", "Siglip", "MobileNetV2", "Beit", "DeiT")
TOLERANCE = 1e-5
"""Of what a processor gives, beside a picture of the model's own size; pictures that are resized differ by filters."""


@pytest.fixture(scope="module")
def model(transformers, tmp_path_factory):
    """A folder with a tiny network that takes any size."""
    folder = tmp_path_factory.mktemp("model")
    config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")
    transformers.ResNetForImageClassification(config).save_pretrained(folder)
    return folder


def settings(kind: str, rng: np.random.Generator) -> dict:
    """A random configuration of a processor, as its authors may have written it."""
    size = int(rng.integers(4, 12)) * 8
    fixed = {"height": size, "width": size}
    chosen = {
        "image_processor_type": f"{kind}ImageProcessor",
        "size": {"shortest_edge": size} if kind in ("ConvNext", "Levit", "MobileViT", "CLIP", "MobileNetV2") else fixed,
        "crop_size": fixed,
        "do_normalize": bool(rng.random() < 0.7),
        "image_mean": rng.uniform(0, 1, 3).round(3).tolist(),
        "image_std": rng.uniform(0.1, 1, 3).round(3).tolist(),
        "rescale_factor": float(rng.choice([1 / 255, 1 / 127.5, 1 / 300])),
        "do_rescale": bool(rng.random() < 0.8),
        "resample": int(rng.choice([0, 2, 3])),
    }
    if kind == "EfficientNet":
        chosen |= {"rescale_offset": bool(rng.random() < 0.5), "include_top": bool(rng.random() < 0.5)}
    if kind == "MobileViT":
        chosen["do_flip_channel_order"] = bool(rng.random() < 0.5)
    left_out = rng.choice(["do_normalize", "image_mean", "resample", "do_rescale", "none"])
    chosen.pop(str(left_out), None)  # then the processor's own default holds
    return chosen


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_fed_as_the_processor_feeds_them(transformers, model, kind, seed):
    rng = np.random.default_rng([KINDS.index(kind), seed])
    (model / "preprocessor_config.json").write_text(json.dumps(settings(kind, rng)))
    processor = transformers.AutoImageProcessor.from_pretrained(model)
    backbone = load_candidate(f"hf:{model}")
    spec = backbone.input
    assert spec.source == "processor"
    assert all("crop_pct" in said for said in backbone.warnings)
    flat = [Image.new("RGB", (150, 150), tuple(int(v) for v in rng.integers(0, 256, 3))) for _ in range(4)]
    pictures = list(flat)
    if kind in ("ViT", "Siglip", "DeiT", "CLIP", "Beit"):  # those that leave a picture of their own size as it is
        pictures.append(Image.fromarray(rng.integers(0, 256, (spec.size, spec.size, 3)).astype(np.uint8)))
    for picture in pictures:
        theirs = torch.as_tensor(processor(picture, return_tensors="pt")["pixel_values"][0]).float()
        ours = spec.prepare(torch.from_numpy(spec.pixels(picture).copy())[None])[0]
        assert ours.shape == theirs.shape
        assert torch.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * max(1.0, float(theirs.abs().max())))


def test_a_recipe_overrides_it_and_that_is_said(model):
    about = {"image_processor_type": "ViTImageProcessor", "size": {"height": 40, "width": 40}}
    (model / "preprocessor_config.json").write_text(json.dumps(about))
    backbone = load_candidate({"source": f"hf:{model}", "mean": [0.1, 0.2, 0.3], "input_size": 48})
    assert (backbone.input.source, backbone.input.size, backbone.input.mean) == ("recipe", 48, (0.1, 0.2, 0.3))
    (said,) = backbone.warnings
    assert "[0.1, 0.2, 0.3]" in said
    assert "[0.5, 0.5, 0.5]" in said


def test_without_a_processor_the_default_is_said(model):
    (model / "preprocessor_config.json").unlink(missing_ok=True)
    backbone = load_candidate(f"hf:{model}")
    assert backbone.input.source == "default"
    assert "without its preprocessing" in backbone.warnings[0]
    assert not load_candidate({"source": f"hf:{model}", "mean": [0.5], "std": [0.5]}).warnings
    assert not load_candidate({"source": f"hf:{model}", "pretrained": False}).warnings


@pytest.mark.parametrize(
    "about",
    [
        {"image_processor_type": "NoSuchImageProcessor"},
        {"auto_map": {"AutoImageProcessor": "theirs.Theirs"}, "image_processor_type": "Theirs"},
        {"image_processor_type": "Pix2StructImageProcessor"},
        {"image_processor_type": "ViTImageProcessor", "image_mean": [123.7] * 3, "image_std": [58.4] * 3},
    ],
)
def test_a_processor_that_cant_be_followed_is_refused_unless_the_recipe_says_it_all(model, about):
    (model / "preprocessor_config.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="set `mean`, `std` and `input_size`") as caught:
        load_candidate(f"hf:{model}")
    assert "\n" not in str(caught.value)
    stated = {"mean": [0.4], "std": [0.2], "input_size": 32}
    assert load_candidate({"source": f"hf:{model}", **stated}).input.source == "recipe"


@pytest.mark.parametrize(
    "wrong",
    [lambda x: x**2, lambda x: x.clip(0.2, 0.8), lambda x: x - x.mean(), lambda x: x[[0, 0, 1]], lambda x: 1 - x],
    ids=["gamma", "clips", "centres", "mixes", "inverts"],
)
def test_what_is_not_affine_is_refused(wrong):
    def process(picture):
        return wrong(torch.from_numpy(np.asarray(picture) / 255).permute(2, 0, 1))

    with pytest.raises(InputError, match="isn't one factor and one offset"):
        _measured.measure(process, "a model", grey=False, stated={})


def test_padding_and_oblong_inputs_are_said():
    def process(picture):
        return nn.functional.pad(torch.full((3, 20, 30), picture.getpixel((0, 0))[0] / 255), (2, 2, 2, 2), value=-1)

    def by_channel(picture):
        flat = torch.tensor(picture.getpixel((0, 0)))[:, None, None] / 255
        return nn.functional.pad(flat.expand(3, 20, 30), (2, 2, 2, 2), value=-1)

    with pytest.raises(InputError):
        _measured.measure(process, "a model", grey=False, stated={})
    found = _measured.measure(by_channel, "a model", grey=False, stated={})
    assert found["size"] == 24
    assert ["pads" in found["warnings"][0], "24x34" in found["warnings"][1]] == [True, True]


def test_weights_of_torchvision_and_timm_say_where_it_came_from():
    pytest.importorskip("timm")
    pytest.importorskip("torchvision")
    for source in ("timm:test_resnet", "torchvision:squeezenet1_1"):
        backbone = load_candidate({"source": source, "pretrained": False, "input_size": 64})
        assert (backbone.input.source, backbone.warnings) == ("weights' transforms", [])


@pytest.mark.parametrize("kind", ["DeiT", "Levit"])
def test_both_heads_of_a_distilled_model_are_taken_off(transformers, tmp_path, kind):
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = (
        transformers.DeiTConfig(image_size=32, patch_size=8, **sizes)
        if kind == "DeiT"
        else transformers.LevitConfig(image_size=64, hidden_sizes=[16, 24, 32], num_attention_heads=[2, 2, 2],
                                      depths=[1, 1, 1], key_dim=[8, 8, 8])
    )  # fmt: skip
    model = getattr(transformers, f"{kind}ForImageClassificationWithTeacher")(config).eval()
    model.save_pretrained(tmp_path)
    backbone = load_candidate(f"hf:{tmp_path}")
    assert backbone.feature_dim == (24 if kind == "DeiT" else 32)
    if kind == "DeiT":
        images = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            tokens = model.deit(images).last_hidden_state
            assert torch.allclose(backbone.module(images), (tokens[:, 0] + tokens[:, 1]) / 2, atol=1e-5)
            assert backbone.module.train()(images).shape == (2, 24)


@pytest.mark.parametrize(
    ("shape", "known", "last"),
    [
        ((2, 16, 7, 7), None, False), ((2, 7, 7, 16), None, True), ((2, 6, 7, 16), 16, True),
        ((2, 16, 6, 7), 16, False), ((2, 7, 7, 7), None, None), ((2, 6, 7, 16), None, None),
    ],
)  # fmt: skip
def test_feature_maps_with_channels_last(shape, known, last):
    model = nn.Identity()
    model.num_features = known
    if last is None:
        with pytest.raises(InputError, match="num_features"):
            channels_last(model, shape)
    else:
        assert channels_last(model, shape) is last
        x = torch.randn(shape)
        expected = x.mean((1, 2) if last else (2, 3))
        assert torch.equal(Features(model, lambda model, images: images)(x), expected)


def test_the_preprocessing_of_an_architecture_is_not_that_of_other_weights(tmp_path):
    timm = pytest.importorskip("timm")
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    spec = {"source": f"file:{tmp_path / 'w.safetensors'}", "architecture": "timm:test_resnet"}
    assert "those of its architecture" in load_candidate(spec).warnings[0]
    assert not load_candidate(spec | {"mean": [0.4], "std": [0.2]}).warnings
