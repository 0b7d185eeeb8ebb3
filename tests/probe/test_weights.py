"""Weights are exactly the model's, or it is said how many aren't, and which."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from ncore.errors import InputError
from ncore.probe.builtin import build
from ncore.probe.candidates import load_candidate
from ncore.probe.images import ImageShape
from ncore.probe.sources.weights import misfits, read_weights

SHAPE = ImageShape(3, 16)


def loaded(path, name="resnet-small"):
    return load_candidate({"source": f"file:{path}", "architecture": name}, shape=SHAPE).module.model.state_dict()


@pytest.fixture
def state():
    torch.manual_seed(7)
    return build("resnet-small", SHAPE, {}).state_dict()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 18])
@pytest.mark.parametrize("kind", ["missing", "unexpected", "shape", "type"])
def test_how_many_do_not_fit_and_the_first_three(tmp_path, state, kind, count):
    names = [key for key in state if key.endswith("weight")][:count]
    if kind == "missing":
        state = {key: value for key, value in state.items() if key not in names}
    elif kind == "unexpected":
        names = [f"extra.{place}" for place in range(count)]
        state |= {name: torch.zeros(1) for name in names}
    else:
        wrong = (lambda t: torch.cat([t, t])) if kind == "shape" else (lambda t: (t * 9).to(torch.int8))
        state |= {name: wrong(state[name]) for name in names}
    torch.save(state, tmp_path / "w.pt")  # which keeps the order of names
    with pytest.raises(InputError) as caught:
        loaded(tmp_path / "w.pt")
    message = str(caught.value)
    assert all(name in message for name in names[:3])
    assert not any(f"{name} " in message or f"{name}," in message for name in names[3:])
    if kind in ("missing", "unexpected") and count > 1:
        assert f"{count} tensors are " in message
    elif count > 3:
        assert f"{count - 3} more of {count}" in message
    assert "\n" not in message


def split(folder, state, parts, suffix="safetensors", named="model"):
    """The same weights in several files, as hubs have them, and their index."""
    keys, where = list(state), {}
    for part in range(parts):
        file = f"{named}-{part + 1:05}-of-{parts:05}.{suffix}"
        mine = {key: state[key].clone() for key in keys[part::parts]}
        where |= dict.fromkeys(mine, file)
        (save_file if suffix == "safetensors" else torch.save)(mine, folder / file)
    index = folder / f"{named}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return index, where


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_weights_in_several_files(tmp_path, state, parts, suffix):
    index, _ = split(tmp_path, state, parts, suffix)
    found = loaded(index)
    assert all(torch.equal(found[key], value) for key, value in state.items() if key in found)


def test_one_part_of_several_is_told_as_that(tmp_path, state):
    split(tmp_path, state, 3)
    with pytest.raises(InputError, match=r"part 2 of 3, so give the \.index\.json"):
        loaded(tmp_path / "model-00002-of-00003.safetensors")


@pytest.mark.parametrize("wrong", ["gone", "lacks", "holds", "outside", "no map", "list", "itself", "not json"])
def test_an_index_that_its_files_do_not_bear_out_is_refused(tmp_path, state, wrong):
    index, where = split(tmp_path, state, 2)
    file = tmp_path / "model-00002-of-00002.safetensors"
    part = load_file(file)
    first = next(iter(part))
    if wrong == "gone":
        file.unlink()
    elif wrong == "lacks":
        save_file({key: value for key, value in part.items() if key != first}, file)
    elif wrong == "holds":
        save_file(part | {"more": torch.zeros(1)}, file)
    else:
        content = {
            "outside": {"weight_map": where | {first: "../w.safetensors"}},
            "no map": {"weights": where},
            "list": [where],
            "itself": {"weight_map": where | {first: index.name}},
            "not json": None,
        }[wrong]
        index.write_text("{" if content is None else json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_weights(index)
    assert "\n" not in str(caught.value)
    if wrong in ("lacks", "holds"):
        assert (first if wrong == "lacks" else "more") in str(caught.value)


class Tied(nn.Module):
    """Two names for one tensor, as decoders and their embeddings have."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight


@pytest.mark.parametrize("kept", ["first", "second", "both"])
def test_tied_weights_are_one_tensor(tmp_path, kept):
    model, value = Tied(), torch.rand(4, 4)
    state = {f"{name}.weight": value for name in ("first", "second") if kept in (name, "both")}
    assert not misfits(state, model)
    assert misfits({"other": value}, model).missing == ["first.weight", "second.weight"]
    if kept == "both":
        state["second.weight"] = value + 1
        assert "are one tensor in the model" in str(misfits(state, model))
    save_model(model, str(tmp_path / "w.safetensors"))
    assert not misfits(read_weights(tmp_path / "w.safetensors"), model)


