"""Candidates: from one string or a YAML entry to a backbone, a model without its output layer.

==========================  =====================================================================================
``timm:NAME``               a model of timm
``torchvision:NAME``        a classification model of torchvision
``hf:ORG/NAME``             a model of transformers, from the hub or a local folder: of pictures, or an encoder of texts
``file:PATH``               weights in a .safetensors file, and ``architecture`` to load them into
``python:module:factory``   a function of yours that returns a ``torch.nn.Module``
``baseline``                no network, but logistic regression, see ``ncore.probe.baselines``
``embeddings:PATH``         vectors from elsewhere, in a file, by the ids of examples
``builtin:NAME``, ``NAME``  a built-in network for small pictures, texts or tables, see ``ncore.probe.builtin``
==========================  =====================================================================================

The output layer is taken off: in timm by ``reset_classifier(0)``, in torchvision and transformers classifiers by an
identity in place of the last ``Linear`` (SqueezeNet: the last convolution). Feature maps and tokens are averaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe import builtin
from ncore.probe._choices import first_line
from ncore.probe._trial import check_removed, classes_as_features, probe
from ncore.probe.images import ImageShape, InputSpec
from ncore.probe.modalities.base import Input, NameShape, Shape, TableShape, TextShape
from ncore.probe.sources import (
    model_embeddings,
    model_hf,
    model_python,
    model_table,
    model_text,
    model_timm,
    model_torchvision,
)
from ncore.probe.sources.candidate_spec import CandidateSpec, Factory, split_source
from ncore.probe.sources.models import Features, Loaded, Request, remover
from ncore.probe.sources.weights import load_exactly

__all__ = [
    "BUILTIN_SIZE",
    "LOADERS",
    "PLAIN_SIZE",
    "Backbone",
    "construct",
    "doubts",
    "follow",
    "load_builtin",
    "load_candidate",
    "resolve_input",
    "save_backbone",
    "seeded",
]

# Largest side taken from the dataset's own pictures where a model has none of its own and the user gives none.
BUILTIN_SIZE, PLAIN_SIZE = 32, 224


@dataclass
class Backbone:
    """A candidate without its output layer, ready for an NCP unit.

    Args:
        module: From what ``input.prepare`` gives, of pictures (N, C, S, S), to features (N, feature_dim); handed over
            in evaluation mode.
        feature_dim: Number of features.
        input: What ``module`` wants at its input.
        source: The candidate's source.
        name: Its label.
        pretrained: Whether its weights come from a file or a download.
        parameters: How many, without the output layer.
        output: Which of its outputs its features are; empty if it has only one.
        warnings: What to know before trusting runs of it, a sentence each.
    """

    module: nn.Module
    feature_dim: int
    input: Input
    source: str
    name: str
    pretrained: bool
    parameters: int
    output: str = ""
    warnings: list[str] = field(default_factory=list)


def load_candidate(
    spec: str | Mapping[str, Any] | CandidateSpec,
    *,
    seed: int = 0,
    shape: Shape | None = None,
    device: str | torch.device = "cpu",
) -> Backbone:
    """Build a candidate and take its output layer off.

    Args:
        spec: A string, a mapping, or what ``CandidateSpec.parse`` made of them.
        seed: Of the random initialisation; the global random state is left as it was.
        shape: Of the dataset's examples; by default pictures of 32 pixels, RGB. Models without an input configuration
            follow pictures: built-in networks up to 32 pixels and others up to 224, unless ``input_size`` says
            otherwise.
        device: Where the module goes.

    Raises:
        InputError: Anything about the candidate that cannot be used.
        MissingExtraError: Its library is not installed.
        OfflineError: Its weights are neither cached nor reachable.

    Example:
        >>> backbone = load_candidate("lenet", shape=ImageShape(1, 8))
        >>> backbone.feature_dim, backbone.input.size, backbone.parameters
        (84, 8, 43576)
    """
    spec = CandidateSpec.parse(spec)
    with seeded(seed):
        loaded = construct(spec, shape or ImageShape(3, BUILTIN_SIZE))
        whole = spec.remove is None and loaded.remove is None
        if spec.remove is not None:
            loaded.remove = remover(spec.remove)
        weights = Path(spec.source.partition(":")[2]) if spec.kind == "file" else spec.weights
        if weights is not None:
            load_exactly(loaded, weights.expanduser(), spec.name)
        elif loaded.remove is not None:
            loaded.remove(loaded.model)
        module = Features(loaded.model, loaded.read, spec.output, spec.layout).float().eval()
        input_spec = loaded.takes or resolve_input(spec, loaded.input, _pictures(spec, shape))
        feature_dim = probe(module, input_spec, spec.name)
        if spec.remove is not None:
            check_removed(loaded.model, spec.name)
    return Backbone(
        module=module.to(device),
        feature_dim=feature_dim,
        input=input_spec,
        source=spec.source,
        name=spec.name,
        pretrained=spec.pretrained,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        output=module.read_from,
        warnings=[
            *doubts(spec, loaded, input_spec, shape if isinstance(shape, ImageShape) else None),
            *(classes_as_features(loaded.model, feature_dim, spec.name) if whole else ()),
        ],
    )


def save_backbone(backbone: Backbone, path: str | Path) -> None:
    """Write a backbone's weights as safetensors, to be given back as ``weights`` of the same source.

    Raises:
        InputError: The file cannot be written.
    """
    from safetensors.torch import save_file

    module = backbone.module.model if isinstance(backbone.module, Features) else backbone.module
    state = {key: value.detach().cpu().clone().contiguous() for key, value in module.state_dict().items()}
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(state, aside, metadata={"source": backbone.source, "name": backbone.name})
        os.replace(aside, path)
    except Exception as error:
        aside.unlink(missing_ok=True)
        raise InputError(f"the weights cannot be written to {str(path)!r} ({first_line(error)}).") from error


def follow(spec: CandidateSpec, image: ImageShape) -> ImageShape:
    """The input of a model that has none of its own: the user's overrides, else the dataset's pictures up to a cap."""
    text = spec.architecture if isinstance(spec.architecture, str) else spec.source
    small = split_source(text)[0] == "builtin"
    own = max(builtin.MIN_SIZE, min(image.size, BUILTIN_SIZE)) if small else min(image.size, PLAIN_SIZE)
    return ImageShape(spec.channels or image.channels, spec.input_size or own, image.oblong)


def construct(spec: CandidateSpec, shape: Shape) -> Loaded:
    """Build the whole model, with its source's weights where they are asked for.

    Raises:
        InputError: The candidate takes other examples than the dataset has, among others.
    """
    _refuse_unused(spec, shape)
    if spec.kind == "baseline":
        raise InputError(f"{spec.name} is no network: it is fitted by a sweep, beside those.")
    if spec.kind == "embeddings":
        return model_embeddings.load(spec)
    if isinstance(shape, NameShape):
        raise InputError(
            f"{spec.name} would be shown names only: give vectors with `embeddings:PATH`, or a dataset with examples."
        )
    if isinstance(shape, TextShape):
        return model_text.load(spec)
    if isinstance(shape, TableShape):
        return model_table.load(spec, shape)
    image = follow(spec, shape)
    if isinstance(spec.architecture, Factory):
        own = spec.architecture
        return model_python.load_factory(own.factory, own.args, {**own.kwargs, **spec.kwargs}, spec.name)
    kind, name = split_source(spec.architecture or spec.source)
    download = spec.pretrained and spec.weights is None and spec.kind != "file"
    request = Request(name, f"{kind}:{name}", spec.kwargs, download, spec.input_size, image)
    return LOADERS[kind](request)


_OF_PICTURES = ("channels", "input_size", "mean", "std", "interpolation", "order", "crop_pct", "crop_mode", "layout")
_OF_TEXTS = ("pooling", "layers", "max_length")


def _refuse_unused(spec: CandidateSpec, shape: Shape) -> None:
    """Refuse settings that say how other examples are fed than those that there are.

    Raises:
        InputError: Names the first.
    """
    pictures, texts = isinstance(shape, ImageShape), isinstance(shape, TextShape)
    plain = spec.kind in ("embeddings", "baseline")
    unused = [*(() if pictures and not plain else _OF_PICTURES), *(() if texts and not plain else _OF_TEXTS)]
    if texts and spec.kind != "hf":
        unused += ["pooling", "layers"]
    for name in unused:
        if getattr(spec, name) is not None:
            what = "it" if plain else "texts" if texts else "pictures" if pictures else "rows"
            raise InputError(f"`{name}` of {spec.name} says nothing of {what}: leave it out.")


def _pictures(spec: CandidateSpec, shape: Shape | None) -> ImageShape:
    """The pictures that a candidate follows."""
    return follow(spec, shape if isinstance(shape, ImageShape) else ImageShape(3, BUILTIN_SIZE))


def load_builtin(request: Request) -> Loaded:
    """Build a built-in network for the dataset's own pictures."""
    return Loaded(builtin.build(request.name, request.image, request.kwargs))


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    "timm": model_timm.load,
    "torchvision": model_torchvision.load,
    "hf": model_hf.load,
    "python": model_python.load,
    "builtin": load_builtin,
}


