"""Which of a model's outputs its features are: known by name, said by the recipe, or refused with what there is."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import make_dataclass
from itertools import permutations

import pytest
import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe.candidates import CandidateSpec, load_candidate
from ncore.probe.images import ImageShape, InputSpec
from ncore.probe.settings import identity_of
from ncore.probe.sources._outputs import HEADS, choose

SHAPE = ImageShape(3, 16)
FORMS = ("dict", "namedtuple", "dataclass", "model output")


class Several(nn.Module):
    """Answers with several tensors, in the way that it is told."""

    def __init__(self, wrap) -> None:
        super().__init__()
        self.wrap, self.layer = wrap, nn.Conv2d(3, 6, 3)

    def forward(self, images):
        maps = self.layer(images)
        return self.wrap(maps, maps.mean((2, 3))[:, :2])


@pytest.fixture
def nets(monkeypatch, tmp_path):
    (tmp_path / "many_outputs.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import many_outputs

    return many_outputs


def load(nets, wrap, **spec):
    nets.make = wrap if isinstance(wrap, type) else lambda: Several(wrap)
    return load_candidate({"source": "python:many_outputs:make", "input_size": 16, **spec}, shape=SHAPE)


def form(kind: str, names: tuple[str, ...], values: tuple):
    """The same parts by the same names, in one of the ways that libraries have."""
    if kind == "dict":
        return dict(zip(names, values, strict=True))
    if kind == "namedtuple":
        return namedtuple("Made", names)(*values)
    if kind == "dataclass":
        return make_dataclass("Made", names)(*values)
    transformers = pytest.importorskip("transformers")
    return transformers.utils.ModelOutput(zip(names, values, strict=True))


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("head", HEADS)
def test_known_heads_are_taken_by_name_wherever_they_stand(nets, kind, head):
    for names in permutations((head, "attentions")):
        backbone = load(nets, lambda maps, aux, names=names: form(
            kind, names, tuple(maps if name == head else aux for name in names)))  # fmt: skip
        assert (backbone.feature_dim, backbone.output) == (6, head)


def test_of_several_known_heads_one_is_taken_as_libraries_mean_it():
    ones = {name: torch.full((2,), float(place)) for place, name in enumerate(reversed(HEADS))}
    for order in permutations(HEADS):
        assert choose({name: ones[name] for name in order}, None, "net")[1] == "logits"
    assert choose({name: ones[name] for name in HEADS[1:]}, None, "net")[1] == "pooler_output"
    assert choose({"pooler_output": None, "last_hidden_state": ones["logits"]}, None, "net")[1] == "last_hidden_state"


@pytest.mark.parametrize("kind", [*FORMS, "tuple", "list"])
def test_unknown_outputs_are_refused_with_what_there_is_and_taken_as_the_recipe_says(nets, kind):
    def wrap(maps, aux):
        if kind in ("tuple", "list"):
            return {"tuple": tuple, "list": list}[kind]((maps, aux))
        return form(kind, ("out", "aux"), (maps, aux))

    names = ("0", "1") if kind in ("tuple", "list") else ("out", "aux")
    with pytest.raises(InputError) as caught:
        load(nets, wrap)
    message = str(caught.value)
    assert all(
        word in message
        for word in (
            "(2, 6, 14, 14)",
            "(2, 2)",
            f"set `output` to the one that holds the features, of {', '.join(names)}.",
        )
    ), message
    assert "\n" not in message
    for name, features in zip(names, (6, 2), strict=True):
        for wanted in {name, int(name) if name.isdigit() else name}:
            backbone = load(nets, wrap, output=wanted)
            assert (backbone.feature_dim, backbone.output) == (features, name)
    with pytest.raises(InputError, match=f"use one of {', '.join(names)}"):
        load(nets, wrap, output="absent")


def test_outputs_within_outputs(nets):
    def wrap(maps, aux):
        return {"stages": [aux, {"map": maps}]}

    with pytest.raises(InputError, match=r"stages \(a list of 0 \(2, 2\), 1 \(a dict of map \(2, 6, 14, 14\)\)\)"):
        load(nets, wrap)
    assert load(nets, wrap, output="stages.1.map").feature_dim == 6
    assert load(nets, wrap, output="stages.0").feature_dim == 2


@pytest.mark.parametrize("wrap", [lambda m, a: None, lambda m, a: (), lambda m, a: {}, lambda m, a: "text"])
def test_what_holds_no_tensor_is_refused(nets, wrap):
    for wanted in (None, 0, "logits"):
        with pytest.raises(InputError):
            load(nets, wrap, **({} if wanted is None else {"output": wanted}))


def test_one_tensor_is_what_it_is(nets):
    assert load(nets, lambda maps, aux: maps).output == ""
    assert load(nets, lambda maps, aux: (maps,)).output == "0"
    with pytest.raises(InputError, match="leave `output` out"):
        load(nets, lambda maps, aux: maps, output="logits")


def test_features_of_stages_are_not_the_first_of_them():
    pytest.importorskip("timm")
    spec = {"source": "timm:test_resnet", "pretrained": False, "kwargs": {"features_only": True}, "input_size": 96}
    with pytest.raises(InputError, match=r"of 0, 1, 2, 3, 4\.") as caught:
        load_candidate(spec)
    assert "4 (2, 96, 3, 3)" in str(caught.value)
    last = load_candidate({**spec, "output": 4})
    first = load_candidate({**spec, "output": 0})
    assert last.feature_dim > first.feature_dim


def test_new_settings_leave_old_ids_alone():
    fields = ("order", "crop_pct", "crop_mode", "layout", "output")
    plain = identity_of(CandidateSpec.parse("timm:resnet18"))
    assert not set(fields) & set(plain)
    values = {"order": "bgr", "crop_pct": 0.9, "crop_mode": "squash", "layout": "channels_last", "output": 1}
    for name, value in values.items():
        asked = identity_of(CandidateSpec.parse({"source": "timm:resnet18", name: value}))
        assert asked == plain | {name: value}


class Last(nn.Module):
    """A network of channels last, as those of other frameworks are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, images):
        assert images.shape[-1] == 3
        return self.layer(images)


