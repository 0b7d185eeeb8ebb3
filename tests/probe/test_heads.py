"""The output layer that is taken off is the one that gave the answer, and nothing else is taken for it."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe.candidates import construct, load_candidate
from ncore.probe.images import ImageShape
from ncore.probe.sources.candidate_spec import CandidateSpec
from ncore.probe.sources.models import Features

SHAPE = ImageShape(3, 32)
TINY = {"image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 48}  # fmt: skip
CONVOLUTIONS = {"hidden_sizes": [8, 16], "depths": [1, 1]}
KINDS = {
    "ViT": TINY,
    "DeiT": TINY,
    "Dinov2": TINY,
    "Siglip": {"vision_config": TINY},
    "CLIP": {"vision_config": TINY},
    "Data2VecVision": TINY,
    "Swin": {
        "image_size": 32,
        "patch_size": 4,
        "embed_dim": 12,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 4,
    },
    "ResNet": {"embedding_size": 8, "layer_type": "basic", **CONVOLUTIONS},
    "RegNet": {"embedding_size": 8, "groups_width": 4, **CONVOLUTIONS},
    "ConvNext": {"num_stages": 2, **CONVOLUTIONS},
    "Bit": {"embedding_size": 8, "num_groups": 4, **CONVOLUTIONS},
    "MobileNetV1": {"depth_multiplier": 0.25, "min_depth": 4},
    "MobileNetV2": {"depth_multiplier": 0.25, "min_depth": 4},
}


def answered(model: nn.Module, read, images: torch.Tensor):
    """What the model answers, and what each Linear layer was fed and gave."""
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    hooks = [
        module.register_forward_hook(lambda _, fed, gave, name=name: seen.update({name: (fed[0], gave)}))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    with torch.no_grad():
        logits = read(model, images).logits
    for hook in hooks:
        hook.remove()
    return logits, seen


@pytest.mark.parametrize("labels", ["few", "as many as features"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_last_layer_was_fed_is_what_is_left(transformers, tmp_path, kind, labels):
    """With as many labels as there are features, layers inside have as many outputs as the last one."""
    torch.manual_seed(0)
    made = getattr(transformers, f"{kind}Config")(**KINDS[kind], architectures=[f"{kind}ForImageClassification"])
    made.num_labels = 5
    made.save_pretrained(tmp_path)
    spec = CandidateSpec.parse({"source": f"hf:{tmp_path}", "pretrained": False, "input_size": 32})
    if labels != "few":
        made.num_labels = load_candidate(spec, shape=SHAPE).feature_dim
        made.save_pretrained(tmp_path)
    loaded = construct(spec, SHAPE)
    model = loaded.model.eval()
    images = torch.rand(2, 3, 32, 32)
    logits, seen = answered(model, loaded.read, images)
    (head,) = [name for name, (_, gave) in seen.items() if gave.shape == logits.shape and torch.equal(gave, logits)]
    loaded.remove(model)
    with torch.no_grad():
        assert torch.allclose(Features(model, loaded.read)(images), seen[head][0], atol=1e-5)


def test_a_timm_model_in_the_wrapping_of_transformers_loses_its_head(transformers, tmp_path):
    pytest.importorskip("timm")
    config = transformers.TimmWrapperConfig(architecture="test_resnet", num_labels=7)
    model = transformers.TimmWrapperForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    backbone = load_candidate({"source": f"hf:{tmp_path}", "input_size": 64, "mean": [0.5], "std": [0.5]})
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        own = model.timm_model
        expected = own.forward_head(own.forward_features(images), pre_logits=True)
        assert torch.allclose(backbone.module(images), expected, atol=1e-5)


def test_names_of_kwargs_that_a_configuration_lacks_are_refused(transformers, tmp_path):
    transformers.ViTConfig(**TINY, architectures=["ViTForImageClassification"]).save_pretrained(tmp_path)
    spec = {"source": f"hf:{tmp_path}", "pretrained": False}
    deeper = load_candidate({**spec, "kwargs": {"num_hidden_layers": 3}})
    assert deeper.parameters > load_candidate(spec).parameters
    for wrong in ("num_hidden_layer", "layers", "drop_path"):
        with pytest.raises(InputError, match=f"'{wrong}'"):
            load_candidate({**spec, "kwargs": {wrong: 3}})


class Own(nn.Module):
    """A network of the user's, with a layer that no picture passes through."""

    def __init__(self, classes: int | None = None) -> None:
        super().__init__()
        self.body, self.unused, self.fc = nn.Linear(48, 6), nn.Linear(6, 3), nn.Linear(6, 10)
        if classes:
            self.num_classes = classes

    def forward(self, images):
        return self.fc(self.body(nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)))