def resolve_input(spec: CandidateSpec, own: Mapping[str, Any], image: ImageShape) -> InputSpec:
    """Input of a candidate: what the user overrides, else the model's own, else the dataset's pictures.

    Raises:
        InputError: The model's own preprocessing can't be followed, and the user doesn't say all that it would.
    """
    if "refusal" in own and None in (spec.mean, spec.std, spec.input_size):
        raise InputError(own["refusal"])
    channels = spec.channels or own.get("channels", image.channels)

    def per_channel(override: list[float] | None, key: str) -> tuple[float, ...]:
        values = tuple(override or own.get(key, (0.5,)))
        # A model of three-channel statistics that was built for one channel sees their mean.
        return values if override or len(values) == channels else (sum(values) / len(values),)

    interpolation = spec.interpolation or own.get("interpolation", "bilinear")
    return InputSpec(
        channels=channels,
        size=spec.input_size or own.get("size", image.size),
        mean=per_channel(spec.mean, "mean"),
        std=per_channel(spec.std, "std"),
        interpolation=interpolation,
        order=(spec.order or own.get("order", "rgb")) if channels == 3 else "rgb",
        crop_pct=spec.crop_pct,
        crop_mode=spec.crop_mode or "center",
        source="recipe" if spec.mean or spec.std else own.get("source", "default"),
    )