SHORT = [getattr(torch, name) for name in dir(torch) if name.startswith("float8_e") and "fnu" not in name]


@pytest.mark.parametrize("kind", [*SHORT, torch.complex64])
def test_numbers_that_cannot_stand_for_weights_are_refused(tmp_path, state, kind):
    name = next(key for key in state if state[key].ndim > 1)
    torch.save(state | {name: state[name].to(kind)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=f"{name} holds {kind}"):
        loaded(tmp_path / "w.pt")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_lengths_of_real_numbers_are_fine(tmp_path, state, kind):
    short = {key: value.to(kind) if value.is_floating_point() else value for key, value in state.items()}
    save_file(short, tmp_path / "w.safetensors")
    found = loaded(tmp_path / "w.safetensors")
    assert all(torch.equal(found[key], value.to(found[key].dtype)) for key, value in short.items() if key in found)


# Checkpoints of transformers, where what is wrong is only logged


def vit(transformers, folder, layers=2):
    config = transformers.ViTConfig(image_size=32, patch_size=8, hidden_size=24, num_hidden_layers=layers,
                                    num_attention_heads=2, intermediate_size=48)  # fmt: skip
    model = transformers.ViTForImageClassification(config)
    model.save_pretrained(folder)
    return model


def rewrite(folder, change):
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


@pytest.mark.parametrize("count", [1, 3, 5])
def test_how_much_a_checkpoint_leaves_untrained(transformers, tmp_path, count):
    vit(transformers, tmp_path)
    gone = sorted(key for key in load_file(tmp_path / "model.safetensors") if key.endswith("bias"))[:count]
    rewrite(tmp_path, lambda state: {key: value for key, value in state.items() if key not in gone})
    with pytest.raises(InputError, match=f"leave {count} of its") as caught:
        load_candidate(f"hf:{tmp_path}")
    assert ("and 2 more" in str(caught.value)) == (count == 5)


def test_what_of_a_checkpoint_has_no_place_is_said(transformers, tmp_path):
    vit(transformers, tmp_path, layers=2)
    about = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(about | {"num_hidden_layers": 1}))
    said = load_candidate(f"hf:{tmp_path}").warnings[0]
    assert "tensors of the weights" in said
    assert "left out" in said
    assert "and" in said


def test_a_head_that_is_taken_off_anyway_is_not(transformers, tmp_path):
    vit(transformers, tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(about | {"architectures": ["ViTForMaskedImageModeling"]}))
    assert not [said for said in load_candidate(f"hf:{tmp_path}").warnings if "left out" in said]


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int64, torch.bool, torch.float8_e4m3fn])
@pytest.mark.parametrize("parts", [1, 3])
def test_quantised_checkpoints_are_refused(transformers, tmp_path, kind, parts):
    vit(transformers, tmp_path)
    path = tmp_path / "model.safetensors"
    whole = load_file(path)
    name = next(key for key in whole if whole[key].ndim == 2)
    whole[name] = (whole[name] * 100).to(kind)
    path.unlink()
    if parts == 1:
        save_file(whole, path, metadata={"format": "pt"})
    else:
        split(tmp_path, whole, parts)
    with pytest.raises(InputError, match="as quantised weights do"):
        load_candidate(f"hf:{tmp_path}")


def test_a_checkpoint_in_several_files_is_loaded(transformers, tmp_path):
    model = vit(transformers, tmp_path)
    whole = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    split(tmp_path, whole, 3)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.eval().vit(images).last_hidden_state[:, 0]
        assert torch.allclose(load_candidate(f"hf:{tmp_path}").module(images), expected, atol=1e-5)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(InputError):
        load_candidate(f"hf:{tmp_path}")


@pytest.mark.parametrize("named", [True, False])
def test_outputs_are_named_whatever_the_configuration_says(transformers, tmp_path, named):
    vit(transformers, tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(about | {"return_dict": named}))
    assert load_candidate(f"hf:{tmp_path}").output == "logits"


def test_a_model_without_a_part_for_pictures_is_refused(transformers, tmp_path):
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
        transformers.ViTConfig(**tiny, image_size=32, patch_size=8), transformers.BertConfig(**tiny, vocab_size=50)
    )
    transformers.VisionTextDualEncoderModel(config).save_pretrained(tmp_path)
    assert load_candidate(f"hf:{tmp_path}").feature_dim == 16
    llava = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**tiny, image_size=32, patch_size=8),
        text_config=transformers.LlamaConfig(**tiny, vocab_size=50),
    )
    transformers.LlavaForConditionalGeneration(llava).save_pretrained(tmp_path / "llava")
    with pytest.raises(InputError, match="none of which is called vision_model"):
        load_candidate(f"hf:{tmp_path / 'llava'}")
