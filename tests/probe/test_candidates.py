"""Candidates: their names, weights, output layers and inputs, with the real libraries and without a network."""

import contextlib
import os
import socket
import sys
import time
import warnings

import pytest
import torch
from torch import nn

from ncore.errors import InputError, MissingExtraError, OfflineError
from ncore.probe.candidates import CandidateSpec, load_candidate, save_backbone
from ncore.probe.images import ImageShape
from ncore.probe.sources import _offline

GREY8 = ImageShape(1, 8)


def same_weights(a, b):
    first, second = a.module.state_dict(), b.module.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@contextlib.contextmanager
def tolerant():
    """Third-party libraries warn on import and construction."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Names


@pytest.mark.parametrize(
    ("spec", "source", "name", "pretrained"),
    [
        ("resnet", "builtin:resnet", "resnet", False),
        ("builtin:vit-small", "builtin:vit-small", "vit-small", False),
        ("timm:resnet18.a1_in1k", "timm:resnet18.a1_in1k", "resnet18.a1_in1k", True),
        ({"source": "torchvision:resnet18", "pretrained": False}, "torchvision:resnet18", "resnet18-scratch", False),
        ({"source": "hf:org/name", "name": "mine"}, "hf:org/name", "mine", True),
        ({"source": "timm:resnet18", "weights": "a.safetensors"}, "timm:resnet18", "resnet18", True),
        ({"source": "file:w/a.b.safetensors", "architecture": "timm:resnet18"}, "file:w/a.b.safetensors", "a.b", True),
        ("python:pack.nets:make", "python:pack.nets:make", "make", False),
    ],
)
def test_parse(spec, source, name, pretrained):
    parsed = CandidateSpec.parse(spec)
    assert (parsed.source, parsed.name, parsed.pretrained) == (source, name, pretrained)
    assert CandidateSpec.parse(parsed.model_dump(mode="json")) == parsed


def test_training_overrides_pass_through():
    training = {"optimizer": {"lr": 0.1}, "anything": [1, 2]}
    assert CandidateSpec.parse({"source": "vgg", "training": training}).training == training


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("resnte", ["'resnte'", "resnet"]),
        ("keras:vgg", ["'keras'", "timm:"]),
        ("tim:vgg", ["'tim'", "timm:"]),
        ("timm:", ["timm:NAME"]),
        ("python:os", ["python:module:factory"]),
        (3, ["3", "source"]),
        ({"name": "x"}, ["source"]),
        ({"source": "vgg", "size": 3}, ["'size'", "not known here"]),
        ({"source": "vgg", "input_size": 3}, ["input_size is 3", "8"]),
        ({"source": "vgg", "channels": 2}, ["channels is 2"]),
        ({"source": "vgg", "std": [0.0]}, ["std", "greater than 0"]),
        ({"source": "vgg", "pretrained": True}, ["`weights`"]),
        ({"source": "vgg", "pretrained": False, "weights": "x"}, ["contradicts"]),
        ({"source": "vgg", "architecture": "resnet"}, ["`architecture`", "file:"]),
        ("file:x.safetensors", ["`architecture`"]),
        ({"source": "file:x", "architecture": "file:y"}, ["file:"]),
        ({"source": "file:x", "architecture": "resnte"}, ["'resnte'"]),
        ({"source": "file:x", "architecture": {"factory": "nodots"}}, ["factory", "nodots"]),
    ],
)
def test_bad_names_give_one_clear_sentence(spec, words):
    with pytest.raises(InputError) as caught:
        CandidateSpec.parse(spec)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


# Built-in networks, seeds, weights in files


def test_builtin_follows_the_dataset_up_to_its_cap():
    assert load_candidate("lenet", shape=GREY8).input.size == 8
    large = load_candidate("vgg-small", shape=ImageShape(3, 300))
    assert (large.input.channels, large.input.size) == (3, 32)
    chosen = load_candidate({"source": "vgg-small", "input_size": 40, "channels": 1}, shape=ImageShape(3, 300))
    assert (chosen.input.channels, chosen.input.size) == (1, 40)
    assert load_candidate("vgg-small", shape=ImageShape(3, 5)).input.size == 8


def test_same_seed_same_weights_and_the_global_state_is_left_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = load_candidate("resnet-small", seed=1, shape=GREY8)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert same_weights(first, load_candidate("resnet-small", seed=1, shape=GREY8))
    assert not same_weights(first, load_candidate("resnet-small", seed=2, shape=GREY8))


def test_backbone_describes_itself():
    backbone = load_candidate({"source": "dense-small", "name": "tiny"}, shape=GREY8)
    assert (backbone.name, backbone.source, backbone.pretrained) == ("tiny", "builtin:dense-small", False)
    assert backbone.parameters == 64 * 64 + 64 + 64 * 64 + 64
    assert not backbone.module.training
    assert backbone.module(torch.zeros(3, 1, 8, 8)).shape == (3, backbone.feature_dim)


@pytest.mark.parametrize("name", ["resnet-small", "vit-small"])
def test_saved_weights_come_back(tmp_path, name):
    saved = load_candidate(name, seed=1, shape=GREY8)
    save_backbone(saved, tmp_path / "w.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    for spec in (
        {"source": name, "weights": tmp_path / "w.safetensors"},
        {"source": f"file:{tmp_path / 'w.safetensors'}", "architecture": f"builtin:{name}"},
    ):
        loaded = load_candidate(spec, seed=2, shape=GREY8)
        assert same_weights(saved, loaded)
        assert loaded.pretrained


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"source": "resnet"}, ["instead of", "more", "kwargs"]),
        ({"source": "vgg-small"}, ["10 tensors are missing", "48 tensors are not part", "kwargs"]),
        ({"source": "resnet-small", "kwargs": {"norm": "none"}}, ["9 tensors are missing", "and 6 more"]),
        ({"source": "resnet-small", "kwargs": {"depth": 2}}, ["resnet-small"]),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(tmp_path, spec, words):
    save_backbone(load_candidate("resnet-small", shape=GREY8), tmp_path / "w.safetensors")
    with pytest.raises(InputError) as caught:
        load_candidate({**spec, "weights": str(tmp_path / "w.safetensors")}, shape=GREY8)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_extra_tensors_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    path = tmp_path / "w.safetensors"
    save_backbone(load_candidate("vgg-small", shape=GREY8), path)
    save_file({**load_file(path), "extra.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"extra\.weight is not part of the model"):
        load_candidate({"source": "vgg-small", "weights": path}, shape=GREY8)


class Trap:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_is_unpickled(tmp_path):
    torch.save({"weight": Trap(tmp_path / "sprung")}, tmp_path / "w.pt")
    with pytest.raises(InputError, match="refused"):
        load_candidate({"source": "vgg-small", "weights": tmp_path / "w.pt"}, shape=GREY8)
    assert not (tmp_path / "sprung").exists()


def test_a_plain_state_dict_in_a_pt_file_is_fine(tmp_path):
    saved = load_candidate("vgg-small", seed=1, shape=GREY8)
    torch.save(saved.module.model.state_dict(), tmp_path / "w.pt")
    loaded = load_candidate({"source": "vgg-small", "weights": tmp_path / "w.pt"}, shape=GREY8)
    assert same_weights(saved, loaded)


@pytest.mark.parametrize(("name", "content"), [("w.safetensors", b"nonsense"), ("w.pt", b"nonsense")])
def test_broken_weight_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        load_candidate({"source": "vgg-small", "weights": tmp_path / name}, shape=GREY8)
    with pytest.raises(InputError, match="does not exist"):
        load_candidate({"source": "vgg-small", "weights": tmp_path / "absent.safetensors"}, shape=GREY8)


# python: and dotted factories


@pytest.fixture
def my_nets(tmp_path, monkeypatch):
    (tmp_path / "my_nets.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def maps(width=5):\n    return nn.Conv2d(3, width, 3)\n"
        "def classifier():\n    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 7), nn.Linear(7, 1000))\n"
        "def number():\n    return 3\n"
        "def broken():\n    raise RuntimeError('no such luck')\n"
        "class Two(nn.Module):\n    def forward(self, x):\n        return {'out': x}\n"
    )
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_nets", None)


@pytest.mark.usefixtures("my_nets")
def test_python_factory_gives_features():
    backbone = load_candidate({"source": "python:my_nets:maps", "kwargs": {"width": 6}}, shape=ImageShape(3, 16))
    assert backbone.feature_dim == 6
    images = torch.randn(2, 3, 16, 16)
    expected = backbone.module.model(images).mean((2, 3))
    assert torch.equal(backbone.module(images), expected)
    assert os.getcwd() not in sys.path


@pytest.mark.usefixtures("my_nets")
def test_remove_names_the_output_layer():
    shape = ImageShape(3, 16)
    assert load_candidate("python:my_nets:classifier", shape=shape).feature_dim == 1000
    assert load_candidate({"source": "python:my_nets:classifier", "remove": "2"}, shape=shape).feature_dim == 7
    both = load_candidate({"source": "python:my_nets:classifier", "remove": ["1", "2"]}, shape=shape)
    assert both.feature_dim == 3 * 16 * 16
    with pytest.raises(InputError, match="'head'"):
        load_candidate({"source": "python:my_nets:classifier", "remove": "head"}, shape=shape)


@pytest.mark.usefixtures("my_nets")
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("python:my_nets:absent", ["absent"]),
        ("python:no_such_module:f", ["no_such_module"]),
        ("python:my_nets:number", ["int", "Module"]),
        ("python:my_nets:broken", ["no such luck"]),
        ("python:my_nets:Two", ["dict", "features"]),
        ({"source": "python:my_nets:maps", "channels": 1}, ["1x16x16", "channels"]),
    ],
)
def test_factories_that_fail(source, words):
    with pytest.raises(InputError) as caught:
        load_candidate(source, shape=ImageShape(3, 16))
    assert all(word in str(caught.value) for word in words), str(caught.value)


# timm


@pytest.fixture(scope="module")
def timm():
    with tolerant():
        return pytest.importorskip("timm")


def test_timm_model_without_its_classifier(timm):
    backbone = load_candidate({"source": "timm:test_resnet", "pretrained": False}, seed=3)
    config = timm.data.resolve_data_config(timm.get_pretrained_cfg("test_resnet").to_dict())
    assert backbone.input.size == config["input_size"][1]
    assert backbone.input.mean == config["mean"]
    assert backbone.input.interpolation == config["interpolation"]
    assert backbone.feature_dim == timm.create_model("test_resnet").num_features
    assert same_weights(backbone, load_candidate({"source": "timm:test_resnet", "pretrained": False}, seed=3))


def test_timm_overrides(timm):
    del timm
    spec = {"source": "timm:test_resnet", "pretrained": False, "input_size": 64, "mean": [0.1], "std": [0.2, 0.3, 0.4]}
    chosen = load_candidate({**spec, "interpolation": "nearest"}).input
    assert (chosen.size, chosen.mean, chosen.std, chosen.interpolation) == (
        64, (0.1, 0.1, 0.1), (0.2, 0.3, 0.4), "nearest",
    )  # fmt: skip
    grey = load_candidate({"source": "timm:test_resnet", "pretrained": False, "kwargs": {"in_chans": 1}}).input
    assert grey.channels == len(grey.mean) == 1


def test_timm_transformer_of_fixed_size_takes_another(timm):
    del timm
    backbone = load_candidate({"source": "timm:test_vit", "pretrained": False, "input_size": 64})
    assert backbone.module(torch.zeros(1, 3, 64, 64)).shape == (1, backbone.feature_dim)


@pytest.mark.parametrize("headless", [False, True])
@pytest.mark.parametrize("form", ["weights", "file", "factory"])
def test_timm_weights_with_and_without_classifier(timm, tmp_path, headless, form):
    from safetensors.torch import save_file

    torch.manual_seed(9)
    model = timm.create_model("test_efficientnet", num_classes=0 if headless else 12).eval()
    path = tmp_path / "w.safetensors"
    # As many published files do, this one leaves out the counters of batches.
    save_file({key: value for key, value in model.state_dict().items() if "num_batches" not in key}, path)
    kwargs = {"num_classes": 12}
    factory = {"factory": "timm.create_model", "args": ["test_efficientnet"], "kwargs": kwargs}
    spec = {
        "weights": {"source": "timm:test_efficientnet", "weights": path, "kwargs": kwargs},
        "file": {"source": f"file:{path}", "architecture": "timm:test_efficientnet", "kwargs": kwargs},
        "factory": {"source": f"file:{path}", "architecture": factory},
    }[form]
    backbone = load_candidate(spec)
    assert backbone.input.size == 160
    images = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(images), pre_logits=True)
        assert torch.allclose(backbone.module(images), expected, atol=1e-6)


def test_half_precision_weights_become_single(timm, tmp_path):
    from safetensors.torch import save_file

    model = timm.create_model("test_resnet").half()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    backbone = load_candidate({"source": "timm:test_resnet", "weights": tmp_path / "w.safetensors"})
    assert {parameter.dtype for parameter in backbone.module.parameters()} == {torch.float32}


def test_a_classifier_of_other_classes_is_named(timm, tmp_path):
    from safetensors.torch import save_file

    save_file(timm.create_model("test_resnet", num_classes=12).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"fc\.weight is \(12, .* instead of \(1000"):
        load_candidate({"source": "timm:test_resnet", "weights": tmp_path / "w.safetensors"})


@pytest.mark.parametrize(
    ("name", "word"), [("test_resnett", "test_resnet"), ("resnet18.nothing", "nothing"), ("test_resnet", "no_such_arg")]
)
def test_timm_names_and_arguments_that_do_not_exist(timm, name, word):
    del timm
    kwargs = {"no_such_arg": 1} if word == "no_such_arg" else {}
    with pytest.raises(InputError, match=word):
        load_candidate({"source": f"timm:{name}", "pretrained": False, "kwargs": kwargs})


# torchvision


@pytest.fixture(scope="module")
def torchvision():
    with tolerant():
        return pytest.importorskip("torchvision")


@pytest.mark.parametrize(
    ("name", "features"),
    [("resnet18", 512), ("squeezenet1_1", 512), ("mobilenet_v3_small", 1024), ("densenet121", 1024)],
)
def test_torchvision_models_without_their_classifier(torchvision, name, features):
    del torchvision
    backbone = load_candidate({"source": f"torchvision:{name}", "pretrained": False, "input_size": 64})
    assert backbone.feature_dim == features
    assert backbone.input.mean == (0.485, 0.456, 0.406)


def test_torchvision_own_size_and_file(torchvision, tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(2)
    model = torchvision.models.squeezenet1_1().eval()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    factory = {"factory": "torchvision.models.squeezenet1_1"}
    backbone = load_candidate({"source": f"file:{tmp_path / 'w.safetensors'}", "architecture": factory})
    assert backbone.input.size == 224
    assert backbone.input.interpolation == "bilinear"
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(backbone.module(images), model.features(images).mean((2, 3)), atol=1e-6)


def test_auxiliary_outputs_are_left_aside(torchvision):
    del torchvision
    backbone = load_candidate({"source": "torchvision:googlenet", "pretrained": False, "input_size": 64})
    assert backbone.module.train()(torch.randn(2, 3, 64, 64)).shape == (2, 1024)


def test_torchvision_weights_are_read_safely(torchvision, tmp_path, monkeypatch):
    """A cached download that holds more than tensors is refused before torchvision unpickles it."""
    weights = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / weights.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save({"weight": Trap(tmp_path / "sprung")}, cached)
    with pytest.raises(InputError, match="squeezenet1_1"):
        load_candidate("torchvision:squeezenet1_1")
    assert not (tmp_path / "sprung").exists()
    torch.save(torchvision.models.squeezenet1_1().state_dict(), cached)
    assert load_candidate({"source": "torchvision:squeezenet1_1", "input_size": 64}).pretrained


@pytest.mark.parametrize("name", ["resnet19", "fasterrcnn_resnet50_fpn"])
def test_torchvision_names_that_are_no_classifiers(torchvision, name):
    del torchvision
    with pytest.raises(InputError, match=name):
        load_candidate(f"torchvision:{name}")


@pytest.mark.slow
def test_every_torchvision_classifier_loses_exactly_its_output(torchvision):
    from ncore.probe.sources.models import remove_last_linear

    for name in torchvision.models.list_models(module=torchvision.models):
        if name.startswith(("regnet", "squeezenet")):
            continue  # regnet cannot be built without memory for it, SqueezeNet is tested above
        with tolerant(), torch.device("meta"):
            model = torchvision.models.get_model(name, num_classes=1237)
        output = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        assert output.out_features == 1237, name
        remove_last_linear(model)
        assert not any(module is output for module in model.modules()), name


# transformers


@pytest.fixture(scope="module")
def transformers():
    with tolerant():
        library = pytest.importorskip("transformers")
        library.ViTForImageClassification  # noqa: B018  (its import is lazy and warns)
        return library


@pytest.fixture(scope="module")
def vit_config(transformers):
    return transformers.ViTConfig(
        image_size=32, patch_size=8, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48
    )


def save(transformers, model, folder, **processor):
    model.save_pretrained(folder)
    if processor:
        import json

        (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def test_transformers_classifier(transformers, vit_config, tmp_path):
    torch.manual_seed(4)
    model = transformers.ViTForImageClassification(vit_config).eval()
    save(
        transformers, model, tmp_path, image_processor_type="ViTImageProcessor", size={"height": 32, "width": 32},
        image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6], resample=3,
    )  # fmt: skip
    backbone = load_candidate(f"hf:{tmp_path}")
    assert backbone.input.size == 32
    assert backbone.input.mean == (0.1, 0.2, 0.3)
    assert backbone.input.interpolation == "bicubic"
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.vit(images).last_hidden_state[:, 0]
        assert torch.allclose(backbone.module(images), expected, atol=1e-5)
    larger = load_candidate({"source": f"hf:{tmp_path}", "input_size": 64})
    assert larger.module(torch.zeros(1, 3, 64, 64)).shape == (1, 24)


def test_transformers_backbone_with_a_trained_pooler(transformers, vit_config, tmp_path):
    model = transformers.ViTModel(vit_config).eval()
    save(transformers, model, tmp_path)
    backbone = load_candidate(f"hf:{tmp_path}")
    assert backbone.input.size == 32  # no image processor: the configuration's image_size
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(backbone.module(images), model(images).pooler_output, atol=1e-5)


def test_transformers_backbone_without_a_pooler_averages_its_tokens(transformers, vit_config, tmp_path):
    model = transformers.ViTModel(vit_config, add_pooling_layer=False).eval()
    save(transformers, model, tmp_path)
    backbone = load_candidate(f"hf:{tmp_path}")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(images).last_hidden_state.mean(1)
        assert torch.allclose(backbone.module(images), expected, atol=1e-5)


def test_transformers_convolutional_in_half_precision_flipping_channels(transformers, tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    model = transformers.ResNetForImageClassification(config).eval()
    save(transformers, model.half(), tmp_path, size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32},
         do_center_crop=True, do_normalize=False, do_flip_channel_order=True)  # fmt: skip
    backbone = load_candidate(f"hf:{tmp_path}")
    assert backbone.feature_dim == 16
    assert (backbone.input.size, backbone.input.mean, backbone.input.std) == (32, (0.0,) * 3, (1.0,) * 3)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.float().resnet(images).pooler_output.flatten(1)
        assert torch.allclose(backbone.module(images), expected, atol=1e-5)


def test_transformers_from_configuration_is_seeded(transformers, vit_config, tmp_path):
    del transformers
    vit_config.architectures = ["ViTForImageClassification"]
    vit_config.save_pretrained(tmp_path)
    spec = {"source": f"hf:{tmp_path}", "pretrained": False}
    first = load_candidate(spec, seed=1)
    assert same_weights(first, load_candidate(spec, seed=1))
    assert not same_weights(first, load_candidate(spec, seed=2))
    assert not first.pretrained


def test_transformers_weights_must_be_whole_and_safetensors(transformers, vit_config, tmp_path):
    from safetensors.torch import load_file, save_file

    model = transformers.ViTForImageClassification(vit_config)
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    dropped = next(key for key in state if "encoder" in key or "layer" in key)
    save_file({key: value for key, value in state.items() if key != dropped}, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match="untrained"):
        load_candidate(f"hf:{tmp_path}")
    path.unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors"):
        load_candidate(f"hf:{tmp_path}")


def test_picture_half_of_clip(transformers, tmp_path):
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**tiny, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
        vision_config={**tiny, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    backbone = load_candidate(f"hf:{tmp_path}")
    assert (backbone.feature_dim, backbone.input.size) == (16, 32)


# Without a library, without a network


@pytest.mark.parametrize(
    ("package", "source", "extra"),
    [("timm", "timm:resnet18", "timm"), ("torchvision", "torchvision:resnet18", "torchvision"),
     ("transformers", "hf:org/name", "hf")],
)  # fmt: skip
def test_missing_extras_are_named_with_the_install_line(monkeypatch, package, source, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'ncore\[{extra}\]'") as caught:
        load_candidate(source)
    assert source in str(caught.value)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(_offline, "_known", {})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("no_network", "timm", "torchvision", "transformers")
@pytest.mark.parametrize(
    "spec",
    [
        "timm:resnet10t.c3_in1k",
        "timm:hf-hub:ncore-tests/absent",
        "torchvision:shufflenet_v2_x0_5",
        "hf:ncore-tests/absent",
        {"source": "hf:ncore-tests/absent", "pretrained": False},
    ],
)
def test_no_network_gives_one_sentence_at_once(spec):
    import huggingface_hub

    start = time.monotonic()
    with pytest.raises(OfflineError) as caught:
        load_candidate(spec)
    assert time.monotonic() - start < 10
    message = str(caught.value)
    source = spec if isinstance(spec, str) else spec["source"]
    assert message.startswith(source)
    assert "cannot be reached" in message
    assert "\n" not in message
    assert not huggingface_hub.constants.HF_HUB_OFFLINE, "the switch was left on"


@pytest.mark.usefixtures("no_network")
def test_cached_weights_need_no_network(timm, tmp_path, monkeypatch):
    import huggingface_hub
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = timm.create_model("test_resnet").eval()
    repository = "models--" + model.pretrained_cfg["hf_hub_id"].replace("/", "--")
    snapshot = tmp_path / repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (tmp_path / repository / "refs").mkdir()
    (tmp_path / repository / "refs" / "main").write_text("0" * 40)
    save_file(model.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    backbone = load_candidate("timm:test_resnet")
    images = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(images), pre_logits=True)
        assert torch.allclose(backbone.module(images), expected, atol=1e-6)


@pytest.mark.usefixtures("no_network")
def test_reachability_is_asked_once_a_minute(monkeypatch):
    assert not _offline.reachable("https://example.invalid")
    asked = []
    monkeypatch.setattr(_offline.urllib.request, "urlopen", lambda *args, **kwargs: asked.append(1))
    assert not _offline.reachable("https://example.invalid")
    assert not asked


def test_a_silent_resolver_does_not_hold_us_up(monkeypatch):
    monkeypatch.setattr(_offline, "_known", {})
    monkeypatch.setattr(_offline.urllib.request, "urlopen", lambda *args, **kwargs: time.sleep(3))
    start = time.monotonic()
    assert not _offline.reachable("https://example.invalid", seconds=0.2)
    assert time.monotonic() - start < 2


def test_offline_is_found_anywhere_in_the_chain():
    wrapped = ValueError("wrapped")
    wrapped.__context__ = RuntimeError("again")
    wrapped.__context__.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert _offline.is_offline(wrapped)
    assert not _offline.is_offline(ValueError("a plain mistake"))
    loop = ValueError("its own cause")
    loop.__cause__ = loop
    assert not _offline.is_offline(loop)