def doubts(spec: CandidateSpec, loaded: Loaded, found: Input, shown: ImageShape | None) -> list[str]:
    """What to know of a candidate's weights and input before trusting runs of it.

    Args:
        spec: The candidate.
        loaded: What its source gave.
        found: The input that it gets.
        shown: The dataset's own pictures, if they are known.
    """
    own, name = loaded.input, spec.name
    said = [*loaded.warnings, *own.get("warnings", [])]
    if not isinstance(found, InputSpec):
        return said
    values = f"mean {list(found.mean)} and std {list(found.std)}"
    foreign = spec.weights is not None or spec.kind == "file"  # than those that the preprocessing belongs to
    if found.source == "recipe":
        for key in ("mean", "std"):
            theirs, ours = own.get(key, ()), getattr(found, key)
            if "source" in own and not foreign and not np.allclose(theirs, ours, atol=5e-3):
                said.append(f"The recipe's {key} {list(ours)} of {name} stands in place of its own {list(theirs)}.")
    elif own.get("trained") and not spec.pretrained:
        said.append(
            f"{name} has the same weights whatever the seed, as trained ones are, and comes without their "
            f"preprocessing: {values} are a default, which the recipe can change."
        )
    elif spec.pretrained and split_source(_built(spec))[0] != "builtin":
        if found.source == "default":
            said.append(f"{name} comes without its preprocessing: {values} are a default, which the recipe can change.")
        elif foreign:
            said.append(
                f"The weights of {name} come without their preprocessing: {values} are those of its architecture, "
                "which the recipe can change."
            )
    if spec.pretrained and not foreign and "source" in own:
        said += _other_crop(spec, own, shown is not None and shown.oblong)
    if found.channels == 1 and shown is not None and shown.channels == 3 and spec.channels is None:
        said.append(f"{name} takes grey pictures, so that the colours of the dataset's are lost on it.")
    return said


def _other_crop(spec: CandidateSpec, own: Mapping[str, Any], oblong: bool) -> list[str]:
    """What of a picture the model's authors show, where that is something else than what is shown here."""
    said, theirs = [], own.get("crop_pct", 1.0)
    if spec.crop_pct is None and theirs != 1:
        said.append(
            f"The authors' preprocessing shows the middle {theirs:.0%} of a picture's side; here all of it is shown, "
            f"unless the recipe says `crop_pct: {theirs:g}`."
        )
    if spec.crop_mode is None and oblong and own.get("crop_mode") == "squash":
        said.append(
            "The authors' preprocessing squeezes oblong pictures into a square; here their middle is cut out, "
            "unless the recipe says `crop_mode: squash`."
        )
    if spec.crop_mode is None and oblong and own.get("crop_mode") == "other":
        said.append(
            "The authors' preprocessing pads oblong pictures, or leaves them oblong; here their middle is cut "
            "out, or they are squeezed into a square if the recipe says `crop_mode: squash`."
        )
    return said


def _built(spec: CandidateSpec) -> str:
    """The source of the architecture."""
    return "python:factory:own" if isinstance(spec.architecture, Factory) else spec.architecture or spec.source


@contextmanager
def seeded(seed: int) -> Any:
    """Run with the CPU generator seeded, and put the global random state back after."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the generators of all other devices too.
        torch.default_generator.manual_seed(seed)
        yield