@pytest.fixture
def nets(monkeypatch, tmp_path):
    (tmp_path / "own_heads.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_heads

    return own_heads


def test_a_layer_that_is_not_in_the_way_is_no_output_layer(nets):
    nets.make = Own
    spec = {"source": "python:own_heads:make", "input_size": 32}
    with pytest.raises(InputError, match="names unused, which no example passes through"):
        load_candidate({**spec, "remove": "unused"}, shape=SHAPE)
    assert load_candidate({**spec, "remove": "fc"}, shape=SHAPE).feature_dim == 6
    assert load_candidate({**spec, "remove": ["unused", "fc"]}, shape=SHAPE).feature_dim == 6


@pytest.mark.parametrize("kind", ["num_classes", "torchvision", "transformers", "timm"])
def test_classes_in_place_of_features_are_said(nets, transformers, kind):
    if kind == "num_classes":
        nets.make, layer = lambda: Own(10), "fc"
    elif kind == "torchvision":
        nets.make, layer = pytest.importorskip("torchvision").models.resnet18, "fc"
    elif kind == "timm":
        timm = pytest.importorskip("timm")
        nets.make, layer = lambda: timm.create_model("test_resnet"), "fc"
    else:
        nets.make, layer = lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**TINY)), "classifier"
    spec = {"source": "python:own_heads:make", "input_size": 32}
    said = load_candidate(spec, shape=SHAPE).warnings
    assert any(f"`remove: {layer}`" in text for text in said)
    without = load_candidate({**spec, "remove": layer}, shape=SHAPE)
    assert not any("seem to be classes" in text for text in without.warnings)


def test_features_of_the_users_own_are_not_suspected(nets):
    nets.make = Own
    assert not load_candidate({"source": "python:own_heads:make", "input_size": 32}, shape=SHAPE).warnings


def test_a_classifier_without_a_layer_for_its_labels_is_refused(transformers, tmp_path):
    transformers.ResNetForImageClassification(
        transformers.ResNetConfig(embedding_size=4, layer_type="basic", num_labels=3, **CONVOLUTIONS)
    ).save_pretrained(tmp_path)
    loaded = construct(CandidateSpec.parse({"source": f"hf:{tmp_path}"}), SHAPE)
    loaded.model.config.num_labels = 4
    with pytest.raises(InputError, match="with `remove`"):
        loaded.remove(loaded.model)
    about = json.loads((tmp_path / "config.json").read_text())
    assert about["architectures"] == ["ResNetForImageClassification"]


@pytest.mark.parametrize("how", ["random", "trained", "seeds itself", "once"])
def test_weights_of_a_factory_that_are_the_same_whatever_the_seed_are_trained_ones(nets, how):
    kept, calls = Own().state_dict(), []

    def make():
        calls.append(1)
        if how == "once" and len(calls) > 1:
            raise RuntimeError("no more")
        if how == "seeds itself":
            torch.manual_seed(3)
        model = Own()
        if how == "trained":
            model.load_state_dict(kept)
        return model

    nets.make = make
    spec = {"source": "python:own_heads:make", "input_size": 32}
    backbone = load_candidate(spec, seed=4, shape=SHAPE)
    told = [text for text in backbone.warnings if "whatever the seed" in text]
    assert bool(told) == (how in ("trained", "seeds itself"))
    calls.clear()
    assert not load_candidate({**spec, "mean": [0.4], "std": [0.2]}, shape=SHAPE).warnings
    calls.clear()
    same = load_candidate(spec, seed=4, shape=SHAPE).module.state_dict()
    assert all(torch.equal(value, same[key]) for key, value in backbone.module.state_dict().items())


def test_colours_that_are_lost_on_a_grey_model_are_said(transformers, tmp_path):
    grey = transformers.ResNetConfig(embedding_size=4, layer_type="basic", num_channels=1, **CONVOLUTIONS)
    transformers.ResNetForImageClassification(grey).save_pretrained(tmp_path)

    def lost(image, **spec):
        said = load_candidate({"source": f"hf:{tmp_path}", "input_size": 32, **spec}, shape=image).warnings
        return any("so that the colours" in text for text in said)

    assert lost(SHAPE)
    assert not lost(ImageShape(1, 32))
    assert not lost(SHAPE, channels=1)


def test_configuration_weights_and_processor_are_of_one_place(transformers, tmp_path):
    """A folder and a folder in it hold models of one name; what is asked for holds for all of a model's files."""
    places = {"": (tmp_path, 0.25), "inner": (tmp_path / "inner", 0.75)}
    for place, mean in places.values():
        model = transformers.ViTForImageClassification(transformers.ViTConfig(**TINY))
        torch.nn.init.constant_(model.vit.embeddings.cls_token, mean)
        model.save_pretrained(place)
        about = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}
        (place / "preprocessor_config.json").write_text(json.dumps(about | {"image_mean": [mean] * 3}))
    for subfolder, (_, mean) in places.items():
        backbone = load_candidate({"source": f"hf:{tmp_path}", "kwargs": {"subfolder": subfolder}}, shape=SHAPE)
        assert backbone.input.mean == (mean,) * 3
        assert backbone.module.model.vit.embeddings.cls_token.unique().tolist() == [mean]


@pytest.mark.parametrize("name", ["token", "cache_dir", "force_download", "variant", "use_safetensors"])
def test_what_only_the_configuration_would_heed_is_refused(transformers, tmp_path, name):
    transformers.ViTForImageClassification(transformers.ViTConfig(**TINY)).save_pretrained(tmp_path)
    values = {"token": "secret", "cache_dir": str(tmp_path), "variant": "fp16"}
    with pytest.raises(InputError, match=f"'{name}'"):
        load_candidate({"source": f"hf:{tmp_path}", "kwargs": {name: values.get(name, True)}}, shape=SHAPE)
