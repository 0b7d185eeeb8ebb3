"""How a trained model is built again by its own library, without ncore: described as plain JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ncore.finish.standalone.model import Network
from ncore.probe.candidates import Backbone, CandidateSpec, Factory, split_source
from ncore.probe.images import ImageShape, InputSpec
from ncore.probe.sources import model_timm, model_torchvision
from ncore.probe.sources.models import Features, Removed, Request

__all__ = ["backbone_of", "head_of", "network_of", "state_of", "write_configuration"]

_AXES: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (2, 3), (1, 2))  # of tokens and feature maps


def network_of(whole: nn.Sequential, inputs: tuple[Tensor, ...]) -> tuple[Network, dict[str, Any]]:
    """The same model as one module that needs nothing of ncore, and how the backbone's features are read in it.

    Args:
        whole: A backbone and its head.
        inputs: A batch of two or more.

    Returns:
        The module, which shares its weights, and what it is given besides; empty where only the backbone as it is
        wrapped here gives the features.
    """
    features, head = whole[0], whole[1]
    if isinstance(features, Features) and features.layout is None:
        with torch.no_grad():
            expected = whole(*inputs)
        accepted = inspect.signature(features.model.forward).parameters
        arguments = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in accepted else {}
        for axes in _AXES:
            reading: dict[str, Any] = {"arguments": arguments, "output": features.read_from, "mean": list(axes)}
            network = Network(features.model, head, **reading).eval()
            try:
                with torch.no_grad():
                    found = network(*inputs)
            except Exception:  # axes that there are none of, or an output that is read in another way
                continue
            if found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-5, atol=1e-6):
                return network, reading
    return Network(features, head).eval(), {}


def backbone_of(spec: CandidateSpec, backbone: Backbone) -> dict[str, Any] | None:
    """How the library builds the backbone without weights; None where no library does.

    Args:
        spec: Of the candidate.
        backbone: As it was loaded.
    """
    if not isinstance(backbone.input, InputSpec):
        return None  # what pools tokens is no part of a library
    model: Any = getattr(backbone.module, "model", None)
    kind, name, given, positional = _called(spec)
    how: dict[str, Any] = {"arguments": given, "positional": positional, "part": "", "unused": [], "module": ""}
    how["removed"] = [path for path, module in model.named_modules() if isinstance(module, Removed)]
    factory = isinstance(spec.architecture, Factory)
    how["reset"] = spec.remove is None and (kind == "timm" or factory) and hasattr(model, "reset_classifier")
    if kind == "python":
        module, _, function = name.partition(":")
        return how | {"library": "python", "module": module, "name": function}
    if kind == "timm":
        shown = ImageShape(backbone.input.channels, backbone.input.size)
        size = None if factory else spec.input_size  # a factory is called as it is
        request = Request(name, f"{kind}:{name}", given, False, size, shown)
        if ":" in name:
            name = model.pretrained_cfg.get("architecture", name)
        return how | {"library": "timm", "name": name, "arguments": model_timm.arguments(request)}
    if kind == "torchvision":
        given = {**model_torchvision.QUICK.get(name, {}), **given}
        given.pop("weights", None)
        # Trained weights come with these two settings of Inception and GoogLeNet.
        given |= {key: getattr(model, key) for key in ("transform_input", "aux_logits") if hasattr(model, key)}
        return how | {"library": "torchvision", "name": name, "arguments": given}
    if kind == "hf":
        return how | _transformers(model)
    return None


def _called(spec: CandidateSpec) -> tuple[str, str, dict[str, Any], list[Any]]:
    """Kind, name and arguments of what builds a candidate; those of timm and torchvision by name."""
    text = spec.architecture or spec.source
    if not isinstance(text, Factory):
        return *split_source(text), dict(spec.kwargs), []
    module, _, function = text.factory.rpartition(".")
    given, positional = {**text.kwargs, **spec.kwargs}, list(text.args)
    given = {key: value for key, value in given.items() if key not in ("pretrained", "weights")}
    if text.factory == "timm.create_model" and len(positional) == 1:
        return "timm", positional[0], given, []
    if module.startswith("torchvision.models") and not positional:
        return "torchvision", function, given, []
    return "python", f"{module}:{function}", {**text.kwargs, **spec.kwargs}, positional


def _transformers(model: Any) -> dict[str, Any]:
    """The class of a model of transformers, or, of one that is part of another, where it is in that."""
    import transformers

    kind = type(model).__name__
    public = hasattr(transformers, kind)
    return {
        "library": "transformers",
        "name": kind if public else "AutoModel",
        "part": "" if public else "vision_model",
        "arguments": {},
        "unused": ["pooler"] if getattr(model, "pooler", ()) is None else [],
    }


def write_configuration(backbone: Backbone, folder: Path) -> None:
    """What a model of transformers is built from, as ``transformers/config.json``."""
    model: Any = getattr(backbone.module, "model", None)
    where = folder / "transformers"
    model.config.save_pretrained(where)
    content = json.loads((where / "config.json").read_text(encoding="utf-8"))
    content.pop("_name_or_path", None)  # where it was on this machine
    (where / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def head_of(head: nn.Module) -> list[dict[str, Any]]:
    """The layers of a dense head, to be built by their names in ``torch.nn``."""
    found = []
    for layer in head.children():
        arguments: dict[str, Any] = {}
        if isinstance(layer, nn.Linear):
            arguments = {
                "in_features": layer.in_features,
                "out_features": layer.out_features,
                "bias": layer.bias is not None,
            }
        elif isinstance(layer, nn.Dropout):
            arguments = {"p": layer.p}
        found.append({"kind": type(layer).__name__, "arguments": arguments})
    return found


def state_of(network: nn.Module) -> Mapping[str, Tensor]:
    """The weights, each in memory of its own, as safetensors has them."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}