class Ambiguous(nn.Module):
    """Its maps have as many columns as channels, and nothing says which is which."""

    def forward(self, images):
        return images[:, :, :3, :5].repeat(1, 2, 1, 1)[:, :6, :3, :5].permute(0, 1, 2, 3)


def test_channels_last_pictures_and_maps(nets):
    with pytest.raises(InputError, match="does not take pictures of 3x16x16"):
        load(nets, Last)
    backbone = load(nets, Last, layout="channels_last")
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        expected = backbone.module.model(images.permute(0, 2, 3, 1)).mean((1, 2))
        assert torch.allclose(backbone.module(images), expected)
    assert backbone.feature_dim == 5
    with pytest.raises(InputError, match="set `layout`"):
        load(nets, Ambiguous)
    assert load(nets, Ambiguous, layout="channels_first").feature_dim == 6


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("order", ["rgb", "bgr", None])
def test_the_order_of_channels_is_that_of_the_recipe(nets, order, stated):
    values = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]} if stated else {}
    found = load(nets, lambda maps, aux: maps, **({"order": order} if order else {}), **values).input
    batch = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    mean, std = (torch.tensor(values.get(key, [0.5] * 3)).view(3, 1, 1) for key in ("mean", "std"))
    seen = (batch.flip(1) if order == "bgr" else batch) / 255
    assert torch.allclose(found.prepare(batch), (seen - mean) / std, atol=1e-6)
    assert isinstance(found, InputSpec)


def test_tokens_are_averaged_along_their_own_axis(nets):
    class Tokens(nn.Module):
        num_features = 6

        def __init__(self, first: bool) -> None:
            super().__init__()
            self.first, self.layer = first, nn.Conv2d(3, 6, 3)

        def forward(self, images):
            made = self.layer(images).flatten(2)
            return made if self.first else made.transpose(1, 2)

    for first in (True, False):
        nets.make = lambda first=first: Tokens(first)
        spec = {"source": "python:many_outputs:make", "input_size": 16}
        assert load_candidate(spec, shape=SHAPE).feature_dim == 6
